"""The matrix for a terminal: names where there is room for them, else a sign and a delay per channel."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from textwrap import wrap

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from harness.model import Cell, Verdict
from harness.report.matrix_md import span
from harness.report.safe import visible

LOOK = {
    Verdict.LOGGED: ("✓", "green"),
    Verdict.PARTLY: ("◐", "yellow"),
    Verdict.NOT_OBSERVED: ("✗", "red"),
    Verdict.PENDING: ("…", "cyan"),
    Verdict.NOT_RUN: ("–", "bright_black"),
}
_NARROWEST = 16
_DELAY_WIDTH = 7
_COLUMN_WIDTH = 7
"""A sign and a delay: ``✓ 2.1 h``, ``✓ ≤58 m``."""
_BREAKS = {"cloudtrail": "cloud-\ntrail", "cloudwatch": "cloud-\nwatch", "eventbridge": "event-\nbridge"}
_BREAKS["notification"] = "notifi-\ncation"
"""Where words of channel names are broken that are wider than their column."""

Rows = Mapping[str, Mapping[str, Cell]]
"""Cells by the name of their row, then by channel."""


def new_table(*, show_edge: bool = True, gap: int = 2) -> Table:
    """Return an empty table in the style of all of them.

    Args:
        show_edge, gap: Less of both where every column counts.
    """
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap - 1, 0, 0), show_edge=show_edge)


def has_room_for_names(rows: Rows, channels: Sequence[str], width: int) -> bool:
    """Tell whether each channel can have a column of names beside that of the operations."""
    room = width - len(channels) * (_DELAY_WIDTH + 1) - 1 - _usual_width(list(rows))
    return bool(channels) and room // len(channels) >= _NARROWEST


def with_names(rows: Rows, channels: Sequence[str], width: int) -> Table:
    """Return the table with, per channel, a column of signs and names and one of delays."""
    table = new_table()
    texts = {"operation": list(rows)}
    texts |= {
        channel: [_named(cells[channel]).plain for cells in rows.values() if channel in cells] for channel in channels
    }
    widths = _shared_out(width - len(channels) * _DELAY_WIDTH - len(texts) - 1, texts)
    table.add_column("operation", overflow="fold", width=widths["operation"])
    for channel in channels:
        table.add_column("\n".join(wrap(visible(channel), widths[channel])), overflow="fold", width=widths[channel])
        table.add_column("delay", justify="right", no_wrap=True, width=_DELAY_WIDTH - 1)
    for name, cells in rows.items():
        row = [Text(visible(name))]
        for channel in channels:
            cell = cells.get(channel)
            delay = cell.delay if cell else None
            told = span(delay.median_seconds) if delay else ""
            row += [_named(cell) if cell else Text(), Text(told, style="bright_black")]
        table.add_row(*row)
    return table


def compact(rows: Rows, channels: Sequence[str], unstamped: Collection[str] = ()) -> Table:
    """Return the table with one narrow column per channel: seven of them fit into 100 columns.

    Args:
        rows: To show.
        channels: In their order.
        unstamped: Channels whose deliveries carry no stamp of their arrival: a delay is at most what is shown.
    """
    table = new_table(show_edge=False, gap=1)
    table.add_column("operation", overflow="fold")
    for channel in channels:
        table.add_column(broken(channel), overflow="fold", max_width=_COLUMN_WIDTH)
    for name, cells in rows.items():
        row = [Text(visible(name))]
        for channel in channels:
            cell = cells.get(channel)
            row.append(_sign(cell, channel in unstamped) if cell else Text())
        table.add_row(*row)
    return table


def by_channels(rows: Mapping[str, Sequence[str]], texts: Mapping[str, Sequence[str]], width: int) -> Iterator[Table]:
    """Yield tables with a column per channel, as many of them in each as fit without breaking words.

    Args:
        rows: What stands before them in each table: headings with the text of each row; the first may be folded.
        texts: Per channel the text of each row.
        width: Of the terminal.
    """
    before = {title: max(map(cell_len, (title, *values))) for title, values in rows.items()}
    first = next(iter(before))
    before[first] = min(before[first], width // 2)
    narrow = {c: max(map(cell_len, " ".join((broken(c), *told)).split()), default=1) for c, told in texts.items()}
    widest = {c: max(map(cell_len, (c, *told))) for c, told in texts.items()}
    roomy = sum(before.values()) + sum(widest.values()) + 2 * (len(before) + len(widest)) < width
    left = list(texts)
    while left:
        channels: list[str] = []
        room = width - sum(before.values()) - len(before)
        while left and (not channels or narrow[left[0]] < room):
            room -= narrow[left[0]] + 1
            channels.append(left.pop(0))
        table = new_table() if roomy else new_table(show_edge=False, gap=1)
        for title, wide in before.items():
            table.add_column(title, justify="left" if title == first else "right", overflow="fold", width=wide)
        for channel in channels:
            wide = min(narrow[channel] + max(0, room) // len(channels), widest[channel])
            heading = visible(channel) if cell_len(channel) <= wide else broken(channel)
            table.add_column(heading, overflow="fold", width=wide)
        for row in zip(*rows.values(), *(texts[channel] for channel in channels), strict=True):
            table.add_row(*(Text(visible(text)) for text in row))
        yield table


def broken(channel: str) -> str:
    """Return a channel's name on several short lines, as the heading of a narrow column."""
    return "\n".join(_BREAKS.get(word, word) for word in visible(channel).split("-"))


def _named(cell: Cell) -> Text:
    sign, style = LOOK[cell.verdict]
    names = ["=" if name == cell.operation else visible(name) for name in cell.names]
    return Text(f"{sign} {', '.join(names) or cell.verdict.value}", style=style)


def _sign(cell: Cell, at_most: bool) -> Text:
    sign, style = LOOK[cell.verdict]
    delay = f" {'≤' * at_most}{span(cell.delay.median_seconds)}" if cell.delay else ""
    return Text(f"{sign}{delay}", style=style)


def _usual_width(texts: Sequence[str]) -> int:
    """A width that four in five texts fit into; the longest may wrap."""
    lengths = sorted(len(text) for text in texts) or [0]
    return max(_NARROWEST, lengths[max(0, len(lengths) * 4 // 5 - 1)])


def _shared_out(room: int, texts: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Give each column the width of its longest text, or where there is less room its share by what is usual."""
    longest = {name: max(map(cell_len, (name, *values))) for name, values in texts.items()}
    if sum(longest.values()) <= room:
        return longest
    usual = {name: _usual_width(values) for name, values in texts.items()}
    total = sum(usual.values())
    return {name: max(_NARROWEST // 2, room * width // total) for name, width in usual.items()}
