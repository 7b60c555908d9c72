"""Delays of which some were not seen to end: Kaplan-Meier curve, quantiles, shares, loss, and a test between two groups.

What the method assumes, and the simulation study that verifies it, stand in docs/measurement.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

CONFIDENCE = 0.95
QUANTILES = (0.5, 0.9, 0.95, 0.99)
WITHIN_SECONDS = (60, 300, 900, 3600, 21_600, 86_400)
LEAST_FOLLOWED = 0.1
"""Where fewer than this share of the delays would still be followed, the curve is not read (Pocock and others, Lancet
2002, advise the same): what ends there is chance."""
_TAIL = (1 - CONFIDENCE) / 2
_Z = float(special.ndtri(1 - _TAIL))

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of one delay, in seconds: it lies between two bounds.

    Equal bounds are an exact delay; an infinite upper bound is a right-censored one; anything else is an interval, such
    as between two polls.

    Raises:
        ValueError: No delay lies between the bounds.
    """

    lower_seconds: float
    upper_seconds: float

    def __post_init__(self) -> None:
        if not -math.inf < self.lower_seconds <= self.upper_seconds:
            raise ValueError(f"no delay lies between {self.lower_seconds} and {self.upper_seconds} seconds")

    @classmethod
    def exact(cls, seconds: float) -> Observation:
        """A delay that was seen to end."""
        return cls(seconds, seconds)

    @classmethod
    def censored(cls, seconds: float) -> Observation:
        """A delay that had not ended when it was last looked at."""
        return cls(seconds, math.inf)


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its 95 % interval. None: not estimable; as a limit: open on that side."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A distribution of delays, those that were not seen to end included.

    Attributes:
        n: Delays.
        censored: How many of them were not seen to end.
        quantiles: Seconds by share; median-unbiased.
        maximum: The longest, None when one that has not ended is longer. No sample bounds it from above.
        shares: Share that ends within so many seconds.
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
        share: Logged share. While calls are pending it has no value, and limits that hold however they end.
        lost_below: The lost share is smaller, at 95 % (one-sided: about 3/n where none is missing).
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
        p_value: Of the log-rank test of equal distributions; None where no delay was seen to end.
        median_ratio: Median of b by median of a.
        mean_difference_seconds: Mean of b minus mean of a, each delay counted up to ``within_seconds``.
        within_seconds: As far as both groups are known.
    """

    p_value: float | None
    median_ratio: Measured
    mean_difference_seconds: Measured
    within_seconds: float


def estimate(observations: Sequence[Observation]) -> Estimate | None:
    """Estimate the distribution of delays, or return None where there are none.

    A delay that is known as an interval counts with its middle; limits are taken from the ends of the intervals, so that
    they hold wherever in them the delays lie.
    """
    if not observations:
        return None
    intervals = any(o.lower_seconds < o.upper_seconds < math.inf for o in observations)
    curves = [_Curve(observations, place) for place in ((0.5, 0.0, 1.0) if intervals else (0.5,))]
    seen = [(o.lower_seconds + o.upper_seconds) / 2 for o in observations if o.upper_seconds < math.inf]
    longest = max(o.lower_seconds for o in observations)
    pending = max((o.lower_seconds for o in observations if o.upper_seconds == math.inf), default=-math.inf)
    return Estimate(
        n=len(observations),
        censored=len(observations) - len(seen),
        quantiles={p: _widest([curve.quantile(p) for curve in curves]) for p in QUANTILES},
        maximum=Measured(max(seen) if seen and max(seen) > pending else None, longest, None),
        shares={s: _widest([curve.share(s) for curve in curves]) for s in WITHIN_SECONDS},
    )


def loss(logged: int, missing: int, pending: int = 0) -> Loss | None:
    """Bound the share of calls that are logged with exact binomial (Clopper-Pearson) limits; None without calls.

    Args:
        logged: Calls with a record.
        missing: Calls without one whose waiting time is over.
        pending: Calls without one that may still come.
    """
    n = logged + missing + pending
    if not n:
        return None
    low = float(stats.binomtest(logged, n).proportion_ci(CONFIDENCE, "exact").low)
    high = float(stats.binomtest(logged + pending, n).proportion_ci(CONFIDENCE, "exact").high)
    below = float(stats.binomtest(n - logged, n, alternative="less").proportion_ci(CONFIDENCE, "exact").high)
    share = Measured(None if pending else logged / n, low, high)
    return Loss(logged=logged, missing=missing, pending=pending, share=share, lost_below=below)


def compare(a: Sequence[Observation], b: Sequence[Observation]) -> Comparison | None:
    """Compare two groups of delays, or return None where one is empty. Intervals count with their middle."""
    if not a or not b:
        return None
    curves = _Curve(a, 0.5), _Curve(b, 0.5)
    known = min(curve.followed_seconds for curve in curves)
    until = known if known < math.inf else float(max(curve.times[-1] for curve in curves))
    (mean_a, variance_a), (mean_b, variance_b) = (curve.restricted_mean(until) for curve in curves)
    half, difference = _Z * math.sqrt(variance_a + variance_b), mean_b - mean_a
    p_value = float(stats.logrank(curves[0].data, curves[1].data).pvalue) if any(len(c.times) for c in curves) else None
    return Comparison(
        p_value=None if p_value is None or math.isnan(p_value) else p_value,
        median_ratio=_ratio(curves[0].quantile(0.5), curves[1].quantile(0.5)),
        mean_difference_seconds=Measured(difference, difference - half, difference + half),
        within_seconds=until,
    )


class _Curve:
    """A Kaplan-Meier curve, at the times at which delays ended and as far as it can be read.

    Args:
        observations: At least one.
        place: Where in its interval a delay lies: 0 at the lower end, 1 at the upper.
    """

    def __init__(self, observations: Sequence[Observation], place: float) -> None:
        bounds = np.array([(o.lower_seconds, o.upper_seconds) for o in observations], dtype=np.float64)
        seen = np.isfinite(bounds[:, 1])
        ends = np.sort(bounds[seen] @ (1 - place, place))
        self.everything = np.sort(np.concatenate([ends, bounds[~seen, 0]]))
        self.data = stats.CensoredData(uncensored=ends, right=bounds[~seen, 0])
        survival = stats.ecdf(self.data).sf.evaluate
        before = survival(np.nextafter(self.everything, -math.inf))
        followed = self._at_risk(self.everything) / (len(self.everything) * np.maximum(before, 1e-12))
        self.followed_seconds = float(self.everything[followed >= LEAST_FOLLOWED][-1])
        self.times = np.unique(ends[ends <= self.followed_seconds])
        self.survival: Numbers = np.asarray(survival(self.times))
        at_risk = self._at_risk(self.times)
        ended = np.searchsorted(ends, self.times, "right") - np.searchsorted(ends, self.times, "left")
        # How many delays without censoring would tell as much: Greenwood's variance, or Peto's where the curve is at 0.
        with np.errstate(divide="ignore", invalid="ignore"):
            self.hazards = ended / (at_risk * (at_risk - ended))
            self.weight = (1 - self.survival) / (self.survival * np.cumsum(self.hazards))
        self.ended = bool(len(ended) and at_risk[-1] == ended[-1])
        if self.ended:
            self.followed_seconds = math.inf
            self.survival[-1] = self.hazards[-1] = 0.0
            self.weight[-1] = at_risk[-1] / (self.survival[-2] if len(self.times) > 1 else 1.0)
        self.came = self.weight * (1 - self.survival)

    def _at_risk(self, times: Numbers | float) -> Numbers:
        return np.asarray(len(self.everything) - np.searchsorted(self.everything, times, "left"), dtype=np.float64)

    def quantile(self, share: float) -> Measured:
        """Return a quantile: three fractional order statistics, of the effective number of delays.

        The r-th of n delays lies below the quantile with probability I(r, n - r + 1), the incomplete beta function; r is
        chosen between whole numbers so that it is 97.5, 50 and 2.5 % (Hutson 1999).
        """
        if not len(self.times):
            return Measured(None, None, None)
        sure = np.clip(special.betainc(self.came, self.weight - self.came + 1, share), 1e-300, 1 - 1e-16)
        scores = np.minimum.accumulate(special.ndtri(sure))
        low = float(self.times[-1]) if scores[-1] > _Z else self._crossing(scores, _Z)
        # What lies between the two longest delays would be a guess.
        told = len(scores) > 1 and (not self.ended or scores[-2] <= 0)
        return Measured(self._crossing(scores, 0.0) if told else None, low, self._crossing(scores, -_Z))

    def _crossing(self, scores: Numbers, score: float) -> float | None:
        """Return when falling scores reach a score, None where the data begin later or end before."""
        at = int(np.searchsorted(-scores, -score))
        if at == len(scores) or (at == 0 and scores[0] < score):
            return None
        if at == 0:
            return float(self.times[0])
        part = (scores[at - 1] - score) / (scores[at - 1] - scores[at])
        return float(self.times[at - 1] + (self.times[at] - self.times[at - 1]) * part)

    def share(self, seconds: float) -> Measured:
        """Return the share that ends within a time, with the exact binomial limits of the effective number."""
        at = int(np.searchsorted(self.times, seconds, "right")) - 1
        share, n = (1 - self.survival[at], self.weight[at]) if at >= 0 else (0.0, self._at_risk(seconds))
        known, came = seconds <= self.followed_seconds, n * share
        low = special.betaincinv(came, n - came + 1, _TAIL) if share > 0 else 0.0
        high = special.betaincinv(came + 1, n - came, 1 - _TAIL) if share < 1 and known else 1.0
        return Measured(float(share) if known else None, float(low), float(high))

    def restricted_mean(self, seconds: float) -> tuple[float, float]:
        """Return the mean delay, each counted up to a time, and its variance (Greenwood's formula)."""
        inside = self.times < seconds
        edges = np.concatenate([[0.0], self.times[inside], [seconds]])
        areas = np.diff(edges) * np.concatenate([[1.0], self.survival[inside]])
        after, ended = areas[::-1].cumsum()[::-1][1:], int(inside.sum())
        return float(areas.sum()), float(np.sum(after**2 * self.hazards[inside])) * ended / max(1, ended - 1)


def _widest(each: Sequence[Measured]) -> Measured:
    """Return the first one's value, between the limits that hold for all."""
    lows, highs = [m.low for m in each if m.low is not None], [m.high for m in each if m.high is not None]
    low, high = (min(lows) if len(lows) == len(each) else None), (max(highs) if len(highs) == len(each) else None)
    return Measured(each[0].value, low, high)


def _ratio(a: Measured, b: Measured) -> Measured:
    """Return b / a with the limits that follow from those of both (MOVER of Zou and Donner 2008, on logarithms)."""
    if a.value is None or b.value is None or min(a.value, b.value) <= 0:
        return Measured(None, None, None)
    low = high = None
    if b.low is not None and b.low > 0 and a.high is not None:
        low = b.value / a.value * math.exp(-math.hypot(math.log(b.value / b.low), math.log(a.high / a.value)))
    if a.low is not None and a.low > 0 and b.high is not None:
        high = b.value / a.value * math.exp(math.hypot(math.log(b.high / b.value), math.log(a.value / a.low)))
    return Measured(b.value / a.value, low, high)
