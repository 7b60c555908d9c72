"""Delay and loss count every call that should be logged, once, in its class, on clocks that were set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import T0, a_call, a_delivery, a_record, seconds

from harness.analyse.curve import Observation
from harness.analyse.delays import DelayRow, Offset, clock_offset, pairs_of, rows
from harness.analyse.join import Joiner
from harness.model import ACTOR, CLOUDTRAIL, SERVER_ACCESS, Call, CellKey, Delivery, Record, Role

NUMBERS = count(1)
FACTS: dict[str, Any] = {
    "absence_seconds": {SERVER_ACCESS: 3600.0},
    "polled_at": {SERVER_ACCESS: (T0 + seconds(7200)).isoformat()},
    "region": "us-east-1",
}
CLOUDTRAIL_FACTS: dict[str, Any] = {
    "absence_seconds": {CLOUDTRAIL: 3600.0},
    "polled_at": {CLOUDTRAIL: (T0 + seconds(7200)).isoformat()},
}
UNSTAMPED = FACTS | {"without_arrival_stamps": [SERVER_ACCESS]}
Arrival = tuple[Record, Delivery]
Polls = Mapping[str, Sequence[datetime]]
NO_POLLS: Polls = {}


def called(at: float = 0, operation: str = "PutObject", channel: str = SERVER_ACCESS, **changes: Any) -> Call:
    """Return an expected call that was completed so many seconds after T0."""
    values = {"cell": CellKey(operation=operation), "expected": {channel: 1}, "received_at": T0 + seconds(at)}
    return a_call(next(NUMBERS), sent_at=T0 + seconds(at - 1), **(values | changes))


def arrived(call: Call, at: datetime | float, name: str = "", channel: str = SERVER_ACCESS, **record: Any) -> Arrival:
    moment = at if isinstance(at, datetime) else T0 + seconds(at)
    record = {"identity": f"{call.number} {record}"} | record
    return a_record(call, channel, **record), a_delivery(name or f"s3://logs/{moment}", moment, channel=channel)


def measured(
    calls: Sequence[Call], arrivals: Sequence[Arrival] = (), facts: dict[str, Any] = FACTS, polls: Polls = NO_POLLS
) -> list[DelayRow]:
    joiner = Joiner(calls)
    paired = [(record, delivery, joiner.add(record, delivery)) for record, delivery in arrivals]
    return rows(calls, pairs_of(paired), facts, polls)


def total(
    calls: Sequence[Call], arrivals: Sequence[Arrival] = (), facts: dict[str, Any] = FACTS, polls: Polls = NO_POLLS
) -> DelayRow:
    found = measured(calls, arrivals, facts, polls)[0]
    assert (found.category, found.access) == ("all", "all")
    return found


# Clocks


def answered(sent: float, received: float, date: float, **changes: Any) -> Call:
    times = {"sent_at": T0 + seconds(sent), "received_at": T0 + seconds(received), "server_date": T0 + seconds(date)}
    return a_call(next(NUMBERS), **(times | changes))


def test_one_date_header_bounds_the_offset_by_its_second_and_the_call() -> None:
    """At 0.2 to 0.8 the server's clock showed 5.0 to 6.0: it is 4.2 to 5.8 ahead."""
    found = clock_offset([answered(0.2, 0.8, 5)])
    assert (found.seconds, found.uncertainty_seconds) == pytest.approx((5.0, 0.8))
    assert (found.agreeing, found.calls) == (1, 1)


def test_further_headers_narrow_the_bounds_to_what_all_have_in_common() -> None:
    found = clock_offset([answered(0.0, 0.1, 5), answered(10.5, 10.6, 15)])
    assert (found.seconds, found.uncertainty_seconds) == pytest.approx((5.2, 0.3))


