"""Holds the fields of records against their call: equal, derived, wrong, absent; what is expected stands in data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from harness import catalogue
from harness.analyse.join import Pair
from harness.catalogue.fields import field_class, is_related
from harness.model import S3_NOTIFICATION, FieldValue
from harness.redact import redact

MAX_VALUES = 5
"""Sample values kept per field and cell."""
_STAMP = timedelta(seconds=1)
_AGENT_LIMIT = 1024
"""CloudTrail cuts the user agent at 1 kB (CloudTrail User Guide, record contents)."""

Check = Callable[[Pair, FieldValue], tuple[bool, str] | None]
"""Returns whether a value is right and what was expected, or None where the call does not say."""


def _within_call(pair: Pair, _value: FieldValue) -> tuple[bool, str] | None:
    """The record's time lies within the call, give or take the second that stamps are cut to."""
    call, at = pair.call, pair.record.event_time
    if call.received_at is None or at is None:
        return None
    expected = f"{call.sent_at:%Y-%m-%dT%H:%M:%S} to {call.received_at:%Y-%m-%dT%H:%M:%S}"
    return call.sent_at - _STAMP <= at <= call.received_at + _STAMP, expected


def _decoded_key(pair: Pair, _value: FieldValue) -> tuple[bool, str] | None:
    """The key after the channel's documented decoding is the key of the call; forms and batches have it in the body."""
    if pair.call.key is None and pair.record.channel == S3_NOTIFICATION:
        return None
    operation = catalogue.find(pair.call.operation)
    if pair.call.key is None and operation is not None and operation.service == "form":
        return None
    return pair.record.key == pair.call.key, str(pair.call.key)


def _request_line(pair: Pair, value: FieldValue) -> tuple[bool, str] | None:
    """The request line is the method and the target that were sent, signatures masked."""
    wanted = f"{pair.call.method} {pair.call.path or '/'}"
    shown = redact(str(value)).rpartition(" ")[0] if value else ""
    return _without_masks(shown) == _without_masks(wanted), wanted


def _without_masks(text: str) -> str:
    return text.replace("XXXXXXXX", "").replace("***", "")


def _error_code(pair: Pair, value: FieldValue) -> tuple[bool, str] | None:
    """The error code is the answer's; an answer without a body does not say which."""
    call = pair.call
    if call.error_code is None and call.status is not None and call.status >= 300:
        return None
    return value == call.error_code, str(call.error_code)


def _bracketed_user_agent(pair: Pair, value: FieldValue) -> tuple[bool, str] | None:
    """The user agent stands in brackets and is cut at 1 kB."""
    wanted = f"[{pair.call.user_agent[:_AGENT_LIMIT]}]"
    return value == wanted, wanted


CHECKS: Mapping[str, Check] = {
    "within-call": _within_call,
    "decoded-key": _decoded_key,
    "request-line": _request_line,
    "error-code": _error_code,
    "bracketed-user-agent": _bracketed_user_agent,
}


def examine(channel: str, pairs: Sequence[Pair]) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Examine the fields of the calls' own records.

    Records of something inside a call (a copy's source read, a batch's keys) have other values by design; they are
    counted in the cell and left out here.

    Returns:
        Per field: its class, in how many records it has a value (``present``), how many values are right (``right``,
        for equal and derived fields) and up to ``MAX_VALUES`` values (for format and name fields); and the wrong
        values: field, expected, seen, call number.
    """
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    wrong = []
    for pair in pairs:
        if is_related(pair.record):
            continue
        for name, value in pair.record.fields.items():
            expected = field_class(channel, name)
            entry = found[name]
            entry.setdefault("class", expected.kind)
            entry["present"] = entry.get("present", 0) + (value is not None)
            verdict = _judge(pair, value, expected.kind, expected.check)
            if verdict is not None:
                entry["right"] = entry.get("right", 0) + verdict[0]
                if not verdict[0]:
                    told = {"field": name, "expected": verdict[1], "seen": value, "call": pair.call.number}
                    wrong.append(told)
            elif expected.kind in ("format", "name"):
                values = entry.setdefault("values", [])
                if value not in values and len(values) < MAX_VALUES:
                    values.append(value)
    return {name: found[name] for name in sorted(found)}, wrong


def _judge(pair: Pair, value: FieldValue, kind: str, check: str) -> tuple[bool, str] | None:
    if kind == "equal":
        wanted = getattr(pair.call, check)
        # What the call does not know (an access point's bucket) cannot be compared.
        return None if wanted is None and value is not None else (value == wanted, str(wanted))
    if kind == "derived" and check in CHECKS:
        return CHECKS[check](pair, value)
    return None
