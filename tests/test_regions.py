"""Several Regions: one run in each, side by side, and what differs between them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from drift_kit import traffic, write_run

import harness
from harness import regions
from harness.corpus import export
from harness.diff import diff
from harness.errors import ExitCode, UsageError
from harness.explain import NO_RUN, knowledge
from harness.page import write_page
from harness.report.regions import different, write
from harness.report.snapshots import load
from harness.status import status_of
from harness.verify import verify

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["run", "--region", "a", "--region=b", "--seed", "1"], ["run", "--seed", "1"]),
        (["run", "--results", "there", "--no-matrix"], ["run", "--no-matrix"]),
        (["run", "--seed=--region"], ["run", "--seed=--region"]),
        ([], []),
    ],
)
def test_regions_and_results_are_taken_out_of_a_command_line(arguments: list[str], left: list[str]) -> None:
    assert regions.without(arguments, "--region", "--results") == left


def matrix(**names: str) -> pd.DataFrame:
    """Return a matrix with one row per Region, in which the channel gave the call that name."""
    row = {"operation": "PutObject", "variant": "ok", "channel": "cloudtrail", "delay_p50_seconds": 60.0}
    rows = [row | {"region": r, "names": n, "verdict": "logged" if n else "not observed"} for r, n in names.items()]
    return pd.DataFrame(rows)


def test_rows_that_are_the_same_everywhere_do_not_differ() -> None:
    assert different(matrix(here="PutObject", there="PutObject")).empty


def test_a_name_or_a_verdict_that_differs_is_shown_by_region() -> None:
    (row,) = different(matrix(here="PutObject", there="")).to_dict("records")
    assert (row["here"], row["there"]) == ("logged PutObject", "not observed")


def test_the_comparison_is_inert_and_names_its_target(tmp_path: Path) -> None:
    write(tmp_path, matrix(here="a|b <script>", there=""), "Target: embedded (proves the harness)")
    text = (tmp_path / "regions.md").read_text("utf-8")
    assert text.startswith("> Target: embedded")
    assert "<script>" not in text
    assert "1 rows differ" in text
    assert list(pd.read_csv(tmp_path / "matrix.csv")["region"]) == ["here", "there"]


def test_the_worst_exit_code_of_all_is_the_common_one() -> None:
    told: list[str] = []
    code = regions.side_by_side({"one": ["--version"], "two": ["list", "--operations", "NoSuch"]}, told.append)
    assert code is ExitCode.NOTHING_SELECTED
    assert {line.partition(" | ")[0].strip() for line in told} == {"one", "two"}


def test_documents_of_several_regions_are_kept_apart_from_what_is_told() -> None:
    told: list[str] = []
    documents: dict[str, Any] = {}
    commands = {"one": ["list", "--operations", "GetObject", "--output", "json"], "two": ["report", "/no/run"]}
    code = regions.side_by_side(commands, told.append, documents)
    assert code is ExitCode.USAGE
    assert documents.keys() == {"one"}
    assert documents["one"]["rows"]
    assert all(line.startswith("two") for line in told)
    assert "there is no run" in told[0]


def test_runs_in_two_regions_make_one_matrix(command: Command, tmp_path: Path) -> None:
    selection = ("--operations", "PutBucketAcl", "--variants", "ok", "--factor", "7200", "--results", str(tmp_path))
    done = command("run", "--region", "us-east-1", "--region", "eu-central-1", *selection)
    assert done.returncode == 0, done.stdout + done.stderr
    found = pd.read_csv(tmp_path / "latest" / "matrix.csv")
    assert set(zip(found["region"], found["channel"], found["verdict"], strict=True)) == {
        (region, channel, "logged")
        for region in ("us-east-1", "eu-central-1")
        for channel in ("server-access", "cloudtrail")
    }
    told = command("status", str(tmp_path / "latest"))
    assert told.returncode == 0
    assert told.stdout.count("Stage: finished") == 2
    again = command("report", str(tmp_path / "latest"))
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``results/latest`` of a run in two Regions, and the folder that ``results`` is in."""
    base = tmp_path_factory.mktemp("two")
    folder = base / "results" / "20261123-100000-embedded-regions"
    for region in ("eu-west-1", "us-east-1"):
        write_run(folder / region / "20261123-100000-embedded-00000001", traffic(1, operations=("HeadBucket",)))
    (base / "results" / "latest").symlink_to(folder.name)
    return base


@pytest.mark.parametrize(
    "need",
    [
        harness.load_run,
        load,
        verify,
        write_page,
        status_of,
        knowledge,
        lambda run: diff(run, run),
        lambda run: export(run, run / "corpus.jsonl"),
    ],
    ids=["load_run", "baseline", "verify", "report --html", "status", "explain --run", "diff", "corpus"],
)
def test_what_reads_one_run_names_those_of_the_regions(need: Callable[[Path], object], two: Path) -> None:
    latest = two / "results" / "latest"
    with pytest.raises(UsageError, match="is a run in 2 Regions: give one of") as caught:
        need(latest)
    for folder in latest.resolve().glob("*/*"):
        assert str(folder) in str(caught.value)


def test_an_explanation_without_a_run_says_that_there_would_be_one_of_each_region(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two)
    assert re.search(r"documents speak alone \(results/latest is a run in 2 Regions.* with --run", knowledge().headline)
    monkeypatch.chdir(two / "results")
    assert knowledge().headline == NO_RUN
