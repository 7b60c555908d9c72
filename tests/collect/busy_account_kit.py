"""A trail of a busy account: real files, read by the real loop, parser, join and journal."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from offline import ACCOUNT, REGION, RUN_ID, T0, a_call

from harness.analyse.join import Joiner, Way, ours_of
from harness.collect.loop import Collector, Outstanding
from harness.environment.site import Site
from harness.formats import cloudtrail
from harness.journal import FILE_NAME, Journal
from harness.model import CLOUDTRAIL, Call, Delivery, Ours, Parsed
from harness.testing import FakeChannel, FakeClock

FOREIGN, OURS, FILES = 100_000, 500, 50


def event(name: str, number: int, **changes: Any) -> dict[str, Any]:
    """One of another service's."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/App/session"},
        "eventTime": "2026-01-01T00:01:00Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "userAgent": "[aws-sdk-go/1.55.0]",
        "requestParameters": {"instancesSet": {"items": [{"instanceId": f"i-{number:017x}"}]}},
        "responseElements": None,
        "requestID": f"foreign-{number}",
        "eventID": f"{name}-{number}",
        "readOnly": True,
    } | changes


def _ours(call: Call) -> dict[str, Any]:
    """Every second one is known by its request id alone, as one without our marker and bucket would be."""
    known = {"requestID": call.request_id, "eventSource": "s3.amazonaws.com"}
    if call.number % 2:
        return event("GetBucketAcl", call.number, **known)
    return event("GetBucketAcl", call.number, userAgent=f"[Boto3 {call.marker}]", eventSource="s3.amazonaws.com")


class _Busy(FakeChannel):
    def __init__(self, calls: list[Call], foreign: int) -> None:
        super().__init__(name=CLOUDTRAIL)
        self.calls, self.foreign = calls, foreign

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        others = [json.dumps(event("DescribeInstances", n)) for n in range(self.foreign // FILES)]
        for number in range(FILES):
            first, *rest = (json.dumps(_ours(call)) for call in self.calls[number::FILES])
            body = gzip.compress(f'{{"Records":[{",".join([first, *others, *rest])}]}}'.encode(), 1)
            at = T0 + timedelta(seconds=number)
            yield Delivery(
                channel=CLOUDTRAIL, name=str(number), arrived_at=at, seen_at=at, size_bytes=len(body), body=body
            )

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        return cloudtrail.parse(delivery.body or b"", ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What became of the events.

    Attributes:
        joined: Calls of ours that have exactly one record.
        ways: How those were joined.
        unmatched: Records that the join was given and that are nobody's.
        counts: The channel's counts of the journal.
    """

    joined: int
    ways: set[Way]
    unmatched: int
    counts: Mapping[str, int]
    journal_bytes: int


def read(folder: Path, foreign: int = FOREIGN) -> Read:
    """Poll such a trail once, into a journal in a folder."""
    calls = [replace(a_call(n), request_id=f"OURS{n:012}") for n in range(1, OURS + 1)]
    joiner = Joiner(calls)
    done = Outstanding(arrived={}, expected={}, open_channels=frozenset())
    with Journal(folder / FILE_NAME, create=True) as journal:
        journal.note("started_at", T0.isoformat())
        site: Any = SimpleNamespace(
            journal=journal, clock=FakeClock(at=T0), run_id=RUN_ID, account_id=ACCOUNT, region=REGION
        )
        collector = Collector(site, [_Busy(calls, foreign)], joiner.add, lambda _: done, ours_of(RUN_ID, calls))
        list(collector.run(T0))
        counts = journal.delivery_counts()[CLOUDTRAIL]
    found = [joiner.pairs(call, CLOUDTRAIL) for call in calls]
    return Read(
        joined=sum(len(pairs) == 1 for pairs in found),
        ways={pair.way for pairs in found for pair in pairs},
        unmatched=joiner.unmatched,
        counts=counts,
        journal_bytes=(folder / FILE_NAME).stat().st_size,
    )
