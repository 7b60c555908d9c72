"""New log objects are read without listing the old ones, and what goes wrong on the way is told, not lost."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError, IncompleteReadError
from offline import ACCOUNT, REGION, T0, seconds

from harness.channels import DEFAULT, channels
from harness.channels.log_objects import OVERLAP, LogFolder, new_objects
from harness.collect.loop import Collector, Outstanding
from harness.environment.site import Site
from harness.events import Warned
from harness.model import Delivery
from harness.planning.fake_aws import Answer, FakeAws, refusal, xml
from harness.testing import FakeClock

PAGE = 2
pytestmark = pytest.mark.usefixtures("no_backoff")


class LogBucket:
    """Answers ListObjectsV2 and GetObject from a dict, two keys a page."""

    def __init__(self, aws: FakeAws) -> None:
        self.objects: dict[str, bytes] = {}
        self.gone: set[str] = set()
        self.cut: set[str] = set()
        self.listed: list[dict[str, str]] = []
        aws.answers["ListObjectsV2"] = self._list
        aws.answers["GetObject"] = self._get

    def _list(self, request: AWSPreparedRequest) -> Answer:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        self.listed.append(query)
        after = query.get("continuation-token", query.get("start-after", ""))
        keys = sorted(k for k in self.objects if k.startswith(query.get("prefix", "")) and k > after)
        inner = "".join(
            f"<Contents><Key>{k}</Key><LastModified>2026-01-01T01:00:00.000Z</LastModified>"
            f"<Size>{len(self.objects[k])}</Size></Contents>"
            for k in keys[:PAGE]
        )
        if len(keys) > PAGE:
            next_page = f"<NextContinuationToken>{keys[PAGE - 1]}</NextContinuationToken>"
            inner += f"<IsTruncated>true</IsTruncated>{next_page}"
        return xml("ListBucketResult", inner)

    def _get(self, request: AWSPreparedRequest) -> Answer:
        key = unquote(urlsplit(request.url).path).removeprefix("/")
        if key in self.gone:
            return refusal("NoSuchKey", 404)
        body = self.objects[key]
        return Answer(body[: len(body) // 2] if key in self.cut else body, headers={"Content-Length": str(len(body))})


@pytest.fixture
def logs(aws: FakeAws) -> LogBucket:
    return LogBucket(aws)


FLAT = LogFolder(prefix="sal/", by_day=False, name_at=lambda moment: f"{moment:%Y-%m-%d-%H-%M-%S}")
DAILY = LogFolder(prefix="ct/", by_day=True, name_at=lambda moment: f"x_{moment:%Y%m%dT%H%MZ}")


def flat(moment: datetime, suffix: str = "-ABC") -> str:
    return f"sal/{moment:%Y-%m-%d-%H-%M-%S}{suffix}"


def daily(moment: datetime, suffix: str = "_abc.json.gz") -> str:
    return f"ct/{moment:%Y/%m/%d}/x_{moment:%Y%m%dT%H%MZ}{suffix}"


def read(site: Site, folder: LogFolder, since: datetime, known: set[str] | None = None) -> list[Delivery]:
    found: Iterator[Delivery] = new_objects(site.s3, site.clock, "fake", "logs", folder, since, known or set())
    return list(found)


def keys(deliveries: list[Delivery]) -> list[str]:
    return [delivery.name.removeprefix("s3://logs/") for delivery in deliveries]


def test_every_new_object_is_read_whole_over_all_pages(site: Site, logs: LogBucket, clock: FakeClock) -> None:
    logs.objects = {flat(T0 + timedelta(minutes=n)): f"line {n}".encode() for n in range(5)}
    clock.at = T0 + timedelta(hours=1)
    deliveries = read(site, FLAT, T0)
    assert keys(deliveries) == sorted(logs.objects)
    assert [d.body for d in deliveries] == [logs.objects[k] for k in sorted(logs.objects)]
    first = deliveries[0]
    assert (first.channel, first.size_bytes) == ("fake", 6)
    assert first.arrived_at == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert first.seen_at == clock.now()


def test_older_objects_are_not_even_listed(site: Site, logs: LogBucket) -> None:
    old, new = flat(T0 - OVERLAP - seconds(60)), flat(T0)
    logs.objects = {old: b"old", new: b"new"}
    assert keys(read(site, FLAT, T0)) == [new]
    assert logs.listed[0]["start-after"] > old


def test_an_object_that_appears_late_within_the_overlap_is_found(site: Site, logs: LogBucket) -> None:
    late = flat(T0 - OVERLAP + seconds(1))
    logs.objects = {late: b"late"}
    assert keys(read(site, FLAT, T0)) == [late]


def test_known_objects_are_not_read_again(site: Site, logs: LogBucket, aws: FakeAws) -> None:
    logs.objects = {flat(T0): b"1", flat(T0 + seconds(1)): b"2"}
    known = {f"s3://logs/{flat(T0)}"}
    assert keys(read(site, FLAT, T0, known)) == [flat(T0 + seconds(1))]
    assert [p["Key"] for p in aws.parameters("GetObject")] == [flat(T0 + seconds(1))]


def test_another_prefix_is_left_alone(site: Site, logs: LogBucket) -> None:
    logs.objects = {"other/2026-01-01-00-00-00-X": b"x", "salt": b"x", flat(T0): b"1"}
    assert keys(read(site, FLAT, T0)) == [flat(T0)]


def test_both_day_folders_are_read_across_midnight(site: Site, logs: LogBucket, clock: FakeClock) -> None:
    before, after = T0 + timedelta(hours=23, minutes=55), T0 + timedelta(days=1, minutes=5)
    logs.objects = {daily(before): b"1", daily(after): b"2"}
    clock.at = T0 + timedelta(days=1, minutes=10)
    assert keys(read(site, DAILY, before)) == [daily(before), daily(after)]
    assert [query["prefix"] for query in logs.listed] == ["ct/2026/01/01/", "ct/2026/01/02/"]


def test_the_overlap_reaches_back_into_yesterdays_folder(site: Site, logs: LogBucket, clock: FakeClock) -> None:
    clock.at = T0 + timedelta(days=1, minutes=5)
    late = daily(T0 + timedelta(days=1) - timedelta(minutes=10))
    logs.objects = {late: b"late"}
    assert keys(read(site, DAILY, clock.now())) == [late]


def test_shortly_before_midnight_tomorrows_folder_is_looked_into(site: Site, logs: LogBucket, clock: FakeClock) -> None:
    clock.at = T0 + timedelta(days=1) - seconds(10)
    early = daily(T0 + timedelta(days=1))
    logs.objects = {early: b"their clock is ahead"}
    assert keys(read(site, DAILY, clock.now())) == [early]


def test_every_day_of_a_long_pause_is_listed_once(site: Site, logs: LogBucket, clock: FakeClock) -> None:
    clock.at = T0 + timedelta(days=3, hours=12)
    logs.objects = {daily(T0 + timedelta(days=n, hours=6)): b"x" for n in range(4)}
    assert len(read(site, DAILY, T0 + timedelta(hours=1))) == 4
    assert len({query["prefix"] for query in logs.listed}) == len(logs.listed) == 4


def test_within_a_day_older_files_are_not_listed(site: Site, logs: LogBucket, clock: FakeClock) -> None:
    clock.at = T0 + timedelta(hours=20)
    logs.objects = {daily(T0 + timedelta(hours=n)): b"x" for n in range(20)}
    assert len(read(site, DAILY, T0 + timedelta(hours=18))) == 2


def test_an_object_that_vanishes_between_list_and_get_is_yielded_without_a_body(site: Site, logs: LogBucket) -> None:
    logs.objects = {flat(T0): b"1", flat(T0 + seconds(1)): b"2"}
    logs.gone = {flat(T0)}
    gone, read_ = read(site, FLAT, T0)
    assert (gone.body, gone.size_bytes) == (None, 1)
    assert read_.body == b"2"


def test_a_download_that_breaks_off_is_told_after_the_others_were_read(site: Site, logs: LogBucket) -> None:
    """The object in S3 is whole: what came of it is no delivery."""
    logs.objects = {flat(T0): b"0123456789", flat(T0 + seconds(1)): b"2"}
    logs.cut = {flat(T0)}
    found = new_objects(site.s3, site.clock, "fake", "logs", FLAT, T0, set())
    assert next(found).body == b"2"
    with pytest.raises(IncompleteReadError):
        next(found)


def test_a_body_shorter_than_it_was_listed_is_no_delivery_even_if_nothing_says_that_it_broke_off(
    site: Site, logs: LogBucket, aws: FakeAws
) -> None:
    logs.objects = {flat(T0): b"0123456789"}
    aws.answers["GetObject"] = Answer(b"01234")
    with pytest.raises(IncompleteReadError):
        read(site, FLAT, T0)


def test_a_download_that_broke_off_is_warned_of_and_fetched_again_at_the_next_poll(site: Site, logs: LogBucket) -> None:
    broken, whole = flat(T0), flat(T0 + seconds(1))
    logs.objects = {broken: b"one line that is no record\n", whole: b"another\n"}
    logs.cut = {broken}
    done = Outstanding(arrived={}, expected={}, open_channels=frozenset())
    collector = Collector(site, [channels()["server-access"]()], lambda _r, _d: None, lambda _: done)
    told = [event.message for event in collector.run(T0) if isinstance(event, Warned)]
    assert any("polling server-access failed and goes on" in message for message in told)
    assert site.journal.known_deliveries("server-access") == {f"s3://{site.log_bucket}/{whole}"}
    assert (site.journal.cursor("server-access"), collector.polled_at) == (None, {})
    logs.cut = set()
    list(collector.run(T0))
    assert f"s3://{site.log_bucket}/{broken}" in site.journal.known_deliveries("server-access")
    assert "one line that is no record" in {reject.raw.strip() for reject, _ in site.journal.rejects()}
    assert collector.polled_at == {"server-access": T0}


def test_an_object_that_is_stored_truncated_reaches_the_parser(site: Site, logs: LogBucket, clock: FakeClock) -> None:
    clock.at = T0 + timedelta(hours=2)
    name = f"{ACCOUNT}_CloudTrail_{REGION}_20260101T0110Z_abcDEF0123456789.json.gz"
    stored = gzip.compress(b'{"Records":[{"eventName":"A"},{"eventName":"B"}]}')[:-20]
    logs.objects = {f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/01/01/{name}": stored}
    channel = channels()["cloudtrail"]()
    (found,) = channel.poll(site, T0 + timedelta(hours=1), set())
    assert found.body == stored
    assert "truncated" in channel.parse(found).rejects[-1].reason


def test_an_empty_object_has_an_empty_body_and_not_none(site: Site, logs: LogBucket) -> None:
    logs.objects = {flat(T0): b""}
    assert [d.body for d in read(site, FLAT, T0)] == [b""]


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_a_refusal_is_passed_on(operation: str, site: Site, logs: LogBucket, aws: FakeAws) -> None:
    logs.objects = {flat(T0): b"1"}
    aws.answers[operation] = refusal("AccessDenied", 403)
    with pytest.raises(ClientError, match="AccessDenied"):
        read(site, FLAT, T0)


def test_one_object_that_may_not_be_read_does_not_hide_those_after_it_for_good(
    site: Site, logs: LogBucket, aws: FakeAws
) -> None:
    logs.objects = {flat(T0 + seconds(n)): b"no record\n" for n in range(3)}

    def refuse_the_first(request: AWSPreparedRequest) -> Answer:
        return refusal("AccessDenied", 403) if flat(T0) in unquote(request.url) else logs._get(request)

    def outstanding(_polled_at: object) -> Outstanding:
        return Outstanding(arrived={}, expected={}, open_channels=frozenset({"server-access"}))

    aws.answers["GetObject"] = refuse_the_first
    collector = Collector(site, [channels()["server-access"]()], lambda _r, _d: None, outstanding)
    list(collector.run(T0 + timedelta(hours=1)))
    names = site.journal.known_deliveries("server-access")
    assert {f"s3://{site.log_bucket}/{flat(T0 + seconds(n))}" for n in (1, 2)} <= names


@pytest.mark.parametrize("name", DEFAULT)
def test_both_channels_find_files_that_are_named_as_aws_names_them(
    name: str, site: Site, logs: LogBucket, clock: FakeClock
) -> None:
    clock.at = T0 + timedelta(hours=2)
    day = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/01/01/"
    made = {
        "server-access": "sal/2026-01-01-01-10-00-0123456789ABCDEF",
        "cloudtrail": f"{day}{ACCOUNT}_CloudTrail_{REGION}_20260101T0110Z_abcDEF0123456789.json.gz",
    }
    logs.objects = {made[name]: b"x"}
    (found,) = channels()[name]().poll(site, T0 + timedelta(hours=1), set())
    assert found.name.endswith(made[name])
    assert found.channel == name


def test_digest_files_are_not_taken_for_logs(site: Site, logs: LogBucket) -> None:
    logs.objects = {f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/2026/01/01/{ACCOUNT}_CloudTrail-Digest_x": b"x"}
    assert list(channels()["cloudtrail"]().poll(site, T0, set())) == []


@pytest.mark.parametrize("name", list(channels()))
def test_a_vanished_delivery_has_neither_records_nor_rejects(name: str) -> None:
    channel: Any = channels()[name]()
    gone = Delivery(channel=name, name="s3://logs/1", arrived_at=T0, seen_at=T0, size_bytes=9, body=None)
    parsed = channel.parse(gone)
    assert (parsed.records, parsed.rejects) == ((), ())
