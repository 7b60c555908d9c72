"""The canary gate: before the first call under test, every channel must have shown that it delivers.

Switching logging on takes effect late (server access logging: an hour or more); what is called before that is lost, and
its absence would say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta

from harness.collect.loop import Collector
from harness.events import Event, GateProgress, Warned

INTERVAL_SECONDS = 60.0
"""Between two control calls."""


def wait_for_channels(
    collector: Collector, control: Callable[[], None], shown: Callable[[], Collection[str]]
) -> Iterator[Event]:
    """Make a control call a minute until each channel has shown one, or is silent past its limit.

    Args:
        collector: Polls.
        control: Makes a control call.
        shown: Names the channels in which a record of a control call has arrived.

    Yields:
        What happens; the last event is a ``GateProgress``, whose ``silent`` names the channels that were given up.
    """
    clock = collector.site.clock
    began = clock.now()
    given_up: set[str] = set()
    while True:
        control()
        yield from collector.poll_due()
        seen = shown()
        waited = (clock.now() - began).total_seconds()
        silent = [c for c in collector.channels if c.name not in seen]
        for channel in silent:
            if waited >= channel.policy.silent_seconds and channel.name not in given_up:
                given_up.add(channel.name)
                hours = timedelta(seconds=round(waited))
                yield Warned(message=f"{channel.name} has shown none of the control calls for {hours}")
        waiting = [c for c in silent if c.name not in given_up]
        limit = max((c.policy.silent_seconds for c in waiting), default=0.0)
        yield GateProgress(
            waiting=tuple(c.name for c in waiting),
            silent=tuple(sorted(given_up.difference(seen))),
            waited_seconds=waited,
            limit_seconds=limit,
        )
        if not waiting:
            return
        clock.sleep(INTERVAL_SECONDS)
