"""Pairs records with calls: by request id first, then host id, then the marker, then (bucket, key, time).

The way is kept with every pair. Records that are nobody's are counted and left alone: a trail shows the whole account.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Self

from harness.model import ACTOR, Call, Delivery, Ours, Record

_MARKER = re.compile(r"s3lm/[0-9a-z]+/\d+")
_SLACK = timedelta(seconds=2)


class Way(StrEnum):
    """How a record was found to belong to a call."""

    REQUEST_ID = "request-id"
    HOST_ID = "host-id"
    MARKER = "marker"
    PLACE_AND_TIME = "place-and-time"


@dataclass(frozen=True, slots=True)
class Pair:
    """One record of one call, and every delivery that carried it (more than one: duplicates)."""

    call: Call
    record: Record
    way: Way
    deliveries: tuple[Delivery, ...]


def ours_of(run_id: str, calls: Iterable[Call]) -> Ours:
    """Return what tells a run's records from those of a busy account, by their text alone or their request id.

    The names of all its resources and the markers of all its calls have the run's id in them.
    """
    tags = (f"s3lm-{run_id}", f"s3lm/{run_id}/")
    identifiers = {call.request_id for call in calls if call.request_id}
    return lambda text, request_id: any(tag in text for tag in tags) or request_id in identifiers


@dataclass(slots=True)
class Joiner:
    """Takes records one by one, so that a poll joins only what is new.

    Args:
        calls: Every call of the run, whatever its role.
    """

    calls: Iterable[Call]
    unmatched: int = 0
    _by_request_id: dict[str, Call] = field(default_factory=dict)
    _by_host_id: dict[str, Call] = field(default_factory=dict)
    _by_marker: dict[str, Call] = field(default_factory=dict)
    _by_place: defaultdict[tuple[str | None, str | None], list[Call]] = field(default_factory=lambda: defaultdict(list))
    _pairs: dict[tuple[str, str], Pair] = field(default_factory=dict)
    _of_call: defaultdict[tuple[int, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for call in self.calls:
            self._by_marker[call.marker] = call
            if call.request_id:
                self._by_request_id[call.request_id] = call
            if call.host_id:
                self._by_host_id[call.host_id] = call
            if call.bucket and call.key:
                self._by_place[call.bucket, call.key].append(call)

    @classmethod
    def filled(cls, calls: Iterable[Call], records: Iterable[tuple[Record, Delivery]]) -> Self:
        """Return one that has taken these records, as a journal has them."""
        joiner = cls(calls)
        for record, delivery in records:
            joiner.add(record, delivery)
        return joiner

    def add(self, record: Record, delivery: Delivery) -> Pair | None:
        """Pair a record; returns None when it is not ours. A duplicate adds its delivery to the pair it repeats."""
        identity = (record.channel, record.identity)
        known = self._pairs.get(identity)
        if known:
            self._pairs[identity] = Pair(known.call, known.record, known.way, (*known.deliveries, delivery))
            return self._pairs[identity]
        found = self._find(record)
        if found is None:
            self.unmatched += 1
            return None
        pair = Pair(found[0], record, found[1], (delivery,))
        self._pairs[identity] = pair
        self._of_call[found[0].number, record.channel].append(record.identity)
        return pair

    def pairs(self, call: Call, channel: str) -> list[Pair]:
        """Return the distinct records of a call in a channel."""
        return [self._pairs[channel, identity] for identity in self._of_call[call.number, channel]]

    def _find(self, record: Record) -> tuple[Call, Way] | None:
        call = self._by_request_id.get(record.request_id or "")
        if call:
            return call, Way.REQUEST_ID
        call = self._by_host_id.get(record.host_id or "")
        if call:
            return call, Way.HOST_ID
        marker = _MARKER.search(record.user_agent or "")
        if marker and marker[0] in self._by_marker:
            return self._by_marker[marker[0]], Way.MARKER
        if not (record.bucket and record.key and record.event_time):
            return None
        near = [c for c in self._by_place.get((record.bucket, record.key), ()) if _covers(c, record)]
        if record.request_id:
            # A record with another request id is another request, however close in place and time, unless nobody
            # made one: what S3 does by itself has an id of S3's own.
            near = [c for c in near if c.method == ACTOR]
        return (near[0], Way.PLACE_AND_TIME) if len(near) == 1 else None


def _covers(call: Call, record: Record) -> bool:
    if record.event_time is None or call.received_at is None:
        return False
    return call.sent_at - _SLACK <= record.event_time <= call.received_at + _SLACK
