"""The terminal: progress while it runs, the matrix and its summary afterwards; plain lines when it is no terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Literal, Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
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
from harness.report import Result, headline
from harness.report.matrix_md import span
from harness.report.safe import visible
from harness.report.terminal_executions import show_executions

_LOOK = {
    Verdict.LOGGED: ("✓", "green"),
    Verdict.PARTLY: ("◐", "yellow"),
    Verdict.NOT_OBSERVED: ("✗", "red"),
    Verdict.PENDING: ("…", "cyan"),
    Verdict.NOT_RUN: ("–", "bright_black"),
}
_STAGES = {
    "preflight": "Checking account and permissions",
    "provision": "Creating buckets and trail",
    "gate": "Waiting for every channel to show a control record",
    "execute": "Executing scenarios",
    "collect": "Waiting for records",
    "teardown": "Deleting what was created",
}
_PLAIN_EVERY = 20
_MAX_WARNINGS = 10
_MAX_NAMED = 4
_NARROWEST = 16
_MOST_NAMED = 3
"""Channels that there is room for with the names of their records."""
_DELAY_WIDTH = 7


class Terminal:
    """Consumes a run's events; use it as a context manager around the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=console,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._planned = 0
        self._counted: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self._planned = event.planned
                factor = event.clock_factor
                self._line(headline({"target": event.target, "note": event.note, "clock_factor": factor}), "bold")
                if factor != 1:
                    self._line(f"One second here is {span(factor)} on the run's clock; all delays are on that clock.")
                channels = f"channels {', '.join(event.channels)}" if event.channels else "no channels"
                self._line(f"{event.planned} scenario executions, {channels} → {event.folder}")
            case StageStarted(stage=stage) if stage in _STAGES:
                self._stage(stage)
            case ResourceCreated():
                self._advance(f"{event.kind} {event.name}")
            case ScenarioFinished():
                self._advance(str(event.cell))
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
                by = f" They may all be there by {event.done_by:%Y-%m-%d %H:%M} UTC." if event.done_by else ""
                self._line(f"Every call was made; the records are still to come.{by}", "bold")
                self._left(event.folder)

    def _stage(self, stage: str) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        total = self._planned if stage == "execute" else None
        self._task = self._progress.add_task(_STAGES[stage], total=total, detail="")
        if not self._live:
            self._line(f"{_STAGES[stage]} …")

    def _left(self, folder: Path) -> None:
        """Say what to do about a run that is left in the middle."""
        self._line(f"  s3logjam status {folder}     where it stands")
        self._line(f"  s3logjam resume {folder}     goes on, and deletes at the end what the run has created")
        self._line(f"  s3logjam teardown {folder}   deletes that at once")

    def _gated(self, event: GateProgress) -> None:
        names, silent = ", ".join(event.waiting) or "none", f"; silent: {', '.join(event.silent)}" * bool(event.silent)
        told = f"waiting for {names} since {span(event.waited_seconds)} of at most {span(event.limit_seconds)}{silent}"
        if self._task is not None:
            self._progress.update(self._task, advance=1, detail=told)
        self._counted["gate"] += 1
        if not self._live and (self._counted["gate"] % _PLAIN_EVERY == 1 or not event.waiting):
            self._line(f"  {told}")

    def _advance(self, detail: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=1, detail=visible(detail)[:40])

    def _collected(self, event: CollectProgress) -> None:
        left = max(0.0, (event.deadline - event.now).total_seconds())
        arrived, expected = sum(event.arrived.values()), sum(event.expected.values())
        each = ", ".join(f"{c} {n}/{event.expected[c]}" for c, n in event.arrived.items())
        if self._task is not None:
            detail = f"{each}; {_expected(event)}deadline in {span(left)}"
            self._progress.update(self._task, completed=arrived, total=expected, detail=detail)
        self._counted["polls"] += 1
        if not self._live and self._counted["polls"] % _PLAIN_EVERY == 1:
            waiting = f"; waiting for {event.waiting_for}" if event.waiting_for else ""
            self._line(f"  {event.now:%H:%M:%S}  {each}{waiting}; {_expected(event)}deadline in {span(left)}")

    def _warn(self, kind: str, message: str) -> None:
        self._counted[kind] += 1
        if self._counted[kind] <= _MAX_WARNINGS:
            self._line(f"  ! {message}", "yellow")
        elif self._counted[kind] == _MAX_WARNINGS + 1:
            self._line("  ! further ones of this kind are not shown; the summary counts them", "yellow")

    def _line(self, text: str, style: str = "") -> None:
        _line(self._console, text, style)


