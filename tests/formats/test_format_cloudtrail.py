"""What a user of the CloudTrail parser is promised, also for files that are cut, damaged or hostile."""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.formats import cloudtrail
from harness.formats.cloudtrail import parse
from harness.model import Parsed, Record


def event(**changes: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "sessionContext": {"attributes": {"mfaAuthenticated": "false"}}},
        "eventTime": "2026-03-07T18:05:00Z",
        "eventName": "PutObject",
        "userAgent": "[curl/8.9 [x]]",
        "requestParameters": {
            "bucketName": "photo-store",
            "key": "2026/cat 猫.jpg",
            "host": ["a", {"b": 1}],
            "acl": {},
        },
        "responseElements": None,
        "additionalEventData": {"x-amz-id-2": "aGVsbG8=", "httpStatusCode": 200, "bytesTransferredIn": 90210},
        "requestID": "9ZQ1T5K8M2XW7C4B",
        "eventID": "5d1f8f5e-0000-4000-8000-000000000001",
        "resources": [],
        "readOnly": False,
    } | changes


def file_of(*events: object) -> bytes:
    return json.dumps({"Records": events}, ensure_ascii=False).encode()


def one(**changes: Any) -> Record:
    parsed = parse(file_of(event(**changes)))
    assert parsed.rejects == ()
    (entry,) = parsed.records
    return entry


def names(parsed: Parsed) -> list[str]:
    return [entry.name for entry in parsed.records]


def test_a_record_gives_every_field():
    entry = one()
    assert entry.channel == "cloudtrail"
    assert entry.name == "PutObject"
    assert entry.event_time == datetime(2026, 3, 7, 18, 5, tzinfo=UTC)
    assert (entry.request_id, entry.host_id) == ("9ZQ1T5K8M2XW7C4B", "aGVsbG8=")
    assert entry.identity == "5d1f8f5e-0000-4000-8000-000000000001"
    assert (entry.bucket, entry.key, entry.status, entry.error_code) == ("photo-store", "2026/cat 猫.jpg", 200, None)
    assert entry.user_agent == "curl/8.9 [x]"
    assert entry.fields["userAgent"] == "[curl/8.9 [x]]"
    assert entry.offset == 0
    assert json.loads(entry.raw) == event()


def test_nested_members_are_flattened_to_dotted_paths():
    fields = one().fields
    assert fields["userIdentity.sessionContext.attributes.mfaAuthenticated"] == "false"
    assert fields["requestParameters.host[0]"] == "a"
    assert fields["requestParameters.host[1].b"] == 1
    assert (fields["requestParameters.acl"], fields["resources"]) == ("{}", "[]")
    assert fields["responseElements"] is None
    assert fields["readOnly"] is False


def test_raw_is_the_exact_text_that_was_delivered():
    first, second = '{ "eventName" :"A",\t"n":1.0 }', '{"eventName":"B\\u0041","ünï":"\\ud800"}'
    parsed = parse(f'{{"Records" : [{first} ,\n{second}] }}'.encode())
    assert [entry.raw for entry in parsed.records] == [first, second]
    assert names(parsed) == ["A", "BA"]
    assert [entry.offset for entry in parsed.records] == [0, 1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "text",
    [
        file_of(event(), event()),
        json.dumps([event(), event()], indent=2).encode(),
        b"\n".join([json.dumps(event()).encode()] * 2),
        b"\r\n".join([json.dumps(event()).encode()] * 2) + b"\r\n",
        b"\n".join([file_of(event())] * 2),
        json.dumps({"note": 1, "Records": [event(), event()], "more": {"a": []}}).encode(),
        b"\xef\xbb\xbf" + file_of(event(), event()),
    ],
)
def test_records_lists_and_json_lines_are_read_packed_or_not(text, pack):
    parsed = parse(pack(text))
    assert names(parsed) == ["PutObject", "PutObject"]
    assert parsed.rejects == ()


def test_compression_can_be_told_instead_of_sniffed():
    packed = gzip.compress(file_of(event()))
    assert len(parse(packed, compressed=True).records) == 1
    assert len(parse(file_of(event()), compressed=False).records) == 1
    assert parse(packed, compressed=False).records == ()
    (reject,) = parse(file_of(event()), compressed=True).rejects
    assert reject.reason.startswith("not gzip")
    assert reject.offset is None


