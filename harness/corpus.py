"""Exports calls with the records that they left, names replaced, so that parsers elsewhere can be tested on them."""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.analyse.join import Joiner, Pair
from harness.disguise import Disguise, decoded
from harness.errors import JournalError
from harness.formats import cloudtrail, server_access
from harness.journal import FILE_NAME, Journal
from harness.model import SERVER_ACCESS, Call, Record, Role
from harness.report import headline
from harness.results import run_folder

CORPUS_VERSION = 1
MIN_WORD = 6
"""Keys and names with fewer letters and digits are replaced where they are expected, but not in free text."""
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?')
_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[\d.]{7,15})?")
_IDENTITY = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::(\d*):(?:[a-z-]+)/([^\s\"']+)")
_HOST = re.compile(r"(.+?)\.(s3[a-z0-9-]*\..*)", re.DOTALL)
_SERVICE_PATH = re.compile(r"/v\d{8}/[a-z-]+")
_KEEP = frozenset(
    "time operation http_status error_code bytes_sent object_size total_time turn_around_time signature_version "
    "cipher_suite authentication_type tls_version acl_required source_region".split()
)
_NAMES = frozenset(
    "bucket_owner request_id host_id version_id key prefix marker startafter start-after keymarker key-marker uploadid "
    "upload-id-marker versionid version-id-marker x-amz-version-id continuation-token clienttoken requestid eventid "
    "sharedeventid x-amz-id-2 accesskeyid x-id-marker annotationname".split()
)
"""Fields, parameters and JSON members (in lower case) that are one name as a whole."""
_RESOURCES = frozenset("bucket bucketname username sessionname".split())


@dataclass(frozen=True, slots=True)
class Exported:
    """How many pairs were written, and how many withheld because a name would have survived or the text is odd."""

    written: int
    withheld: int


def export(run: Path, out: Path, *, salt: bytes | None = None) -> Exported:
    """Write the subject calls of a run with their records as JSON Lines, one pair a line after a line of facts.

    Args:
        run: The run's folder.
        out: The file.
        salt: Makes the replacements repeatable; with it a guessed name can be confirmed. Random without.

    Raises:
        UsageError: There is no run.
        JournalError: The file cannot be written.
    """
    with Journal(run_folder(run) / FILE_NAME) as journal:
        facts, calls = journal.facts(), journal.calls()
        joiner = Joiner(calls)
        for record, delivery in journal.records():
            joiner.add(record, delivery)
    subjects = [call for call in calls if call.role is Role.SUBJECT]
    pairs = [pair for call in subjects for channel in facts["channels"] for pair in joiner.pairs(call, channel)]
    lines = Corpus(salt or secrets.token_bytes(32)).lines(pairs, facts)
    withheld = written = 0
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(_facts(facts)) + "\n")
            for line in lines:
                written, withheld = written + (line is not None), withheld + (line is None)
                if line is not None:
                    stream.write(line + "\n")
    except OSError as error:
        raise JournalError(f"cannot write the corpus {out}: {error}") from error
    return Exported(written, withheld)


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: facts.get(name) for name in ("target", "clock_factor", "started_at", "botocore")}
    return {"headline": headline(facts), "corpus_version": CORPUS_VERSION, **told}


