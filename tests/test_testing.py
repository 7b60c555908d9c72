"""The helpers that ship with the package keep the promises that tests rely on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from offline import FakeTarget, a_record, scheduled, seconds

from harness.channels import Channel
from harness.environment.site import Site
from harness.testing import FakeChannel, FakeClock


def test_a_delivery_shows_up_in_the_first_poll_at_or_after_its_arrival(site: Site, clock: FakeClock) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 60, a_record())])
    found: list[list[str]] = []
    for _ in range(3):
        found.append([delivery.name for delivery in channel.poll(site, clock.now(), set())])
        clock.sleep(60)
    assert found == [[], ["1"], ["1"]]
    assert channel.polls[1] - channel.polls[0] == seconds(60)


def test_known_deliveries_are_left_out(site: Site) -> None:
    channel = FakeChannel(scheduled=[scheduled("1", 0), scheduled("2", 0)])
    assert [d.name for d in channel.poll(site, site.clock.now(), {"1"})] == ["2"]


def test_a_fake_channel_is_a_channel(site: Site) -> None:
    channel: Channel = FakeChannel()
    channel.enable(site)
    channel.watch(site, "bucket")
    fake: Any = channel
    assert (fake.enabled, fake.watched) == (True, ["bucket"])


def test_a_fake_clock_begins_where_it_is_told() -> None:
    clock = FakeClock()
    began = clock.now()
    clock.sleep(3600)
    assert clock.now() - began == timedelta(hours=1)
    assert FakeTarget().clock.now() == began
