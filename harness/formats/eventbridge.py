"""Reads messages that EventBridge sends for CloudTrail events: an envelope, and the event under ``detail``.

A record has the event's fields under CloudTrail's own names, so that one table knows them in every channel, and the
envelope's as ``envelope.…``. Source: EventBridge User Guide, AWS service events delivered via CloudTrail.
"""

from __future__ import annotations

import json
from dataclasses import replace

from harness.formats import cloudtrail
from harness.formats.text import capped, clean, integer, number
from harness.model import EVENTBRIDGE, FieldValue, Ours, Parsed, Reject

_ENVELOPE = ("id", "detail-type", "source", "account", "time", "region", "version")


def parse(data: bytes, ours: Ours | None = None) -> Parsed:
    """Parse one message; one that is not ``ours`` is only counted."""
    text = data.decode("utf-8", "backslashreplace")
    try:
        message = json.loads(text, parse_int=integer, parse_float=number, parse_constant=str)
        detail = json.dumps(message["detail"] if isinstance(message, dict) and "detail" in message else None)
    except (ValueError, RecursionError) as error:
        return _rejected(f"no JSON: {error}", text)
    if not isinstance(message, dict) or not isinstance(message.get("detail"), dict):
        return _rejected("no event of EventBridge: no detail", text)
    if not str(message.get("detail-type", "")).endswith("via CloudTrail"):
        return _rejected("not an event via CloudTrail", text)
    envelope: dict[str, FieldValue] = {
        f"envelope.{name}": clean(str(message[name])) for name in _ENVELOPE if message.get(name) is not None
    }
    parsed = cloudtrail.parse(detail.encode(), ours).within(EVENTBRIDGE)
    records = tuple(replace(each, raw=text, fields={**each.fields, **envelope}) for each in parsed.records)
    return Parsed(records, parsed.rejects, parsed.foreign)


def _rejected(reason: str, text: str) -> Parsed:
    return Parsed(rejects=(Reject(channel=EVENTBRIDGE, reason=reason, raw=capped(text)),))
