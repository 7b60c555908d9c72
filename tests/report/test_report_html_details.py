"""What a cell shows when it is opened: bounded evidence, the telling records first."""

from __future__ import annotations

import json
from typing import Any

from offline import a_call, a_cell, a_delivery, a_record, seconds

from harness.analyse.join import Joiner
from harness.analyse.verify import Seen
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, Cell, Record
from harness.report.html_details import MAX_CALLS, MAX_RAW, MAX_RECORDS, MAX_WRONG, details


def shown(cell: Cell, *found: tuple[Call, Record], calls: list[Call] | None = None) -> dict[str, Any]:
    calls = calls or [call for call, _ in found]
    joiner = Joiner(calls)
    paired = []
    for call, record in found:
        delivery = a_delivery(f"s3://logs/{call.number}", call.completed_at + seconds(60), channel=record.channel)
        paired.append((record, delivery, joiner.add(record, delivery)))
    (entry,) = details([cell], Seen.of([cell], calls, paired), {})
    return json.loads(json.dumps(entry))  # type: ignore[no-any-return]


def seen(number: int, **changes: Any) -> tuple[Call, Record]:
    call = a_call(number, **changes.pop("call", {}))
    return call, a_record(call, **changes)


def test_one_record_stands_for_each_name_and_status() -> None:
    found = [seen(n, name=f"NAME.{n % 2}", call={"status": 200}) for n in range(1, 30)]
    entry = shown(a_cell(), *found)
    assert [record["name"] for record in entry["records"]] == ["NAME.1", "NAME.0"]
    assert [call["number"] for call in entry["calls"]] == [1, 2]
    assert entry["cut"].startswith("Shown: 2 of 29 records, 2 of 29 calls; records.parquet")


def test_a_record_with_a_wrong_value_comes_first() -> None:
    wrong = [{"field": "bucket", "expected": "a", "seen": "b", "call": 7}]
    entry = shown(a_cell(wrong=wrong), *(seen(n) for n in range(1, 10)))
    assert [record["call"] for record in entry["records"]] == [7]
    assert entry["wrong"] == [["bucket", "a", "b", 7]]


def test_however_many_names_there_are_few_records_are_kept() -> None:
    many = [{"field": str(n), "expected": "a", "seen": "b", "call": n} for n in range(50)]
    entry = shown(a_cell(wrong=many), *(seen(n, name=f"NAME.{n}") for n in range(1, 50)))
    assert len(entry["records"]) == MAX_RECORDS
    assert len(entry["wrong"]) == MAX_WRONG
    assert f"{MAX_WRONG} of 50 wrong values" in entry["cut"]


def test_calls_without_a_record_are_shown() -> None:
    entry = shown(a_cell(), calls=[a_call(n) for n in range(1, 9)])
    assert [call["number"] for call in entry["calls"]] == list(range(1, MAX_CALLS + 1))
    assert entry["records"] == []


def test_nothing_is_said_to_be_cut_where_all_is_there() -> None:
    assert shown(a_cell(), seen(1))["cut"] == ""


def test_json_is_laid_out_and_a_line_is_kept_with_its_fields() -> None:
    raw = '{"eventName":"PutObject","n":1}'
    entry = shown(a_cell(channel=CLOUDTRAIL), seen(1, channel=CLOUDTRAIL, raw=raw, fields={"eventName": "PutObject"}))
    assert entry["records"][0]["raw"] == '{\n  "eventName": "PutObject",\n  "n": 1\n}'
    assert entry["records"][0]["fields"] == {}
    line = shown(a_cell(), seen(1, raw="79a5 bucket", fields={"bucket": "bucket", "key": None}))["records"][0]
    assert (line["raw"], line["fields"]) == ("79a5 bucket", {"bucket": "bucket"})


def test_what_only_looks_like_json_is_kept_as_it_is() -> None:
    for raw in ("{broken", '{"a":' * 5000, "[]"):
        assert shown(a_cell(), seen(1, raw=raw))["records"][0]["raw"].startswith(raw[:100])


def test_a_long_record_is_cut_and_says_how_much() -> None:
    raw = shown(a_cell(), seen(1, raw="x" * (MAX_RAW + 5)))["records"][0]["raw"]
    assert raw.endswith("[5 characters cut]")
    assert len(raw) < MAX_RAW + 50


def test_a_line_break_in_a_value_is_no_line_of_the_record() -> None:
    line = shown(a_cell(), seen(1, raw='79a5 "a\nFAKE line"'))["records"][0]["raw"]
    assert line == '79a5 "a\\x0aFAKE line"'
    laid = shown(a_cell(channel=CLOUDTRAIL), seen(1, channel=CLOUDTRAIL, raw='{"a":"x\\n\\u202ey\\u0085"}'))
    assert laid["records"][0]["raw"] == '{\n  "a": "x\\n\\u202ey\\x85"\n}'


def test_the_delay_is_that_of_the_first_delivery() -> None:
    call, record = seen(1)
    joiner = Joiner([call])
    paired = []
    for after in (500, 60):
        delivery = a_delivery(f"s3://logs/{after}", call.completed_at + seconds(after))
        paired.append((record, delivery, joiner.add(record, delivery)))
    (entry,) = details([a_cell()], Seen.of([a_cell()], [call], paired), {})
    (told,) = entry["records"]
    assert (told["delay"], told["file"], told["copies"]) == (60.0, "s3://logs/60", 2)


def test_times_and_parameters_of_a_call_are_told() -> None:
    (call,) = shown(a_cell(), seen(1, call={"sent": {"ACL": "private"}}), calls=None)["calls"]
    assert call["parameters"] == {"ACL": "private"}
    assert call["sent at"] == "2026-01-01T00:01:00+00:00"
    assert "error code" not in call
    assert SERVER_ACCESS not in call
