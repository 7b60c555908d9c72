"""One file per output; each takes a ``Result`` and writes its file into the run's folder."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.analyse.executions import Execution
from harness.analyse.join import Pair
from harness.errors import JournalError, UsageError
from harness.model import Call, Cell, Delivery, Record, Reject


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """Everything that a report may show of a run. Equal only to itself, so that what is derived from it can be kept.

    Attributes:
        polls: When the complete polls of each channel began.
        executions: How every execution ended, in the plan's order.
    """

    folder: Path
    facts: Mapping[str, Any]
    cells: Sequence[Cell]
    calls: Sequence[Call]
    paired: Sequence[tuple[Record, Delivery, Pair | None]]
    unmatched: int
    deliveries: Mapping[str, Mapping[str, int]]
    rejects: Sequence[tuple[Reject, str]] = field(default_factory=tuple)
    polls: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    executions: Sequence[Execution] = ()

    @property
    def headline(self) -> str:
        """The line that every output carries first: target, what it proves, clock."""
        return headline(self.facts)


def headline(facts: Mapping[str, Any]) -> str:
    """Return target, honesty note and clock factor of a run in one line."""
    parts = [f"Target: {facts['target']}"]
    if facts.get("note"):
        parts[0] += f" ({facts['note']})"
    factor = float(facts.get("clock_factor", 1))
    parts.append(f"clock x{factor:g}" if factor != 1 else "real time")
    if facts.get("interrupted"):
        parts.append(f"interrupted in {facts['interrupted']}")
    return " · ".join(parts)


def moment(at: datetime) -> str:
    """Return a time as it is told to people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def clock_note(factor: float) -> str:
    """Return what is said after a time that is not of everybody's clock."""
    return "" if factor == 1 else " on the run's clock"


def provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every row and document of a file for programs carries: target, what it proves, clock."""
    return {
        "target": facts["target"],
        "target_note": facts.get("note", ""),
        "clock_factor": facts.get("clock_factor", 1),
    }


def without_channels(facts: Mapping[str, Any]) -> str:
    """Return why nothing was measured in a run; an empty text where channels were."""
    if facts.get("channels", True):
        return ""
    return str(facts.get("no_logs") or "the run was made without any channel")


def require_channels(facts: Mapping[str, Any], folder: Path) -> None:
    """Refuse a run that has no coverage matrix, because it had no channels.

    Raises:
        UsageError: It had none.
    """
    why = without_channels(facts)
    if why:
        raise UsageError(
            f"the run in {folder} has no coverage matrix ({why}): nothing was measured; executions.csv in it says how"
            " its calls ended"
        )


def unwritten(what: str, error: OSError) -> JournalError:
    """Return the error that says that reports cannot be written, and what to do."""
    refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    hint = "copy the run's folder to where you may write, and give the copy" if refused else "is the disk full?"
    return JournalError(f"cannot write {what}: {error} ({hint})")


def write_all(result: Result) -> list[Path]:
    """Write every file of a run.

    Raises:
        JournalError: A file cannot be written.
    """
    from harness.report import (  # noqa: PLC0415 - pandas and scipy load slowly
        delay,
        executions_csv,
        html,
        logjam_tables,
        matrix_csv,
        matrix_json,
        matrix_md,
        parquet,
    )

    writers = (matrix_csv, matrix_json, matrix_md, parquet, executions_csv, delay, logjam_tables, html)
    try:
        return [path for writer in writers for path in writer.write(result)]
    except OSError as error:
        raise unwritten(f"the reports in {result.folder}", error) from error
