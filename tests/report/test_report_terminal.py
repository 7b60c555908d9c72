"""The terminal shows progress and the matrix, and obeys no name that it prints."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from offline import HOSTILE, T0, a_call, a_cell, a_result, seconds
from rich.console import Console

from harness.events import (
    CollectProgress,
    Event,
    ResourceCreated,
    RunFinished,
    RunInterrupted,
    RunStarted,
    ScenarioFinished,
    StageStarted,
    Warned,
)
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Cell, CellKey, Delay, Verdict
from harness.report.terminal import Terminal, show_matrix, show_summary

UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
STARTED = RunStarted(
    run_id="0badcafe",
    target="embedded",
    note="proves the harness, never AWS",
    clock_factor=600,
    planned=2,
    channels=("server-access", "cloudtrail"),
    folder=Path("results/run"),
)


def told(*events: Event, live: bool = False, width: int = 200) -> str:
    stream = StringIO()
    console = Console(file=stream, width=width, force_terminal=live, color_system=None, legacy_windows=False)
    with Terminal(console) as terminal:
        for event in events:
            terminal(event)
    return stream.getvalue()


def shown(*cells: Cell, width: int = 160, summary: bool = False, folder: Path = Path("results/run")) -> str:
    stream = StringIO()
    console = Console(file=stream, width=width, color_system=None)
    calls = [a_call(1)]
    (show_summary if summary else show_matrix)(console, a_result(folder, cells, calls=calls))
    return stream.getvalue()


def progress(arrived: int, waiting_for: str = "") -> CollectProgress:
    return CollectProgress(
        arrived={"server-access": arrived},
        expected={"server-access": 5},
        rejects={},
        now=T0,
        deadline=T0 + seconds(7200),
        waiting_for=waiting_for,
    )


def test_a_run_begins_with_the_target_and_what_it_proves() -> None:
    text = told(STARTED)
    assert "Target: embedded (proves the harness, never AWS) · clock x600" in text.splitlines()[0]
    assert "2 scenario executions" in text
    assert "results/run" in text


def test_without_a_terminal_it_is_plain_lines() -> None:
    text = told(STARTED, StageStarted(stage="collect"), progress(3, "server-access: records of 2 calls"))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "server-access 3/5; waiting for server-access: records of 2 calls; deadline in 2.0 h" in text


def test_stages_failures_and_warnings_are_told() -> None:
    cell = CellKey(operation="PutObject", variant="denied")
    text = told(
        StageStarted(stage="provision"),
        ResourceCreated(kind="bucket", name="b"),
        StageStarted(stage="execute"),
        ScenarioFinished(cell=cell, repeat=0, failure="no luck"),
        Warned(message="polling fake failed and goes on"),
        StageStarted(stage="analyse"),
        RunFinished(),
    )
    assert "Executing scenarios" in text
    assert "PutObject[denied]: no luck" in text
    assert "polling fake failed and goes on" in text


def test_an_interruption_says_that_nothing_is_lost() -> None:
    assert "Interrupted in stage collect" in told(RunInterrupted(stage="collect", folder=Path("results/x")))


def test_many_warnings_of_a_kind_do_not_flood_the_screen() -> None:
    text = told(*(Warned(message=f"warning {n}") for n in range(100)))
    assert len(text.splitlines()) < 15
    assert "the summary counts them" in text


@pytest.mark.parametrize("live", [False, True], ids=["plain", "live"])
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_event_makes_the_terminal_do_anything(text: str, live: bool) -> None:
    cell = CellKey(operation=text, variant=text)
    output = told(
        StageStarted(stage="execute"),
        ResourceCreated(kind="bucket", name=text),
        ScenarioFinished(cell=cell, repeat=0, failure=text),
        Warned(message=text),
        live=live,
    )
    without_ours = ANSI.sub("", output).replace("\r", "")
    assert not UNSEEN.search(without_ours)
    assert "\x1b[31mred" not in output


def test_a_live_terminal_shows_the_variant_that_is_being_executed() -> None:
    cell = CellKey(operation="PutObject", variant="denied")
    output = told(STARTED, StageStarted(stage="execute"), ScenarioFinished(cell=cell, repeat=0), live=True)
    assert "PutObject[denied]" in output


def test_the_matrix_has_a_row_for_every_operation_and_a_sign_for_every_verdict() -> None:
    delay = Delay(n=1, min_seconds=60, median_seconds=3480, p90_seconds=60, max_seconds=60)
    text = shown(
        a_cell("GetObject", names={"REST.GET.OBJECT": 1}, delay=delay),
        a_cell("GetObject", channel=CLOUDTRAIL, names={"GetObject": 1}),
        a_cell("PutObject", verdict=Verdict.PARTLY, reason="1 of 2 calls logged"),
        a_cell("PutObject", channel=CLOUDTRAIL, verdict=Verdict.NOT_OBSERVED, reason="0 of 1 within 1:00:00"),
    )
    (row,) = [line for line in text.splitlines() if line.split()[:1] == ["GetObject"]]
    assert "✓ REST.GET.OBJECT" in row
    assert "58 m" in row
    assert "✓ =" in row
    assert "1 of 2 calls logged" in text
    assert "0 of 1 within 1:00:00" in text
    assert "proves the harness, never AWS" in text


def test_variants_have_a_column_where_there_are_any() -> None:
    assert "variant" not in shown(a_cell("GetObject"))
    text = shown(a_cell("GetObject"), a_cell("GetObject", variant="denied"))
    assert "variant" in text
    assert "denied" in text


def test_the_summary_counts_verdicts_by_channel() -> None:
    text = shown(a_cell("A"), a_cell("B"), a_cell("C", verdict=Verdict.NOT_RUN, reason="retired"), summary=True)
    (row,) = [line for line in text.splitlines() if line.split()[:1] == [SERVER_ACCESS]]
    assert row.split()[1:6] == ["2", "0", "0", "0", "1"]
    assert "retired" in text
    assert "2 of 3 rows executed with 1 calls under test" in text


@pytest.mark.parametrize("summary", [False, True], ids=["matrix", "summary"])
@pytest.mark.parametrize("width", [20, 80, 200])
def test_no_name_makes_the_matrix_do_anything(width: int, summary: bool) -> None:
    cells = [
        a_cell(text, variant=text, channel=channel, names={text: 1}, verdict=Verdict.PARTLY, reason=text)
        for text in HOSTILE
        for channel in (SERVER_ACCESS, CLOUDTRAIL)
    ]
    output = shown(*cells, width=width, summary=summary, folder=Path(f"results/{HOSTILE[6]}{HOSTILE[14]}"))
    assert not UNSEEN.search(output)


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    text = shown(a_cell("PutObject", names={"[red]x[/red] [/nope]": 1}), width=200)
    assert "[red]x[/red] [/nope]" in text
