"""The canary gate: no call under test before every channel has shown a control record, or is known to be silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from offline import T0, a_record, scheduled

from harness.channels import PollPolicy
from harness.collect.gate import INTERVAL_SECONDS, wait_for_channels
from harness.collect.loop import Collector, Outstanding
from harness.environment.site import Site
from harness.errors import CredentialsError
from harness.events import Event, GateProgress, Warned
from harness.testing import FakeChannel


def channel(name: str, after_seconds: float | None, silent_seconds: float = 3600) -> FakeChannel:
    """Return a channel that shows its first record after so long, or never."""
    policy = PollPolicy(interval_seconds=60, absence_seconds=3600, promise="none", silent_seconds=silent_seconds)
    made = FakeChannel(name=name, policy=policy)
    if after_seconds is not None:
        delivery, parsed = scheduled(f"{name}-1", after_seconds, a_record(channel=name))
        made.scheduled = [(delivery, parsed)]
    return made


class Gate:
    """A gate over fake channels: a channel has shown something as soon as any record of it was taken."""

    def __init__(self, site: Site, *channels: FakeChannel) -> None:
        self.site, self.controls = site, 0
        self.seen: set[str] = set()
        nothing = Outstanding(arrived={}, expected={}, open_channels=frozenset())
        self.collector = Collector(site, channels, lambda record, _: self.seen.add(record.channel), lambda _: nothing)
        self.events: list[Event] = []

    def control(self) -> None:
        self.controls += 1

    def run(self) -> Gate:
        for event in wait_for_channels(self.collector, self.control, lambda: self.seen):
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


def test_expired_credentials_end_the_waiting(site: Site) -> None:
    expired = ClientError({"Error": {"Code": "ExpiredToken", "Message": "x"}}, "ListObjectsV2")
    slow = channel("slow", 600)
    slow.failures = [expired]
    with pytest.raises(CredentialsError, match="sign in"):
        Gate(site, slow).run()
