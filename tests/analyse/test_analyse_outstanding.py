"""What is still to come, and the delay of what has come."""

from __future__ import annotations

from offline import T0, a_call, a_delivery, a_record, seconds

from harness.analyse.join import Joiner
from harness.analyse.outstanding import outstanding
from harness.model import Call
from harness.testing import FakeChannel


def still(calls: list[Call], *arrived: tuple[Call, float]) -> tuple[Joiner, FakeChannel]:
    """Return a joiner that has the records of some calls, each so many seconds after its call's end."""
    joiner = Joiner(calls)
    for call, after in arrived:
        at = call.completed_at + seconds(after)
        delivery = a_delivery(f"s3://logs/{call.number}/{after}", at, seen_at=at + seconds(500), channel="fake")
        joiner.add(a_record(call, "fake", identity=f"{call.number}"), delivery)
    return joiner, FakeChannel()


def test_the_delay_so_far_is_that_of_the_calls_whose_record_has_come() -> None:
    calls = [a_call(n, expected={"fake": 1}) for n in (1, 2, 3, 4)]
    joiner, channel = still(calls, (calls[0], 60), (calls[1], 90), (calls[2], 600))
    found = outstanding([channel], calls, joiner, {"fake": T0})
    delay = found.delays["fake"]
    assert (delay.n, delay.min_seconds, delay.median_seconds, delay.max_seconds) == (3, 60, 90, 600)
    assert (found.arrived, found.expected) == ({"fake": 3}, {"fake": 4})


def test_of_a_record_that_was_delivered_twice_the_first_arrival_counts() -> None:
    calls = [a_call(1, expected={"fake": 1})]
    joiner, channel = still(calls, (calls[0], 900), (calls[0], 60))
    assert outstanding([channel], calls, joiner, {}).delays["fake"].max_seconds == 60


def test_where_nothing_has_come_there_is_no_delay() -> None:
    calls = [a_call(1, expected={"fake": 1})]
    joiner, channel = still(calls)
    assert outstanding([channel], calls, joiner, {}).delays == {}
