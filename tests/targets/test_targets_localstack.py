"""The localstack target asks an endpoint what it is and what it can serve, and believes nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.errors import ExitCode, TargetError, UsageError
from harness.targets.choice import TargetName, Wanted, reopened, target_for
from harness.targets.embedded import ACCESS_KEY_ID
from harness.targets.localstack import LocalstackTarget

Reply = tuple[int, str]
ACCOUNT = "000000000000"
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:root</Arn><UserId>A</UserId><Account>{ACCOUNT}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
BUCKETS = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
POINTS = "<ListMultiRegionAccessPointsResult><AccessPoints/></ListMultiRegionAccessPointsResult>"
NOT_THERE = "<Error><Code>InternalFailure</Code><Message>not yet emulated</Message></Error>"
REFUSED = "<Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>"
SERVICES = {"s3": "available", "sts": "running", "iam": "available", "s3control": "available"}


@dataclass
class FakeEndpoint:
    """What a small server on loopback answers, and what it was asked.

    Attributes:
        pages: Answer by path.
        access_control: Whether it refuses an unknown access key.
    """

    pages: dict[str, Reply] = field(default_factory=dict)
    access_control: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, host: str, path: str, key: str) -> Reply:
        self.asked.append((host, path))
        if path in self.pages:
            return self.pages[path]
        if host.startswith("sts."):
            return 200, IDENTITY
        if host.startswith("s3.") and path == "/":
            return (403, REFUSED) if self.access_control and "AKIAIOSFODNN7EXAMPLE" in key else (200, BUCKETS)
        if host.startswith("s3-control.") and path.startswith("/v20180820/mrap/instances"):
            return 200, POINTS
        return 501, NOT_THERE

    def hosts(self, path: str) -> set[str]:
        return {host for host, asked in self.asked if asked.startswith(path)}


def health(version: str = "2026.3.0", **services: str) -> Reply:
    return 200, json.dumps({"services": SERVICES | services, "version": version, "edition": "unknown"})


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    fake = FakeEndpoint(pages={"/_localstack/health": health(), "/_s3logjam/clock": (404, "no such page")})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            host, key = self.headers["Host"], self.headers.get("Authorization", "")
            status, body = fake.answer(host, self.path, key)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_PUT = do_GET

        def log_message(self, *_arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}"
        yield fake
        server.shutdown()
        thread.join()


def test_localstack_is_named_with_its_version_and_known_to_deliver_no_logs(endpoint: FakeEndpoint) -> None:
    with LocalstackTarget(endpoint.url) as target:
        assert target.note.startswith("LocalStack 2026.3.0")
        assert "never AWS" in target.note
        assert "neither server access logs nor CloudTrail" in target.no_logs
        assert not target.real
        assert target.session().client("sts").get_caller_identity()["Account"] == ACCOUNT


def test_what_it_can_serve_is_asked_and_a_refusal_is_the_reason(endpoint: FakeEndpoint) -> None:
    with LocalstackTarget(endpoint.url) as target:
        assert target.capabilities == {"multi-region"}
        assert target.missing["batch-operations"] == (
            "LocalStack 2026.3.0 has no S3 Batch Operations (ListJobs: InternalFailure)"
        )
        assert "ListDirectoryBuckets" in target.missing["directory-buckets"]
        assert "torrent" in target.missing


def test_whether_it_checks_who_asks_is_tried_with_a_key_that_nobody_has(endpoint: FakeEndpoint) -> None:
    with LocalstackTarget(endpoint.url) as lenient:
        assert "access-control" not in lenient.capabilities
        assert "does not check who asks" in lenient.missing["access-control"]
    endpoint.access_control = True
    with LocalstackTarget(endpoint.url) as strict:
        assert "access-control" in strict.capabilities
        assert "access-control" not in strict.missing


def test_host_names_are_those_of_aws_but_where_localstack_would_mistake_them(endpoint: FakeEndpoint) -> None:
    endpoint.pages["/v20180820/accesspoint"] = (
        200,
        "<ListAccessPointsResult><AccessPointList/></ListAccessPointsResult>",
    )
    with LocalstackTarget(endpoint.url, "eu-central-1") as target:
        session = target.session()
        session.client("s3control").list_access_points(AccountId=ACCOUNT)
        endpoint.pages["/key"] = (200, "")
        session.client("s3").get_object(Bucket="bucket", Key="key")["Body"].read()
    assert endpoint.hosts("/v20180820/") == {"s3-control.eu-central-1.amazonaws.com"}
    assert endpoint.hosts("/key") == {"bucket.s3.eu-central-1.amazonaws.com"}


def test_the_website_endpoint_is_named_with_a_dot(endpoint: FakeEndpoint) -> None:
    from harness.execute.raw import send_raw  # noqa: PLC0415

    endpoint.pages["/index.html"] = (200, "hello")
    with LocalstackTarget(endpoint.url) as target:
        url = "http://bucket.s3-website-us-east-1.amazonaws.com/index.html"
        assert send_raw(target.session(), "WebsiteGet", "GET", url, {}, b"").body == b"hello"
    assert endpoint.hosts("/index.html") == {"bucket.s3-website.us-east-1.amazonaws.com"}


def test_our_own_server_is_recognised_with_its_clock_and_delivers_logs(endpoint: FakeEndpoint) -> None:
    endpoint.pages["/_s3logjam/clock"] = (200, '{"factor": 600.0, "anchor": 1700000000.0}')
    with LocalstackTarget(endpoint.url) as target:
        assert target.no_logs == ""
        assert target.clock.factor == 600
        assert "access-control" in target.capabilities
        credentials = target.session().get_credentials()
        assert credentials is not None
        assert credentials.access_key == ACCESS_KEY_ID
    assert "/_localstack/health" not in {path for _, path in endpoint.asked}


@pytest.mark.parametrize("body", ["<html>hello</html>", "[]", "null", '{"services": null}', '{"version": "1"}', "\x00"])
def test_something_else_that_answers_is_refused(body: str, endpoint: FakeEndpoint) -> None:
    endpoint.pages |= {"/_s3logjam/clock": (200, body), "/_localstack/health": (200, body)}
    with pytest.raises(TargetError, match=r"neither LocalStack nor `s3logjam serve` answers at http://127"):
        LocalstackTarget(endpoint.url).__enter__()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.0.0.1:no", "http://127.0.0.1:99999"])
def test_nothing_that_answers_is_an_error_that_says_what_to_do(url: str) -> None:
    with pytest.raises(TargetError, match=r"start one of them, or name another with --endpoint-url") as caught:
        LocalstackTarget(url).__enter__()
    assert caught.value.exit_code == ExitCode.USAGE


def test_an_endpoint_that_speaks_no_http_is_an_error() -> None:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(TargetError, match="neither LocalStack nor"):
            LocalstackTarget(f"http://127.0.0.1:{server.getsockname()[1]}").__enter__()
        thread.join()


@pytest.mark.parametrize("missing", ["s3", "sts"])
def test_localstack_without_a_service_that_every_run_needs_is_refused(missing: str, endpoint: FakeEndpoint) -> None:
    endpoint.pages["/_localstack/health"] = health(**{missing: "disabled"})
    with pytest.raises(TargetError, match=rf"does not serve {missing}: start it with SERVICES="):
        LocalstackTarget(endpoint.url).__enter__()


@pytest.mark.parametrize("text", ["localhost:4566", "http://", "ftp://localhost"])
def test_an_endpoint_that_is_no_url_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="write http://host:port"):
        LocalstackTarget(text)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set LocalStack's variables, and no others."""

    def use(**variables: str) -> None:
        for name in ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "USE_SSL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return use