@dataclass(slots=True)
class Corpus:
    """Rewrites pairs; equal names become equal throughout one corpus."""

    salt: bytes
    _disguise: Disguise = field(init=False)
    _secrets: frozenset[str] = field(init=False, default=frozenset())

    def lines(self, pairs: Iterable[Pair], facts: Mapping[str, Any]) -> Iterator[str | None]:
        """Yield a line for each pair, or None for one that cannot be rewritten safely."""
        made = list(pairs)
        self._learn(made, facts)
        for pair in made:
            line = self._line(pair)
            plain = decoded(line.encode().decode("unicode_escape")) if line else ""
            safe = not any(word in plain for word in self._secrets) and not self._disguise.finds(plain)
            yield line if line and safe else None

    def _learn(self, pairs: list[Pair], facts: Mapping[str, Any]) -> None:
        """Collect every name before the first line is written."""
        texts = [text for pair in pairs for text in (pair.record.raw, pair.call.user_agent, pair.call.path)]
        addresses = {a for text in texts for a in _ADDRESS.findall(decoded(text)) if _is_address(a)}
        self._disguise = Disguise(self.salt, frozenset(addresses))
        identities = {m.groups() for text in [*texts, str(facts.get("caller_arn"))] for m in _IDENTITY.finditer(text)}
        accounts = {str(facts.get("account_id") or ""), *(account for account, _ in identities)} - {""}
        people = {part for _, path in identities for part in path.split("/")}
        people |= {str(v) for p in pairs for n, v in p.record.fields.items() if v and n.endswith("serName")}
        buckets = {name for p in pairs for name in (p.call.bucket, p.record.bucket) if name}
        keys = {key for p in pairs for key in (p.call.key, p.record.key) if key and _is_word(key)}
        runs = {match[1] for text in texts for match in re.finditer(r"s3lm/([0-9a-z]+)/\d+", text)}
        for name in {name for name in people if _is_word(name)} | buckets:
            self._disguise.learn(name, is_resource=True)
        for name in keys | runs:
            self._disguise.learn(name)
        self._secrets = frozenset(addresses | accounts | {name for name in people if _is_word(name)} | buckets)

    def _line(self, pair: Pair) -> str | None:
        call, record = pair.call, pair.record
        rewrite = self._access_line if record.channel.startswith(SERVER_ACCESS) else self._event
        raw = rewrite(record)
        found = _parsed(record.channel, raw) if raw is not None else None
        if found is None or (found.name, found.status) != (record.name, record.status):
            return None
        document = {
            "operation": call.cell.operation if call.cell else call.operation,
            "variant": call.cell.variant if call.cell else "",
            "date": call.sent_at.date().isoformat(),
            "call": self._call(call),
            "record": {
                "channel": record.channel,
                "name": record.name,
                "event_time": _time(record.event_time),
                "arrived_at": _time(min(delivery.arrived_at for delivery in pair.deliveries)),
                "joined_by": pair.way.value,
                "key": found.key,
                "fields": dict(found.fields),
                "raw": raw,
            },
        }
        return json.dumps(document)

    def _call(self, call: Call) -> dict[str, Any]:
        d = self._disguise
        path = self._target(call.path, None if call.service != "s3" else call.bucket, call.host)
        told: dict[str, Any] = {"number": call.number, "sent_operation": call.operation, "attempt": call.attempt}
        told |= {"sent_at": _time(call.sent_at), "received_at": _time(call.received_at)}
        told |= {"method": call.method, "host": self._host(call.host), "path": path}
        told |= {"bucket": call.bucket and d.resource(call.bucket), "key": call.key and d.whole(call.key)}
        told |= {"user_agent": d.free(call.user_agent), "status": call.status, "error_code": call.error_code}
        return told | {"request_id": d.whole(call.request_id or ""), "host_id": d.whole(call.host_id or "")}

    def _access_line(self, record: Record) -> str | None:
        """Rewrite a line field by field, in its own layout; None where the fields are not found in it."""
        made: list[str] = []
        position = 0
        bucket, host = record.bucket, str(record.fields.get("host_header") or "")
        for name, value in record.fields.items():
            if name == "field_count":
                continue
            gap = re.compile(r"[ \t\r\n\x0b\x0c]*").match(record.raw, position)
            position = gap.end() if gap else position
            made.append(gap[0] if gap else "")
            if record.raw[position : position + 1] in ('"', "["):
                made.append(record.raw[position])
                position += 1
            text = "-" if value is None else str(value)
            if isinstance(value, int):  # as it stands, with leading zeros
                digits = re.compile(r"\d+").match(record.raw, position)
                text = digits[0] if digits else text
            if not record.raw.startswith(text, position):
                return None
            made.append(text if value is None or name in _KEEP else self._field(name, text, bucket, host))
            position += len(text)
            if record.raw[position : position + 1] in ('"', "]"):
                made.append(record.raw[position])
                position += 1
        return "".join([*made, record.raw[position:]])

    def _field(self, name: str, text: str, bucket: str | None, host: str) -> str:
        if name == "request_uri":
            method, _, rest = text.partition(" ")
            target, blank, protocol = rest.rpartition(" ")
            return f"{method} {self._target(target, bucket, host)}{blank}{protocol}"
        if name == "referer":
            scheme, mark, rest = text.rpartition("://")
            return scheme + mark + self._disguise.whole(rest)
        return self._member(name, text)

    def _member(self, name: str, text: str) -> str:
        """Rewrite the value of a field, a query parameter or a JSON member."""
        d, name = self._disguise, name.lower()
        if text.startswith("arn:"):
            return d.free(text)
        if name in _NAMES:
            return d.whole(text)
        if name in _RESOURCES:
            return d.resource(text)
        if name in ("host", "host_header"):
            return self._host(text)
        if name == "principalid":
            first, colon, rest = text.partition(":")
            return (d.free(first) if first[:1] == "A" else d.whole(first)) + colon + d.resource(rest)
        if name == "x-amz-copy-source":
            cut = re.fullmatch(r"(/|%2F)?(.*?)(/|%2F)(.*?)(\?versionId=.*)?", text, re.IGNORECASE | re.DOTALL)
            if cut:
                version = cut[5] or ""
                ends = (version[:11], d.whole(version[11:]))
                return "".join([cut[1] or "", d.resource(cut[2]), cut[3], d.whole(cut[4]), *ends])
        return d.free(text)

    def _host(self, text: str) -> str:
        named = _HOST.fullmatch(text)
        return f"{self._disguise.resource(named[1])}.{named[2]}" if named else self._disguise.free(text)

    def _target(self, target: str, bucket: str | None, host: str) -> str:
        """Rewrite path and query of a request; in path style the bucket's name leads the path."""
        path, mark, query = target.partition("?")
        service = _SERVICE_PATH.match(path)
        if service:
            path = service[0] + "".join(self._disguise.whole(part) for part in re.split(r"(/)", path[service.end() :]))
        elif bucket and not host.startswith(f"{bucket}.") and path[1 : len(bucket) + 2].rstrip("/") == bucket:
            path = f"/{self._disguise.resource(bucket)}{self._tail(path[len(bucket) + 1 :])}"
        else:
            path = self._tail(path)
        parts = (part.partition("=") for part in query.split("&"))
        return path + mark + "&".join(name + equals + self._member(name, value) for name, equals, value in parts)

    def _tail(self, path: str) -> str:
        return path[:1] + self._disguise.whole(path[1:])

    def _event(self, record: Record) -> str:
        """Rewrite a JSON record text by text, in its own layout."""
        member = ""

        def replaced(found: re.Match[str]) -> str:
            nonlocal member
            literal = found[0][: len(found[0]) - len(found[1] or "")]
            text = json.loads(literal, strict=False)
            if found[1]:
                member = text
                return found[0]
            new = self._member(member, text)
            if new == text:
                return literal
            written = json.dumps(new, ensure_ascii=literal.isascii())
            return written.replace("/", "\\/") if "\\/" in literal else written

        return _TEXT.sub(replaced, record.raw)


def _parsed(channel: str, raw: str) -> Record | None:
    """Read the new text as anybody would, so that what the corpus says of it is what stands in it."""
    if channel.startswith(SERVER_ACCESS):
        found = server_access.parse_line(raw, 0)
        return found if isinstance(found, Record) else None
    records = cloudtrail.parse(raw.encode()).records
    return records[0] if len(records) == 1 else None


def _is_word(text: str) -> bool:
    return sum(character.isalnum() for character in text) >= MIN_WORD


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
