"""Exports calls with the records that they left, names replaced, so that parsers elsewhere can be tested on them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.analyse.join import Joiner, Pair
from harness.disguise import Disguise, addresses
from harness.errors import JournalError
from harness.folders import run_folder
from harness.formats import cloudtrail, eventbridge, s3_notification, server_access, server_access_json
from harness.journal import FILE_NAME, Journal
from harness.model import (
    EVENTBRIDGE,
    S3_NOTIFICATION,
    SERVER_ACCESS,
    SERVER_ACCESS_CLOUDWATCH,
    Call,
    Record,
    Role,
)
from harness.report import headline, require_channels
from harness.rewrite import Rewriter
from harness.spelling import decoded

CORPUS_VERSION = 1
MIN_WORD = 6
"""A key or a person's name with fewer letters and digits is replaced where it is expected, but not in free text."""
_IDENTITY = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::(\d*):(?:[a-z-]+)/([^\s\"']+)")
_MARKER = re.compile(r"s3lm/([0-9a-z]+)/\d+")
_PARSERS = {
    SERVER_ACCESS_CLOUDWATCH: server_access_json.parse,
    EVENTBRIDGE: eventbridge.parse,
    S3_NOTIFICATION: s3_notification.parse,
}
_FACTS = ("target", "clock_factor", "started_at", "botocore")


@dataclass(frozen=True, slots=True)
class Exported:
    """How many pairs were written; how many withheld, because a name would have survived or the text is odd."""

    written: int
    withheld: int


def export(run: Path, out: Path, *, salt: bytes | None = None) -> Exported:
    """Write the subject calls of a run with their records as JSON Lines, one pair a line after a line of facts.

    Args:
        run: The run's folder.
        out: The file.
        salt: Makes the replacements repeatable; who has it can confirm a guessed name. Random without.

    Raises:
        UsageError: There is no run, or it had no channels.
        JournalError: The file cannot be written.
    """
    folder = run_folder(run)
    with Journal(folder / FILE_NAME) as journal:
        facts, calls = journal.facts(), journal.calls()
        require_channels(facts, folder)
        joiner = Joiner(calls)
        for record, delivery in journal.records():
            joiner.add(record, delivery)
    subjects = [call for call in calls if call.role is Role.SUBJECT]
    pairs = [pair for call in subjects for channel in facts["channels"] for pair in joiner.pairs(call, channel)]
    first = {"headline": headline(facts), "corpus_version": CORPUS_VERSION} | {n: facts.get(n) for n in _FACTS}
    written = 0
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(first) + "\n")
            for document in rewritten(pairs, facts, salt or secrets.token_bytes(32)):
                stream.write(json.dumps(document) + "\n")
                written += 1
    except OSError as error:
        raise JournalError(f"cannot write the corpus {out}: {error}") from error
    return Exported(written, len(pairs) - written)


def rewritten(pairs: Iterable[Pair], facts: Mapping[str, Any], salt: bytes) -> Iterator[dict[str, Any]]:
    """Yield each pair with its names replaced, equal ones by equal ones; leave out what cannot be rewritten safely.

    Args:
        pairs: Calls with their records.
        facts: Of the run: ``account_id`` and ``caller_arn`` are names too.
        salt: As for ``export``.
    """
    made = list(pairs)
    disguise, accounts = _learn(made, facts, salt)
    rewriter = Rewriter(disguise)
    for pair in made:
        document = _document(pair, rewriter)
        if document is None:
            continue
        plain = decoded("\n".join(_leaves([document["call"], document["record"]["raw"], document["record"]["fields"]])))
        survivors = [
            *(a for a in accounts if a in plain),
            *disguise.finds(plain),
            *disguise.taken & {*addresses(plain)},
        ]
        if not survivors:
            yield document


def _learn(pairs: list[Pair], facts: Mapping[str, Any], salt: bytes) -> tuple[Disguise, frozenset[str]]:
    """Collect every name before the first one is replaced; return what knows them, and the accounts."""
    texts = [text for p in pairs for text in (p.record.raw, p.call.user_agent, p.call.path, *_leaves(p.record.fields))]
    taken = frozenset(address for text in texts for address in addresses(decoded(text)))
    disguise = Disguise(salt, taken)
    identities = {m.groups() for text in [*texts, str(facts.get("caller_arn"))] for m in _IDENTITY.finditer(text)}
    people = {part for _, path in identities for part in path.split("/")}
    people |= {str(v) for p in pairs for name, v in p.record.fields.items() if v and name.endswith("serName")}
    buckets = {name for p in pairs for name in (p.call.bucket, p.record.bucket) if name}
    keys = {key for p in pairs for key in (p.call.key, p.record.key) if key}
    runs = {match[1] for text in texts for match in _MARKER.finditer(text)}
    for name in sorted({name for name in people if _is_word(name)} | buckets):
        disguise.learn(name, is_resource=True)
    for name in sorted({key for key in keys if _is_word(key)} | runs):
        disguise.learn(name)
    accounts = {account for account, _ in identities} | {str(facts.get("account_id") or "")}
    return disguise, frozenset(accounts - {""})


def _document(pair: Pair, rewriter: Rewriter) -> dict[str, Any] | None:
    call, record = pair.call, pair.record
    raw = rewriter.record(record)
    found = _parsed(record.channel, raw) if raw is not None else None
    if found is None or (found.name, found.status, len(found.fields)) != (
        record.name,
        record.status,
        len(record.fields),
    ):
        return None
    return {
        "operation": call.cell.operation if call.cell else call.operation,
        "variant": call.cell.variant if call.cell else "",
        "date": call.sent_at.date().isoformat(),
        "call": _call(call, rewriter),
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


def _call(call: Call, rewriter: Rewriter) -> dict[str, Any]:
    disguise = rewriter.disguise
    return {
        "number": call.number,
        "sent_operation": call.operation,
        "attempt": call.attempt,
        "sent_at": _time(call.sent_at),
        "received_at": _time(call.received_at),
        "method": call.method,
        "host": rewriter.host(call.host),
        "path": rewriter.target(call.path, call.bucket, call.host),
        "bucket": call.bucket and rewriter.member("bucket", call.bucket),
        "key": call.key and disguise.whole(call.key),
        "user_agent": disguise.free(call.user_agent),
        "status": call.status,
        "error_code": call.error_code,
        "request_id": call.request_id and disguise.whole(call.request_id),
        "host_id": call.host_id and disguise.whole(call.host_id),
    }


def _parsed(channel: str, raw: str) -> Record | None:
    """Read the new text as anybody would, so that what the corpus says of it is what stands in it."""
    if channel == SERVER_ACCESS:
        found = server_access.parse_line(raw, 0)
        return found if isinstance(found, Record) else None
    parse = _PARSERS.get(channel, cloudtrail.parse)
    text = f'{{"Records":[{raw}]}}' if channel == S3_NOTIFICATION else raw
    records = parse(text.encode("utf-8", "surrogatepass")).records
    return records[0] if len(records) == 1 else None


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(each)


def _is_word(text: str) -> bool:
    return sum(character.isalnum() for character in text) >= MIN_WORD


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
