"""Reads server access log lines, whose quoted fields carry attacker-chosen text that Amazon S3 does not escape.

No CSV dialect and no single regular expression reads them right, so a line is parsed in two steps: a head up to
the turn-around time, anchored at the left, then referer, user agent and the later fields, anchored at the last quote.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from hashlib import sha256
from urllib.parse import unquote_plus

from harness.model import SERVER_ACCESS, FieldValue, Parsed, Record, Reject

# Amazon S3 User Guide, "Amazon S3 server access log format" (April 2026). 17 fields in 2006, 18 about 2010, 24 in
# March 2019, 25 in 2021, 26 in 2022, 27 in February 2026: new ones are appended, so more are accepted.
_NAMES = (
    "bucket_owner bucket time remote_ip requester request_id operation key request_uri http_status error_code "
    "bytes_sent object_size total_time turn_around_time referer user_agent version_id host_id signature_version "
    "cipher_suite authentication_type host_header tls_version access_point_arn acl_required source_region"
)
FIELDS: tuple[str, ...] = tuple(_NAMES.split())
MIN_FIELDS = 17
MAX_REJECT_BYTES = 8192

_NUMERIC = ("http_status", "bytes_sent", "object_size", "total_time", "turn_around_time")
_BLANKS = " \t\r\n\x0b\x0c"
_TOO_FEW = "too few fields"
_GAP = r"[ \t]++"
_TOKEN = rf"(?:-|([^ \t]++)){_GAP}"  # '-' leaves the group empty
_NUMBER = rf"(?:-|(\d{{1,18}}+)){_GAP}"  # 18 digits fit SQLite's INTEGER, and int() refuses more than 4300

# The request URI ends at the first quote that a status, an error code and four numbers follow: a request target has
# no raw blanks, so only referer and user agent can forge that chain, and they stand further right. A key may have raw
# blanks (old, unencoded logs) but then no quote, so that a damaged URI is rejected rather than read as part of a key.
# Possessive quantifiers keep hostile lines linear.
_HEAD = re.compile(
    rf"{_TOKEN * 2}\[([^\]]{{1,64}}+)\]{_GAP}{_TOKEN * 3}([^ \t]++){_GAP}"
    rf"(?:-|([^ \t]++(?:{_GAP}[^ \t\"]++)*?)){_GAP}(?:\"(?:-|(.*?))\"|-){_GAP}"
    rf"(?:-|(\d{{3}})){_GAP}(?:-|([^ \t\"]++)){_GAP}{_NUMBER * 4}",
    re.ASCII | re.DOTALL,
)
_BETWEEN_QUOTED = re.compile(r'"[ \t]++"')
_BARE_DASH = re.compile(r"[ \t]++-(?![^ \t])")
_ROUGH_FIELD = re.compile(r'\[[^\]]*+\]?|"[^"]*+"?|[^ \t]++')  # only to say how many fields a bad line has
_TIME_FIELD = re.compile(r"\[\d\d/[A-Za-z]{3,9}/\d{4}:")
_TIME = re.compile(r"(\d\d?)/([A-Za-z]{3})[a-z]*/(\d{4}):(\d\d):(\d\d):(\d\d)[ \t]+([+-])(\d\d):?(\d\d)", re.ASCII)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"

_NOT_ENCODED = re.compile(r'[\x00-\x20"<>\\\x7f-\U0010ffff]|%(?![0-9A-Fa-f]{2})')  # what every URL encoder replaces
_ENCODED_TWICE = re.compile(r"(?:[^%+]++|%25[0-9A-Fa-f]{2}|%2[Bb])*+")


def parse(data: bytes) -> Parsed:
    """Parse one log object.

    Args:
        data: Its bytes, plain text, one record a line.

    Returns:
        One Record or one Reject for every line that is not blank, in order; offsets are line numbers from 0.
    """
    records: list[Record] = []
    rejects: list[Reject] = []
    lines = data.decode("utf-8", "backslashreplace").split("\n")
    for offset, line in enumerate(lines):
        if not line.strip(_BLANKS):
            continue
        entry = parse_line(line, offset)
        if isinstance(entry, Record):
            records.append(entry)
        elif offset == len(lines) - 1 and entry.reason.startswith(_TOO_FEW):
            rejects.append(replace(entry, reason=f"half-written last line, no newline at its end: {entry.reason}"))
        else:
            rejects.append(entry)
    return Parsed(tuple(records), tuple(rejects))


def parse_line(line: str, offset: int) -> Record | Reject:
    """Parse one line.

    ``-`` becomes None. A field that an older line does not have is absent from ``fields``; one that is newer than
    this parser is ``extra_28``, ``extra_29``, …; ``field_count`` says how many there were.

    Args:
        line: The line, without its newline.
        offset: Its number in the log object, from 0.

    Returns:
        The record, or why there is none.
    """
    try:
        encoded = line.encode()
    except UnicodeEncodeError:  # a lone surrogate could be written neither to SQLite nor as JSON
        encoded = line.encode("utf-8", "backslashreplace")
        line = encoded.decode()
    text = line.strip(_BLANKS)
    head = _HEAD.match(text)
    if head is None:
        return _reject(line, offset, _why(text))
    tail = _tail(text[head.end() :])
    if isinstance(tail, str):
        return _reject(line, offset, tail)
    groups = head.groups()
    _, bucket, time, _, _, request_id, operation, key, _, status, error_code, *_ = groups
    event_time = _event_time(time)
    if event_time is None:
        return _reject(line, offset, f"time is not a date: {time}")
    values = (*groups, *tail)
    count = len(values)
    names = FIELDS if count <= len(FIELDS) else (*FIELDS, *(f"extra_{i}" for i in range(28, count + 1)))
    fields: dict[str, FieldValue] = dict(zip(names, values, strict=False))
    for name in _NUMERIC:
        if digits := fields[name]:
            fields[name] = int(digits)
    fields["field_count"] = count
    return Record(
        channel=SERVER_ACCESS,
        name=operation,
        event_time=event_time,
        request_id=request_id,
        host_id=tail[3] if len(tail) > 3 else None,
        identity=sha256(encoded).hexdigest()[:32],
        raw=line,
        offset=offset,
        bucket=bucket,
        key=None if key is None else decode_key(key, operation),
        user_agent=tail[1],
        status=int(status) if status else None,
        error_code=error_code,
        fields=fields,
    )


def decode_key(raw: str, operation: str = "") -> str | None:
    """Undo the URL encoding of the key field as far as the text shows it.

    Native captures of 2026 encode twice: a blank is ``%2B``, a plus ``%252B``, ``/`` is kept. So a text that was
    encoded twice has no escapes but ``%25xx`` and ``%2B``, and no plus. Lifecycle records (``S3.*``) are encoded once,
    and so are older logs, with a blank as ``+`` (BATCH.DELETE.OBJECT of 2019), or not at all.
    Sources: radkawar/stackd docs/cloudtrail.md (September 2026); Yelp Engineering, "S3 server access logs at scale"
    (September 2025, from a summary); elastic/integrations s3access fixtures.

    Args:
        raw: The field as logged.
        operation: The operation field; it decides where one decoding and two are both possible.

    Returns:
        The key, without lone surrogates; None for ``-``. Bytes that are not UTF-8 become U+FFFD.
    """
    if raw == "-":
        return None
    if ("%" in raw or "+" in raw) and not _NOT_ENCODED.search(raw):
        if not operation.startswith("S3.") and _ENCODED_TWICE.fullmatch(raw):
            raw = raw.replace("%2B", "+").replace("%2b", "+").replace("%25", "%")
        return unquote_plus(raw)
    return raw if raw.isascii() else raw.encode("utf-8", "backslashreplace").decode()


def _tail(text: str) -> list[str | None] | str:
    """Split what follows the turn-around time into referer, user agent and later fields, or say why not.

    The later fields hold no quotes, so a quoted user agent ends at the last quote of the line, whatever it forges.
    The first ``" "`` divides it from the referer: a referer that holds one itself cannot be told apart.
    """
    referer = agent = "-"
    if text.startswith('"'):
        body, _, later = text[1:].rpartition('"')
        if between := _BETWEEN_QUOTED.search(body):
            referer, agent = body[: between.start()], body[between.end() :]
        elif not body.endswith((" ", "\t")) and (dash := _BARE_DASH.match(later)):
            referer, later = body, later[dash.end() :]
        else:
            return f"{_TOO_FEW}: referer or user agent is not closed"
    elif _BARE_DASH.match(f" {text}"):
        rest = text[1:].lstrip(" \t")
        if rest.startswith('"') and '"' in rest[1:]:
            agent, _, later = rest[1:].rpartition('"')
        elif _BARE_DASH.match(f" {rest}"):
            later = rest[1:]
        else:
            return f"{_TOO_FEW}: no complete user agent"
    else:
        return "referer is neither quoted nor '-'"
    cut = later[:1] not in ("", " ", "\t")
    if cut or '"' in later:
        return (
            f"{_TOO_FEW}: the last quote closes no field" if cut else "a quote stands in a field after the user agent"
        )
    if "[" in later and _TIME_FIELD.search(later):
        return "another record begins in the same line"
    values = (referer, agent, *filter(None, later.replace("\t", " ").split(" ")))
    return [None if value == "-" else value for value in values]


@lru_cache(maxsize=4096)
def _event_time(text: str) -> datetime | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    try:
        number = _MONTHS.split().index(month.lower()) + 1
        local = datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=timezone(offset))
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _why(text: str) -> str:
    count = len(_ROUGH_FIELD.findall(text))
    if count < MIN_FIELDS:
        return f"{_TOO_FEW}: about {count}, a record has at least {MIN_FIELDS}"
    if not _TIME_FIELD.search(text):
        return "no [time] field"
    return "fields 1 to 15, bucket owner to turn-around time, do not follow the format"


def _reject(line: str, offset: int, reason: str) -> Reject:
    raw = line.encode()[:MAX_REJECT_BYTES].decode("utf-8", "ignore")
    return Reject(channel=SERVER_ACCESS, reason=reason, raw=raw, offset=offset)
