"""``executions.csv``: how every execution ended, whatever its records say; all there is of a run without channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.analyse.executions import Execution
from harness.report import Result, provenance
from harness.report.safe import write_csv

COLUMNS = (
    "operation",
    "variant",
    "region",
    "repeat",
    "ending",
    "statuses",
    "reason",
    "failure",
    "target",
    "target_note",
    "clock_factor",
)


def row(execution: Execution, result: Result) -> dict[str, Any]:
    """Return an execution as a row."""
    return {
        "operation": execution.cell.operation,
        "variant": execution.cell.variant,
        "region": result.facts.get("region", ""),
        "repeat": execution.repeat,
        "ending": execution.ending.value,
        "statuses": "; ".join(execution.statuses),
        "reason": execution.reason,
        "failure": execution.failure,
        **provenance(result.facts),
    }


def write(result: Result) -> list[Path]:
    """Write the file."""
    path = result.folder / "executions.csv"
    write_csv(path, COLUMNS, (row(each, result) for each in result.executions))
    return [path]
