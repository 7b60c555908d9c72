"""What hours and days of waiting cost: polls, LIST and GET requests, and their price, for delays with long tails.

    python benchmarks/long_wait.py                      # 9 hours and 9 days, 1,000 calls
    python benchmarks/long_wait.py --calls 10000

The poll loop, both channels, their parsers, the join and the journal are the real ones; the log bucket is a dictionary
and the clock advances only by being slept on. Delays are drawn from what others have measured:

- server access logs: half within 55 minutes (53 to 85 in public samples); Yelp Engineering, "S3 server access logs at
  scale" (26 September 2025, read in a summary): fewer than 1 in 100,000 records after 2 days, the last after 9 days;
- CloudTrail: half within 3.3 minutes, 99 % within 8.4 (invictus-ir/aws_dataset); Tracebit (27 November 2023, quoted)
  saw fewer than 1 in 3,000 come after 10 minutes, the last after 16 hours.

The last record of each channel comes when the wait is over, so that nothing can end it before. Seeded. Exit code 1
when a record is lost, or when the nine hours take five seconds or more.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.analyse.join import Joiner
from harness.analyse.outstanding import outstanding
from harness.channels import Channel, channels
from harness.collect.loop import Collector
from harness.events import CollectProgress
from harness.journal import FILE_NAME, Journal
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, CellKey, Role
from harness.planning.cost import prices
from harness.testing import FakeClock

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT, REGION, RUN_ID = "111122223333", "us-east-1", "0badcafe"
PAGE = 1000
SAME_FILE = {SERVER_ACCESS: 60.0, CLOUDTRAIL: 300.0}
"""What is delivered within so many seconds comes in one log object."""
DELAY = {SERVER_ACCESS: (3300.0, 0.25), CLOUDTRAIL: (198.0, 0.40)}
"""Median in seconds and sigma of the log-normal bulk."""
LIMIT_SECONDS = 5.0
WAITS = {"9 hours": timedelta(hours=9), "9 days": timedelta(days=9)}


@dataclass(slots=True)
class LogStore:
    """The log buckets, as far as polling asks: what has arrived by now, page by page; counts what is asked."""

    clock: FakeClock
    objects: dict[str, tuple[datetime, bytes]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def get_paginator(self, _operation: str) -> LogStore:
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:
        there = sorted(
            key
            for key, (arrived_at, _) in self.objects.items()
            if key.startswith(Prefix) and key > StartAfter and arrived_at <= self.clock.now()
        )
        for start in range(0, max(1, len(there)), PAGE):
            self.asked["LIST"] += 1
            page = there[start : start + PAGE]
            yield {
                "Contents": [
                    {"Key": k, "LastModified": self.objects[k][0], "Size": len(self.objects[k][1])} for k in page
                ]
            }

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.asked["GET"] += 1
        return {"Body": SimpleNamespace(iter_chunks=lambda: [self.objects[Key][1]])}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a wait.

    Attributes:
        polls: Per channel.
        asked: LIST and GET requests.
        arrived, expected: Records per channel.
        waited: On the run's clock, from the last call on.
        took_seconds, cpu_seconds: In real time, and of that what this process computed.
    """

    polls: Mapping[str, int]
    asked: Mapping[str, int]
    arrived: Mapping[str, int]
    expected: Mapping[str, int]
    waited: timedelta
    took_seconds: float
    cpu_seconds: float
    rejects: int
    unmatched: int

    @property
    def usd(self) -> float:
        return self.asked["LIST"] * prices()["s3-write"].usd + self.asked["GET"] * prices()["s3-read"].usd


def simulate(
    folder: Path, longest: timedelta, deadline: timedelta, n_calls: int = 1000, lost: int = 0, seed: int = 1
) -> Outcome:
    """Wait for the records of calls, the last of which come after ``longest``.

    Args:
        folder: For the journal.
        longest: The delay of the last record of each channel.
        deadline: After the last call.
        n_calls: Calls under test, made within ten minutes.
        lost: How many of them leave no record at all.
        seed: Of the delays.
    """
    began, computed = time.perf_counter(), time.process_time()
    clock, source = FakeClock(at=BEGAN), random.Random(seed)
    store = LogStore(clock)
    every = [make() for name, make in channels().items() if name in DELAY]
    with Journal(folder / FILE_NAME, create=True) as journal:
        journal.note("started_at", BEGAN.isoformat())
        calls = [_call(number, 600 * number / n_calls) for number in range(1, n_calls + 1)]
        last_call = calls[-1].completed_at
        clock.at = last_call
        for channel in every:
            _deliver(store, channel, calls[: n_calls - lost], longest, source)
        site: Any = SimpleNamespace(
            s3=store,
            clock=clock,
            journal=journal,
            account_id=ACCOUNT,
            region=REGION,
            log_bucket="log",
            trail_bucket="ct",
        )
        joiner = Joiner(calls)
        collector = Collector(
            site,
            every,
            take=joiner.add,
            outstanding=lambda polled_at: outstanding(every, calls, joiner, polled_at),
            since=last_call,
        )
        told = [event for event in collector.run(last_call + deadline) if isinstance(event, CollectProgress)]
        return Outcome(
            polls={name: len(times) for name, times in journal.polls().items()},
            asked=store.asked,
            arrived=told[-1].arrived,
            expected=told[-1].expected,
            waited=clock.now() - last_call,
            took_seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - computed,
            rejects=len(journal.rejects()),
            unmatched=joiner.unmatched,
        )


