"""Delivers log records late, in batches and out of order, as AWS does: seeded, so that a run can be repeated.

The delay of a record is drawn from a stated distribution; the file that carries it is written at the end of the batch
window in which the drawn delay ends. A ledger keeps both, so that a measurement can be held against the truth.
"""

from __future__ import annotations

import gzip
import heapq
import json
import logging
import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.clock import ScaledClock
from harness.embedded import access_log, outlets, trail
from harness.embedded.access_log import Entry
from harness.embedded.configurations import child_text, parse_body
from harness.embedded.delays import CLOUDTRAIL_DELAY, DELAYS
from harness.embedded.exchange import Exchange
from harness.embedded.history import History
from harness.embedded.lifecycle import Action
from harness.embedded.principals import ACCOUNT_ID
from harness.embedded.switches import Behaviours

_LOG = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Pending:
    due: float
    tie: int
    channel: str = field(compare=False)
    source: str = field(compare=False)
    destination: tuple[str, str, str] = field(compare=False)
    payload: Any = field(compare=False)
    entry: dict[str, Any] = field(compare=False)


_NO_FILE = ("", "", "")
"""The destination of what is no part of a file: its payload sends itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingConfiguration:
    """Where a source bucket's server access logs go; ``date_source`` is None for the simple prefix."""

    bucket: str
    prefix: str
    date_source: str | None

    @classmethod
    def from_xml(cls, body: bytes) -> LoggingConfiguration | None:
        """Read a ``BucketLoggingStatus``; None when it switches logging off."""
        root = parse_body(body)
        bucket = child_text(root, "TargetBucket")
        if not bucket:
            return None
        partitioned = child_text(root, "PartitionedPrefix") is not None
        # A partitioned prefix without a date source behaves as EventTime (delivery.md section 1).
        source = (child_text(root, "PartitionDateSource") or "EventTime") if partitioned else None
        return cls(bucket=bucket, prefix=child_text(root, "TargetPrefix") or "", date_source=source)


ConfigurationOf = Callable[[str], LoggingConfiguration | None]
"""Returns the logging configuration of a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What caused a record: a request, or an action of S3's own."""

    operation: str
    request_id: str
    received_at: datetime
    completed_at: datetime
    region: str


BEGINS_AFTER_SECONDS = {"server-access": 3000.0, "server-access-cloudwatch": 1050.0}
"""How long after the first request to a bucket that is to be logged its requests are, with ``logging-starts=late``."""


