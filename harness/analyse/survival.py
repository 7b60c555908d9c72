"""Delays of which some were not seen to end: quantiles, shares, loss, comparison (the method: docs/measurement.md)."""

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
"""A curve is read while this share would still be followed (Pocock et al., Lancet 2002); the rest is chance."""
_TAIL, _Z = (1 - CONFIDENCE) / 2, float(special.ndtri((1 + CONFIDENCE) / 2))
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Observation:
    """The bounds of one delay: equal for an exact one, the upper infinite for a right-censored one, else an interval.

    Raises:
        ValueError: Nothing lies between the bounds.
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
        censored: How many of the ``n`` delays were not seen to end.
        quantiles: Seconds by share; median-unbiased.
        maximum: The longest; None when one that has not ended is longer.
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
        logged: Logged share. While calls are pending it has no value, and limits that hold however they end.
        lost_below: The lost share is smaller, at 95 % (one-sided: about 3/n where none is missing).
    """

    logged: Measured
    lost_below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the delays of group b differ from those of group a.

    Attributes:
        p_value: Of the log-rank test of equal distributions; None where nothing can be tested.
        median_ratio: Median of b by median of a.
        mean_difference_seconds: Mean of b minus mean of a, delays counted up to ``within_seconds``: what both tell.
    """

    p_value: float | None
    median_ratio: Measured
    mean_difference_seconds: Measured
    within_seconds: float


def estimate(observations: Sequence[Observation]) -> Estimate | None:
    """Estimate the distribution of delays, or return None where there are none.

    An interval counts with its middle; limits are taken from the ends, so that they hold wherever the delay lies in it.
    """
    if not observations:
        return None
    intervals = any(o.lower_seconds < o.upper_seconds < math.inf for o in observations)
    curves = [Curve(observations, place) for place in ((0.5, 0.0, 1.0) if intervals else (0.5,))]
    last = max(observations, key=lambda o: (o.lower_seconds, o.upper_seconds))
    return Estimate(
        n=len(observations),
        censored=sum(o.upper_seconds == math.inf for o in observations),
        quantiles={p: widest([curve.quantile(p) for curve in curves]) for p in QUANTILES},
        maximum=Measured(_known((last.lower_seconds + last.upper_seconds) / 2), last.lower_seconds, None),
        shares={s: widest([curve.share(s) for curve in curves]) for s in WITHIN_SECONDS},
    )


def loss(logged: int, missing: int, pending: int = 0) -> Loss | None:
    """Bound the logged share with exact binomial (Clopper-Pearson) limits, or return None without calls.

    Args:
        logged: Calls with a record.
        missing: Calls without one whose waiting time is over.
        pending: Calls without one that may still come.
    """
    if not (n := logged + missing + pending):
        return None
    worst, best = (stats.binomtest(k, n).proportion_ci(CONFIDENCE) for k in (logged, logged + pending))
    below = float(stats.binomtest(n - logged, n, alternative="less").proportion_ci(CONFIDENCE).high)
    return Loss(logged=Measured(None if pending else logged / n, float(worst.low), float(best.high)), lost_below=below)


def compare(a: Sequence[Observation], b: Sequence[Observation]) -> Comparison | None:
    """Compare two groups of delays, or return None where one is empty; intervals count with their middle.

    The mean difference has Welch's limits: wide where few delays ended, none where fewer than two did.
    """
    if not a or not b:
        return None
    of_a, of_b = Curve(a, 0.5), Curve(b, 0.5)
    known = min(of_a.followed_seconds, of_b.followed_seconds)
    until = known if known < math.inf else float(max(of_a.times[-1], of_b.times[-1]))
    (mean_a, variance_a, n_a), (mean_b, variance_b, n_b) = of_a.mean(until), of_b.mean(until)
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = stats.logrank(of_a.data, of_b.data).pvalue
        freedom = (variance_a + variance_b) ** 2 / (variance_a**2 / (n_a - 1) + variance_b**2 / (n_b - 1))
        half = special.stdtrit(freedom, 1 - _TAIL) * np.sqrt(variance_a + variance_b)
    gap = mean_b - mean_a
    return Comparison(
        p_value=_known(p_value),
        median_ratio=_ratio(of_a.quantile(0.5), of_b.quantile(0.5)),
        mean_difference_seconds=Measured(gap, _known(gap - half), _known(gap + half)),
        within_seconds=until,
    )


class Curve:
    """A Kaplan-Meier curve; a delay lies at ``place`` of its interval, 0 being the lower end and 1 the upper."""

    def __init__(self, observations: Sequence[Observation], place: float) -> None:
        bounds = np.array([(o.lower_seconds, o.upper_seconds) for o in observations], dtype=np.float64)
        seen = np.isfinite(bounds[:, 1])
        ends = np.sort(bounds[seen] @ (1 - place, place))
        self.everything = np.sort(np.concatenate([ends, bounds[~seen, 0]]))
        self.data = stats.CensoredData(uncensored=ends, right=bounds[~seen, 0])
        before = stats.ecdf(self.data).sf.evaluate(np.nextafter(self.everything, -math.inf))
        followed = self._at_risk(self.everything) / (len(self.everything) * np.maximum(before, 1e-12))
        self.followed_seconds = float(self.everything[followed >= LEAST_FOLLOWED][-1])
        self.times = ends[ends <= self.followed_seconds]
        # Delays of equal length are taken one after the other, so that each has its rank.
        at_risk = self._at_risk(self.times) - np.arange(len(self.times)) + np.searchsorted(self.times, self.times)
        self.survival: Numbers = before[np.searchsorted(self.everything, self.times)]
        self.survival *= (at_risk - 1) / self._at_risk(self.times)
        # As many delays without censoring would tell as much (by Greenwood's variance; at 0, by Peto's).
        with np.errstate(divide="ignore", invalid="ignore"):
            self.hazards = 1 / (at_risk * (at_risk - 1))
            self.weight = (1 - self.survival) / (self.survival * np.cumsum(self.hazards))
        self.ended = bool(len(self.times) and at_risk[-1] == 1)
        if self.ended:
            self.followed_seconds = math.inf
            self.survival[-1] = self.hazards[-1] = 0.0
            self.weight[-1] = at_risk[-1] / (self.survival[-2] if len(self.times) > 1 else 1.0)
        self.came = self.weight * (1 - self.survival)

    def _at_risk(self, times: Numbers | float) -> Numbers:
        return np.asarray(len(self.everything) - np.searchsorted(self.everything, times, "left"), dtype=np.float64)

    def quantile(self, share: float) -> Measured:
        """The order statistics, between whole ranks (Hutson 1999), that lie below it with 50, 97.5 and 2.5 %.

        The r-th of n does with the incomplete beta function's I(r, n - r + 1); n is the effective number of delays.
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
        """When falling scores reach a score; None where the data begin later or end before."""
        reached = scores[0] >= score >= scores[-1]
        return float(np.interp(-score, -scores, self.times)) if reached else None

    def share(self, seconds: float) -> Measured:
        """The share that ends within a time, with the exact binomial limits of the effective number."""
        at = int(np.searchsorted(self.times, seconds, "right")) - 1
        share, n = (1 - self.survival[at], self.weight[at]) if at >= 0 else (0.0, self._at_risk(seconds))
        known, came = seconds <= self.followed_seconds, n * share
        low = special.betaincinv(came, n - came + 1, _TAIL) if share > 0 else 0.0
        high = special.betaincinv(came + 1, n - came, 1 - _TAIL) if share < 1 and known else 1.0
        return Measured(float(share) if known else None, float(low), float(high))

    def mean(self, seconds: float) -> tuple[float, np.float64, int]:
        """The mean delay, each counted up to a time; its variance (Greenwood's formula); how many of them had ended."""
        inside = self.times <= seconds
        areas = np.diff(self.times[inside], prepend=0.0, append=seconds) * np.append(1.0, self.survival[inside])
        variance, ended = np.sum(areas[::-1].cumsum()[::-1][1:] ** 2 * self.hazards[inside]), int(inside.sum())
        return float(areas.sum()), variance * ended / max(1, ended - 1), ended


def widest(each: Sequence[Measured]) -> Measured:
    """Return the first one's value, between the limits that hold for all."""
    _, lows, highs = zip(*map(_floats, each), strict=True)
    return Measured(each[0].value, _known(np.min(lows)), _known(np.max(highs)))


def _ratio(a: Measured, b: Measured) -> Measured:
    """Return b / a with the limits that follow from those of both (MOVER of Zou and Donner 2008, on logarithms)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        (at_a, low_a, high_a), (at_b, low_b, high_b) = np.log(_floats(a)), np.log(_floats(b))
        low, high = np.hypot(at_b - low_b, high_a - at_a), np.hypot(high_b - at_b, at_a - low_a)
        return Measured(*map(_known, np.exp([at_b - at_a, at_b - at_a - low, at_b - at_a + high])))


def _floats(measured: Measured) -> list[float]:
    return [math.nan if x is None else x for x in (measured.value, measured.low, measured.high)]


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
