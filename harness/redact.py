"""Masks what must reach neither disk nor screen: signatures, session tokens, secret and customer keys, in any text."""

from __future__ import annotations

import re
from dataclasses import replace

from harness.model import FieldValue, Parsed, Record, Reject

MASK = "***"
# The last two are what CloudTrail writes of credentials that a role was given; a run assumes some itself.
_NAMES = (
    r"X-Amz-Signature|Signature|X-Amz-Security-Token|X-Amz-S3session-Token"
    r"|X-Amz-(?:Copy-Source-)?Server-Side-Encryption-Customer-Key|sessionToken|secretAccessKey"
)
# AWS masks the signature of presigned requests in access logs, and keeps the session token (native captures, 2026).
_AMPERSAND, _EQUALS = r"(?:[?&;\s\"']|\\u0026|\\u003f)", r"(?:=|\\u003d)"  # JSON writers may escape both
_IN_QUERY = re.compile(rf"((?:^|{_AMPERSAND})(?:{_NAMES}){_EQUALS})(?:(?!\\u0026)[^&\s\"])*", re.IGNORECASE)
_STRING = r'"(?:[^"\\]|\\.)*+(?:"|\\?$)'  # the text may break off anywhere
_IN_JSON = re.compile(rf'("(?:{_NAMES})"\s*:\s*)(?:{_STRING}|\[(?:\s*+{_STRING}\s*+,?+)*+\s*+(?:\]|$))', re.IGNORECASE)
_FIELD = re.compile(rf"(?:^|\.)(?:{_NAMES})(?:\[\d+\])?$", re.IGNORECASE)
_MAYBE = re.compile(rf"(?:{_NAMES})(?![A-Za-z-])", re.IGNORECASE)


def redact(text: str) -> str:
    """Return a text with the values of secret parameters masked (query strings and JSON)."""
    return _IN_JSON.sub(rf'\g<1>"{MASK}"', _IN_QUERY.sub(rf"\g<1>{MASK}", text))


def without_secrets(parsed: Parsed) -> Parsed:
    """Return what a format parsed with every text in it redacted."""
    return replace(
        parsed,
        records=tuple(_record(record) for record in parsed.records),
        rejects=tuple(replace(r, raw=redact(r.raw)) for r in parsed.rejects if isinstance(r, Reject)),
    )


def _record(record: Record) -> Record:
    if not _MAYBE.search(record.raw):
        return record
    return replace(
        record,
        raw=redact(record.raw),
        key=redact(record.key) if record.key else record.key,
        user_agent=redact(record.user_agent) if record.user_agent else record.user_agent,
        fields={name: _field(name, value) for name, value in record.fields.items()},
    )


def _field(name: str, value: FieldValue) -> FieldValue:
    if not isinstance(value, str):
        return value
    return MASK if _FIELD.search(name) else redact(value)
