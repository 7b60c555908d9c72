"""Tells one operation's records from all others: by their name, and where that is shared, by what the wire form shows.

The conditions are abstract, so that one and the same selection is checked against records here and written in every
query language by ``report/filters.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

from harness import catalogue
from harness.catalogue.fields import RELATED
from harness.model import CLOUDTRAIL, SERVER_ACCESS, FieldValue, Level, Operation, Record

PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:/-]+")
"""What a name may hold to get into a query: log text is hostile."""
S3_EVENTS = "s3.amazonaws.com"
EXPRESS_EVENTS = "s3express.amazonaws.com"
_DIRECTORY_BUCKETS = ("CreateSession", "ListDirectoryBuckets", "RenameObject")
"""Calls that only directory buckets know; their events come from another source (S3 User Guide, Logging with AWS
CloudTrail for S3 Express One Zone, April 2026)."""


class Test(StrEnum):
    """What is asked of a field."""

    ONE_OF = "one of"
    NONE_OF = "none of"
    PRESENT = "present"
    ABSENT = "absent"
    QUERY = "has the query parameter"
    NO_QUERY = "lacks the query parameter"


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on a record; all conditions of a selection must hold.

    Attributes:
        field: Name of the field in the channel.
        values: For ``ONE_OF`` and ``NONE_OF`` the values; for a query parameter its name.
    """

    field: str
    test: Test
    values: tuple[str, ...] = ()

    def holds(self, record: Record) -> bool:
        """Tell whether a record fulfils the condition."""
        value: FieldValue = record.fields.get(self.field)
        match self.test:
            case Test.ONE_OF:
                return value in self.values
            case Test.NONE_OF:
                return value not in self.values
            case Test.PRESENT:
                return value is not None
            case Test.ABSENT:
                return value is None
        return bool(re.search(rf"[?&]{re.escape(self.values[0])}=", str(value or ""))) == (self.test is Test.QUERY)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.field, self.test.value, ", ".join(self.values))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The conditions that select one operation's own records in one channel.

    Attributes:
        terms: All of them must hold.
        siblings: Operations with the same name, which the terms beside the name keep out.
        inside: Operations whose inner records (copy source, batch member) have the same name and are kept out.
        twins: Operations with the same wire form: no condition tells them apart.
        alike: Operations and forms with the same name that this channel cannot tell apart, though a request differs.
    """

    channel: str
    terms: tuple[Term, ...]
    siblings: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()

    def matches(self, record: Record) -> bool:
        """Tell whether a record is selected."""
        return all(term.holds(record) for term in self.terms)


def event_source(operation: Operation) -> str:
    """Return the event source that documents give an operation's CloudTrail events."""
    return EXPRESS_EVENTS if operation.name in _DIRECTORY_BUCKETS else S3_EVENTS


def select(
    channel: str,
    operation: Operation,
    names: Sequence[str],
    others: Iterable[str],
    inside: Iterable[str] = (),
    sources: Sequence[str] = (),
) -> Selection:
    """Return what selects an operation's own records.

    Args:
        channel: ``cloudtrail`` or ``server-access``.
        names: The names of its records.
        others: Operations whose own records have one of these names too.
        inside: Operations inside whose calls records of one of these names are written.
        sources: Event sources that were observed; without them the documented one.
    """
    assert channel in (CLOUDTRAIL, SERVER_ACCESS), channel
    terms: list[Term] = []
    if channel == CLOUDTRAIL:
        terms.append(Term("eventSource", Test.ONE_OF, tuple(sources) or (event_source(operation),)))
    terms.append(Term("eventName" if channel == CLOUDTRAIL else "operation", Test.ONE_OF, tuple(names)))
    told: list[str] = []
    alike: list[str] = []
    for name in others:
        other = catalogue.find(name)
        if other is None or name == operation.name or name in operation.twins:
            continue
        further = list(_apart(channel, operation, other))
        (told if further else alike).append(name)
        terms += further
    inner = tuple(name for name in inside if name != operation.name)
    if inner:
        marks = ((f, v) for (c, f), v in RELATED.items() if c == channel and f not in ("eventName", "operation"))
        terms += [Term(name, Test.NONE_OF, tuple(sorted(values))) for name, values in marks]
    return Selection(
        channel=channel,
        terms=tuple(dict.fromkeys(terms)),
        siblings=tuple(told),
        inside=inner,
        twins=operation.twins,
        alike=tuple(alike),
    )


def _apart(channel: str, one: Operation, other: Operation) -> Iterable[Term]:
    """Yield what a log shows of the difference between two wire forms."""
    if "form" in (one.service, other.service):
        return
    if (one.level is Level.OBJECT) != (other.level is Level.OBJECT):
        key = "requestParameters.key" if channel == CLOUDTRAIL else "key"
        yield Term(key, Test.PRESENT if one.level is Level.OBJECT else Test.ABSENT)
        return
    mine, theirs = _query(one), _query(other)
    ask = _in_trail if channel == CLOUDTRAIL else _in_uri
    yield from (ask(name, True) for name in sorted(mine - theirs))
    yield from (ask(name, False) for name in sorted(theirs - mine))


def _query(operation: Operation) -> set[str]:
    """Names of the query parameters that a request must have; a sub-resource without a value is in the name already."""
    fixed = {name for name, value in parse_qsl(operation.uri.partition("?")[2], keep_blank_values=True) if value}
    needed = {part.removeprefix("query:") for part in operation.subresource.split() if part.startswith("query:")}
    return fixed | needed


def _in_trail(name: str, there: bool) -> Term:
    return Term(f"requestParameters.{name}", Test.PRESENT if there else Test.ABSENT)


def _in_uri(name: str, there: bool) -> Term:
    return Term("request_uri", Test.QUERY if there else Test.NO_QUERY, (name,))
