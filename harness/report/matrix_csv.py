"""``matrix.csv``: one row per cell, for spreadsheets and scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import catalogue
from harness.model import Cell, Verdict
from harness.report import Result, provenance
from harness.report.safe import write_csv

COLUMNS = (
    "operation",
    "variant",
    "channel",
    "region",
    "verdict",
    "calls",
    "logged",
    "records",
    "expected_records",
    "duplicates",
    "names",
    "statuses",
    "joined_by",
    "wrong_fields",
    "payload_sent",
    "payload_recovered",
    "payload_lost",
    "delay_n",
    "delay_min_seconds",
    "delay_p50_seconds",
    "delay_p90_seconds",
    "delay_max_seconds",
    "level",
    "twins",
    "reason",
    "target",
    "target_note",
    "clock_factor",
)


def row(cell: Cell, result: Result) -> dict[str, Any]:
    """Return a cell as a row; numbers stay numbers, missing ones are None."""
    operation = catalogue.find(cell.operation)
    ran = cell.verdict is not Verdict.NOT_RUN
    delay = cell.delay
    return {
        "operation": cell.operation,
        "variant": cell.variant,
        "channel": cell.channel,
        "region": result.facts.get("region", ""),
        "verdict": cell.verdict.value,
        "calls": cell.calls,
        "logged": cell.logged,
        "records": cell.records,
        "expected_records": cell.expected if ran else None,
        "duplicates": cell.duplicates,
        "names": " ".join(cell.names),
        "statuses": "; ".join(f"{status}: {n}" for status, n in cell.statuses.items()),
        "joined_by": "; ".join(f"{way}: {n}" for way, n in cell.joins.items()),
        "wrong_fields": " ".join(sorted({str(w["field"]) for w in cell.wrong})),
        "payload_sent": cell.payload["sent"] if cell.payload else None,
        "payload_recovered": cell.payload["recovered"] if cell.payload else None,
        "payload_lost": " ".join(cell.payload["lost"]) if cell.payload else "",
        "delay_n": delay.n if delay else None,
        "delay_min_seconds": delay.min_seconds if delay else None,
        "delay_p50_seconds": delay.median_seconds if delay else None,
        "delay_p90_seconds": delay.p90_seconds if delay else None,
        "delay_max_seconds": delay.max_seconds if delay else None,
        "level": operation.level.value if operation else "",
        "twins": " ".join(operation.twins) if operation else "",
        "reason": cell.reason,
        **provenance(result.facts),
    }


def write(result: Result) -> list[Path]:
    """Write the file; text that a spreadsheet would take for a formula is quoted."""
    path = result.folder / "matrix.csv"
    write_csv(path, COLUMNS, (row(cell, result) for cell in result.cells))
    return [path]
