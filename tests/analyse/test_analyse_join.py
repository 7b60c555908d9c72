"""A record is paired with the call that made it, in a way that is told, and with no other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import T0, a_call, a_delivery, a_record, seconds

from harness.analyse.join import Joiner, Way
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, Record, Role

OURS = a_call(1)
OTHER = a_call(2)
UNNAMED: dict[str, Any] = {"request_id": None, "host_id": None, "user_agent": None}
"""What a record lacks that can only be joined by place and time."""


def join(record: Record, *calls: Call) -> tuple[int, Way] | None:
    joiner = Joiner(calls or (OURS, OTHER))
    pair = joiner.add(record, a_delivery())
    assert joiner.unmatched == (pair is None)
    return (pair.call.number, pair.way) if pair else None


def test_the_request_id_comes_first() -> None:
    record = a_record(OURS, host_id=OTHER.host_id, user_agent=OTHER.user_agent, key=OTHER.key)
    assert join(record) == (1, Way.REQUEST_ID)


def test_the_host_id_comes_before_the_marker() -> None:
    record = a_record(OURS, request_id=None, user_agent=OTHER.user_agent, key=OTHER.key)
    assert join(record) == (1, Way.HOST_ID)


def test_the_marker_comes_before_place_and_time() -> None:
    record = a_record(OURS, request_id=None, host_id=None, key=OTHER.key)
    assert join(record) == (1, Way.MARKER)


def test_the_marker_is_found_within_a_longer_user_agent() -> None:
    agent = f"[Boto3/1.44 {OURS.marker}, S3Console/0.4]"
    assert join(a_record(OURS, request_id="AWS-INTERNAL", host_id=None, user_agent=agent)) == (1, Way.MARKER)


@pytest.mark.parametrize("agent", ["s3lm/0badcafe/12", "s3lm/0badcafe/", "s3lm/ffffffff/1", "S3LM/0BADCAFE/1", "s3lm/"])
def test_a_marker_that_is_none_of_ours_joins_nothing(agent: str) -> None:
    assert join(a_record(user_agent=agent, event_time=T0)) is None


def test_place_and_time_join_a_record_that_names_nothing_else() -> None:
    assert join(a_record(OURS, **UNNAMED)) == (1, Way.PLACE_AND_TIME)


@pytest.mark.parametrize(
    ("offset_seconds", "joined"), [(-3, False), (-2, True), (0, True), (1, True), (3, True), (4, False)]
)
def test_time_may_be_two_seconds_off_the_call_and_no_more(offset_seconds: float, joined: bool) -> None:
    record = a_record(OURS, **UNNAMED, event_time=OURS.sent_at + seconds(offset_seconds))
    assert join(record) == ((1, Way.PLACE_AND_TIME) if joined else None)


@pytest.mark.parametrize("place", [{"bucket": "elsewhere"}, {"key": "elsewhere"}, {"key": None}, {"bucket": None}])
def test_another_place_is_another_call(place: dict[str, Any]) -> None:
    assert join(a_record(OURS, **UNNAMED | place)) is None


def test_place_and_time_of_two_calls_join_neither() -> None:
    twin = a_call(2, bucket=OURS.bucket, key=OURS.key, sent_at=OURS.sent_at)
    assert join(a_record(OURS, **UNNAMED), OURS, twin) is None


def test_a_record_with_a_foreign_request_id_is_never_joined_by_place_and_time() -> None:
    record = a_record(OURS, **UNNAMED | {"request_id": "SOMEONE-ELSES"})
    assert join(record) is None


def test_a_record_without_a_time_is_not_joined_by_place() -> None:
    assert join(a_record(OURS, **UNNAMED, event_time=None)) is None


def test_a_call_without_an_answer_is_joined_by_its_marker_only() -> None:
    unanswered = a_call(1, received_at=None, status=None, request_id=None, host_id=None)
    assert join(a_record(OURS), unanswered) == (1, Way.MARKER)
    assert join(a_record(OURS, **UNNAMED), unanswered) is None


@pytest.mark.parametrize("empty", [None, ""])
def test_a_missing_id_is_equal_to_no_other_missing_id(empty: str | None) -> None:
    nameless = a_call(1, request_id=empty, host_id=empty, bucket=None, key=None)
    assert join(a_record(request_id=empty, host_id=empty, bucket=None, key=None), nameless) is None


def test_records_of_every_role_are_joined() -> None:
    for role in Role:
        assert join(a_record(OURS), a_call(1, role=role)) == (1, Way.REQUEST_ID)


def test_a_record_that_arrives_twice_is_one_pair_with_two_deliveries() -> None:
    joiner = Joiner([OURS])
    first, second = a_delivery("1"), a_delivery("2", T0 + seconds(60))
    joiner.add(a_record(OURS), first)
    again = joiner.add(a_record(OURS), second)
    assert again is not None
    assert again.deliveries == (first, second)
    assert joiner.pairs(OURS, SERVER_ACCESS) == [again]


def test_several_records_of_one_call_are_several_pairs() -> None:
    joiner = Joiner([OURS])
    joiner.add(a_record(OURS, identity="write"), a_delivery())
    joiner.add(a_record(OURS, identity="read"), a_delivery())
    assert [pair.record.identity for pair in joiner.pairs(OURS, SERVER_ACCESS)] == ["write", "read"]


def test_channels_are_kept_apart_even_where_identities_are_equal() -> None:
    joiner = Joiner([OURS])
    joiner.add(a_record(OURS, SERVER_ACCESS), a_delivery())
    joiner.add(a_record(OURS, CLOUDTRAIL), a_delivery())
    assert len(joiner.pairs(OURS, SERVER_ACCESS)) == len(joiner.pairs(OURS, CLOUDTRAIL)) == 1
    assert joiner.pairs(OURS, "eventbridge") == []


def test_strangers_are_counted_and_left_alone() -> None:
    joiner = Joiner([OURS])
    for n in range(5):
        assert joiner.add(a_record(identity=f"stranger-{n}"), a_delivery()) is None
    assert joiner.unmatched == 5
    assert joiner.pairs(OURS, SERVER_ACCESS) == []


@given(order=st.permutations(range(6)))
@settings(max_examples=25)
def test_the_order_of_arrival_changes_no_pairing(order: list[int]) -> None:
    calls = [a_call(n) for n in range(3)]
    records = [a_record(call) for call in calls] + [a_record(identity=f"s{n}") for n in range(2)] + [a_record(calls[0])]
    joiner = Joiner(calls)
    for n in order:
        joiner.add(records[n], a_delivery(str(n)))
    assert [len(joiner.pairs(call, SERVER_ACCESS)) for call in calls] == [1, 1, 1]
    assert len(joiner.pairs(calls[0], SERVER_ACCESS)[0].deliveries) == 2
    assert joiner.unmatched == 2


def test_500_of_ours_are_found_among_100_000_strangers() -> None:
    calls = [a_call(n, sent_at=T0 + seconds(n)) for n in range(500)]
    joiner = Joiner(calls)
    delivery = a_delivery()
    busy: dict[str, Any] = {"bucket": "bucket", "event_time": T0 - seconds(3600)}
    strangers = [a_record(request_id=f"S{n}", identity=f"s{n}", key=f"key-{n % 500}", **busy) for n in range(500)]
    nameless = [a_record(**UNNAMED, identity=f"n{n}", key=f"key-{n % 500}", **busy) for n in range(500)]
    for n in range(50_000):
        joiner.add(strangers[n % 500], delivery)
        joiner.add(nameless[n % 500], delivery)
        if n % 100 == 0:
            joiner.add(a_record(calls[n // 100]), delivery)
    found = [pair.call.number for call in calls for pair in joiner.pairs(call, SERVER_ACCESS)]
    assert found == list(range(500))
    assert joiner.unmatched == 100_000
