"""Where a run stands, from its journal alone: as text for people and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from offline import FACTS, HOSTILE, T0, a_call, a_delivery, a_record

from harness.errors import JournalError, UsageError
from harness.journal import FILE_NAME, Journal
from harness.model import CLOUDTRAIL, SERVER_ACCESS, CellKey, Parsed, Role
from harness.selection import Options
from harness.status import as_json, as_text, status_of

CELL = CellKey(operation="PutObject")


class Left:
    """A run that another process has left."""

    def __init__(self, folder: Path, **facts: Any) -> None:
        self.folder = folder
        with Journal(folder / FILE_NAME, create=True) as journal:
            known = {
                **FACTS,
                "clock_factor": 1.0,
                "target": "aws",
                "note": "",
                "channels": [SERVER_ACCESS, CLOUDTRAIL],
                "options": Options(deadline=timedelta(hours=6)).as_fact(),
                "stage": "collect",
                "executed_at": (T0 + timedelta(minutes=10)).isoformat(),
            }
            for name, value in (known | facts).items():
                journal.note(name, value)
            journal.plan({CELL: (3, ""), CellKey(operation="GetObjectTorrent"): (0, "retired")})
            for number in (1, 2):
                expected = {SERVER_ACCESS: 1, CLOUDTRAIL: 1}
                journal.intend(a_call(number, expected=expected))
                journal.execution(CELL, number, "done", None, T0)
            journal.intend(a_call(3, role=Role.POLL, cell=None))
            journal.execution(CELL, 3, "failed", "answered with 500", T0)
            record = a_record(a_call(1), CLOUDTRAIL)
            journal.deliver(a_delivery("1", channel=CLOUDTRAIL), Parsed(records=(record,)))
            journal.resource("bucket", "one", "created", T0)
            journal.resource("bucket", "two", "intended", T0)
            journal.resource("trail", "gone", "deleted", T0)

    def text(self) -> str:
        return as_text(status_of(self.folder))

    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(as_json(status_of(self.folder)))
        return told


def test_a_run_that_waits_says_for_what_until_when_and_what_it_has_made(tmp_path: Path) -> None:
    text = Left(tmp_path).text()
    for line in (
        "Stage: collect",
        "Executed: 3 of 3, 1 not as meant",
        "Calls: 2 subject, 1 poll",
        "Records in server-access: 0 of 2",
        "Records in cloudtrail: 1 of 2",
        "Waiting for server-access: records of 2 calls; cloudtrail: records of 1 calls",
        "Waits until 2026-01-01 06:10:00 UTC at most",
        "In place: 2 buckets",
        f"`s3logjam resume {tmp_path}` goes on; `s3logjam teardown {tmp_path}` deletes it.",
    ):
        assert line in text.splitlines()


def test_json_says_the_same_with_the_provenance(tmp_path: Path) -> None:
    told = Left(tmp_path).json()
    assert (told["stage"], told["resumable"], told["planned"], told["executed"], told["failed"]) == (
        "collect",
        True,
        3,
        3,
        1,
    )
    assert told["arrived"] == {SERVER_ACCESS: 0, CLOUDTRAIL: 1}
    assert told["expected"] == {SERVER_ACCESS: 2, CLOUDTRAIL: 2}
    assert told["resources"] == [["bucket", "one"], ["bucket", "two"]]
    assert told["deadline"] == "2026-01-01T06:10:00+00:00"
    assert told["target"] == "aws"
    assert told["folder"] == str(tmp_path)


def test_times_of_a_clock_that_runs_fast_say_so(tmp_path: Path) -> None:
    text = Left(tmp_path, clock_factor=600.0, target="embedded", note="never AWS").text()
    assert "UTC on the run's clock at most" in text
    assert "never AWS" in text.splitlines()[0]
    assert f"`s3logjam resume {tmp_path}` goes on if its embedded server is still there" in text


@pytest.mark.parametrize("stage", ["finished", "torn down"])
def test_a_run_that_is_over_waits_for_nothing_and_cannot_be_resumed(stage: str, tmp_path: Path) -> None:
    left = Left(tmp_path, stage=stage, collected_at="…", **{f"{stage.replace(' ', '_')}_at": T0.isoformat()})
    text = left.text()
    assert "Never came: server-access: records of 2 calls" in text
    assert not any(text.count(word) for word in ("Waiting for", "Waits until", "May be done", "s3logjam resume"))
    assert f"`s3logjam teardown {tmp_path}` deletes it." in text
    assert left.json()["resumable"] is False
    with Journal(tmp_path / FILE_NAME) as journal:
        for kind, name, *_ in journal.resources():
            journal.resource(kind, name, "deleted", T0)
    assert left.text().endswith("In place: nothing, all was deleted")


def test_an_interrupted_run_says_in_which_stage(tmp_path: Path) -> None:
    assert "Stage: collect (interrupted in collect)" in Left(tmp_path, interrupted="collect").text()


@pytest.mark.parametrize(
    ("facts", "stage"),
    [
        ({"stage": "finished", "finished_at": "…", "interrupted": "collect"}, "interrupted in collect"),
        ({"stage": "torn down", "torn_down_at": "…"}, "torn down"),
    ],
)
def test_what_nobody_waited_for_any_longer_has_not_failed_to_come(
    facts: dict[str, str], stage: str, tmp_path: Path
) -> None:
    left = Left(tmp_path, **facts)
    lines = left.text().splitlines()
    assert f"Stage: {stage}" in lines
    assert "No longer waited for: server-access: records of 2 calls; cloudtrail: records of 1 calls" in lines
    assert (left.json()["stage"], left.json()["resumable"]) == (stage, False)


def test_a_run_that_is_only_interrupted_while_it_is_deleted_is_finished(tmp_path: Path) -> None:
    text = Left(tmp_path, stage="finished", finished_at="…", collected_at="…", interrupted="teardown").text()
    assert "Stage: finished (interrupted in teardown)" in text
    assert "Never came" in text


def test_a_run_that_was_killed_at_once_has_no_status_and_one_that_has_just_begun_has(tmp_path: Path) -> None:
    with Journal(tmp_path / FILE_NAME, create=True) as journal:
        journal.note("run_id", "0badcafe")
    with pytest.raises(JournalError, match="holds no run"):
        status_of(tmp_path)
    with Journal(tmp_path / FILE_NAME) as journal:
        journal.note("target", "aws")
    text = as_text(status_of(tmp_path))
    assert "Stage: plan" in text
    assert "Calls: none" in text
    assert json.loads(as_json(status_of(tmp_path)))["deadline"] is None


def test_a_status_is_read_while_the_run_goes_on(tmp_path: Path) -> None:
    Left(tmp_path)
    with Journal(tmp_path / FILE_NAME) as running, running._writing() as db:
        db.execute("UPDATE calls SET status = 200")
        assert status_of(tmp_path).executed == 3


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_reach_no_terminal(hostile: str, tmp_path: Path) -> None:
    left = Left(tmp_path, stage=hostile)
    assert not set(left.text()) & {"\x1b", "\x9b", "\x07", "\u202e", "\r"}


def test_no_run_at_a_path_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        status_of(tmp_path)


def test_a_call_that_was_retried_is_one_that_waits_once(tmp_path: Path) -> None:
    left = Left(tmp_path)
    with Journal(tmp_path / FILE_NAME) as journal:
        journal.intend(replace(a_call(9), status=None, received_at=None))
    assert left.json()["expected"] == {SERVER_ACCESS: 2, CLOUDTRAIL: 2}
