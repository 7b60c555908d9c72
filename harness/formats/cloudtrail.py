"""Reads CloudTrail log files, whole, cut or damaged, and saves what can be read of them.

Records are decoded one by one from the text, so that a bad one does not hide its neighbours and each keeps the exact
JSON in which it was delivered.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from hashlib import sha256

from harness.formats.text import MAX_REJECT_BYTES, capped, clean, integer, number, time
from harness.model import CLOUDTRAIL, FieldValue, Ours, Parsed, Record, Reject

MAX_DECOMPRESSED_BYTES = 256 * 2**20  # AWS writes at most 50 MB a file (CloudTrail User Guide, quotas, April 2026)
MAX_DEPTH = 64  # levels; far above any S3 record, far below every Python's recursion limit
MAX_PATH_CHARS = 16 * 2**20  # sum of one record's dotted paths; a long key over many leaves would multiply
MAX_BROKEN = 1000  # entries; more of them are no log, and each costs the decoder a look at all the text before it

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 256  # inflates to 264 kB at most, which is also what may be lost before a damaged byte
_NEXT = re.compile(r"[^ \t\r\n,]")
# Inside a JSON text the quote after the s would be escaped, so nothing but the member itself can match.
_OPENING = re.compile(r'\[|\{[^\[\]{}]*?"Records"\s*+:\s*+\[')
_MARK = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}",]', re.DOTALL)
_BUCKET_ARN = re.compile(r"arn:aws[a-z-]*:s3:::([^/]+)")
_HOST_ID_NAMES = ("x-amz-id-2", "xAmzId2", "x_amz_id_2")  # the last two: User Guide's S3 Express and S3 Tables examples


class _Broken(str):
    """Why a value could not be decoded, in the place of the value."""

    __slots__ = ()


_CUT = _Broken("truncated")


def parse(data: bytes, ours: Ours | None = None, *, compressed: bool | None = None) -> Parsed:
    """Parse one log file: ``{"Records": […]}``, a bare list, or one record or file a line.

    Args:
        data: The bytes of the file.
        ours: Which events to read, of those that are any; None for all. A trail shows the whole account.
        compressed: Whether they are gzip; None looks at the first two bytes.

    Returns:
        One Record or Reject for every entry, plus one Reject when the file is cut, damaged or too large.
    """
    problem, body = "", data
    if compressed or (compressed is None and data.startswith(_GZIP_MAGIC)):
        body, problem = _inflate(data)
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    records: list[Record] = []
    rejects: list[Reject] = []
    cut_text, foreign = "", 0
    for offset, (raw, value) in enumerate(_entries(text)):
        if value is _CUT:
            problem, cut_text = problem or _CUT, raw
            continue
        if ours and _text(value, "eventName") and not ours(raw, _text(value, "requestID")):
            foreign += 1
            continue
        entry = _record(raw, value, offset)
        if isinstance(entry, Record):
            records.append(entry)
        else:
            rejects.append(entry)
    if not (problem or text.strip()):
        problem = "the file is empty"
    if problem:
        place = len(records) + len(rejects) + foreign if text else None
        unread = cut_text if text else data[:MAX_REJECT_BYTES].decode("utf-8", "backslashreplace")
        rejects.append(_reject(f"{problem}: {len(records) + foreign} records recovered", unread, place))
    return Parsed(tuple(records), tuple(rejects), foreign)


def _inflate(data: bytes) -> tuple[bytes, str]:
    """Decompress as much as possible; the second value says what is wrong, if anything."""
    parts: list[bytes] = []
    size = position = 0
    while data.startswith(_GZIP_MAGIC, position):  # members may follow each other
        inflater = zlib.decompressobj(wbits=31)
        while not inflater.eof:
            chunk = data[position : position + _CHUNK_BYTES]
            if not chunk:
                return b"".join(parts), "truncated gzip"
            try:
                parts.append(inflater.decompress(chunk))
            except zlib.error as error:
                return b"".join(parts), f"truncated or damaged gzip ({error})"
            position += len(chunk) - len(inflater.unused_data)
            size += len(parts[-1])
            if size > MAX_DECOMPRESSED_BYTES:
                return b"", f"decompresses to more than {MAX_DECOMPRESSED_BYTES} bytes"
    if position == 0:
        return b"", "not gzip"
    surplus = len(data[position:].strip(b"\0"))  # zero padding is allowed by gzip
    return b"".join(parts), f"{surplus} bytes after the end of the gzip data" if surplus else ""


_DECODER = json.JSONDecoder(parse_int=integer, parse_float=number, parse_constant=str)


def _entries(text: str) -> Iterator[tuple[str, object]]:
    """Yield raw text and value of every entry of every document; one that cannot be decoded is a ``_Broken``."""
    position = broken = brackets = (
        0  # brackets of the document that are open around its entries: 1 for a list, 2 with Records
    )
    while found := _NEXT.search(text, position):
        start = found.start()
        opening = _OPENING.match(text, start) if brackets == 0 else None
        if opening:
            position, brackets = opening.end(), 2 if text[start] == "{" else 1
        elif brackets and text[start] == "]":
            end = _end_of_value(text, start + 1, depth=1) if brackets == 2 else start + 1
            if end < 0:
                break
            members = text[start + 1 : end]
            if members and isinstance(_decode('{"":0' + members, 0, in_list=False)[0], _Broken):
                yield members, _Broken("bad JSON after the list of Records")
            position, brackets = end, 0
        else:
            value, position = _decode(text, start, in_list=brackets > 0)
            broken += isinstance(value, _Broken)
            if broken > MAX_BROKEN:
                value, position = _Broken(f"more than {MAX_BROKEN} damaged entries: the rest is not read"), len(text)
            yield text[start:position], value
            if value is _CUT or broken > MAX_BROKEN:
                return
    if brackets:
        yield text[position:], _CUT


def _decode(text: str, start: int, *, in_list: bool) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        broken = _Broken("nested too deeply" if isinstance(error, RecursionError) else f"bad JSON: {error}")
    line_end = -1 if in_list else text.find("\n{", start)  # JSON lines: the next record is a line of its own
    end = line_end if line_end >= 0 else _end_of_value(text, start)
    if end < 0:
        return (_CUT if in_list or text[start] == "{" else broken), len(text)
    return broken, max(end, start + 1)


def _end_of_value(text: str, start: int, depth: int = 0) -> int:
    """Find where a value that could not be decoded ends, by its brackets; -1 when the text ends first."""
    for mark in _MARK.finditer(text, start):
        sign = mark[0]
        if sign == '"':  # a string that is never closed
            return -1
        if sign in ("[", "{"):
            depth += 1
        elif sign in ("]", "}"):
            depth -= 1
            if depth <= 0:
                return mark.end() if depth == 0 else mark.start()
        elif sign == "," and depth == 0:
            return mark.start()
    return -1


def _record(raw: str, value: object, offset: int) -> Record | Reject:
    if isinstance(value, _Broken):
        return _reject(value, raw, offset)
    if not isinstance(value, dict):
        return _reject(f"entry is not an object but {type(value).__name__}", raw, offset)
    name = _text(value, "eventName")
    if name is None:
        return _reject(_nameless(value), raw, offset)
    fields = _flatten(value)
    if fields is None:
        return _reject(f"nested deeper than {MAX_DEPTH} levels or too large when flattened", raw, offset)
    request, extra = value.get("requestParameters"), value.get("additionalEventData")
    status = extra.get("httpStatusCode") if isinstance(extra, dict) else None
    agent = _text(value, "userAgent")
    return Record(
        channel=CLOUDTRAIL,
        name=name,
        event_time=time(_text(value, "eventTime")),
        request_id=_text(value, "requestID"),
        host_id=_text(extra, *_HOST_ID_NAMES) or _text(value.get("responseElements"), *_HOST_ID_NAMES),
        identity=_text(value, "eventID") or sha256(raw.encode()).hexdigest()[:32],
        raw=raw,
        offset=offset,
        bucket=_text(request, "bucketName") or _bucket_of(value.get("resources")),
        key=_text(request, "key", "Key"),  # Key: User Guide's S3 on Outposts example
        user_agent=agent[1:-1] if agent and agent[0] == "[" and agent[-1] == "]" else agent,
        status=status if type(status) is int else None,
        error_code=_text(value, "errorCode"),
        fields=fields,
    )


def _nameless(value: dict[str, object]) -> str:
    if "digestStartTime" in value or "logFiles" in value:
        return "a digest file: no Records"
    if "insightDetails" in value:
        return "an Insights event: no eventName of its own"
    if "Records" in value:
        return "Records is no list, or other lists stand before it"
    return "eventName is not a text" if value.get("eventName") else "no Records and no eventName"


def _flatten(record: dict[str, object]) -> dict[str, FieldValue] | None:
    """Flatten to dotted paths with a stack of its own; None when the record passes a limit."""
    fields: dict[str, FieldValue] = {}
    stack: list[tuple[str, object, int]] = [("", record, 0)]
    budget = MAX_PATH_CHARS
    while stack:
        path, value, depth = stack.pop()
        if isinstance(value, (dict, list)) and value:
            budget -= len(value) * (len(path) + 1)
            if depth == MAX_DEPTH or budget < 0:
                return None
            if isinstance(value, list):
                children = [(f"{path}[{i}]", child, depth + 1) for i, child in enumerate(value)]
            else:
                dot = "." if depth else ""
                children = [(f"{path}{dot}{clean(key)}", child, depth + 1) for key, child in value.items()]
            stack.extend(reversed(children))
        elif isinstance(value, str):
            fields.setdefault(path, clean(value))
        elif value is None or isinstance(value, (bool, int, float)):
            fields.setdefault(path, value)
        else:
            fields.setdefault(path, "{}" if isinstance(value, dict) else "[]")
    return fields


def _text(value: object, *names: str) -> str | None:
    """Return the first of the members that is a text and not empty."""
    if isinstance(value, dict):
        for name in names:
            found = value.get(name)
            if isinstance(found, str) and found:
                return clean(found)
    return None


def _bucket_of(resources: object) -> str | None:
    for resource in resources if isinstance(resources, list) else ():
        match = _BUCKET_ARN.match(_text(resource, "ARN", "arn", "ARNPrefix") or "")
        if match:
            return match[1]
    return None


def _reject(reason: str, raw: str, offset: int | None) -> Reject:
    return Reject(channel=CLOUDTRAIL, reason=reason, raw=capped(raw), offset=offset)
