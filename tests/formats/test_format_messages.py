"""Messages of queues: EventBridge's envelopes around CloudTrail events, and S3's notifications."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.formats import cloudtrail, eventbridge, s3_notification
from harness.model import Parsed

EVENT: dict[str, Any] = {
    "eventTime": "2026-07-01T10:11:12Z",
    "eventName": "PutBucketAcl",
    "eventSource": "s3.amazonaws.com",
    "requestID": "ABCDEF0123456789",
    "eventID": "11111111-2222-3333-4444-555555555555",
    "userAgent": "[agent]",
    "requestParameters": {"bucketName": "photos"},
    "additionalEventData": {"x-amz-id-2": "host"},
}
ENVELOPE: dict[str, Any] = {
    "version": "0",
    "id": "envelope-1",
    "detail-type": "AWS API Call via CloudTrail",
    "source": "aws.s3",
    "time": "2026-07-01T10:11:12Z",
    "detail": EVENT,
}
NOTIFICATION: dict[str, Any] = {
    "eventVersion": "2.1",
    "eventTime": "2026-07-01T10:11:12.345Z",
    "eventName": "ObjectCreated:Put",
    "responseElements": {"x-amz-request-id": "ABCDEF0123456789", "x-amz-id-2": "host"},
    "s3": {"bucket": {"name": "photos"}, "object": {"key": "a+b/%C3%BC", "size": 5, "sequencer": "01"}},
}


def message(*records: Any) -> bytes:
    return json.dumps({"Records": list(records)}).encode()


def test_an_event_in_an_envelope_is_read_as_cloudtrail_reads_it_with_the_envelope_beside_it() -> None:
    (found,) = eventbridge.parse(json.dumps(ENVELOPE).encode()).records
    (plain,) = cloudtrail.parse(json.dumps(EVENT).encode()).records
    assert found.channel == "eventbridge"
    for name in ("name", "request_id", "host_id", "identity", "event_time", "bucket", "user_agent"):
        assert getattr(found, name) == getattr(plain, name), name
    assert plain.fields.items() <= found.fields.items()
    assert found.fields["envelope.id"] == "envelope-1"
    assert json.loads(found.raw) == ENVELOPE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "no JSON"),
        (b"{}", "no detail"),
        (json.dumps(ENVELOPE | {"detail-type": "Object Created"}).encode(), "via CloudTrail"),
        (json.dumps(ENVELOPE | {"detail": {"eventID": "x"}}).encode(), "no eventName"),
        (b'{"detail":' * 5000, "no JSON"),
    ],
)
def test_a_message_that_carries_no_event_is_kept_with_its_reason(data: bytes, reason: str) -> None:
    parsed = eventbridge.parse(data)
    assert parsed.records == ()
    (reject,) = parsed.rejects
    assert reason in reject.reason
    assert reject.channel == "eventbridge"


def test_an_event_of_somebody_else_is_counted_and_not_read() -> None:
    data = json.dumps(ENVELOPE).encode()
    assert eventbridge.parse(data, lambda _text, _request_id: False) == Parsed(foreign=1)
    assert eventbridge.parse(data, lambda _text, request_id: request_id == EVENT["requestID"]).foreign == 0


def test_a_notification_has_ids_place_and_time() -> None:
    (found,) = s3_notification.parse(message(NOTIFICATION)).records
    assert (found.channel, found.name) == ("s3-notification", "ObjectCreated:Put")
    assert (found.request_id, found.host_id) == ("ABCDEF0123456789", "host")
    assert (found.bucket, found.key) == ("photos", "a b/ü")
    assert found.event_time is not None
    assert found.fields["s3.object.size"] == 5


def test_the_records_of_a_message_are_told_apart() -> None:
    parsed = s3_notification.parse(message(NOTIFICATION, 7, NOTIFICATION | {"eventName": "ObjectRemoved:Delete"}))
    assert [(record.offset, record.name) for record in parsed.records] == [
        (0, "ObjectCreated:Put"),
        (2, "ObjectRemoved:Delete"),
    ]
    assert [(reject.offset, reject.reason) for reject in parsed.rejects] == [(1, "no eventName")]


def test_the_message_with_which_s3_tries_a_queue_is_neither_record_nor_reject() -> None:
    assert s3_notification.parse(b'{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"photos"}') == Parsed()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"Records": 1}', b'{"Records":' * 5000])
def test_what_is_no_notification_is_kept(data: bytes) -> None:
    (reject,) = s3_notification.parse(data).rejects
    assert reject.channel == "s3-notification"


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["eventName", "eventTime", "s3", "responseElements", "x"]), _JSON))
def test_any_notification_can_be_kept(entry: dict[str, Any]) -> None:
    parsed = s3_notification.parse(message(entry))
    assert len(parsed.records) + len(parsed.rejects) == 1
    for record in parsed.records:
        json.dumps(dict(record.fields), allow_nan=False).encode()


@given(_JSON)
def test_any_message_of_eventbridge_is_a_record_or_a_reject(detail: Any) -> None:
    parsed = eventbridge.parse(json.dumps(ENVELOPE | {"detail": detail}).encode())
    assert len(parsed.records) + len(parsed.rejects) == 1
