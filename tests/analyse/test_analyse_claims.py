"""The claims about the two logs as a whole: each check, on runs that speak for and against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from typing import Any

import pytest
from offline import a_call, a_delivery
from verify_kit import Row, Told, a_run, default_run, event, line, merged

from harness.analyse.claims import CHECKS, check_claims
from harness.analyse.verify import Answer, ClaimVerdict, Seen
from harness.catalogue import documented
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Role, Verdict

CONFIRMED, CONTRADICTED, UNDETERMINED = ClaimVerdict.CONFIRMED, ClaimVerdict.CONTRADICTED, ClaimVerdict.UNDETERMINED


PUT = ("PutObject", "ok")
ACLS = ("PutObjectAcl", "PutBucketAcl")
LOCKS = ("PutObjectRetention", "PutObjectLegalHold", "PutObjectLockConfiguration", "SelectObjectContent")
BUCKET_CALLS = ("ListBuckets", "CreateBucket", "DeleteBucket")
KEYS = {f"Delete.Objects[{n}].Key": f"k{n}" for n in range(2)}
AGENT = 'agent "quoted" s3lm/0badcafe/2'
SESSION = dict.fromkeys(("request_uri", "requester", "bucket", "key", "bytes_sent", "object_size", "total_time"), "x")
SESSION |= {"turn_around_time": 1, "authentication_type": "AuthHeader", "referer": "r", "field_count": 27}
LINES: Sequence[Mapping[str, Any]] = [
    line("REST.POST.MULTI_OBJECT_DELETE"),
    *({**line("BATCH.DELETE.OBJECT"), "key": f"k{n}"} for n in range(2)),
]
EVENTS: Sequence[Mapping[str, Any]] = [
    event("DeleteObjects"),
    *({**event("DeleteObject", eventType="AwsServiceEvent"), "key": f"k{n}"} for n in range(2)),
]
LOGGED: Told = {SERVER_ACCESS: [line("L")], CLOUDTRAIL: [event("E")]}
PUTS: Told = {SERVER_ACCESS: [line("REST.PUT.OBJECT", **SESSION)], CLOUDTRAIL: [event("PutObject")]}
BOTH_KINDS: Mapping[Row, Told] = {PUT: PUTS, ("PutBucketAcl", "ok"): {CLOUDTRAIL: [event("E", "management")]}}
BY_POLICY = a_call(900, role=Role.SETUP, cell=None, operation="PutBucketPolicy", bucket="logs", key=None)
BY_ACL = a_call(901, role=Role.SETUP, cell=None, operation="PutBucketAcl", bucket="logs", key=None)


def answer(name: str, seen: Seen) -> Answer:
    (claim,) = (c for c in documented.claims() if c.id == name)
    return check_claims([claim], seen)[0].answer


def rows(*names: str, variant: str = "ok", **told: Any) -> dict[Row, Told]:
    """The same records for several operations; ``server_access`` and ``cloudtrail`` name the channels."""
    return {
        (name, variant): {channel.replace("_", "-"): records for channel, records in told.items()} for name in names
    }


def puts(*events: Mapping[str, Any], **run: Any) -> Seen:
    """A run of one operation, with these events instead of the plain one."""
    return a_run({PUT: {**PUTS, CLOUDTRAIL: events or PUTS[CLOUDTRAIL]}}, **run)


def asking(names: Sequence[str], sent: Mapping[str, str], variant: str = "ok", **told: Any) -> Seen:
    """A run of operations that asked for something."""
    return a_run(rows(*names, variant=variant, **told), calls={(name, variant): {"sent": sent} for name in names})


def by(channel: str, operation: str, record: Mapping[str, Any]) -> Seen:
    """A run of one other channel."""
    return a_run({(operation, "ok"): {channel: [record]}}, channels=[channel])


def redirected(told: Told) -> Seen:
    row = ("GetObject", "elsewhere")
    return a_run({row: told}, calls={row: {"status": 301}})


def quoting(raw: str) -> Seen:
    row = ("GetObject", "user-agent-quotes")
    return a_run({row: {SERVER_ACCESS: [{**line("L"), "raw": raw}]}}, calls={row: {"user_agent": AGENT}})


def batch(lines: Sequence[Mapping[str, Any]] = LINES, events: Sequence[Mapping[str, Any]] = EVENTS) -> Seen:
    told = {SERVER_ACCESS: lines, CLOUDTRAIL: events}
    row = ("DeleteObjects", "ok")
    return a_run({row: told}, calls={row: {"sent": KEYS, "key": None}})


def families(uri: str = "GET /?metrics&id=1 HTTP/1.1", other: str = "REST.GET.{}") -> Seen:
    found: dict[Row, Told] = {}
    for kind in ("Metrics", "Inventory", "Analytics"):
        one, many = line(f"REST.GET.{kind.upper()}", request_uri=uri), line(other.format(kind.upper()))
        found |= rows(f"GetBucket{kind}Configuration", server_access=[one])
        found |= rows(f"ListBucket{kind}Configurations", server_access=[many])
    return a_run(found)


def changed(told: Mapping[Row, Told]) -> Seen:
    """A run of everything, of which some rows were logged otherwise."""
    return merged(default_run(), a_run(told))


def arriving_as(name: str) -> Seen:
    """A run whose deliveries all have that name."""
    seen = a_run({PUT: PUTS})
    pairs = {k: [replace(p, deliveries=(a_delivery(name),)) for p in found] for k, found in seen.pairs.items()}
    return replace(seen, pairs=pairs)


def calls_of_three_families() -> list[str]:
    kinds = ("Metrics", "Inventory", "Analytics")
    one = [f"{verb}Bucket{kind}Configuration" for verb in ("Get", "Put", "Delete") for kind in kinds]
    return [*one, *(f"ListBucket{kind}Configurations" for kind in kinds)]


@cache
def cases() -> Mapping[str, list[tuple[ClaimVerdict, Seen]]]:
    everything = default_run()
    acl, owner = {"ACL": "private"}, {"ACL": "bucket-owner-full-control"}
    refused = {("GetObject", "denied"): LOGGED, ("GetObject", "anonymous"): LOGGED}
    checksum = dict.fromkeys(
        ("requestParameters.x-amz-sdk-checksum-algorithm", "requestParameters.ChecksumAlgorithm"), "SHA256"
    )
    full = {"requestParameters.key": "k", "additionalEventData.x": 1, "resources[0].ARN": "a"}
    head_bucket = partial(rows, "HeadBucket")
    listing = partial(rows, "ListObjectsV2")
    yes = {"additionalEventData.aclRequired": "Yes"}
    return {
        "AWS-01": [
            (UNDETERMINED, everything),
            (CONTRADICTED, by("server-access-cloudwatch", "PutObject", line("REST.PUT.OBJECT"))),
        ],
        "AWS-07": [
            (CONFIRMED, everything),
            (CONTRADICTED, changed(rows("GetObjectAcl", server_access=[line("L")]))),
            (CONTRADICTED, changed(rows("GetObjectAcl", cloudtrail=[event("E")]))),
            (UNDETERMINED, a_run({("GetObject", "ok"): LOGGED})),
        ],
        "AWS-08": [
            (CONFIRMED, everything),
            (CONTRADICTED, changed(rows("PutBucketAcl", cloudtrail=[event("E")]))),
        ],
        "AWS-10": [
            (verdict, asking(LOCKS, {"ChecksumAlgorithm": "SHA256"}, server_access=[line("L")], cloudtrail=[told]))
            for verdict, told in ((CONFIRMED, event("E", **checksum)), (CONTRADICTED, event("E")))
        ],
        "AWS-11": [
            (CONFIRMED, puts()),
            (CONTRADICTED, puts(event("PutObject", **{"additionalEventData.objectSize": 1}))),
            (UNDETERMINED, a_run({PUT: {SERVER_ACCESS: PUTS[SERVER_ACCESS]}})),
        ],
        "AWS-12": [
            (CONFIRMED, a_run(rows("LifecycleExpiration", server_access=[line("S3.EXPIRE.OBJECT")]))),
            (CONTRADICTED, a_run(rows("LifecycleExpiration", cloudtrail=[event("ExpireObject")]))),
            (UNDETERMINED, everything),
        ],
        "AWS-13": [
            (CONFIRMED, batch()),
            (CONTRADICTED, batch(events=EVENTS[:2])),
            (CONTRADICTED, batch(lines=LINES[:1])),
            (UNDETERMINED, everything),
        ],
        "AWS-14": [
            (CONFIRMED, a_run(rows("GetObject", variant="bad-signature", server_access=[line("L")]))),
            (CONTRADICTED, a_run({("GetObject", "bad-signature"): LOGGED})),
            (CONTRADICTED, a_run({("GetObject", "unknown-key"): {}})),
            (UNDETERMINED, everything),
        ],
        "AWS-15": [
            (CONFIRMED, a_run(refused)),
            (CONFIRMED, a_run(refused | {("WriteGetObjectResponse", "denied"): {}})),
            (CONTRADICTED, a_run(refused | {("GetObject", "anonymous"): {}})),
            (UNDETERMINED, a_run({("GetObject", "denied"): LOGGED})),
        ],
        "AWS-16": [(UNDETERMINED, everything), (CONFIRMED, redirected({})), (CONTRADICTED, redirected(LOGGED))],
        "AWS-21": [
            (CONFIRMED, a_run(BOTH_KINDS, times=30)),
            (CONTRADICTED, a_run(BOTH_KINDS, times=30, delay=timedelta(minutes=6))),
            (UNDETERMINED, a_run(BOTH_KINDS)),
        ],
        "AWS-22": [(UNDETERMINED, puts(times=30)), (CONFIRMED, puts(delay=timedelta(hours=7)))],
        "AWS-25": [
            (CONFIRMED, a_run(rows("MalformedRequest"))),
            (CONTRADICTED, a_run({("MalformedRequest", "ok"): LOGGED})),
        ],
        "AWS-26": [
            (CONFIRMED, everything),
            (CONTRADICTED, changed(rows("PutBucketAcl", cloudtrail=[event("PutBucketACL", "management")]))),
            (UNDETERMINED, a_run(rows("PutBucketAcl", cloudtrail=[event("PutBucketAcl", "management")]))),
        ],
        "AWS-27": [
            (CONFIRMED, a_run(head_bucket(cloudtrail=[event("HeadBucket")]))),
            (CONTRADICTED, a_run(head_bucket(cloudtrail=[event("HeadBucket", "management")]))),
            (CONTRADICTED, a_run(head_bucket())),
        ],
        "AWS-28": [
            (CONFIRMED, a_run(rows("CorsPreflight", cloudtrail=[event("Anything", "management")]))),
            (CONTRADICTED, a_run(rows("CorsPreflight", cloudtrail=[event("Anything")]))),
        ],
        "AWS-29": [
            (CONFIRMED, batch()),
            (CONTRADICTED, batch(events=EVENTS[:1])),
            (CONTRADICTED, batch(events=[event("DeleteObjects"), event("DeleteObject")])),
            (UNDETERMINED, a_run(rows("GetObject"))),
        ],
        "AWS-30": [
            (UNDETERMINED, everything),
            (CONFIRMED, by("cloudtrail-lookup", "PutBucketAcl", event("PutBucketAcl", "management"))),
            (CONTRADICTED, by("cloudtrail-lookup", "GetObject", event("GetObject"))),
        ],
        "AWS-31": [
            (UNDETERMINED, a_run(rows("PutObjectAcl", server_access=[line("L", acl_required="Yes")]))),
            (CONTRADICTED, a_run(rows("PutObjectAcl", server_access=[line("L")]))),
            (CONTRADICTED, a_run(rows("GetObject", cloudtrail=[event("E", **yes)]))),
            (UNDETERMINED, asking(["PutObject"], acl, "canned-acl", cloudtrail=[event("E", **yes)])),
            (CONTRADICTED, asking(["PutObject"], owner, "canned-acl", cloudtrail=[event("E", **yes)])),
        ],
        "AWS-32": [(UNDETERMINED, puts()), (CONTRADICTED, arriving_as("s3://logs/odd"))],
        "AWS-33": [(CONFIRMED, puts()), (CONTRADICTED, arriving_as("s3://trail/odd.json.gz"))],
        "AWS-34": [
            (CONFIRMED, a_run(rows("CreateSession", "RenameObject", cloudtrail=[event("E")]))),
            (CONTRADICTED, a_run({("CreateSession", "ok"): LOGGED, ("RenameObject", "ok"): LOGGED})),
            (UNDETERMINED, a_run(rows("GetObject"))),
        ],
        "NS-01": [
            (CONTRADICTED, everything),
            (
                CONFIRMED,
                a_run(
                    rows("CopyObject", "UploadPartCopy", server_access=[line("REST.DELETE.X"), line("REST.PUT.X")])
                    | rows("GetObject", server_access=[line("L")])
                ),
            ),
        ],
        "NS-02": [
            (CONTRADICTED, puts()),
            (CONFIRMED, a_run(rows("PutObject", server_access=[line("L", field_count=24)]))),
            (UNDETERMINED, a_run(rows("PutObject"))),
        ],
        "NS-03": [
            (CONFIRMED, asking(ACLS, acl, server_access=[line("L")])),
            (
                CONTRADICTED,
                asking(ACLS, acl, server_access=[line("L", request_uri="PUT /?x-amz-acl=private HTTP/1.1")]),
            ),
            (UNDETERMINED, a_run(rows(*ACLS, server_access=[line("L")]))),
        ],
        "NS-04": [
            (UNDETERMINED, puts()),
            (CONTRADICTED, quoting(f'a b "{AGENT}" c')),
            (CONFIRMED, quoting(AGENT.replace('"', '""'))),
        ],
        "NS-05": [(CONFIRMED, a_run(rows(*BUCKET_CALLS))), (CONTRADICTED, everything)],
        "NS-06": [
            (CONFIRMED, everything),
            (CONTRADICTED, changed(rows("GetObject"))),
            (UNDETERMINED, a_run({("GetObject", "ok"): LOGGED})),
        ],
        "NS-07": [
            (CONFIRMED, asking(ACLS, acl, cloudtrail=[event("E", **{"requestParameters.x-amz-acl": "private"})])),
            (CONTRADICTED, asking(ACLS, acl, cloudtrail=[event("E")])),
        ],
        "NS-08": [(CONFIRMED, everything), (UNDETERMINED, a_run(rows("GetObject", cloudtrail=[event("GetObject")])))],
        "NS-09": [(CONTRADICTED, everything), (CONFIRMED, a_run(rows(*calls_of_three_families())))],
        "NS-10": [
            (CONFIRMED, a_run(rows("BrowserPost", cloudtrail=[event("PutObject")]))),
            (CONTRADICTED, a_run(rows("BrowserPost", cloudtrail=[event("PostObject")]))),
        ],
        "NS-11": [
            (CONFIRMED, families()),
            (CONTRADICTED, families(other="REST.LIST.{}")),
            (CONTRADICTED, families(uri="GET /?metrics HTTP/1.1")),
            (UNDETERMINED, a_run(rows("GetObject"))),
        ],
        "NS-12": [(CONFIRMED, everything)],
        "NS-13": [(UNDETERMINED, everything), (CONFIRMED, changed(rows("GetObject")))],
        "NS-14": [
            (CONFIRMED, puts(event("E", **full))),
            (CONTRADICTED, puts()),
            (UNDETERMINED, a_run(rows("PutObject"))),
        ],
        "NS-15": [
            (CONFIRMED, a_run(listing(server_access=[line("L", **SESSION | {"request_uri": "GET /?list-type=2"})]))),
            (CONTRADICTED, a_run(listing(server_access=[line("L", request_uri="GET /")]))),
            (UNDETERMINED, a_run(listing())),
        ],
        "NS-16": [(UNDETERMINED, puts(times=30))],
        "NS-17": [
            (CONTRADICTED, puts(times=30)),
            (CONFIRMED, puts(times=30, delay=timedelta(hours=2))),
            (UNDETERMINED, puts()),
        ],
        "NS-18": [
            (CONFIRMED, puts(times=30)),
            (CONTRADICTED, puts(times=30, delay=timedelta(minutes=21))),
            (UNDETERMINED, puts()),
        ],
        "NS-19": [
            (CONFIRMED, puts()),
            (CONTRADICTED, puts(event("PutObject", **{"additionalEventData.bytesTransferredIn": 1}))),
        ],
        "NS-21": [
            (CONTRADICTED, puts(own=[BY_POLICY])),
            (UNDETERMINED, puts(own=[BY_POLICY, BY_ACL])),
            (UNDETERMINED, puts()),
        ],
        "NS-23": [
            (CONFIRMED, puts()),
            (CONTRADICTED, a_run(rows("PutObject", server_access=[line("L")]), times=30)),
            (UNDETERMINED, a_run(rows("PutObject", server_access=[line("L")]))),
        ],
    }


def test_every_check_of_a_claim_is_tried() -> None:
    assert set(cases()) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_claim_gets_the_verdict_that_the_run_gives_it(name: str) -> None:
    for number, (verdict, seen) in enumerate(cases()[name]):
        found = answer(name, seen)
        assert found.verdict is verdict, (number, found.why)
        assert found.why, number
        assert found.evidence or verdict is not CONTRADICTED, number


def test_a_record_that_came_twice_or_never_confirms_that_delivery_is_best_effort() -> None:
    seen = a_run({("PutObject", "ok"): PUTS}, times=3)
    key = ("PutObject", "ok", SERVER_ACCESS)
    twice = [replace(p, deliveries=(*p.deliveries, a_delivery("s3://logs/2"))) for p in seen.pairs[key]]
    assert answer("AWS-22", replace(seen, pairs={**seen.pairs, key: twice})).verdict is CONFIRMED
    short = replace(seen.cells[key], verdict=Verdict.PARTLY, logged=2, reason="2 of 3 calls logged")
    lost = replace(seen, cells={**seen.cells, key: short}, pairs={**seen.pairs, key: seen.pairs[key][:2]})
    for name in ("AWS-22", "NS-16"):
        assert answer(name, lost).verdict is CONFIRMED


def test_all_names_in_the_list_would_contradict_that_the_list_lags() -> None:
    listed = {c.operation: c.name for c in documented.table("aws-2026") if c.channel == CLOUDTRAIL and c.name}
    seen = a_run({(name, "ok"): {CLOUDTRAIL: [event(told)]} for name, told in listed.items()})
    assert answer("NS-08", seen).verdict is CONTRADICTED


def test_a_claim_that_no_run_decides_says_why() -> None:
    for check in check_claims((c for c in documented.claims() if c.id not in CHECKS), default_run()):
        assert check.verdict is UNDETERMINED
        assert check.answer.why == check.claim.needs != ""
