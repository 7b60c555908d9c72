"""Curves of delays: what they show is what the estimates say, however few or many delays there are."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.drawing import MAX_MARKS, MAX_POINTS, drawn
from harness.analyse.survival import Observation, estimate

SECONDS = st.floats(min_value=-10, max_value=100_000, allow_nan=False)
EXACT = SECONDS.map(Observation.exact)
CENSORED = SECONDS.map(lambda s: Observation.censored(abs(s)))
INTERVAL = st.tuples(SECONDS, SECONDS).map(lambda pair: Observation(min(pair), max(pair)))


def shares(observations: list[Observation]) -> dict[float, float]:
    found = drawn(observations)
    assert found
    return {point.seconds: point.share.value or 0.0 for point in found.points}


def test_without_delays_there_is_no_curve() -> None:
    assert drawn([]) is None


def test_a_curve_rises_by_one_share_at_each_delay() -> None:
    assert shares([Observation.exact(s) for s in (4, 1, 2, 2)]) == pytest.approx({1: 0.25, 2: 0.75, 4: 1.0})


def test_what_did_not_come_keeps_the_curve_below_one_and_leaves_a_mark() -> None:
    observations = [Observation.exact(60), Observation.exact(120), *[Observation.censored(500)] * 2]
    found = drawn(observations)
    assert found
    assert shares(observations) == pytest.approx({60: 0.25, 120: 0.5, 500: 0.5})
    assert [(mark.seconds, mark.share.value) for mark in found.censored] == [(500, pytest.approx(0.5))]


def test_nothing_arrived_is_a_curve_at_zero() -> None:
    assert shares([Observation.censored(4)]) == {4: 0.0}


@given(st.lists(EXACT | CENSORED | INTERVAL, min_size=1, max_size=60))
def test_curves_rise_within_their_limits_and_their_times(observations: list[Observation]) -> None:
    found = drawn(observations)
    assert found
    values = [point.share.value for point in found.points]
    assert None not in values
    told = [value for value in values if value is not None]
    assert all(before <= after + 1e-9 for before, after in pairwise(told))
    longest = max(o.upper_seconds if math.isfinite(o.upper_seconds) else o.lower_seconds for o in observations)
    for point in (*found.points, *found.censored):
        assert point.share.low is not None
        assert point.share.high is not None
        assert point.share.value is not None
        assert 0 <= point.share.low <= point.share.value + 1e-9 <= point.share.high + 2e-9 <= 1 + 1e-8
        assert point.seconds <= longest


def test_a_curve_says_what_the_estimate_says() -> None:
    observations = [Observation.exact(s) for s in range(1, 400, 3)] + [Observation.censored(300)] * 20
    one, points = estimate(observations), shares(observations)
    assert one
    assert points[298] == pytest.approx(one.shares[300].value)


def test_many_delays_keep_their_ends_and_few_points() -> None:
    observations = [Observation.exact(s) for s in range(5000)] + [Observation.censored(s + 0.5) for s in range(5000)]
    found = drawn(observations)
    assert found
    assert len(found.points) <= MAX_POINTS + 1
    assert len(found.censored) <= MAX_MARKS
    assert found.points[0].seconds == 0
