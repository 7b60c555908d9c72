"""Delays that were not seen to end count as such; intervals widen with what is not known and say when nothing is."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.analyse.curve import Curve, Measured, Observation, Z
from harness.analyse.survival import (
    BIAS_SECONDS,
    BIAS_SHARE,
    QUANTILES,
    TOO_SELDOM,
    TOO_SHORT,
    WITHIN_SECONDS,
    Estimate,
    compare,
    estimate,
    loss,
)

exact, censored = Observation.exact, Observation.censored
UNKNOWN = Measured(None, None, None)
# Remission of leukaemia in weeks (Freireich and others, Blood 1963), the textbook example of Kaplan-Meier and log-rank.
TREATED = [
    *map(exact, (6, 6, 6, 7, 10, 13, 16, 22, 23)),
    *map(censored, (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)),
]
PLACEBO = [*map(exact, (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23))]
quick = settings(max_examples=40)
DELAYS = st.lists(st.integers(1, 200_000).map(float), min_size=1, max_size=60)


def estimated(*observations: Observation) -> Estimate:
    found = estimate(observations)
    assert found is not None
    return found


def minutes(*numbers: float) -> list[float]:
    return [60.0 * number for number in numbers]


@st.composite
def mixed(draw: st.DrawFn) -> list[Observation]:
    """Exact and right-censored delays."""
    return [draw(st.sampled_from((exact, censored)))(seconds) for seconds in draw(DELAYS)]


# The curve


def test_the_curve_agrees_with_one_that_was_computed_by_hand() -> None:
    """Of 7 delays, those of 2, 6 and 70 minutes were not seen to end: 6/7, times 4/5, times 2/3, times 1/2."""
    seen, unseen = minutes(1, 4, 12, 20), minutes(2, 6, 70)
    found = estimated(*map(exact, seen), *map(censored, unseen))
    shares = [found.shares[seconds].value for seconds in WITHIN_SECONDS]
    assert shares[:4] == pytest.approx([1 / 7, 1 - 24 / 35, 1 - 16 / 35, 1 - 8 / 35])
    assert shares[4:] == [None, None]
    assert (found.n, found.censored) == (7, 3)


@settings(max_examples=15)
@given(DELAYS)
def test_without_censoring_shares_are_those_of_the_sample_with_exact_binomial_limits(delays: list[float]) -> None:
    found = estimated(*map(exact, delays))
    for seconds in WITHIN_SECONDS:
        k = sum(delay <= seconds for delay in delays)
        limits = stats.binomtest(k, len(delays)).proportion_ci(0.95, "exact")
        told = found.shares[seconds]
        assert told.value == pytest.approx(k / len(delays))
        assert (told.low, told.high) == pytest.approx((limits.low, limits.high))


@quick
@given(mixed())
def test_shares_are_those_of_scipys_kaplan_meier_curve_as_far_as_it_is_known(observations: list[Observation]) -> None:
    seen = [o.lower_seconds for o in observations if o.upper_seconds < math.inf]
    unseen = [o.lower_seconds for o in observations if o.upper_seconds == math.inf]
    curve = stats.ecdf(stats.CensoredData(uncensored=seen, right=unseen)).cdf
    for seconds, share in estimated(*observations).shares.items():
        if share.value is not None:
            assert share.value == pytest.approx(float(curve.evaluate(seconds)))


def test_a_share_beyond_the_watching_is_not_told_but_bounded_from_below() -> None:
    found = estimated(*map(exact, minutes(1, 2, 3)), *map(censored, minutes(30, 30)))
    assert found.shares[3600].value is None
    assert found.shares[3600].low == found.shares[900].low
    assert found.shares[3600].high == 1.0


# Quantiles


@pytest.mark.parametrize(
    ("delays", "median"), [((7, 9, 8), 8), ((4, 1, 3, 2), 2.5), ((5, 5, 5, 5), 5), ((1, 2, 3, 4, 100), 3)]
)
def test_the_median_is_the_textbooks(delays: tuple[float, ...], median: float) -> None:
    assert Curve([*map(exact, delays)], 0.5).quantile(0.5).value == pytest.approx(median)


def test_limits_of_the_median_lie_between_the_order_statistics_of_the_sign_test() -> None:
    """Of 20 delays, the 6th to the 15th cover the median with 95.9 %, the 7th to the 14th with 88.5 %."""
    told = estimated(*(exact(10.0 * rank) for rank in range(1, 21))).quantiles[0.5]
    assert told.low is not None
    assert told.high is not None
    assert 60 < told.low < 70
    assert 140 < told.high < 150


def test_with_censoring_the_median_is_where_the_curve_comes_to_one_half() -> None:
    told = Curve(TREATED, 0.5).quantile(0.5)
    assert told.value == pytest.approx(23, abs=1)  # 0.538 before week 23, 0.448 from then on
    assert told.low == pytest.approx(13, abs=1)  # as in the textbooks: 95 % limits from 13 on, without an end
    assert told.high is None


def test_a_single_delay_tells_no_quantile_and_a_long_one_at_least() -> None:
    assert estimated(exact(5)).quantiles == {
        0.5: UNKNOWN,
        0.9: UNKNOWN,
        0.95: UNKNOWN,
        0.99: Measured(None, 5.0, None),
    }


@pytest.mark.parametrize(("share", "enough"), [(0.5, 3), (0.9, 17), (0.95, 34), (0.99, 168)])
def test_a_quantile_needs_a_longer_delay_than_itself(share: float, enough: int) -> None:
    for n, told in ((enough - 2, False), (enough + 1, True)):
        curve = Curve([exact(float(rank)) for rank in range(1, n + 1)], 0.5)
        assert (curve.quantile(share).value is not None) == told, n


def test_a_two_sided_interval_of_p99_needs_368_delays() -> None:
    """0.99 to the power of 367 is 2.5 %: so likely is it that none of so many is longer."""
    for n, closed in ((366, False), (368, True)):
        told = estimated(*(exact(float(rank)) for rank in range(n))).quantiles[0.99]
        assert told.low is not None
        assert (told.high is not None) == (told.value is not None) == closed


def test_what_lies_beyond_the_watching_is_not_told_as_a_number() -> None:
    found = estimated(*(exact(100.0 + n) for n in range(70)), *[censored(170.0)] * 30)
    assert found.quantiles[0.5].value == pytest.approx(149.5, abs=1)
    for share in (0.9, 0.95, 0.99):
        assert found.quantiles[share] == Measured(None, 169.0, None)
        assert found.not_told[share] == TOO_SHORT


# Which quantiles are told as numbers


def logarithmic(n: int, sigma: float) -> list[Observation]:
    """Return n delays that lie as a log-normal distribution would have them, around 200 s."""
    return [exact(200 * math.exp(sigma * stats.norm.ppf((rank + 0.5) / n))) for rank in range(n)]


@quick
@given(mixed(), st.floats(0.001, 1))
def test_a_quantile_is_told_where_both_limits_are_near_and_else_the_reason_is(
    observations: list[Observation], unit: float
) -> None:
    observations = [Observation(o.lower_seconds * unit, o.upper_seconds * unit) for o in observations]
    found, curve = estimated(*observations), Curve(observations, 0.5)
    for share, told in found.quantiles.items():
        every = curve.quantile(share)
        assert (told.low, told.high) == (every.low, every.high)
        assert (told.value is None) == bool(found.not_told.get(share))
        if every.low is None or every.high is None or every.value is None:
            assert told.value is None
        else:
            deviation = (every.high - every.low) / (2 * Z)
            near = deviation <= max(BIAS_SECONDS, math.sqrt(2 * BIAS_SHARE) * every.value)
            assert told.value == (every.value if near else None)


@pytest.mark.parametrize("sigma", [0.6, 1.5])
@pytest.mark.parametrize(("share", "closed"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_about_as_many_calls_are_needed_as_the_reason_says(share: float, closed: int, sigma: float) -> None:
    """Of a log-normal distribution, as many as bring the relative deviation of the quantile to 14 %."""
    score = stats.norm.ppf(share)
    enough = max(closed, sigma**2 * share * (1 - share) / stats.norm.pdf(score) ** 2 / (2 * BIAS_SHARE))
    few = estimated(*logarithmic(max(closed, round(0.6 * enough)), sigma))
    if why := few.not_told.get(share):
        needed = int(re.fullmatch("about ([0-9,]+) calls are needed", why)[1].replace(",", ""))  # type: ignore[index]
        assert 0.8 * enough < needed < 2.5 * enough
    else:
        assert closed > 0.6 * enough
    many = estimated(*logarithmic(round(2.5 * enough), sigma))
    assert many.quantiles[share].value == pytest.approx(200 * math.exp(sigma * score), rel=0.03)


@pytest.mark.parametrize(("n", "needed"), [(1, 6), (4, 6), (5, 6)])
def test_of_a_handful_the_reason_names_what_an_interval_needs_at_least(n: int, needed: int) -> None:
    why = estimated(*(exact(100.0) for _ in range(n))).not_told[0.5]
    assert why == f"about {needed} calls are needed"


def test_lost_records_leave_a_quantile_untold_however_many_calls() -> None:
    found = estimated(*logarithmic(980, 0.3), *[censored(14_400.0)] * 20)
    assert found.not_told == {0.99: TOO_SHORT}


def test_within_a_second_few_calls_do() -> None:
    """Of delays around 2 s, the median of 20 is far from 1 %, and within 1 s."""
    found = estimated(*(exact(0.2 * rank) for rank in range(1, 21)))
    assert found.quantiles[0.5].value == pytest.approx(2.1)


def test_delays_around_zero_are_told_in_seconds() -> None:
    """The client's clock may be off by more than a record takes."""
    found = estimated(*(exact(0.1 * rank - 1) for rank in range(20)))
    assert found.quantiles[0.5].value == pytest.approx(-0.05)
    assert estimated(*(exact(10.0 * rank - 100) for rank in range(20))).quantiles[0.5].value is None


