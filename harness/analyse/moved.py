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
        alpha: Largest p-value: of a share, and of all delay tests of a comparison together (Bonferroni). Records that
            share a log file share a delay, which makes any p-value too small: keep it low.
        ratio: Delays of which neither median nor mean differs by this factor are held to be the same, whatever the
            p-value.
        channel_ratio: The same for all calls of a channel together, which are more and therefore steadier.
        min_calls: With fewer calls on either side nothing is said of a class: the test is one for large samples.
    """

    alpha: float = 0.001
    ratio: float = 1.5
    channel_ratio: float = 1.33
    min_calls: int = 20


DEFAULT = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How two delay distributions differ.

    Attributes:
        medians: Before and now, in seconds; None where over half of the delays is censored before it.
        means: Before and now, each delay counted up to the time that both are known to. A file that comes every five
            minutes hides in the median what the mean still shows.
        ratio: Now over before, of medians or means, whichever differs more.
    """

    medians: tuple[float | None, float | None]
    means: tuple[float, float]
    ratio: float
    p_value: float

    def __str__(self) -> str:
        medians = " → ".join("beyond the waiting" if each is None else f"{each:.0f} s" for each in self.medians)
        means = " → ".join(f"{each:.0f} s" for each in self.means)
        return f"median {medians}, mean {means} (x{self.ratio:.2f})"


def delay_findings(a: Snapshot, b: Snapshot, limits: Limits = DEFAULT) -> Iterator[Finding]:
    """Yield a finding for each channel whose delays moved; where they did not, for each of its classes that did."""
    if a.no_delays or b.no_delays or a.target != b.target:
        return
    left_out = incomparable_delays(a, b, limits)
    common = sorted(a.delays.keys() & b.delays.keys())
    channels = dict.fromkeys(each.channel for each in common)
    alpha = limits.alpha / max(1, len(channels) + len(common) - len(left_out.keys() & set(common)))
    for channel in channels:
        mine = [each for each in common if each.channel == channel]
        one, other = (_pooled(s.delays[each] for each in mine) for s in (a, b))
        if min(len(one.bounds), len(other.bounds)) < limits.min_calls:
            continue
        if moved := delay_moved(one, other, alpha, limits.channel_ratio):
            yield _delay_finding(channel, "all calls", moved, (a, one), (b, other))
            continue
        for each in (each for each in mine if each not in left_out):
            one, other = a.delays[each], b.delays[each]
            if moved := delay_moved(one, other, alpha, limits.ratio):
                yield _delay_finding(channel, f"{each} calls", moved, (a, one), (b, other))


def _pooled(delays: Iterable[Delays]) -> Delays:
    return Delays(tuple(bounds for each in delays for bounds in each.bounds))


def _delay_finding(
    channel: str, subject: str, moved: Movement, before: tuple[Snapshot, Delays], now: tuple[Snapshot, Delays]
) -> Finding:
    title = f"{channel}: the delay of {subject} moved: {moved}"
    evidence = tuple(
        Evidence(side=side, cell=subject, source=run.source, note=_numbers(delays, moved.p_value))
        for side, (run, delays) in (("A", before), ("B", now))
    )
    return Finding(kind=Kind.DELAY, cell=CellId(ALL, ALL, channel), subject=subject, title=title, evidence=evidence)


def _numbers(delays: Delays, p: float) -> str:
    return f"{len(delays.bounds)} delays, {delays.censored} of them censored, log-rank p = {p:.1g}"


def incomparable_delays(a: Snapshot, b: Snapshot, limits: Limits = DEFAULT) -> dict[DelayClass, str]:
    """Return the delay classes that cannot be compared by themselves, and why; small ones count in their channel."""
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
    """Compare two delay distributions: log-rank test, and ratio of medians and means that account for censoring.

    Args:
        a, b: Before and now.
        alpha, ratio: As in ``Limits``.

    Returns:
        How they differ, or None where they do not.
    """
    from harness.analyse import curve, survival  # noqa: PLC0415 - scipy loads slowly

    groups = [[curve.Observation(*bounds) for bounds in each.bounds] for each in (a, b)]
    found = survival.compare(*groups)
    if found is None or found.p_value is None or not found.p_value < alpha:
        return None
    before, now = found.medians
    mean = _mean_seconds(a, found.within_seconds)
    later = mean + (found.mean_difference_seconds.value or 0.0)
    ratios = [_ratio(_median(a, before), _median(b, now))] if (before, now) != (None, None) else []
    largest = max([*ratios, _ratio(mean, later)], key=lambda each: abs(math.log(each)))
    if 1 / ratio <= largest <= ratio:
        return None
    return Movement(medians=(before, now), means=(mean, later), ratio=largest, p_value=found.p_value)


def _median(delays: Delays, seconds: float | None) -> float:
    """Return a median, or for one that lies beyond the waiting the bound that the waiting gives."""
    return seconds if seconds is not None else max(lower for lower, _ in delays.bounds)


def _mean_seconds(delays: Delays, until: float) -> float:
    """Return the mean delay, each counted up to a time: the area below the Kaplan-Meier curve."""
    import numpy as np  # noqa: PLC0415
    from scipy.stats import CensoredData, ecdf  # noqa: PLC0415

    seen = [lower + (upper - lower) / 2 for lower, upper in delays.bounds if upper < math.inf]
    waited = [lower for lower, upper in delays.bounds if upper == math.inf]
    curve = ecdf(CensoredData(uncensored=seen, right=waited)).sf
    inside = curve.quantiles < until
    edges = np.concatenate([[0.0], curve.quantiles[inside], [until]])
    return float(np.sum(np.diff(edges) * np.concatenate([[1.0], curve.probabilities[inside]])))


def _ratio(before: float, now: float) -> float:
    """Return now over before; what is within the resolution of the stamps counts as a second."""
    return max(1.0, now) / max(1.0, before)


def share_moved(a: tuple[int, int], b: tuple[int, int], limits: Limits = DEFAULT) -> bool:
    """Tell whether two shares (count, of how many) differ beyond chance: Fisher's exact test."""
    (one, of), (other, out_of) = a, b
    if one * out_of == other * of:
        return False
    from scipy.stats import fisher_exact  # noqa: PLC0415 - loads slowly

    return bool(fisher_exact([[one, of - one], [other, out_of - other]]).pvalue < limits.alpha)