def _call(number: int, after_seconds: float) -> Call:
    sent = BEGAN + timedelta(seconds=after_seconds)
    return Call(
        number=number,
        operation="PutObject",
        service="s3",
        role=Role.CONTROL if number % 40 == 1 else Role.SUBJECT,
        marker=f"s3lm/{RUN_ID}/{number}",
        cell=CellKey(operation="PutObject"),
        sent_at=sent,
        received_at=sent + timedelta(milliseconds=80),
        method="PUT",
        bucket="source",
        key=f"key-{number}",
        user_agent=f"Boto3/1 s3lm/{RUN_ID}/{number}",
        status=200,
        request_id=f"{number:016X}",
        host_id=f"host-{number}",
        expected={SERVER_ACCESS: 1, CLOUDTRAIL: 1},
    )


def _deliver(store: LogStore, channel: Channel, calls: list[Call], longest: timedelta, source: random.Random) -> None:
    """Put the log objects of a channel where polling will find them, each at its time."""
    median, sigma = DELAY[channel.name]
    window = SAME_FILE[channel.name]
    files: dict[datetime, list[Call]] = defaultdict(list)
    for call in calls:
        seconds = min(median * math.exp(source.gauss(0, sigma)), longest.total_seconds() * 0.9)
        ended = math.ceil((call.completed_at.timestamp() + seconds) / window) * window
        files[datetime.fromtimestamp(ended, UTC)].append(call)
    last = next(at for at in files if calls[-1] in files[at])
    files[last].remove(calls[-1])
    files[calls[-1].completed_at + longest] = [calls[-1]]
    for number, (at, carried) in enumerate(files.items()):
        if carried:
            make = _access_log if channel.name == SERVER_ACCESS else _trail_file
            key, body = make(at, number, carried)
            store.objects[key] = (at, body)


def _access_log(at: datetime, number: int, calls: list[Call]) -> tuple[str, bytes]:
    lines = [
        f"{'0f' * 32} {c.bucket} [{c.sent_at:%d/%b/%Y:%H:%M:%S} +0000] 203.0.113.9 arn:aws:iam::{ACCOUNT}:user/u"
        f' {c.request_id} REST.PUT.OBJECT {c.key} "PUT /{c.key} HTTP/1.1" 200 - - 1 9 8 "-" "{c.user_agent}" -'
        f" {c.host_id} SigV4 TLS_AES_128_GCM_SHA256 AuthHeader source.s3.amazonaws.com TLSv1.3 - - {REGION}\n"
        for c in calls
    ]
    return f"sal/{at:%Y-%m-%d-%H-%M-%S}-{number:016X}", "".join(lines).encode()


def _trail_file(at: datetime, number: int, calls: list[Call]) -> tuple[str, bytes]:
    records = [
        {
            "eventVersion": "1.11",
            "eventTime": f"{c.completed_at:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutObject",
            "userAgent": f"[{c.user_agent}]",
            "requestParameters": {"bucketName": c.bucket, "key": c.key},
            "requestID": c.request_id,
            "eventID": f"event-{c.number}",
        }
        for c in calls
    ]
    name = f"{ACCOUNT}_CloudTrail_{REGION}_{at:%Y%m%dT%H%MZ}_{number:016X}.json.gz"
    body = gzip.compress(json.dumps({"Records": records}).encode())
    return f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{at:%Y/%m/%d}/{name}", body


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    missed = False
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    listing, reading = prices()["s3-write"], prices()["s3-read"]
    print(f"{options.calls} calls, both channels; the last record of each comes at the end of the wait\n")
    head = f"{'wait':8}  {'polls: server-access':>20}  {'cloudtrail':>10}  {'LIST':>6}  {'GET':>6}  {'USD':>8}"
    print(f"{head}  {'records':>11}  seconds (of a processor)")
    for name, wait in WAITS.items():
        with tempfile.TemporaryDirectory() as folder:
            done = simulate(Path(folder), wait, wait + timedelta(hours=1), options.calls)
        arrived, expected = sum(done.arrived.values()), sum(done.expected.values())
        missed |= arrived != expected or (name == "9 hours" and done.took_seconds >= LIMIT_SECONDS)
        took = f"{done.took_seconds:.1f} ({done.cpu_seconds:.1f})"
        print(
            f"{name:8}  {done.polls[SERVER_ACCESS]:>20}  {done.polls[CLOUDTRAIL]:>10}  {done.asked['LIST']:>6}"
            f"  {done.asked['GET']:>6}  {done.usd:>8.5f}  {arrived:>5}/{expected:<5}  {took}"
        )
    print(f"\nUSD per request in {listing.region}: LIST {listing.usd:.7f} ({listing.source}, {listing.read});")
    print(f"GET {reading.usd:.7f} ({reading.source}, {reading.read})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
