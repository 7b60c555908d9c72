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

_BACK_OFF = 0.1
"""A poll's interval in the time waited: what comes is seen at most a tenth later than it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How a channel is polled, in seconds on the run's clock: data, because each channel has its own habits.

    Attributes:
        interval_seconds: Between two polls, at first.
        slowest_seconds: Between two polls, at most: the longer a wait has been, the less a minute more or less matters.
        silent_seconds: How long after it was switched on a channel may need to show its first record.
        absence_seconds: How long after a call its record may still be on its way; only then is it ``not observed``.
        promise: What AWS promises, with its source.
        arrival_stamps: Whether deliveries carry a stamp of their arrival. Where they do not, ``Delivery.arrived_at`` is
            when a poll saw them, and a delay is known as the interval between two polls.
        by_bucket: Whether it is switched on for each bucket by itself and takes effect late there: only a record of a
            bucket shows that the bucket is logged.
        looks: The operations that look for what is new, as against those that fetch it: their number is the cost of
            polling.
    """

    interval_seconds: float
    absence_seconds: float
    promise: str
    slowest_seconds: float = 1800.0
    silent_seconds: float = 6 * 3600.0
    arrival_stamps: bool = True
    by_bucket: bool = False
    looks: frozenset[str] = frozenset({"ListObjectsV2"})

    def interval_after(self, waited_seconds: float) -> float:
        """Return how long to wait for the next poll when the last call is so long ago."""
        return max(self.interval_seconds, min(self.slowest_seconds, waited_seconds * _BACK_OFF))


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
        charges: What AWS charges for, beside the requests that the run makes itself: items of the price list
            (``planning/prices.csv``).
    """

    name: str
    policy: PollPolicy
    permissions: tuple[Permission, ...]
    charges: tuple[str, ...]

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
            known: Names of deliveries. Those with records of others only are forgotten: a channel that has such looks
                no further back than ``absence_seconds`` and half an hour.
        """
        ...

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Return the records and rejects of a delivery.

        Args:
            ours: Where a channel shows more than the run's buckets: which records to read; the others are counted.
        """
        ...


def text_delivery(channel: str, name: str, text: str, arrived_at: datetime, seen_at: datetime) -> Delivery:
    """Return the delivery of a record that a service hands out as text: an event, a message."""
    body = text.encode("utf-8", "surrogatepass")
    return Delivery(channel=channel, name=name, arrived_at=arrived_at, seen_at=seen_at, size_bytes=len(body), body=body)


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
