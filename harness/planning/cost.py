"""What calls cost: one function prices them, whether a dry run counted them or a journal kept them.

Prices are data (``prices.csv``), of one Region and date, with their source. Not counted: free tiers, data transfer (a
few bytes per call), the dearer requests of colder storage classes, what others make of the same events.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from harness import catalogue
from harness.channels.trail import OF_TRAIL
from harness.model import (
    ACTOR,
    CLOUDTRAIL,
    CLOUDTRAIL_CLOUDWATCH,
    EVENT_CHANNELS,
    EVENTBRIDGE,
    S3_NOTIFICATION,
    SERVER_ACCESS,
    SERVER_ACCESS_CLOUDWATCH,
    Call,
    Level,
    Role,
)

HOURS_PER_MONTH = 730.0
_BYTES_PER_GB = 1024.0**3
BYTES_PER_RECORD: Mapping[str, float] = {SERVER_ACCESS: 600.0, CLOUDTRAIL: 2000.0}
"""What a record takes in a log bucket, by estimate; a compressed trail file takes less."""
_INGESTED = {SERVER_ACCESS_CLOUDWATCH: ("logs-vended", 1100.0), CLOUDTRAIL_CLOUDWATCH: ("logs-ingestion", 2000.0)}
"""Items and bytes per record of log groups; the documented sample of an access record has 1,061 bytes."""
_QUEUED = (EVENTBRIDGE, S3_NOTIFICATION)
_WRITES = ("PUT", "POST")
_READS_BY_POST = ("SelectObjectContent",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one unit of an item costs.

    Attributes:
        usd: US dollars per unit.
        read: When the source was read, year and month.
    """

    item: str
    label: str
    unit: str
    usd: float
    region: str
    source: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One item of a cost: how much of it, and what that costs."""

    price: Price
    quantity: float

    @property
    def usd(self) -> float:
        """US dollars."""
        return self.quantity * self.price.usd


@cache
def prices() -> Mapping[str, Price]:
    """Return the prices by item, in the order of the file."""
    text = resources.files("harness.planning").joinpath("prices.csv").read_text("utf-8")
    rows: list[dict[str, Any]] = list(csv.DictReader(text.splitlines()))
    return {row["item"]: Price(**row | {"usd": float(row["usd"])}) for row in rows}


def usage(
    calls: Iterable[tuple[int, Call]], channels: Sequence[str], *, hours: float, further_copy: bool = False
) -> Counter[str]:
    """Return quantities by item.

    Args:
        calls: Each with the number of times that it is made.
        channels: Names of those that log them.
        hours: For which log objects are stored.
        further_copy: Whether another trail of the account takes management events already.
    """
    found: Counter[str] = Counter()
    stored_bytes = 0.0
    for times, call in calls:
        if call.method == ACTOR:
            continue
        found[_request_item(call)] += times
        if call.service == "s3-control" and call.operation == "CreateJob":
            found["s3-batch-job"] += times
        for channel in channels:
            records = times * records_of(call, channel)
            stored_bytes += records * BYTES_PER_RECORD.get(channel, 0.0)
            if channel in _INGESTED:
                item, size_bytes = _INGESTED[channel]
                found[item] += records * size_bytes / _BYTES_PER_GB  # type: ignore[assignment]
            if channel in _QUEUED:
                found["sqs-request"] += records
        of_trail = [channel for channel in channels if channel in OF_TRAIL]
        if of_trail:  # one trail, however many channels it feeds
            found[_event_item(call, further_copy=further_copy)] += times * records_of(call, of_trail[0])
    found["s3-storage"] = stored_bytes / _BYTES_PER_GB * hours / HOURS_PER_MONTH  # type: ignore[assignment]
    return found


def _request_item(call: Call) -> str:
    """Return which request class a call is billed in (S3 pricing; a batch delete counts as the POST that it is)."""
    if call.service == "sqs":
        return "sqs-request"
    if call.service != "s3":
        return "s3-control" if call.service == "s3-control" else "other-requests"
    if call.method == "DELETE":
        return "s3-delete"
    writes = call.method in _WRITES and call.operation not in _READS_BY_POST
    return "s3-write" if writes or call.operation.startswith("List") else "s3-read"


def _is_object_level(call: Call) -> bool:
    known = catalogue.find(call.operation) if call.service == "s3" else None
    return known is not None and (known.level is Level.OBJECT or call.operation == "DeleteObjects")


def records_of(call: Call, channel: str) -> int:
    """Return how many records a call leaves in a channel: as its scenario says, else one where it can be logged.

    What the harness does in its log buckets is in no selector and has no logging configuration; management events know
    no bucket.
    """
    in_log_buckets = call.role is Role.POLL
    if channel in EVENT_CHANNELS and not (in_log_buckets and _is_object_level(call)):
        return call.expected.get(channel, 1)
    return 0 if in_log_buckets or call.service != "s3" else call.expected.get(channel, 1)


def _event_item(call: Call, *, further_copy: bool) -> str:
    if _is_object_level(call):
        return "cloudtrail-data"
    return "cloudtrail-management-copy" if further_copy else "cloudtrail-management"


def priced(quantities: Mapping[str, float]) -> list[CostLine]:
    """Return what quantities cost, in the order of the price list; items of which there is nothing are left out."""
    return [CostLine(price=p, quantity=quantities[i]) for i, p in prices().items() if quantities.get(i)]


def total_usd(lines: Iterable[CostLine]) -> float:
    """Return the sum in US dollars."""
    return sum(line.usd for line in lines)
