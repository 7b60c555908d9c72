"""Delay and loss of a run per channel, Region and class of operation (what is counted how: docs/measurement.md)."""

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
from harness.analyse.curve import Observation
from harness.analyse.delay import STAMP_SECONDS
from harness.analyse.join import Pair
from harness.analyse.survival import Estimate, Loss, estimate, loss
from harness.catalogue.fields import is_related
from harness.model import ACTOR, Call, Delivery, Level, Record, Role

ALL = "all"
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READ_OPERATIONS = frozenset({"SelectObjectContent"})
"""Reads that are sent as POST."""
_REGION = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.")
_FILE_HOUR = re.compile(r"(?:_(\d{4})(\d\d)(\d\d)T(\d\d)\d\dZ_|(\d{4})-(\d\d)-(\d\d)-(\d\d)-\d\d-\d\d-)[^/]*$")
"""The end of a key: CloudTrail's ``_20260401T1305Z_…``, the access log's ``2026-04-01-13-07-59-…``."""

PairsOf = Callable[[Call, str], Sequence[Pair]]


@dataclass(frozen=True, slots=True)
class Offset:
    """How far the servers' clock is ahead of the client's, and how many of the calls agree to that."""

    seconds: float = 0.0
    uncertainty_seconds: float | None = None
    agreeing: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayRow:
    """Delay and loss of one class of calls in one channel; ``all`` stands for the sum of classes.

    Attributes:
        calls: That should be logged and are: ``logged``, ``missing`` (the waiting time is over) or ``pending``.
        never_logged: Missing ones of which no repetition has a record: rather never logged than lost.
        unanswered: Further calls that got no answer: nobody knows whether they were received.
        records, files: Distinct records, and the files that brought each call's own first.
        duplicates: Deliveries of a record beyond its first.
        late: Calls whose record came after the waiting time.
        out_of_order: Calls whose record came after that of a call completed later.
        wrong_hour_arrival, wrong_hour_event: Calls whose record came in a file named after another hour than that of
            its arrival, or of the event; None where no name tells an hour.
        observations: One per call: what the estimate rests on.
    """

    channel: str
    region: str
    category: str
    access: str
    calls: int
    logged: int
    missing: int
    never_logged: int
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
    """One call in one channel, and the arrival that its delay is taken from."""

    call: Call
    pairs: Sequence[Pair]
    observation: Observation
    first: tuple[Record, Delivery] | None = None

    @property
    def operation(self) -> str:
        return self.call.cell.operation if self.call.cell else self.call.operation


def pairs_of(paired: Iterable[tuple[Record, Delivery, Pair | None]]) -> PairsOf:
    """Return a function that gives the distinct records of a call, from all records in the order of reading."""
    found: defaultdict[tuple[int, str], dict[str, Pair]] = defaultdict(dict)
    for record, _, pair in paired:
        if pair:  # The last of several knows all deliveries.
            found[pair.call.number, record.channel][record.identity] = pair
    return lambda call, channel: list(found.get((call.number, channel), {}).values())


def clock_offset(calls: Iterable[Call]) -> Offset:
    """Estimate how far S3's clock is ahead of the client's from its Date headers, which have whole seconds.

    The true time of an answer lies in the second that its header names, and within its call: each call bounds the
    offset. What most of these bounds have in common is taken (Marzullo's algorithm): its middle, and half its width.
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
    calls: Sequence[Call], pairs: PairsOf, facts: Mapping[str, Any], polls: Mapping[str, Sequence[datetime]]
) -> list[DelayRow]:
    """Return delay and loss per channel, region and class: first all classes together, then finer and finer.

    Args:
        calls: Every call of the run; subject and control calls count where their scenario expects a record.
        pairs: Returns the records of a call in a channel (``pairs_of``).
        facts: Of the run: ``absence_seconds`` and ``polled_at`` by channel, ``region`` (of calls whose host names
            none), and which channels are ``without_arrival_stamps``.
        polls: When the complete polls of each channel began, in their order.
    """
    offset, found = clock_offset(calls), []
    # When S3 does something by itself, only a record tells; without one, nobody knows since when it is due.
    counted = [c for c in calls if c.role in (Role.SUBJECT, Role.CONTROL) and c.method != ACTOR]
    for channel, absence_seconds in facts.get("absence_seconds", {}).items():
        polled_at = facts.get("polled_at", {}).get(channel)
        last = datetime.fromisoformat(polled_at) if polled_at else None
        began = polls.get(channel, ()) if channel in facts.get("without_arrival_stamps", ()) else None
        expected = [call for call in counted if call.expected.get(channel, 0) > 0]
        seen = [_see(call, pairs(call, channel), last, began, offset) for call in expected]
        classes, overtaken = _classes(seen), _overtaken(seen)
        groups: defaultdict[tuple[str, str, str], list[_Seen]] = defaultdict(list)
        for each in seen:
            category, access = classes[each.operation]
            host = _REGION.search(each.call.host)
            for kind in ((ALL, ALL), (category, ALL), (category, access)):
                groups[host[1] if host else facts.get("region", ""), *kind].append(each)
        for key in sorted(groups, key=lambda key: [(word != ALL, word) for word in key]):
            found.append(_row((channel, *key), groups[key], absence_seconds, overtaken))
    return found


def _see(
    call: Call, pairs: Sequence[Pair], last: datetime | None, polls: Sequence[datetime] | None, offset: Offset
) -> _Seen:
    """Take a call's delay from its own record; where there is none, from one about something inside the call."""
    completed = call.completed_at
    own = [pair for pair in pairs if not is_related(pair.record)] or pairs
    arrivals = [(pair.record, delivery) for pair in own for delivery in pair.deliveries]
    if not arrivals:
        followed = (last - completed).total_seconds() if last else 0.0
        return _Seen(call, pairs, Observation.censored(max(0.0, followed)))
    first = min(arrivals, key=lambda each: each[1].arrived_at)
    if polls is not None:
        upper = (first[1].seen_at - completed).total_seconds()
        # The poll before the one that saw it; of what a poll saw that failed later on, the last but one, to be safe.
        before = bisect_right(polls, first[1].seen_at) - 2
        lower = (polls[before] - completed).total_seconds() if before >= 0 else 0.0
        return _Seen(call, pairs, Observation(min(max(0.0, lower), upper), upper), first)
    # A stamp of whole seconds is cut off: what it names came half a second later on average.
    cut = 0.0 if first[1].arrived_at.microsecond else STAMP_SECONDS / 2
    delay = (first[1].arrived_at - completed).total_seconds() - offset.seconds + cut
    return _Seen(call, pairs, Observation.exact(delay), first)


