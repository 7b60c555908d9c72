"""What is still to come in each channel, and when it may have come: what the waiting waits for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from harness.analyse.delay import delay_seconds, summarise
from harness.analyse.join import Joiner
from harness.analyse.matrix import absence_is_established, controls_of, logged_since, was_received
from harness.channels import Channel
from harness.collect.loop import Outstanding
from harness.model import Call, Delay, Role


def outstanding(
    channels: Sequence[Channel],
    calls: Sequence[Call],
    joiner: Joiner,
    polled_at: Mapping[str, datetime],
    further_buckets: Collection[str] = (),
) -> Outstanding:
    """Say per channel what is still to come: expected records, or the proof that there are none.

    Args:
        channels: That are polled.
        calls: Of the run, of all roles.
        joiner: Has every record so far.
        polled_at: When the last complete poll of each channel began.
        further_buckets: Source buckets beside the main one.
    """
    awaited = [c for c in calls if c.role is Role.SUBJECT or c.role is Role.CONTROL]
    arrived, expected, waiting, ends = {}, {}, [], {}
    delays: dict[str, Delay] = {}
    for channel in channels:
        name = channel.name
        seen = {c.number: len(joiner.pairs(c, name)) for c in awaited}
        wanted = {c.number: c.expected.get(name, 1) if was_received(c) else 0 for c in awaited}
        arrived[name] = sum(min(seen[n], wanted[n]) for n in seen)
        expected[name] = sum(wanted.values())
        so_far = summarise([min(map(delay_seconds, joiner.pairs(c, name))) for c in awaited if seen[c.number]])
        if so_far:
            delays[name] = so_far
        late = [c for c in awaited if seen[c.number] < wanted[c.number]]
        with_control = controls_of(name, calls, joiner)
        absent = [
            c
            for c in awaited
            if c.role is Role.SUBJECT and was_received(c) and not wanted[c.number] and not seen[c.number]
        ]
        now, absence = polled_at.get(name), channel.policy.absence_seconds
        since = logged_since(name, calls, joiner, further_buckets if channel.policy.by_bucket else ())
        unproved = [c for c in absent if now is None or absence_is_established(c, with_control, now, absence, since)]
        if late:
            waiting.append(f"{name}: records of {len(late)} calls")
        if unproved:
            waiting.append(f"{name}: proof that {len(unproved)} calls leave no record")
        if late or unproved:
            # While more is missing than has come, what has come is only the fastest.
            usual = so_far.max_seconds if so_far and so_far.n >= len(late) else absence
            ends[name] = max(
                [c.completed_at + timedelta(seconds=usual) for c in late]
                + [c.completed_at + timedelta(seconds=absence) for c in unproved]
            )
    return Outstanding(
        arrived=arrived,
        expected=expected,
        open_channels=frozenset(ends),
        waiting_for="; ".join(waiting),
        done_by=max(ends.values(), default=None),
        delays=delays,
    )
