"""What goes on at this moment, in a few lines at the foot of a terminal, drawn anew several times a second."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from harness.events import CollectProgress
from harness.report.matrix_md import span
from harness.report.safe import visible

_BAR_WIDTH = 28
_TIMED = "timed"


class LiveView:
    """The stage with its bar, what it is at, and, while records are waited for, a table of the channels.

    Args:
        console: A terminal; anything else shows nothing.
        shown: Whether to show anything.
    """

    def __init__(self, console: Console, *, shown: bool) -> None:
        self._shown = shown
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR_WIDTH),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _TimeLeft(),
            console=console,
        )
        self._factor = 1.0
        self._calls = 0
        self._detail = ""
        self._collected: CollectProgress | None = None
        self._live = Live(console=console, get_renderable=self._drawn, transient=True)

    def start(self) -> None:
        """Begin to draw."""
        if self._shown:
            self._live.start()

    def stop(self) -> None:
        """Draw no more, and leave nothing of it behind."""
        self._live.stop()

    def clock(self, factor: float) -> None:
        """Take the factor of the run's clock: what is left is told in both times."""
        self._factor = factor

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage.

        Args:
            name: In words.
            total: How many steps it has, where that is known.
        """
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(name, total=total, **{_TIMED: total is not None})
        self._detail, self._collected = "", None

    def step(self, detail: str, calls_made: int = 0) -> None:
        """Show that one more step is done."""
        self._detail = detail
        self._calls = calls_made or self._calls
        for task in self._progress.task_ids:
            self._progress.advance(task)

    def collected(self, event: CollectProgress) -> None:
        """Show what a round of polling has brought."""
        self._collected = event
        self._calls = event.calls_made or self._calls
        for task in self._progress.task_ids:
            done, total = sum(event.arrived.values()), sum(event.expected.values())
            self._progress.update(task, completed=done, total=total)

    def _drawn(self) -> RenderableType:
        return Group(self._progress, *self._details())

    def _details(self) -> Iterator[RenderableType]:
        made = f"{self._calls:,} calls made" if self._calls else ""
        if self._collected is None:
            told = " · ".join(filter(None, (made, self._detail)))
            yield Text(visible(told), no_wrap=True, overflow="ellipsis")
            return
        event = self._collected
        if event.expected:
            yield channel_table(event)
        if event.waiting_for:
            yield Text(visible(f"waiting for {event.waiting_for}"))
        ends = [f"done in about {self._left(event.now, event.done_by)}"] if is_ahead(event) else []
        ends.append(f"deadline in {self._left(event.now, event.deadline)}")
        yield Text(" · ".join(filter(None, (made, *ends))))

    def _left(self, now: datetime, then: datetime | None) -> str:
        """Return a time that is left on the run's clock, and what it is on the user's."""
        seconds = max(0.0, (then - now).total_seconds()) if then else 0.0
        here = f" ({span(seconds / self._factor)} here)" if self._factor != 1 else ""
        return f"{span(seconds)}{here}"


class _TimeLeft(ProgressColumn):
    """What is left of a stage whose steps take about the same time; rich's own column guesses for all others too."""

    def render(self, task: Task) -> Text:
        """Return the text of one task."""
        known = task.fields.get(_TIMED) and task.time_remaining
        return Text(f"about {span(known)} left" if known else "", style="cyan")


def is_ahead(event: CollectProgress) -> bool:
    """Tell whether all may have come at a known time, which has not passed and is not beyond the waiting."""
    return event.done_by is not None and event.now < event.done_by <= event.deadline


def channel_table(event: CollectProgress) -> Table:
    """Return what has come and what is missing, per channel, with the delay so far: of what has come."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("channel", no_wrap=True, overflow="ellipsis")
    for name in ("records in", "missing", "delay so far", "slowest", "rejects"):
        table.add_column(name, justify="right", no_wrap=True, overflow="ellipsis")
    for channel, arrived in event.arrived.items():
        expected, delay = event.expected.get(channel, 0), event.delays.get(channel)
        table.add_row(
            Text(visible(channel)),
            f"{arrived:,} of {expected:,}",
            f"{max(0, expected - arrived):,}",
            span(delay.median_seconds) if delay else "-",
            span(delay.max_seconds) if delay else "-",
            str(event.rejects.get(channel, 0)),
        )
    return table
