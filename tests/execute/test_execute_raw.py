"""Raw requests go out as boto3's own do: by the environment's proxies and CA bundle, and straight to a loopback."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from offline import REGION, RUN_ID

from harness.execute.raw import send_raw
from harness.execute.recorder import Recorder
from harness.journal import Journal
from harness.targets import Credentials
from harness.targets.aws import aws_config
from harness.targets.sessions import isolated_session
from harness.testing import FakeClock

WEBSITE = "http://bucket.s3-website-us-east-1.amazonaws.com/page?a=1"
NOWHERE = "http://127.0.0.1:9"
SETTINGS = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "aws_ca_bundle", "requests_ca_bundle")


class Listener:
    """A server on this machine that answers every GET with what it was asked for."""

    def __init__(self, certificate: Path | None = None) -> None:
        class Echo(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(self.path)))
                self.end_headers()
                self.wfile.write(self.path.encode())

            def log_message(self, *_told: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Echo)
        self.at = f"127.0.0.1:{self.server.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of this machine that nobody else has signed, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    day, now = timedelta(days=1), datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(here, critical=False).sign(key, hashes.SHA256())
    path, pem = tmp_path / "here.pem", serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(signed.public_bytes(pem) + key.private_bytes(pem, *plain))
    return path


def of_aws() -> boto3.Session:
    return isolated_session(Credentials("AKIAIOSFODNN7EXAMPLE", "secret"), REGION, aws_config())


def of_loopback() -> boto3.Session:
    return isolated_session(Credentials("AKIAIOSFODNN7EXAMPLE", "secret"), REGION)


def get(session: boto3.Session, url: str) -> bytes:
    return send_raw(session, "WebsiteGet", "GET", url, {}, b"").body


def test_a_request_to_aws_goes_by_the_environments_proxy(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{listener.at}")
    assert get(of_aws(), WEBSITE) == WEBSITE.encode()


def test_what_the_environment_excepts_goes_by_no_proxy(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert get(of_aws(), f"http://{listener.at}/straight") == b"/straight"


def test_a_request_to_a_loopback_target_goes_by_no_proxy(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    assert get(of_loopback(), f"http://{listener.at}/straight") == b"/straight"


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_the_environments_ca_bundle_is_trusted_and_nothing_else(
    name: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Listener(certificate)
    try:
        with pytest.raises(SSLError):
            get(of_aws(), f"https://{server.at}/safe")
        monkeypatch.setenv(name, str(certificate))
        assert get(of_aws(), f"https://{server.at}/safe") == b"/safe"
    finally:
        server.close()


def test_a_request_that_reaches_nobody_is_journaled_as_a_failure(journal: Journal, clock: FakeClock) -> None:
    session = of_loopback()
    Recorder(journal, clock, RUN_ID).attach(session)
    with pytest.raises(EndpointConnectionError):
        get(session, f"{NOWHERE}/key")
    (call,) = journal.calls()
    assert call.failure == "EndpointConnectionError"
    assert call.received_at
