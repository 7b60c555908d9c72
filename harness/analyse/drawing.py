"""Curves of delays for drawing: which share has arrived by when, with its limits, and where watching ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analyse.curve import Curve, Measured, Observation
from harness.analyse.survival import widest

MAX_POINTS = 160
"""Steps kept of a curve: the share between two of them is wrong by less than 1/160."""
MAX_MARKS = 60
"""Censoring times kept; more would lie on each other."""


@dataclass(frozen=True, slots=True)
class Point:
    """The share of calls whose record has arrived within so many seconds."""

    seconds: float
    share: Measured


@dataclass(frozen=True, slots=True)
class DelayCurve:
    """A Kaplan-Meier curve, turned so that it rises.

    Attributes:
        points: Where it steps, and where it ends.
        censored: Where delays that were not seen to end leave it.
    """

    points: tuple[Point, ...]
    censored: tuple[Point, ...]


def drawn(observations: Sequence[Observation]) -> DelayCurve | None:
    """Return the curve of some delays, or None where there are none; an interval counts as in ``estimate``."""
    if not observations:
        return None
    intervals = any(o.lower_seconds < o.upper_seconds < math.inf for o in observations)
    curves = [Curve(observations, place) for place in ((0.5, 0.0, 1.0) if intervals else (0.5,))]

    def at(seconds: Sequence[float]) -> tuple[Point, ...]:
        points = (Point(s, widest([each.share(s) for each in curves])) for s in seconds)
        return tuple(point for point in points if point.share.value is not None)

    first = curves[0]
    ends = sorted({round(o.lower_seconds, 3) for o in observations if o.upper_seconds == math.inf})
    steps = [*np.unique(first.times).tolist()]
    last = [] if math.isinf(first.followed_seconds) else [first.followed_seconds]
    return DelayCurve(at([*_thinned(steps, MAX_POINTS), *last]), at(_thinned(ends, MAX_MARKS)))


def _thinned(values: Sequence[float], most: int) -> list[float]:
    """Keep at most so many of sorted values, the first and the last among them."""
    kept = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[i] for i in kept]
