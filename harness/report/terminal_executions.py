"""The terminal's summary of a run without channels: how its calls ended, since no record can say more of them."""

from __future__ import annotations

from collections import Counter

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analyse.executions import Ending, by_reason
from harness.report import Result, without_channels
from harness.report.safe import visible

_MAX_NAMED = 4
_LOOK = {
    Ending.NOT_AS_MEANT: ("!", "yellow"),
    Ending.BROKEN_OFF: ("!", "yellow"),
    Ending.NOT_EXECUTED: ("…", "cyan"),
    Ending.NOT_RUN: ("–", "bright_black"),
}


def show_executions(console: Console, result: Result) -> None:
    """Print how many executions of each variant ended as meant, then the others by reason."""
    _line(console, "Executions", "bold")
    _line(console, result.headline)
    _line(console, f"There is no coverage matrix: {without_channels(result.facts)}.")
    endings = [each for each in Ending if any(one.ending is each for one in result.executions)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("variant")
    for ending in endings:
        table.add_column(ending.value, justify="right")
    for variant in dict.fromkeys(each.cell.variant for each in result.executions):
        counts = Counter(each.ending for each in result.executions if each.cell.variant == variant)
        table.add_row(Text(visible(variant)), *(str(counts[ending]) for ending in endings))
    console.print(table)
    for ending, (sign, style) in _LOOK.items():
        for why, cells in by_reason(result.executions, ending).items():
            more = f" and {len(cells) - _MAX_NAMED} more" if len(cells) > _MAX_NAMED else ""
            rows = f"{len(cells)} row{'s' * (len(cells) > 1)}"
            reason = f" ({why})" if why else ""
            _line(
                console,
                f"{sign} {ending.value}{reason}, {rows}: {', '.join(map(str, cells[:_MAX_NAMED]))}{more}",
                style,
            )
    counts = Counter(each.ending for each in result.executions)
    executed = counts[Ending.AS_MEANT] + counts[Ending.NOT_AS_MEANT]
    end = f"{counts[Ending.AS_MEANT]} of {executed} executions ended as their scenarios say"
    _line(console, f"{end}; each is a row of executions.csv, all files are in {result.folder}", "bold")


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(visible(text), style=style), highlight=False, soft_wrap=True)
