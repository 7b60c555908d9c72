"""Delay and loss of a run: per channel, region and class of operation, on clocks that were set against each other.

What is counted how stands in docs/measurement.md.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
        expected = [c for c in calls if c.role in (Role.SUBJECT, Role.CONTROL) and c.expected.get(channel, 0) > 0]
        seen = [_see(call, pairs(call, channel), watch, offset) for call in expected]
        told = _told(seen)
        groups: defaultdict[tuple[str, str, str], list[_Seen]] = defaultdict(list)
        for each in seen:
            category, access = _class(each.call, *told[_operation(each.call)])
            host = _REGION.search(each.call.host)
            for kind in ((ALL, ALL), (category, ALL), (category, access)):
                groups[host[1] if host else region, *kind].append(each)
        overtaken = _overtaken(seen)
        order = sorted(groups, key=lambda key: [(word != ALL, word) for word in key])
        found += [_row(channel, key, groups[key], watch, overtaken) for key in order]
    return found


def _see(call: Call, pairs: Sequence[Pair], watch: Watch, offset: Offset) -> _Seen:
    """Take a call's delay from its own record; where there is none, from one about something inside it."""
    completed = call.received_at or call.sent_at
    own = [pair for pair in pairs if not is_related(pair.record)] or pairs
    arrivals = [(delivery.arrived_at, pair.record, delivery) for pair in own for delivery in pair.deliveries]
    if not arrivals:
        followed = (watch.polled_at - completed).total_seconds() if watch.polled_at else 0.0
        return _Seen(call, pairs, Observation.censored(max(0.0, followed)), None, followed >= watch.absence_seconds)
    at, record, delivery = min(arrivals, key=lambda each: each[0])
    if watch.polls:
        seen = (delivery.seen_at - completed).total_seconds()
        earlier = bisect_right(watch.polls, delivery.seen_at) - 2  # the poll before the one that saw it
        unseen = (watch.polls[earlier] - completed).total_seconds() if earlier >= 0 else 0.0
        observation = Observation(min(max(0.0, unseen), seen), seen)
    else:
        # What a stamp names is later than the stamp by half its resolution, on average.
        delay = (at - completed).total_seconds() - offset.seconds + watch.stamp_seconds / 2
        observation = Observation.exact(delay)
    return _Seen(call, pairs, observation, (record, delivery), missing=False)


def _operation(call: Call) -> str:
    return call.cell.operation if call.cell else call.operation


def _told(seen: Iterable[_Seen]) -> defaultdict[str, tuple[Counter[str], Counter[str]]]:
    """Count what an operation's records say of its category and access: it holds for calls without a record too."""
    told: defaultdict[str, tuple[Counter[str], Counter[str]]] = defaultdict(lambda: (Counter(), Counter()))
    for each in seen:
        fields = each.first[0].fields if each.first else {}
        if fields.get("eventCategory"):
            told[_operation(each.call)][0][str(fields["eventCategory"]).lower()] += 1
        if fields.get("readOnly") is not None:
            told[_operation(each.call)][1]["read" if fields["readOnly"] in (True, "true") else "write"] += 1
    return told


def _class(call: Call, categories: Counter[str], accesses: Counter[str]) -> tuple[str, str]:
    """Return category and access: what most records say, else what follows from the catalogue's level and the method."""
    known = catalogue.find(_operation(call))
    is_data = known.level is Level.OBJECT if known else call.key is not None
    is_read = call.method in READ_METHODS or _operation(call) in READ_OPERATIONS
    return (
        categories.most_common(1)[0][0] if categories else "data" if is_data else "management",
        accesses.most_common(1)[0][0] if accesses else "read" if is_read else "write",
    )


def _overtaken(seen: Iterable[_Seen]) -> set[int]:
    """Return the numbers of the calls whose record came after that of a call completed later."""
    came = [(s.call.received_at or s.call.sent_at, s.call.number, s.first[1].arrived_at) for s in seen if s.first]
    found, earliest = set(), datetime.max.replace(tzinfo=UTC)
    for _, number, arrived_at in sorted(came, reverse=True):
        if arrived_at > earliest:
            found.add(number)
        earliest = min(earliest, arrived_at)
    return found


def _row(channel: str, key: tuple[str, str, str], seen: Sequence[_Seen], watch: Watch, overtaken: set[int]) -> DelayRow:
    answered = [each for each in seen if each.call.status is not None]
    logged = [each for each in answered if each.first]
    missing = sum(each.missing for each in answered)
    pairs = [pair for each in answered for pair in each.pairs]
    observations = tuple(each.observation for each in answered)
    firsts = [each.first for each in logged if each.first]
    return DelayRow(
        channel=channel,
        region=key[0],
        category=key[1],
        access=key[2],
        calls=len(answered),
        logged=len(logged),
        missing=missing,
        pending=len(answered) - len(logged) - missing,
        unanswered=len(seen) - len(answered),
        records=len(pairs),
        files=len({delivery.name for _, delivery in firsts}),
        duplicates=sum(len(pair.deliveries) - 1 for pair in pairs),
        late=sum(each.observation.lower_seconds > watch.absence_seconds for each in logged),
        out_of_order=sum(each.call.number in overtaken for each in logged),
        wrong_hour_arrival=_wrong_hour((delivery, delivery.arrived_at) for _, delivery in firsts),
        wrong_hour_event=_wrong_hour((delivery, record.event_time) for record, delivery in firsts),
        loss=loss(len(logged), missing, len(answered) - len(logged) - missing),
        estimate=estimate(observations),
        observations=observations,
    )


def _wrong_hour(times: Iterable[tuple[Delivery, datetime | None]]) -> int | None:
    """Count the deliveries that are named after another hour than that of a time; None where no name tells one."""
    named = [(_FILE_HOUR.search(delivery.name), at) for delivery, at in times if at]
    told = [("".join(part for part in hour.groups() if part), at) for hour, at in named if hour]
    return sum(hour != f"{at.astimezone(UTC):%Y%m%d%H}" for hour, at in told) if told else None
