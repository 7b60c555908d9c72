"""Delays of which some were not seen to end: Kaplan-Meier curve, quantiles, shares, loss, and a test between two groups.

The method, what it assumes and the simulation study that verifies it: docs/measurement.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

CONFIDENCE = 0.95
QUANTILES = (0.5, 0.9, 0.95, 0.99)
WITHIN_SECONDS = (60, 300, 900, 3600, 21_600, 86_400)
_TAIL = (1 - CONFIDENCE) / 2
_Z = float(special.ndtri(1 - _TAIL))

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of one delay, in seconds: it lies between two bounds.

    Equal bounds are an exact delay. An infinite upper bound is a right-censored one: nothing had come when
    ``lower_seconds`` had passed. Anything else is an interval, such as between two polls.
    """

    lower_seconds: float
    upper_seconds: float

    def __post_init__(self) -> None:
        if not -math.inf < self.lower_seconds <= self.upper_seconds:
            raise ValueError(f"a delay cannot lie between {self.lower_seconds} and {self.upper_seconds} seconds")

    @classmethod
    def exact(cls, seconds: float) -> Observation:
        """A delay that was seen."""
        return cls(seconds, seconds)

    @classmethod
    def censored(cls, seconds: float) -> Observation:
        """A delay that is longer than this."""
        return cls(seconds, math.inf)


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its 95 % interval. None: the data do not tell it; of a limit: open on that side."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is known of a distribution of delays.

    Attributes:
        n: Delays, censored ones included.
        censored: How many of them were not seen to end.
        quantiles: Seconds by share (0.5, …), median-unbiased; of all delays, those never seen to end included.
        maximum: The longest delay; None when one that has not ended is longer. No sample bounds it from above.
        shares: Share of all delays by the seconds within which they end.
    """

    n: int
    censored: int
    quantiles: Mapping[float, Measured]
    maximum: Measured
    shares: Mapping[int, Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How many of the calls that should be logged are.

    Attributes:
        share: Logged share; its value is None while calls are pending, its limits then hold however they end.
        lost_below: With 95 % confidence a smaller share is lost (one-sided; about 3/n where none is missing).
    """

    logged: int
    missing: int
    pending: int
    share: Measured
    lost_below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the delays of group b differ from those of group a.

    Attributes:
        p_value: Log-rank test of equal distributions; None where nothing ended.
        median_ratio: Median of b by that of a.
        mean_difference_seconds: Mean delay of b minus that of a, each delay counted up to ``within_seconds``.
        within_seconds: As far as both groups are known.
    """

    p_value: float | None
    median_ratio: Measured
    mean_difference_seconds: Measured
    within_seconds: float


@dataclass(frozen=True, slots=True)
class _Curve:
    """A Kaplan-Meier curve at the times at which delays ended.

    ``weight`` is the effective number of delays behind each point: that without censoring would give the same variance
    (Greenwood's). Where the curve ends at 0 that variance is unknown, and Peto's more cautious number stands.
    """

    times: Numbers
    survival: Numbers
    weight: Numbers
    hazards: Numbers
    everything: Numbers

    @classmethod
    def of(cls, seconds: Numbers, seen: NDArray[np.bool_]) -> _Curve:
        everything, ends = np.sort(seconds), np.sort(seconds[seen])
        if not len(ends):
            return cls(ends, ends, ends, ends, everything)
        times = np.unique(ends)
        data = stats.CensoredData(uncensored=ends, right=seconds[~seen])
        survival = np.asarray(stats.ecdf(data).sf.evaluate(times))
        ended = np.searchsorted(ends, times, "right") - np.searchsorted(ends, times, "left")
        at_risk = len(everything) - np.searchsorted(everything, times, "left")
        left = at_risk - ended
        with np.errstate(divide="ignore", invalid="ignore"):
            hazards = ended / (at_risk * left)
            weight = (1 - survival) / (survival * np.cumsum(hazards))
        if not left[-1]:
            survival[-1], hazards[-1] = 0.0, 0.0
            weight[-1] = at_risk[-1] / (survival[-2] if len(survival) > 1 else 1.0)
        return cls(times, survival, np.minimum(weight, len(everything)), hazards, everything)

    @property
    def followed_seconds(self) -> float:
        """How far the curve is known: without end once it has come to 0."""
        ended = len(self.survival) and self.survival[-1] == 0
        return math.inf if ended else float(self.everything[-1])

    def limit(self, share: float, level: float) -> float | None:
        """Return the time that the quantile lies above with probability 1 - ``level``, None where the curve ends before.

        Without censoring these are fractional order statistics: the r-th of n delays is above the quantile with
        probability 1 - I(r, n - r + 1), the incomplete beta function, and r is chosen between whole numbers.
        """
        scores = self._scores(share)
        target = special.ndtri(level)
        at = int(np.searchsorted(-scores, -target))
        if at == len(scores) or (at == 0 and scores[0] < target):
            return None
        if at == 0 or scores[at] == target:
            return float(self.times[at])
        return _between(self.times[at - 1], self.times[at], (scores[at - 1] - target) / (scores[at - 1] - scores[at]))

    def lower_limit(self, share: float) -> float | None:
        """Return the time below the quantile; the end of the curve where that is still below it."""
        found = self.limit(share, 1 - _TAIL)
        if found is None and len(self.times) and self._scores(share)[-1] > _Z:
            return float(self.times[-1])
        return found

    def _scores(self, share: float) -> Numbers:
        """How surely each time is below the quantile, as a standard normal's quantile; never rising."""
        came = self.weight * (1 - self.survival)
        below = special.betainc(came, self.weight - came + 1, share)
        return np.minimum.accumulate(special.ndtri(np.clip(below, 1e-300, 1 - 1e-16)))

    def within(self, seconds: float) -> Measured:
        """Return the share that ends within a time, with the exact binomial interval of the effective number."""
        at = int(np.searchsorted(self.times, seconds, "right")) - 1
        survival = float(self.survival[at]) if at >= 0 else 1.0
        known = seconds <= self.followed_seconds
        at_risk = len(self.everything) - int(np.searchsorted(self.everything, seconds, "left"))
        n = float(self.weight[at]) if at >= 0 else at_risk
        came = n * (1 - survival)
        low = float(special.betaincinv(came, n - came + 1, _TAIL)) if came > 0 else 0.0
        high = float(special.betaincinv(came + 1, n - came, 1 - _TAIL)) if n - came > 1e-9 and known else 1.0
        return Measured(1 - survival if known else None, low, high)

    def restricted_mean(self, seconds: float) -> tuple[float, float]:
        """Return the mean delay, each counted up to a time, and its variance (Greenwood's formula)."""
        inside = self.times < seconds
        edges = np.concatenate([[0.0], self.times[inside], [seconds]])
        areas = np.diff(edges) * np.concatenate([[1.0], self.survival[inside]])
        rest = np.cumsum(areas[::-1])[::-1][1:]
        ended = int(inside.sum())
        variance = float(np.sum(rest**2 * self.hazards[inside])) * ended / max(1, ended - 1)
        return float(areas.sum()), variance


def _between(before: float, after: float, share: float) -> float:
    """Interpolate between two times: in proportion where they are positive, for delays are skewed."""
    if before > 0:
        return float(before * (after / before) ** share)
    return float(before + (after - before) * share)


def estimate(observations: Sequence[Observation]) -> Estimate | None:
    """Estimate the distribution of delays, or return None where there are none.

    Delays that are known as intervals count with their middle; limits are taken from the ends of the intervals, so that
    they hold wherever in their intervals the delays lie.
    """
    if not observations:
        return None
    return estimate_arrays(*_bounds(observations))


def estimate_arrays(lower: Numbers, upper: Numbers) -> Estimate:
    """Do the same with the bounds of at least one delay as arrays; an infinite upper bound is a censored delay."""
    seen = np.isfinite(upper)
    middle = np.where(seen, lower + (np.where(seen, upper, lower) - lower) / 2, lower)
    curve = first = last = _Curve.of(middle, seen)
    if np.any(upper[seen] > lower[seen]):
        first, last = _Curve.of(lower, seen), _Curve.of(np.where(seen, upper, lower), seen)
    longest = float(middle[seen].max()) if seen.any() else -math.inf
    pending = float(lower[~seen].max()) if not seen.all() else -math.inf
    shares = {}
    for within in WITHIN_SECONDS:
        share = curve.within(within)
        shares[within] = Measured(share.value, last.within(within).low, first.within(within).high)
    return Estimate(
        n=len(lower),
        censored=int(len(lower) - seen.sum()),
        quantiles={p: Measured(curve.limit(p, 0.5), first.lower_limit(p), last.limit(p, _TAIL)) for p in QUANTILES},
        maximum=Measured(longest if longest > pending else None, float(lower.max()), None),
        shares=shares,
    )


def loss(logged: int, missing: int, pending: int = 0) -> Loss | None:
    """Bound the share of calls that are logged, with exact binomial (Clopper-Pearson) limits; None without calls.

    Args:
        logged: Calls with a record.
        missing: Calls without one whose waiting time is over.
        pending: Calls without one that may still come: either end is allowed for.
    """
    n = logged + missing + pending
    if not n:
        return None
    low = stats.binomtest(logged, n).proportion_ci(CONFIDENCE, "exact").low
    high = stats.binomtest(logged + pending, n).proportion_ci(CONFIDENCE, "exact").high
    below = stats.binomtest(n - logged, n, alternative="less").proportion_ci(CONFIDENCE, "exact").high
    share = None if pending else logged / n
    return Loss(
        logged=logged,
        missing=missing,
        pending=pending,
        share=Measured(share, float(low), float(high)),
        lost_below=float(below),
    )


def compare(a: Sequence[Observation], b: Sequence[Observation]) -> Comparison | None:
    """Compare two groups of delays, or return None where one is empty. Intervals count with their middle."""
    if not a or not b:
        return None
    data: list[Any] = []
    curves = []
    for group in (a, b):
        lower, upper = _bounds(group)
        seen = np.isfinite(upper)
        seconds = np.where(seen, lower + (np.where(seen, upper, lower) - lower) / 2, lower)
        data.append(stats.CensoredData(uncensored=seconds[seen], right=seconds[~seen]))
        curves.append(_Curve.of(seconds, seen))
    known = [curve.followed_seconds for curve in curves]
    until = min(known) if min(known) < math.inf else float(max(c.everything[-1] for c in curves))
    (mean_a, variance_a), (mean_b, variance_b) = (curve.restricted_mean(until) for curve in curves)
    half = _Z * math.sqrt(variance_a + variance_b)
    difference = mean_b - mean_a
    ended = any(len(curve.times) for curve in curves)
    return Comparison(
        p_value=float(stats.logrank(*data).pvalue) if ended else None,
        median_ratio=_ratio(*(Measured(c.limit(0.5, 0.5), c.lower_limit(0.5), c.limit(0.5, _TAIL)) for c in curves)),
        mean_difference_seconds=Measured(difference, difference - half, difference + half),
        within_seconds=until,
    )


def _bounds(observations: Sequence[Observation]) -> tuple[Numbers, Numbers]:
    pairs = np.array([(each.lower_seconds, each.upper_seconds) for each in observations], dtype=np.float64)
    return pairs[:, 0], pairs[:, 1]


def _ratio(a: Measured, b: Measured) -> Measured:
    """Return b / a with the limits that follow from those of both (Zou and Donner's MOVER, on logarithms)."""
    if not a.value or not b.value or min(a.value, b.value) <= 0:
        return Measured(None, None, None)
    ratio = b.value / a.value
    low = high = None
    if b.low and b.low > 0 and a.high:
        low = ratio * math.exp(-math.hypot(math.log(b.value / b.low), math.log(a.high / a.value)))
    if a.low and a.low > 0 and b.high:
        high = ratio * math.exp(math.hypot(math.log(b.high / b.value), math.log(a.value / a.low)))
    return Measured(ratio, low, high)
