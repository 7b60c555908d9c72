"""A trail shows the whole account: 100,000 foreign records around 500 of ours are counted, and cost little."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from offline import RUN_ID, T0, a_call

from harness.analyse.join import Joiner, Way, ours_of
from harness.collect.loop import Collector, Outstanding
from harness.environment.site import Site
from harness.formats import cloudtrail
from harness.journal import Journal
from harness.model import CLOUDTRAIL, Call, Delivery, Ours, Parsed
from harness.testing import FakeChannel

FOREIGN, OURS, FILES = 100_000, 500, 50
LIMIT_SECONDS = 60
"""Generous: it takes a tenth of it on an idle machine."""


def event(name: str, number: int, **changes: Any) -> dict[str, Any]:
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


def ours(call: Call) -> dict[str, Any]:
    """Every second one is known by its request id alone, as one without our marker and bucket would be."""
    known = {"requestID": call.request_id, "eventSource": "s3.amazonaws.com"}
    if call.number % 2:
        return event("GetBucketAcl", call.number, **known)
    return event("GetBucketAcl", call.number, userAgent=f"[Boto3 {call.marker}]", eventSource="s3.amazonaws.com")


class Busy(FakeChannel):
    """A trail of a busy account: real files, read by the real parser."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__(name=CLOUDTRAIL)
        self.calls = calls

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        others = ",".join(json.dumps(event("DescribeInstances", n)) for n in range(FOREIGN // FILES))
        for number in range(FILES):
            first, *rest = (json.dumps(ours(call)) for call in self.calls[number::FILES])
            body = gzip.compress(f'{{"Records":[{",".join([first, others, *rest])}]}}'.encode(), 1)
            at = T0 + timedelta(seconds=number)
            yield Delivery(
                channel=CLOUDTRAIL, name=str(number), arrived_at=at, seen_at=at, size_bytes=len(body), body=body
            )

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        return cloudtrail.parse(delivery.body or b"", ours)


def test_a_busy_account_is_ignored_cheaply_and_nothing_of_ours_is_lost(site: Site, journal: Journal) -> None:
    calls = [replace(a_call(n), request_id=f"OURS{n:012}") for n in range(1, OURS + 1)]
    joiner = Joiner(calls)
    done = Outstanding(arrived={}, expected={}, open_channels=frozenset())
    collector = Collector(site, [Busy(calls)], joiner.add, lambda _: done, ours_of(RUN_ID, calls))
    began = time.monotonic()
    list(collector.run(T0))
    assert time.monotonic() - began < LIMIT_SECONDS
    found = {call.number: joiner.pairs(call, CLOUDTRAIL) for call in calls}
    assert {len(pairs) for pairs in found.values()} == {1}
    assert {pairs[0].way for pairs in found.values()} == {Way.REQUEST_ID, Way.MARKER}
    assert joiner.unmatched == 0
    counts = journal.delivery_counts()[CLOUDTRAIL]
    assert (counts["records"], counts["foreign"], counts["rejects"]) == (OURS, FOREIGN, 0)
    assert journal.path.stat().st_size < 20 * 2**20, "nothing of the account's other events is kept"


def test_a_foreign_record_that_does_not_parse_is_still_a_reject() -> None:
    text = json.dumps({"Records": [event("X", 1), {"no": "name"}]})[:-2] + ", {bad}]}"
    parsed = cloudtrail.parse(text.encode(), lambda _text, _request_id: False)
    assert parsed.foreign == 1
    assert len(parsed.rejects) == 2
