"""One request, one call: every attempt of botocore's is journaled, before it is sent and after."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from offline import RUN_ID, T0, seconds

from harness.environment.site import Site
from harness.execute.recorder import Recorder
from harness.journal import Journal
from harness.model import Call, CellKey, Role
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.redact import MASK
from harness.testing import FakeClock

CELL = CellKey(operation="PutObject", variant="denied")
pytestmark = pytest.mark.usefixtures("no_backoff")


@pytest.fixture
def s3(site: Site, recorder: Recorder) -> Any:
    return site.s3


def put(s3: Any, key: str = "key", **parameters: Any) -> None:
    s3.put_object(Bucket="bucket", Key=key, Body=b"x", **parameters)


def one(journal: Journal) -> Call:
    (call,) = journal.calls()
    return call


def test_every_attempt_is_a_call_of_its_own(s3: Any, aws: FakeAws, journal: Journal) -> None:
    aws.answers["PutObject"] = [refusal("SlowDown", 503), refusal("InternalError", 500), Answer()]
    put(s3)
    calls = journal.calls()
    assert [call.attempt for call in calls] == [1, 2, 3]
    assert [call.status for call in calls] == [503, 500, 200]
    assert [call.error_code for call in calls] == ["SlowDown", "InternalError", None]
    assert len({call.request_id for call in calls}) == 3
    assert len({call.host_id for call in calls}) == 3
    assert len({call.marker for call in calls}) == 3
    assert {call.operation for call in calls} == {"PutObject"}


def test_the_next_api_call_begins_at_attempt_1_again(s3: Any, aws: FakeAws, journal: Journal) -> None:
    aws.answers["PutObject"] = [refusal("SlowDown", 503), Answer(), Answer()]
    put(s3)
    put(s3)
    assert [call.attempt for call in journal.calls()] == [1, 2, 1]


def test_every_request_carries_its_own_marker_once_at_the_end_of_the_user_agent(
    s3: Any, aws: FakeAws, journal: Journal
) -> None:
    aws.answers["PutObject"] = [refusal("SlowDown", 503), refusal("SlowDown", 503), Answer()]
    put(s3)
    for (_, request), call in zip(aws.sent, journal.calls(), strict=True):
        sent = request.headers["User-Agent"]
        agent = sent.decode() if isinstance(sent, bytes) else sent
        assert agent == call.user_agent
        assert agent.endswith(f" {call.marker}")
        assert agent.count("s3lm/") == 1
        assert call.marker == f"s3lm/{RUN_ID}/{call.number}"


def test_the_marker_is_not_part_of_the_signature(s3: Any, aws: FakeAws) -> None:
    put(s3)
    authorization = aws.sent[0][1].headers["Authorization"]
    text = authorization.decode() if isinstance(authorization, bytes) else authorization
    assert "SignedHeaders=" in text
    assert "user-agent" not in text


def test_a_call_is_journaled_before_it_is_sent(s3: Any, aws: FakeAws, journal: Journal) -> None:
    seen: list[Call] = []

    def look(_request: object) -> Answer:
        seen.extend(journal.calls())
        return Answer()

    aws.answers["PutObject"] = look
    put(s3)
    assert [(call.number, call.status, call.received_at) for call in seen] == [(1, None, None)]
    assert one(journal).status == 200


def test_times_come_from_the_runs_clock_and_the_servers_date_is_kept(
    s3: Any, aws: FakeAws, journal: Journal, clock: FakeClock
) -> None:
    def slow(_request: object) -> Answer:
        clock.sleep(7)
        return Answer(headers={"Date": "Thu, 01 Jan 2026 00:00:05 GMT"})

    aws.answers["PutObject"] = slow
    put(s3)
    call = one(journal)
    assert (call.sent_at, call.received_at, call.server_date) == (T0, T0 + seconds(7), T0 + seconds(5))


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_a_date_that_is_none_is_left_out(date: str, s3: Any, aws: FakeAws, journal: Journal) -> None:
    aws.answers["PutObject"] = Answer(headers={"Date": date})
    put(s3)
    assert one(journal).server_date is None


@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url="https://x"), ReadTimeoutError(endpoint_url="https://x")]
)
def test_an_attempt_without_an_answer_is_journaled_as_a_failure(
    error: Exception, s3: Any, aws: FakeAws, journal: Journal
) -> None:
    aws.answers["PutObject"] = [error, Answer()]
    put(s3)
    first, second = journal.calls()
    assert (first.failure, first.status, first.request_id) == (type(error).__name__, None, None)
    assert (second.failure, second.status, second.attempt) == (None, 200, 2)


def test_an_error_answer_is_kept_with_its_code_and_request_id(s3: Any, aws: FakeAws, journal: Journal) -> None:
    aws.answers["PutObject"] = refusal("AccessDenied", 403)
    with pytest.raises(ClientError, match="AccessDenied"):
        put(s3)
    call = one(journal)
    assert (call.status, call.error_code, call.request_id) == (403, "AccessDenied", "REQ0000000000001")


def test_other_services_request_ids_are_kept_too(
    site: Site, recorder: Recorder, aws: FakeAws, journal: Journal
) -> None:
    aws.answers["StopLogging"] = Answer(b"{}", headers={"x-amz-request-id": "", "x-amzn-RequestId": "uuid-1"})
    site.cloudtrail.stop_logging(Name="trail")
    call = one(journal)
    assert (call.service, call.operation, call.request_id) == ("cloudtrail", "StopLogging", "uuid-1")
    assert (call.bucket, call.key) == (None, None)


def test_calls_carry_the_purpose_that_they_were_made_for(s3: Any, recorder: Recorder, journal: Journal) -> None:
    with recorder.purpose(Role.SETUP):
        put(s3)
        with recorder.purpose(Role.SUBJECT, CELL, 3, expected={"server-access": 2}):
            put(s3)
        put(s3)
    first, second, third = journal.calls()
    assert (second.role, second.cell, second.repeat, second.expected) == (Role.SUBJECT, CELL, 3, {"server-access": 2})
    assert first.role is third.role is Role.SETUP
    assert first.cell is third.cell is None


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_the_purpose_before_comes_back_after_an_exception(
    error: type[BaseException], s3: Any, recorder: Recorder, journal: Journal
) -> None:
    with recorder.purpose(Role.POLL):
        with pytest.raises(error), recorder.purpose(Role.SUBJECT, CELL):
            raise error
        put(s3)
    assert (one(journal).role, one(journal).cell) == (Role.POLL, None)


def test_numbers_go_on_where_an_earlier_recorder_stopped(
    s3: Any, aws: FakeAws, journal: Journal, clock: FakeClock
) -> None:
    put(s3)
    session = aws.session()
    Recorder(journal, clock, RUN_ID).attach(session)
    put(session.client("s3"))
    assert [call.number for call in journal.calls()] == [1, 2]
    assert len({call.marker for call in journal.calls()}) == 2


KEYS = ("plain", "a/b/c", "/leading", "blank and+plus", "percent%2Fthere", "é/☃", "?acl", "#x", "a//b", "..", "a\\b")


@pytest.mark.parametrize("style", ["virtual", "path"])
@pytest.mark.parametrize("bucket", ["bucket", "my.s3.bucket"])
def test_bucket_and_key_are_read_from_the_request_in_both_styles(
    bucket: str, style: str, aws: FakeAws, journal: Journal, clock: FakeClock
) -> None:
    session = aws.session()
    Recorder(journal, clock, RUN_ID).attach(session)
    s3 = session.client("s3", config=Config(s3={"addressing_style": style}))
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert [(call.bucket, call.key) for call in journal.calls()] == [(bucket, key) for key in KEYS]


def test_the_bucket_of_an_express_endpoint_is_read_from_its_host(
    aws: FakeAws, journal: Journal, clock: FakeClock
) -> None:
    session = aws.session()
    Recorder(journal, clock, RUN_ID).attach(session)
    session.client("s3").put_object(Bucket="b--use1-az4--x-s3", Key="a/b", Body=b"x")
    call = journal.calls()[-1]
    assert (call.operation, call.bucket, call.key) == ("PutObject", "b--use1-az4--x-s3", "a/b")


def test_a_request_to_a_bucket_has_no_key_and_one_to_the_service_neither(s3: Any, journal: Journal) -> None:
    s3.list_objects_v2(Bucket="bucket")
    s3.list_buckets()
    bucket, service = journal.calls()
    assert (bucket.bucket, bucket.key) == ("bucket", None)
    assert (service.bucket, service.key) == (None, None)


def test_method_host_and_path_are_those_of_the_request(s3: Any, journal: Journal) -> None:
    s3.get_object(Bucket="bucket", Key="a b", VersionId="v1")
    call = one(journal)
    assert (call.method, call.host) == ("GET", "bucket.s3.us-east-1.amazonaws.com")
    assert call.path == "/a%20b?versionId=v1"


def test_secrets_of_a_presigned_request_are_masked_in_the_path(
    aws: FakeAws, journal: Journal, clock: FakeClock
) -> None:
    session = aws.session()
    session._session.set_credentials("AKIAIOSFODNN7EXAMPLE", "secret-key", "session/token+=")
    Recorder(journal, clock, RUN_ID).attach(session)
    session.client("s3", config=Config(signature_version="s3v4-query")).get_object(Bucket="bucket", Key="key")
    sent = dict(parse_qsl(urlsplit(aws.sent[0][1].url).query))  # what is sent stays as it was
    assert sent["X-Amz-Security-Token"] == "session/token+="
    kept = dict(parse_qsl(urlsplit(one(journal).path).query))
    assert kept == sent | {"X-Amz-Security-Token": MASK, "X-Amz-Signature": MASK}


def test_session_tokens_in_headers_are_not_journaled(aws: FakeAws, journal: Journal, clock: FakeClock) -> None:
    session = aws.session()
    session._session.set_credentials("AKIA", "secret-key", "session-token")
    Recorder(journal, clock, RUN_ID).attach(session)
    put(session.client("s3"), SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    kept = repr(one(journal))
    assert not any(secret in kept for secret in ("secret-key", "session-token", "k" * 32))


def test_two_sessions_do_not_see_each_others_calls(s3: Any, aws: FakeAws, journal: Journal) -> None:
    put(aws.session().client("s3"))
    assert journal.calls() == []