def _classes(seen: Iterable[_Seen]) -> dict[str, tuple[str, str]]:
    """Return category and access by operation: what most of its records say, or else the catalogue and the method."""
    votes: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    guessed = {}
    for each in seen:
        known = catalogue.find(each.operation)
        is_data = known.level is Level.OBJECT if known else each.call.key is not None
        is_read = each.call.method in READ_METHODS or each.operation in READ_OPERATIONS
        guessed[each.operation] = "data" if is_data else "management", "read" if is_read else "write"
        fields = each.first[0].fields if each.first else {}
        if fields.get("eventCategory"):
            read_only = fields.get("readOnly", is_read) in (True, "true")
            votes[each.operation][str(fields["eventCategory"]).lower(), "read" if read_only else "write"] += 1
    return {name: votes[name].most_common(1)[0][0] if votes[name] else guess for name, guess in guessed.items()}


def _overtaken(seen: Iterable[_Seen]) -> set[int]:
    """Return the numbers of the calls whose record came after that of a call completed later."""
    came = [
        (each.call.completed_at, each.call.number, each.first[1].arrived_at)
        for each in seen
        if each.first and each.call.status is not None
    ]
    found, earliest = set(), datetime.max.replace(tzinfo=UTC)
    for _, number, arrived_at in sorted(came, reverse=True):
        if arrived_at > earliest:
            found.add(number)
        earliest = min(earliest, arrived_at)
    return found


def _row(key: tuple[str, str, str, str], seen: list[_Seen], absence_seconds: float, overtaken: set[int]) -> DelayRow:
    answered = [each for each in seen if each.call.status is not None]
    logged = [(each, *each.first) for each in answered if each.first]
    missing = [s for s in answered if not s.first and s.observation.lower_seconds >= absence_seconds]
    pairs = [pair for each in answered for pair in each.pairs]
    cells = {each.call.cell for each, _, _ in logged}
    return DelayRow(
        channel=key[0],
        region=key[1],
        category=key[2],
        access=key[3],
        calls=len(answered),
        logged=len(logged),
        missing=len(missing),
        never_logged=sum(each.call.cell not in cells for each in missing),
        pending=len(answered) - len(logged) - len(missing),
        unanswered=len(seen) - len(answered),
        records=len(pairs),
        files=len({delivery.name for _, _, delivery in logged}),
        duplicates=sum(len(pair.deliveries) - 1 for pair in pairs),
        late=sum(each.observation.lower_seconds > absence_seconds for each, _, _ in logged),
        out_of_order=sum(each.call.number in overtaken for each, _, _ in logged),
        wrong_hour_arrival=_wrong_hour((delivery, delivery.arrived_at) for _, _, delivery in logged),
        wrong_hour_event=_wrong_hour((delivery, record.event_time) for _, record, delivery in logged),
        loss=loss(len(logged), len(missing), len(answered) - len(logged) - len(missing)),
        estimate=estimate([each.observation for each in answered]),
        observations=tuple(each.observation for each in answered),
    )


def _wrong_hour(times: Iterable[tuple[Delivery, datetime | None]]) -> int | None:
    """Count the deliveries that are named after another hour than that of a time; None where no name tells one."""
    named = [(_FILE_HOUR.search(delivery.name), at) for delivery, at in times if at]
    told = [("".join(filter(None, hour.groups())), at) for hour, at in named if hour]
    return sum(hour != f"{at.astimezone(UTC):%Y%m%d%H}" for hour, at in told) if told else None
