"""The poll loop, on a clock that never waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from offline import T0, a_call, a_record, scheduled, seconds

from harness.channels import PollPolicy
from harness.collect.loop import Collector, Outstanding
from harness.environment.site import Site
from harness.events import CollectProgress, Event, Warned
from harness.journal import Journal
from harness.model import Delivery, Parsed, Record, Reject
from harness.redact import MASK
from harness.testing import FakeChannel

DEADLINE = T0 + timedelta(hours=1)


def policy(interval_seconds: float) -> PollPolicy:
    return PollPolicy(interval_seconds=interval_seconds, absence_seconds=3600, promise="none")


def until_records(wanted: int, taken: Sequence[object]) -> Callable[[Mapping[str, datetime]], Outstanding]:
    """Say that something is outstanding until so many records were taken."""

    def outstanding(_polled_at: Mapping[str, datetime]) -> Outstanding:
        missing = frozenset({"fake"} if len(taken) < wanted else ())
        return Outstanding(
            arrived={"fake": len(taken)}, expected={"fake": wanted}, open_channels=missing, waiting_for="records"
        )

    return outstanding


class Loop:
    """A collector over fake channels, with what it took and told."""

    def __init__(self, site: Site, *channels: FakeChannel, wanted: int = 1) -> None:
        self.taken: list[tuple[Record, Delivery]] = []
        self.events: list[Event] = []
        self.collector = Collector(
            site, channels, lambda r, d: self.taken.append((r, d)), until_records(wanted, self.taken)
        )

    def run(self, deadline: datetime = DEADLINE) -> Loop:
        self.events = list(self.collector.run(deadline))
        return self

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def progress(self) -> list[CollectProgress]:
        return [event for event in self.events if isinstance(event, CollectProgress)]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not now"}}, "ListObjectsV2")


def test_nothing_outstanding_ends_it_after_one_round_without_waiting(site: Site) -> None:
    channel = FakeChannel()
    Loop(site, channel, wanted=0).run()
    assert channel.polls == [T0]
    assert site.clock.now() == T0


def test_it_ends_with_the_poll_that_brings_the_last_record(site: Site, journal: Journal) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 30, a_record(identity="a")), scheduled("2", 150, a_record())])
    loop = Loop(site, channel, wanted=2).run()
    assert channel.polls == [T0 + seconds(n) for n in (0, 60, 120, 180)]
    assert [delivery.name for _, delivery in loop.taken] == ["1", "2"]
    assert len(list(journal.records())) == 2
    assert site.clock.now() == T0 + seconds(180)


def test_every_channel_is_polled_at_its_own_interval(site: Site) -> None:
    often, seldom = FakeChannel(name="often", policy=policy(60)), FakeChannel(name="seldom", policy=policy(150))
    Loop(site, often, seldom).run(T0 + seconds(300))
    assert often.polls == [T0 + seconds(n) for n in (0, 60, 120, 180, 240, 300)]
    assert seldom.polls == [T0 + seconds(n) for n in (0, 150, 300)]


def test_one_last_poll_is_made_at_the_deadline(site: Site) -> None:
    channel = FakeChannel(policy=policy(60), scheduled=[scheduled("late", 95, a_record())])
    loop = Loop(site, channel).run(T0 + seconds(100))
    assert channel.polls == [T0 + seconds(n) for n in (0, 60, 100)]
    assert len(loop.taken) == 1


def test_what_comes_after_the_deadline_is_not_waited_for(site: Site) -> None:
    channel = FakeChannel(scheduled=[scheduled("late", 3601, a_record())])
    loop = Loop(site, channel).run()
    assert loop.taken == []
    assert site.clock.now() == DEADLINE


def test_a_deadline_that_has_passed_leaves_one_poll(site: Site) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", -10, a_record())])
    loop = Loop(site, channel).run(T0 - seconds(60))
    assert channel.polls == [T0]
    assert len(loop.taken) == 1


def test_progress_is_told_after_every_round(site: Site) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 60, a_record())])
    first, second = Loop(site, channel).run().progress
    assert (first.arrived, first.expected, first.waiting_for) == ({"fake": 0}, {"fake": 1}, "records")
    assert (second.arrived, second.now, second.deadline) == ({"fake": 1}, T0 + seconds(60), DEADLINE)


def test_nine_hours_are_waited_on_the_runs_own_clock(site: Site) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 9 * 3600, a_record())])
    loop = Loop(site, channel).run(T0 + timedelta(hours=10))
    assert len(loop.taken) == 1
    assert len(channel.polls) == 9 * 60 + 1


def test_an_error_of_awss_is_warned_of_once_and_polling_goes_on(site: Site) -> None:
    failures: list[Exception] = [refused("SlowDown"), refused("SlowDown"), refused("AccessDenied"), refused("SlowDown")]
    failures.append(EndpointConnectionError(endpoint_url="https://x"))
    channel = FakeChannel(failures=failures, scheduled=[scheduled("1", 0, a_record())])
    loop = Loop(site, channel).run()
    assert len(loop.taken) == 1
    assert len(channel.polls) == 6
    assert [code for code in ("SlowDown", "AccessDenied", "https://x") for w in loop.warnings if code in w] == [
        "SlowDown",
        "AccessDenied",
        "https://x",
    ]
    assert all("fake" in warning for warning in loop.warnings)


def test_one_channels_error_does_not_keep_the_other_from_being_polled(site: Site) -> None:
    broken = FakeChannel(name="broken", failures=[refused("AccessDenied")] * 100)
    sound = FakeChannel(scheduled=[scheduled("1", 0, a_record())])
    assert len(Loop(site, broken, sound).run().taken) == 1


def test_any_other_error_is_passed_on(site: Site) -> None:
    with pytest.raises(ZeroDivisionError):
        Loop(site, FakeChannel(failures=[ZeroDivisionError()])).run()


def test_rejects_are_kept_and_told_once_per_file(site: Site, journal: Journal) -> None:
    bad = [Reject(channel="fake", reason=f"bad {n}", raw="?", offset=n) for n in range(2)]
    channel = FakeChannel(scheduled=[scheduled("1", 0, a_record(channel="fake"), rejects=tuple(bad))])
    loop = Loop(site, channel).run()
    assert journal.rejects() == [(bad[0], "1"), (bad[1], "1")]
    assert loop.warnings == ["1: bad 0"]
    assert loop.progress[-1].rejects == {"fake": 2}


def test_a_delivery_that_vanished_is_counted_told_and_not_asked_for_again(site: Site, journal: Journal) -> None:
    gone, _ = scheduled("gone", 0)
    gone = Delivery(channel="fake", name="gone", arrived_at=T0, seen_at=T0, size_bytes=5, body=None)
    channel = FakeChannel(scheduled=[(gone, Parsed()), scheduled("1", 120, a_record())])
    loop = Loop(site, channel).run()
    assert journal.delivery_counts()["fake"]["vanished"] == 1
    assert [w for w in loop.warnings if "gone vanished" in w] == loop.warnings
    assert len(loop.warnings) == 1
    assert "gone" in journal.known_deliveries("fake")


def test_a_delivery_is_taken_once_however_often_it_is_polled(site: Site) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 0, a_record())])
    assert len(Loop(site, channel, wanted=2).run().taken) == 1


def test_what_an_earlier_process_read_is_not_taken_again(site: Site) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 0, a_record())])
    Loop(site, channel).run()
    assert Loop(site, channel).run(site.clock.now() + seconds(60)).taken == []


class Recorded(FakeChannel):
    """Notes since when each poll was asked to look."""

    def __init__(self, failures: list[Exception]) -> None:
        super().__init__(failures=failures)
        self.since: list[datetime] = []

    def poll(self, site: Site, since: datetime, known: set[str]):  # type: ignore[no-untyped-def]
        self.since.append(since)
        return super().poll(site, since, known)


def test_each_poll_looks_back_to_the_beginning_of_the_last_complete_one(site: Site, journal: Journal) -> None:
    channel = Recorded([])
    Loop(site, channel).run(T0 + seconds(120))
    assert channel.since == [T0, T0, T0 + seconds(60)]
    assert datetime.fromisoformat(journal.cursor("fake")) == T0 + seconds(120)


def test_a_poll_that_failed_is_looked_behind(site: Site) -> None:
    channel = Recorded([refused("SlowDown"), refused("SlowDown")])
    loop = Loop(site, channel).run(T0 + seconds(180))
    assert channel.since == [T0, T0, T0, T0 + seconds(120)]
    assert loop.collector.polled_at == {"fake": T0 + seconds(180)}


def test_a_channel_that_was_never_polled_to_the_end_has_no_time(site: Site) -> None:
    channel = FakeChannel(failures=[refused("AccessDenied")] * 100)
    assert Loop(site, channel).run(T0 + seconds(300)).collector.polled_at == {}


def test_the_beginnings_of_complete_polls_are_kept(site: Site, journal: Journal) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 150, a_record())])
    loop = Loop(site, channel, wanted=2)
    loop.run(T0 + seconds(60))
    channel.failures = [refused("SlowDown")]
    loop.run(T0 + seconds(180))
    assert channel.polls == [T0 + seconds(n) for n in (0, 60, 120, 180)]
    assert journal.polls() == {"fake": [T0 + seconds(n) for n in (0, 60, 180)]}


def test_secrets_are_masked_before_anything_is_kept(site: Site, journal: Journal) -> None:
    secret = "GET /b/k?X-Amz-Signature=0123abcd HTTP/1.1"
    record = a_record(a_call(), raw=secret, fields={"request_uri": secret})
    loop = Loop(site, FakeChannel(scheduled=[scheduled("1", 0, record)])).run()
    ((kept, _),) = journal.records()
    assert kept.raw == f"GET /b/k?X-Amz-Signature={MASK} HTTP/1.1"
    assert loop.taken[0][0] == kept
    on_disk = b"".join(path.read_bytes() for path in journal.path.parent.glob("journal.sqlite*"))
    assert MASK.encode() in on_disk
    assert b"0123abcd" not in on_disk
