"""A made-up run of any size, with records as long and as varied as real ones: what the HTML report is tried on."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from offline import FACTS, RUN_ID, T0, a_call, a_delivery, a_record, seconds

from harness import catalogue
from harness.analyse.delay import summarise
from harness.analyse.fields import examine
from harness.analyse.join import Pair, Way
from harness.formats.cloudtrail import parse as parse_cloudtrail
from harness.formats.server_access import parse as parse_server_access
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, Cell, CellKey, Delivery, Record, Reject, Verdict
from harness.report import Result

CHANNELS = (
    SERVER_ACCESS,
    CLOUDTRAIL,
    "server-access-cloudwatch",
    "cloudtrail-cloudwatch",
    "cloudtrail-lookup",
    "eventbridge",
    "cloudtrail-lake",
)
NAMED = ("GetBucketAcl", "PutBucketAcl", "ListBuckets", "GetObject")
"""Operations that every made-up run has."""
VARIANTS = ("ok", "denied", "missing-bucket", "anonymous")
_ABSENCE_SECONDS = 14_400.0
_MEDIAN_SECONDS = {name: 4000 / 3**n for n, name in enumerate(CHANNELS)}


def large_result(
    folder: Path, rows: int = 350, channels: tuple[str, ...] = CHANNELS, repeats: int = 30, seed: int = 1
) -> Result:
    """Return a run of so many rows, each executed so often, in so many channels.

    Of its cells one in twelve is not observed, one in thirty pending, one in fifty partly logged, one in forty not run.
    """
    source = random.Random(seed)
    keys = _keys(rows)
    calls: list[Call] = []
    cells: list[Cell] = []
    paired: list[tuple[Record, Delivery, Pair | None]] = []
    for key in keys:
        made = [_call(len(calls) + n + 1, key, n, channels, source) for n in range(repeats)]
        calls += made
        for channel in channels:
            verdict = _verdict(source)
            pairs = [] if verdict in (Verdict.NOT_OBSERVED, Verdict.NOT_RUN) else _pairs(made, channel, source)
            pairs = pairs[: len(pairs) // 2] if verdict in (Verdict.PARTLY, Verdict.PENDING) else pairs
            paired += [(pair.record, pair.deliveries[0], pair) for pair in pairs]
            cells.append(_cell(key, channel, verdict, made, pairs))
    last = calls[-1].completed_at
    facts = {
        **FACTS,
        "region": "us-east-1",
        "repeats": repeats,
        "channels": list(channels),
        "started_at": T0.isoformat(),
        "s3logjam": "0.1.0",
        "python": "3.11.9",
        "absence_seconds": dict.fromkeys(channels, _ABSENCE_SECONDS),
        "polled_at": dict.fromkeys(channels, (last + seconds(20_000)).isoformat()),
    }
    deliveries = {channel: {"deliveries": 40, "rejects": 1} for channel in channels}
    return Result(
        folder=folder, facts=facts, cells=cells, calls=calls, paired=paired, unmatched=3, deliveries=deliveries
    )


def _keys(rows: int) -> list[CellKey]:
    """Return rows of operations from the whole catalogue, each in all variants."""
    every = list(catalogue.rows())
    names = dict.fromkeys([*NAMED, *every[:: max(1, len(every) * len(VARIANTS) // rows)], *every])
    return [CellKey(operation=name, variant=variant) for name in names for variant in VARIANTS][:rows]


def _verdict(source: random.Random) -> Verdict:
    at = source.random()
    for verdict, share in (
        (Verdict.NOT_OBSERVED, 0.083),
        (Verdict.PENDING, 0.033),
        (Verdict.PARTLY, 0.02),
        (Verdict.NOT_RUN, 0.025),
    ):
        if (at := at - share) < 0:
            return verdict
    return Verdict.LOGGED


def _call(number: int, key: CellKey, repeat: int, channels: tuple[str, ...], source: random.Random) -> Call:
    return a_call(
        number,
        operation=key.operation,
        cell=key,
        repeat=repeat,
        sent_at=T0 + seconds(number * 1.5),
        host="s3lm-bucket.s3.us-east-1.amazonaws.com",
        path=f"/key-{number}?acl",
        request_id=f"{source.getrandbits(80):020X}"[:16],
        host_id=f"{source.getrandbits(300):076x}",
        expected=dict.fromkeys(channels, 1),
        sent={"ACL": "private", "Metadata.owner": f"{source.getrandbits(60):x}"},
    )


def _pairs(calls: list[Call], channel: str, source: random.Random) -> list[Pair]:
    pairs: list[Pair] = []
    for call in calls:
        delay = source.lognormvariate(0, 0.5) * _MEDIAN_SECONDS[channel]
        arrived = call.completed_at + seconds(delay)
        name = f"s3://s3lm-{RUN_ID}-log/{channel}/{arrived:%Y-%m-%d-%H-%M-%S}-{call.number // 8:012X}"
        record = a_record(call, channel, identity=f"{channel}-{call.number}", **_content(call, channel, source))
        # Parsing is what takes long, and no report shows the fields of more than a few records of a cell.
        record = replace(record, fields=pairs[0].record.fields if len(pairs) > 2 else _fields(record.raw, channel))
        pairs.append(Pair(call, record, Way.REQUEST_ID, (a_delivery(name, arrived, channel=channel),)))
    return pairs


def _content(call: Call, channel: str, source: random.Random) -> dict[str, Any]:
    """Return name and raw text of a record."""
    operation = call.cell.operation if call.cell else call.operation
    agent = f"Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 lang/python#3.11.9 {call.marker}"
    if channel.startswith(SERVER_ACCESS):
        name = f"REST.{call.method}.{operation.removeprefix('s3control:').upper()[:24]}"
        raw = (
            f"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be s3lm-bucket [01/Jan/2026:00:00:38 +0000]"
            f" 192.0.2.3 arn:aws:iam::111122223333:user/tester {call.request_id} {name} key-{call.number}"
            f' "{call.method} {call.path} HTTP/1.1" 200 - - 31 {source.randrange(900)} 20 "-" "{agent}" -'
            f" {call.host_id} SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader {call.host} TLSv1.2 - -"
        )
        return {"name": name, "raw": raw}
    event = _event(call, operation.removeprefix("s3control:"), agent, source)
    return {"name": event["eventName"], "raw": json.dumps(event)}


def _fields(raw: str, channel: str) -> Mapping[str, Any]:
    if channel.startswith(SERVER_ACCESS):
        return parse_server_access(raw.encode()).records[0].fields
    return parse_cloudtrail(f'{{"Records": [{raw}]}}'.encode()).records[0].fields


def _event(call: Call, name: str, agent: str, source: random.Random) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": f"AIDA{source.getrandbits(80):020X}"[:21],
            "arn": "arn:aws:iam::111122223333:user/tester",
            "accountId": "111122223333",
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": "tester",
        },
        "eventTime": f"{call.sent_at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.3",
        "userAgent": f"[{agent}]",
        "requestParameters": {"bucketName": "s3lm-bucket", "Host": call.host, "key": call.key, "acl": ""},
        "responseElements": None,
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "CipherSuite": "ECDHE-RSA-AES128-GCM-SHA256",
            "bytesTransferredIn": source.randrange(9000),
            "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": call.host_id,
            "bytesTransferredOut": source.randrange(9000),
        },
        "requestID": call.request_id,
        "eventID": f"{source.getrandbits(128):032x}",
        "readOnly": False,
        "resources": [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::s3lm-bucket/{call.key}"}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }


def _cell(key: CellKey, channel: str, verdict: Verdict, calls: list[Call], pairs: list[Pair]) -> Cell:
    ran = verdict is not Verdict.NOT_RUN
    fields, wrong = examine(channel, pairs[:3])
    delays = [(pair.deliveries[0].arrived_at - pair.call.completed_at).total_seconds() for pair in pairs]
    return Cell(
        operation=key.operation,
        variant=key.variant,
        channel=channel,
        verdict=verdict,
        calls=len(calls) if ran else 0,
        logged=len(pairs),
        records=len(pairs),
        expected=len(calls) if ran else 0,
        names={pairs[0].record.name: len(pairs)} if pairs else {},
        statuses={"200": len(calls)} if ran else {},
        fields=fields,
        wrong=wrong[:1],
        joins={"request-id": len(pairs)} if pairs else {},
        delay=summarise(delays),
        reason="" if verdict is Verdict.LOGGED else f"{len(pairs)} of {len(calls)} within 4:00:00",
    )


def hostile_result(folder: Path, texts: Sequence[str]) -> Result:
    """Return a run with a row for each text: there it is all that somebody else may choose, from key to reason.

    The first text stands for the run's facts too.
    """
    calls: list[Call] = []
    cells: list[Cell] = []
    paired: list[tuple[Record, Delivery, Pair | None]] = []
    for number, text in enumerate(texts, 1):
        key = CellKey(operation="PutObject", variant=f"{number} {text}")
        names = dict.fromkeys(
            ("bucket", "key", "user_agent", "error_code", "request_id", "host_id", "host", "path"), text
        )
        call = a_call(number, cell=key, sent={text: text}, expected={SERVER_ACCESS: 1, CLOUDTRAIL: 1}, **names)
        calls.append(call)
        raws = {SERVER_ACCESS: f"79a59 {text}", CLOUDTRAIL: json.dumps({text: [text]}, ensure_ascii=False)}
        for channel, raw in raws.items():
            fields = {text: text, "user_agent": text, "eventCategory": text, "referer": text}
            identity = f"{channel}-{number}"
            record = a_record(call, channel, name=text, raw=raw, fields=fields, identity=identity)
            delivery = a_delivery(f"s3://logs/{text}", call.completed_at + seconds(60), channel=channel)
            paired.append((record, delivery, Pair(call, record, Way.REQUEST_ID, (delivery,))))
            cells.append(_hostile_cell(key, channel, text))
    facts = {**FACTS, "region": texts[0], "note": texts[0], "absence_seconds": {SERVER_ACCESS: 60.0}}
    rejects = [(Reject(channel=SERVER_ACCESS, reason=text, raw=text, offset=0), f"s3://logs/{text}") for text in texts]
    return Result(
        folder=folder, facts=facts, cells=cells, calls=calls, paired=paired, unmatched=0, deliveries={}, rejects=rejects
    )


def _hostile_cell(key: CellKey, channel: str, text: str) -> Cell:
    return Cell(
        operation=key.operation,
        variant=key.variant,
        channel=channel,
        verdict=Verdict.LOGGED,
        calls=1,
        logged=1,
        records=1,
        expected=1,
        names={text: 1},
        statuses={f"200 {text}": 1},
        fields={text: {"class": text, "present": 1, "values": [text]}},
        wrong=[{"field": text, "expected": text, "seen": text, "call": 1}],
        payload={"sent": 1, "recovered": 0, "lost": [text]},
        reason=text,
    )


MARKUP = ("</script><img src=x onerror=pwned()>", '"><svg onload=pwned()>', "<a href='javascript:pwned()'>x</a>")
"""What would run if it became markup."""
