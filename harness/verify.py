"""Holds a run against documented tables, claims or a user's own table, and writes the verification into its folder."""

from __future__ import annotations

from pathlib import Path

from harness.analyse.claims import check_claims
from harness.analyse.verify import Check, Seen, check_table
from harness.catalogue import documented
from harness.errors import UsageError
from harness.folders import run_folder
from harness.journal import FILE_NAME, Journal
from harness.report import require_channels, verification
from harness.report.verification import VerifyResult
from harness.run import read

__all__ = ["CLAIMS", "DEFAULT", "VerifyResult", "verify"]

CLAIMS = "claims"
DEFAULT = "aws-2026"
_ARTICLE = "netskope-2019"


def verify(run: str | Path, against: str | Path = DEFAULT) -> VerifyResult:
    """Hold a run against documented statements and write ``verification.csv``, ``.md`` and ``.json`` into its folder.

    Args:
        run: The run's folder, or ``results/latest``.
        against: A name of ``documented.TABLES``, ``claims``, or the path of a user's own CSV (docs/verify.md).

    Returns:
        The lines; its ``exit_code`` is 0 when nothing is contradicted, else 1.

    Raises:
        UsageError: There is no such run, table or file, or the file says what no table can.
        JournalError: The journal cannot be read, or the files cannot be written.
    """
    name = str(against)
    statements: tuple[documented.Claim, ...] = ()
    if name in documented.TABLES:
        title, statements = documented.TABLES[name], documented.table(name)
    elif name == CLAIMS:
        title = "58 claims about the two logs"
    else:
        title, statements = name, _own(Path(against))
    folder = run_folder(run)
    with Journal(folder / FILE_NAME) as journal:
        measured = read(journal, folder)
    require_channels(measured.facts, folder)
    seen = Seen.of(measured.cells, measured.calls, measured.paired)
    checks: list[Check] = check_table(statements, seen, name, whole=name != _ARTICLE)
    if name in (CLAIMS, _ARTICLE):
        checks += check_claims((c for c in documented.claims() if name == CLAIMS or c.id.startswith("NS-")), seen)
    result = VerifyResult(folder=folder, facts=measured.facts, against=name, title=title, checks=tuple(checks))
    verification.write(result)
    return result


def _own(path: Path) -> tuple[documented.Claim, ...]:
    if not path.is_file():
        there = ", ".join((*documented.TABLES, CLAIMS))
        raise UsageError(f"there is no table {path}: give {there}, or the path of a CSV file")
    return documented.read(path)