@pytest.mark.parametrize(("apart", "why"), [(60.0, TOO_SELDOM), (20.0, TOO_SELDOM), (9.0, None)])
def test_intervals_between_polls_tell_a_number_where_they_are_short_beside_it(apart: float, why: str | None) -> None:
    """Of 500 s, 1 % is half of 10 s."""
    at = [500 + 0.1 * rank for rank in range(-50, 51)]
    found = estimated(*(Observation(a - apart / 2, a + apart / 2) for a in at))
    assert found.not_told.get(0.5) == why
    assert (found.quantiles[0.5].value is None) == bool(why)
    assert found.quantiles[0.5].low == pytest.approx(500 - apart / 2, abs=2)
    assert found.quantiles[0.5].high == pytest.approx(500 + apart / 2, abs=2)


def test_where_hardly_any_delay_is_still_followed_nothing_is_read_from_the_curve() -> None:
    """The last of 100 ends just after 90 were given up: that is not to say that all end by then."""
    given_up = [censored(100.0 + n) for n in range(90)]
    found = estimated(*(exact(float(n)) for n in range(1, 10)), *given_up, exact(1000.0))
    assert [found.quantiles[share].value for share in QUANTILES] == [None] * 4
    assert found.shares[3600].value is None
    assert found.shares[60].value == pytest.approx(0.09)


