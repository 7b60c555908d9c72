"""Where records arrive: one file per channel behind one small protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from harness.environment.site import Site
from harness.model import Delivery, Parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How a channel is polled, in seconds on the run's clock: data, because each channel has its own habits.

    Attributes:
        interval_seconds: Between two polls.
        absence_seconds: How long after a call its record may still be on its way; only then is it ``not observed``.
        promise: What AWS promises, with its source.
        arrival_stamps: Whether deliveries carry a stamp of their arrival. Where they do not, ``Delivery.arrived_at`` is
            when a poll saw them, and a delay is known as the interval between two polls.
    """

    interval_seconds: float
    absence_seconds: float
    promise: str
    arrival_stamps: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a channel may have to do in the account; the least-privilege policy is made of these.

    Attributes:
        actions: IAM actions, e.g. ``cloudtrail:CreateTrail``.
        resources: ARNs; ``{account}`` and ``{region}`` stand for the run's.
        conditions: As in an IAM policy statement.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    conditions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Channel(Protocol):
    """One logging channel. State lives in the journal and in AWS, never in the channel.

    Attributes:
        permissions: For everything that the channel does itself, from enabling to teardown.
    """

    name: str
    policy: PollPolicy
    permissions: tuple[Permission, ...]

    def enable(self, site: Site) -> None:
        """Create what the channel needs and switch it on for the run's source buckets."""
        ...

    def watch(self, site: Site, bucket: str) -> None:
        """Have a further source bucket logged."""
        ...

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield the deliveries that are not in ``known``.

        Args:
            since: When the last complete poll began (or the run): nothing older need be listed.
        """
        ...

    def parse(self, delivery: Delivery) -> Parsed:
        """Return the records and rejects of a delivery."""
        ...


def channels() -> Mapping[str, Callable[[], Channel]]:
    """Return every channel by name."""
    from harness.channels.cloudtrail import CloudTrailChannel  # noqa: PLC0415 - the modules need this one
    from harness.channels.server_access import ServerAccessChannel  # noqa: PLC0415

    return {"server-access": ServerAccessChannel, "cloudtrail": CloudTrailChannel}
