"""Outputs of a lint: SARIF by its schema, JSON and text, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from process_kit import PATIENCE_SECONDS

from harness.lint.command import lint
from harness.lint.model import Kind
from harness.report.lint import MEANINGS, as_json, as_sarif, as_text

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SCHEMA = json.loads((Path(__file__).parent.parent / "lint" / "sarif-2.1.0.schema.json").read_text("utf-8"))
QUERY = """SELECT 1 FROM cloudtrail_logs WHERE eventsource = 's3.amazonaws.com'
  AND eventname IN ('PutObject', 'PutAclBucket')
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "with blank.sql").write_text(QUERY, "utf-8")
    (tmp_path / "rules" / "excused.sql").write_text(
        f"-- s3logjam: ignore[misses sibling] no copies here\n{QUERY}", "utf-8"
    )
    (tmp_path / "rules" / "broken.toml").write_text("[rule\n", "utf-8")
    return tmp_path / "rules"


def _results(sarif: dict[str, Any]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = sarif["runs"][0]["results"]
    return results


def test_sarif_follows_its_schema(folder: Path) -> None:
    sarif = json.loads(as_sarif(lint([folder])))
    jsonschema.validate(sarif, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**sarif, "version": "1"}, SCHEMA)
    run = sarif["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [kind.slug for kind in Kind]
    assert MEANINGS.keys() == set(Kind)
    assert run["properties"]["headline"].startswith("Nothing observed")
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].startswith("no TOML")
    for result in _results(sarif):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    suppressed = [each for each in _results(sarif) if each.get("suppressions")]
    assert {each["suppressions"][0]["justification"] for each in suppressed} == {"no copies here"}
    place = _results(sarif)[-1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("with%20blank.sql")
    assert place["region"]["startLine"] == 2


def test_text_counts_everything(folder: Path) -> None:
    lines = as_text(lint([Path("rules")])).split("\n")
    assert lines[0].startswith("Nothing observed")
    assert any(line.startswith("rules/with blank.sql:2: error: dead name: ") for line in lines)
    assert lines[-1].startswith("2 rules in 2 files, 2 about S3: ")
    assert lines[-1].endswith("2 suppressed, 1 unread.")


def test_a_suppressed_line_says_what_is_suppressed(folder: Path) -> None:
    told = [line for line in as_text(lint([Path("rules/excused.sql")])).split("\n") if ": suppressed: " in line]
    assert len(told) == len(set(told)) == 2
    for sibling in ("CopyObject", "CompleteMultipartUpload"):
        (line,) = [each for each in told if sibling in each]
        assert line.endswith(": no copies here")


def test_names_that_are_not_judged_are_no_clean_result(folder: Path) -> None:
    (folder / "y.list").write_text("PutBucketAcl\nCreateUser\n", "utf-8")
    result = lint([Path("rules/y.list")])
    text = as_text(result).split("\n")
    assert text[1].startswith("rules/y.list:2: not judged: 1 name that no S3 log knows")
    assert text[1].endswith(": CreateUser (y)")
    assert text[-1].endswith("nothing found, 1 not judged.")
    (told,) = json.loads(as_json(result))["not_judged"]
    assert told == {"path": "rules/y.list", "line": 2, "rule": "y", "names": ["CreateUser"]}
    sarif = json.loads(as_sarif(result))
    jsonschema.validate(sarif, SCHEMA)
    (invocation,) = sarif["runs"][0]["invocations"]
    (note,) = invocation["toolExecutionNotifications"]
    assert (note["level"], invocation["executionSuccessful"]) == ("note", True)
    assert "CreateUser" in note["message"]["text"]


def test_lint_from_the_command_line(folder: Path, full_run: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # our own interpreter and module
            [sys.executable, "-m", "harness", "lint", *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    done = run(str(folder), "--run", str(full_run), "--output", "json")
    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == 1
    assert document["target"] == "embedded"
    assert document["summary"]["dead name"] == 2
    (folder / "broken.toml").unlink()
    (folder / "excused.sql").unlink()
    (folder / "with blank.sql").write_text(
        QUERY.replace("PutObject", "GetObject").replace("PutAclBucket", "PutBucketAcl")
    )
    done = run(str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert "note: needs data events: GetObject" in done.stdout
    assert "nothing found" in run(str(folder), "--data-events").stdout
    jsonschema.validate(json.loads(run(str(folder), "--output", "sarif").stdout), SCHEMA)
    assert run(str(folder / "missing")).returncode == 4
    (folder / "with blank.sql").unlink()
    assert run(str(folder)).returncode == 5
