"""Server access records in JSON: 29 fields, nulls, and whatever a hostile client may have written into them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.formats.server_access_json import FIELDS, parse

RECORD: dict[str, Any] = dict.fromkeys(FIELDS) | {
    "schema_version_id": "V_1_0",
    "bucket_name": "photos",
    "request_time": "2026-07-01T10:11:12.345Z",
    "request_id": "ABCDEF0123456789",
    "host_id": "host",
    "operation": "REST.GET.OBJECT",
    "key_name": "a b/ü",
    "http_status": 404,
    "error_code": "NoSuchKey",
    "user_agent": 'said "hello"',
    "acl_required": False,
}


def text(**changes: Any) -> bytes:
    return json.dumps(RECORD | changes).encode()


def test_there_are_29_fields_each_once() -> None:
    assert len(FIELDS) == len(set(FIELDS)) == 29


def test_a_record_has_its_ids_place_time_and_outcome() -> None:
    ((record,), rejects) = (parse(text()).records, parse(text()).rejects)
    assert rejects == ()
    assert (record.channel, record.name) == ("server-access-cloudwatch", "REST.GET.OBJECT")
    assert (record.request_id, record.host_id) == ("ABCDEF0123456789", "host")
    assert (record.bucket, record.key, record.status, record.error_code) == ("photos", "a b/ü", 404, "NoSuchKey")
    assert record.event_time == datetime(2026, 7, 1, 10, 11, 12, 345000, UTC)
    assert set(record.fields) == set(FIELDS)
    assert record.fields["referer"] is None
    assert record.fields["acl_required"] is False


def test_a_field_that_is_newer_than_this_parser_is_kept() -> None:
    (record,) = parse(text(checksum="crc32")).records
    assert record.fields["checksum"] == "crc32"


def test_the_same_text_twice_is_the_same_record() -> None:
    first, again, other = (parse(each).records[0].identity for each in (text(), text(), text(http_status=200)))
    assert first == again != other


def test_what_is_no_record_is_kept_with_its_reason() -> None:
    for data, reason in (
        (b"{", "no JSON"),
        (b"[]", "not an object"),
        (text(operation=None), "no operation"),
        (text(request_time="yesterday"), "not a time"),
    ):
        (reject,) = parse(data).rejects
        assert reason in reject.reason
        assert reject.raw == data.decode()


def test_a_bad_line_does_not_hide_its_neighbours() -> None:
    parsed = parse(text() + b"\n{bad\n\n" + text())
    assert [record.offset for record in parsed.records] == [0, 3]
    assert [reject.offset for reject in parsed.rejects] == [1]


@given(st.binary(max_size=200))
def test_any_bytes_become_records_or_rejects(data: bytes) -> None:
    parsed = parse(data)
    lines = [line for line in data.decode("utf-8", "backslashreplace").split("\n") if line.strip()]
    assert len(parsed.records) + len(parsed.rejects) == len(lines)


@given(st.dictionaries(st.sampled_from(FIELDS), st.none() | st.text() | st.integers() | st.floats() | st.booleans()))
def test_any_values_can_be_kept(changes: dict[str, Any]) -> None:
    parsed = parse(text(**changes))
    for record in parsed.records:
        json.dumps(dict(record.fields), allow_nan=False).encode()
    assert len(parsed.records) + len(parsed.rejects) == 1


def test_an_absurd_number_or_depth_is_no_traceback() -> None:
    for data in (b'{"operation":"X","http_status":' + b"9" * 5000 + b"}", b"[" * 100_000):
        assert len(parse(data).rejects) == 1
