"""The first screen of the HTML report: what was run, the verdict in one sentence, five figures, a line per channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from harness.analyse.delays import ALL, DelayRow
from harness.analyse.verify import Check, ClaimVerdict
from harness.model import Cell, Role, Verdict
from harness.report import Result
from harness.report.matrix_md import span

SEEN = (Verdict.LOGGED, Verdict.PARTLY)
DECIDED = (*SEEN, Verdict.NOT_OBSERVED)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the first screen, with what it counts and what stands behind it."""

    value: str
    label: str
    note: str


def channels_of(result: Result) -> list[str]:
    """Return the channels of a run, in its own order."""
    return list(dict.fromkeys(cell.channel for cell in result.cells))


def facts(result: Result) -> dict[str, str]:
    """Return what a reader must know of a run before any number, in words."""
    told = result.facts
    subjects = sum(call.role is Role.SUBJECT for call in result.calls)
    repeats = told.get("repeats")
    versions = [f"{name} {told[name]}" for name in ("s3logjam", "botocore") if told.get(name)]
    versions += [f"Python {told['python']}"] if told.get("python") else []
    found = {
        "Date": _date(told.get("started_at")),
        "Region": told.get("region"),
        "Versions": ", ".join(versions),
        "n": f"{subjects} calls under test" + (f", {repeats} of each row" if repeats else ""),
        "Channels": ", ".join(channels_of(result)),
        "Run": ", ".join(f"{name} {told[key]}" for name, key in (("id", "run_id"), ("seed", "seed")) if key in told),
    }
    return {name: str(value) for name, value in found.items() if value}


def _date(text: object) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M UTC}" if isinstance(text, str) else ""


def sentence(cells: Sequence[Cell]) -> str:
    """Return the verdict of a run in one sentence: rows by how many of its channels have their records."""
    rows: dict[tuple[str, str], list[Verdict]] = {}
    for cell in cells:
        rows.setdefault((cell.operation, cell.variant), []).append(cell.verdict)
    executed = [verdicts for verdicts in rows.values() if any(v is not Verdict.NOT_RUN for v in verdicts)]
    if not executed:
        return f"None of the {len(rows)} rows was executed, so nothing was measured."
    every = sum(all(v is Verdict.LOGGED for v in verdicts) for verdicts in executed)
    none = sum(all(v is Verdict.NOT_OBSERVED for v in verdicts) for verdicts in executed)
    pending = sum(any(v is Verdict.PENDING for v in verdicts) for verdicts in executed)
    some = sum(
        any(v in SEEN for v in verdicts) and any(v not in (Verdict.LOGGED, Verdict.PENDING) for v in verdicts)
        for verdicts in executed
        if Verdict.PENDING not in verdicts
    )
    parts = [f"{every} are logged in every channel", f"{some} in some channels or in part", f"{none} in none"]
    parts += [f"{pending} still pending"] if pending else []
    rest = len(executed) - every - some - none - pending
    parts += [f"{rest} otherwise"] if rest else []
    return f"Of {len(executed)} executed rows (operation × variant), {', '.join(parts)}."


def figures(result: Result, delays: Sequence[DelayRow], checks: Sequence[Check]) -> list[Figure]:
    """Return five numbers: what was executed, what is logged, what is not, how late, what documents say otherwise."""
    cells = result.cells
    counts = Counter(cell.verdict for cell in cells)
    executed = {(c.operation, c.variant) for c in cells if c.verdict is not Verdict.NOT_RUN}
    rows, operations = {(c.operation, c.variant) for c in cells}, {c.operation for c in cells}
    decided = sum(counts[v] for v in DECIDED)
    open_ones = ", ".join(f"{counts[v]} {v.value}" for v in (Verdict.PARTLY, Verdict.PENDING, Verdict.NOT_RUN))
    said = Counter(check.verdict for check in checks)
    return [
        Figure(
            f"{len({o for o, _ in executed})} of {len(operations)}",
            "operations executed",
            f"{len(executed)} of {len(rows)} rows",
        ),
        Figure(
            f"{100 * counts[Verdict.LOGGED] / decided:.3g} %" if decided else "–",
            "of cells are logged",
            f"{counts[Verdict.LOGGED]} of {decided} cells with a verdict",
        ),
        Figure(str(counts[Verdict.NOT_OBSERVED]), "cells not observed", open_ones),
        _late(delays),
        Figure(
            str(said[ClaimVerdict.CONTRADICTED]),
            "documented statements contradicted",
            f"of {len(checks)}: {said[ClaimVerdict.CONFIRMED]} confirmed, "
            f"{said[ClaimVerdict.UNDETERMINED]} undetermined, {said[ClaimVerdict.UNDOCUMENTED]} undocumented",
        ),
    ]


def _late(delays: Sequence[DelayRow]) -> Figure:
    medians = [
        (row.estimate.quantiles[0.5].value, row.channel)
        for row in delays
        if row.category == row.access == ALL and row.estimate
    ]
    known = sorted((value, channel) for value, channel in medians if value is not None)
    if not known:
        return Figure("–", "median delay", "no number: too few calls or records")
    (fast, first), (slow, last) = known[0], known[-1]
    if first == last:
        return Figure(span(fast), "median delay", first)
    return Figure(f"{span(fast)} – {span(slow)}", "median delay by channel", f"{first} – {last}")


def channel_lines(result: Result) -> list[dict[str, object]]:
    """Return per channel: verdicts, records, delays of rows, files, rejects."""
    lines = []
    for channel in channels_of(result):
        cells = [cell for cell in result.cells if cell.channel == channel]
        counts = Counter(cell.verdict for cell in cells)
        delays = [cell.delay for cell in cells if cell.delay]
        files = result.deliveries.get(channel, {})
        lines.append(
            {
                "channel": channel,
                "verdicts": [counts[verdict] for verdict in Verdict],
                "records": sum(cell.records for cell in cells),
                "median": span(median(d.median_seconds for d in delays)) if delays else "–",
                "longest": span(max(d.max_seconds for d in delays)) if delays else "–",
                "files": files.get("deliveries", 0),
                "rejects": files.get("rejects", 0),
            }
        )
    return lines