def _expected(event: CollectProgress) -> str:
    """Say when it may be done; nothing where that has passed or is not known."""
    if event.done_by is None or event.done_by <= event.now:
        return ""
    return f"done in about {span((event.done_by - event.now).total_seconds())}, "


def console() -> Console:
    """Return a console for reports: as wide as the terminal, or 100 columns where there is none."""
    probe = Console()
    return probe if probe.is_terminal else Console(width=100)


def show_matrix(console: Console, result: Result) -> None:
    """Print the whole matrix, one row per operation and variant, then the summary.

    A name that equals the operation's is shown as ``=``, so that those which differ stand out. Many channels leave no
    room for names: then there is a sign and a delay for each. A run without channels has no matrix: then the summary is
    all.
    """
    if not result.cells:
        show_summary(console, result)
        return
    channels = list(dict.fromkeys(cell.channel for cell in result.cells))
    _line(console, "Coverage matrix", "bold")
    _line(console, result.headline)
    signs = ", ".join(f"{sign} {verdict.value}" for verdict, (sign, _) in _LOOK.items())
    names = "names are in matrix.md" if len(channels) > _MOST_NAMED else "= logged under the operation's own name"
    _line(console, f"{signs}; {names}; delays are medians", "bright_black")
    first = _first_variants(result)
    shown = [cell for cell in result.cells if cell.variant == first[cell.operation] and not _is_excluded(cell)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    rows: dict[str, dict[str, Cell]] = {}
    for cell in shown:
        rows.setdefault(_row_name(cell), {})[cell.channel] = cell
    if len(channels) > _MOST_NAMED:
        _fill_narrow(table, channels, rows, result.facts.get("without_arrival_stamps", ()))
    else:
        _fill_wide(table, channels, rows, console.width)
    console.print(table)
    if len(result.cells) > len(shown):
        _show_variants(console, result)
    show_summary(console, result)


def _fill_wide(table: Table, channels: list[str], rows: dict[str, dict[str, Cell]], width: int) -> None:
    """Give each channel a column of signs and names and one of delays."""
    texts = {"operation": list(rows)}
    texts |= {channel: [_cell(cells[channel]).plain for cells in rows.values()] for channel in channels}
    room = width - len(channels) * _DELAY_WIDTH - len(texts) - 1
    widths = _shared_out(room, {name: _usual_width(values) for name, values in texts.items()})
    table.add_column("operation", overflow="fold", width=widths["operation"])
    for channel in channels:
        table.add_column(channel, overflow="fold", width=widths[channel])
        table.add_column("delay", justify="right", no_wrap=True, width=_DELAY_WIDTH - 1)
    for name, cells in rows.items():
        named = [Text(visible(name))]
        for channel in channels:
            delay = cells[channel].delay
            named += [_cell(cells[channel]), Text(span(delay.median_seconds) if delay else "", style="bright_black")]
        table.add_row(*named)


def _fill_narrow(
    table: Table, channels: list[str], rows: dict[str, dict[str, Cell]], unstamped: Collection[str]
) -> None:
    """Give each channel one column of signs and delays, its own name broken at the hyphens.

    Args:
        unstamped: Channels whose deliveries have no stamp: when a poll saw them is the latest that they can have come.
    """
    table.add_column("operation", overflow="fold", min_width=_NARROWEST)
    for channel in channels:
        table.add_column(channel.replace("-", "\n"), no_wrap=True)
    for name, cells in rows.items():
        told = [Text(visible(name))]
        for channel in channels:
            sign, style = _LOOK[cells[channel].verdict]
            delay = cells[channel].delay
            least = "≤ " if channel in unstamped else ""
            told.append(Text(f"{sign} {least}{span(delay.median_seconds)}" if delay else sign, style=style))
        table.add_row(*told)


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


def _show_variants(console: Console, result: Result) -> None:
    """Print, for each variant, how many of its rows are logged in each channel; matrix.md has every row."""
    channels = list(dict.fromkeys(cell.channel for cell in result.cells))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("variant")
    table.add_column("rows", justify="right")
    for channel in channels:
        table.add_column(channel)
    for variant in dict.fromkeys(cell.variant for cell in result.cells):
        told = [variant, str(sum(1 for c in result.cells if c.variant == variant and c.channel == channels[0]))]
        for channel in channels:
            counts = Counter(c.verdict for c in result.cells if c.variant == variant and c.channel == channel)
            told.append(", ".join(f"{_LOOK[v][0]} {counts[v]} {v.value}" for v in Verdict if counts[v]))
        table.add_row(*(Text(visible(text)) for text in told))
    _line(console, "Variants (every row stands in matrix.md)", "bold")
    console.print(table)


def _usual_width(texts: list[str]) -> int:
    """A width that four in five texts fit into; the longest may wrap."""
    lengths = sorted(len(text) for text in texts)
    return max(_NARROWEST, lengths[len(lengths) * 4 // 5 - 1])


def _shared_out(room: int, usual: dict[str, int]) -> dict[str, int]:
    """Share a width out in proportion to what is usual."""
    total = sum(usual.values())
    return {name: max(_NARROWEST // 2, room * width // total) for name, width in usual.items()}


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(visible(text), style=style), highlight=False, soft_wrap=True)


def _cell(cell: Cell) -> Text:
    sign, style = _LOOK[cell.verdict]
    names = ["=" if name == cell.operation else visible(name) for name in cell.names]
    return Text(f"{sign} {', '.join(names) or cell.verdict.value}", style=style)


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


def show_summary(console: Console, result: Result) -> None:
    """Print per channel: verdicts, records, delay; then every cell that is not plainly logged, with its reason.

    Of a run without channels: how its executions ended.
    """
    if not result.cells:
        show_executions(console, result)
        return
    _line(console, "Summary", "bold")
    _line(console, result.headline)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("channel", *(v.value for v in Verdict), "records", "median of rows", "max", "files", "rejects"):
        side: Literal["left", "right"] = "left" if name == "channel" else "right"
        table.add_column(name, justify=side, min_width=max(map(len, name.split())), no_wrap=name == "channel")
    for channel in dict.fromkeys(cell.channel for cell in result.cells):
        cells = [c for c in result.cells if c.channel == channel]
        delays = [c.delay.median_seconds for c in cells if c.delay]
        largest = max((c.delay.max_seconds for c in cells if c.delay), default=None)
        counts = result.deliveries.get(channel, {})
        table.add_row(
            channel,
            *(str(sum(1 for c in cells if c.verdict is v)) for v in Verdict),
            str(sum(c.records for c in cells)),
            span(median(delays)) if delays else "-",
            span(largest) if largest is not None else "-",
            str(counts.get("deliveries", 0)),
            str(counts.get("rejects", 0)),
        )
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
        where = "all channels" if channels == every and every.count(",") >= _MOST_NAMED else channels
        sign, style = _LOOK[verdict]
        named = ", ".join(operations[:_MAX_NAMED])
        more = f" and {len(operations) - _MAX_NAMED} more" if len(operations) > _MAX_NAMED else ""
        _line(console, f"{sign} {verdict.value} in {where}: {named}{more}: {why}", style)
    subjects = sum(1 for call in result.calls if call.role is Role.SUBJECT)
    executed = len({(c.operation, c.variant) for c in result.cells if c.verdict is not Verdict.NOT_RUN})
    planned = len({(c.operation, c.variant) for c in result.cells})
    end = f"{executed} of {planned} rows executed with {subjects} calls under test; all files are in {result.folder}"
    _line(console, end, "bold")
    _line(console, f"To read it in a browser: {result.folder / 'report.html'}")