def test_the_endpoint_comes_from_the_option_else_from_the_environment(
    endpoint: FakeEndpoint, settings: Callable[..., None]
) -> None:
    def reached(url: str | None = None) -> Any:
        return target_for(Wanted(name=TargetName.LOCALSTACK, endpoint_url=url)).reach()["endpoint"]

    settings()
    assert reached() == "http://localhost:4566"
    settings(LOCALSTACK_HOST=endpoint.url.removeprefix("http://"))
    assert reached() == endpoint.url
    settings(LOCALSTACK_HOST="elsewhere:1", AWS_ENDPOINT_URL=endpoint.url)
    assert reached() == endpoint.url
    settings(AWS_ENDPOINT_URL="http://elsewhere:1")
    assert reached(f"{endpoint.url}/") == endpoint.url


def test_an_endpoint_of_the_environment_is_the_one_that_is_asked(
    endpoint: FakeEndpoint, settings: Callable[..., None]
) -> None:
    settings(LOCALSTACK_HOST=endpoint.url.removeprefix("http://"))
    with LocalstackTarget() as target:
        target.session().client("s3").list_buckets()
    assert "s3.us-east-1.amazonaws.com" in endpoint.hosts("/")


def test_a_run_on_it_is_taken_up_where_it_was_begun(endpoint: FakeEndpoint) -> None:
    with LocalstackTarget(endpoint.url, "eu-central-1") as target:
        facts = {"target": "localstack", "region": target.region, "reach": target.reach()}
    again = reopened(facts)
    assert (again.reach(), again.region) == (target.reach(), "eu-central-1")


def test_delays_are_not_measured_where_no_record_will_come(
    endpoint: FakeEndpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("harness.cli.signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        main(["heartbeat", "--target", "localstack", "--endpoint-url", endpoint.url, "--results", str(tmp_path)])
    assert caught.value.code == ExitCode.USAGE
    assert "nothing to measure: LocalStack delivers neither" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
