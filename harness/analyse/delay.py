"""Delivery delay of single records: completed-at to arrival, on the run's clock."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.analyse.join import Pair
from harness.model import ACTOR, Delay

STAMP_SECONDS = 1.0
"""Log objects' LastModified has whole seconds."""


def delay_seconds(pair: Pair) -> float:
    """Return the seconds from a call's completion to the first arrival of its record; of what S3 does, from its time.

    The true value lies within the call's duration plus ``STAMP_SECONDS`` of it.
    """
    completed = pair.call.completed_at
    if pair.call.method == ACTOR and pair.record.event_time:
        completed = pair.record.event_time
    return (min(d.arrived_at for d in pair.deliveries) - completed).total_seconds()


def summarise(delays: Sequence[float]) -> Delay | None:
    """Summarise delays, or return None where there are none. Quantiles are linear between order statistics."""
    if not delays:
        return None
    median, p90 = np.quantile(delays, [0.5, 0.9])
    return Delay(
        n=len(delays),
        min_seconds=round(min(delays), 3),
        median_seconds=round(float(median), 3),
        p90_seconds=round(float(p90), 3),
        max_seconds=round(max(delays), 3),
    )
