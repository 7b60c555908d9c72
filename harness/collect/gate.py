"""The canary gate: before the first call under test, every channel must have shown that it delivers.

Switching logging on takes effect late (server access logging: an hour or more), and bucket by bucket; what is called
before that is lost, and its absence would say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from harness.collect.loop import Collector
from harness.events import Event, GateProgress, Warned

INTERVAL_SECONDS = 60.0
"""Between two control calls."""
VISIT_SECONDS = 300.0
"""Between two calls to a bucket that is still to show that it is logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the channels have shown so far.

    Attributes:
        channels: In which a record of a control call has arrived.
        missing: Per channel that is switched on bucket by bucket, the buckets of which it has shown nothing yet.
    """

    channels: Collection[str]
    missing: Mapping[str, Collection[str]] = field(default_factory=dict)


def wait_for_channels(
    collector: Collector, control: Callable[[Collection[str]], None], shown: Callable[[], Shown]
) -> Iterator[Event]:
    """Make control calls until each channel has shown one, in every bucket, or is silent past its limit.

    Args:
        collector: Polls.
        control: Makes a control call, and one to each of these buckets.
        shown: Tells what has arrived.

    Yields:
        What happens; the last event is a ``GateProgress``, whose ``silent`` names the channels that were given up.
    """
    clock = collector.site.clock
    began = visit_at = clock.now()
    given_up: set[str] = set()
    seen = shown()
    while True:
        due = clock.now() >= visit_at
        visit_at += timedelta(seconds=VISIT_SECONDS * due)
        control({bucket for buckets in seen.missing.values() for bucket in buckets} if due else ())
        yield from collector.poll_due()
        seen = shown()
        waited = (clock.now() - began).total_seconds()
        unseen = [c for c in collector.channels if c.name not in seen.channels or seen.missing.get(c.name)]
        for channel in unseen:
            if waited >= channel.policy.silent_seconds and channel.name not in given_up:
                given_up.add(channel.name)
                yield Warned(message=_given_up(channel.name, seen, timedelta(seconds=round(waited))))
        waiting = [c for c in unseen if c.name not in given_up]
        limit = max((c.policy.silent_seconds for c in waiting), default=0.0)
        yield GateProgress(
            waiting=tuple(c.name for c in waiting),
            silent=tuple(sorted(given_up.difference(seen.channels))),
            waited_seconds=waited,
            limit_seconds=limit,
            buckets={c.name: len(seen.missing.get(c.name, ())) for c in waiting if c.name in seen.channels},
        )
        if not waiting:
            return
        clock.sleep(INTERVAL_SECONDS)


def _given_up(name: str, seen: Shown, waited: timedelta) -> str:
    if name not in seen.channels:
        return f"{name} has shown none of the control calls for {waited}"
    return f"{name} has shown nothing of {len(seen.missing[name])} buckets for {waited}: calls to them may stay pending"
