"""What a user of the server access log parser is promised, line by line."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.formats import server_access
from harness.formats.server_access import FIELDS, decode_key, parse, parse_line
from harness.model import Record, Reject

VALUES = {
    "bucket_owner": "0f" * 32,
    "bucket": "photo-store",
    "time": "[07/Mar/2026:18:04:59 +0000]",
    "remote_ip": "203.0.113.9",
    "requester": "arn:aws:iam::111122223333:user/ada",
    "request_id": "9ZQ1T5K8M2XW7C4B",
    "operation": "REST.GET.OBJECT",
    "key": "2026/cat.jpg",
    "request_uri": '"GET /photo-store/2026/cat.jpg?x-id=GetObject HTTP/1.1"',
    "http_status": "206",
    "error_code": "-",
    "bytes_sent": "512",
    "object_size": "90210",
    "total_time": "31",
    "turn_around_time": "-",
    "referer": '"https://gallery.example/"',
    "user_agent": '"curl/8.9 (x; y)"',
    "version_id": "-",
    "host_id": "aGVsbG8vd29ybGQ+",
    "signature_version": "SigV4",
    "cipher_suite": "TLS_AES_128_GCM_SHA256",
    "authentication_type": "AuthHeader",
    "host_header": "photo-store.s3.eu-west-1.amazonaws.com",
    "tls_version": "TLSv1.3",
    "access_point_arn": "-",
    "acl_required": "Yes",
    "source_region": "eu-west-1",
}


def write(count: int = 27, blank: str = " ", extra: tuple[str, ...] = (), **changes: str) -> str:
    values = list((VALUES | changes).values())[:count]
    return blank.join([*values, *extra])


def record(line: str) -> Record:
    entry = parse_line(line, 0)
    assert isinstance(entry, Record), entry
    return entry


def reason(line: str) -> str:
    entry = parse_line(line, 0)
    assert isinstance(entry, Reject), entry
    assert entry.raw == line
    return entry.reason


def test_fields_are_the_27_of_the_documentation_in_order():
    assert list(FIELDS) == list(VALUES)


def test_a_full_line_gives_every_field():
    line = write()
    entry = record(line)
    assert entry.channel == "server-access"
    assert entry.name == "REST.GET.OBJECT"
    assert entry.event_time == datetime(2026, 3, 7, 18, 4, 59, tzinfo=UTC)
    assert entry.request_id == "9ZQ1T5K8M2XW7C4B"
    assert entry.host_id == "aGVsbG8vd29ybGQ+"
    assert entry.identity == sha256(line.encode()).hexdigest()[:32]
    assert entry.raw == line
    assert (entry.bucket, entry.key, entry.user_agent) == ("photo-store", "2026/cat.jpg", "curl/8.9 (x; y)")
    assert (entry.status, entry.error_code) == (206, None)
    assert entry.fields["field_count"] == 27
    assert entry.fields["time"] == "07/Mar/2026:18:04:59 +0000"
    assert entry.fields["request_uri"] == "GET /photo-store/2026/cat.jpg?x-id=GetObject HTTP/1.1"
    assert entry.fields["referer"] == "https://gallery.example/"
    assert entry.fields["source_region"] == "eu-west-1"
    assert [entry.fields[name] for name in FIELDS[9:15]] == [206, None, 512, 90210, 31, None]


def test_request_cost_time_and_size_are_numbers_and_a_dash_is_none():
    entry = record(write(http_status="-", bytes_sent="-", object_size="0", turn_around_time="7"))
    assert entry.status is None
    assert [entry.fields[name] for name in ("http_status", "bytes_sent", "object_size", "turn_around_time")] == [
        None,
        None,
        0,
        7,
    ]


@pytest.mark.parametrize("count", range(17, 28))
def test_older_lines_have_fewer_fields_and_those_they_lack_are_absent(count):
    entry = record(write(count))
    assert entry.fields["field_count"] == count
    assert set(entry.fields) == {*FIELDS[:count], "field_count"}
    assert entry.host_id == (VALUES["host_id"] if count > 18 else None)


def test_newer_fields_are_kept_under_numbered_names():
    entry = record(write(extra=("blue", "-")))
    assert entry.fields["field_count"] == 29
    assert entry.fields["extra_28"] == "blue"
    assert entry.fields["extra_29"] is None


@pytest.mark.parametrize("dash", ["-", '"-"'])
def test_quoted_and_bare_dashes_mean_the_same(dash):
    entry = record(write(request_uri=dash, referer=dash, user_agent=dash))
    assert [entry.fields[name] for name in ("request_uri", "referer", "user_agent")] == [None, None, None]
    assert entry.user_agent is None
    assert entry.fields["field_count"] == 27


def test_batch_delete_member_without_any_quote():
    dashes = dict.fromkeys(("request_uri", "bytes_sent", "total_time", "referer", "user_agent"), "-")
    entry = record(write(24, operation="BATCH.DELETE.OBJECT", http_status="204", **dashes))
    assert (entry.name, entry.status, entry.host_id) == ("BATCH.DELETE.OBJECT", 204, VALUES["host_id"])


@pytest.mark.parametrize(
    ("referer", "agent"), [('"https://a/"', "-"), ("-", '"a "b" c"'), ('"a "b""', "-"), ('""', "-")]
)
def test_one_of_referer_and_user_agent_may_be_bare(referer, agent):
    entry = record(write(referer=referer, user_agent=agent))
    assert entry.fields["referer"] == (None if referer == "-" else referer[1:-1])
    assert entry.user_agent == (None if agent == "-" else agent[1:-1])
    assert entry.host_id == VALUES["host_id"]


def test_empty_user_agent_is_not_a_missing_one():
    assert record(write(user_agent='""')).user_agent == ""
    assert record(write(17, referer='""', user_agent='""')).fields["referer"] == ""


@pytest.mark.parametrize(
    "agent",
    [
        'say "hi" twice',
        '"odd',
        'odd"',
        'odd " quote',
        'back\\slash\\" quote',
        'two" "parts',
        "größe 日本 🐈",
        'x" - HOSTID= SigV4 TLS_AES_128_GCM_SHA256 AuthHeader other.example TLSv1.3 - - us-east-1',
        'x" 404 NoSuchKey 1 1 1 1 "-" "y',
        'x" - H\t' + write(),
        "[07/Mar/2026:18:04:59 +0000]",
    ],
)
def test_a_user_agent_cannot_leave_its_field(agent):
    entry = record(write(user_agent=f'"{agent}"'))
    assert entry.user_agent == agent
    assert entry.status == 206
    assert entry.fields["host_header"] == VALUES["host_header"]
    assert entry.fields["field_count"] == 27


@pytest.mark.parametrize(
    "referer", ['https://a/?q="b"', "with some blanks", 'ends in "', '"starts', 'x" 500 InternalError 1 1 1 1 "-"z']
)
def test_a_referer_with_quotes_or_blanks_stays_in_its_field(referer):
    entry = record(write(referer=f'"{referer}"', user_agent='"a "b" c"'))
    assert entry.fields["referer"] == referer
    assert entry.user_agent == 'a "b" c'
    assert entry.status == 206


@pytest.mark.parametrize("target", ['/b/k?d="f.json"&x=1', '/"', '/""', "/%22"])
def test_a_request_uri_may_hold_raw_quotes(target):
    assert record(write(request_uri=f'"GET {target} HTTP/1.1"')).fields["request_uri"] == f"GET {target} HTTP/1.1"


def test_a_request_uri_may_lack_the_http_version():
    assert record(write(request_uri='"PUT /b/k"')).fields["request_uri"] == "PUT /b/k"


@pytest.mark.parametrize("blank", ["  ", "\t", " \t  "])
def test_any_blanks_divide_fields(blank):
    assert record(write(blank=blank)).fields == record(write()).fields


def test_surrounding_blanks_and_a_carriage_return_belong_to_no_field_but_stay_in_the_raw_text():
    line = f" \t{write()} \r"
    assert record(line).fields == record(write()).fields
    assert record(line).raw == line


@pytest.mark.parametrize(
    ("text", "hour"), [("-0500", 23), ("+0000", 18), ("+0530", 12), ("-05:00", 23), ("+1400", 4), ("+0004", 18)]
)
def test_time_offsets_become_utc(text, hour):
    time_of = record(write(time=f"[07/Mar/2026:18:04:59 {text}]")).event_time
    assert time_of is not None
    assert (time_of.tzinfo, time_of.hour) == (UTC, hour)


def test_a_full_month_name_is_read():
    assert record(write(time="[07/March/2026:18:04:59 +0000]")).event_time == record(write()).event_time


@pytest.mark.parametrize(
    "text", ["31/Feb/2026:18:04:59 +0000", "07/Mrz/2026:18:04:59 +0000", "07/Mar/2026:18:04:59 +9999", "-", "now",
             "01/Jan/0001:00:00:00 +0100", "٠٧/Mar/2026:18:04:59 +0000"]
)  # fmt: skip
def test_an_impossible_time_is_rejected(text):
    assert "time" in reason(write(time=f"[{text}]"))


def test_a_key_with_raw_blanks_is_read_from_both_ends():
    entry = record(write(key="my holiday  pic.jpg"))
    assert entry.key == entry.fields["key"] == "my holiday  pic.jpg"
    assert entry.status == 206
    assert record(write(key="a b c", request_uri="-")).key == "a b c"
    assert record(write(key='quo"te')).key == 'quo"te'


def test_a_damaged_request_uri_does_not_become_part_of_the_key():
    assert "do not follow the format" in reason(write(request_uri='"GET /k HTTP/1.1'))
    assert "do not follow the format" in reason(write(key='raw blank"and quote'))


@pytest.mark.parametrize(
    ("change", "value"),
    [("http_status", "20"), ("bytes_sent", "many"), ("object_size", "9" * 19), ("total_time", "1.5")],
)
def test_numbers_that_are_none_are_rejected(change, value):
    assert "do not follow the format" in reason(write(**{change: value}))


@pytest.mark.parametrize("agent", ["-", '"x"'])
def test_two_records_glued_into_one_line_are_rejected_not_mixed(agent):
    plain = dict.fromkeys(("request_uri", "referer", "user_agent"), "-")
    assert "another record" in reason(f"{write(user_agent=agent)}     {write(24, **plain)}")
    assert "quote" in reason(f"{write(**plain)}     {write()}")


def test_quote_after_the_user_agent_is_rejected():
    assert "quote" in reason(write(user_agent='"x"y'))
    assert "quote" in reason(write(referer="-", user_agent="-", host_header='h"st'))
    assert "referer" in reason(write(referer="bare"))


def test_blank_lines_are_skipped_and_offsets_count_them():
    data = f"\n \t\r\n{write()}\n\n{write()}\r\n".encode()
    parsed = parse(data)
    assert [entry.offset for entry in parsed.records] == [2, 4]
    assert parsed.rejects == ()
    assert parse(b"").records == parse(b"").rejects == ()


@pytest.mark.parametrize("agent", ['"plain"', '"(x) y/1"', '"odd"z"'])
def test_a_last_line_cut_anywhere_before_the_user_agent_ends_is_called_half_written(agent):
    line = write(17, user_agent=agent)
    for cut in range(1, len(line)):
        parsed = parse(f"{write()}\n{line[:cut]}".encode())
        if line[:cut].endswith('odd"'):  # reads as a user agent that ends here
            continue
        assert len(parsed.records) == 1
        (reject,) = parsed.rejects
        assert "half-written last line" in reject.reason
        assert "too few fields" in reject.reason
        assert reject.offset == 1


def test_a_short_line_elsewhere_is_not_called_half_written():
    (reject,) = parse(b"only three fields\n").rejects
    assert reject.reason.startswith("too few fields")


def test_a_whole_last_line_needs_no_newline():
    assert len(parse(write().encode()).records) == 1


def test_reject_raw_is_capped_at_8_kilobytes_also_in_wide_letters():
    (reject,) = parse(("ü" * 50_000 + "\n").encode()).rejects
    assert len(reject.raw.encode()) == 8192
    assert reject.channel == "server-access"


def test_invalid_utf8_is_kept_readable():
    line = write(user_agent='"caf\u00e9"').encode("latin-1")
    (entry,) = parse(line).records
    assert entry.user_agent == "caf\\xe9"
    assert len(entry.raw) == len(line) + 3


def test_lone_surrogates_never_reach_the_output():
    entry = record(write(user_agent='"a\ud800b"', key="k\udcff"))
    for value in (entry.raw, entry.key, entry.user_agent):
        assert value is not None
        value.encode()


@pytest.mark.parametrize(
    ("raw", "operation", "key"),
    [
        ("-", "", None),
        ("plain/key.txt", "", "plain/key.txt"),
        ("a%2Bb", "REST.PUT.OBJECT", "a b"),
        ("a%252Bb", "REST.PUT.OBJECT", "a+b"),
        ("dir/a%2525b", "REST.PUT.OBJECT", "dir/a%b"),
        ("%25E7%258C%25AB", "REST.GET.OBJECT", "猫"),
        ("q%2522q", "REST.GET.OBJECT", 'q"q'),
        ("a%2Bb", "S3.EXPIRE.OBJECT", "a+b"),
        ("a+b", "S3.EXPIRE.OBJECT", "a b"),
        ("a%2520b", "S3.EXPIRE.OBJECT", "a%20b"),
        ("my+old+file.png", "BATCH.DELETE.OBJECT", "my old file.png"),
        ("once%20encoded", "REST.GET.OBJECT", "once encoded"),
        ("once+%2B+plus", "REST.GET.OBJECT", "once + plus"),
        ("%E7%8C%AB", "REST.GET.OBJECT", "猫"),
        ("100%25", "REST.GET.OBJECT", "100%"),
        ("100%", "REST.GET.OBJECT", "100%"),
        ("50%_off+x", "REST.GET.OBJECT", "50%_off+x"),
        ("%zz%2", "REST.GET.OBJECT", "%zz%2"),
        ("a b+c%20d", "REST.GET.OBJECT", "a b+c%20d"),
        ("猫+1", "REST.GET.OBJECT", "猫+1"),
        ("%FF", "REST.GET.OBJECT", "\ufffd"),
        ("%25FF", "REST.GET.OBJECT", "\ufffd"),
        ("%ED%A0%80", "REST.GET.OBJECT", "\ufffd" * 3),
    ],
)
def test_keys_are_decoded_as_far_as_their_text_shows(raw, operation, key):
    assert decode_key(raw, operation) == key


def test_a_record_decodes_its_key_by_its_operation_and_keeps_the_raw_one():
    for operation, key in (("REST.PUT.OBJECT", "a b"), ("S3.EXPIRE.OBJECT", "a+b")):
        entry = record(write(operation=operation, key="a%2Bb"))
        assert (entry.key, entry.fields["key"]) == (key, "a%2Bb")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda key: key != "-"))
def test_any_key_survives_the_double_encoding_of_2026(key):
    logged = quote_plus(quote_plus(key)).replace("%252F", "/")
    assert decode_key(logged, "REST.PUT.OBJECT") == key


@given(st.text())
def test_decoding_any_text_gives_text_that_can_be_written(raw):
    (decode_key(raw) or "").encode()


_TOKEN = st.text(st.characters(min_codepoint=33, exclude_characters='"[]\x7f', exclude_categories=["Cs"]), min_size=1)
_QUOTED = st.text(st.sampled_from('"" \t-abc/\\é猫20') | st.characters(exclude_categories=["Cs", "Cc"])).map(
    lambda text: text.strip(" \t")
)


@given(
    head=st.lists(_TOKEN, min_size=6, max_size=6),
    key=_TOKEN.filter(lambda key: "%" not in key and "+" not in key),
    target=st.text(st.sampled_from('"/?=a%20')),
    numbers=st.lists(st.none() | st.integers(0, 10**18 - 1), min_size=4, max_size=4),
    referer=_QUOTED.filter(
        lambda text: not any(f'"{blank}"' in text.replace("\t", " ") for blank in (" ", "  ", "   "))
    ),
    agent=_QUOTED,
    tail=st.lists(_TOKEN, max_size=14),
    blank=st.sampled_from([" ", "  ", "\t"]),
)
def test_what_a_writer_writes_is_what_is_read(head, key, target, numbers, referer, agent, tail, blank):
    owner, bucket, address, requester, request_id, operation = head
    uri = f"GET /{target} HTTP/1.1"
    sizes = ["-" if number is None else str(number) for number in numbers]
    pieces = [owner, bucket, VALUES["time"], address, requester, request_id, operation, key, f'"{uri}"', "200", "-"]
    line = blank.join([*pieces, *sizes, f'"{referer}"', f'"{agent}"', *tail])
    entry = record(line)

    def read(values: list[str]) -> list[str | None]:
        return [None if value == "-" else value for value in values]

    names = [*FIELDS, *(f"extra_{i}" for i in range(28, 40))]
    assert [entry.fields[name] for name in ("bucket_owner", "bucket", *FIELDS[3:7])] == read(head)
    assert [entry.fields["key"], entry.fields["request_uri"]] == read([key, uri])
    assert [entry.fields[name] for name in FIELDS[11:15]] == numbers
    assert [entry.fields["referer"], entry.user_agent] == read([referer, agent])
    assert [entry.fields[name] for name in names[17 : 17 + len(tail)]] == read(tail)
    assert entry.fields["field_count"] == 17 + len(tail)


_BROKEN = st.builds(
    lambda line, start, end, piece: line[:start] + piece + line[end:],
    st.just(write().encode()), st.integers(0, 500), st.integers(0, 500), st.binary(max_size=20),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60) | _BROKEN, max_size=6).map(b"\n".join))
def test_any_bytes_give_one_entry_for_each_line_that_is_not_blank(data):
    parsed = parse(data)
    lines = [number for number, line in enumerate(data.split(b"\n")) if line.strip()]
    assert sorted(entry.offset for entry in (*parsed.records, *parsed.rejects)) == lines
    for entry in parsed.records:
        json.dumps(dict(entry.fields), ensure_ascii=False).encode()
        row = [entry.raw, entry.key, *entry.fields.values()]
        sqlite3.connect(":memory:").execute(f"SELECT {','.join('?' * len(row))}", row)
    assert all(reject.reason for reject in parsed.rejects)


@pytest.mark.parametrize("filler", ['" "', " ", '"', "- ", '" 200 - 1 1 1 ', "[", "%25", '"\t"x'])
@pytest.mark.parametrize("start", [0, 8, 15, 16, 17])
def test_hostile_lines_cost_linear_time(filler, start):
    line = write(start) + " " + filler * (200_000 // len(filler))
    begun = time.process_time()
    parse_line(line, 0)
    assert time.process_time() - begun < 0.5


def test_the_parser_reads_tens_of_thousands_of_lines_a_second():
    data = "\n".join(write(key=f"k{i}") for i in range(5_000)).encode()
    begun = time.process_time()
    assert len(server_access.parse(data).records) == 5_000
    assert time.process_time() - begun < 1  # 50,000 a second on an idle core; loose, for a shared one
