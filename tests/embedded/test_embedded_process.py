"""A process of its own: it starts or says why not, ends with its parent, and nothing leaves the machine."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from embedded_kit import REGION, WAIT_SECONDS, World, answers, wait_until

from harness.clock import ScaledClock
from harness.errors import TargetError
from harness.targets.embedded import EmbeddedServer, EmbeddedTarget
from harness.targets.sessions import route_to

NOBODY = "http://127.0.0.1:9"
"""Nothing listens there: whoever follows the machine's settings fails at once."""


# Start.


def test_a_taken_port_is_a_target_error_that_says_so() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(TargetError) as refused, EmbeddedTarget(seed=1, port=port):
            pytest.fail("entered")
    assert f"cannot listen on 127.0.0.1:{port}" in str(refused.value)
    assert "in use" in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_a_session_before_the_start_is_a_target_error() -> None:
    with pytest.raises(TargetError, match="not running"):
        EmbeddedTarget(seed=1).session()


def test_both_sides_share_one_clock(world: World) -> None:
    assert world.server.page("clock") == {"factor": world.clock.factor, "anchor": world.clock.anchor}


def test_a_page_that_does_not_exist_is_404(world: World) -> None:
    with pytest.raises(HTTPError) as missing:
        world.server.page("none")
    assert missing.value.code == 404


# End.


def test_the_process_ends_when_its_standard_input_closes() -> None:
    server = EmbeddedServer(ScaledClock.starting_now(3600), seed=1)
    try:
        assert server.process.stdin is not None
        assert answers(server.port)
        server.process.stdin.close()
        assert server.process.wait(timeout=WAIT_SECONDS) == 0
        assert not answers(server.port)
    finally:
        server.close()


def test_leaving_a_target_ends_its_process_even_after_an_error() -> None:
    target = EmbeddedTarget(seed=1)
    with pytest.raises(ZeroDivisionError), target:
        raise ZeroDivisionError
    assert target.server is not None
    assert target.server.process.returncode == 0
    target.server.close()


def test_the_process_ends_when_its_parent_is_killed() -> None:
    script = (
        "import time; from harness.targets.embedded import EmbeddedTarget\n"
        "with EmbeddedTarget(seed=1) as target: print(target.server.port, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            port = int(parent.stdout.readline())
            assert answers(port)
        finally:
            parent.kill()
    wait_until(lambda: not answers(port), "the server to end")


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are a matter of POSIX")
def test_ctrl_c_does_not_reach_the_server(world: World) -> None:
    """The harness needs the server for its teardown."""
    assert os.getpgid(world.server.process.pid) != os.getpgid(0)


# The machine's own settings do not matter.

SETTINGS = {
    "AWS_PROFILE": "nonexistent",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_ENDPOINT_URL": NOBODY,
    "AWS_ENDPOINT_URL_S3": NOBODY,
    "AWS_ENDPOINT_URL_CLOUDTRAIL": NOBODY,
    "AWS_ACCESS_KEY_ID": "AKIASOMEBODYELSE",
    "AWS_SECRET_ACCESS_KEY": "somebody else's",
    "AWS_SESSION_TOKEN": "somebody else's",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_CA_BUNDLE": "/nonexistent/bundle",
    "AWS_MAX_ATTEMPTS": "0",
    "AWS_STS_REGIONAL_ENDPOINTS": "legacy",
    "HTTP_PROXY": NOBODY,
    "HTTPS_PROXY": NOBODY,
    "http_proxy": NOBODY,
    "https_proxy": NOBODY,
    "ALL_PROXY": NOBODY,
    "MOTO_S3_CUSTOM_ENDPOINTS": "http://elsewhere.example",
}


def test_profiles_endpoints_proxies_and_keys_of_the_machine_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with EmbeddedTarget(seed=1, factor=3600) as target:
        session = target.session()
        s3 = session.client("s3")
        s3.create_bucket(Bucket="some-bucket")
        s3.put_object(Bucket="some-bucket", Key="k", Body=b"body")
        assert s3.get_object(Bucket="some-bucket", Key="k")["Body"].read() == b"body"
        assert session.client("cloudtrail").describe_trails()["trailList"] == []
        assert session.client("sts").get_caller_identity()["Arn"].endswith(":user/s3logjam")
        assert session.region_name == REGION


def test_endpoint_variants_of_the_machine_do_not_matter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    s3 = world.target.session().client("s3")
    assert urlsplit(s3.meta.endpoint_url).netloc == f"s3.{REGION}.amazonaws.com"
    s3.create_bucket(Bucket=world.name("bucket"))


def test_the_servers_own_pages_are_not_read_through_a_proxy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, NOBODY)
    # urllib keeps the opener of its first use; without this, the result would depend on the tests before.
    monkeypatch.setattr(urllib.request, "_opener", None)
    assert world.server.page("clock")