def test_an_empty_list_of_records_is_no_fault_but_an_empty_file_is():
    assert parse(b'{"Records":[]}') == Parsed()
    for data in (b"", b"  \n", gzip.compress(b"")):
        (reject,) = parse(data).rejects
        assert "empty" in reject.reason


def test_several_gzip_members_and_zero_padding_are_one_file():
    data = file_of(event(), event())
    parsed = parse(gzip.compress(data[:50]) + gzip.compress(data[50:]) + b"\0" * 9)
    assert len(parsed.records) == 2
    assert parsed.rejects == ()


def test_bytes_after_the_gzip_data_are_reported():
    parsed = parse(gzip.compress(file_of(event())) + b"surplus")
    assert len(parsed.records) == 1
    assert "7 bytes after the end" in parsed.rejects[0].reason


def incompressible(count: int) -> bytes:
    return file_of(*(event(eventID=sha256(bytes([i])).hexdigest(), eventName=f"Event{i}") for i in range(count)))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_gzip_gives_the_whole_records_before_the_cut_and_one_reject(share):
    packed = gzip.compress(incompressible(60))
    parsed = parse(packed[: int(len(packed) * share)])
    assert names(parsed) == [f"Event{i}" for i in range(len(parsed.records))]
    assert len(parsed.records) >= int(60 * share) - 8
    (reject,) = parsed.rejects
    assert "truncated" in reject.reason
    assert f"{len(parsed.records)} records recovered" in reject.reason
    assert reject.offset in (None, len(parsed.records))


def test_a_gzip_that_lacks_only_its_trailer_loses_no_record():
    parsed = parse(gzip.compress(incompressible(5))[:-8])
    assert len(parsed.records) == 5
    assert "truncated gzip: 5 records recovered" in parsed.rejects[0].reason


def test_a_damaged_gzip_gives_what_stands_before_the_damage():
    packed = bytearray(gzip.compress(incompressible(60)))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    parsed = parse(bytes(packed))
    assert len(parsed.records) > 5
    assert "damaged gzip" in parsed.rejects[-1].reason


@pytest.mark.parametrize("cut", range(12, len(file_of(event(), event())), 37))
def test_a_truncated_plain_file_gives_the_whole_records_before_the_cut_and_one_reject(cut):
    whole = file_of(event(), event())
    parsed = parse(whole[:cut])
    (reject,) = parsed.rejects
    assert reject.reason == f"truncated: {len(parsed.records)} records recovered"
    assert len(parsed.records) == (cut > len(whole) // 2)


def test_a_truncated_json_line_is_reported_as_such():
    lines = b"\n".join([json.dumps(event()).encode()] * 3)
    parsed = parse(lines[:-20])
    assert len(parsed.records) == 2
    assert parsed.rejects[0].reason == "truncated: 2 records recovered"


@pytest.mark.parametrize("bad", [b"oops", b'{"eventName":}', b'{"a":"\\x"}', b"{'a':1}"])
def test_a_bad_entry_does_not_hide_its_neighbours(bad):
    good = json.dumps(event()).encode()
    for data in (b'{"Records":[' + b",".join([good, bad, good]) + b"]}", b"\n".join([good, bad, good])):
        parsed = parse(data)
        assert [entry.offset for entry in parsed.records] == [0, len(parsed.rejects) + 1]
        assert parsed.rejects[0].raw.strip().encode() == bad
        assert parsed.rejects[0].offset == 1


def test_a_bracket_too_many_loses_no_text():
    good, late = json.dumps(event()), json.dumps(event(eventName="Late"))
    parsed = parse(f'{{"Records":[{good},[1,{{]}}],{late}]}}'.encode())
    assert names(parsed) == ["PutObject"]
    assert any(late in reject.raw and "after the list" in reject.reason for reject in parsed.rejects)


@pytest.mark.parametrize("data", [b"no json at all", b"{bad}", b"\xff\xfe\x00", b"]", b"}", b'"', b"\x1f", b"{}{}}"])
def test_bad_json_is_a_reject(data):
    parsed = parse(data)
    assert parsed.records == ()
    assert parsed.rejects


@pytest.mark.parametrize("entry", [7, "text", None, True, ["a list"], 1.5])
def test_an_entry_that_is_no_object_is_rejected_alone(entry):
    parsed = parse(file_of(event(), entry, event()))
    assert [item.offset for item in parsed.records] == [0, 2]
    (reject,) = parsed.rejects
    assert reject.offset == 1
    assert "not an object" in reject.reason


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"digestStartTime": "2026-03-07T18:00:00Z", "logFiles": [{"s3Object": "x"}]}, "digest"),
        ({"eventType": "AwsCloudTrailInsight", "insightDetails": {"eventName": "PutObject"}}, "Insights"),
        ({"something": "else"}, "no Records"),
        ({"Records": {"eventName": "PutObject"}}, "Records is no list"),
        ({}, "no Records"),
    ],
)
def test_files_of_another_kind_are_rejected_with_their_kind(document, says):
    parsed = parse(json.dumps(document).encode())
    assert parsed.records == ()
    (reject,) = parsed.rejects
    assert says in reject.reason


