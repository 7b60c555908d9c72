"""What drift compares of a run: names, verdicts, statuses, categories, fields and delays, without a volatile value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.model import Verdict

CATEGORY_FIELD = "eventCategory"
MANAGEMENT_FIELD = "managementEvent"
COUNT_FIELD = "field_count"
KEPT_VALUES = (
    CATEGORY_FIELD,
    MANAGEMENT_FIELD,
    COUNT_FIELD,
    "eventSource",
    "eventType",
    "eventVersion",
    "readOnly",
    "userIdentity.type",
    "additionalEventData.AuthenticationMethod",
    "additionalEventData.SignatureVersion",
    "authentication_type",
    "signature_version",
    "acl_required",
)
"""Fields whose values are part of the logging behaviour: few values, none of them an account's."""


class CellId(NamedTuple):
    """Which cell of the matrix."""

    operation: str
    variant: str
    channel: str

    def __str__(self) -> str:
        return f"{self.operation}[{self.variant}-{self.channel}]"


class Presence(NamedTuple):
    """A field in a cell: its class (``catalogue/fields.csv``), and how many records have a value in it."""

    kind: str
    present: int


class DelayClass(NamedTuple):
    """Calls whose delays are compared as one distribution (docs/measurement.md)."""

    channel: str
    region: str
    category: str
    access: str

    def __str__(self) -> str:
        return " ".join(part for part in self[1:] if part)


class Delays(NamedTuple):
    """Delays of one class, each as two bounds in seconds: equal if seen, the upper one infinite if censored."""

    bounds: tuple[tuple[float, float], ...] = ()

    @property
    def censored(self) -> int:
        """How many were not seen to end."""
        return sum(1 for _, upper in self.bounds if upper == math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellShot:
    """One cell, reduced to what two runs have in common when nothing has drifted.

    Attributes:
        examined: Records whose fields were looked at (the calls' own ones).
        statuses: HTTP status and error code of the calls.
        fields: Class and presence by name; list indices are left out of the names.
        values: Values of ``KEPT_VALUES``, as texts.
        wrong: Fields with a value that does not follow from the call, with an example (``""`` in a baseline).
    """

    verdict: Verdict
    calls: int = 0
    logged: int = 0
    records: int = 0
    expected: int = 0
    examined: int = 0
    names: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    fields: Mapping[str, Presence] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def seen(self) -> bool:
        """Whether any call of the cell has a record."""
        return self.verdict in (Verdict.LOGGED, Verdict.PARTLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Where the evidence for a cell is: call numbers, and the records' names with their log files."""

    calls: tuple[int, ...] = ()
    records: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One side of a comparison: a run, a matrix alone, or a stored baseline.

    Attributes:
        source: The file or folder that it was read from.
        run: Versions, seed, repeats and times of the run.
        delays: By class; empty where only summaries were at hand, and ``no_delays`` says so.
        witnesses: By cell; a baseline has none.
    """

    source: str
    headline: str
    target: str
    target_note: str = ""
    clock_factor: float = 1.0
    run: Mapping[str, object] = field(default_factory=dict)
    cells: Mapping[CellId, CellShot] = field(default_factory=dict)
    delays: Mapping[DelayClass, Delays] = field(default_factory=dict)
    no_delays: str = ""
    witnesses: Mapping[CellId, Witness] = field(default_factory=dict)
