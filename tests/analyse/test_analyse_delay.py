"""Delay is completed-at to the first arrival, summarised so that it can be checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offline import T0, a_call, a_delivery, a_record, seconds

from harness.analyse.delay import delay_seconds, summarise
from harness.analyse.join import Pair, Way
from harness.model import Call, Delay

CALL = a_call(1, sent_at=T0, received_at=T0 + seconds(2))


def pair(*arrivals_seconds: float, call: Call = CALL) -> Pair:
    deliveries = tuple(a_delivery(str(n), T0 + seconds(n)) for n in arrivals_seconds)
    return Pair(call, a_record(call), Way.REQUEST_ID, deliveries)


def test_it_is_counted_from_the_answer_to_the_arrival() -> None:
    assert delay_seconds(pair(302)) == 300


def test_the_first_of_several_arrivals_counts() -> None:
    assert delay_seconds(pair(900, 62, 400)) == 60


def test_a_call_without_an_answer_is_counted_from_its_sending() -> None:
    assert delay_seconds(pair(60, call=a_call(1, sent_at=T0, received_at=None))) == 60


def test_a_stamp_of_whole_seconds_may_make_it_negative() -> None:
    assert delay_seconds(pair(1.5)) == -0.5


def test_no_delays_have_no_summary() -> None:
    assert summarise([]) is None


@pytest.mark.parametrize(
    ("delays", "expected"),
    [
        ([7.0], (1, 7, 7, 7, 7)),
        ([10.0, 20.0], (2, 10, 15, 19, 20)),
        ([5.0, 1.0, 3.0, 2.0, 4.0], (5, 1, 3, 4.6, 5)),
        ([float(n) for n in range(1, 102)], (101, 1, 51, 91, 101)),
        ([-0.5, 0.25], (2, -0.5, -0.125, 0.175, 0.25)),
    ],
)
def test_the_summary_agrees_with_what_is_computed_by_hand(delays: list[float], expected: tuple[float, ...]) -> None:
    n, least, median, p90, most = expected
    assert summarise(delays) == Delay(
        n=int(n), min_seconds=least, median_seconds=median, p90_seconds=p90, max_seconds=most
    )


@given(st.lists(st.floats(-10, 1e6), min_size=1, max_size=50))
def test_quantiles_lie_in_their_order(delays: list[float]) -> None:
    told = summarise(delays)
    assert told is not None
    assert told.min_seconds <= told.median_seconds <= told.p90_seconds <= told.max_seconds
