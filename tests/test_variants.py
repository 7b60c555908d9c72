"""Variants, switches and a user's own scenarios, through the real command."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness import catalogue, scenario
from harness.model import CellKey

Command = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parent.parent
FAST = ("--factor", "7200", "--no-matrix")
SWITCHED = (
    "--operations",
    "HeadBucket,BrowserPost,GetBucketLocation,PutObject",
    "--variants",
    "ok,denied,bad-signature,expired",
)


def _cells(folder: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The cells without what differs between any two runs."""
    return {
        (cell["operation"], cell["variant"], cell["channel"]): {
            "verdict": cell["verdict"],
            "names": cell["names"],
            "fields": {k: v for k, v in cell["fields"].items() if v["class"] != "volatile"},
        }
        for cell in harness.load_run(folder).cells
    }


@pytest.fixture(scope="module")
def by_default(
    command: Command, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str, str], dict[str, Any]]:
    results = tmp_path_factory.mktemp("default")
    done = command("run", *FAST, *SWITCHED, "--results", str(results))
    assert done.returncode == 0, done.stdout + done.stderr
    return _cells(results / "latest")


@pytest.mark.parametrize(
    ("behaviour", "concerned"),
    [
        ("form-post=PostObject", {("BrowserPost", "ok")}),
        (
            "failed-authentication=delivered",
            {
                ("GetBucketLocation", "bad-signature"),
                ("HeadBucket", "bad-signature"),
                ("PutObject", "bad-signature"),
                ("PutObject", "expired"),
                ("BrowserPost", "bad-signature"),
            },
        ),
        ("head-bucket=management", {("HeadBucket", "ok"), ("HeadBucket", "denied")}),
    ],
)
def test_a_switch_flips_exactly_the_cells_that_it_concerns(
    command: Command,
    tmp_path: Path,
    by_default: dict[tuple[str, str, str], dict[str, Any]],
    behaviour: str,
    concerned: set[tuple[str, str]],
) -> None:
    done = command("run", *FAST, *SWITCHED, "--behaviour", behaviour, "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    switched = _cells(tmp_path / "latest")
    changed = {key for key, cell in switched.items() if cell != by_default[key]}
    assert changed == {(operation, variant, "cloudtrail") for operation, variant in concerned}


def test_lifecycle_actions_are_logged_by_s3_itself_and_the_switch_brings_them_into_cloudtrail(
    command: Command, tmp_path: Path
) -> None:
    seen = []
    for answer in ("not-delivered", "delivered"):
        slow = ("--slow", "--deadline", "5d", "--factor", "60000", "--operations", "LifecycleE*", "--no-matrix")
        done = command("run", *slow, "--behaviour", f"lifecycle={answer}", "--results", str(tmp_path / answer))
        assert done.returncode == 0, done.stdout + done.stderr
        matrix = harness.load_run(tmp_path / answer / "latest").matrix.set_index(["variant", "channel"])
        assert matrix.loc[("ok", "server-access"), "names"] == "S3.EXPIRE.OBJECT"
        assert matrix.loc[("versioned", "server-access"), "names"] == "S3.CREATE.DELETEMARKER"
        seen.append(matrix.loc[("ok", "cloudtrail"), "verdict"])
    assert seen == ["not observed", "logged"]


LATE = (
    *("--factor", "7200", "--no-matrix", "--behaviour", "logging-starts=late"),
    *("--channels", "server-access,server-access-cloudwatch"),
    *("--operations", "PutBucketAcl,GetBucketVersioning,CreateBucket,HeadObject", "--variants", "ok,denied"),
)


def test_where_logging_starts_late_the_gate_waits_for_every_bucket_and_nothing_is_lost(
    command: Command, tmp_path: Path
) -> None:
    done = command("run", *LATE, "--canary", "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    matrix = harness.load_run(tmp_path / "latest").matrix
    not_in_a_logged_bucket = matrix["operation"] == "CreateBucket"
    assert set(matrix[not_in_a_logged_bucket]["verdict"]) == {"not observed"}
    assert set(matrix[~not_in_a_logged_bucket]["verdict"]) == {"logged"}


def test_where_logging_starts_late_and_nobody_waits_no_absence_is_claimed(command: Command, tmp_path: Path) -> None:
    done = command("run", *LATE, "--no-canary", "--results", str(tmp_path))
    assert done.returncode in (0, 6), done.stdout + done.stderr  # a slow machine may wait without meaning to
    matrix = harness.load_run(tmp_path / "latest").matrix
    in_a_logged_bucket = matrix["operation"] != "CreateBucket"
    assert "not observed" not in set(matrix[in_a_logged_bucket]["verdict"])


def test_an_unknown_behaviour_is_told_with_what_there_is(command: Command) -> None:
    done = command("run", "--behaviour", "head-bucket=maybe")
    assert done.returncode == 4
    assert "head-bucket=data|management" in done.stderr


OWN = """
from harness.scenario import scenario

@scenario("GetObject", variant="my-own-range", iam=["s3:GetObject"])
def get_the_first_byte(call, stored_object):
    call(Bucket=stored_object.bucket, Key=stored_object.key, Range="bytes=0-0")
"""


def test_a_users_own_scenario_file_is_executed(command: Command, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN, "utf-8")
    where = ("--scenarios", str(own), "--variants", "my-own-*", "--results", str(tmp_path / "results"))
    done = command("run", *FAST, *where)
    assert done.returncode == 0, done.stdout + done.stderr
    matrix = harness.load_run(tmp_path / "results" / "latest").matrix
    assert set(matrix["verdict"]) == {"logged"}
    assert set(matrix["statuses"]) == {"206: 1"}


def test_a_scenario_file_that_cannot_be_imported_is_told(command: Command, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("import there_is_no_such_module", "utf-8")
    done = command("run", "--scenarios", str(own))
    assert done.returncode == 4
    assert "own.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_operation_has_an_ok_row_and_a_failing_one() -> None:
    scenario.load()
    known = scenario.all_scenarios()
    for operation in catalogue.operations():
        assert CellKey(operation=operation) in known
        assert any(each.fails for each in known.values() if each.operation == operation)


def test_every_row_of_the_catalogue_has_a_scenario_or_a_reason() -> None:
    scenario.load()
    have = {cell.operation for cell in scenario.all_scenarios()} | set(scenario.all_exclusions())
    assert set(catalogue.rows()) <= have
    assert all(scenario.all_exclusions().values())


def test_every_extra_call_is_a_scenario_or_has_a_reason() -> None:
    scenario.load()
    have = {(c.operation, c.variant) for c in scenario.all_scenarios()} | {(n, "ok") for n in scenario.all_exclusions()}
    rows = list(csv.DictReader((ROOT / "harness/catalogue/extra_calls.csv").read_text("utf-8").splitlines()))
    assert len(rows) >= 57
    for row in rows:
        assert bool(row["reason"]) != ((row["operation"], row["variant"]) in have), row["call"]


def test_the_page_of_rows_is_what_the_command_prints(command: Command) -> None:
    printed = command("list", "--output", "markdown").stdout.strip()
    page = (ROOT / "docs" / "rows.md").read_text("utf-8")
    assert printed in page, "run: s3logjam list --output markdown, and put it into docs/rows.md"