# Nothing leaves the machine.

CALLS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("athena", REGION, "list_work_groups", {}),
    ("cloudtrail", "eu-west-1", "describe_trails", {}),
    ("events", REGION, "list_rules", {}),
    ("iam", REGION, "list_users", {}),
    ("iam", "cn-north-1", "list_users", {}),
    ("logs", REGION, "describe_log_groups", {}),
    ("s3", REGION, "list_buckets", {}),
    ("s3", REGION, "get_object", {"Bucket": "some-bucket", "Key": "a b/ü"}),
    ("s3", "cn-north-1", "get_object", {"Bucket": "dotted.bucket", "Key": "k"}),
    ("s3", "eu-west-1", "get_object", {"Bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap", "Key": "k"}),
    ("s3", REGION, "put_object", {"Bucket": "some--use1-az4--x-s3", "Key": "k"}),
    ("s3", REGION, "write_get_object_response", {"RequestRoute": "route", "RequestToken": "token"}),
    ("s3control", "eu-west-1", "get_public_access_block", {"AccountId": "123456789012"}),
    ("sqs", REGION, "list_queues", {}),
    ("sts", "eu-west-1", "get_caller_identity", {}),
]


class SeenError(Exception):
    """Stands in for sending a request."""


@pytest.fixture(scope="module")
def watched(world: World) -> tuple[boto3.Session, list[tuple[str, str]]]:
    """A session of the target that notes URL and Host of what it would send, and sends nothing."""
    session, seen = world.target.session(), []

    def look(request: AWSPreparedRequest, **_kwargs: Any) -> None:
        host = request.headers["Host"]
        seen.append((request.url, host.decode() if isinstance(host, bytes) else host))
        raise SeenError

    session.events.register_last("before-send", look)
    return session, seen


@pytest.mark.parametrize(("service", "region", "call", "parameters"), CALLS)
def test_a_request_to_any_host_is_sent_to_loopback_under_its_own_name(
    world: World,
    watched: tuple[boto3.Session, list[tuple[str, str]]],
    service: str,
    region: str,
    call: str,
    parameters: dict[str, Any],
) -> None:
    session, seen = watched
    seen.clear()
    with pytest.raises(SeenError):
        getattr(session.client(service, region_name=region), call)(**parameters)
    ((url, host),) = seen
    assert (urlsplit(url).scheme, urlsplit(url).netloc) == ("http", f"127.0.0.1:{world.server.port}")
    assert host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def test_no_connection_is_made_but_to_loopback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, places = socket.socket.connect, []

    def watched(self: socket.socket, address: Any) -> None:
        places.append(address[0])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    session = world.target.session()
    bucket = world.bucket()
    s3 = session.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="k")
    list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    session.client("s3", region_name="eu-west-1").head_bucket(Bucket=bucket)
    session.client("s3control").list_access_points(AccountId="123456789012")
    session.client("iam").list_users()
    assert set(places) == {"127.0.0.1"}
    assert len(places) >= 6


def test_a_redirect_to_another_region_stays_on_loopback() -> None:
    """botocore sends a redirected request anew by itself; it passes the same hook."""
    hosts = []

    class Redirecting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            first = len(hosts) == 1
            self.send_response(301 if first else 200)
            self.send_header("x-amz-bucket-region", "eu-west-1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as fake:
        threading.Thread(target=fake.serve_forever, args=(0.01,), daemon=True).start()
        session = boto3.Session("AKIAEXAMPLE", "secret", region_name=REGION)
        route_to(session, f"http://127.0.0.1:{fake.server_port}")
        session.client("s3").get_object(Bucket="some-bucket", Key="k")
        fake.shutdown()
    assert hosts == ["some-bucket.s3.amazonaws.com", "some-bucket.s3.eu-west-1.amazonaws.com"]
