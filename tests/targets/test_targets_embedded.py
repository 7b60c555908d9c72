"""The embedded target of a detached run: whether its server is still there, and whether it is the same one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from process_kit import PATIENCE_SECONDS

from harness.errors import TargetGoneError
from harness.targets.embedded import EmbeddedTarget, own_page

REACH = {"seed": 1, "factor": 600.0, "anchor": 1.5}


@contextmanager
def listening(answer: bytes) -> Iterator[str]:
    """Answer every connection with the same bytes, whatever it asks; yields the endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"",
        http(b"<html>It works!</html>"),
        http(b"\xff\xfe"),
        http(b"{}"),
        http(b"null"),
        http(b'{"factor": 600.0, "anchor": 2.5}'),
        http(b"no", "404 Not Found"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
    ],
    ids=["ssh", "nothing", "html", "not text", "json", "null", "another server of ours", "404", "broken off"],
)
def test_a_port_that_another_program_has_taken_means_that_the_server_has_ended(answer: bytes) -> None:
    with listening(answer) as endpoint, pytest.raises(TargetGoneError, match=r"has ended.*s3logjam report"):
        EmbeddedTarget.reopened(REACH | {"endpoint": endpoint}, "us-east-1")


def test_a_port_that_nobody_has_means_that_the_server_has_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TargetGoneError):
        EmbeddedTarget.reopened(REACH | {"endpoint": f"http://127.0.0.1:{port}"}, "us-east-1")


def test_the_server_with_the_same_clock_is_the_same_server() -> None:
    with listening(http(b'{"factor": 600.0, "anchor": 1.5}')) as endpoint:
        found = EmbeddedTarget.reopened(REACH | {"endpoint": endpoint}, "us-east-1")
        assert found.reach() == REACH | {"endpoint": endpoint}
        assert found.clock.factor == 600.0


def test_ending_a_server_that_has_ended_is_no_error() -> None:
    with listening(http(b'{"factor": 600.0, "anchor": 1.5}')) as endpoint:
        found = EmbeddedTarget.reopened(REACH | {"endpoint": endpoint}, "us-east-1")
    found.ended_with()


def ended(endpoint: str) -> bool:
    try:
        own_page(endpoint, "clock")
    except OSError:
        return True
    return False


def test_a_detached_server_goes_on_only_where_somebody_knows_how_to_come_back() -> None:
    for told in (False, True):
        with EmbeddedTarget(seed=1, detached=True) as target:
            assert target.server is not None
            endpoint = target.server.endpoint
            if told:
                target.reach()
        assert ended(endpoint) is not told
    target.ended_with()
    target.server.process.wait(timeout=PATIENCE_SECONDS)
    assert ended(endpoint)
