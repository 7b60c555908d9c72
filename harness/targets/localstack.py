"""The localstack target: any endpoint that speaks like LocalStack, LocalStack itself and ``s3logjam serve`` among them.

What the endpoint is, is asked, not assumed. LocalStack delivers no logs: such a run executes and waits for nothing.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from localstack_client.config import get_service_endpoint

from harness.clock import Clock, ScaledClock
from harness.errors import TargetError, UsageError
from harness.targets import ACCESS_CONTROL, FIXED_LIMITS, Credentials
from harness.targets.embedded import ACCESS_KEY_ID, NOTE, SECRET_ACCESS_KEY, EmbeddedTarget, own_page
from harness.targets.sessions import isolated_session, known_region, route_to

LOCALSTACK_NOTE = "an emulator: proves the scenarios, never AWS"
NO_LOGS = "LocalStack delivers neither server access logs nor CloudTrail records"
_TEST_CREDENTIALS = Credentials("test", "test")
"""LocalStack takes any; these are the ones of its own documentation."""
_TIMEOUT_SECONDS = 10
_LONGEST_VERSION = 40
_UNKNOWN_ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
_ONCE = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "virtual"})
_PROBES = {
    "directory-buckets": ("directory buckets", "s3", "ListDirectoryBuckets"),
    "batch-operations": ("S3 Batch Operations", "s3control", "ListJobs"),
    "multi-region": ("Multi-Region Access Points", "s3control", "ListMultiRegionAccessPoints"),
}
"""By capability: its name, and the service and operation that the endpoint must answer to have it."""


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
        self.note, self.no_logs, self._name = LOCALSTACK_NOTE, NO_LOGS, "LocalStack"
        self._credentials = _TEST_CREDENTIALS
        self._ours = False
        self.capabilities: frozenset[str] = frozenset()
        self.missing: Mapping[str, str] = FIXED_LIMITS

    def __enter__(self) -> Self:
        """Ask the endpoint what it is, and what it can serve.

        Raises:
            TargetError: Nothing answers there, something else does, or it serves no s3.
        """
        try:
            told = own_page(self._endpoint, "clock")
            self.clock = ScaledClock(float(told["factor"]), float(told["anchor"]))
        except (OSError, HTTPException, ValueError, TypeError, KeyError):
            self._ask_localstack()
            return self
        self.note, self.no_logs, self._ours = NOTE, "", True
        self._credentials = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        self.capabilities, self.missing = EmbeddedTarget.capabilities, EmbeddedTarget.missing
        return self

    def _ask_localstack(self) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self._endpoint}/_localstack/health", timeout=_TIMEOUT_SECONDS) as response:
                told = json.load(response)
                version, services = str(told.get("version", ""))[:_LONGEST_VERSION], dict(told["services"])
        except (OSError, HTTPException, ValueError, TypeError, AttributeError, KeyError) as error:
            raise TargetError(
                f"neither LocalStack nor `s3logjam serve` answers at {self._endpoint}"
                f" ({type(error).__name__}: {error}): start one of them, or name another with --endpoint-url,"
                " AWS_ENDPOINT_URL or LOCALSTACK_HOST"
            ) from error
        absent = [name for name in ("s3", "sts") if services.get(name) in (None, "disabled", "error")]
        if absent:
            raise TargetError(
                f"LocalStack at {self._endpoint} does not serve {' and '.join(absent)}: start it with"
                " SERVICES=s3,s3control,sts,iam, or without SERVICES"
            )
        self._name = f"LocalStack {version}".strip()
        self.note = f"{self._name}, {LOCALSTACK_NOTE}"
        self._probe()

    def _probe(self) -> None:
        """Find out by one cheap call each what the endpoint can serve."""
        session = self.session()
        try:
            account = session.client("sts").get_caller_identity()["Account"]
        except (ClientError, BotoCoreError) as error:
            raise TargetError(f"{self._name} at {self._endpoint} does not answer: {error}") from error
        missing = dict(FIXED_LIMITS)
        for capability, (what, service, operation) in _PROBES.items():
            parameters = {"AccountId": account} if service == "s3control" else {}
            try:
                client: Any = session.client(service, config=_ONCE)  # type: ignore[call-overload]
                getattr(client, xform_name(operation))(**parameters)
            except (ClientError, BotoCoreError) as error:
                missing[capability] = f"{self._name} has no {what} ({operation}: {_code(error)})"
        missing["object-lambda"] = f"{self._name} calls no Lambda function for S3"
        if self._lets_anybody_in():
            missing[ACCESS_CONTROL] = f"{self._name} does not check who asks (an unknown access key may list buckets)"
        self.missing = missing
        self.capabilities = frozenset({*_PROBES, ACCESS_CONTROL} - missing.keys())

    def _lets_anybody_in(self) -> bool:
        nobody = self.session(Credentials(_UNKNOWN_ACCESS_KEY, "x")).client("s3", config=_ONCE)
        try:
            nobody.list_buckets()
        except (ClientError, BotoCoreError):
            return False
        return True

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
        route_to(session, self._endpoint, str if self._ours else _understood)
        return session


def _code(error: Exception) -> str:
    told = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return str(told or type(error).__name__)


def _understood(host: str) -> str:
    """Return a host name as LocalStack understands it.

    It takes the account in s3control's host name for a bucket (the account stands in a header too), and knows the
    website endpoint with a dot before the Region only, which AWS has in the newer Regions.
    """
    account, _, rest = host.partition(".")
    if account.isdigit() and rest.startswith("s3-control."):
        return rest
    return host.replace(".s3-website-", ".s3-website.")
