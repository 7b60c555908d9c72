"""The terminal: progress while it runs, the matrix and its summary afterwards; plain lines when it is no terminal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import catalogue
from harness.events import (
    ChannelSkipped,
    Checked,
    CollectProgress,
    Event,
    GateProgress,
    ResourceCreated,
    RunDetached,
    RunInterrupted,
    RunStarted,
    ScenarioFinished,
    StageStarted,
    Warned,
)
from harness.model import Cell, Role, Verdict
from harness.report import Result, clock_note, headline, moment
from harness.report.live import LiveView, is_ahead
from harness.report.matrix_md import span
from harness.report.safe import visible
from harness.report.summary import ChannelSummary, by_channel, executed_rows
from harness.report.terminal_executions import show_executions
from harness.report.terminal_matrix import LOOK, Rows, by_channels, compact, has_room_for_names, new_table, with_names

_STAGES = {
    "preflight": "Checking account and permissions",
    "provision": "Creating buckets and trail",
    "gate": "Waiting for every channel to show a control record",
    "execute": "Executing scenarios",
    "collect": "Waiting for records",
    "teardown": "Deleting what was created",
}
_PLAIN_EVERY = 20
_PLAIN_EXECUTIONS = 100
_MAX_WARNINGS = 10
_MAX_NAMED = 4
_UNFOLDED = 10_000
"""Columns for programs, which look for whole names."""
_MANY_CHANNELS = 4


class Terminal:
    """Consumes a run's events; use it as a context manager around the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        self._live = LiveView(console, shown=self._is_live)
        self._planned = 0
        self._clock = ""
        self._counted: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self._planned = event.planned
                factor = event.clock_factor
                self._live.clock(factor)
                self._clock = clock_note(factor)
                self._line(headline({"target": event.target, "note": event.note, "clock_factor": factor}), "bold")
                if factor != 1:
                    self._line(f"One second here is {span(factor)} on the run's clock; all delays are on that clock.")
                channels = f"channels {', '.join(event.channels)}" if event.channels else "no channels"
                todo = f"{event.planned} scenario executions" if event.planned else "nothing left to execute"
                self._line(f"{todo}, {channels} → {event.folder}")
            case StageStarted(stage=stage) if stage in _STAGES:
                self._stage(stage)
            case ResourceCreated():
                self._live.step(f"{event.kind} {event.name}")
            case ScenarioFinished():
                self._executed(event)
                if event.failure:
                    self._warn("failed", f"{event.cell}: {event.failure}")
            case CollectProgress():
                self._collected(event)
            case Warned() if event.message.startswith(("not deleted", "kept")):
                self._line(f"  ! {event.message}", "yellow")
            case Warned():
                self._warn("warned", event.message)
            case GateProgress():
                self._gated(event)
            case Checked():
                self._line(f"  {'!' if event.trouble else '·'} {event.name}: {event.answer}", event.trouble * "yellow")
            case _:
                self._seldom(event)

    def _seldom(self, event: Event) -> None:
        """Show a channel that is left out, or how a run ended, if it is told so."""
        match event:
            case ChannelSkipped():
                self._line(f"  ! {event.channel} is left out: {event.reason}", "yellow")
            case RunInterrupted():
                self._line(f"Interrupted in stage {event.stage}; what was journaled is kept and reported.", "yellow")
                if event.resumable:
                    self._left(event.folder)
            case RunDetached():
                by = f" They may all be there by {moment(event.done_by)}{self._clock}." if event.done_by else ""
                self._line(f"Every call was made; the records are still to come.{by}", "bold")
                self._left(event.folder)

    def _stage(self, stage: str) -> None:
        self._live.stage(_STAGES[stage], self._planned if stage == "execute" else None)
        if not self._is_live:
            self._line(f"{_STAGES[stage]} …")

    def _executed(self, event: ScenarioFinished) -> None:
        self._live.step(str(event.cell), event.calls_made)
        self._counted["executed"] += 1
        if not self._is_live and self._counted["executed"] % _PLAIN_EXECUTIONS == 0:
            self._line(f"  {self._counted['executed']} of {self._planned} executed, {event.calls_made} calls made")

    def _left(self, folder: Path) -> None:
        """Say what to do about a run that is left in the middle."""
        self._line(f"  s3logjam status {folder}     where it stands")
        self._line(f"  s3logjam resume {folder}     goes on, and deletes at the end what the run has created")
        self._line(f"  s3logjam teardown {folder}   deletes that at once")

    def _gated(self, event: GateProgress) -> None:
        every = [f"{name} in {n} buckets" if (n := event.buckets.get(name)) else name for name in event.waiting]
        names, silent = ", ".join(every) or "none", f"; silent: {', '.join(event.silent)}" * bool(event.silent)
        told = f"waiting for {names} since {span(event.waited_seconds)} of at most {span(event.limit_seconds)}{silent}"
        self._live.step(told)
        self._counted["gate"] += 1
        if not self._is_live and (self._counted["gate"] % _PLAIN_EVERY == 1 or not event.waiting):
            self._line(f"  {told}")

    def _collected(self, event: CollectProgress) -> None:
        self._live.collected(event)
        self._counted["polls"] += 1
        if self._is_live or self._counted["polls"] % _PLAIN_EVERY != 1:
            return
        each = ", ".join(
            f"{name} {n}/{event.expected[name]}{_so_far(event, name)}" for name, n in event.arrived.items()
        )
        waiting = f"; waiting for {event.waiting_for}" if event.waiting_for else ""
        left = max(0.0, (event.deadline - event.now).total_seconds())
        self._line(f"  {event.now:%H:%M:%S}  {each}{waiting}; {_expected(event)}deadline in {span(left)}")

    def _warn(self, kind: str, message: str) -> None:
        self._counted[kind] += 1
        if self._counted[kind] <= _MAX_WARNINGS:
            self._line(f"  ! {message}", "yellow")
        elif self._counted[kind] == _MAX_WARNINGS + 1:
            self._line("  ! further ones of this kind are not shown; the summary counts them", "yellow")

    def _line(self, text: str, style: str = "") -> None:
        _line(self._console, text, style)


