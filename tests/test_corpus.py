"""The corpus: pairs with other names in them, of the same form, and no original name anywhere."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from drift_kit import ADDRESS, BUCKET, USER, traffic, write_run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from offline import ACCOUNT, HOSTILE, a_call, a_delivery

from harness.analyse.join import Pair, Way
from harness.corpus import MIN_WORD, export, rewritten
from harness.disguise import Disguise
from harness.disguise import addresses as found_addresses
from harness.errors import JournalError, UsageError
from harness.formats import cloudtrail, server_access
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Record
from harness.spelling import decoded

SALT = b"only for tests"
OWNER = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
AGENT = "Boto3/1.44.5 os/linux#6.1.0-corp Botocore/1.44.5 s3lm/0badcafe/1"


def pairs(account: str, bucket: str, user: str, address: str, key: str, *, ascii_only: bool = True) -> list[Pair]:
    """Return a call with its record in both channels, written as AWS writes them."""
    call = a_call(
        bucket=bucket,
        key=key,
        host=f"{bucket}.s3.us-east-1.amazonaws.com",
        path=f"/{quote(key, safe='/~')}?versionId=3sL4kqtJlcpXroDTDmJ",
        user_agent=AGENT,
        request_id="79104EXAMPLEB723",
        host_id="IOWQ4fDEXAMPLEQM+ey7N9WgVhSnQ6JEXAMPLEZb7hSQDASK+Jd1vEXAMPLEa3Km",
    )
    logged = quote(quote_plus(key, safe="/"), safe="/")
    line = (
        f"{OWNER} {bucket} [01/Jan/2026:00:01:00 +0000] {address} arn:aws:iam::{account}:user/{user} {call.request_id}"
        f' REST.PUT.OBJECT {logged} "PUT {call.path} HTTP/1.1" 200 - - 10 20 3 "https://intranet.example/x?{user}"'
        f' "{AGENT}" 3sL4kqtJlcpXroDTDmJ {call.host_id} SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader {call.host}'
        f" TLSv1.3 - - us-east-1"
    )
    event = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE1234567890:{user}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{user}/{user}",
            "accountId": account,
            "accessKeyId": "ASIAEXAMPLE123456789",
            "userName": user,
        },
        "eventTime": "2026-01-01T00:01:00Z",
        "eventName": "PutObject",
        "sourceIPAddress": address,
        "userAgent": f"[{AGENT}]",
        "errorMessage": f'User: arn:aws:iam::{account}:user/{user} is not authorized on "arn:aws:s3:::{bucket}/{key}"',
        "requestParameters": {
            "bucketName": bucket,
            "key": key,
            "Host": call.host,
            "x-amz-copy-source": f"{bucket}/{quote(key, safe='/~')}?versionId=3sL4kqtJlcpXroDTDmJ",
            "policy": f"Resource: {bucket} {address} {account}",
        },
        "additionalEventData": {"x-amz-id-2": call.host_id, "httpStatusCode": 200},
        "requestID": call.request_id,
        "eventID": "cdc4b7ed-e171-4cef-975a-ad829d4123e8",
        "resources": [{"ARN": f"arn:aws:s3:::{bucket}/{key}"}, {"ARN": f"arn:aws:s3:::{bucket}", "accountId": account}],
    }
    raw = json.dumps(event, ensure_ascii=ascii_only)
    access = server_access.parse_line(line, 0)
    records = [*cloudtrail.parse(raw.encode()).records, *([access] if isinstance(access, Record) else [])]
    arrived = call.sent_at + timedelta(hours=1)
    return [Pair(call, record, Way.REQUEST_ID, (a_delivery(arrived_at=arrived),)) for record in records]


def facts(account: str) -> dict[str, Any]:
    return {"account_id": account, "caller_arn": f"arn:aws:iam::{account}:user/harness-caller"}


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def is_word(text: str) -> bool:
    return sum(character.isalnum() for character in text) >= MIN_WORD


accounts = st.from_regex(r"[0-9]{12}", fullmatch=True)
buckets = st.from_regex(r"[a-z][a-z0-9]{5,12}(-[a-z0-9]{3,9}){0,3}", fullmatch=True)
users = st.from_regex(r"[A-Za-z][A-Za-z0-9_+=,.@-]{4,18}[A-Za-z0-9]", fullmatch=True).filter(is_word)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
keys = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    st.from_regex(r"[a-z]{3,8}/[A-Za-z0-9 ._%+-]{3,20}\.[a-z]{3}", fullmatch=True),
    st.sampled_from(HOSTILE),
)


@settings(max_examples=60)
@given(accounts, buckets, users, addresses, keys, st.booleans())
@example(
    "123456789012", "company-secrets", "alice.smith@example.com", "203.0.113.7", "invoices/2026 Q1/ä b+c.pdf", True
)
@example("123456789012", "company-secrets", "role,with=signs", "::ffff:10.1.2.3", "100% of%20keys/%41%C3", False)
def test_no_original_name_survives_anywhere(
    account: str, bucket: str, user: str, address: str, key: str, ascii_only: bool
) -> None:
    given_pairs = pairs(account, bucket, user, address, key, ascii_only=ascii_only)
    made = list(rewritten(given_pairs, facts(account), SALT))
    names = [account, bucket, user, OWNER, "harness-caller", "79104EXAMPLEB723", "cdc4b7ed", "6.1.0-corp"]
    names += [decoded(key)] if is_word(decoded(key)) else []
    names += ["ASIAEXAMPLE123456789", "AROAEXAMPLE1234567890", "3sL4kqtJlcpXroDTDmJ", "intranet", "0badcafe"]
    for document in made:
        written = json.dumps(document)
        everything = [written, decoded("\n".join(texts(document)))]
        for name in names:
            assert not any(name in text for text in everything), name
        assert address not in {found for text in everything for found in found_addresses(text)}
    assert len(made) == len(given_pairs), "withheld"


@settings(max_examples=60)
@given(accounts, buckets, users, addresses, keys, st.booleans())
def test_equal_names_become_equal_and_keep_their_form(
    account: str, bucket: str, user: str, address: str, key: str, ascii_only: bool
) -> None:
    given_pairs = pairs(account, bucket, user, address, key, ascii_only=ascii_only)
    made = list(rewritten(given_pairs, facts(account), SALT))
    for document in made:
        call, record = document["call"], document["record"]
        assert len(call["key"]) == len(key)
        assert [unicodedata.category(c) for c in call["key"]] == [unicodedata.category(c) for c in key]
        assert call["host"].startswith(f"{call['bucket']}.s3.")
        fields = record["fields"]
        if record["channel"] == CLOUDTRAIL:
            parameters = {name.rpartition(".")[2]: value for name, value in fields.items()}
            assert (parameters["key"], parameters["bucketName"]) == (call["key"], call["bucket"])
            assert fields["resources[0].ARN"] == f"arn:aws:s3:::{call['bucket']}/{call['key']}"
            assert fields["resources[1].accountId"] == fields["userIdentity.accountId"]
            assert fields["userIdentity.arn"].endswith(f"/{fields['userIdentity.userName']}")
            assert fields["requestID"] == call["request_id"]
        else:
            assert (fields["bucket"], fields["request_id"]) == (call["bucket"], call["request_id"])
            assert fields["request_uri"] == f"PUT {call['path']} HTTP/1.1"
            assert quote(quote_plus(call["key"], safe="/"), safe="/") == fields["key"]
    both = {document["record"]["channel"]: document["record"]["fields"] for document in made}
    if len(both) == 2:
        assert both[CLOUDTRAIL]["sourceIPAddress"] == both[SERVER_ACCESS]["remote_ip"]


def test_ordinary_pairs_are_all_written_and_read_as_before() -> None:
    given_pairs = pairs("123456789012", "company-secrets", "alice", "10.1.2.3", "invoices/2026 Q1/ä b+c.pdf")
    made = list(rewritten(given_pairs, facts("123456789012"), SALT))
    assert len(made) == len(given_pairs) == 2
    for pair, document in zip(given_pairs, made, strict=True):
        record = document["record"]
        assert record["fields"].keys() == pair.record.fields.keys()
        assert len(record["raw"]) == len(pair.record.raw) + 2 * (len("192.0.2.1") - len("10.1.2.3")) - (
            0 if pair.record.channel == CLOUDTRAIL else len("192.0.2.1") - len("10.1.2.3")
        )
        assert record["key"] == document["call"]["key"]
        assert (record["name"], document["call"]["status"]) == (pair.record.name, 200)


def test_a_common_prefix_stays_one_and_another_salt_gives_other_names() -> None:
    one, other = Disguise(b"1"), Disguise(b"2")
    assert one.name("photos/cat.jpg")[:7] == one.name("photos/dog.jpg")[:7]
    assert one.name("photos/cat.jpg") != one.name("photos/dog.jpg")
    assert one.name("photos/cat.jpg") != other.name("photos/cat.jpg")
    assert one.resource("x-data-123456789012-us-east-1-an").endswith("-us-east-1-an")
    assert one.name("123456789012") in one.resource("x-data-123456789012-us-east-1-an")
    assert one.resource("bucket--use1-az4--x-s3").endswith("--use1-az4--x-s3")
    assert re.fullmatch(r"AKIA[A-Z0-9]{16}", one.free("AKIAIOSFODNN7EXAMPLE"))
    assert re.fullmatch(r"[0-9a-f]{64}", one.whole(OWNER))


@given(st.lists(keys, min_size=2, max_size=6, unique=True))
def test_different_names_stay_different(names: list[str]) -> None:
    disguise = Disguise(SALT)
    assert len({disguise.name(name) for name in names}) == len(names)


@given(keys)
def test_a_name_is_the_same_in_every_spelling(name: str) -> None:
    disguise = Disguise(SALT)
    once, twice = quote(name, safe="/"), quote(quote(name, safe="/"), safe="/")
    assert decoded(disguise.whole(once)) == decoded(disguise.whole(twice)) == decoded(disguise.whole(name))
    assert len(disguise.whole(twice)) == len(twice)


def test_replacement_addresses_are_for_examples_and_never_one_that_occurs() -> None:
    disguise = Disguise(SALT, frozenset({"192.0.2.1", "192.0.2.2"}))
    assert disguise.address("192.0.2.1") == "192.0.2.3"
    assert disguise.address("10.0.0.1") == "192.0.2.4"
    assert disguise.address("192.0.2.1") == "192.0.2.3"
    assert disguise.address("fe80::1").startswith("2001:db8:")
    assert disguise.address("AWS Internal") == "AWS Internal"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("corpus") / "run", traffic(1))


def test_a_run_is_exported_with_its_headline(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "corpus.jsonl"
    done = export(run, out)
    first, *lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert "proves the harness, never AWS" in first["headline"]
    assert (done.written, done.withheld) == (len(lines), 0)
    assert {line["operation"] for line in lines} >= {"GetObject", "PutBucketAcl"}
    assert all(line["date"].startswith("2026-") for line in lines)
    text = out.read_text("utf-8")
    for name in (ACCOUNT, BUCKET, USER, ADDRESS, "0badcafe", "AIDAIOSFODNN7EXAMPLE", "folder/object"):
        assert name not in text


def test_with_a_salt_the_export_is_repeatable_and_without_it_is_not(run: Path, tmp_path: Path) -> None:
    written = []
    for number, salt in enumerate((SALT, SALT, None, None)):
        export(run, tmp_path / str(number), salt=salt)
        written.append((tmp_path / str(number)).read_text("utf-8"))
    assert written[0] == written[1]
    assert len(set(written)) == 3


def test_a_missing_run_and_a_place_that_cannot_be_written_are_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        export(tmp_path, tmp_path / "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot write the corpus"):
        export(run, tmp_path / "file" / "x")
