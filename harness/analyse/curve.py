"""One Kaplan-Meier curve: quantiles, shares and means with what is known of them (the method: docs/measurement.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

CONFIDENCE = 0.95
LEAST_FOLLOWED = 0.1
"""A curve is read while this share would still be followed (Pocock et al., Lancet 2002); the rest is chance."""
TAIL, Z = (1 - CONFIDENCE) / 2, float(special.ndtri((1 + CONFIDENCE) / 2))
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
        low = float(self.times[-1]) if scores[-1] > Z else self._crossing(scores, Z)
        # What lies between the two longest delays would be a guess.
        told = len(scores) > 1 and (not self.ended or scores[-2] <= 0)
        return Measured(self._crossing(scores, 0.0) if told else None, low, self._crossing(scores, -Z))

    def _crossing(self, scores: Numbers, score: float) -> float | None:
        """When falling scores reach a score; None where the data begin later or end before."""
        reached = scores[0] >= score >= scores[-1]
        return float(np.interp(-score, -scores, self.times)) if reached else None

    def more_calls(self, share: float) -> float:
        """How many times as many calls would give a quantile an upper limit; infinite where watching ends before it."""
        if not len(self.times):
            return math.inf
        if self.ended:
            needed = math.log(TAIL) / math.log(share)  # that one of so many is longer is 97.5 % likely
        else:
            beyond = 1 - float(self.survival[-1]) - share
            needed = Z**2 * share * (1 - share) / beyond**2 if beyond > 0 else math.inf
        return needed / float(self.weight[-1])

    def share(self, seconds: float) -> Measured:
        """The share that ends within a time, with the exact binomial limits of the effective number."""
        at = int(np.searchsorted(self.times, seconds, "right")) - 1
        share, n = (1 - self.survival[at], self.weight[at]) if at >= 0 else (0.0, self._at_risk(seconds))
        known, came = seconds <= self.followed_seconds, n * share
        low = special.betaincinv(came, n - came + 1, TAIL) if share > 0 else 0.0
        high = special.betaincinv(came + 1, n - came, 1 - TAIL) if share < 1 and known else 1.0
        return Measured(float(share) if known else None, float(low), float(high))

    def mean(self, seconds: float) -> tuple[float, np.float64, int]:
        """The mean delay, each counted up to a time; its variance (Greenwood's formula); how many of them had ended."""
        inside = self.times <= seconds
        areas = np.diff(self.times[inside], prepend=0.0, append=seconds) * np.append(1.0, self.survival[inside])
        variance, ended = np.sum(areas[::-1].cumsum()[::-1][1:] ** 2 * self.hazards[inside]), int(inside.sum())
        return float(areas.sum()), variance * ended / max(1, ended - 1), ended


def known(number: float) -> float | None:
    """Return a number, or None for one that is not finite."""
    return float(number) if math.isfinite(number) else None