@settings(max_examples=50)
@given(st.floats(-100, 100), st.lists(st.tuples(st.floats(0, 3600), st.floats(0.01, 2)), min_size=1, max_size=30))
def test_the_true_offset_is_within_the_uncertainty(offset: float, sent: list[tuple[float, float]]) -> None:
    calls = [answered(at, at + long, (at + long / 2 + offset) // 1) for at, long in sent]
    found = clock_offset(calls)
    assert found.uncertainty_seconds is not None
    assert abs(found.seconds - offset) <= found.uncertainty_seconds + 1e-5
    assert found.agreeing == found.calls == len(calls)


def test_a_header_that_contradicts_the_others_is_outvoted_and_told() -> None:
    calls = [answered(n + 0.2, n + 0.3, n) for n in range(5)]
    found = clock_offset([*calls, answered(7, 7.1, 500)])
    assert found.seconds == clock_offset(calls).seconds
    assert (found.agreeing, found.calls) == (5, 6)


def test_without_date_headers_of_s3_the_clocks_are_taken_as_they_are() -> None:
    assert clock_offset([a_call(), answered(0, 1, 50, service="sts")]) == Offset()
    assert clock_offset([]).uncertainty_seconds is None


def test_a_delay_is_corrected_by_the_offset() -> None:
    """The client's clock is 60 s slow, so what looks like 360 s took 300."""
    call = called(0, server_date=T0 + seconds(59))
    offset = clock_offset([call]).seconds
    assert offset == pytest.approx(60)
    assert total([call], [arrived(call, 360)]).observations == (Observation.exact(300.5),)


# Delays


def test_a_delay_counts_from_the_answer_to_the_middle_of_the_second_that_the_stamp_names() -> None:
    call = called(10)
    assert total([call], [arrived(call, 70)]).observations == (Observation.exact(60.5),)


def test_a_stamp_with_fractions_is_taken_as_it_is() -> None:
    call = called(10)
    assert total([call], [arrived(call, 70.25)]).observations == (Observation.exact(60.25),)


def test_the_first_arrival_counts_and_the_others_are_duplicates() -> None:
    call = called()
    found = total([call], [arrived(call, at) for at in (900, 60, 300)])
    assert found.observations == (Observation.exact(60.5),)
    assert (found.calls, found.logged, found.records, found.duplicates) == (1, 1, 1, 2)


def test_the_calls_own_record_counts_before_one_about_something_inside_it() -> None:
    call = called(operation="CopyObject")
    inside = {"fields": {"operation": "REST.COPY.OBJECT_GET"}}
    found = total([call], [arrived(call, 10, **inside), arrived(call, 90)])
    assert (found.observations, found.records) == ((Observation.exact(90.5),), 2)
    assert total([call], [arrived(call, 10, **inside)]).observations == (Observation.exact(10.5),)


def test_what_has_not_come_is_censored_when_the_channel_was_last_polled() -> None:
    found = total([called(200)])
    assert found.observations == (Observation.censored(7000.0),)
    assert (found.logged, found.missing, found.pending) == (0, 1, 0)


def test_it_is_pending_until_the_waiting_time_is_over() -> None:
    found = total([called(3601)])
    assert (found.missing, found.pending) == (0, 1)
    assert found.loss is not None
    assert found.loss.logged.value is None


@pytest.mark.parametrize("facts", [FACTS | {"polled_at": {}}, {"absence_seconds": FACTS["absence_seconds"]}])
def test_a_channel_that_was_never_polled_tells_nothing(facts: dict[str, Any]) -> None:
    found = total([called()], facts=facts)
    assert (found.observations, found.pending) == ((Observation.censored(0.0),), 1)


def test_a_call_after_the_last_poll_was_not_followed_at_all() -> None:
    assert total([called(9999)]).observations == (Observation.censored(0.0),)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(30, Observation(30, 91)), (65, Observation(0, 56)), (0, Observation(60, 121)), (119, Observation(0, 2))],
)
def test_without_arrival_stamps_a_delay_lies_between_two_polls(sent: float, expected: Observation) -> None:
    """The poll at 120 saw it, at 121, and the one at 60 did not."""
    call = called(sent)
    polls = {SERVER_ACCESS: [T0 + seconds(at) for at in (0, 60, 120, 180)]}
    assert total([call], [arrived(call, 121)], UNSTAMPED, polls).observations == (expected,)


