"""Whether a distribution or a share moved between two runs: significance and effect size together, censoring kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analyse.snapshot import Delays


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When something counts as moved.

    Attributes:
        alpha: Largest p-value. Records that share a log file share a delay, so p-values are too small: keep it low.
        ratio_low, ratio_high: Medians whose ratio lies within are held to be the same, whatever the p-value.
        min_calls: With fewer calls on either side nothing is said of a class.
    """

    alpha: float = 0.001
    ratio_low: float = 0.67
    ratio_high: float = 1.5
    min_calls: int = 5


DEFAULT = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How two delay distributions differ. A median is None where over half of the delays is censored before it."""

    before_seconds: float | None
    now_seconds: float | None
    ratio: float
    p_value: float


def delay_moved(a: Delays, b: Delays, limits: Limits = DEFAULT) -> Movement | None:
    """Compare two delay distributions: log-rank test, and ratio of the Kaplan-Meier medians.

    Returns:
        How they differ, or None where they do not, or where neither has a median.
    """
    from harness.analyse import survival  # noqa: PLC0415 - scipy loads slowly

    groups = [
        [*map(survival.Observation.exact, each.observed), *map(survival.Observation.censored, each.censored)]
        for each in (a, b)
    ]
    found = survival.compare(*groups)
    if found is None or found.p_value is None or not found.p_value < limits.alpha:
        return None
    estimates = [survival.estimate(group) for group in groups]
    before, now = (each.quantiles[0.5].value if each else None for each in estimates)
    ratio = _ratio(a, before, b, now)
    if ratio is None or limits.ratio_low <= ratio <= limits.ratio_high:
        return None
    return Movement(before_seconds=before, now_seconds=now, ratio=ratio, p_value=found.p_value)


def share_moved(a: tuple[int, int], b: tuple[int, int], limits: Limits = DEFAULT) -> bool:
    """Tell whether two shares (count, of how many) differ beyond chance: Fisher's exact test."""
    (one, of), (other, out_of) = a, b
    if one * out_of == other * of:
        return False
    from scipy.stats import fisher_exact  # noqa: PLC0415 - loads slowly

    return bool(fisher_exact([[one, of - one], [other, out_of - other]]).pvalue < limits.alpha)


def _ratio(a: Delays, before: float | None, b: Delays, now: float | None) -> float | None:
    """Return now over before; for one that lies beyond the waiting, the bound that the waiting gives."""
    if before is None and now is None:
        return None
    one = before if before is not None else max((*a.observed, *a.censored))
    other = now if now is not None else max((*b.observed, *b.censored))
    if one <= 0 or other <= 0:  # within the resolution of the stamps
        return math.inf if other > one else 1.0
    return other / one
