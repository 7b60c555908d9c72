"""What is told of a comparison: both headlines in every form, and hostile text made inert in each."""

from __future__ import annotations

import io
import json
import os
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from drift_kit import Faults, measured, traffic
from offline import HOSTILE
from rich.console import Console

from harness.analyse.cases import DiffResult
from harness.analyse.drift import compare, incomparable
from harness.analyse.known import Deviation
from harness.analyse.moved import incomparable_delays
from harness.analyse.snapshot import Snapshot
from harness.model import CLOUDTRAIL
from harness.report.drift import Output, as_json, as_junit, as_markdown, show

ROOT = Path(__file__).parents[2]


def result(a: Snapshot, b: Snapshot) -> DiffResult:
    return DiffResult(
        a=a,
        b=b,
        findings=tuple(compare(a, b)),
        incomparable=incomparable(a, b),
        incomparable_delays=incomparable_delays(a, b),
    )


@pytest.fixture(scope="module")
def clean() -> Snapshot:
    return measured(traffic(seed=1), 1)


@pytest.fixture(scope="module")
def drifted(clean: Snapshot) -> DiffResult:
    faults = Faults(
        category={"HeadBucket": "management"}, added=True, lost=frozenset({("GetBucketTagging", CLOUDTRAIL)})
    )
    found = result(clean, replace(measured(traffic(seed=2, faults=faults), 2), headline="Target: other · real time"))
    category = next(f for f in found.findings if f.kind == "category")
    entry = Deviation(
        id=category.id, cell="", kind="", subject="", reason="listed as both", expires=date(2027, 1, 1), number=1
    )
    return replace(found, findings=tuple(f for f in found.findings if f is not category), excused=((category, entry),))


def shown(found: DiffResult, output: Output) -> str:
    stream = io.StringIO()
    show(Console(file=stream, width=120), found, output)
    return stream.getvalue()


@pytest.mark.parametrize("output", Output)
def test_every_form_carries_both_headlines_and_every_finding(drifted: DiffResult, output: Output) -> None:
    text = shown(drifted, output)
    plain = text.replace("\\", "")
    assert "proves the harness, never AWS" in plain
    assert "Target: other" in plain
    assert "listed as both" in plain
    for finding in drifted.findings:
        assert finding.id in text


def test_the_text_ends_with_the_numbers(drifted: DiffResult) -> None:
    last = shown(drifted, Output.TEXT).strip().splitlines()[-1]
    assert last.startswith("3 findings, 1 known deviations, ")
    assert "not comparable" in last


def test_a_clean_comparison_says_so_in_every_form(clean: Snapshot) -> None:
    same = result(clean, clean)
    assert "0 findings" in shown(same, Output.TEXT)
    assert "0 findings" in as_markdown(same)
    assert json.loads(as_json(same))["exit_code"] == 0
    assert 'failures="0"' in as_junit(same)


def test_the_json_is_complete(drifted: DiffResult) -> None:
    document = json.loads(as_json(drifted))
    assert document["exit_code"] == 1
    assert len(document["headlines"]) == 2
    wide = next(f for f in document["findings"] if f["kind"] == "new-field")
    assert len(wide["cells"]) > 20
    assert {e["side"] for e in wide["evidence"]} == {"A", "B"}
    assert document["known"][0]["reason"] == "listed as both"
    assert document["known"][0]["expires"] == "2027-01-01"


def test_junit_has_a_case_for_each_cell_and_each_finding_about_a_channel(drifted: DiffResult) -> None:
    suite = ElementTree.fromstring(as_junit(drifted)).find("testsuite")
    assert suite is not None
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert len(cases) == len(drifted.a.cells) + 2
    assert [cases["GetBucketTagging[ok-cloudtrail]"][0].tag, cases["HeadBucket[ok-cloudtrail]"][0].tag] == [
        "failure",
        "skipped",
    ]
    assert cases["new-field[extra_28-server-access]"].find("failure") is not None
    assert suite.get("failures") == "3"
    assert suite.get("tests") == str(len(cases))
    assert [p.get("name") for p in suite.iter("property")] == ["A", "B"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert_in_every_form(clean: Snapshot, text: str) -> None:
    cell = next(cell for cell in sorted(clean.cells) if clean.cells[cell].seen)
    shot = replace(clean.cells[cell], names=(text,), wrong={text: f"seen {text}"})
    hostile = result(clean, replace(clean, cells={**clean.cells, cell: shot}, source=text))
    assert len(hostile.findings) == 2
    terminal = shown(hostile, Output.TEXT)
    assert not any(character in terminal for character in "\x1b\x00\x07\x9b\u202e\u2066\r")
    assert "[/nope]" in terminal or "[/nope]" not in text
    assert not any(line.startswith(("b", "c")) for line in terminal.splitlines())
    markdown = as_markdown(hostile)
    assert "<script>" not in markdown
    assert not any(line.count("|") - line.count("\\|") not in (0, 5) for line in markdown.splitlines())
    assert as_json(hostile).isascii()
    junit = as_junit(hostile)
    assert "<script>" not in junit
    assert len(list(ElementTree.fromstring(junit).iter("failure"))) == 1


def test_the_action_and_the_workflow_are_yaml_and_name_real_options() -> None:
    folder = ROOT / "deploy" / "github-action"
    action = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
    assert action["runs"]["using"] == "composite"
    assert all("shell" in step for step in action["runs"]["steps"] if "run" in step)
    weekly = yaml.safe_load((folder / "weekly.yml").read_text("utf-8"))
    # YAML 1.1 reads the key `on` as a truth value.
    assert weekly[True]["schedule"][0]["cron"]
    (job,) = weekly["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write", "issues": "write"}
    ours = next(step for step in job["steps"] if "/deploy/github-action@" in step.get("uses", ""))
    assert set(ours["with"]) <= set(action["inputs"])
    used = {name for step in job["steps"] for name in action["outputs"] if f"outputs.{name}" in json.dumps(step)}
    assert used


@pytest.mark.parametrize(("code", "drift"), [(0, "false"), (1, "true"), (4, None), (5, None)])
def test_the_action_takes_only_codes_0_and_1_for_a_result(tmp_path: Path, code: int, drift: str | None) -> None:
    action = yaml.safe_load((ROOT / "deploy" / "github-action" / "action.yml").read_text("utf-8"))
    step = next(step for step in action["runs"]["steps"] if step.get("id") == "diff")
    program = tmp_path / "s3logjam" / "bin" / "s3logjam"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    program.chmod(0o755)
    told = tmp_path / "output"
    environment = {
        "PATH": os.environ["PATH"],
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(told),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "BASELINE": "base line.json",
        "KNOWN": "",
        "RESULTS": "results",
    }
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(bash, env=environment, capture_output=True, text=True, check=False)
    if drift is None:
        assert done.returncode == code
        assert not told.exists()
    else:
        assert done.returncode == 0, done.stderr
        assert f"drift={drift}" in told.read_text()
        assert "diff base line.json results/latest --output markdown" in (tmp_path / "summary").read_text()


def test_no_expression_of_the_action_stands_in_a_script() -> None:
    """What a title or an input says would otherwise be run by the shell."""
    for name in ("action.yml", "weekly.yml"):
        document = yaml.safe_load((ROOT / "deploy" / "github-action" / name).read_text("utf-8"))
        jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
        for step in (step for job in jobs for step in job["steps"]):
            assert "${{" not in step.get("run", ""), step.get("name")
