"""executions.csv has a row for every execution; the terminal shows them where there is no matrix."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from offline import FACTS, HOSTILE, a_result
from rich.console import Console

from harness.analyse.executions import Ending, Execution
from harness.errors import UsageError
from harness.model import CellKey
from harness.report import Result, executions_csv, require_channels, without_channels, write_all
from harness.report.terminal import show_matrix, show_summary

NO_LOGS = {"channels": [], "no_logs": "it delivers none", "region": "eu-central-1"}


def an_execution(operation: str = "PutObject", ending: Ending = Ending.AS_MEANT, **changes: Any) -> Execution:
    values: dict[str, Any] = {"cell": CellKey(operation=operation), "repeat": 0}
    return Execution(ending=ending, **(values | changes))


def a_run(folder: Path, *found: Execution) -> Result:
    return a_result(folder, facts=FACTS | NO_LOGS, executions=found)


def written(folder: Path, *found: Execution) -> list[dict[str, str]]:
    (path,) = executions_csv.write(a_run(folder, *found))
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_execution_becomes_a_row_with_its_target(tmp_path: Path) -> None:
    failed = an_execution(
        repeat=3, ending=Ending.NOT_AS_MEANT, statuses=("503 SlowDown", "200"), reason="short", failure="in full"
    )
    (row,) = written(tmp_path, failed)
    assert row == {
        "operation": "PutObject",
        "variant": "ok",
        "region": "eu-central-1",
        "repeat": "3",
        "ending": "not as meant",
        "statuses": "503 SlowDown; 200",
        "reason": "short",
        "failure": "in full",
        "target": "embedded",
        "target_note": "proves the harness, never AWS",
        "clock_factor": "600.0",
    }


def test_a_row_that_is_not_run_has_no_repetition(tmp_path: Path) -> None:
    (row,) = written(tmp_path, an_execution(ending=Ending.NOT_RUN, repeat=None, reason="retired"))
    assert (row["repeat"], row["ending"], row["reason"]) == ("", "not run", "retired")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_server_answered_is_inert(text: str, tmp_path: Path) -> None:
    (row,) = written(tmp_path, an_execution(failure=text, reason=text, statuses=(text,)))
    for name in ("failure", "reason", "statuses"):
        assert not row[name].startswith(("=", "+", "-", "@", "\t"))
        assert row[name].isprintable()


def shown(result: Result, *, summary: bool = False) -> str:
    stream = StringIO()
    console = Console(file=stream, width=160, color_system=None)
    (show_summary if summary else show_matrix)(console, result)
    return stream.getvalue()


def test_the_terminal_counts_endings_and_groups_the_others_by_reason() -> None:
    rows = [an_execution(f"Op{n}", Ending.NOT_AS_MEANT, reason="answered 501") for n in range(6)]
    rows += [an_execution("PutObject"), an_execution("GetObject", Ending.NOT_RUN, repeat=None, reason="retired")]
    text = shown(a_run(Path("results/run"), *rows))
    assert "There is no coverage matrix: it delivers none." in text
    assert "! not as meant (answered 501), 6 rows: Op0[ok], Op1[ok], Op2[ok], Op3[ok] and 2 more" in text
    assert "– not run (retired), 1 row: GetObject[ok]" in text
    assert "1 of 7 executions ended as their scenarios say" in text
    assert "never AWS" in text
    assert text == shown(a_run(Path("results/run"), *rows), summary=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_terminal_obeys_no_answer_of_a_server(text: str) -> None:
    shown_text = shown(a_run(Path("results/run"), an_execution(ending=Ending.NOT_AS_MEANT, reason=text)))
    assert all(line.isprintable() for line in shown_text.split("\n"))


def test_every_report_of_a_run_without_channels_says_that_there_are_none(tmp_path: Path) -> None:
    paths = write_all(a_run(tmp_path, an_execution()))
    assert tmp_path / "executions.csv" in paths
    for name in ("matrix.md", "delay.md", "logjam-tables.md", "report.html"):
        assert "it delivers none" in (tmp_path / name).read_text("utf-8")
    assert len((tmp_path / "matrix.csv").read_text("utf-8").splitlines()) == 1


def test_why_there_is_no_channel_is_what_the_target_says_else_that_none_was_wanted() -> None:
    assert without_channels({"channels": ["cloudtrail"], "no_logs": ""}) == ""
    assert without_channels({"channels": [], "no_logs": "it delivers none"}) == "it delivers none"
    assert without_channels({"channels": [], "no_logs": ""}) == "the run was made without any channel"


def test_what_needs_a_matrix_refuses_a_run_without_channels_and_says_where_to_look(tmp_path: Path) -> None:
    require_channels({"channels": ["cloudtrail"]}, tmp_path)
    with pytest.raises(UsageError, match=r"no coverage matrix \(it delivers none\).*executions\.csv"):
        require_channels(NO_LOGS, tmp_path)