@quick
@given(mixed())
def test_quantiles_and_their_limits_are_in_order(observations: list[Observation]) -> None:
    found = estimated(*observations)
    for told in found.quantiles.values():
        known = [x for x in (told.low, told.value, told.high) if x is not None]
        assert known == sorted(known)
    for side in ("low", "value", "high"):
        values = [getattr(found.quantiles[share], side) for share in QUANTILES]
        assert all(a <= b for a, b in pairwise(x for x in values if x is not None))


@quick
@given(mixed(), st.randoms(use_true_random=False))
def test_the_order_of_delays_does_not_matter(observations: list[Observation], random: object) -> None:
    shuffled = list(observations)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert estimate(shuffled) == estimate(observations)


@quick
@given(DELAYS, st.integers(1, 200_000).map(float))
def test_an_earlier_end_of_watching_never_narrows_an_interval(delays: list[float], end: float) -> None:
    whole = estimated(*map(exact, delays))
    cut = estimated(*(exact(d) if d <= end else censored(end) for d in delays))
    for share, told in cut.quantiles.items():
        full = whole.quantiles[share]
        assert told.high is None or told.high == pytest.approx(full.high)
        if told.low is not None and full.low is not None:
            assert told.low <= full.low + 1e-6
        if told.value is not None and full.value is not None:
            assert told.value == pytest.approx(full.value)
    for seconds, told in cut.shares.items():
        full = whole.shares[seconds]
        assert told.low is not None and full.low is not None and told.low <= full.low + 1e-9
        assert told.high is not None and full.high is not None and told.high >= full.high - 1e-9


