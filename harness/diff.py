"""Compares two runs, or a run with a stored baseline: reads both sides, takes the known deviations out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from harness.analyse import drift
from harness.analyse.cases import DiffResult
from harness.analyse.known import Deviation, parse, sort_out
from harness.analyse.moved import DEFAULT, Limits, incomparable_delays
from harness.errors import UsageError
from harness.report.snapshots import load

__all__ = ["DiffResult", "diff", "read_known"]


def diff(a: Path, b: Path, known: Path | None = None, *, limits: Limits = DEFAULT) -> DiffResult:
    """Return what differs between two runs.

    Args:
        a: What is held against: a run's folder, a ``matrix.json`` or a ``baseline.json``.
        b: What was measured now, in any of these forms.
        known: The file of known deviations.
        limits: When a delay distribution or a share counts as moved.

    Raises:
        UsageError: A file cannot be read or understood.
    """
    entries = read_known(known)
    before, now = load(a), load(b)
    found = drift.compare(before, now, limits)
    left_out = drift.incomparable(before, now)
    compared = before.cells.keys() & now.cells.keys() - left_out.keys()
    findings, excused = sort_out(found, entries, compared, datetime.now(UTC).date(), str(known))
    return DiffResult(
        a=before,
        b=now,
        findings=tuple(findings),
        excused=tuple(excused),
        incomparable=left_out,
        incomparable_delays=incomparable_delays(before, now, limits),
    )


def read_known(path: Path | None) -> list[Deviation]:
    """Read a file of known deviations; without one there are none.

    Raises:
        UsageError: It cannot be read or understood.
    """
    if path is None:
        return []
    try:
        return parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read the known deviations {path}: {error}") from error
