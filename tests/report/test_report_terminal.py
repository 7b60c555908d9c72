"""The terminal shows progress and the matrix, and obeys no name that it prints."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from offline import FACTS, HOSTILE, T0, a_call, a_cell, a_result, seconds
from rich.console import Console

from harness.events import (
    CollectProgress,
    Event,
    GateProgress,
    ResourceCreated,
    RunDetached,
    RunFinished,
    RunInterrupted,
    RunStarted,
    ScenarioFinished,
    StageStarted,
    Warned,
)
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Cell, CellKey, Delay, Verdict
from harness.report import terminal
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


SEVEN = (
    "server-access",
    "server-access-cloudwatch",
    "cloudtrail",
    "cloudtrail-cloudwatch",
    "cloudtrail-lookup",
    "eventbridge",
    "s3-notification",
)
A_DELAY = Delay(n=1, min_seconds=60, median_seconds=3480, p90_seconds=60, max_seconds=8000)


def in_seven(**changes: Any) -> list[Cell]:
    """Cells of the operations with the shortest and the longest name, in seven channels."""
    return [
        a_cell(operation, channel=channel, names={"REST.PUT.OBJECT": 1}, delay=A_DELAY, **changes)
        for operation in ("GetObject", "ListBucketIntelligentTieringConfigurations")
        for channel in SEVEN
    ]


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


def test_the_gate_tells_what_it_waits_for_and_how_long_at_most() -> None:
    waiting = GateProgress(
        waiting=("server-access", "cloudtrail"),
        silent=("eventbridge",),
        waited_seconds=1800,
        limit_seconds=21_600,
        buckets={"server-access": 52},
    )
    told_so = "waiting for server-access in 52 buckets, cloudtrail since 30 m of at most 6.0 h; silent: eventbridge"
    assert told_so in told(StageStarted(stage="gate"), waiting)


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


def test_a_matrix_of_seven_channels_fits_into_100_columns_with_a_sign_and_a_delay_each() -> None:
    stream = StringIO()
    facts = {**FACTS, "without_arrival_stamps": SEVEN}  # the widest delays
    show_matrix(Console(file=stream, width=100), a_result(Path("r"), in_seven(), facts=facts))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines[3 : lines.index("Summary")])) <= 100
    (row,) = [line for line in lines if line.split()[:1] == ["ListBucketIntelligentTieringConfigurations"]]
    assert row.count("✓ ≤58 m") == 7
    assert "REST.PUT.OBJECT" not in row


def test_the_heading_names_every_channel_whole() -> None:
    lines = shown(*in_seven(), width=100).splitlines()
    heading = lines[3 : next(n for n, line in enumerate(lines) if "──" in line)]
    words = " ".join(heading).split()
    assert {"server", "access", "cloud-", "watch", "lookup", "event-", "bridge", "s3", "cation"} <= set(words)


def test_names_are_shown_where_seven_channels_leave_room_for_them() -> None:
    (row,) = [line for line in shown(*in_seven(), width=260).splitlines() if line.split()[:1] == ["GetObject"]]
    assert row.count("REST.PUT.OBJECT") == 7


def test_variants_of_seven_channels_fit_too() -> None:
    cells = [*in_seven(), *in_seven(variant="denied", verdict=Verdict.NOT_OBSERVED, reason="0 of 1")]
    lines = shown(*cells, width=100).splitlines()
    (row,) = [line for line in lines if line.split()[:2] == ["denied", "2"]]
    assert row.count("✗2") == 7
    assert len(row) <= 100


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_table_below_the_matrix_breaks_a_word(width: int) -> None:
    variant = "copy-precondition-failed"
    cells = [*in_seven(), *in_seven(variant=variant, verdict=Verdict.NOT_OBSERVED, reason="0 of 1")]
    lines = shown(*cells, width=width).splitlines()
    tables = lines[lines.index("Variants (every row stands in matrix.md)") + 1 :]
    assert max(map(len, tables[: tables.index("Summary")])) <= width
    words = {word for line in tables for word in line.split()}
    assert {variant, "server", "access", "cloud-", "watch", "lookup"} <= words
    assert {"logged", "partly", "observed", "pending", "records", "median", "max", "files", "rejects"} <= words
    assert [line.split()[1:] for line in tables if line.split()[:1] == [variant]] in (
        [["2", *["✗2"] * 7]],
        [["2", *["✗2"] * n] for n in (4, 3)],
    )


def test_a_narrow_summary_has_a_column_per_channel() -> None:
    lines = shown(*in_seven(), width=80, summary=True).splitlines()
    (row,) = [line for line in lines if line.split()[:1] == ["logged"]]
    assert row.split()[1:] == ["2"] * 7
    assert max(map(len, lines[3 : lines.index(row)])) <= 80


def test_the_heading_of_a_column_of_names_is_broken_at_a_hyphen() -> None:
    cells = [a_cell(channel=channel, names={"REST.PUT.OBJECT": 1}) for channel in SEVEN[:3]]
    words = " ".join(shown(*cells, width=90).splitlines()[3:6]).split()
    assert {"server-access-", "cloudwatch"} <= set(words)


def names_in(shown: str) -> bool:
    return {"REST.POST.METADATA_CONFIGURATION", "ListBucketIntelligentTieringConfigurations"} <= set(shown.split())


def test_for_programs_every_name_is_whole_whatever_its_length(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [
        a_cell("ListBucketIntelligentTieringConfigurations", channel=c, names={"REST.POST.METADATA_CONFIGURATION": 1})
        for c in SEVEN
    ]
    monkeypatch.delenv("COLUMNS", raising=False)
    show_matrix(terminal.console(), a_result(Path("results/run"), cells))
    output = capsys.readouterr().out
    assert names_in(output)
    assert max(map(len, output.splitlines())) < 500  # as wide as the names are, no more
    monkeypatch.setenv("COLUMNS", "90")
    show_matrix(terminal.console(), a_result(Path("results/run"), cells))
    assert max(map(len, capsys.readouterr().out.splitlines()[3:9])) <= 90


def test_the_summary_says_where_delay_and_loss_stand() -> None:
    assert "results/run/delay.md" in shown(a_cell("A"), summary=True)


@pytest.mark.parametrize("width", [30, 60, 80, 100])
def test_what_goes_on_is_never_wider_than_the_terminal(width: int) -> None:
    event = CollectProgress(
        arrived=dict.fromkeys(SEVEN, 1234),
        expected=dict.fromkeys(SEVEN, 5678),
        rejects={},
        now=T0,
        deadline=T0 + seconds(7200),
        waiting_for="; ".join(f"{channel}: records of 4,444 calls" for channel in SEVEN),
        done_by=T0 + seconds(3600),
        delays=dict.fromkeys(SEVEN, A_DELAY),
        calls_made=12_345,
    )
    text = told(STARTED, StageStarted(stage="collect"), event, live=True, width=width)
    lines = ANSI.sub("", text).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= width
    assert "deadline in 2.0 h (12 s here)" in " ".join(ANSI.sub(" ", text).split())


def test_a_live_terminal_tells_records_delay_so_far_and_when_it_may_be_done() -> None:
    event = CollectProgress(
        arrived={"server-access": 3},
        expected={"server-access": 5},
        rejects={"server-access": 1},
        now=T0,
        deadline=T0 + seconds(7200),
        waiting_for="server-access: records of 2 calls",
        done_by=T0 + seconds(3600),
        delays={"server-access": A_DELAY},
        calls_made=1234,
    )
    text = ANSI.sub("", told(STARTED, StageStarted(stage="collect"), event, live=True, width=100))
    (row,) = [line for line in text.splitlines() if line.startswith("server-access ")][-1:]
    assert row.split() == ["server-access", "3", "of", "5", "2", "58", "m", "2.2", "h", "1"]
    assert "waiting for server-access: records of 2 calls" in text
    assert "1,234 calls made · done in about 60 m (6 s here) · deadline in 2.0 h (12 s here)" in text


def test_plain_lines_tell_the_delay_so_far_and_how_far_the_execution_is() -> None:
    cell = CellKey(operation="PutObject")
    done = [ScenarioFinished(cell=cell, repeat=n, calls_made=3 * n + 3) for n in range(100)]
    text = told(STARTED, StageStarted(stage="execute"), *done)
    assert "100 of 2 executed, 300 calls made" in text
    event = replace(progress(3), delays={"server-access": A_DELAY})
    assert "server-access 3/5 (delay so far 58 m); deadline in 2.0 h" in told(StageStarted(stage="collect"), event)


@pytest.mark.parametrize(("factor", "when"), [(600, "UTC on the run's clock."), (1, "UTC.")])
def test_a_detached_run_says_on_which_clock_all_may_be_there(factor: float, when: str) -> None:
    left = RunDetached(folder=Path("results/run"), done_by=T0)
    assert f"They may all be there by 2026-01-01 00:00:00 {when}" in told(replace(STARTED, clock_factor=factor), left)


def test_where_all_was_executed_before_there_is_nothing_left_to_execute() -> None:
    text = told(replace(STARTED, planned=0))
    assert "nothing left to execute" in text
    assert "0 scenario" not in text
