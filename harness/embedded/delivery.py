"""Delivers log records late, in batches and out of order, as AWS does: seeded, so that a run can be repeated.

The delay of a record is drawn from a stated distribution; the file that carries it is written at the end of the batch
window in which the drawn delay ends. A ledger keeps both, so that a measurement can be held against the truth.
"""

from __future__ import annotations

import gzip
import heapq
import json
import math
import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.clock import ScaledClock
from harness.embedded import access_log, trail
from harness.embedded.configurations import child_text, parse_body
from harness.embedded.exchange import Exchange
from harness.embedded.lifecycle import Action
from harness.embedded.principals import ACCOUNT_ID
from harness.embedded.switches import Behaviours


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayModel:
    """A log-normal delay, cut off at ``maximum_seconds``, then rounded up to the next ``batch_seconds`` boundary."""

    median_seconds: float
    sigma: float
    maximum_seconds: float
    batch_seconds: float

    def draw(self, source: random.Random) -> float:
        """Return one delay in seconds, before the batch window."""
        return min(self.maximum_seconds, self.median_seconds * math.exp(source.gauss(0, self.sigma)))


SERVER_ACCESS_DELAY = DelayModel(median_seconds=3300, sigma=0.4, maximum_seconds=10_800, batch_seconds=120)
"""About an hour with a tail of three (delivery.md section 4: 31 to 85 minutes in public fixtures)."""
CLOUDTRAIL_DELAY = DelayModel(median_seconds=90, sigma=0.6, maximum_seconds=900, batch_seconds=300)
"""Files at multiples of five minutes, mean about four minutes (delivery.md section 4)."""


@dataclass(order=True, slots=True)
class _Pending:
    due: float
    tie: int
    channel: str = field(compare=False)
    source: str = field(compare=False)
    destination: tuple[str, str, str] = field(compare=False)
    payload: Any = field(compare=False)
    entry: dict[str, Any] = field(compare=False)


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


@dataclass(slots=True)
class LogDelivery:
    """Takes exchanges, and writes log objects when they are due.

    Args:
        clock: The clock shared with the harness.
        seed: Makes the drawn delays and all ids repeatable.
        put_object: Writes a log object (bucket, key, body, content type); False when the bucket is gone.
        trails: Returns moto's trails.
        switches: Which sides are taken where AWS's documents leave a choice.
    """

    clock: ScaledClock
    seed: int
    put_object: Callable[[str, str, bytes, str], bool]
    trails: Callable[[], list[Any]]
    switches: Behaviours
    ledger: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=200_000))
    _heap: list[_Pending] = field(default_factory=list)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _ordinals: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _sources: dict[tuple[str, str], int] = field(default_factory=dict)
    _ids: random.Random = field(default_factory=random.Random)
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
        self._queue_all(origin, access_log.lines_of(exchange), events, configuration_of)

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
        self._queue_all(origin, [(action.bucket, access_log.action_line(action, identifier))], events, configuration_of)

    def _queue_all(
        self,
        origin: Origin,
        lines: list[tuple[str, str]],
        events: list[trail.Event],
        configuration_of: ConfigurationOf,
    ) -> None:
        for bucket, line in lines:
            target = configuration_of(bucket)
            if target:
                parts = (target.bucket, target.prefix, target.date_source or "")
                self._queue(origin, SERVER_ACCESS_DELAY, "server-access", bucket, parts, line)
        for each in self.trails():
            if not each.status.is_logging:
                continue
            for event in events:
                here = each.is_multi_region or each.region_name == event["awsRegion"]
                if here and trail.selects(event, each.event_selectors, each.advanced_event_selectors):
                    parts = (each.bucket_name, each.s3_key_prefix or "", each.region_name)
                    self._queue(origin, CLOUDTRAIL_DELAY, "cloudtrail", each.arn, parts, event)

    def _queue(
        self,
        origin: Origin,
        model: DelayModel,
        channel: str,
        source: str,
        parts: tuple[str, str, str],
        payload: Any,
    ) -> None:
        with self._wake:
            index = self._sources.setdefault((channel, source), len(self._sources))
            ordinal = self._ordinals[channel, index]
            self._ordinals[channel, index] += 1
            # The draw depends on the place in the stream and on nothing else: a second run draws the same.
            drawn = model.draw(random.Random(f"{self.seed}:{channel}:{index}:{ordinal}"))  # noqa: S311
            completed = origin.completed_at.timestamp()
            due = math.ceil((completed + drawn) / model.batch_seconds) * model.batch_seconds
            entry = {
                "channel": channel,
                "source": source,
                "ordinal": ordinal,
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
            files[pending.channel, pending.source, pending.destination].append(pending)
        for (channel, source, (bucket, prefix, detail)), members in files.items():
            self._ids.shuffle(members)
            write = self._access_files if channel == "server-access" else self._trail_file
            for key, body, kind, carried in write(source, prefix, detail, members):
                stamp = self.clock.now()
                delivered = self.put_object(bucket, key, body, kind)
                for pending in carried:
                    pending.entry["delivered_at"] = stamp.timestamp() if delivered else None
                    pending.entry["object"] = f"s3://{bucket}/{key}"

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
