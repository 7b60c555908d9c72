"""Every field of a call's own record is held against the call: right, wrong with both values, or not to be judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from offline import T0, a_call, a_delivery, a_record, seconds

from harness.analyse.fields import MAX_VALUES, examine
from harness.analyse.join import Pair, Way
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call

CALL = a_call(
    7,
    sent_at=T0,
    received_at=T0 + seconds(2),
    bucket="bucket",
    key="a b",
    method="PUT",
    path="/a%20b?X-Amz-Signature=***&x-id=PutObject",
    error_code=None,
    user_agent="Boto3/1 s3lm/0badcafe/7",
)


def pair(fields: dict[str, Any], call: Call = CALL, channel: str = SERVER_ACCESS, **record: Any) -> Pair:
    return Pair(call, a_record(call, channel, fields=fields, **record), Way.REQUEST_ID, (a_delivery(),))


def judged(name: str, value: Any, call: Call = CALL, channel: str = SERVER_ACCESS, **record: Any) -> bool | None:
    """Return whether one field is right; None where it is not judged."""
    found, wrong = examine(channel, [pair({name: value}, call, channel, **record)])
    right = found[name].get("right")
    assert (right == 0) is bool(wrong)
    if wrong:
        assert [(w["field"], w["seen"], w["call"]) for w in wrong] == [(name, value, call.number)]
    return None if right is None else bool(right)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("bucket", "bucket", "other"),
        ("request_id", CALL.request_id, "OTHER"),
        ("host_id", CALL.host_id, None),
        ("http_status", 200, "200"),
        ("user_agent", CALL.user_agent, "Boto3/1"),
    ],
)
def test_an_equal_field_has_the_value_of_the_call(name: str, good: Any, bad: Any) -> None:
    assert judged(name, good) is True
    assert judged(name, bad) is False


def test_what_the_call_does_not_know_is_not_judged() -> None:
    assert judged("bucket", "the-access-points-bucket", replace(CALL, bucket=None)) is None
    assert judged("request_id", "R", replace(CALL, request_id=None)) is None


@pytest.mark.parametrize(
    ("after_seconds", "right"), [(-2, False), (-1, True), (0, True), (2, True), (3, True), (4, False)]
)
def test_the_time_of_a_record_lies_within_its_call_give_or_take_a_second(after_seconds: float, right: bool) -> None:
    at = T0 + seconds(after_seconds)
    assert judged("time", "[as logged]", event_time=at) is right
    assert judged("eventTime", at.isoformat(), channel=CLOUDTRAIL, event_time=at) is right


def test_the_time_of_a_call_without_an_answer_is_not_judged() -> None:
    assert judged("time", "[as logged]", replace(CALL, received_at=None)) is None


def test_the_key_is_right_when_its_decoding_is() -> None:
    assert judged("key", "a%2Bb", key="a b") is True
    assert judged("key", "a+b", key="a+b") is False


def test_the_key_of_a_form_post_is_not_judged_because_it_stands_in_the_body() -> None:
    assert judged("key", "posted", replace(CALL, operation="BrowserPost", key=None), key="posted") is None


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("PUT /a%20b?X-Amz-Signature=XXXXXXXX&x-id=PutObject HTTP/1.1", True),
        ("PUT /a%20b?X-Amz-Signature=***&x-id=PutObject HTTP/1.1", True),
        ("PUT /a%20b?x-id=PutObject HTTP/1.1", False),
        ("GET /a%20b?X-Amz-Signature=XXXXXXXX&x-id=PutObject HTTP/1.1", False),
        ("PUT /a+b?X-Amz-Signature=XXXXXXXX&x-id=PutObject HTTP/1.1", False),
        (None, False),
    ],
)
def test_the_request_line_is_what_was_sent_with_signatures_masked(line: str | None, right: bool) -> None:
    assert judged("request_uri", line) is right


def test_the_error_code_is_the_answers() -> None:
    denied = replace(CALL, status=403, error_code="AccessDenied")
    assert judged("error_code", "AccessDenied", denied) is True
    assert judged("error_code", None, denied) is False
    assert judged("error_code", None, CALL) is True
    assert judged("error_code", "AccessDenied", CALL) is False


def test_the_error_code_of_an_answer_without_a_body_is_not_judged() -> None:
    assert judged("error_code", "NoSuchKey", replace(CALL, status=404, error_code=None)) is None


def test_cloudtrails_user_agent_stands_in_brackets_and_is_cut_at_1_kb() -> None:
    long = replace(CALL, user_agent="x" * 5000)
    assert judged("userAgent", f"[{CALL.user_agent}]", channel=CLOUDTRAIL) is True
    assert judged("userAgent", CALL.user_agent, channel=CLOUDTRAIL) is False
    assert judged("userAgent", f"[{'x' * 1024}]", long, CLOUDTRAIL) is True
    assert judged("userAgent", f"[{'x' * 5000}]", long, CLOUDTRAIL) is False


@pytest.mark.parametrize("name", ["total_time", "cipher_suite", "operation", "extra_28"])
def test_fields_that_the_call_says_nothing_about_are_not_judged(name: str) -> None:
    assert judged(name, "whatever") is None


def test_presence_is_counted_over_all_records_and_null_is_not_present() -> None:
    found, _ = examine(SERVER_ACCESS, [pair({"referer": v}) for v in ("https://a", None, "https://b")] + [pair({})])
    assert found["referer"]["present"] == 2


def test_only_a_few_distinct_values_are_kept_of_a_format_field_and_none_of_a_volatile_one() -> None:
    found, _ = examine(SERVER_ACCESS, [pair({"cipher_suite": f"c{n % 9}", "total_time": n}) for n in range(30)])
    assert found["cipher_suite"]["values"] == [f"c{n}" for n in range(MAX_VALUES)]
    assert "values" not in found["total_time"]


def test_records_of_something_inside_a_call_are_left_out() -> None:
    read = pair({"operation": "REST.COPY.OBJECT_GET", "bucket": "the-source"})
    assert examine(SERVER_ACCESS, [read]) == ({}, [])


def test_fields_are_told_in_the_order_of_their_names() -> None:
    found, _ = examine(SERVER_ACCESS, [pair({"zebra": 1, "bucket": "bucket", "ant": 2})])
    assert list(found) == ["ant", "bucket", "zebra"]
