"""Known deviations: a reviewed list of findings that are accepted, each with a reason and a day on which it ends."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from harness.analyse.findings import ALL, Evidence, Finding, Kind
from harness.analyse.snapshot import CellId
from harness.errors import UsageError

_KEYS = {"id", "cell", "kind", "subject", "reason", "expires"}
_FINDING_ID = re.compile(r"[0-9a-f]{12}")
_EXAMPLE = '[[deviation]] id = "…" (or cell = "PutBucketAcl[*-cloudtrail]"), reason = "…", expires = 2027-01-31'


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One reviewed entry.

    Attributes:
        id: Of a finding, or of a documented statement; or ``""``.
        cell, kind, subject: Globs (``*``, ``?``); all three must match. ``cell`` beside an id only says where it is.
        expires: The last day on which the entry counts.
        number: Its place in the file, from 1.
    """

    id: str
    cell: str
    kind: str
    subject: str
    reason: str
    expires: date
    number: int

    @property
    def name(self) -> str:
        """What tells the entry from the others."""
        return self.id or " ".join(part for part in (self.kind, self.cell, self.subject) if part)

    def matches(self, finding: Finding) -> bool:
        """Tell whether a finding is what the entry is about."""
        if self.id:
            return finding.id == self.id
        pairs = ((self.cell, str(finding.cell)), (self.kind, finding.kind.value), (self.subject, finding.subject))
        return all(not pattern or _like(pattern, text) for pattern, text in pairs)

    @property
    def is_about_statement(self) -> bool:
        """Whether the id is that of a documented statement, and not of a finding."""
        return bool(self.id) and not _FINDING_ID.fullmatch(self.id)

    def names(self, cell: str, statement: str) -> bool:
        """Tell whether a case is what the entry is about: by the id of its statement, or by its cell."""
        return self.id == statement if self.id else _like(self.cell, cell)

    def covers(self, cell: CellId) -> bool:
        """Tell whether a cell lies where the deviation is; an entry that does not say may be about any."""
        return not self.cell or _like(self.cell, str(cell))


def parse(text: str, source: str) -> list[Deviation]:
    """Read a file of known deviations (TOML).

    Args:
        text: Its content.
        source: Its name, for messages.

    Raises:
        UsageError: It is no TOML, holds something else, or an entry is incomplete.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not TOML: {error}") from error
    entries = document.pop("deviation", [])
    if document:
        raise UsageError(f"{source}: {', '.join(document)} is unknown: {_EXAMPLE}")
    return [_deviation(entry, f"{source}, deviation {n}", n) for n, entry in enumerate(_list(entries, source), 1)]


def _list(entries: object, source: str) -> list[object]:
    if not isinstance(entries, list):
        raise UsageError(f"{source}: write each entry as {_EXAMPLE}")
    return entries


def _deviation(entry: object, where: str, number: int) -> Deviation:
    if not isinstance(entry, dict) or (unknown := sorted(entry.keys() - _KEYS)):
        raise UsageError(
            f"{where}: {', '.join(unknown) if isinstance(entry, dict) else entry!r} is unknown: {_EXAMPLE}"
        )
    texts = {name: entry.get(name, "") for name in ("id", "cell", "kind", "subject", "reason")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise UsageError(f"{where}: id, cell, kind, subject and reason are texts: {_EXAMPLE}")
    if not (texts["id"] or texts["cell"] or texts["kind"]) or not texts["reason"].strip():
        raise UsageError(f"{where} needs an id, a cell or a kind, and a reason: {_EXAMPLE}")
    if type(expires := entry.get("expires")) is not date:
        raise UsageError(f"{where} needs the day on which it expires, as a TOML date without quotes: {_EXAMPLE}")
    return Deviation(**texts, expires=expires, number=number)


def sort_out(
    findings: Sequence[Finding], known: Iterable[Deviation], compared: Collection[CellId], today: date, source: str
) -> tuple[list[Finding], list[tuple[Finding, Deviation]]]:
    """Take known findings out, and add one for each entry that has expired or is no longer true.

    Args:
        findings: What ``drift.compare`` found.
        known: The entries.
        compared: The cells that could be compared: of the others nothing is known, so no entry about them is stale.
        today: Entries count up to and including their day of expiry.
        source: The entries' file.

    Returns:
        The findings that are left, and those that are known with their entry.
    """
    excused: dict[str, Deviation] = {}
    added = []
    for entry in (each for each in known if not each.is_about_statement):
        hits = [finding for finding in findings if entry.matches(finding)]
        if today > entry.expires:
            added.append(_about(entry, Kind.KNOWN_EXPIRED, f"expired on {entry.expires}", source))
        elif hits:
            excused |= {finding.id: entry for finding in hits if finding.id not in excused}
        elif any(entry.covers(cell) for cell in compared):
            added.append(_about(entry, Kind.KNOWN_STALE, "is no longer true: nothing matches it", source))
    left = [finding for finding in findings if finding.id not in excused]
    return left + added, [(f, excused[f.id]) for f in findings if f.id in excused]


def _about(entry: Deviation, kind: Kind, what: str, source: str) -> Finding:
    proof = Evidence(side="known", cell=entry.cell, source=source, note=f"deviation {entry.number}: {entry.reason}")
    title = f"known deviation {entry.name} {what}: review it"
    return Finding(kind=kind, cell=CellId(ALL, ALL, ALL), subject=entry.name, title=title, evidence=(proof,))


def _like(pattern: str, text: str) -> bool:
    """Match a glob in which brackets mean themselves, as they do in the names of cells."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None
