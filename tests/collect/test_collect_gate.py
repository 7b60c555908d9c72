"""The canary gate: no call under test before every channel has shown a control record, or is known to be silent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from offline import T0, a_record, scheduled

from harness.channels import PollPolicy
from harness.collect.gate import INTERVAL_SECONDS, VISIT_SECONDS, Shown, wait_for_channels
from harness.collect.loop import Collector, Outstanding
from harness.environment.site import Site
from harness.errors import CredentialsError
from harness.events import Event, GateProgress, Warned
from harness.testing import FakeChannel


def channel(
    name: str, after_seconds: float | None, silent_seconds: float = 3600, *, by_bucket: bool = False
) -> FakeChannel:
    """Return a channel that shows its first record after so long, or never."""
    policy = PollPolicy(
        interval_seconds=60,
        absence_seconds=3600,
        promise="none",
        silent_seconds=silent_seconds,
        by_bucket=by_bucket,
    )
    made = FakeChannel(name=name, policy=policy)
    if after_seconds is not None:
        delivery, parsed = scheduled(f"{name}-1", after_seconds, a_record(channel=name))
        made.scheduled = [(delivery, parsed)]
    return made


class Gate:
    """A gate over fake channels: a channel has shown something as soon as any record of it was taken.

    Attributes:
        buckets: Further buckets, each with how long after the beginning its first record comes.
        visits: The buckets that were to be visited, for each control call.
    """

    def __init__(self, site: Site, *channels: FakeChannel, buckets: Mapping[str, float] | None = None) -> None:
        self.site, self.controls = site, 0
        self.buckets = buckets or {}
        self.visits: list[set[str]] = []
        self.seen: set[str] = set()
        nothing = Outstanding(arrived={}, expected={}, open_channels=frozenset())
        self.collector = Collector(site, channels, lambda record, _: self.seen.add(record.channel), lambda _: nothing)
        self.events: list[Event] = []

    def control(self, to_visit: Collection[str]) -> None:
        self.controls += 1
        self.visits.append(set(to_visit))

    def shown(self) -> Shown:
        waited = (self.site.clock.now() - T0).total_seconds()
        missing = [name for name, after in self.buckets.items() if after > waited]
        return Shown(
            channels=self.seen, missing={c.name: missing for c in self.collector.channels if c.policy.by_bucket}
        )

    def run(self) -> Gate:
        for event in wait_for_channels(self.collector, self.control, self.shown):
            self.events.append(event)
        return self

    @property
    def last(self) -> GateProgress:
        assert isinstance(self.events[-1], GateProgress)
        return self.events[-1]

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


def test_it_opens_when_the_last_channel_has_shown_a_control_record(site: Site) -> None:
    gate = Gate(site, channel("quick", 120), channel("slow", 4000, 6 * 3600)).run()
    assert (gate.last.waiting, gate.last.silent) == ((), ())
    assert timedelta(seconds=4000) <= site.clock.now() - T0 < timedelta(seconds=4000 + 2 * INTERVAL_SECONDS)
    assert gate.warnings == []


def test_a_control_call_is_made_every_minute_and_no_more(site: Site) -> None:
    gate = Gate(site, channel("slow", 1000)).run()
    assert gate.controls == round(gate.last.waited_seconds / 60) + 1
    assert {round(slept) for slept in site.clock.slept} == {60}  # type: ignore[attr-defined]


def test_channels_are_polled_at_their_own_interval_not_with_every_control_call(site: Site) -> None:
    slow = channel("slow", 3000)
    slow.policy = PollPolicy(interval_seconds=300, absence_seconds=3600, promise="none", silent_seconds=6 * 3600)
    gate = Gate(site, slow).run()
    assert gate.controls == 51
    assert len(slow.polls) == 11


def test_a_silent_channel_is_given_up_at_its_limit_and_told_once(site: Site) -> None:
    gate = Gate(site, channel("quick", 60), channel("silent", None, 1800)).run()
    assert gate.last.silent == ("silent",)
    assert site.clock.now() - T0 == timedelta(seconds=1800)
    (warning,) = gate.warnings
    assert "silent has shown none" in warning
    assert "0:30:00" in warning


def test_a_channel_that_was_given_up_and_shows_one_after_all_is_not_silent(site: Site) -> None:
    gate = Gate(site, channel("late", 2400, 1800), channel("slow", 4000, 7200)).run()
    assert gate.last.silent == ()
    assert len(gate.warnings) == 1


def test_nothing_shows_and_all_are_given_up(site: Site) -> None:
    gate = Gate(site, channel("one", None, 600), channel("other", None, 1200)).run()
    assert gate.last.silent == ("one", "other")
    assert site.clock.now() - T0 == timedelta(seconds=1200)


def test_progress_tells_how_long_is_waited_and_at_most(site: Site) -> None:
    gate = Gate(site, channel("slow", 600, 5400)).run()
    first = next(event for event in gate.events if isinstance(event, GateProgress))
    assert (first.waiting, first.waited_seconds, first.limit_seconds) == (("slow",), 0, 5400)


def test_it_stays_shut_until_every_further_bucket_is_logged_too(site: Site) -> None:
    buckets = {"early": 900.0, "late": 5000.0}
    gate = Gate(site, channel("logs", 600, 6 * 3600, by_bucket=True), channel("trail", 300), buckets=buckets).run()
    assert timedelta(seconds=5000) <= site.clock.now() - T0 < timedelta(seconds=5000 + 2 * INTERVAL_SECONDS)
    counted = [event.buckets for event in gate.events if isinstance(event, GateProgress)]
    assert counted[0] == {}
    assert {"logs": 2} in counted
    assert counted[-2:] == [{"logs": 1}, {}]
    assert gate.warnings == []


def test_only_buckets_that_are_missing_are_visited_and_every_five_minutes(site: Site) -> None:
    gate = Gate(site, channel("logs", 60, 7200, by_bucket=True), buckets={"early": 400.0, "late": 1500.0}).run()
    times = [n * INTERVAL_SECONDS for n, visited in enumerate(gate.visits) if visited]
    assert times == [n * VISIT_SECONDS for n in range(len(times))]
    assert [visited for visited in gate.visits if visited] == [{"early", "late"}] * 2 + [{"late"}] * 4


def test_buckets_that_show_nothing_are_given_up_and_their_channel_is_kept(site: Site) -> None:
    gate = Gate(site, channel("logs", 60, 1800, by_bucket=True), buckets={"dumb": 1e9}).run()
    assert gate.last.silent == ()
    assert gate.warnings == ["logs has shown nothing of 1 buckets for 0:30:00: calls to them may stay pending"]


def test_expired_credentials_end_the_waiting(site: Site) -> None:
    expired = ClientError({"Error": {"Code": "ExpiredToken", "Message": "x"}}, "ListObjectsV2")
    slow = channel("slow", 600)
    slow.failures = [expired]
    with pytest.raises(CredentialsError, match="sign in"):
        Gate(site, slow).run()
