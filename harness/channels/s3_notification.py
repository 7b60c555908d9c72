"""S3 event notifications to a queue: no log, but what a log is compared with for speed; reads and failures never."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from harness.channels import Permission, PollPolicy
from harness.channels.queues import LOOKS, QUEUE, make_queue, new_messages
from harness.environment.site import Site, settled
from harness.formats import s3_notification
from harness.model import S3_NOTIFICATION, Delivery, Ours, Parsed

EVENTS = (
    "s3:ObjectCreated:*",
    "s3:ObjectRemoved:*",
    "s3:ObjectRestore:*",
    "s3:ObjectTagging:*",
    "s3:ObjectAcl:Put",
    "s3:ObjectAnnotation:*",
    "s3:ObjectRetention:Put",
    "s3:LifecycleTransition",
    "s3:LifecycleExpiration:*",
)
_NOT_YET = {"InvalidArgument": "Unable to validate the following destination configurations"}
"""What S3 answers, now and then, while the queue is new."""


class S3NotificationChannel:
    """Every source bucket notifies one queue. A bucket has one notification configuration: it is the channel's."""

    name = S3_NOTIFICATION
    policy = PollPolicy(
        interval_seconds=60,
        absence_seconds=3600,
        promise="no log: typically within seconds, sometimes a minute or longer, at least once"
        " (S3 User Guide, event notifications, July 2026)",
        looks=LOOKS,
    )
    permissions: tuple[Permission, ...] = (
        *QUEUE,
        Permission(actions=("s3:PutBucketNotification",), resources=("arn:aws:s3:::s3lm-*",)),
    )
    charges: tuple[str, ...] = ("sqs-request",)

    def preflight(self, site: Site) -> str:
        """Return an empty text: any account may be notified."""
        return ""

    def enable(self, site: Site) -> None:
        """Create the queue, to which S3 may send for the run's source buckets."""
        conditions = {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{site.source_prefix}*"},
            "StringEquals": {"aws:SourceAccount": site.account_id},
        }
        make_queue(site, _queue(site), "s3.amazonaws.com", conditions)

    def watch(self, site: Site, bucket: str) -> None:
        """Let a source bucket notify the queue of every event type that there is."""
        queue = {"QueueArn": site.arn("sqs", _queue(site)), "Events": list(EVENTS)}
        configuration = {"QueueConfigurations": [queue]}
        settled(
            site.clock,
            lambda: site.s3.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration=configuration
            ),
            _NOT_YET,
        )

    def disable(self, site: Site) -> None:
        """Take the notification configuration off all source buckets."""
        for bucket in site.source_buckets():
            site.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new messages."""
        return new_messages(site, self.name, _queue(site), known)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Parse a message."""
        return Parsed() if delivery.body is None else s3_notification.parse(delivery.body)


def _queue(site: Site) -> str:
    return f"{site.trail_name}-ntf"
