"""The localstack target: any endpoint that speaks like LocalStack, LocalStack itself and ``s3logjam serve`` among them.

What the endpoint is, is asked, not assumed. LocalStack delivers no logs: such a run executes and waits for nothing.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from localstack_client.config import get_service_endpoint

from harness.clock import Clock, ScaledClock
from harness.errors import TargetError, UsageError
from harness.targets import FIXED_LIMITS, Credentials
from harness.targets.embedded import ACCESS_KEY_ID, NOTE, SECRET_ACCESS_KEY, EmbeddedTarget, own_page
from harness.targets.sessions import isolated_session, known_region, route_to

LOCALSTACK_NOTE = "an emulator: proves the scenarios, never AWS"
NO_LOGS = "LocalStack delivers neither server access logs nor CloudTrail records"
_TEST_CREDENTIALS = Credentials("test", "test")
"""LocalStack takes any; these are the ones of its own documentation."""
_TIMEOUT_SECONDS = 10


class LocalstackTarget:
    """An endpoint of the user's: see ``Target`` for what it offers.

    Args:
        endpoint_url: The endpoint; ``AWS_ENDPOINT_URL``, ``LOCALSTACK_HOST`` or localhost:4566 without one.
        region: Where the session's clients are.

    Raises:
        UsageError: The endpoint is no URL.
    """

    name = "localstack"
    outlives = True
    real = False
    repeatable = False
    identity: tuple[str, str] | None = None

    def __init__(self, endpoint_url: str | None = None, region: str = "us-east-1") -> None:
        try:
            endpoint = (endpoint_url or get_service_endpoint("s3") or "").rstrip("/")
        except RuntimeError as error:
            raise UsageError(f"LOCALSTACK_HOST: {error}") from error
        if not endpoint.startswith(("http://", "https://")):
            raise UsageError(f"{endpoint!r} is no endpoint: write http://host:port")
        self._endpoint = endpoint
        self.region = known_region(region)
        self.clock: Clock = ScaledClock()
        self.note, self.no_logs, self._version = LOCALSTACK_NOTE, NO_LOGS, ""
        self._credentials = _TEST_CREDENTIALS
        self._ours = False
        self.capabilities: frozenset[str] = frozenset()
        self.missing: Mapping[str, str] = FIXED_LIMITS

    def __enter__(self) -> Self:
        """Ask the endpoint what it is.

        Raises:
            TargetError: Nothing answers there.
        """
        try:
            told = own_page(self._endpoint, "clock")
        except (OSError, ValueError):
            self._ask_localstack()
            return self
        self.clock = ScaledClock(float(told["factor"]), float(told["anchor"]))
        self.note, self.no_logs, self._ours = NOTE, "", True
        self._credentials = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        self.capabilities, self.missing = EmbeddedTarget.capabilities, EmbeddedTarget.missing
        return self

    def _ask_localstack(self) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self._endpoint}/_localstack/health", timeout=_TIMEOUT_SECONDS) as response:
                told = json.load(response)
                version, services = str(told.get("version", "")), told["services"]
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise TargetError(
                f"neither LocalStack nor `s3logjam serve` answers at {self._endpoint}: start one of them, or name"
                " another with --endpoint-url, AWS_ENDPOINT_URL or LOCALSTACK_HOST"
            ) from error
        self.note = f"LocalStack {version}, {LOCALSTACK_NOTE}"
        named = {"s3control": "access points and jobs", "iam": "roles", "sts": "identities"}
        absent = [f"{name} ({what})" for name, what in named.items() if services.get(name) in (None, "disabled")]
        if services.get("s3") in (None, "disabled"):
            raise TargetError(f"LocalStack at {self._endpoint} does not serve s3: start it with SERVICES=s3,sts,iam")
        if absent:
            self.note += f"; without {', '.join(absent)}"
        lacking = ("directory-buckets", "object-lambda", "batch-operations", "multi-region")
        self.missing = {**FIXED_LIMITS, **{name: f"LocalStack has no {name.replace('-', ' ')}" for name in lacking}}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave everything as it is: the server is the user's."""

    def reach(self) -> dict[str, Any]:
        """Return the endpoint."""
        return {"endpoint": self._endpoint}

    def keep_evidence(self, folder: Path) -> None:
        """Keep nothing: only the server's owner sees more than the run does."""

    def ended_with(self) -> None:
        """Do nothing: the server is the user's."""

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """Return a session routed to the endpoint."""
        session = isolated_session(credentials or self._credentials, self.region)
        route_to(session, self._endpoint)
        return session