def test_polls_do_not_matter_where_there_are_arrival_stamps() -> None:
    call = called(30)
    polls = {SERVER_ACCESS: [T0 + seconds(at) for at in (0, 60, 120)]}
    assert total([call], [arrived(call, 121)], FACTS, polls).observations == (Observation.exact(91.5),)


@pytest.mark.parametrize(("complete", "expected"), [((), (0, 111)), ((0,), (0, 111)), ((0, 60), (0, 111))])
def test_what_a_failed_poll_saw_has_an_interval_that_is_rather_too_wide(
    complete: Sequence[float], expected: tuple[float, float]
) -> None:
    """The poll at 120 saw it, and then failed."""
    call = called(10)
    polls = {SERVER_ACCESS: [T0 + seconds(at) for at in complete]}
    assert total([call], [arrived(call, 121)], UNSTAMPED, polls).observations == (Observation(*expected),)


# What counts


def test_calls_of_which_no_record_is_expected_do_not_count() -> None:
    others = [
        called(expected={SERVER_ACCESS: 0}),
        called(expected={CLOUDTRAIL: 1}),
        called(role=Role.SETUP),
        called(role=Role.POLL),
        called(method=ACTOR, status=None),
    ]
    assert measured(others, [arrived(others[0], 50)]) == []
    assert total([*others, called(role=Role.CONTROL)]).calls == 1


def test_a_call_without_an_answer_may_never_have_been_received_and_is_counted_apart() -> None:
    lost = called(status=None, received_at=None, failure="ReadTimeoutError")
    found = total([called(), lost])
    assert (found.calls, found.missing, found.unanswered) == (1, 1, 1)
    found = total([lost], [arrived(lost, 50)])
    assert (found.calls, found.unanswered, found.estimate, found.loss) == (0, 1, None, None)


def test_a_run_without_channels_has_no_rows() -> None:
    assert measured([called()], facts={}) == []


def test_a_record_after_the_waiting_time_is_late() -> None:
    calls = [called(), called()]
    assert total(calls, [arrived(calls[0], 3599), arrived(calls[1], 3600)]).late == 1


def test_a_record_is_out_of_order_when_that_of_a_later_call_came_before_it() -> None:
    calls = [called(0), called(10), called(20), called(30)]
    arrivals = [arrived(call, at) for call, at in zip(calls, (500, 300, 400, 400), strict=True)]
    assert total(calls, arrivals).out_of_order == 1
    assert total(calls, arrivals[1:]).out_of_order == 0


def test_missing_calls_of_which_no_repetition_is_logged_are_told_apart_from_losses() -> None:
    logged, lost, never = called(operation="GetObject"), called(operation="GetObject"), called(operation="HeadObject")
    found = total([logged, lost, never], [arrived(logged, 50)])
    assert (found.logged, found.missing, found.never_logged) == (1, 2, 1)


@pytest.mark.parametrize(
    ("name", "arrival", "event"),
    [
        ("s3://logs/sal/2026-01-01-13-07-59-0123456789ABCDEF", 0, 1),
        ("s3://logs/sal/2026-01-01-12-59-59-0123456789ABCDEF", 1, 0),
        ("s3://logs/AWSLogs/1/CloudTrail/us-east-1/2026/01/01/1_CloudTrail_us-east-1_20260101T1305Z_0aB.json.gz", 0, 1),
        ("s3://logs/AWSLogs/1/CloudTrail/us-east-1/2026/01/01/1_CloudTrail_us-east-1_20260101T1255Z_0aB.json.gz", 1, 0),
        ("s3://logs/sal/2026-01-02-13-07-59-0123456789ABCDEF", 1, 1),
        ("s3://logs/2026-01-01-13-07-59-0123456789ABCDEF/other", None, None),
        ("lookup", None, None),
    ],
)
def test_a_file_named_after_another_hour_than_its_arrival_or_event_is_counted(
    name: str, arrival: int | None, event: int | None
) -> None:
    call = called()
    came = arrived(call, T0.replace(hour=13, minute=8), name, event_time=T0.replace(hour=12, minute=58))
    found = total([call], [came])
    assert (found.wrong_hour_arrival, found.wrong_hour_event) == (arrival, event)


