"""Runs that never ran: AWS-like log text of every operation, with seeded delays and chosen faults, in milliseconds.

The text goes through the project's own parsers, join and matrix, so that a fault is put where AWS would put it: into a
log file.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from offline import ACCOUNT, FACTS, REGION, a_call, a_delivery, a_result

from harness import catalogue
from harness.analyse import matrix
from harness.analyse.join import Joiner
from harness.analyse.snapshot import Snapshot
from harness.embedded.delays import CLOUDTRAIL_DELAY, SERVER_ACCESS_DELAY
from harness.formats import cloudtrail, server_access
from harness.journal import FILE_NAME, Journal
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, CellKey, Delivery, Level, Parsed, Record, Role
from harness.report import matrix_json
from harness.report.snapshots import from_matrix
from harness.run import analyse
from harness.testing import FakeClock

BUCKET = "drift-bucket-one"
USER = "drift-tester"
ADDRESS = "10.20.30.40"
DELAYS = {SERVER_ACCESS: SERVER_ACCESS_DELAY, CLOUDTRAIL: CLOUDTRAIL_DELAY}
ABSENCE = {SERVER_ACCESS: 14_400, CLOUDTRAIL: 3600}
_HEX = "0123456789abcdef" * 4
_UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


SOME = (
    "CopyObject",
    "DeleteBucketTagging",
    "DeleteObject",
    "DeleteObjectTagging",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketPolicy",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectTagging",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "PutBucketAcl",
    "PutBucketCors",
    "PutBucketPolicy",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutObject",
    "PutObjectAcl",
    "PutObjectTagging",
    "RestoreObject",
    "UploadPart",
)
"""Operations of every class: what most tests need."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What AWS does otherwise, by operation and channel.

    Attributes:
        renamed: New names.
        lost: Calls whose records are not delivered.
        lost_related: Calls of which only the first record is delivered.
        category: New event categories by operation.
        dropped: Top-level CloudTrail members that are gone from every event.
        added: Whether server access lines have a 28th field.
        slower: Factor of the delays by channel.
        denied: Operations that are refused.
    """

    renamed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    lost: frozenset[tuple[str, str]] = frozenset()
    lost_related: frozenset[tuple[str, str]] = frozenset()
    category: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    added: bool = False
    slower: Mapping[str, float] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Traffic:
    """What a run would have in its journal."""

    planned: dict[CellKey, tuple[int, str]]
    calls: list[Call]
    records: list[tuple[Record, Delivery]]
    polled_at: datetime


@cache
def behaviours() -> dict[str, dict[str, str]]:
    text = resources.files("harness.embedded").joinpath("behaviour.csv").read_text("utf-8")
    known = catalogue.operations()
    return {row["operation"]: row for row in csv.DictReader(text.splitlines()) if row["operation"] in known}


def traffic(seed: int = 1, faults: Faults | None = None, operations: tuple[str, ...] = SOME) -> Traffic:
    """Return the traffic of one call of each operation (all, if none is named), between two control calls."""
    faults, source, clock = faults or Faults(), random.Random(seed), FakeClock()
    calls: list[Call] = []
    records: list[tuple[Record, Delivery]] = []
    names = [name for name in behaviours() if not operations or name in operations]
    for operation, role in [
        ("PutObject", Role.CONTROL),
        *((n, Role.SUBJECT) for n in names),
        ("PutObject", Role.CONTROL),
    ]:
        clock.sleep(source.uniform(5, 60))
        call = _call(len(calls) + 1, operation, role, clock.now(), source, operation in faults.denied)
        calls.append(call)
        for channel in (SERVER_ACCESS, CLOUDTRAIL):
            for offset, raw in enumerate(_texts(call, channel, faults, source)):
                records.append((_parsed(channel, raw), _delivery(call, channel, offset, faults, source)))
    planned = {CellKey(operation=name): (1, "") for name in names}
    return Traffic(planned, calls, records, clock.now() + timedelta(hours=6))


def _call(number: int, operation: str, role: Role, at: datetime, source: random.Random, denied: bool) -> Call:
    known = catalogue.operations()[operation]
    key = f"folder/object {number}" if known.level is Level.OBJECT else None
    related = 2 if behaviours()[operation]["server_access_related"] else 1
    logged = {
        SERVER_ACCESS: related if behaviours()[operation]["server_access"] else 0,
        CLOUDTRAIL: 1 if behaviours()[operation]["event_name"] else 0,
    }
    path = f"/{'' if key is None else key.replace(' ', '%20')}"
    return a_call(
        number,
        operation=operation,
        role=role,
        cell=CellKey(operation=operation) if role is Role.SUBJECT else None,
        sent_at=at,
        received_at=at + timedelta(seconds=source.uniform(0.1, 2)),
        method=known.method,
        host=f"{BUCKET}.s3.{REGION}.amazonaws.com",
        path=path,
        bucket=BUCKET,
        key=key,
        status=403 if denied else 200,
        error_code="AccessDenied" if denied else None,
        request_id="".join(source.choices(_UPPER, k=16)),
        host_id="".join(source.choices(_UPPER, k=40)) + "=",
        expected=logged,
    )


def _texts(call: Call, channel: str, faults: Faults, source: random.Random) -> list[str]:
    row = behaviours()[call.operation]
    key = (call.operation, channel)
    if key in faults.lost:
        return []
    if channel == CLOUDTRAIL:
        name = faults.renamed.get(key, row["event_name"])
        return [_event(call, name, row, faults, source)] if name else []
    names = [faults.renamed.get(key, row["server_access"]), row["server_access_related"]]
    names = names[:1] if key in faults.lost_related else names
    return [_line(call, name, faults) for name in names if name]


def _line(call: Call, name: str, faults: Faults) -> str:
    key = "-" if call.key is None else call.key.replace(" ", "%2B")
    extra = " new-field" if faults.added else ""
    return (
        f"{_HEX} {BUCKET} [{call.sent_at:%d/%b/%Y:%H:%M:%S} +0000] {ADDRESS} arn:aws:iam::{ACCOUNT}:user/{USER}"
        f' {call.request_id} {name} {key} "{call.method} {call.path} HTTP/1.1" {call.status} {call.error_code or "-"}'
        f' 10 - 20 - "-" "{call.user_agent}" - {call.host_id} SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader'
        f" {call.host} TLSv1.3 - - {REGION}{extra}"
    )


def _event(call: Call, name: str, row: Mapping[str, str], faults: Faults, source: random.Random) -> str:
    category = faults.category.get(call.operation, row["event_category"]).capitalize()
    arn = f"arn:aws:s3:::{BUCKET}"
    event: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAIOSFODNN7EXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{USER}",
            "accountId": ACCOUNT,
            "userName": USER,
        },
        "eventTime": f"{call.sent_at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": row["event_source"],
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": ADDRESS,
        "userAgent": f"[{call.user_agent}]",
        "requestParameters": {"bucketName": BUCKET, "Host": call.host} | ({"key": call.key} if call.key else {}),
        "responseElements": None,
        "additionalEventData": {"x-amz-id-2": call.host_id, "bytesTransferredOut": source.randrange(9999)},
        "requestID": call.request_id,
        "eventID": "".join(source.choices("0123456789abcdef", k=32)),
        "readOnly": call.method == "GET",
        "resources": [{"type": "AWS::S3::Object", "ARN": f"{arn}/{call.key}"}] * (call.key is not None)
        + [{"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": arn}],
        "eventType": "AwsApiCall",
        "managementEvent": category == "Management",
        "recipientAccountId": ACCOUNT,
        "eventCategory": category,
    }
    if call.error_code:
        event |= {"errorCode": call.error_code, "errorMessage": "Access Denied"}
    return json.dumps({name: value for name, value in event.items() if name not in faults.dropped})


def _parsed(channel: str, raw: str) -> Record:
    if channel == CLOUDTRAIL:
        return cloudtrail.parse(raw.encode()).records[0]
    record = server_access.parse_line(raw, 0)
    assert isinstance(record, Record), record
    return record


def _delivery(call: Call, channel: str, offset: int, faults: Faults, source: random.Random) -> Delivery:
    model = DELAYS[channel]
    completed = (call.received_at or call.sent_at).timestamp()
    drawn = model.draw(source) * faults.slower.get(channel, 1)
    due = -(-(completed + drawn) // model.batch_seconds) * model.batch_seconds
    arrived = datetime.fromtimestamp(due, call.sent_at.tzinfo)
    name = f"s3://drift-logs/{ACCOUNT}/{channel}/{call.number}-{offset}"
    return a_delivery(name, arrived, channel=channel, seen_at=arrived + timedelta(seconds=30))


def facts(seed: int = 1) -> dict[str, Any]:
    told = {
        "region": REGION,
        "channels": list(ABSENCE),
        "absence_seconds": ABSENCE,
        "repeats": 1,
        "s3logjam": "0.1.0",
        "account_id": ACCOUNT,
    }
    return {**FACTS, **told, "seed": seed, "started_at": "2026-01-01T00:00:00+00:00"}


def measured(made: Traffic, seed: int = 1) -> Snapshot:
    """Return what a run with this traffic comes to, without touching the disk."""
    joiner = Joiner(made.calls)
    for record, delivery in made.records:
        joiner.add(record, delivery)
    polled_at = dict.fromkeys(ABSENCE, made.polled_at)
    cells = matrix.build(made.planned, {}, joiner, made.calls, ABSENCE, polled_at, {})
    result = a_result(Path("unused"), cells, facts=facts(seed), calls=made.calls)
    return from_matrix(matrix_json.document(result), f"run-{seed}")


def write_run(folder: Path, made: Traffic, seed: int = 1) -> Path:
    """Write a run's folder with this traffic."""
    folder.mkdir(parents=True)
    with Journal(folder / FILE_NAME, create=True) as journal:
        for name, value in facts(seed).items():
            journal.note(name, value)
        journal.note("polled_at", {channel: made.polled_at.isoformat() for channel in ABSENCE})
        journal.plan(made.planned)
        for call in made.calls:
            journal.intend(call)
            journal.complete(call)
        for record, delivery in made.records:
            journal.deliver(delivery, Parsed(records=(record,)))
        analyse(journal, folder)
    return folder
