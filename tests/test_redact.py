"""A secret that someone put into a request reaches neither disk nor screen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import T0, a_delivery, a_record

from harness.analyse.outstanding import Outstanding
from harness.collect.loop import Collector
from harness.environment.site import Site
from harness.formats import cloudtrail, server_access
from harness.journal import Journal
from harness.model import Parsed, Reject
from harness.redact import MASK, redact, without_secrets
from harness.testing import FakeChannel

NAMES = (
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "Signature",
    "X-Amz-Server-Side-Encryption-Customer-Key",
    "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key",
    "X-Amz-S3session-Token",
    "sessionToken",
    "secretAccessKey",
)
SECRET = "SeCrEt0123/abc+DEF=="
names = st.sampled_from([*NAMES, *(n.lower() for n in NAMES), *(n.upper() for n in NAMES)])
secrets = st.text("ABCDEFabcdef0123456789/+=%.~_-", min_size=16, max_size=40).filter(lambda s: s not in "".join(NAMES))


def line(request_uri: str = "GET /b/k HTTP/1.1", referer: str = "-", agent: str = "curl/8") -> str:
    head = 'owner bucket [07/Mar/2026:18:04:59 +0000] 203.0.113.9 ada REQ1 REST.GET.OBJECT k "'
    return f'{head}{request_uri}" 200 - 1 1 1 1 "{referer}" "{agent}" - host SigV4 - QueryString h TLSv1.3 - -'


def access_log(text: str) -> str:
    """Return everything that is kept of a server access log."""
    return repr(without_secrets(server_access.parse(text.encode())))


def trail(event: dict[str, object], edit: tuple[str, str] = ("", "")) -> str:
    """Return everything that is kept of a CloudTrail file with one event."""
    whole = {"eventID": "e1", "eventName": "GetObject", "eventTime": "2026-01-01T00:00:00Z", **event}
    text = json.dumps({"Records": [whole]})
    parsed = without_secrets(cloudtrail.parse((text.replace(*edit) if edit[0] else text).encode()))
    assert parsed.records
    return repr(parsed)


@given(name=names, secret=secrets)
@settings(max_examples=60)
def test_no_secret_of_a_presigned_query_survives_in_an_access_log(name: str, secret: str) -> None:
    query = f"X-Amz-Expires=60&{name}={secret}&x-id=GetObject"
    assert secret not in redact(f"/b/k?{query}")
    assert secret not in access_log(line(request_uri=f"GET /b/k?{query} HTTP/1.1"))
    assert secret not in access_log(line(request_uri=f"GET /b/k?{name}={secret} HTTP/1.1"))
    assert secret not in access_log(line(referer=f"https://h.example/b/k?{query}"))


@given(name=names, secret=secrets)
@settings(max_examples=60)
def test_no_secret_of_a_query_parameter_survives_in_a_trail(name: str, secret: str) -> None:
    assert secret not in trail({"requestParameters": {"bucketName": "b", name: secret}})
    assert secret not in trail({"requestParameters": {"referer": f"https://h.example/?{name}={secret}&x=1"}})


@given(name=names, secret=st.text(min_size=8, max_size=30).map(lambda s: f"secret-{s}"))
@settings(max_examples=60)
def test_quotes_and_escapes_do_not_help_a_secret_out_of_its_json_string(name: str, secret: str) -> None:
    masked = json.loads(redact(json.dumps({"a": 1, name: secret, "b": {"c": secret[:0]}})))
    assert masked == {"a": 1, name: MASK, "b": {"c": ""}}


def test_a_secret_in_a_users_agent_does_not_survive_in_any_attribute() -> None:
    agent = f"evil https://h.example/k?X-Amz-Signature={SECRET}"
    assert SECRET not in access_log(line(agent=agent))
    assert SECRET not in trail({"userAgent": f"[{agent}]"})


def test_a_secret_in_a_key_does_not_survive_in_any_attribute() -> None:
    assert SECRET not in trail({"requestParameters": {"bucketName": "b", "key": f"k?X-Amz-Signature={SECRET}"}})


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_in_a_list_of_values_does_not_survive(name: str) -> None:
    # CloudTrail writes query parameters of S3 as lists in some records ("acl": [""]).
    assert SECRET not in trail({"requestParameters": {name: [SECRET]}})


def test_credentials_that_a_role_was_given_do_not_reach_the_journal(site: Site, journal: Journal) -> None:
    """A trail takes all management events, the run's own AssumeRole with it."""
    credentials = {"accessKeyId": "ASIAEXAMPLE", "sessionToken": SECRET, "secretAccessKey": SECRET[::-1]}
    event = {
        "eventID": "e1",
        "eventName": "AssumeRole",
        "eventTime": "2026-01-01T00:00:00Z",
        "requestID": "REQ1",
        "responseElements": {"credentials": credentials},
    }
    delivery = a_delivery(body=json.dumps({"Records": [event]}).encode())
    channel = FakeChannel(scheduled=[(delivery, cloudtrail.parse(delivery.body or b""))])
    take, nothing = (lambda *_: None), Outstanding(arrived={}, expected={}, open_channels=frozenset())
    list(Collector(site, [channel], take=take, outstanding=lambda _: nothing).run(T0))
    ((record, _),) = journal.records()
    assert record.fields["responseElements.credentials.accessKeyId"] == "ASIAEXAMPLE"
    assert record.fields["responseElements.credentials.sessionToken"] == MASK
    assert json.loads(record.raw)["responseElements"]["credentials"]["secretAccessKey"] == MASK
    assert SECRET not in repr(record)
    assert SECRET[::-1] not in repr(record)


