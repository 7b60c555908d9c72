"""The embedded target: starts the AWS-like server as a separate process and routes AWS host names to it.

Sessions keep AWS endpoints; a ``before-send`` hook sends every request to the loopback port, so client code is the same
as on AWS (virtual hosts and s3control included) and no request can leave the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

import harness
from harness.clock import Clock, ScaledClock
from harness.embedded.switches import Behaviours, UnknownBehaviourError
from harness.errors import TargetError, UsageError
from harness.targets import Credentials

DEFAULT_FACTOR = 600.0
ACCESS_KEY_ID = "AKIAS3LOGJAMEMBEDDED"
SECRET_ACCESS_KEY = "embedded-server-only-not-a-secret"  # noqa: S105 - made up, published, worth nothing elsewhere
NOTE = "AWS-like server on this machine: proves the harness, never AWS"
LEDGER = "embedded-ledger.jsonl"
_START_SECONDS = 30.0


def session_config() -> Config:
    """Return the client configuration common to all targets that must not follow the machine's own settings."""
    return Config(  # type: ignore[call-arg]  # the stubs lag behind botocore
        ignore_configured_endpoint_urls=True,
        proxies={},
        use_fips_endpoint=False,
        use_dualstack_endpoint=False,
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"us_east_1_regional_endpoint": "regional", "addressing_style": "virtual"},
    )


def isolated_session(who: Credentials, region: str) -> boto3.Session:
    """Return a session that reads no profile, no config file and no credentials of the machine's user."""
    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    core.set_credentials(who.access_key, who.secret_key, who.token)
    core.set_default_client_config(session_config())
    return boto3.Session(botocore_session=core, region_name=region)


class EmbeddedServer:
    """The server's process, from start to end.

    Args:
        clock: The clock that both sides share.
        seed: Makes delays and ids repeatable.
        port: 0 for a free one.
        behaviours: ``name=answer`` texts (``embedded/switches.py``).

    Raises:
        TargetError: The server did not come up, for instance because the port is taken.
    """

    def __init__(self, clock: ScaledClock, seed: int, port: int = 0, behaviours: Sequence[str] = ()) -> None:
        # -P: nothing in the user's current folder (a moto.py, a folder called harness) may stand in for our modules.
        command = [sys.executable, "-P", "-m", "harness.embedded.server", "--port", str(port), "--seed", str(seed)]
        command += ["--factor", repr(clock.factor), "--anchor", repr(clock.anchor)]
        command += [part for behaviour in behaviours for part in ("--behaviour", behaviour)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
        environment["MOTO_DISABLE_GLOBAL_CORS"] = "true"
        root = str(Path(harness.__file__).parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
        # A process group of its own: Ctrl+C reaches the harness, which needs the server for its teardown.
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
            text=True,
        )
        self._errors: list[str] = []
        threading.Thread(target=self._drain, daemon=True).start()
        assert self.process.stdout is not None
        timer = threading.Timer(_START_SECONDS, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            line = self.process.stdout.readline()
        except BaseException:  # Ctrl+C
            self.close()
            raise
        finally:
            timer.cancel()
        ready = json.loads(line) if line.startswith("{") else {}
        if "port" not in ready:
            self.close()
            why = ready.get("error") or "".join(self._errors[-5:]).strip() or "it ended without a word"
            raise TargetError(f"the embedded server did not start: {why}")
        self.port = int(ready["port"])

    def _drain(self) -> None:
        """Keep the last lines of the server's standard error, so that its pipe never fills."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors.append(line)
            del self._errors[:-50]

    @property
    def errors(self) -> str:
        """The last lines that the server wrote to its standard error."""
        return "".join(self._errors)

    def page(self, name: str) -> Any:
        """Return one of the server's own pages: ``clock`` or ``ledger``."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://127.0.0.1:{self.port}/_s3logjam/{name}", timeout=30) as response:
            return json.load(response)

    def close(self) -> None:
        """End the process; safe to call twice."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class EmbeddedTarget:
    """The default target: see ``Target`` for what it offers.

    Args:
        seed: Makes delays and ids repeatable.
        factor: How many seconds pass on the run's clock in one second of the machine's.
        port: 0 for a free one.
        behaviours: ``name=answer`` texts: which sides the server takes where AWS's documents contradict each other.
    """

    name = "embedded"
    note = NOTE
    region = "us-east-1"
    capabilities = frozenset({"multi-region"})

    def __init__(
        self, seed: int, factor: float = DEFAULT_FACTOR, port: int = 0, behaviours: Sequence[str] = ()
    ) -> None:
        try:
            Behaviours.from_texts(list(behaviours))
        except UnknownBehaviourError as error:
            raise UsageError(str(error)) from error
        self._behaviours = behaviours
        self._clock = ScaledClock.starting_now(factor)
        self._seed, self._port = seed, port
        self.clock: Clock = self._clock
        self.server: EmbeddedServer | None = None
        self.missing = {
            "directory-buckets": "the embedded server has no directory buckets",
            "object-lambda": "the embedded server has no Object Lambda access points",
            "torrent": "the embedded server has no BitTorrent (AWS retired it too)",
            "batch-operations": "the embedded server has no S3 Batch Operations",
            "account-wide-changes": "it would change the whole account: never by default",
            "days": "S3 does it by itself, a day or more later: only with --slow",
        }

    def __enter__(self) -> Self:
        self.server = EmbeddedServer(self._clock, self._seed, self._port, self._behaviours)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.server:
            self.server.close()

    def keep_evidence(self, folder: Path) -> None:
        """Write the ledger: what the server injected, against which measured delays can be held."""
        if self.server:
            lines = [json.dumps(entry) + "\n" for entry in self.server.page("ledger")]
            (folder / LEDGER).write_text("".join(lines), "utf-8")

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """Return a session of the server's one user, or of other credentials, routed to loopback."""
        if self.server is None:
            raise TargetError("the embedded server is not running")
        who = credentials or Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        session = isolated_session(who, self.region)
        route_to_loopback(session, self.server.port)
        return session


def route_to_loopback(session: boto3.Session, port: int) -> None:
    """Send every request of a session's clients to a port on 127.0.0.1, with the AWS host name kept as ``Host``."""

    def reroute(request: AWSPreparedRequest, **_kwargs: Any) -> None:
        parts = urlsplit(request.url)
        request.headers["Host"] = parts.netloc
        request.url = urlunsplit(("http", f"127.0.0.1:{port}", parts.path or "/", parts.query, ""))

    session.events.register_last("before-send", reroute)
