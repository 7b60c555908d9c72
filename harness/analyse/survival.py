"""Delays of which some were not seen to end: quantiles, shares, loss, comparison (the method: docs/measurement.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from harness.analyse.curve import CONFIDENCE, TAIL, Curve, Measured, Observation, Z, known

QUANTILES = (0.5, 0.9, 0.95, 0.99)
WITHIN_SECONDS = (60, 300, 900, 3600, 21_600, 86_400)
BIAS_SECONDS, BIAS_SHARE = 1.0, 0.01
"""A quantile is told as a number where its bias is within one of these bounds: seconds, or a share of it."""
TOO_SHORT, TOO_SELDOM = "the watching ended before it, or records are lost", "polls are too far apart"
"""Why a quantile is not told as a number, where more calls would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A distribution of delays, those that were not seen to end included.

    Attributes:
        censored: How many of the ``n`` delays were not seen to end.
        quantiles: Seconds by share; the interval alone where the number's bias may exceed both of its bounds.
        not_told: Why a quantile has no number, by share.
        maximum: The longest; None when one that has not ended is longer.
        shares: Share that ends within so many seconds.
    """

    n: int
    censored: int
    quantiles: Mapping[float, Measured]
    not_told: Mapping[float, str]
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
        medians: Of a and b, however few the calls; None where the watching ends before.
        median_ratio: Median of b by median of a.
        mean_difference_seconds: Mean of b minus mean of a, delays counted up to ``within_seconds``: what both tell.
    """

    p_value: float | None
    medians: tuple[float | None, float | None]
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
    quantiles, not_told = {}, {}
    for share in QUANTILES:
        each = [curve.quantile(share) for curve in curves]
        quantiles[share] = widest(each)
        if why := _why_not_told(each, len(observations), curves[0].more_calls(share)):
            quantiles[share], not_told[share] = replace(quantiles[share], value=None), why
    return Estimate(
        n=len(observations),
        censored=sum(o.upper_seconds == math.inf for o in observations),
        quantiles=quantiles,
        not_told=not_told,
        maximum=Measured(known((last.lower_seconds + last.upper_seconds) / 2), last.lower_seconds, None),
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
    followed = min(of_a.followed_seconds, of_b.followed_seconds)
    until = followed if followed < math.inf else float(max(of_a.times[-1], of_b.times[-1]))
    (mean_a, variance_a, n_a), (mean_b, variance_b, n_b) = of_a.mean(until), of_b.mean(until)
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = stats.logrank(of_a.data, of_b.data).pvalue
        freedom = (variance_a + variance_b) ** 2 / (variance_a**2 / (n_a - 1) + variance_b**2 / (n_b - 1))
        half = special.stdtrit(freedom, 1 - TAIL) * np.sqrt(variance_a + variance_b)
    gap, medians = mean_b - mean_a, (of_a.quantile(0.5), of_b.quantile(0.5))
    return Comparison(
        p_value=known(p_value),
        medians=(medians[0].value, medians[1].value),
        median_ratio=_ratio(*medians),
        mean_difference_seconds=Measured(gap, known(gap - half), known(gap + half)),
        within_seconds=until,
    )


def _why_not_told(each: Sequence[Measured], n: int, more_calls: float) -> str:
    """Return why a quantile is not told as a number, or an empty text where it is.

    The number is median-unbiased, so its bias is how far the mean of its distribution is from the median: at most one
    standard deviation, and half the square of the relative one where the distribution is log-normal.

    Args:
        each: The quantile; of intervals also that of their ends.
        n: How many calls told that.
        more_calls: How many times as many would give it an upper limit.
    """
    value, low, high = _floats(each[0])
    if np.ptp([_floats(one)[0] for one in each]) / 2 > max(BIAS_SECONDS, BIAS_SHARE * abs(value)):
        return TOO_SELDOM
    halves = [half for half in (value - low, high - value) if not math.isnan(half)]
    deviation = sum(halves) / max(1, len(halves)) / Z
    more_precise = (deviation / max(BIAS_SECONDS, math.sqrt(2 * BIAS_SHARE) * abs(value))) ** 2 if halves else 0.0
    if len(halves) == 2 and more_precise <= 1:
        return ""
    if math.isnan(high) and more_calls == math.inf:
        return TOO_SHORT
    needed = max(n + 1, n * more_precise, n * more_calls if math.isnan(high) else 0)
    step = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return f"about {math.ceil(needed / step) * step:,} calls are needed"


def widest(each: Sequence[Measured]) -> Measured:
    """Return the first one's value, between the limits that hold for all."""
    _, lows, highs = zip(*map(_floats, each), strict=True)
    return Measured(each[0].value, known(np.min(lows)), known(np.max(highs)))


def _ratio(a: Measured, b: Measured) -> Measured:
    """Return b / a with the limits that follow from those of both (MOVER of Zou and Donner 2008, on logarithms)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        (at_a, low_a, high_a), (at_b, low_b, high_b) = np.log(_floats(a)), np.log(_floats(b))
        low, high = np.hypot(at_b - low_b, high_a - at_a), np.hypot(high_b - at_b, at_a - low_a)
        return Measured(*map(known, np.exp([at_b - at_a, at_b - at_a - low, at_b - at_a + high])))


def _floats(measured: Measured) -> list[float]:
    return [math.nan if x is None else x for x in (measured.value, measured.low, measured.high)]
