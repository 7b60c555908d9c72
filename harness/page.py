"""Writes the HTML report of a finished or interrupted run, with what differs from a baseline where one is given."""

from __future__ import annotations

from pathlib import Path

from harness.diff import reference
from harness.folders import run_folder
from harness.journal import FILE_NAME, Journal
from harness.report import html
from harness.run import read

__all__ = ["write_page"]


def write_page(run: str | Path, baseline: Path | None = None, known: Path | None = None) -> Path:
    """Write ``report.html`` into a run's folder, and no other file.

    Args:
        run: The run's folder, or ``results/latest``.
        baseline: A run or a stored baseline: its differences become the page's drift table.
        known: The file of known deviations from it.

    Returns:
        The file.

    Raises:
        UsageError: There is no such run, the baseline cannot be read, or there are deviations from none.
        JournalError: The journal cannot be read, or the file not written.
    """
    folder = run_folder(run)
    against = reference(baseline, known)
    drift = against.held(folder) if against else None
    with Journal(folder / FILE_NAME) as journal:
        return html.write(read(journal, folder), drift)[0]
