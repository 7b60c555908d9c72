"""The verdict of every cell, with the evidence for it: absence is a measurement too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import RUN_ID, T0, a_call, a_delivery, a_record, seconds

from harness.analyse.join import Joiner
from harness.analyse.matrix import absence_is_established, build
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, Cell, CellKey, Record, Role, Verdict

PUT = CellKey(operation="PutObject")
WAIT_SECONDS = 3600.0
BEFORE, AFTER = 0, 90


def subject(number: int = 10, **changes: Any) -> Call:
    return a_call(number, **changes)


def control(number: int) -> Call:
    return a_call(number, role=Role.CONTROL, cell=CellKey(operation="PutObject", variant="control"))


@dataclass
class Bench:
    """Calls and their records; by default controls from before and after have arrived and the wait is over."""

    calls: list[Call] = field(default_factory=lambda: [control(BEFORE), control(AFTER)])
    records: list[tuple[Record, float]] = field(
        default_factory=lambda: [(a_record(control(BEFORE)), 60.0), (a_record(control(AFTER)), 60.0)]
    )
    polled_after: timedelta | None = timedelta(hours=9)
    planned: dict[CellKey, tuple[int, str]] = field(default_factory=lambda: {PUT: (1, "")})
    failures: dict[CellKey, str] = field(default_factory=dict)
    by_bucket: dict[str, set[str]] = field(default_factory=dict)
    channels: dict[str, float] = field(default_factory=lambda: {SERVER_ACCESS: WAIT_SECONDS})

    def add(self, call: Call, *records: Record, delay_seconds: float = 60.0) -> Bench:
        """Add a call and records of it that arrive so long after its answer."""
        self.calls.append(call)
        self.records += [(record, delay_seconds) for record in records]
        return self

    def cells(self) -> list[Cell]:
        joiner = Joiner(self.calls)
        by_request_id = {call.request_id: call for call in self.calls}
        for n, (record, delay) in enumerate(self.records):
            call = by_request_id[record.request_id]
            arrived = (call.received_at or call.sent_at) + seconds(delay)
            joiner.add(record, a_delivery(f"s3://logs/{n}", arrived, channel=record.channel))
        polled_at = dict.fromkeys(self.channels, T0 + self.polled_after) if self.polled_after is not None else {}
        return build(self.planned, self.failures, joiner, self.calls, self.channels, polled_at, self.by_bucket)

    def cell(self) -> Cell:
        (cell,) = self.cells()
        return cell


def test_a_call_with_its_record_is_logged() -> None:
    call = subject()
    cell = Bench().add(call, a_record(call)).cell()
    assert (cell.verdict, cell.calls, cell.logged, cell.records, cell.expected) == (Verdict.LOGGED, 1, 1, 1, 1)
    assert cell.reason == ""
    assert cell.names == {"REST.PUT.OBJECT": 1}
    assert cell.joins == {"request-id": 1}
    assert cell.statuses == {"200": 1}


def test_a_logged_call_needs_no_control() -> None:
    call = subject()
    assert Bench(calls=[], records=[], polled_after=None).add(call, a_record(call)).cell().verdict is Verdict.LOGGED


def test_controls_and_other_calls_are_no_part_of_a_cell() -> None:
    call = subject()
    bench = Bench().add(call, a_record(call)).add(subject(11, role=Role.SETUP), a_record(subject(11)))
    assert bench.cell().calls == 1


def test_some_of_the_calls_make_it_partly_logged() -> None:
    first, second = subject(10), subject(11)
    cell = Bench().add(first, a_record(first)).add(second).cell()
    assert (cell.verdict, cell.calls, cell.logged) == (Verdict.PARTLY, 2, 1)
    assert cell.reason == "1 of 2 calls logged, 1 of 2 records"


def test_fewer_records_than_declared_make_it_partly_logged() -> None:
    copy = subject(expected={SERVER_ACCESS: 2})
    cell = Bench().add(copy, a_record(copy)).cell()
    assert (cell.verdict, cell.logged, cell.records, cell.expected) == (Verdict.PARTLY, 1, 1, 2)
    assert cell.reason == "1 of 1 calls logged, 1 of 2 records"


def test_more_records_than_declared_are_logged_all_the_same() -> None:
    call = subject()
    cell = Bench().add(call, a_record(call, identity="a"), a_record(call, identity="b")).cell()
    assert (cell.verdict, cell.records, cell.expected) == (Verdict.LOGGED, 2, 1)


def test_a_record_where_none_is_expected_is_logged() -> None:
    call = subject(expected={SERVER_ACCESS: 0})
    assert Bench().add(call, a_record(call)).cell().verdict is Verdict.LOGGED


@pytest.mark.parametrize("expected", [{}, {SERVER_ACCESS: 0}, {SERVER_ACCESS: 2}])
def test_absence_that_is_established_is_not_observed_whatever_was_expected(expected: dict[str, int]) -> None:
    cell = Bench().add(subject(expected=expected)).cell()
    assert (cell.verdict, cell.logged, cell.delay) == (Verdict.NOT_OBSERVED, 0, None)
    assert "0 of 1 within 1:00:00, controls before and after arrived" in cell.reason


@pytest.mark.parametrize(("calls", "bound"), [(1, None), (3, None), (4, "75%"), (10, "30%"), (30, "10%"), (300, "1%")])
def test_not_observed_is_written_with_the_rule_of_three(calls: int, bound: str | None) -> None:
    bench = Bench(calls=[control(BEFORE)], records=[(a_record(control(BEFORE)), 60.0)])
    for n in range(calls):
        bench.add(subject(n + 1, sent_at=T0 + seconds(n + 1)))
    bench.add(control(500), a_record(control(500)))
    bench.polled_after = timedelta(days=2)
    reason = bench.cell().reason
    assert (f"below {bound} (95 %)" in reason) if bound else ("below" not in reason)
    assert f"0 of {calls} within" in reason


def without(bench: Bench, number: int) -> Bench:
    """Take the record of one control away."""
    bench.records = [(r, d) for r, d in bench.records if r.request_id != control(number).request_id]
    return bench


def test_absence_without_a_control_from_before_is_pending() -> None:
    cell = without(Bench(), BEFORE).add(subject()).cell()
    assert cell.verdict is Verdict.PENDING
    assert cell.reason == "1 of 1 calls: no control call from before it has arrived"


def test_absent_record_stays_pending_until_a_later_control_arrives() -> None:
    waiting = without(Bench(), AFTER).add(subject())
    assert waiting.cell().verdict is Verdict.PENDING
    assert "no control call from after it has arrived" in waiting.cell().reason
    waiting.records.append((a_record(control(AFTER)), 60.0))
    assert waiting.cell().verdict is Verdict.NOT_OBSERVED


def test_a_control_without_an_answer_says_nothing_of_the_channel() -> None:
    bench = Bench().add(subject())
    bench.calls.append(replace(control(5), status=None, request_id=None, host_id=None, failure="ReadTimeoutError"))
    assert bench.cell().verdict is Verdict.NOT_OBSERVED


def test_absence_before_the_wait_is_over_is_pending() -> None:
    call = subject(10)  # answered ten minutes and a second after T0
    pending = Bench(polled_after=timedelta(minutes=40)).add(call).cell()
    assert pending.verdict is Verdict.PENDING
    assert pending.reason == "1 of 1 calls: waited 0:29:59 of the 1:00:00 that a record may take"
    assert Bench(polled_after=timedelta(minutes=70)).add(call).cell().verdict is Verdict.PENDING
    assert Bench(polled_after=timedelta(minutes=70, seconds=1)).add(call).cell().verdict is Verdict.NOT_OBSERVED


def test_a_channel_that_was_never_polled_has_only_pending_absences() -> None:
    assert Bench(polled_after=None).add(subject()).cell().verdict is Verdict.PENDING


def test_one_open_question_makes_the_whole_cell_pending() -> None:
    bench = Bench(polled_after=timedelta(minutes=100))
    logged, absent, young = subject(10), subject(11), subject(80)
    cell = bench.add(logged, a_record(logged)).add(absent).add(young).cell()
    assert cell.verdict is Verdict.PENDING
    assert cell.logged == 1
    assert cell.reason.startswith("1 of 3 calls: waited")


def test_different_open_questions_are_all_told() -> None:
    bench = Bench(polled_after=timedelta(minutes=100)).add(subject(80)).add(subject(95))
    assert "waited" in bench.cell().reason
    assert "no control call from after" in bench.cell().reason


def test_missing_records_of_a_call_with_several_stay_pending_until_absence_is_established() -> None:
    copy = subject(expected={SERVER_ACCESS: 2})
    bench = without(Bench(polled_after=timedelta(minutes=11)), AFTER).add(copy, a_record(copy))
    assert bench.cell().verdict is Verdict.PENDING


def test_controls_of_one_channel_prove_nothing_of_another() -> None:
    bench = Bench(channels={SERVER_ACCESS: WAIT_SECONDS, CLOUDTRAIL: WAIT_SECONDS}).add(subject())
    assert [(c.channel, c.verdict) for c in bench.cells()] == [
        (SERVER_ACCESS, Verdict.NOT_OBSERVED),
        (CLOUDTRAIL, Verdict.PENDING),
    ]


def test_a_row_that_was_planned_not_to_run_says_why() -> None:
    bench = Bench(planned={CellKey(operation="GetObjectTorrent"): (0, "retired")})
    cell = bench.cell()
    assert (cell.verdict, cell.reason, cell.calls, cell.expected) == (Verdict.NOT_RUN, "retired", 0, 0)


def test_a_row_whose_setup_failed_is_not_run_with_that_failure() -> None:
    assert Bench(failures={PUT: "cannot create bucket"}).cell().reason == "cannot create bucket"
    assert Bench().cell().reason == "no call was made"
    assert Bench().cell().verdict is Verdict.NOT_RUN


def test_a_call_that_was_refused_is_measured_all_the_same() -> None:
    call = subject(status=403, error_code="AccessDenied")
    cell = Bench(failures={PUT: "AccessDenied: no"}).add(call, a_record(call, status=403)).cell()
    assert cell.verdict is Verdict.LOGGED
    assert cell.statuses == {"403 AccessDenied": 1}
    assert cell.reason == "the call failed: AccessDenied: no"


def test_a_failure_after_a_call_that_went_well_is_told_as_what_it_is() -> None:
    call = subject()
    assert Bench(failures={PUT: "cannot clean up"}).add(call, a_record(call)).cell().reason == "cannot clean up"


def test_every_planned_row_has_one_cell_in_every_channel() -> None:
    rows = {CellKey(operation=o, variant=v): (1, "") for o in ("GetObject", "PutObject") for v in ("ok", "denied")}
    cells = Bench(planned=rows, channels={SERVER_ACCESS: 1.0, CLOUDTRAIL: 1.0}).cells()
    assert len(cells) == len({(c.operation, c.variant, c.channel) for c in cells}) == 8


def test_duplicates_are_counted_and_change_neither_records_nor_delay() -> None:
    call = subject()
    bench = Bench().add(call, a_record(call)).add(call)
    bench.calls.pop()
    bench.records += [(a_record(call), 600.0), (a_record(call), 900.0)]
    cell = bench.cell()
    assert (cell.verdict, cell.records, cell.duplicates) == (Verdict.LOGGED, 1, 2)
    assert cell.delay is not None
    assert (cell.delay.n, cell.delay.max_seconds) == (1, 60)


def test_the_delay_is_that_of_the_first_record_of_each_logged_call() -> None:
    bench = Bench()
    for number, delay in ((10, 10.0), (11, 20.0), (12, 30.0), (13, 100.0)):
        call = subject(number)
        bench.add(call, a_record(call), delay_seconds=delay)
        bench.records.append((a_record(call, identity=f"second of {number}"), 5000.0))
    bench.add(subject(14))
    delay_ = bench.cell().delay
    assert delay_ is not None
    assert (delay_.n, delay_.min_seconds, delay_.median_seconds, delay_.p90_seconds, delay_.max_seconds) == (
        4,
        10,
        25,
        79,  # linear between 30 and 100 at 0.9 * 3 = 2.7
        100,
    )


def test_names_and_ways_are_counted() -> None:
    first, second = subject(10), subject(11)
    bench = Bench().add(first, a_record(first)).add(second, a_record(second, name="REST.COPY.OBJECT"))
    bench.calls[-1] = subject(11, host_id="other")
    cell = bench.cell()
    assert cell.names == {"REST.COPY.OBJECT": 1, "REST.PUT.OBJECT": 1}
    assert cell.joins == {"request-id": 2}


def fields_of(*values: dict[str, Any], calls: Sequence[Call] | None = None) -> dict[str, Any]:
    """Return the fields of a cell whose calls have one record each, with these fields."""
    bench = Bench()
    for n, fields in enumerate(values):
        call = calls[n] if calls else subject(10 + n)
        bench.add(call, a_record(call, fields=fields))
    return dict(bench.cell().fields)


def test_a_field_that_equals_the_call_is_counted_as_equal() -> None:
    calls = [subject(10, bucket="b"), subject(11, bucket="b")]
    (found,) = fields_of({"bucket": "b"}, {"bucket": "b"}, calls=calls).values()
    assert (found["class"], found["present"], found["right"]) == ("equal", 2, 2)


def test_a_field_that_differs_from_the_call_is_counted_and_told_with_its_call() -> None:
    bench = Bench()
    for number, value in ((10, "b"), (11, "other"), (12, None)):
        call = subject(number, bucket="b")
        bench.add(call, a_record(call, fields={"bucket": value}))
    cell = bench.cell()
    assert (cell.fields["bucket"]["right"], cell.fields["bucket"]["present"]) == (1, 2)
    assert list(cell.wrong) == [
        {"field": "bucket", "expected": "b", "seen": "other", "call": 11},
        {"field": "bucket", "expected": "b", "seen": None, "call": 12},
    ]
    assert cell.verdict is Verdict.LOGGED


def test_records_of_something_inside_a_call_are_counted_but_not_held_against_it() -> None:
    call = subject(bucket="b")
    own = a_record(call, fields={"operation": "REST.COPY.OBJECT", "bucket": "b"})
    read = a_record(call, identity="read", fields={"operation": "REST.COPY.OBJECT_GET", "bucket": "source"})
    cell = Bench().add(call, own, read).cell()
    assert cell.records == 2
    assert list(cell.wrong) == []
    assert cell.fields["bucket"]["present"] == 1


def test_fields_that_differ_between_runs_keep_no_values() -> None:
    (found,) = fields_of({"total_time": 31}).values()
    assert (found["class"], found["present"]) == ("volatile", 1)
    assert 31 not in [v for values in found.values() if isinstance(values, list) for v in values]


def test_fields_of_a_constant_format_keep_a_few_distinct_values() -> None:
    (found,) = fields_of(*({"cipher_suite": f"c{n % 9}"} for n in range(20))).values()
    assert found["values"] == ["c0", "c1", "c2", "c3", "c4"]
    assert found["present"] == 20


def test_a_field_that_is_null_is_there_but_not_present() -> None:
    found = fields_of({"access_point_arn": None}, {})["access_point_arn"]
    assert found["present"] == 0


@pytest.mark.parametrize(
    ("arrived", "missing"),
    [
        ([True, True], None),
        ([False, True], "no control call from before it has arrived"),
        ([True, False], "no control call from after it has arrived"),
        ([False, False], "no control call from before it has arrived"),
    ],
)
def test_absence_needs_a_control_on_either_side(arrived: list[bool], missing: str | None) -> None:
    controls = list(zip((control(BEFORE), control(AFTER)), arrived, strict=True))
    now = T0 + timedelta(days=1)
    assert absence_is_established(subject(), controls, now, WAIT_SECONDS, {}) == missing


EARLIER, LATER = 5, 20


@pytest.mark.parametrize(
    ("logged", "further", "pending"),
    [
        ([], {"further"}, True),
        ([EARLIER], {"further"}, False),
        ([LATER], {"further"}, True),
        ([EARLIER, LATER], {"further"}, False),
        ([], {"another"}, False),
        ([EARLIER], {"another"}, False),
    ],
)
def test_absence_in_a_bucket_that_was_switched_on_needs_an_earlier_record_of_it(
    logged: list[int], further: set[str], pending: bool
) -> None:
    bench = Bench(by_bucket={SERVER_ACCESS: further}).add(subject(bucket="further"))
    for number in (EARLIER, LATER):
        setup = a_call(number, role=Role.SETUP, bucket="further")
        bench.add(setup, *([a_record(setup)] if number in logged else []))
    cell = bench.cell()
    if pending:
        assert cell.verdict is Verdict.PENDING
        assert "no record of an earlier call to its bucket shows that the bucket was logged" in cell.reason
    else:
        assert cell.verdict is Verdict.NOT_OBSERVED


@given(
    arrived=st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=8, unique_by=lambda each: each[0]),
    waited_seconds=st.integers(0, 7200),
)
@settings(max_examples=60)
def test_absence_is_never_established_by_less_than_the_rule_asks(
    arrived: list[tuple[int, bool]], waited_seconds: int
) -> None:
    call = subject(50)
    assert call.received_at is not None
    controls = [(control(minute), came) for minute, came in arrived]
    missing = absence_is_established(call, controls, call.received_at + seconds(waited_seconds), WAIT_SECONDS, {})
    before = max((each for each in arrived if each[0] <= 50), default=(0, False))[1]
    after = min((each for each in arrived if each[0] > 50), key=lambda each: each[0], default=(0, False))[1]
    assert (missing is None) is (before and after and waited_seconds >= WAIT_SECONDS)


def test_the_marker_alone_is_enough_to_count_a_call_without_an_answer_as_logged() -> None:
    lost = subject(10, received_at=None, status=None, request_id=None, host_id=None, failure="ReadTimeoutError")
    joiner = Joiner([lost])
    joiner.add(a_record(user_agent=f"Boto3/1 s3lm/{RUN_ID}/10"), a_delivery(arrived_at=lost.sent_at + seconds(5)))
    (cell,) = build({PUT: (1, "")}, {}, joiner, [lost], {SERVER_ACCESS: 1.0}, {}, {})
    assert (cell.verdict, cell.joins, cell.statuses) == (Verdict.LOGGED, {"marker": 1}, {"None": 1})
    assert cell.delay is not None
    assert cell.delay.max_seconds == 5