@pytest.mark.parametrize(
    ("character", "escape"),
    [
        ("&", "\\u0026"),
        ("=", "\\u003d"),
        ("/", "\\/"),
    ],
)
def test_a_secret_behind_json_escapes_does_not_survive(character: str, escape: str) -> None:
    event: dict[str, object] = {"requestParameters": {"referer": f"https://h.example/k?a=1&Signature={SECRET}&b=2"}}
    assert SECRET.replace("/", escape) not in trail(event, (character, escape))
    assert SECRET[:10] not in trail(event, (character, escape))


@pytest.mark.parametrize("cut", [1, 2, 5, 8, 20])
def test_a_secret_in_a_file_that_breaks_off_within_it_does_not_survive(cut: int) -> None:
    text = json.dumps({"Records": [{"eventName": "GetObject", "requestParameters": {"X-Amz-Security-Token": SECRET}}]})
    parsed = without_secrets(cloudtrail.parse(text[:-cut].encode()))
    assert parsed.rejects
    assert SECRET[:8] not in repr(parsed)


def test_rejected_lines_are_masked_too() -> None:
    kept = access_log(f"this is no record GET /b/k?X-Amz-Signature={SECRET} HTTP/1.1")
    assert "rejects=(Reject(" in kept
    assert SECRET not in kept
    reject = Reject(channel="server-access", reason="bad", raw=f"?Signature={SECRET}&x=1", offset=1)
    assert without_secrets(Parsed(rejects=(reject,))).rejects[0].raw == f"?Signature={MASK}&x=1"


def test_only_the_value_is_masked_and_its_neighbours_stay() -> None:
    text = "/b/k?X-Amz-Date=1&X-Amz-Signature=abc&X-Amz-Security-Token=def&x-id=GetObject"
    assert redact(text) == f"/b/k?X-Amz-Date=1&X-Amz-Signature={MASK}&X-Amz-Security-Token={MASK}&x-id=GetObject"


@pytest.mark.parametrize(
    "text",
    [
        "/b/k?acl",
        "/b/k?X-Amz-SignedHeaders=host&X-Amz-Credential=AKIA/20260101/us-east-1/s3/aws4_request",
        '{"SignatureVersion": "SigV4", "x-amz-server-side-encryption-customer-key-MD5": "md5"}',
        "a key named Signature",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_record_without_secrets_is_left_as_it_is() -> None:
    parsed = Parsed((a_record(fields={"signature_version": "SigV4", "n": 1}),))
    assert without_secrets(parsed) == parsed
