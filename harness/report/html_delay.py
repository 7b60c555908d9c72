"""What the HTML report draws of delays: a curve per channel and class, and when calls were sent and records arrived."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.analyse.delays import DelayRow
from harness.analyse.drawing import DelayCurve, drawn
from harness.model import Role
from harness.report import Result
from harness.report.delay import class_name, delay_texts, loss_texts, why_not_told
from harness.report.html_summary import channels_of

BINS = 120
"""Bars of the timeline, at most."""
_STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_DIGITS = 4


def curves(rows: Sequence[DelayRow]) -> list[dict[str, Any]]:
    """Return a curve per channel, Region and class: ``[seconds, share, low, high]`` where it steps."""
    found = []
    for row in rows:
        line = drawn(row.observations)
        if line:
            found.append({**_name(row), "calls": row.calls, "missing": row.calls - row.logged, **_points(line)})
    return found


def _name(row: DelayRow) -> dict[str, str]:
    return {"channel": row.channel, "region": row.region, "class": class_name(row)}


def _points(line: DelayCurve) -> dict[str, Any]:
    return {
        "points": [
            [
                round(p.seconds, 3),
                *(round(x, _DIGITS) for x in (p.share.value, p.share.low, p.share.high) if x is not None),
            ]
            for p in line.points
        ],
        "censored": [
            [round(p.seconds, 3), round(p.share.value, _DIGITS)] for p in line.censored if p.share.value is not None
        ],
    }


def table(rows: Sequence[DelayRow]) -> list[list[str]]:
    """Return delay and loss per channel, Region and class, as texts with their 95 % intervals."""
    return [
        [
            *(row.channel, row.region, class_name(row), str(row.calls)),
            *(*delay_texts(row), *loss_texts(row), why_not_told(row)),
        ]
        for row in rows
    ]


def timeline(result: Result) -> dict[str, Any]:
    """Return how many calls under test were sent, and records of the run and files arrived, in each span of time."""
    sent = [call.sent_at for call in result.calls if call.role in (Role.SUBJECT, Role.CONTROL)]
    arrivals: dict[str, list[datetime]] = {channel: [] for channel in channels_of(result)} if sent else {}
    files: dict[str, dict[str, datetime]] = {channel: {} for channel in arrivals}
    for record, delivery, pair in result.paired:
        if pair and record.channel in arrivals and pair.call.role in (Role.SUBJECT, Role.CONTROL):
            arrivals[record.channel].append(delivery.arrived_at)
            files[record.channel][delivery.name] = delivery.arrived_at
    every = [*sent, *(at for each in arrivals.values() for at in each)]
    if not every:
        return {"starts": [], "step_seconds": 0, "calls": [], "channels": {}}
    first, last = min(every), max(every)
    step = _step((last - first).total_seconds())
    start = datetime.fromtimestamp(first.timestamp() // step * step, UTC)
    bins = int((last - start).total_seconds() // step) + 1

    def counted(times: Iterable[datetime]) -> list[int]:
        counts = [0] * bins
        for at in times:
            counts[int((at - start).total_seconds() // step)] += 1
        return counts

    return {
        "starts": [(start + timedelta(seconds=step * n)).isoformat() for n in range(bins)],
        "step_seconds": step,
        "calls": counted(sent),
        "channels": {
            channel: {"records": counted(arrivals[channel]), "files": counted(files[channel].values())}
            for channel in arrivals
        },
    }


def _step(seconds: float) -> int:
    """Return a round length of which ``BINS`` are enough."""
    wanted = seconds / BINS
    days = math.ceil(wanted / _STEPS_SECONDS[-1])
    return next((step for step in _STEPS_SECONDS if step >= wanted), days * _STEPS_SECONDS[-1])