def _so_far(event: CollectProgress, channel: str) -> str:
    delay = event.delays.get(channel)
    return f" (delay so far {span(delay.median_seconds)})" if delay else ""


def _expected(event: CollectProgress) -> str:
    """Say when it may be done; nothing where that has passed or is not known."""
    if event.done_by is None or not is_ahead(event):
        return ""
    return f"done in about {span((event.done_by - event.now).total_seconds())}, "


def console(*, stderr: bool = False) -> Console:
    """Return a console for reports: as wide as the terminal; where there is none as ``COLUMNS``, or as any name needs.

    Args:
        stderr: Leave standard output to a document for programs.
    """
    probe = Console(stderr=stderr)
    has_width = probe.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return probe if has_width else Console(width=_UNFOLDED, stderr=stderr)


def show_matrix(console: Console, result: Result) -> None:
    """Print the whole matrix, one row per operation and variant, then the summary.

    Where there is room for names, one that equals the operation's is shown as ``=``, so that those which differ stand
    out; else there is a sign and a delay per channel. A run without channels has no matrix: then the summary is all.
    """
    if not result.cells:
        show_summary(console, result)
        return
    channels = list(dict.fromkeys(cell.channel for cell in result.cells))
    _line(console, "Coverage matrix", "bold")
    _line(console, result.headline)
    first = _first_variants(result)
    shown = [cell for cell in result.cells if cell.variant == first[cell.operation] and not _is_excluded(cell)]
    rows = _by_row(shown)
    named = has_room_for_names(rows, channels, console.width)
    signs = ", ".join(f"{sign} {verdict.value}" for verdict, (sign, _) in LOOK.items())
    names = "= logged under the operation's own name" if named else "names are in matrix.md"
    _line(console, f"{signs}; {names}; delays are medians", "bright_black")
    if named:
        console.print(with_names(rows, channels, console.width))
    else:
        console.print(compact(rows, channels, result.facts.get("without_arrival_stamps", ())))
    if len(result.cells) > len(shown):
        _show_variants(console, result, in_words=named)
    show_summary(console, result)


def _by_row(cells: list[Cell]) -> Rows:
    rows: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault(_row_name(cell), {})[cell.channel] = cell
    return rows


def _first_variants(result: Result) -> dict[str, str]:
    """Return the variant of each operation that the terminal shows: ``ok`` where there is one."""
    first: dict[str, str] = {}
    for cell in result.cells:
        if cell.variant == "ok" or cell.operation not in first:
            first[cell.operation] = cell.variant
    return first


def _is_excluded(cell: Cell) -> bool:
    """Tell whether a row is not run for a reason that the summary gives for many such rows at once."""
    operation = catalogue.find(cell.operation)
    return cell.verdict is Verdict.NOT_RUN and operation is not None and operation.service != "s3"


def _row_name(cell: Cell) -> str:
    return cell.operation if cell.variant == "ok" else f"{cell.operation}[{cell.variant}]"


def _show_variants(console: Console, result: Result, *, in_words: bool) -> None:
    """Print, for each variant, how many of its rows are logged in each channel; matrix.md has every row."""
    counted: dict[str, dict[str, Counter[Verdict]]] = {}
    for cell in result.cells:
        counted.setdefault(cell.channel, {}).setdefault(cell.variant, Counter())[cell.verdict] += 1
    variants = list(dict.fromkeys(cell.variant for cell in result.cells))
    rows = [str(max(each[variant].total() for each in counted.values())) for variant in variants]
    texts = {c: [_counts(each[variant], in_words) for variant in variants] for c, each in counted.items()}
    _line(console, "Variants (every row stands in matrix.md)", "bold")
    for table in by_channels({"variant": variants, "rows": rows}, texts, console.width):
        console.print(table)


