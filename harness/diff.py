"""Compares two runs, or a run with a stored baseline: reads both sides, takes the known deviations out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.analyse import drift
from harness.analyse.cases import DiffResult
from harness.analyse.known import Deviation, parse, sort_out
from harness.analyse.moved import DEFAULT, Limits, incomparable_delays
from harness.analyse.snapshot import Snapshot
from harness.errors import UsageError
from harness.report.snapshots import load

__all__ = ["DiffResult", "Reference", "diff", "read_known", "reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a run is held against, read before the run is made.

    Attributes:
        path: Of the baseline or the run; not ``latest``, which moves on.
        known_path: Of the known deviations.
    """

    path: Path
    known_path: Path | None
    before: Snapshot
    known: tuple[Deviation, ...]

    def held(self, run: Path, limits: Limits = DEFAULT) -> DiffResult:
        """Return what differs in a run.

        Raises:
            UsageError: It cannot be read or understood.
        """
        now = load(run)
        found = drift.compare(self.before, now, limits)
        left_out = drift.incomparable(self.before, now)
        compared = self.before.cells.keys() & now.cells.keys() - left_out.keys()
        today = datetime.now(UTC).date()
        findings, excused = sort_out(found, self.known, compared, today, str(self.known_path))
        return DiffResult(
            a=self.before,
            b=now,
            findings=tuple(findings),
            excused=tuple(excused),
            incomparable=left_out,
            incomparable_delays=incomparable_delays(self.before, now, limits),
        )

    def command(self, run: Path) -> str:
        """Return the command line that holds a run against this."""
        known = f" --known {self.known_path}" if self.known_path else ""
        return f"s3logjam diff {self.path} {run}{known}"


def reference(baseline: Path | None, known: Path | None = None) -> Reference | None:
    """Read a baseline, or another run, and the known deviations from it; None where there is no baseline.

    Raises:
        UsageError: A file cannot be read or understood, or there are deviations from nothing.
    """
    if baseline is None:
        if known is not None:
            raise UsageError("--known goes with --baseline: known deviations are deviations from one")
        return None
    entries = tuple(read_known(known))
    path = baseline.resolve() if baseline.is_symlink() else baseline
    return Reference(path=path, known_path=known, before=load(path), known=entries)


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
    against = reference(a, known)
    assert against is not None
    return against.held(b, limits)


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
