"""One file per output; each takes a ``Result`` and writes its file into the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.analyse.join import Pair
from harness.errors import JournalError
from harness.model import Call, Cell, Delivery, Record, Reject


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that a report may show of a run.

    Attributes:
        polls: When the complete polls of each channel began.
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


def provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every row and document of a file for programs carries: target, what it proves, clock."""
    return {
        "target": facts["target"],
        "target_note": facts.get("note", ""),
        "clock_factor": facts.get("clock_factor", 1),
    }


def write_all(result: Result) -> list[Path]:
    """Write every file of a run.

    Raises:
        JournalError: A file cannot be written.
    """
    from harness.report import (  # noqa: PLC0415 - pandas and scipy load slowly
        delay,
        logjam_tables,
        matrix_csv,
        matrix_json,
        matrix_md,
        parquet,
    )

    writers = (matrix_csv, matrix_json, matrix_md, parquet, delay, logjam_tables)
    try:
        return [path for writer in writers for path in writer.write(result)]
    except OSError as error:
        raise JournalError(f"cannot write the reports in {result.folder}: {error} (is the disk full?)") from error
