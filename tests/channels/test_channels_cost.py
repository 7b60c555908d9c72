"""Looking for new log objects costs a tenth of listing everything, at 10,000 objects that are there already."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
from botocore.awsrequest import AWSPreparedRequest
from offline import ACCOUNT, REGION, T0

from harness.channels import DEFAULT, channels
from harness.collect.loop import Collector, Outstanding, polling_cost
from harness.environment.site import Site
from harness.execute.recorder import Recorder
from harness.planning.fake_aws import Answer, FakeAws, xml
from harness.testing import FakeClock

EXISTING, PAGE = 10_000, 1000
HOURS = 1


class Bucket:
    """Answers ListObjectsV2 as S3 does, a thousand keys a page."""

    def __init__(self, keys: list[str], clock: FakeClock) -> None:
        self.keys, self.clock = sorted(keys), clock
        self.listed: Counter[str] = Counter()

    def __call__(self, request: AWSPreparedRequest) -> Answer:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        after = max(query.get("start-after", ""), query.get("continuation-token", ""))
        wanted = [k for k in self.keys if k.startswith(query.get("prefix", "")) and k > after]
        shown = wanted[:PAGE]
        self.listed["requests"] += 1
        self.listed["keys"] += len(shown)
        inner = "".join(
            f"<Contents><Key>{escape(k)}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for k in shown
        )
        if len(wanted) > PAGE:
            inner += (
                f"<IsTruncated>true</IsTruncated><NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>"
            )
        return xml("ListBucketResult", inner)


def key(name: str, at: datetime, number: int) -> str:
    if name == "server-access":
        return f"sal/{at:%Y-%m-%d-%H-%M-%S}-{number:016X}"
    day = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{at:%Y/%m/%d}/"
    return f"{day}{ACCOUNT}_CloudTrail_{REGION}_{at:%Y%m%dT%H%MZ}_{number:016X}.json.gz"


@pytest.mark.parametrize("name", DEFAULT)
def test_polling_costs_a_tenth_of_listing_everything(
    name: str, site: Site, aws: FakeAws, clock: FakeClock, recorder: Recorder
) -> None:
    began = clock.at = T0 + timedelta(hours=12)
    existing = [key(name, began - timedelta(seconds=3 * n + 3600), n) for n in range(EXISTING)]
    existing = [k for k in existing if f"{began:%Y/%m/%d}" in k or name == "server-access"]
    existing += [key(name, began - timedelta(hours=2), EXISTING + n) for n in range(EXISTING - len(existing))]
    arriving = [key(name, began + timedelta(minutes=5 * n), n) for n in range(12 * HOURS)]
    bucket = Bucket([*existing, *arriving], clock)
    aws.answers["ListObjectsV2"] = bucket
    aws.answers["GetObject"] = Answer(b"x")
    site.journal.note("started_at", began.isoformat())
    still = Outstanding(arrived={}, expected={}, open_channels=frozenset({name}))
    channel = channels()[name]()
    collector = Collector(site, [channel], lambda _r, _d: None, lambda _: still)
    list(collector.run(began + timedelta(hours=HOURS)))
    cost = polling_cost(collector, began)[name]
    assert cost["polls"] == HOURS * 3600 / channel.policy.interval_seconds + 1
    assert cost["looks"] == bucket.listed["requests"]
    everything = -(-len(bucket.keys) // PAGE) * cost["polls"]
    assert cost["looks"] <= everything / 10
    assert cost["looks_an_hour"] == round(cost["looks"] / HOURS, 1)
    assert len(site.journal.known_deliveries(name)) == len(arriving)


def test_files_of_network_activity_are_found_where_there_are_any(site: Site, aws: FakeAws, clock: FakeClock) -> None:
    clock.at = T0 + timedelta(hours=2)
    tree = f"AWSLogs/{ACCOUNT}/CloudTrail-NetworkActivity/{REGION}/2026/01/01/"
    name = f"{tree}{ACCOUNT}_CloudTrail-NetworkActivity_{REGION}_20260101T0150Z_abcdefghijklmnop.json.gz"
    aws.answers["ListObjectsV2"] = Bucket([name], clock)
    aws.answers["GetObject"] = Answer(b"x")
    channel = channels()["cloudtrail"]()
    (found,) = channel.poll(site, clock.at - timedelta(minutes=1), set())
    assert found.name.endswith(name)
    # Once there are any, every poll looks there.
    clock.at += timedelta(minutes=30)
    aws.made.clear()
    assert list(channel.poll(site, clock.at - timedelta(minutes=1), {found.name})) == []
    assert any(p["Prefix"].startswith(tree[:40]) for p in aws.parameters("ListObjectsV2"))


def test_the_clock_of_a_stamp_is_utc() -> None:
    assert key("server-access", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 1).startswith("sal/2026-01-02-03-04-05-")
