"""Payload fidelity: how much of what a call asked for can be read back from its records (Netskope's claim of 2019)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session
from botocore.exceptions import BotoCoreError
from botocore.model import ListShape, MapShape, OperationNotFoundError, Shape, StructureShape
from botocore.utils import determine_content_length, parse_to_aware_datetime

from harness.model import SERVER_ACCESS, Record

MAX_LEAVES = 10_000  # a batch delete has at most 1,000 keys of four members, a bucket policy 20 kB
MAX_DEPTH = 64  # as in harness.formats.cloudtrail
MAX_PATHS = 20  # in a summary
MIN_CUT_CHARS = 256  # CloudTrail cuts texts at 1 kB; a shorter prefix is rather another value

# What only names the resource is no payload: any log must hold it (Id: which of several configurations). So is all in
# the URI's path. In a body the same name is payload, as the Bucket of s3control's CreateAccessPoint.
_NAMING = {"Bucket", "Key", "Name", "VersionId", "UploadId", "PartNumber", "Id", "AnnotationName", "RequestRoute"}
_NAMING |= {"ExpectedBucketOwner", "ExpectedSourceBucketOwner", "AccountId", "OutpostId"}
_ADDRESSES = {name.casefold() for name in _NAMING} | {"bucketname"}  # the same, as records have it
# Key material and its digest, one-time passwords and tokens must not reach the journal.
_SECRET = re.compile(r"customer-?key|(?:token|secret|password|access-?key)$|^(?:x-amz-)?mfa$", re.IGNORECASE)
_WIRE_NAMES = {"Policy": "bucketPolicy"}  # a body without an element name (native records: cloud-custodian's fixtures)
_SIZES = ("object_size", "s3.object.size", "additionalEventData.objectSize", "additionalEventData.bytesTransferredIn")
_SIZE = "<size>"  # stands for the names of all of them
_INDEX = re.compile(r"\[\d+\]")
_STEP = re.compile(r"\.?([^.\[]+)((?:\[\d+\])?)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.{0,24}|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d.{0,10}")
_ALIKE = {"true": "true", "false": "false", "{}": "", "[]": ""}
_session = cache(botocore.session.get_session)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Which leaves of one call its records hold: every sent path is in exactly one of the three."""

    recovered: tuple[str, ...] = ()
    truncated: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """Recovered leaves among those sent; None when nothing was sent."""
        total = len(self.recovered) + len(self.truncated) + len(self.lost)
        return len(self.recovered) / total if total else None


def sent_leaves(operation: str, parameters: Mapping[str, Any], service: str = "s3") -> dict[str, str]:
    """Return the leaves of a call's parameters, without what names the resource and without secrets.

    Args:
        operation: botocore's operation name; of an unknown one, names are taken as they are.
        parameters: As boto3 takes them.
        service: botocore's service name.

    Returns:
        Dotted path to text, at most ``MAX_LEAVES``. A body is ``Body.size`` in bytes (left out where only reading it
        would tell), an empty structure ``""``, a list in a header one text, as on the wire.
    """
    shape, _ = _input(operation, service)
    asked: dict[str, Any] = {}
    for name, value in parameters.items():
        member = shape.members.get(name) if shape else None
        location = member.serialization.get("location") if member else None
        if location == "uri" or (name in _NAMING and (location or member is None)):
            continue
        if name == "CopySource" and isinstance(value, Mapping):  # as the header has it before botocore encodes it
            bucket, key, version = (_text(value.get(part, "")) for part in ("Bucket", "Key", "VersionId"))
            middle = "/object/" if bucket.startswith("arn:") else "/"
            asked[name] = bucket + middle + key + (version and f"?versionId={version}")
        elif location == "header" and isinstance(value, (list, tuple)):
            asked[name] = ",".join(map(_text, value))
        else:
            asked[name] = value if location or (member and member.type_name == "blob") else _document(value)
    return dict(islice(_leaves("", asked, shape), MAX_LEAVES))


def recover(operation: str, sent: Mapping[str, str], *records: Record, service: str = "s3") -> Recovery:
    """Decide for each sent leaf whether the records of its call hold it, by its own name and with its value.

    Args:
        operation, service: As for ``sent_leaves``.
        sent: What ``sent_leaves`` returned.
        records: All records of the call in one channel; without any, everything is lost.
    """
    shape, subresources = _input(operation, service)
    pool: defaultdict[tuple[str, str], list[str]] = defaultdict(list)  # name and text to every place that has them
    for path, text in (each for record in records for each in _occurrences(record)):
        # A batch delete's records are the only ones whose key is payload: it is that of a member.
        if path not in subresources and (path.casefold() not in _ADDRESSES or operation == "DeleteObjects"):
            pool[path.casefold().rpartition(".")[2], _normal(text)].append(path.casefold())
    found: dict[str, str] = {}
    for turn in ("place", "name", "cut"):  # the place first: of two leaves alike, the missing one is called lost
        for path in (path for path in sent if path not in found):
            wanted, (place, *names) = _normal(sent[path]), _wire(path, shape)
            keys = [(name, wanted) for name in names]
            if turn == "cut" and len(wanted) > MIN_CUT_CHARS:
                keys = [(n, t) for n, t in pool if n in names and len(t) >= MIN_CUT_CHARS and wanted.startswith(t)]
            for places in (pool.get(key, []) for key in keys):
                if places and (place in places or turn != "place"):
                    places.remove(place if turn == "place" else places[0])
                    found[path] = "truncated" if turn == "cut" else "recovered"
                    break
    return Recovery(*(tuple(p for p in sent if found.get(p, "lost") == kind) for kind in Recovery.__slots__))


