"""``matrix.md``: the matrix for reading, one row per operation and variant, one column per channel."""

from __future__ import annotations

from pathlib import Path

from harness import catalogue
from harness.model import Cell, Verdict
from harness.report import Result, without_channels
from harness.report.safe import markdown_cell

_SIGN = {
    Verdict.LOGGED: "✅",
    Verdict.PARTLY: "◐",
    Verdict.NOT_OBSERVED: "❌",
    Verdict.PENDING: "…",
    Verdict.NOT_RUN: "–",
}


def span(seconds: float) -> str:
    """Return seconds in the unit that suits them: ``45 s``, ``58 m``, ``2.1 h``, ``3.0 d``."""
    if abs(seconds) < 90:
        return f"{round(seconds)} s"
    if abs(seconds) < 90 * 60:
        return f"{round(seconds / 60)} m"
    return f"{seconds / 3600:.1f} h" if abs(seconds) < 36 * 3600 else f"{seconds / 86_400:.1f} d"


def write(result: Result) -> list[Path]:
    """Write the file."""
    path = result.folder / "matrix.md"
    if not result.cells:
        told = f"There is none: {without_channels(result.facts)}. `executions.csv` says how the calls ended."
        path.write_text(f"> {markdown_cell(result.headline)}\n\n# Coverage matrix\n\n{told}\n", "utf-8")
        return [path]
    channels = list(dict.fromkeys(cell.channel for cell in result.cells))
    unstamped = result.facts.get("without_arrival_stamps", ())
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in result.cells:
        rows.setdefault((cell.operation, cell.variant), {})[cell.channel] = cell
    lines = [f"> {markdown_cell(result.headline)}", "", "# Coverage matrix", ""]
    lines += [_counts(result), "", "Signs: " + ", ".join(f"{s} {v.value}" for v, s in _SIGN.items()) + ".", ""]
    lines += [f"| operation | variant | {' | '.join(channels)} |", f"|---|---|{'---|' * len(channels)}"]
    for (operation, variant), cells in rows.items():
        known = catalogue.find(operation)
        twin = f" (same wire form as {', '.join(known.twins)})" if known and known.twins else ""
        shown = " | ".join(_cell(cells[c], c in unstamped) for c in channels if c in cells)
        lines.append(f"| {markdown_cell(operation)}{twin} | {markdown_cell(variant)} | {shown} |")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return [path]


def _counts(result: Result) -> str:
    counts = {v: sum(1 for c in result.cells if c.verdict is v) for v in Verdict}
    told = ", ".join(f"{n} {v.value}" for v, n in counts.items() if n)
    return f"{len(result.cells)} cells: {told}. botocore {result.facts['botocore']}, seed {result.facts['seed']}."


def _cell(cell: Cell, unstamped: bool) -> str:
    parts = [_SIGN[cell.verdict], ", ".join(f"`{_code(name)}`" for name in cell.names)]
    if cell.delay:
        # Without a stamp, it came some time before a poll saw it.
        parts.append(f"{'within' if unstamped else 'after'} {span(cell.delay.median_seconds)}")
    if cell.reason:
        parts.append(markdown_cell(cell.reason))
    return " ".join(part for part in parts if part)


def _code(name: str) -> str:
    return markdown_cell(name).replace("\\_", "_").replace("\\`", "'")