@quick
@given(DELAYS, st.floats(1, 1000))
def test_quantiles_follow_the_unit(delays: list[float], unit: float) -> None:
    one, other = estimated(*map(exact, delays)), estimated(*(exact(unit * d) for d in delays))
    for share in QUANTILES:
        for side in ("value", "low", "high"):
            a, b = getattr(one.quantiles[share], side), getattr(other.quantiles[share], side)
            assert (a is None) == (b is None)
            assert a is None or b == pytest.approx(unit * a, rel=1e-6)


# Intervals, the longest, nothing


@quick
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)), min_size=3, max_size=40))
def test_limits_of_intervals_hold_wherever_the_delays_lie_in_them(places: list[tuple[int, float]]) -> None:
    between = estimated(*(Observation(60.0 * n, 60.0 * n + 60) for n, _ in places))
    truly = estimated(*(exact(60 * (n + part)) for n, part in places))
    for share in QUANTILES:
        wide, narrow = between.quantiles[share], truly.quantiles[share]
        if wide.low is not None and narrow.low is not None:
            assert wide.low <= narrow.low + 1e-6
        if wide.high is not None and narrow.high is not None:
            assert wide.high >= narrow.high - 1e-6
        if wide.value is not None and narrow.value is not None:
            assert abs(wide.value - narrow.value) <= 30 + 1e-6


def test_the_longest_is_a_lower_limit_of_what_may_come() -> None:
    assert estimated(exact(5), exact(9), censored(3)).maximum == Measured(9.0, 9.0, None)


@pytest.mark.parametrize("waited", [9.0, 10.0])
def test_a_longer_delay_that_has_not_ended_leaves_the_longest_open(waited: float) -> None:
    assert estimated(exact(5), exact(9), censored(waited)).maximum == Measured(None, waited, None)


def test_without_delays_there_is_no_estimate() -> None:
    assert estimate([]) is None


def test_delays_of_which_none_ended_tell_nothing_but_how_long_was_waited() -> None:
    found = estimated(censored(100.0), censored(50.0))
    assert set(found.quantiles.values()) == {UNKNOWN}
    assert found.maximum == Measured(None, 100.0, None)
    assert found.shares[60].value == 0.0
    assert found.shares[300] == Measured(None, 0.0, 1.0)


@pytest.mark.parametrize(("lower", "upper"), [(2.0, 1.0), (math.nan, 1.0), (0.0, math.nan), (-math.inf, 0.0)])
def test_bounds_between_which_nothing_lies_are_refused(lower: float, upper: float) -> None:
    with pytest.raises(ValueError, match="no delay lies between"):
        Observation(lower, upper)


# Loss


def test_the_logged_share_has_clopper_and_pearsons_limits() -> None:
    found = loss(8, 2)
    assert found is not None
    assert (found.logged.value, found.logged.low, found.logged.high) == pytest.approx((0.8, 0.4439, 0.9748), abs=1e-4)


@pytest.mark.parametrize("n", [1, 10, 300, 10_000])
def test_with_none_missing_the_loss_is_bounded_by_about_three_in_n(n: int) -> None:
    found = loss(n, 0)
    assert found is not None
    assert found.lost_below == pytest.approx(1 - 0.05 ** (1 / n))
    assert n < 10 or found.lost_below == pytest.approx(3 / n, rel=0.15)
    assert (found.logged.value, found.logged.high) == (1.0, 1.0)


def test_pending_calls_leave_the_share_open_and_the_limits_hold_either_way() -> None:
    found, lost, came = loss(90, 3, 7), loss(90, 10), loss(97, 3)
    assert found is not None
    assert lost is not None
    assert came is not None
    assert found.logged == Measured(None, lost.logged.low, came.logged.high)
    assert found.lost_below == lost.lost_below


def test_without_calls_there_is_no_loss() -> None:
    assert loss(0, 0) is None


