"""Where calls go. A target makes sessions, tells the time and says what it can serve; nothing else knows its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import boto3

from harness.clock import Clock

FIXED_LIMITS = {
    "account-wide-changes": "it would change the whole account: never by default",
    "torrent": "AWS has retired BitTorrent",
    "requester": "it needs a role in another account: --requester-role",
    "days": "S3 does it by itself, a day or more later: only with --slow",
}
"""What no target offers by itself, and why."""

ACCESS_CONTROL = "access-control"
"""The capability of a target that asks who calls: it refuses whom nobody has permitted, and what is signed wrongly."""

DIRECTORY_ZONES = {"us-east-1": "use1-az4", "us-west-2": "usw2-az1", "eu-north-1": "eun1-az1"}
"""A zone per Region that has directory buckets (S3 User Guide, S3 Express One Zone Availability Zones)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; never shown, never journaled.

    Attributes:
        expires_at: In real time, whatever the run's clock; None for a key that does not expire.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


class Target(Protocol):
    """What a run needs of a target. Use it as a context manager: leaving it ends what it started.

    Attributes:
        note: The sentence that every output carries, empty for AWS.
        capabilities: What scenarios may ask for with ``requires``; known once the target was entered.
        missing: For a capability that is not there, why.
        no_logs: Why no channel will ever deliver anything here; empty where they may.
        outlives: Whether it goes on, with everything in it, when this process ends: such a run can be taken up again.
        real: Whether it costs money and belongs to somebody.
        repeatable: Whether a seed makes a run there repeatable, its names included.
        identity: Account and ARN of the caller, where they are known without asking.
    """

    name: str
    note: str
    region: str
    clock: Clock
    capabilities: frozenset[str]
    missing: Mapping[str, str]
    no_logs: str = ""
    outlives: bool = False
    real: bool = False
    repeatable: bool = True
    identity: tuple[str, str] | None = None

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """Return a session whose clients reach this target: the owner's, or that of other credentials."""
        ...

    def reach(self) -> dict[str, Any]:
        """Return what another process needs to reach this target again (``choice.reopened``): no secrets."""
        ...

    def keep_evidence(self, folder: Path) -> None:
        """Write what only the target knows of a run into its folder."""
        ...

    def ended_with(self) -> None:
        """Hear that nothing of the run is left in the target, and that nobody will come back to it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
