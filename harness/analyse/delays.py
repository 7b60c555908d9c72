"""Delay and loss of a run: per channel, region and class of operation, on clocks that were set against each other.

What is counted how stands in docs/measurement.md.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from harness import catalogue
from harness.analyse.delay import STAMP_SECONDS
from harness.analyse.join import Pair
from harness.analyse.survival import Estimate, Loss, Observation, estimate, loss
from harness.catalogue.fields import is_related
from harness.model import Call, Delivery, Level, Record, Role

ALL = "all"
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READ_OPERATIONS = frozenset({"SelectObjectContent"})
"""Reads that are sent as POST."""
_REGION = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.")
_FILE_HOUR = re.compile(r"(?:_(\d{4})(\d\d)(\d\d)T(\d\d)\d\dZ_|(\d{4})-(\d\d)-(\d\d)-(\d\d)-\d\d-\d\d-)[^/]*$")
"""CloudTrail's ``_20260401T1305Z_`` and the access log's ``2026-04-01-13-07-59-`` at the end of an object's key."""

PairsOf = Callable[[Call, str], Sequence[Pair]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a channel was watched.

    Attributes:
        absence_seconds: How long a record may be on its way.
        polled_at: When the last complete poll began; None where there was none.
        polls: For a channel without arrival stamps, when its complete polls began: a delay is then an interval.
        stamp_seconds: What arrival stamps are cut to.
    """

    absence_seconds: float
    polled_at: datetime | None = None
    polls: tuple[datetime, ...] = ()
    stamp_seconds: float = STAMP_SECONDS


@dataclass(frozen=True, slots=True)
class Offset:
    """What the servers' clock is ahead of the client's, by how much that may be wrong, and how many calls agree."""

    seconds: float = 0.0
    uncertainty_seconds: float | None = None
    agreeing: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayRow:
    """Delay and loss of one class of calls in one channel.

    Attributes:
        category, access: ``management`` or ``data``, ``read`` or ``write``; ``all`` for their sum.
        calls: Answered calls that should be logged: ``logged``, ``missing`` (waiting time over) or ``pending``.
        unanswered: Calls without an answer, of which nobody knows whether they were received; not in ``calls``.
        records, files: Distinct records of the calls, and the deliveries that brought them first.
        duplicates: Deliveries of a record beyond its first.
        late: Calls whose record came after the channel's waiting time.
        out_of_order: Calls whose record came after that of a call completed later.
        wrong_hour_arrival, wrong_hour_event: Calls whose record lies in a file that is named after another hour than
            that of its arrival, or of the event; None where names of deliveries tell no hour.
        observations: What the estimate rests on, one per call.
    """

    channel: str
    region: str
    category: str
    access: str
    calls: int
    logged: int
    missing: int
    pending: int
    unanswered: int
    records: int
    files: int
    duplicates: int
    late: int
    out_of_order: int
    wrong_hour_arrival: int | None
    wrong_hour_event: int | None
    loss: Loss | None
    estimate: Estimate | None
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One call in one channel; ``first`` is the record that its delay is taken from."""

    call: Call
    pairs: Sequence[Pair]
    observation: Observation
    first: tuple[Record, Delivery] | None
    missing: bool


def watches(facts: Mapping[str, Any]) -> dict[str, Watch]:
    """Return how each channel of a run was watched, from the journal's facts."""
    polled_at, polls = facts.get("polled_at", {}), facts.get("polls", {})
    return {
        channel: Watch(
            absence_seconds=absence_seconds,
            polled_at=datetime.fromisoformat(polled_at[channel]) if channel in polled_at else None,
            polls=tuple(datetime.fromisoformat(each) for each in polls.get(channel, ())),
        )
        for channel, absence_seconds in facts.get("absence_seconds", {}).items()
    }


def pairs_of(paired: Iterable[tuple[Record, Delivery, Pair | None]]) -> PairsOf:
    """Return the distinct records of a call in a channel, from all records in the order of reading."""
    found: defaultdict[tuple[int, str], dict[str, Pair]] = defaultdict(dict)
    for record, _, pair in paired:
        if pair:  # The last of several knows all deliveries.
            found[pair.call.number, record.channel][record.identity] = pair
    return lambda call, channel: list(found.get((call.number, channel), {}).values())


def clock_offset(calls: Iterable[Call]) -> Offset:
    """Estimate what S3's clock is ahead of the client's, from Date headers of whole seconds.

    While a call runs, the true time lies within the second that the header names. Each call so bounds the offset; what
    most bounds have in common is taken (Marzullo's algorithm), its middle with half its width as the uncertainty.
    """
    bounds = [
        ((call.server_date - call.received_at).total_seconds(), (call.server_date - call.sent_at).total_seconds() + 1)
        for call in calls
        if call.service == "s3" and call.server_date and call.received_at
    ]
    if not bounds:
        return Offset()
    edges = sorted([(low, -1) for low, _ in bounds] + [(high, 1) for _, high in bounds])
    agreeing = -np.cumsum([kind for _, kind in edges])
    at = int(np.argmax(agreeing))
    low, high = edges[at][0], edges[at + 1][0]
    return Offset((low + high) / 2, (high - low) / 2, int(agreeing[at]), len(bounds))


def rows(
    calls: Sequence[Call], pairs: PairsOf, channels: Mapping[str, Watch], region: str, offset: Offset | None = None
) -> list[DelayRow]:
    """Return delay and loss per channel, region and class: first all classes together, then each, finer and finer.

    Counted are subject and control calls whose scenario expects a record in the channel.

    Args:
        calls: Every call of the run.
        pairs: Returns the records of a call in a channel.
        channels: How each channel was watched.
        region: Of calls whose host names none.
        offset: Of the servers' clock; estimated from the calls where it is not given.
    """
    offset = offset or clock_offset(calls)
    found = []
    for channel, watch in channels.items():
        expected = [
            c for c in calls if c.role in (Role.SUBJECT, Role.CONTROL) and c.expected.get(channel, 0) > 0
        ]
        answered = [c for c in expected if c.status is not None]
        classify = _classes(channel, {c.number: pairs(c, channel) for c in answered}, answered)
        seen = [_see(c, pairs(c, channel), watch, offset) for c in answered]
        overtaken = _overtaken(seen)
        groups: defaultdict[tuple[str, str, str], list[_Seen]] = defaultdict(list)
        unanswered: Counter[tuple[str, str, str]] = Counter()
        for each in seen:
            for key in _keys(each.call, classify, region):
                groups[key].append(each)
        for call in expected:
            if call.status is None:
                unanswered.update(_keys(call, classify, region))
        for key in sorted(groups.keys() | unanswered.keys(), key=lambda k: (k[0], k[1] != ALL, k[1], k[2] != ALL, k[2])):
            found.append(_row(channel, key, groups[key], watch, unanswered[key], overtaken))
    return found