def test_files_are_counted_once_however_many_records_they_bring() -> None:
    calls = [called(), called(), called()]
    arrivals = [arrived(calls[0], 50, "a"), arrived(calls[1], 50, "a"), arrived(calls[2], 60, "b")]
    assert total(calls, arrivals).files == 2


# Classes


def classes(calls: Sequence[Call], arrivals: Sequence[Arrival] = (), facts: dict[str, Any] = FACTS) -> set[str]:
    return {f"{row.category} {row.access} {row.calls}" for row in measured(calls, arrivals, facts)}


@pytest.mark.parametrize(
    ("operation", "method", "expected"),
    [
        ("PutObject", "PUT", "data write"),
        ("GetObject", "GET", "data read"),
        ("SelectObjectContent", "POST", "data read"),
        ("DeleteBucketCors", "DELETE", "management write"),
        ("HeadBucket", "HEAD", "management read"),
        ("ListBuckets", "GET", "management read"),
        ("CorsPreflight", "OPTIONS", "management read"),
        ("BrandNew", "PUT", "data write"),
    ],
)
def test_where_no_record_says_it_level_and_method_tell_the_class(operation: str, method: str, expected: str) -> None:
    call = called(operation=operation, method=method)
    category = expected.split(maxsplit=1)[0]
    assert classes([call]) == {"all all 1", f"{category} all 1", f"{expected} 1"}


def test_what_the_records_of_an_operation_say_holds_for_its_calls_without_a_record() -> None:
    calls = [called(operation="ListObjectsV2", method="GET", channel=CLOUDTRAIL) for _ in range(3)]
    said = {"fields": {"eventCategory": "Data", "readOnly": True}}
    arrivals = [arrived(call, 60, channel=CLOUDTRAIL, **said) for call in calls[:2]]
    assert classes(calls, arrivals, CLOUDTRAIL_FACTS) == {"all all 3", "data all 3", "data read 3"}


def test_the_region_is_that_of_the_host_or_else_of_the_run() -> None:
    hosts = ("b-us-west-1-an.s3.eu-west-1.amazonaws.com", "b.s3.amazonaws.com", "127.0.0.1:4566")
    found = measured([called(host=host) for host in hosts])
    assert {(row.region, row.calls) for row in found} == {("eu-west-1", 1), ("us-east-1", 2)}


def test_rows_go_from_all_to_the_finest_class() -> None:
    calls = [called(operation=name, method=method) for name, method in (("GetObject", "GET"), ("PutBucketAcl", "PUT"))]
    assert [(row.category, row.access) for row in measured(calls)] == [
        ("all", "all"),
        ("data", "all"),
        ("data", "read"),
        ("management", "all"),
        ("management", "write"),
    ]


OPERATIONS = st.sampled_from(
    [("GetObject", "GET"), ("PutObject", "PUT"), ("PutBucketAcl", "PUT"), ("ListBuckets", "GET")]
)


@settings(max_examples=30)
@given(st.lists(st.tuples(OPERATIONS, st.integers(0, 7000), st.none() | st.integers(1, 9000)), min_size=1, max_size=12))
def test_classes_add_up_and_no_call_is_dropped(made: list[tuple[tuple[str, str], int, int | None]]) -> None:
    calls = [called(at, operation=name, method=method) for (name, method), at, _ in made]
    arrivals = [
        arrived(call, at + delay) for call, (_, at, delay) in zip(calls, made, strict=True) if delay is not None
    ]
    found = measured(calls, arrivals)
    for each in found:
        assert each.calls == each.logged + each.missing + each.pending == len(each.observations)
        assert each.estimate is not None
        assert each.estimate.censored == each.missing + each.pending
    whole = found[0]
    assert whole.calls == len(calls)
    for parts in (
        [row for row in found[1:] if row.access == "all"],
        [row for row in found[1:] if row.access != "all"],
    ):
        for name in ("calls", "logged", "missing", "pending", "records", "late", "out_of_order"):
            assert sum(getattr(row, name) for row in parts) == getattr(whole, name)