def summarise(recoveries: Sequence[Recovery]) -> dict[str, Any] | None:
    """Summarise the calls of one cell, or return None where none of them sent a leaf."""
    recovered, truncated, lost = ([p for r in recoveries for p in getattr(r, kind)] for kind in Recovery.__slots__)
    if not (sent := len(recovered) + len(truncated) + len(lost)):
        return None
    counts = {"sent": sent, "recovered": len(recovered), "share": round(len(recovered) / sent, 3)}
    return counts | {"lost": sorted(set(lost))[:MAX_PATHS], "truncated": sorted(set(truncated))[:MAX_PATHS]}


@lru_cache(maxsize=1024)
def _input(operation: str, service: str) -> tuple[StructureShape | None, frozenset[str]]:
    """Return an operation's input and the sub-resources in its URI, which records repeat as empty parameters."""
    try:
        model = _session().get_service_model(service).operation_model(operation)
    except (BotoCoreError, OperationNotFoundError):
        return None, frozenset()
    query = parse_qsl(model.http["requestUri"].partition("?")[2], keep_blank_values=True)
    return model.input_shape, frozenset(dict(query))


def _leaves(path: str, value: Any, shape: Shape | None, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Walk a value alongside its shape; without one (a JSON document) the names are taken as they are."""
    kind = shape.type_name if shape else ""
    if kind == "blob" or isinstance(value, (bytes, bytearray)) or hasattr(value, "read"):
        with suppress(Exception):  # whatever a closed or odd file object raises
            size = determine_content_length(value.encode() if isinstance(value, str) else value)
            yield from [] if size is None else [(f"{path}.size", str(size))]
    elif not isinstance(value, (Mapping, list, tuple)) or depth == MAX_DEPTH:
        yield path, _text(value, kind)
    elif not value:  # an empty element; flattened lists and headers put nothing on the wire
        yield from [(path, "")] if path and not (shape and {"flattened", "location"} & set(shape.serialization)) else []
    elif isinstance(value, Mapping):
        members = shape.members if isinstance(shape, StructureShape) else {}
        for name, each in ((_text(key), each) for key, each in value.items()):
            if not _SECRET.search(name):
                yield from _leaves(f"{path}.{name}" if path else name, each, members.get(name), depth + 1)
    else:
        for index, each in enumerate(value):
            yield from _leaves(f"{path}[{index}]", each, getattr(shape, "member", None), depth + 1)


def _text(value: Any, kind: str = "") -> str:
    if kind == "timestamp" or isinstance(value, datetime) or (isinstance(value, str) and _TIME.fullmatch(value)):
        with suppress(Exception):  # botocore and dateutil raise many kinds; no zone means UTC to them
            return parse_to_aware_datetime(value).isoformat(timespec="seconds")[:19] + "Z"
    text = value if isinstance(value, str) else f"<{type(value).__name__}>"
    if value is None or isinstance(value, (int, float)):
        with suppress(ValueError):  # more than 4300 digits
            text = json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()  # as in the parsers: SQLite holds no lone surrogates


def _normal(text: str) -> str:
    return _ALIKE.get(text.lower(), _text(text))


def _document(value: Any) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(value) if isinstance(value, str) and value.lstrip().startswith("{") else value
    return value


def _wire(path: str, shape: Shape | None) -> tuple[str, ...]:
    """Return where a sent leaf stands on the wire, then the names it may have in a record, all case-folded."""
    places: list[str] = []
    names, position = [path], 0
    while isinstance(shape, StructureShape) and (step := _STEP.match(path, position)) and step[1] in shape.members:
        shape, position = shape.members[step[1]], step.end()
        places.append(shape.serialization.get("name") or _WIRE_NAMES.get(step[1], step[1]))
        names = [step[1], places[-1]]
        if step[2] and isinstance(shape, ListShape):
            if not shape.serialization.get("flattened"):
                places.append(shape.member.serialization.get("name", "member"))
            shape, names = shape.member, [*names, places[-1]]
    rest = _INDEX.sub("", path[position:]).removeprefix(".")
    if path == "Body.size" or (rest == "size" and shape and shape.type_name == "blob"):
        return _SIZE, _SIZE
    if rest:  # a map's key (Metadata) follows the prefix of its header, a document's path the member's name
        places[-1:] = [places[-1] + rest] if isinstance(shape, MapShape) else [*places[-1:], rest]
        names = [places[-1].rpartition(".")[2]]
    return tuple(each.casefold() for each in (".".join(places), *names))


def _occurrences(record: Record) -> Iterator[tuple[str, str]]:
    """Yield whatever in a record may be payload: its path in the request, without indices, and its text."""
    is_line = record.channel.startswith(SERVER_ACCESS)
    for name, value in record.fields.items():
        _, requested, path = name.partition("requestParameters.")
        if name in _SIZES:
            yield _SIZE, _text(value)
        elif is_line and value is not None:
            yield name.replace("_", ""), _text(value)
        elif requested and not is_line:
            plain = unquote(_text(value)) if path.lower().startswith("x-amz-copy-source") else value
            texts = {path: _text(plain)} | dict(islice(_leaves(path, _document(plain), None), MAX_LEAVES))
            yield from ((_INDEX.sub("", at), text) for at, text in texts.items())
    if is_line:
        target = _text(record.fields.get("request_uri") or "").partition(" ")[2].rpartition(" HTTP/")[0]
        yield from parse_qsl(target.partition("?")[2], keep_blank_values=True)