@dataclass(slots=True)
class LogDelivery:
    """Takes exchanges, and writes log objects when they are due.

    Args:
        clock: The clock shared with the harness.
        seed: Makes the drawn delays and all ids repeatable.
        put_object: Writes a log object (bucket, key, body, content type) and returns its stamp; None when it cannot.
        trails: Returns moto's trails.
        history: Takes management events, for LookupEvents.
        switches: Which sides are taken where AWS's documents leave a choice.
    """

    clock: ScaledClock
    seed: int
    put_object: Callable[[str, str, bytes, str], datetime | None]
    trails: Callable[[], list[Any]]
    switches: Behaviours
    history: History
    ledger: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=200_000))
    _heap: list[_Pending] = field(default_factory=list)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _ordinals: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _sources: defaultdict[bool, dict[tuple[str, str], int]] = field(default_factory=lambda: defaultdict(dict))
    _ids: random.Random = field(default_factory=random.Random)
    _switched_on: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _tie: int = 0

    def observe(self, exchange: Exchange, configuration_of: ConfigurationOf) -> None:
        """Queue the records of one exchange."""
        origin = Origin(
            operation=exchange.behaviour.operation,
            request_id=exchange.request_id,
            received_at=exchange.received_at,
            completed_at=exchange.completed_at,
            region=exchange.region,
        )
        events = trail.events_of(exchange, self._ids, self.switches)
        self._queue_all(origin, access_log.entries_of(exchange), events, configuration_of)
        self._post(origin, outlets.of_exchange(exchange))

    def observe_action(self, action: Action, configuration_of: ConfigurationOf) -> None:
        """Queue the records of something that S3 did by itself."""
        identifier = trail.request_id(self._ids)
        origin = Origin(
            operation=action.operation,
            request_id=identifier,
            received_at=action.at,
            completed_at=action.at,
            region=action.region,
        )
        delivered = self.switches["lifecycle"] == "delivered"
        events = [trail.action_event(action, identifier, self._ids)] if delivered else []
        self._queue_all(origin, [access_log.action_entry(action, identifier)], events, configuration_of)
        self._post(origin, outlets.of_action(action, identifier))

    def _queue_all(
        self,
        origin: Origin,
        entries: list[Entry],
        events: list[trail.Event],
        configuration_of: ConfigurationOf,
    ) -> None:
        for entry in entries:
            target = configuration_of(entry.bucket)
            if target and self._has_begun("server-access", entry.bucket, origin.received_at):
                parts = (target.bucket, target.prefix, target.date_source or "")
                self._queue(origin, "server-access", entry.bucket, parts, access_log.line_of(entry))
            for post in outlets.of_entry(entry):
                if self._has_begun(post.channel, entry.bucket, origin.received_at):
                    self._post(origin, [post])
        logging = [each for each in self.trails() if each.status.is_logging]
        for event in events:
            here = [t for t in logging if t.is_multi_region or t.region_name == event["awsRegion"]]
            selecting = [t for t in here if trail.selects(event, t.event_selectors, t.advanced_event_selectors)]
            for each in selecting:
                parts = (each.bucket_name, each.s3_key_prefix or "", each.region_name)
                self._queue(origin, "cloudtrail", each.arn, parts, event)
            self._post(origin, outlets.of_event(event, selecting, self.history))

    def _has_begun(self, channel: str, bucket: str, at: datetime) -> bool:
        """Tell whether a bucket's logging has begun, which somebody has switched on; what is earlier is lost."""
        first = self._switched_on.setdefault((channel, bucket), at)
        late = self.switches["logging-starts"] == "late"
        return not late or (at - first).total_seconds() >= BEGINS_AFTER_SECONDS[channel]

    def _post(self, origin: Origin, posts: Iterable[outlets.Post]) -> None:
        for post in posts:
            self._queue(origin, post.channel, post.source, _NO_FILE, post.send)

    def _queue(
        self,
        origin: Origin,
        channel: str,
        source: str,
        parts: tuple[str, str, str],
        payload: Any,
    ) -> None:
        with self._wake:
            # Files have numbers of their own, so that further channels do not change what is drawn for them.
            numbers = self._sources[parts == _NO_FILE]
            index = numbers.setdefault((channel, source), len(numbers))
            ordinal = self._ordinals[channel, index]
            self._ordinals[channel, index] += 1
            # The draws depend on the place in the stream and on nothing else: a second run draws the same.
            source_of_chance = random.Random(f"{self.seed}:{channel}:{index}:{ordinal}")  # noqa: S311
            model, times = DELAYS[channel], 1
            drawn = model.draw(source_of_chance)
            if source_of_chance.random() < model.twice:
                times = 2
            completed = origin.completed_at.timestamp()
            for copy in range(times):
                drawn += copy * model.draw(source_of_chance)
                entry = {
                    "channel": channel,
                    "source": source,
                    "ordinal": ordinal,
                    "copy": copy,
                    "request_id": origin.request_id,
                    "operation": origin.operation,
                    "region": origin.region,
                    "drawn_delay_seconds": round(drawn, 3),
                    "received_at": origin.received_at.timestamp(),
                    "completed_at": completed,
                    "delivered_at": None,
                    "object": None,
                }
                self.ledger.append(entry)
                self._tie += 1
                due = model.due(completed, drawn)
                heapq.heappush(self._heap, _Pending(due, self._tie, channel, source, parts, payload, entry))
            self._wake.notify()

    def run(self, stop: threading.Event) -> None:
        """Write log objects as they fall due, until ``stop`` is set. Meant for a thread of its own."""
        while not stop.is_set():
            with self._wake:
                now = self.clock.now().timestamp()
                if not self._heap or self._heap[0].due > now:
                    wait = (self._heap[0].due - now) / self.clock.factor if self._heap else 1.0
                    self._wake.wait(min(max(wait, 0.001), 1.0))
                    continue
                ready = []
                while self._heap and self._heap[0].due <= now:
                    ready.append(heapq.heappop(self._heap))
            self._write(ready)

    def _write(self, ready: list[_Pending]) -> None:
        files: defaultdict[tuple[str, str, tuple[str, str, str]], list[_Pending]] = defaultdict(list)
        for pending in ready:
            if pending.destination == _NO_FILE:
                self._send(pending)
            else:
                files[pending.channel, pending.source, pending.destination].append(pending)
        for (channel, source, (bucket, prefix, detail)), members in files.items():
            self._ids.shuffle(members)
            write = self._access_files if channel == "server-access" else self._trail_file
            for key, body, kind, carried in write(source, prefix, detail, members):
                stamp = self.put_object(bucket, key, body, kind)
                for pending in carried:
                    pending.entry["delivered_at"] = stamp.timestamp() if stamp else None
                    pending.entry["object"] = f"s3://{bucket}/{key}"

    def _send(self, pending: _Pending) -> None:
        stamp = self.clock.now()
        try:
            place = pending.payload(stamp)
        except Exception:
            _LOG.exception("a record of %s could not be delivered", pending.channel)
            place = None
        pending.entry["delivered_at"] = stamp.timestamp() if place else None
        pending.entry["object"] = place or "gone"

    def _access_files(
        self, source: str, prefix: str, date_source: str, members: list[_Pending]
    ) -> list[tuple[str, bytes, str, list[_Pending]]]:
        now = self.clock.now()
        groups: defaultdict[str, list[_Pending]] = defaultdict(list)
        for pending in members:
            stamp = now
            if date_source == "EventTime":
                event = datetime.fromtimestamp(pending.entry["received_at"], UTC)
                stamp = event.replace(hour=0, minute=0, second=0, microsecond=0)
            folder = f"{ACCOUNT_ID}/{pending.entry['region']}/{source}/{stamp:%Y/%m/%d}/" if date_source else ""
            groups[f"{prefix}{folder}{stamp:%Y-%m-%d-%H-%M-%S}"].append(pending)
        files = []
        for stem, carried in groups.items():
            body = "".join(p.payload + "\n" for p in carried).encode("utf-8", "surrogateescape")
            files.append((f"{stem}-{self._ids.getrandbits(64):016X}", body, "text/plain", carried))
        return files

    def _trail_file(
        self, _source: str, prefix: str, region: str, members: list[_Pending]
    ) -> list[tuple[str, bytes, str, list[_Pending]]]:
        now = self.clock.now()
        # File names carry the five-minute boundary, not the second of writing (delivery.md section 4).
        stamp = now - timedelta(seconds=now.timestamp() % CLOUDTRAIL_DELAY.batch_seconds)
        base = f"{prefix}/" if prefix else ""
        folder = f"{base}AWSLogs/{ACCOUNT_ID}/CloudTrail/{region}/{stamp:%Y/%m/%d}/"
        unique = "".join(self._ids.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=16))
        key = f"{folder}{ACCOUNT_ID}_CloudTrail_{region}_{stamp:%Y%m%dT%H%MZ}_{unique}.json.gz"
        body = gzip.compress(json.dumps({"Records": [p.payload for p in members]}, separators=(",", ":")).encode())
        return [(key, body, "application/x-gzip", members)]
