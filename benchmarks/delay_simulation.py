"""Simulation study of ``harness/analyse/survival.py``: known delays go in, what the estimates say of them comes out.

    python benchmarks/delay_simulation.py                    # the tables of docs/measurement.md, 20 min
    python benchmarks/delay_simulation.py --repetitions 200  # a quick look

Every repetition draws delays from a stated distribution, calls at times with microseconds, arrivals cut to whole
seconds (log objects' LastModified), one record in twenty delivered twice, and an end of watching, and hands
``estimate`` what a run would know. Seeded: the same arguments print the same tables.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product
from multiprocessing import Pool

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from harness.analyse.curve import Measured, Observation
from harness.analyse.delay import STAMP_SECONDS
from harness.analyse.survival import QUANTILES, compare, estimate

Numbers = NDArray[np.float64]

GRID = np.linspace(0.0, 1.0, 20_002)[1:-1]
TOLD = (0.5, 0.9, 0.99)
SIZES = (100, 300, 1000, 3000)
LARGE = 10_000
"""Without censoring only, for the time it takes."""
SHARES = (0.2, 0.4, 0.6)
DUPLICATED = 0.05
RARELY, MOSTLY = 0.05, 0.95
"""A number counts as told or not told, if in so many of the repetitions."""
POLLS = {"60 s": (60.0, None), "60 s, in step": (60.0, 20.0), "2 s": (2.0, None)}
"""Seconds between polls, and from one to each call where calls keep step with them."""


@dataclass(frozen=True)
class Delays:
    """A distribution of delays by its quantile function, in seconds."""

    name: str
    quantile: Callable[[Numbers], Numbers]

    def at(self, share: float) -> float:
        return float(self.quantile(np.array([share]))[0])

    def draw(self, source: np.random.Generator, n: int) -> Numbers:
        return self.quantile(source.random(n))


def _log_normal(median: float, sigma: float, maximum: float = math.inf) -> Callable[[Numbers], Numbers]:
    return lambda share: np.minimum(median * np.exp(sigma * special.ndtri(share)), maximum)


def _bimodal(shares: Numbers) -> Numbers:
    """Seven in ten around 150 s, three in ten around 55 min."""
    at = np.linspace(math.log(10), math.log(40_000), 40_001)
    total = 0.7 * special.ndtr((at - math.log(150)) / 0.4) + 0.3 * special.ndtr((at - math.log(3300)) / 0.3)
    return np.exp(np.interp(shares, total, at))


DISTRIBUTIONS = (
    Delays("log-normal", _log_normal(150, 0.6)),
    Delays("bimodal", _bimodal),
    Delays("heavy tail", _log_normal(200, 1.5, maximum=16 * 3600)),
)

Watching = Callable[[np.random.Generator, int], Numbers]
"""Draws how long each call is watched."""


def watching(delays: Delays, kind: str, censored: float) -> Watching:
    """Return an end of watching that leaves this share of delays unseen.

    ``spread``: calls are made evenly over a period at whose end polling stops, as a heartbeat's; ``random``: watching
    ends at any time; ``deadline``: every call is watched equally long.
    """
    usual = delays.quantile(GRID)
    if kind == "deadline":
        deadline = delays.at(1 - censored)
        return lambda _source, n: np.full(n, deadline)
    if kind == "spread":
        period = optimize.brentq(lambda c: float(np.mean(np.minimum(usual / c, 1))) - censored, 1, 1e9)
        return lambda source, n: source.uniform(0, period, n)
    if kind == "random":
        mean = optimize.brentq(lambda c: 1 - float(np.mean(np.exp(-usual / c))) - censored, 1, 1e9)
        return lambda source, n: source.exponential(mean, n)
    return lambda _source, n: np.full(n, math.inf)


def observe(source: np.random.Generator, delays: Numbers, watched: Numbers) -> list[Observation]:
    """Return what a run would know: stamps of whole seconds, the first of two arrivals, the end of watching."""
    completed = source.uniform(0, 86_400, len(delays))
    stamps = np.floor(completed + delays)
    again = np.where(source.random(len(delays)) < DUPLICATED, source.exponential(300, len(delays)), 0.0)
    first = np.minimum(stamps, np.floor(completed + delays + again))
    return [
        Observation.exact(stamp - done + STAMP_SECONDS / 2) if delay <= until else Observation.censored(until)
        for stamp, done, delay, until in zip(
            first.tolist(), completed.tolist(), delays.tolist(), watched.tolist(), strict=True
        )
    ]


@dataclass(frozen=True)
class Found:
    """What the repetitions said of one number; what they did not tell is infinite."""

    truth: float
    values: Numbers
    low: Numbers
    high: Numbers

    @classmethod
    def of(cls, truth: float, measured: list[Measured]) -> Found:
        told = np.array([(m.value, m.low, m.high) for m in measured], dtype=np.float64)
        unknown = np.isnan(told)
        told[unknown] = np.broadcast_to([math.inf, -math.inf, math.inf], told.shape)[unknown]
        return cls(truth, *told.T)

    @property
    def coverage(self) -> float:
        return float(np.mean((self.low <= self.truth) & (self.truth <= self.high)))

    @property
    def told(self) -> float:
        return float(np.mean(np.isfinite(self.values)))

    @property
    def closed(self) -> float:
        """How often the interval has an upper limit."""
        return float(np.mean(np.isfinite(self.high)))

    @property
    def numbers(self) -> Numbers:
        """What was told, in shares of the truth."""
        return self.values[np.isfinite(self.values)] / self.truth

    @property
    def mean_bias(self) -> float:
        return float(np.mean(self.numbers)) - 1

    @property
    def median_bias(self) -> float:
        return float(np.median(self.numbers)) - 1

    @property
    def tolerance(self) -> float:
        return max(0.01, 1 / self.truth)

    @property
    def noise(self) -> float:
        """Half the 95 % interval of the mean bias, of this many repetitions."""
        return 1.96 * float(np.std(self.numbers)) / math.sqrt(len(self.numbers))


@dataclass(frozen=True)
class Case:
    """One row of the study."""

    delays: int
    kind: str
    censored: float
    n: int
    repetitions: int
    seed: int

    def source(self) -> np.random.Generator:
        return np.random.default_rng(
            [self.seed, self.delays, sum(map(ord, self.kind)), round(100 * self.censored), self.n]
        )

    @property
    def name(self) -> str:
        return f"{DISTRIBUTIONS[self.delays].name} | {f'{self.censored:.0%} {self.kind}' if self.censored else 'none'}"


def quantiles(case: Case) -> tuple[Case, dict[float, Found], dict[int, Found]]:
    """Estimate the quantiles and shares of one case, again and again."""
    delays, source = DISTRIBUTIONS[case.delays], case.source()
    watch = watching(delays, case.kind, case.censored)
    found = [
        estimate(observe(source, delays.draw(source, case.n), watch(source, case.n))) for _ in range(case.repetitions)
    ]
    shares = {
        seconds: Found.of(
            float(np.interp(seconds, delays.quantile(GRID), GRID)), [f.shares[seconds] for f in found if f]
        )
        for seconds in (300, 3600)
    }
    return case, {p: Found.of(delays.at(p), [f.quantiles[p] for f in found if f]) for p in TOLD}, shares


def cell(found: Found) -> str:
    """Return coverage, mean bias and median bias in percent, with marks for what was not told in every repetition."""
    mark = "" if found.closed > MOSTLY else " ▲" if found.closed < RARELY else f" △ {found.closed:.0%}"
    if found.told < RARELY:
        return f"{100 * found.coverage:.1f}{mark} · –"
    told = "" if found.told > MOSTLY else f" ({found.told:.0%} told)"
    return f"{100 * found.coverage:.1f}{mark} · {100 * found.mean_bias:+.1f}, {100 * found.median_bias:+.1f}{told}"


def enough(case: Case) -> tuple[Case, list[int]]:
    """Return per quantile from how many calls on, all uncensored, it is told as a number."""
    delays, source, found = DISTRIBUTIONS[case.delays], case.source(), []
    for share in QUANTILES:
        n, told = 5.0, 0.0
        while told < MOSTLY:
            n *= 1.1
            made = [
                estimate(observe(source, delays.draw(source, int(n)), np.full(int(n), math.inf)))
                for _ in range(case.repetitions)
            ]
            told = float(np.mean([share not in each.not_told for each in made if each]))
        found.append(int(n))
    return case, found


def span(numbers: list[float]) -> str:
    return f"{min(numbers):.1%} to {max(numbers):.1%}"


def judge(results: list[tuple[Case, dict[float, Found], dict[int, Found]]]) -> Iterator[str]:
    """Say how many numbers keep the promise, and name those that do not."""
    every = [(f"{case.name}, n = {case.n}, p{100 * p:g}", f) for case, by, _ in results for p, f in by.items()]
    closed = [(name, f) for name, f in every if f.closed > MOSTLY]
    coverage = [f.coverage for _, f in closed]
    told = f"coverage {span(coverage)}, mean {np.mean(coverage):.2%}"
    yield f"- {len(closed)} two-sided intervals: {told}; outside 93 to 97 %:"
    yield from _named([f"{name}: {f.coverage:.1%}" for name, f in closed if not 0.93 <= f.coverage <= 0.97])
    part = [f.coverage for _, f in every if RARELY <= f.closed <= MOSTLY]
    yield f"- {len(part)} that are open above in some repetitions: coverage {span(part)}."
    opened = [f.coverage for _, f in every if f.closed < RARELY]
    yield f"- {len(opened)} that are open above, so one-sided, 97.5 % by design: coverage {span(opened)}."
    numbers = [(name, f) for name, f in every if f.told > MOSTLY]
    for kind, biases in (("mean", [f.mean_bias for _, f in numbers]), ("median", [f.median_bias for _, f in numbers])):
        yield f"- {len(numbers)} numbers: {kind} bias {span(biases)}; over 1 s and over 1 %:"
        off = [(*each, bias) for each, bias in zip(numbers, biases, strict=True) if abs(bias) > each[1].tolerance]
        yield from _named([f"{name}: {bias:+.2%}, noise of a mean ± {f.noise:.2%}" for name, f, bias in off])
    for low, high in pairwise((RARELY, 0.2, 0.5, 0.8, MOSTLY)):
        if biases := [f.mean_bias for _, f in every if low <= f.told and (f.told < high or f.told == high == MOSTLY)]:
            yield f"- {len(biases)} told in {low:.0%} to {high:.0%} of the repetitions: mean bias {span(biases)}."
    yield f"- {sum(f.told < RARELY for _, f in every)} told in fewer: as an interval, or less."
    late = [
        f.told for case, by, _ in results for p, f in by.items() if case.kind == "deadline" and p > 1 - case.censored
    ]
    yield f"- {len(late)} quantiles beyond a deadline: a number told in {span(late)} of the repetitions."
    within = [f.coverage for _, _, shares in results for f in shares.values()]
    yield f"- {len(within)} shares within 5 or 60 min (exact limits: at least 95 % by design): coverage {span(within)}."


def _named(names: list[str]) -> Iterator[str]:
    yield from (f"    - {name}" for name in names or ["none"])


def polled(case: Case) -> tuple[Case, Found]:
    """Do the same for a channel without arrival stamps: delays are known as intervals between two polls."""
    delays, source = DISTRIBUTIONS[case.delays], case.source()
    interval, since = POLLS[case.kind]
    found = []
    for _ in range(case.repetitions):
        drawn = delays.draw(source, case.n)
        phase = source.uniform(0, interval, case.n) if since is None else np.full(case.n, since)
        polls = np.ceil((phase + drawn) / interval) * interval - phase
        bounds = zip(np.maximum(0.0, polls - interval).tolist(), polls.tolist(), strict=True)
        made = estimate([Observation(low, high) for low, high in bounds])
        if made:
            found.append(made.quantiles[0.5])
    return case, Found.of(delays.at(0.5), found)


def compared(case: Case) -> tuple[Case, list[str]]:
    """Compare two groups of the same delays, and two of which one takes twice as long."""
    delays, source = DISTRIBUTIONS[case.delays], case.source()
    watch = watching(delays, case.kind, case.censored)
    told = []
    for factor in (1.0, 2.0):
        found = []
        for _ in range(case.repetitions):
            groups = [observe(source, by * delays.draw(source, case.n), watch(source, case.n)) for by in (1.0, factor)]
            found += [each for each in [compare(*groups)] if each]
        noticed = np.mean([each.p_value is not None and each.p_value < 0.05 for each in found])
        told += [f"{noticed:.1%}", f"{Found.of(factor, [each.median_ratio for each in found]).coverage:.1%}"]
        if factor == 1:
            told.append(f"{Found.of(0.0, [each.mean_difference_seconds for each in found]).coverage:.1%}")
    return case, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    half = f"of each case; half as many from {SIZES[-1]} calls on"
    parser.add_argument("--repetitions", type=int, default=2000, help=half)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()

    def cases(kinds: list[tuple[str, float]], sizes: tuple[int, ...] = SIZES) -> list[Case]:
        return [
            Case(delays, kind, censored, n, asked.repetitions // (1 if n < SIZES[-1] else 2), asked.seed)
            for delays, (kind, censored), n in product(range(len(DISTRIBUTIONS)), kinds, sizes)
        ]

    ends = [("", 0.0), *product(("random", "spread", "deadline"), SHARES)]
    with Pool(asked.processes) as pool:
        results = pool.map(quantiles, cases(ends[:1], (*SIZES, LARGE)) + cases(ends[1:]), chunksize=1)
        print(f"Quantiles, {asked.repetitions} repetitions each: coverage · mean bias, median bias (%).\n")
        print("| delays | censored | n | p50 | p90 | p99 |\n|---|---|---|---|---|---|")
        for case, by_share, _ in results:
            print(f"| {case.name} | {case.n} | {' | '.join(cell(by_share[p]) for p in TOLD)} |")
        print("\n" + "\n".join(judge(results)))
        print("\nCalls from which a quantile is a number in 95 % of the repetitions, without censoring.\n")
        print(f"| delays | {' | '.join(f'p{100 * p:g}' for p in QUANTILES)} |\n|{'---|' * (1 + len(QUANTILES))}")
        few = [replace(case, repetitions=max(20, case.repetitions // 10)) for case in cases(ends[:1], (0,))]
        for case, calls in pool.imap(enough, few):
            print(f"| {DISTRIBUTIONS[case.delays].name} | {' | '.join(f'{n:,}' for n in calls)} |")
        print("\nMedian of delays known as intervals between polls: coverage · mean bias, median bias (%).\n")
        print("| delays | polls every | n | p50 |\n|---|---|---|---|")
        for case, found in pool.imap(polled, cases([(kind, 0.0) for kind in POLLS], (100, 300))):
            print(f"| {DISTRIBUTIONS[case.delays].name} | {case.kind} | {case.n} | {cell(found)} |")
        print("\nTwo groups of n calls: alike, and one of them twice as long.\n")
        columns = ("alike: p < 0.05", "ratio covers 1", "difference covers 0", "doubled: p < 0.05", "ratio covers 2")
        print(f"| delays | censored | n | {' | '.join(columns)} |\n|{'---|' * (3 + len(columns))}")
        for case, told in pool.imap(compared, cases([("", 0.0), ("spread", 0.2)], (100, 300))):
            print(f"| {case.name} | {case.n} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
