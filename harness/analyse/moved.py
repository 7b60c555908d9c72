"""Whether a distribution or a share moved between two runs: significance and effect size together, censoring kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.analyse.findings import ALL, Evidence, Finding, Kind
from harness.analyse.snapshot import CellId, DelayClass, Delays, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When something counts as moved.

    Attributes:
        alpha: Largest p-value. Records that share a log file share a delay, so p-values are too small: keep it low.
        ratio: Medians that differ by less than this factor are held to be the same, whatever the p-value.
        channel_ratio: The same for all calls of a channel together, which are more and therefore steadier.
        min_calls: With fewer calls on either side nothing is said of a class.
    """

    alpha: float = 0.001
    ratio: float = 1.5
    channel_ratio: float = 1.33
    min_calls: int = 5


DEFAULT = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How two delay distributions differ. A median is None where over half of the delays is censored before it."""

    before_seconds: float | None
    now_seconds: float | None
    ratio: float
    p_value: float


def delay_findings(a: Snapshot, b: Snapshot, limits: Limits = DEFAULT) -> Iterator[Finding]:
    """Yield a finding for each channel whose delays moved; where they did not, for each of its classes that did."""
    left_out = incomparable_delays(a, b, limits)
    classes = sorted(a.delays.keys() & b.delays.keys() - left_out.keys())
    for channel in dict.fromkeys(each.channel for each in classes):
        mine = [each for each in classes if each.channel == channel]
        one, other = (_pooled([s.delays[each] for each in mine]) for s in (a, b))
        moved = delay_moved(one, other, limits.alpha, limits.channel_ratio)
        if moved:
            yield _delay_finding(channel, "all calls", moved, (a, one), (b, other))
            continue
        for each in mine:
            one, other = a.delays[each], b.delays[each]
            if moved := delay_moved(one, other, limits.alpha, limits.ratio):
                yield _delay_finding(channel, f"{each} calls", moved, (a, one), (b, other))


def _pooled(delays: Iterable[Delays]) -> Delays:
    return Delays(tuple(bounds for each in delays for bounds in each.bounds))


def _delay_finding(
    channel: str, subject: str, moved: Movement, before: tuple[Snapshot, Delays], now: tuple[Snapshot, Delays]
) -> Finding:
    medians = " → ".join(
        "beyond the waiting" if seconds is None else f"{seconds:.0f} s"
        for seconds in (moved.before_seconds, moved.now_seconds)
    )
    title = f"{channel}: the delay of {subject} moved: median {medians} (x{moved.ratio:.2f})"
    evidence = tuple(
        Evidence(side=side, cell=subject, source=run.source, note=_numbers(delays, moved.p_value))
        for side, (run, delays) in (("A", before), ("B", now))
    )
    return Finding(kind=Kind.DELAY, cell=CellId(ALL, ALL, channel), subject=subject, title=title, evidence=evidence)


def _numbers(delays: Delays, p: float) -> str:
    return f"{len(delays.bounds)} delays, {delays.censored} of them censored, log-rank p = {p:.1g}"


def incomparable_delays(a: Snapshot, b: Snapshot, limits: Limits = DEFAULT) -> dict[DelayClass, str]:
    """Return the delay classes that cannot be compared, and why."""
    told = {}
    for each in a.delays.keys() | b.delays.keys():
        fewest = min(len(s.delays.get(each, Delays()).bounds) for s in (a, b))
        if a.no_delays or b.no_delays:
            told[each] = a.no_delays or b.no_delays
        elif a.target != b.target:
            told[each] = f"A ran on {a.target}, B on {b.target}"
        elif fewest < limits.min_calls:
            told[each] = f"only {fewest} calls on one side"
    return told


def delay_moved(a: Delays, b: Delays, alpha: float, ratio: float) -> Movement | None:
    """Compare two delay distributions: log-rank test, and ratio of the Kaplan-Meier medians.

    Args:
        a, b: Before and now.
        alpha, ratio: As in ``Limits``.

    Returns:
        How they differ, or None where they do not, or where neither has a median.
    """
    from harness.analyse import survival  # noqa: PLC0415 - scipy loads slowly

    groups = [[survival.Observation(*bounds) for bounds in each.bounds] for each in (a, b)]
    found = survival.compare(*groups)
    if found is None or found.p_value is None or not found.p_value < alpha:
        return None
    estimates = [survival.estimate(group) for group in groups]
    before, now = (each.quantiles[0.5].value if each else None for each in estimates)
    measured = _ratio(a, before, b, now)
    if measured is None or 1 / ratio <= measured <= ratio:
        return None
    return Movement(before_seconds=before, now_seconds=now, ratio=measured, p_value=found.p_value)


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
    one = before if before is not None else max(lower for lower, _ in a.bounds)
    other = now if now is not None else max(lower for lower, _ in b.bounds)
    if one <= 0 or other <= 0:  # within the resolution of the stamps
        return math.inf if other > one else 1.0
    return other / one
