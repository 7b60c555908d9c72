"""The words of the project as frozen value classes: no I/O, no clock, no AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

SERVER_ACCESS = "server-access"
SERVER_ACCESS_CLOUDWATCH = "server-access-cloudwatch"
CLOUDTRAIL = "cloudtrail"
CLOUDTRAIL_CLOUDWATCH = "cloudtrail-cloudwatch"
CLOUDTRAIL_LOOKUP = "cloudtrail-lookup"
EVENTBRIDGE = "eventbridge"
S3_NOTIFICATION = "s3-notification"
EVENT_CHANNELS = frozenset({CLOUDTRAIL, CLOUDTRAIL_CLOUDWATCH, CLOUDTRAIL_LOOKUP, EVENTBRIDGE})
"""Channels whose records are CloudTrail events, under CloudTrail's field names."""

FieldValue = str | int | float | bool | None


class Role(StrEnum):
    """What a call is for. Only ``subject`` calls are measured; the others are the harness's own noise."""

    SUBJECT = "subject"
    SETUP = "setup"
    CONTROL = "control"
    TEARDOWN = "teardown"
    POLL = "poll"


class Verdict(StrEnum):
    """What one cell of the coverage matrix says."""

    LOGGED = "logged"
    PARTLY = "partly logged"
    NOT_OBSERVED = "not observed"
    PENDING = "pending"
    NOT_RUN = "not run"


ACTOR = "ACTOR"
"""Method of a call that S3 makes by itself: an expectation instead of a request, without a request id."""


class Level(StrEnum):
    """What an operation acts on."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One S3 API operation, as botocore's model describes it, or a request form.

    Attributes:
        name: botocore's name, e.g. ``PutBucketAcl``; with ``s3control:`` before it for that service; or the name of a
            request form that botocore has none for.
        method: HTTP method.
        uri: botocore's request URI, e.g. ``/{Bucket}?acl``.
        level: What it acts on, read from the URI.
        subresource: The query key (or header) that tells it from its siblings, ``""`` where there is none.
        deprecated: Whether botocore marks it so.
        twins: Other operations with the same wire form: no log can tell them apart.
    """

    name: str
    method: str
    uri: str
    level: Level
    subresource: str = ""
    service: str = "s3"
    deprecated: bool = False
    twins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKey:
    """What was tried: the row of the matrix, before the channel."""

    operation: str
    variant: str = "ok"

    def __str__(self) -> str:
        return f"{self.operation}[{self.variant}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request that was sent; a retry is a call of its own.

    Attributes:
        number: Ordinal in the run, part of the marker.
        operation: botocore operation that was sent (not always the one under test: see ``cell``).
        service: botocore service name (``s3``, ``cloudtrail``, …).
        cell: The row whose scenario made it.
        repeat: Which repetition of the scenario made it, from 0.
        marker: Text in the user agent that names this call and no other.
        sent_at, received_at: Client clock, aware UTC. ``received_at`` is None while no answer came.
        server_date: The answer's Date header.
        attempt: 1 for the first, 2 for the first retry, …
        expected: Records expected per channel, from the scenario's declaration.
        sent: What was requested beside the resource's name: dotted paths to values (``analyse/payload.py``).
        failure: Class name of the exception when no HTTP answer came.
    """

    number: int
    operation: str
    service: str
    role: Role
    marker: str
    sent_at: datetime
    cell: CellKey | None = None
    repeat: int = 0
    attempt: int = 1
    method: str = ""
    host: str = ""
    path: str = ""
    bucket: str | None = None
    key: str | None = None
    user_agent: str = ""
    received_at: datetime | None = None
    server_date: datetime | None = None
    status: int | None = None
    error_code: str | None = None
    request_id: str | None = None
    host_id: str | None = None
    expected: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None

    @property
    def completed_at(self) -> datetime:
        """When the answer was there, on the client's clock; without an answer, when the request was sent."""
        return self.received_at or self.sent_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One parsed log entry, with its raw text kept.

    Attributes:
        channel: Where it arrived.
        name: The name that the channel gives the call (``REST.PUT.ACL``, ``PutBucketAcl``).
        event_time: The record's own time, aware UTC: received (server access), completed (CloudTrail).
        key: The object key after the channel's documented decoding.
        identity: Equal for two deliveries of the same record: ``eventID``, or a digest of the line.
        fields: All fields by the channel's own names; nested JSON is flattened to dotted paths.
        raw: The text as it was delivered.
        offset: Line number (server access) or index in ``Records`` (CloudTrail), from 0.
    """

    channel: str
    name: str
    event_time: datetime | None
    request_id: str | None
    host_id: str | None
    identity: str
    raw: str
    offset: int
    bucket: str | None = None
    key: str | None = None
    user_agent: str | None = None
    status: int | None = None
    error_code: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A piece of a log that did not parse: kept with its place and the reason, never dropped.

    Attributes:
        offset: Line number or index in ``Records``, from 0; None when the file as a whole is unreadable.
        raw: The text (at most a few kB of it), decoded with ``backslashreplace``.
    """

    channel: str
    reason: str
    raw: str
    offset: int | None = None


Ours = Callable[[str, str | None], bool]
"""Tells from a record's text and request id whether it may be the run's."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a format made of one delivery's bytes.

    Attributes:
        foreign: How many further records it had that are nobody's here: counted, not read.
    """

    records: tuple[Record, ...] = ()
    rejects: tuple[Reject, ...] = ()
    foreign: int = 0

    def within(self, channel: str) -> Parsed:
        """Return the same as records and rejects of another channel that delivers them in the same format."""
        return Parsed(
            tuple(replace(record, channel=channel) for record in self.records),
            tuple(replace(reject, channel=channel) for reject in self.rejects),
            self.foreign,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One arrival in a channel, e.g. a log object.

    Attributes:
        name: Unique in the channel: ``s3://bucket/key``.
        arrived_at: The channel's arrival clock (log objects: LastModified), aware UTC; ``seen_at`` where it has none.
        seen_at: When a poll of ours saw it, aware UTC.
        body: The bytes, or None when it vanished between list and get.
    """

    channel: str
    name: str
    arrived_at: datetime
    seen_at: datetime
    size_bytes: int
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Completed-at to arrival, in seconds on the run's clock, over the first record of each logged call."""

    n: int
    min_seconds: float
    median_seconds: float
    p90_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of the coverage matrix: operation x variant x channel.

    Attributes:
        calls: Subject calls that were made.
        logged: How many of them have at least one record.
        records: Distinct records joined to them.
        expected: Records that the scenario declares for these calls in this channel.
        duplicates: Records that arrived more than once.
        names: Every name seen, with its count.
        fields: Per field: class, counts and sample values (see results/README.md).
        wrong: Values that should equal or follow from the call and do not: field, expected, seen, call.
        payload: How much of what was requested the records hold; None where nothing was.
        joins: How many records were joined in which way.
        delay: None where nothing was logged.
        reason: Why the verdict is what it is, where the numbers do not say it.
    """

    operation: str
    variant: str
    channel: str
    verdict: Verdict
    calls: int = 0
    logged: int = 0
    records: int = 0
    expected: int = 0
    duplicates: int = 0
    names: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    wrong: Sequence[Mapping[str, Any]] = ()
    payload: Mapping[str, Any] | None = None
    joins: Mapping[str, int] = field(default_factory=dict)
    delay: Delay | None = None
    reason: str = ""
