"""Where calls go. A target makes sessions, tells the time and says what it can serve; nothing else knows its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import boto3

from harness.clock import Clock


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; never shown, never journaled."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Target(Protocol):
    """What a run needs of a target. Use it as a context manager: leaving it ends what it started.

    Attributes:
        note: The sentence that every output carries, empty for AWS.
        capabilities: What scenarios may ask for with ``requires``.
        missing: For a capability that is not there, why.
    """

    name: str
    note: str
    region: str
    clock: Clock
    capabilities: frozenset[str]
    missing: dict[str, str]

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """Return a session whose clients reach this target: the owner's, or that of other credentials."""
        ...

    def keep_evidence(self, folder: Path) -> None:
        """Write what only the target knows of a run into its folder."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