@pytest.mark.parametrize("name", [None, "", 5, [], {"a": 1}])
def test_a_record_without_an_event_name_is_rejected(name):
    (reject,) = parse(file_of(event(eventName=name))).rejects
    assert "eventName" in reject.reason


def test_a_zip_bomb_is_rejected_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(cloudtrail, "MAX_DECOMPRESSED_BYTES", 2**20)
    parsed = parse(gzip.compress(b'{"Records":[' + b" " * 2**23 + b"]}"))
    assert parsed.records == ()
    (reject,) = parsed.rejects
    assert "more than 1048576 bytes" in reject.reason
    assert len(reject.raw.encode()) <= 8192


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("depth", [100, 3_000, 100_000])
def test_deep_nesting_is_a_reject_and_its_neighbours_are_kept(opening, depth):
    closing = "".join({"[": "]", "{": "}"}[sign] for sign in reversed(opening) if sign in "[{")
    good = json.dumps(event())
    deep = f'{{"eventName":"Deep","requestParameters":{opening * depth}1{closing * depth}}}'
    parsed = parse(f'{{"Records":[{good},{deep},{good}]}}'.encode())
    assert names(parsed) == ["PutObject", "PutObject"]
    (reject,) = parsed.rejects
    assert "nested" in reject.reason
    assert parse((opening * depth).encode()).records == ()


def test_a_record_that_would_swell_when_flattened_is_rejected():
    (reject,) = parse(file_of(event(requestParameters={"x" * 10_000: [0] * 10_000}))).rejects
    assert "too large" in reject.reason


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-07T18:05:00Z", "2026-03-07T18:05:00+00:00"),
        ("2026-03-07T18:05:00+05:30", "2026-03-07T12:35:00+00:00"),
        ("2026-03-07 18:05:00.250000000", "2026-03-07T18:05:00.250000+00:00"),
    ],
)
def test_event_times_become_utc(text, utc):
    entry = one(eventTime=text)
    assert entry.event_time is not None
    assert entry.event_time.isoformat() == utc


@pytest.mark.parametrize(
    "text", [None, "", "...", "2026-03-07", "2026-13-07T18:05:00Z", 5, {}, "0001-01-01T00:00:00+01:00"]
)
def test_a_missing_or_impossible_event_time_is_none(text):
    assert one(eventTime=text).event_time is None


@pytest.mark.parametrize("name", ["x-amz-id-2", "xAmzId2", "x_amz_id_2"])
@pytest.mark.parametrize("place", ["additionalEventData", "responseElements"])
def test_the_host_id_is_found_under_its_three_spellings(place, name):
    assert one(**({"additionalEventData": {}} | {place: {name: "abc="}})).host_id == "abc="


def test_the_bucket_comes_from_a_resource_where_the_request_does_not_name_it():
    arns = [{"ARN": "arn:aws:iam::1:user/x"}, 5, {"ARN": 5}, {"ARN": "arn:aws-us-gov:s3:::photo-store/a/key"}]
    assert one(requestParameters=None, resources=arns).bucket == "photo-store"
    assert one(requestParameters={"bucketName": ""}, resources=[{"arn": "arn:aws:s3:::b"}]).bucket == "b"
    assert one(requestParameters=None).bucket is None


