"""What the HTML report shows of a cell when it is opened: all of its numbers, and a few of its calls and records.

The raw records of a whole run would make the page too large, so of each cell a few stand for all: first those of calls
with a wrong value, then one for each name and status. ``cut`` says what is left out, and where all of it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness import catalogue
from harness.analyse.delay import delay_seconds
from harness.analyse.findings import Finding
from harness.analyse.join import Pair
from harness.analyse.snapshot import CellId
from harness.analyse.verify import Check, Key, Seen
from harness.model import Call, Cell
from harness.report.safe import visible

MAX_RECORDS = 3
"""Raw records kept of each cell."""
MAX_CALLS = 3
"""Calls kept of each cell."""
MAX_WRONG = 10
"""Wrong values kept of each cell."""
MAX_RAW = 8_000
"""Characters kept of each raw record."""
_CALL = (
    "number",
    "operation",
    "method",
    "host",
    "path",
    "status",
    "error_code",
    "request_id",
    "host_id",
    "marker",
    "user_agent",
    "attempt",
    "failure",
)


def details(
    cells: Sequence[Cell],
    seen: Seen,
    checks: Mapping[str, Sequence[Check]],
    findings: Iterable[Finding] = (),
) -> list[Any]:
    """Return one entry per cell, in order, all of its texts inert.

    Args:
        cells: The matrix.
        seen: What the run saw, by row and channel.
        checks: Documented statements with their verdicts, by title of their table.
        findings: Drift from a baseline.
    """
    said: dict[Key, list[dict[str, Any]]] = {}
    for title, each in checks.items():
        for check in each:
            key = (check.claim.operation, check.claim.variant, check.claim.channel)
            said.setdefault(key, []).append(claim(check, title))
    drifted: dict[CellId, list[Finding]] = {}
    for finding in findings:
        for cell in finding.cells:
            drifted.setdefault(cell, []).append(finding)
    return [_cell(cell, seen, said.get((cell.operation, cell.variant, cell.channel), []), drifted) for cell in cells]


def claim(check: Check, title: str) -> dict[str, Any]:
    """Return a documented statement with its verdict and its sources."""
    return {
        "table": title,
        "text": check.claim.text,
        "verdict": check.words,
        "confidence": check.claim.confidence.value,
        "seen": check.answer.seen,
        "why": check.answer.why,
        "note": check.claim.note,
        "sources": [", ".join(filter(None, (s.document, s.section, s.date))) for s in check.claim.sources],
    }


def _cell(
    cell: Cell, seen: Seen, claims: list[dict[str, Any]], drifted: Mapping[CellId, Sequence[Finding]]
) -> dict[str, Any]:
    operation = catalogue.find(cell.operation)
    pairs = seen.records(cell.operation, cell.channel, cell.variant)
    calls = seen.calls.get((cell.operation, cell.variant), ())
    samples = _samples(cell, pairs)
    shown_calls = _sample_calls(calls, samples)
    delay = cell.delay
    told = {
        "operation": cell.operation,
        "variant": cell.variant,
        "channel": cell.channel,
        "verdict": cell.verdict.value,
        "reason": cell.reason,
        "form": f"{operation.method} {operation.uri}" if operation else "",
        "twins": list(operation.twins) if operation else [],
        "counts": {
            "calls": cell.calls,
            "logged calls": cell.logged,
            "records": cell.records,
            "expected records": cell.expected,
            "duplicates": cell.duplicates,
        },
        "names": dict(cell.names),
        "statuses": dict(cell.statuses),
        "joins": dict(cell.joins),
        "delay": delay
        and {
            "n": delay.n,
            "min": delay.min_seconds,
            "median": delay.median_seconds,
            "p90": delay.p90_seconds,
            "max": delay.max_seconds,
        },
        "payload": dict(cell.payload) if cell.payload else None,
        "fields": [
            [name, entry["class"], entry.get("present", 0), entry.get("right"), entry.get("values", [])]
            for name, entry in cell.fields.items()
        ],
        "wrong": [[w["field"], w["expected"], w["seen"], w["call"]] for w in cell.wrong[:MAX_WRONG]],
        "calls": [_call(call) for call in shown_calls],
        "cut": _cut(cell, len(samples), len(pairs), len(shown_calls), len(calls)),
        "claims": claims,
        "drift": [
            {"severity": f.severity.value, "kind": f.kind.value, "title": f.title, "evidence": _evidence(f, cell)}
            for f in drifted.get(CellId(cell.operation, cell.variant, cell.channel), ())
        ],
    }
    return {**inert(told), "records": [_record(pair) for pair in samples]}


def _evidence(finding: Finding, cell: Cell) -> list[str]:
    """Return the evidence of one cell; a finding about many cells keeps that of its first ones only."""
    here = str(CellId(cell.operation, cell.variant, cell.channel))
    return [str(each) for each in finding.evidence if each.cell == here or len(finding.cells) > 1]


def _samples(cell: Cell, pairs: Sequence[Pair]) -> list[Pair]:
    """Return a few records that stand for all: those of wrong values, then one for each name and status."""
    wrong = {w["call"] for w in cell.wrong}
    ordered = sorted(pairs, key=lambda pair: (pair.call.number not in wrong, pair.call.number, pair.record.offset))
    kept: dict[tuple[str, int | None], Pair] = {}
    for pair in ordered:
        kept.setdefault((pair.record.name, pair.call.status), pair)
    return list(kept.values())[:MAX_RECORDS]


def _sample_calls(calls: Sequence[Call], samples: Sequence[Pair]) -> list[Call]:
    """Return the calls of the records that are shown; where none is, the first ones."""
    kept = {pair.call.number: pair.call for pair in samples}
    return list(kept.values()) or list(calls[:MAX_CALLS])


def _call(call: Call) -> dict[str, Any]:
    told = {name.replace("_", " "): getattr(call, name) for name in _CALL}
    times = {"sent at": call.sent_at.isoformat(), "received at": call.received_at and call.received_at.isoformat()}
    return {name: value for name, value in {**told, **times}.items() if value is not None and value != ""} | {
        "parameters": dict(call.sent)
    }


def _record(pair: Pair) -> dict[str, Any]:
    record, first = pair.record, min(pair.deliveries, key=lambda each: each.arrived_at)
    pretty = _pretty(record.raw)
    told = {
        "name": record.name,
        "call": pair.call.number,
        "joined by": pair.way.value,
        "delay": round(delay_seconds(pair), 3),
        "arrived": first.arrived_at.isoformat(),
        "file": first.name,
        "offset": record.offset,
        "copies": len(pair.deliveries),
        # A JSON document names its fields itself.
        "fields": {} if pretty else {name: value for name, value in record.fields.items() if value is not None},
    }
    return {**inert(told), "raw": pretty or _shortened(visible(record.raw))}


def _pretty(raw: str) -> str:
    """Return a JSON document on several lines, or an empty text where it is none."""
    if not raw.lstrip().startswith("{"):
        return ""
    try:
        lines = json.dumps(json.loads(raw), indent=2, ensure_ascii=False).split("\n")
    except (ValueError, RecursionError):
        return ""
    return _shortened("\n".join(visible(line) for line in lines))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_RAW else f"{text[:MAX_RAW]}\n[{len(text) - MAX_RAW} characters cut]"


def _cut(cell: Cell, records: int, all_records: int, calls: int, all_calls: int) -> str:
    """Say what of a cell is not in the page."""
    parts = [f"{records} of {all_records} records"] * (records < all_records)
    parts += [f"{calls} of {all_calls} calls"] * (calls < all_calls)
    parts += [f"{MAX_WRONG} of {len(cell.wrong)} wrong values"] * (len(cell.wrong) > MAX_WRONG)
    where = "records.parquet, calls.parquet and matrix.json in the run's folder have all of them"
    return f"Shown: {', '.join(parts)}; {where}." if parts else ""


def inert(value: Any) -> Any:
    """Return a JSON value whose texts, keys too, have no invisible character."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(name)): inert(each) for name, each in value.items()}
    return [inert(each) for each in value] if isinstance(value, list | tuple) else value