# Comparison


def test_the_test_of_two_groups_agrees_with_the_textbook() -> None:
    found = compare(PLACEBO, TREATED)
    assert found is not None
    assert found.p_value == pytest.approx(4.17e-5, rel=0.01)
    assert found.median_ratio.value == pytest.approx(23 / 8, rel=0.05)
    assert found.median_ratio.low is not None and found.median_ratio.low > 1
    assert found.median_ratio.high is None
    assert found.within_seconds == 35
    assert found.mean_difference_seconds.low is not None and found.mean_difference_seconds.low > 0


def test_the_mean_difference_is_that_of_the_means_where_all_ended() -> None:
    found = compare([*map(exact, (1, 2, 3))], [*map(exact, (2, 4, 6))])
    assert found is not None
    assert found.medians == pytest.approx((2, 4))
    # Welch: s2/n = 1/3 and 4/3, 2.94 degrees of freedom.
    half = stats.t.ppf(0.975, 2.94117647) * math.sqrt(5 / 3)
    told = found.mean_difference_seconds
    assert (told.value, told.low, told.high) == pytest.approx((2, 2 - half, 2 + half), rel=0.01)


@quick
@given(st.lists(st.floats(1, 1e5), min_size=3, max_size=40))
def test_a_group_does_not_differ_from_itself(delays: list[float]) -> None:
    group = [*map(exact, delays)]
    found = compare(group, group)
    assert found is not None
    assert found.p_value is None or found.p_value == pytest.approx(1)
    assert found.median_ratio.value is None or found.median_ratio.value == pytest.approx(1)
    assert found.mean_difference_seconds.value == pytest.approx(0, abs=1e-9)


def test_groups_change_places_with_the_sign() -> None:
    one, other = compare(PLACEBO, TREATED), compare(TREATED, PLACEBO)
    assert one is not None
    assert other is not None
    assert one.p_value == pytest.approx(other.p_value)
    assert one.median_ratio.value == pytest.approx(1 / (other.median_ratio.value or math.nan))
    assert one.mean_difference_seconds.low == pytest.approx(-(other.mean_difference_seconds.high or math.nan))


def test_giving_up_earlier_is_no_change_of_the_delay() -> None:
    source = np.random.default_rng(1)
    delays = source.lognormal(5, 0.6, 400)
    found = compare([*map(exact, delays[:200])], [exact(d) if d < 150 else censored(150) for d in delays[200:]])
    assert found is not None
    assert found.p_value is not None and found.p_value > 0.05
    assert found.within_seconds == 150


@pytest.mark.parametrize("a", [[], [exact(1.0)], [censored(1.0)]])
def test_too_little_gives_no_limits_and_no_error(a: list[Observation]) -> None:
    found = compare(a, [exact(2.0)])
    if not a:
        assert found is None
    else:
        assert found is not None
        assert found.mean_difference_seconds.low is None
        assert found.median_ratio == UNKNOWN


def test_no_test_without_an_end() -> None:
    found = compare([censored(1.0)], [censored(2.0)])
    assert found is not None
    assert found.p_value is None


# Coverage: the study is benchmarks/delay_simulation.py, this guards it


@pytest.mark.parametrize(("censoring", "shares"), [(math.inf, (0.5, 0.9)), (600.0, (0.5,))])
def test_intervals_cover_the_truth_about_as_often_as_they_say(censoring: float, shares: tuple[float, ...]) -> None:
    source = np.random.default_rng(20260401)
    truth = {share: 150 * math.exp(0.6 * stats.norm.ppf(share)) for share in shares}
    covered = dict.fromkeys(shares, 0)
    for _ in range(300):
        delays = source.lognormal(math.log(150), 0.6, 120)
        ends = source.uniform(0, censoring, 120) if censoring < math.inf else np.full(120, math.inf)
        found = estimated(*(exact(d) if d <= c else censored(c) for d, c in zip(delays, ends, strict=True)))
        for share in shares:
            low, high = found.quantiles[share].low, found.quantiles[share].high
            assert low is not None
            covered[share] += low <= truth[share] <= (high if high is not None else math.inf)
    for share in shares:
        assert 0.91 <= covered[share] / 300 <= 0.98