def _counts(verdicts: Mapping[Verdict, int], in_words: bool) -> str:
    if in_words:
        return ", ".join(f"{LOOK[v][0]} {verdicts[v]} {v.value}" for v in Verdict if verdicts[v])
    return " ".join(f"{LOOK[v][0]}{verdicts[v]}" for v in Verdict if verdicts[v])


def _line(console: Console, text: str, style: str = "") -> None:
    """Print a line: wrapped between words on a terminal (paths stay whole to be copied), not at all for programs."""
    told = visible(text)
    if console.is_terminal:
        told = fill(told, console.width, break_long_words=False, break_on_hyphens=False)
    console.print(Text(told, style=style), highlight=False, soft_wrap=True)


def _notable(result: Result) -> dict[tuple[str, Verdict, str], list[str]]:
    """Group the rows that are not plainly logged by channels, verdict and reason."""
    by_row: dict[tuple[str, Verdict, str], list[str]] = {}
    for cell in result.cells:
        if cell.verdict is not Verdict.LOGGED or cell.reason:
            name = f"{cell.operation}[{cell.variant}]"
            by_row.setdefault((name, cell.verdict, cell.reason), []).append(cell.channel)
    grouped: dict[tuple[str, Verdict, str], list[str]] = {}
    for (name, verdict, why), channels in by_row.items():
        grouped.setdefault((", ".join(channels), verdict, why), []).append(name)
    return grouped


def _summaries(result: Result, width: int) -> Iterator[Table]:
    """Yield a table with a row per channel, or where that is too wide for the terminal, with a column per channel."""
    figures = {visible(each.channel): _figures(each) for each in by_channel(result)}
    names = [*(verdict.value for verdict in Verdict), "records", "median of rows", "max", "files", "rejects"]
    told = {name: texts for name, *texts in zip(names, *figures.values(), strict=True)}
    words = {name: max(map(len, (*name.split(), *texts))) for name, texts in told.items()}
    whole = {name: max(map(len, (name, *texts))) for name, texts in told.items()}
    room = width - max(map(cell_len, ("channel", *figures))) - 1
    if sum(words.values()) + len(words) > room:
        yield from by_channels({"": names}, figures, width)
        return
    widths = whole if sum(whole.values()) + len(whole) <= room else words
    table = new_table(show_edge=False, gap=1)
    table.add_column("channel")
    for name, widest in widths.items():
        table.add_column(name, justify="right", width=widest)
    for channel, texts in figures.items():
        table.add_row(Text(channel), *texts)
    yield table


def _figures(each: ChannelSummary) -> list[str]:
    spans = (span(seconds) if seconds is not None else "-" for seconds in (each.median_seconds, each.max_seconds))
    return [
        *(str(each.verdicts[v]) for v in Verdict),
        str(each.records),
        *spans,
        str(each.deliveries),
        str(each.rejects),
    ]


def show_summary(console: Console, result: Result) -> None:
    """Print per channel: verdicts, records, delay; then every cell that is not plainly logged, with its reason.

    Of a run without channels: how its executions ended.
    """
    if not result.cells:
        show_executions(console, result)
        return
    _line(console, "Summary", "bold")
    _line(console, result.headline)
    for table in _summaries(result, console.width):
        console.print(table)
    cost = result.facts.get("polling_cost", {})
    if cost:
        told = ", ".join(f"{channel} {each['looks_an_hour']:g}" for channel, each in cost.items())
        _line(console, f"Requests an hour that looked for new records: {told}", "bright_black")
    wrong = [cell for cell in result.cells if cell.wrong]
    if wrong:
        _line(console, f"{sum(len(c.wrong) for c in wrong)} wrong values in {len(wrong)} cells:", "red")
        for cell in wrong[:_MAX_WARNINGS]:
            first = cell.wrong[0]
            told = f"{first['field']} is {first['seen']!r}, the call says {first['expected']!r}"
            _line(console, f"  {cell.operation}[{cell.variant}] {cell.channel}: {told}", "red")
    every = ", ".join(dict.fromkeys(cell.channel for cell in result.cells))
    for (channels, verdict, why), operations in _notable(result).items():
        where = "all channels" if channels == every and every.count(",") + 1 >= _MANY_CHANNELS else channels
        sign, style = LOOK[verdict]
        named = ", ".join(operations[:_MAX_NAMED])
        more = f" and {len(operations) - _MAX_NAMED} more" if len(operations) > _MAX_NAMED else ""
        _line(console, f"{sign} {verdict.value} in {where}: {named}{more}: {why}", style)
    subjects = sum(1 for call in result.calls if call.role is Role.SUBJECT)
    executed, planned = executed_rows(result)
    end = f"{executed} of {planned} rows executed with {subjects} calls under test; all files are in {result.folder}"
    _line(console, end, "bold")
    _line(console, f"Delay and loss, with what is known of them: {result.folder / 'delay.md'}")
    _line(console, f"To read it in a browser: {result.folder / 'report.html'}")
