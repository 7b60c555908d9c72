"""Clients are made once; a role that may not be assumed is waited for once, and one that cannot be now, again."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from offline import Bench

from harness.environment.site import Site
from harness.planning.fake_aws import Answer, FakeAws

pytestmark = pytest.mark.usefixtures("no_backoff")
DOWN = EndpointConnectionError(endpoint_url="https://sts")


def told(code: str, status: int) -> Answer:
    """Return an error answer of STS."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    return Answer(body.encode(), status)


def test_a_client_is_made_once(bench: Bench) -> None:
    assert bench.clients.get("denied") is bench.clients.get("denied")
    assert len(bench.aws.parameters("AssumeRole")) == 1


def test_a_role_that_may_not_be_assumed_is_waited_for_once(bench: Bench) -> None:
    bench.aws.answers["AssumeRole"] = told("AccessDenied", 403)
    for _ in range(3):
        with pytest.raises(ClientError, match="AccessDenied"):
            bench.clients.get("denied")
    assert len(bench.aws.parameters("AssumeRole")) == 10


@pytest.mark.parametrize(
    "failure",
    [DOWN, ReadTimeoutError(endpoint_url="https://sts"), told("ServiceUnavailable", 503)],
    ids=["no connection", "timeout", "503"],
)
def test_a_role_that_could_not_be_asked_for_is_asked_for_again_by_the_next_row(
    failure: Answer | Exception, bench: Bench
) -> None:
    bench.aws.answers["AssumeRole"] = failure
    with pytest.raises(Exception, match=r"ServiceUnavailable|sts"):
        bench.clients.get("denied")
    del bench.aws.answers["AssumeRole"]
    client: Any = bench.clients.get("denied")
    assert client.list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_role_is_assumed_though_the_network_fails_for_some_seconds(site: Site, aws: FakeAws) -> None:
    aws.answers["AssumeRole"] = [DOWN] * 10
    assert site.denied_credentials().access_key == "ASIAEXAMPLE"
