"""Where records arrive: one file per channel behind one small protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from harness.environment.site import Site
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Delivery, Ours, Parsed

DEFAULT = (SERVER_ACCESS, CLOUDTRAIL)
"""The channels of a run that names none: the two classic ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How a channel is polled, in seconds on the run's clock: data, because each channel has its own habits.

    Attributes:
        interval_seconds: Between two polls.
        absence_seconds: How long after a call its record may still be on its way; only then is it ``not observed``.
        promise: What AWS promises, with its source.
        arrival_stamps: Whether deliveries carry a stamp of their arrival. Where they do not, ``Delivery.arrived_at`` is
            when a poll saw them, and a delay is known as the interval between two polls.
        looks: The operations that look for what is new, as against those that fetch it: their number is the cost of
            polling.
    """

    interval_seconds: float
    absence_seconds: float
    promise: str
    arrival_stamps: bool = True
    looks: frozenset[str] = frozenset({"ListObjectsV2"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One thing that AWS charges for in a channel, in us-east-1; several add up.

    Attributes:
        usd: For one unit.
        unit: ``record``, ``management event``, ``data event``, ``GB`` or ``request``.
        source: Where it is said; ``unconfirmed`` stands in it where no page of AWS's was read.
        bytes_per_record: Of a unit ``GB``: an estimate.
        note: What is free, and when.
    """

    usd: float
    unit: str
    source: str
    bytes_per_record: int = 0
    note: str = ""


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
        permissions: For everything that the channel does itself, from preflight to teardown.
        prices: What AWS charges for it.
    """

    name: str
    policy: PollPolicy
    permissions: tuple[Permission, ...]
    prices: tuple[Price, ...]

    def preflight(self, site: Site) -> str:
        """Return why the channel cannot be set up here, or an empty text. Nothing is made, and no refusal is an error.

        What cannot be asked without making it (a permission, for instance) is left to ``enable``.
        """
        ...

    def enable(self, site: Site) -> None:
        """Create what the channel needs and switch it on for the run's source buckets.

        Raises:
            PreflightError: AWS refused; so may a ``ClientError`` say.
        """
        ...

    def watch(self, site: Site, bucket: str) -> None:
        """Have a further source bucket logged."""
        ...

    def disable(self, site: Site) -> None:
        """Stop what was switched on, as far as it was; what was made stays until the teardown."""
        ...

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield the deliveries that are not in ``known``.

        A delivery is journaled before the next one is asked for: only then may it be taken out of where it was.

        Args:
            since: When the last complete poll began (or the run): nothing older need be listed.
        """
        ...

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Return the records and rejects of a delivery.

        Args:
            ours: Where a channel shows more than the run's buckets: which records to read; the others are counted.
        """
        ...


def channels() -> Mapping[str, Callable[[], Channel]]:
    """Return every channel by name."""
    from harness.channels.cloudtrail import CloudTrailChannel  # noqa: PLC0415 - the modules need this one
    from harness.channels.cloudtrail_cloudwatch import CloudTrailCloudWatchChannel  # noqa: PLC0415
    from harness.channels.cloudtrail_lookup import CloudTrailLookupChannel  # noqa: PLC0415
    from harness.channels.eventbridge import EventBridgeChannel  # noqa: PLC0415
    from harness.channels.s3_notification import S3NotificationChannel  # noqa: PLC0415
    from harness.channels.server_access import ServerAccessChannel  # noqa: PLC0415
    from harness.channels.server_access_cloudwatch import ServerAccessCloudWatchChannel  # noqa: PLC0415

    made: tuple[Callable[[], Channel], ...] = (
        ServerAccessChannel,
        ServerAccessCloudWatchChannel,
        CloudTrailChannel,
        CloudTrailCloudWatchChannel,
        CloudTrailLookupChannel,
        EventBridgeChannel,
        S3NotificationChannel,
    )
    return {make().name: make for make in made}
