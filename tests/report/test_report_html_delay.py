"""What is drawn of delays: no more points than a screen shows, and nothing that was measured lost from the sums."""

from __future__ import annotations

from pathlib import Path

import pytest
from offline import a_call, a_cell, a_delivery, a_record, a_result, seconds
from report_kit import large_result

from harness.analyse.join import Joiner
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Role
from harness.report.delay import delay_rows
from harness.report.html_delay import BINS, curves, table, timeline


def test_there_is_a_curve_for_each_channel_and_class(tmp_path: Path) -> None:
    result = large_result(tmp_path, rows=8, repeats=3)
    rows = delay_rows(result)
    found = curves(rows)
    assert [(each["channel"], each["class"]) for each in found[:2]] == [
        (SERVER_ACCESS, "all"),
        (SERVER_ACCESS, "management"),
    ]
    assert len({each["channel"] for each in found}) == 7
    for each in found:
        for _, share, low, high in each["points"]:
            assert 0 <= low <= share <= high <= 1
    assert {each["calls"] for each in found if each["class"] == "all"} == {24}
    assert all("p99 (" in line[-1] for line in table(rows)), "24 calls are too few for a number"
    assert [line[:3] for line in table(rows)] == [[each["channel"], "us-east-1", each["class"]] for each in found]


def test_the_timeline_counts_every_call_and_record_of_the_run_once(tmp_path: Path) -> None:
    result = large_result(tmp_path, rows=8, repeats=3)
    told = timeline(result)
    assert sum(told["calls"]) == len(result.calls)
    for channel, counts in told["channels"].items():
        assert sum(counts["records"]) == sum(record.channel == channel for record, _, _ in result.paired)
        names = {delivery.name for record, delivery, _ in result.paired if record.channel == channel}
        assert sum(counts["files"]) == len(names)
        assert len(counts["records"]) == len(told["starts"]) <= BINS + 1


def test_the_harness_own_calls_and_strangers_are_not_in_the_timeline(tmp_path: Path) -> None:
    calls = [a_call(1), a_call(2, role=Role.POLL)]
    joiner = Joiner(calls)
    records = [a_record(calls[0]), a_record(calls[1], identity="poll"), a_record(None)]
    delivery = a_delivery(arrived_at=calls[1].completed_at)
    paired = [(record, delivery, joiner.add(record, delivery)) for record in records]
    told = timeline(a_result(tmp_path, [a_cell()], calls=calls, paired=paired))
    assert sum(told["calls"]) == 1
    assert sum(told["channels"][SERVER_ACCESS]["records"]) == 1


@pytest.mark.parametrize("days", [0.0001, 0.1, 3, 400, 4000])
def test_a_run_of_any_length_has_few_bars(days: float, tmp_path: Path) -> None:
    calls = [a_call(1), a_call(2, sent_at=a_call(1).sent_at + seconds(days * 86_400))]
    told = timeline(a_result(tmp_path, [a_cell()], calls=calls))
    assert sum(told["calls"]) == 2
    assert len(told["starts"]) <= BINS + 1


def test_a_run_without_calls_has_an_empty_timeline(tmp_path: Path) -> None:
    assert timeline(a_result(tmp_path, [a_cell(channel=CLOUDTRAIL)]))["starts"] == []
