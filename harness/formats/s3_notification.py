"""Reads S3 event notifications: messages of one or more records, keys URL-encoded once.

Source: S3 User Guide, event message structure (version 2.x). ``s3:TestEvent``, which S3 sends when a bucket's
configuration is put, is no record and no reject.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import unquote_plus

from harness.formats.text import capped, clean, integer, number, time
from harness.model import S3_NOTIFICATION, FieldValue, Parsed, Record, Reject

MAX_DEPTH = 16
_TEST = "s3:TestEvent"


def parse(data: bytes) -> Parsed:
    """Parse one message; offsets are indices in ``Records``."""
    text = data.decode("utf-8", "backslashreplace")
    try:
        message = json.loads(text, parse_int=integer, parse_float=number, parse_constant=str)
        entries = message.get("Records") if isinstance(message, dict) else None
        raws = [json.dumps(entry) for entry in entries] if isinstance(entries, list) else []
    except (ValueError, RecursionError) as error:
        return Parsed(rejects=(_reject(f"no JSON: {error}", text, None),))
    if isinstance(message, dict) and message.get("Event") == _TEST:
        return Parsed()
    if not isinstance(entries, list):
        return Parsed(rejects=(_reject("no Records", text, None),))
    found = [_entry(entry, raws[offset], offset) for offset, entry in enumerate(entries)]
    records = tuple(each for each in found if isinstance(each, Record))
    return Parsed(records, tuple(each for each in found if isinstance(each, Reject)))


def _entry(entry: object, raw: str, offset: int) -> Record | Reject:
    name = _text(entry, "eventName")
    if name is None:
        return _reject("no eventName", raw, offset)
    key = _text(entry, "s3", "object", "key")
    answer = entry.get("responseElements") if isinstance(entry, dict) else None
    return Record(
        channel=S3_NOTIFICATION,
        name=name,
        event_time=time(_text(entry, "eventTime")),
        request_id=_text(answer, "x-amz-request-id"),
        host_id=_text(answer, "x-amz-id-2"),
        identity=sha256(raw.encode()).hexdigest()[:32],
        raw=raw,
        offset=offset,
        bucket=_text(entry, "s3", "bucket", "name"),
        key=unquote_plus(key) if key else None,
        fields=dict(_leaves("", entry, 0)),
    )


def _leaves(path: str, value: object, depth: int) -> Iterator[tuple[str, FieldValue]]:
    if isinstance(value, dict) and depth < MAX_DEPTH:
        for name, each in value.items():
            yield from _leaves(f"{path}.{clean(name)}" if path else clean(name), each, depth + 1)
    elif isinstance(value, (dict, list)):
        yield path, json.dumps(value)
    elif value is None or isinstance(value, (bool, int, float)):
        yield path, value
    else:
        yield path, clean(str(value))


def _text(value: object, *path: str) -> str | None:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return clean(value) if isinstance(value, str) and value else None


def _reject(reason: str, raw: str, offset: int | None) -> Reject:
    return Reject(channel=S3_NOTIFICATION, reason=reason, raw=capped(raw), offset=offset)
