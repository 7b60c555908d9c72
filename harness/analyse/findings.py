"""Findings: what a difference between two runs is called, how grave it is, and where its evidence is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from harness.analyse.snapshot import CellId

ALL = "*"
"""In a finding's cell: all operations, or all variants of one."""


class Severity(StrEnum):
    """How much a finding matters to somebody who relies on the logs."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Kind(StrEnum):
    """What kind of difference a finding is."""

    VANISHED = "vanished"
    APPEARED = "appeared"
    RENAMED = "renamed"
    CATEGORY = "category"
    RECORD_LOST = "record-lost"
    RECORD_ADDED = "record-added"
    FIELD_MISSING = "missing-field"
    FIELD_NEW = "new-field"
    FIELD_CLASS = "reclassed-field"
    FIELD_COUNT = "field-count"
    VALUE = "changed-value"
    WRONG = "wrong-value"
    RIGHT = "right-again"
    DELAY = "delay"
    OUTCOME = "outcome"
    KNOWN_EXPIRED = "expired-deviation"
    KNOWN_STALE = "stale-deviation"


SEVERITY: Mapping[Kind, Severity] = {
    Kind.VANISHED: Severity.HIGH,
    Kind.APPEARED: Severity.MEDIUM,
    Kind.RENAMED: Severity.HIGH,
    Kind.CATEGORY: Severity.HIGH,
    Kind.RECORD_LOST: Severity.HIGH,
    Kind.RECORD_ADDED: Severity.MEDIUM,
    Kind.FIELD_MISSING: Severity.HIGH,
    Kind.FIELD_NEW: Severity.LOW,
    Kind.FIELD_CLASS: Severity.MEDIUM,
    Kind.FIELD_COUNT: Severity.MEDIUM,
    Kind.VALUE: Severity.MEDIUM,
    Kind.WRONG: Severity.HIGH,
    Kind.RIGHT: Severity.LOW,
    Kind.DELAY: Severity.MEDIUM,
    Kind.OUTCOME: Severity.LOW,
    Kind.KNOWN_EXPIRED: Severity.MEDIUM,
    Kind.KNOWN_STALE: Severity.MEDIUM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where one side of a finding can be looked up."""

    side: str
    cell: str
    source: str
    calls: tuple[int, ...] = ()
    records: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        parts = [f"{self.side} {self.cell}".rstrip()]
        parts += [f"call {', '.join(map(str, self.calls))}"] if self.calls else []
        parts += [f"record {', '.join(self.records)}"] if self.records else []
        parts += [self.note] if self.note else []
        return "; ".join([*parts, f"in {', '.join(self.files) or self.source}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference.

    Attributes:
        cell: Where: operation, variant and channel; ``*`` for all of them.
        subject: What: a field, a pair of names; ``""`` where the kind says it all.
        cells: Every cell that shows it.
    """

    kind: Kind
    cell: CellId
    subject: str
    title: str
    cells: tuple[CellId, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def id(self) -> str:
        """The same in every run that shows the same difference."""
        return sha256("\0".join((self.kind, *self.cell, self.subject)).encode()).hexdigest()[:12]

    @property
    def severity(self) -> Severity:
        """By kind, from ``SEVERITY``."""
        return SEVERITY[self.kind]