@pytest.mark.parametrize(
    ("logged", "agent"), [("[x]", "x"), ("[]", ""), ("x", "x"), ("[x", "[x"), ("[", "["), (7, None)]
)
def test_the_brackets_around_the_user_agent_are_stripped(logged, agent):
    assert one(userAgent=logged).user_agent == agent


def test_a_record_without_an_event_id_is_known_by_its_text():
    entry = one(eventID=None)
    assert entry.identity == sha256(entry.raw.encode()).hexdigest()[:32]
    assert one(eventID=None).identity == entry.identity


@pytest.mark.parametrize("status", ["200", True, None, 2.5, []])
def test_only_an_integer_is_a_status(status):
    assert one(additionalEventData={"httpStatusCode": status}).status is None


def test_error_codes_and_outposts_keys_are_read():
    assert one(errorCode="AccessDenied").error_code == "AccessDenied"
    assert one(requestParameters={"Key": "k"}).key == "k"


def test_numbers_too_long_for_a_database_are_kept_as_text():
    text = '{"eventName":"A","i":%s,"f":1e999,"n":NaN,"m":-Infinity}' % ("9" * 5000)
    (entry,) = parse(text.encode()).records
    assert entry.fields["i"] == "9" * 5000
    assert [entry.fields[name] for name in "fnm"] == ["1e999", "NaN", "-Infinity"]


def test_lone_surrogates_never_reach_the_output():
    text = r'{"eventName":"\ud800","eventID":"\udfff","\udc00":["\udbff"],"requestParameters":{"key":"\ud83d"}}'
    (entry,) = parse(text.encode()).records
    for value in (entry.name, entry.identity, entry.key, entry.raw, *entry.fields, *entry.fields.values()):
        assert isinstance(value, str)
        value.encode()


def test_thousands_of_damaged_entries_end_the_reading_soon():
    begun = time.process_time()
    parsed = parse(b"[" + b"{x}," * 200_000)
    assert len(parsed.rejects) == 1001
    assert "the rest is not read" in parsed.rejects[-1].reason
    parse(b"{\n" * 200_000)
    assert time.process_time() - begun < 2


_MEMBERS = (
    *event(),
    "bucketName",
    "key",
    "x-amz-id-2",
    "httpStatusCode",
    "ARN",
    "Records",
    "logFiles",
    "insightDetails",
)
_NAME = st.sampled_from(_MEMBERS) | st.text(max_size=3)
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
_JSON = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAME, inner, max_size=5),
    max_leaves=15,
)
_HOSTILE = st.dictionaries(st.sampled_from(_MEMBERS), _JSON, max_size=9).map(
    lambda members: {"eventName": "X"} | members
)


def check(data: bytes) -> Parsed:
    parsed = parse(data)
    for entry in parsed.records:
        json.dumps(dict(entry.fields), ensure_ascii=False, allow_nan=False).encode()
        row = [entry.raw, entry.name, entry.key, entry.bucket, entry.identity, entry.status, *entry.fields.values()]
        sqlite3.connect(":memory:").execute(f"SELECT {','.join('?' * len(row))}", row)
    assert all(reject.reason and len(reject.raw.encode()) <= 8192 for reject in parsed.rejects)
    return parsed


@given(st.lists(_HOSTILE | _JSON, max_size=4))
def test_any_json_gives_one_entry_for_each_record(entries):
    parsed = check(json.dumps({"Records": entries}).encode())
    assert sorted(entry.offset or 0 for entry in (*parsed.records, *parsed.rejects)) == list(range(len(entries)))


@given(_JSON)
def test_any_document_never_raises(document):
    check(json.dumps(document).encode())


@settings(max_examples=200)
@given(
    st.binary(max_size=80), st.booleans() | st.none(), st.sampled_from([b"", b"\x1f\x8b", b'{"Records":[', b"[", b"{"])
)
def test_any_bytes_never_raise(data, compressed, start):
    parse(start + data, compressed=compressed)


@given(
    st.lists(
        st.sampled_from(['{"eventName":"A"}', "[", "]", "{", "}", ",", ":", '"', '"Records"', "\n", "1", "\\", " "])
    )
)
def test_any_mix_of_json_pieces_ends_and_never_raises(pieces):
    check("".join(pieces).encode())
