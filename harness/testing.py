"""Test helpers that ship with the package, for users' tests too: a clock that never waits, a channel in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from harness.channels import Permission, PollPolicy
from harness.environment.site import Site
from harness.model import Delivery, Ours, Parsed


@dataclass(slots=True)
class FakeClock:
    """A clock that advances only through ``sleep``, so that hours of waiting are tested in milliseconds."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    factor: float = 1.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Advance by so many seconds."""
        self.slept.append(seconds)
        self.at += timedelta(seconds=max(0.0, seconds))


@dataclass(slots=True)
class FakeChannel:
    """A channel whose deliveries are given: each shows up in the first poll at or after its arrival.

    Attributes:
        scheduled: Deliveries with what parsing them yields.
        failures: Raised by the next polls, one each, before anything is delivered.
        polls: When the channel was polled.
        refusal: Why the channel cannot be set up, if so.
    """

    name: str = "fake"
    policy: PollPolicy = field(
        default_factory=lambda: PollPolicy(interval_seconds=60, absence_seconds=3600, promise="none: made up")
    )
    permissions: tuple[Permission, ...] = ()
    scheduled: list[tuple[Delivery, Parsed]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    polls: list[datetime] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    enabled: bool = False
    refusal: str = ""
    charges: tuple[str, ...] = ()

    def preflight(self, site: Site) -> str:
        """Return the refusal."""
        return self.refusal

    def enable(self, site: Site) -> None:
        """Note that the channel was switched on."""
        self.enabled = True

    def watch(self, site: Site, bucket: str) -> None:
        """Note a source bucket."""
        self.watched.append(bucket)

    def disable(self, site: Site) -> None:
        """Note that the channel was switched off."""
        self.enabled = False

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield what has arrived by now and is not known."""
        self.polls.append(site.clock.now())
        if self.failures:
            raise self.failures.pop(0)
        for delivery, _parsed in self.scheduled:
            seen_at = site.clock.now()
            if delivery.arrived_at <= seen_at and delivery.name not in known:
                arrived_at = delivery.arrived_at if self.policy.arrival_stamps else seen_at
                yield replace(delivery, arrived_at=arrived_at, seen_at=seen_at)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Return what was scheduled for the delivery."""
        return next(parsed for each, parsed in self.scheduled if each.name == delivery.name)
