"""Reads server access records as CloudWatch Logs holds them: one JSON object an event, 29 named fields, nulls included.

Source: S3 User Guide, log format in CloudWatch Logs (schema V_1_0, June 2026). New fields are taken as they come.
"""

from __future__ import annotations

import json
from hashlib import sha256

from harness.formats.text import capped, clean, integer, number, time
from harness.model import SERVER_ACCESS_CLOUDWATCH, FieldValue, Parsed, Record, Reject

_NAMES = (
    "schema_version_id bucket_arn bucket_name request_time bucket_owner_id remote_ip requester request_id operation "
    "key_name request_uri http_status error_code bytes_sent_size object_size total_duration turn_around_duration "
    "referer user_agent version_id host_id signature_version cipher_suite authentication_type host_header tls_version "
    "access_point_arn acl_required source_region"
)
FIELDS: tuple[str, ...] = tuple(_NAMES.split())
"""In the order of the documented sample; the same names select the fields of a delivery."""


def parse(data: bytes) -> Parsed:
    """Parse one log event, or several, one a line.

    Returns:
        One Record or one Reject for every line that is not blank; offsets are line numbers from 0.
    """
    records: list[Record] = []
    rejects: list[Reject] = []
    for offset, line in enumerate(data.decode("utf-8", "backslashreplace").split("\n")):
        if line.strip():
            entry = _entry(line, offset)
            if isinstance(entry, Record):
                records.append(entry)
            else:
                rejects.append(entry)
    return Parsed(tuple(records), tuple(rejects))


def _entry(line: str, offset: int) -> Record | Reject:
    try:
        value = json.loads(line, parse_int=integer, parse_float=number, parse_constant=str)
    except (ValueError, RecursionError) as error:
        return _reject(f"no JSON: {error}", line, offset)
    if not isinstance(value, dict):
        return _reject(f"not an object but {type(value).__name__}", line, offset)
    name = _text(value, "operation")
    if name is None:
        return _reject("no operation", line, offset)
    event_time = time(_text(value, "request_time"))
    if event_time is None:
        return _reject(f"request_time is not a time: {value.get('request_time')!r}"[:200], line, offset)
    status = value.get("http_status")
    return Record(
        channel=SERVER_ACCESS_CLOUDWATCH,
        name=name,
        event_time=event_time,
        request_id=_text(value, "request_id"),
        host_id=_text(value, "host_id"),
        identity=sha256(line.encode("utf-8", "backslashreplace")).hexdigest()[:32],
        raw=line,
        offset=offset,
        bucket=_text(value, "bucket_name"),
        key=_text(value, "key_name"),
        user_agent=_text(value, "user_agent"),
        status=status if type(status) is int else None,
        error_code=_text(value, "error_code"),
        fields={clean(key): _field(each) for key, each in value.items()},
    )


def _field(value: object) -> FieldValue:
    if isinstance(value, str):
        return clean(value)
    return value if value is None or isinstance(value, (bool, int, float)) else json.dumps(value)


def _text(value: dict[str, object], name: str) -> str | None:
    found = value.get(name)
    return clean(found) if isinstance(found, str) and found else None


def _reject(reason: str, line: str, offset: int) -> Reject:
    return Reject(channel=SERVER_ACCESS_CLOUDWATCH, reason=reason, raw=capped(line), offset=offset)
