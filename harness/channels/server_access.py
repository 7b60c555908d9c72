"""Server access logs as text objects in a bucket: the classic channel, best effort, usually within hours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from harness.channels import Permission, PollPolicy
from harness.channels.log_objects import LOG_BUCKET, LogFolder, new_objects
from harness.environment.site import Site
from harness.formats import server_access
from harness.model import SERVER_ACCESS, Delivery, Ours, Parsed

PREFIX = "sal/"
# One flat folder whose names begin with the delivery time: one listing a poll, however many source buckets there are.
FOLDER = LogFolder(prefix=PREFIX, by_day=False, name_at=lambda moment: f"{moment:%Y-%m-%d-%H-%M-%S}")


class ServerAccessChannel:
    """Delivers to the run's log bucket by policy; ACL grants are refused under BucketOwnerEnforced."""

    name = SERVER_ACCESS
    policy = PollPolicy(
        interval_seconds=300,
        absence_seconds=4 * 3600,
        by_bucket=True,
        promise="most records within a few hours, best effort (S3 User Guide, server access logging, April 2026)",
    )
    permissions: tuple[Permission, ...] = (
        *LOG_BUCKET,
        Permission(actions=("s3:PutBucketLogging",), resources=("arn:aws:s3:::s3lm-*",)),
    )
    charges: tuple[str, ...] = ("s3-storage",)

    def preflight(self, site: Site) -> str:
        """Return an empty text: any account may have access logs."""
        return ""

    def enable(self, site: Site) -> None:
        """Create the log bucket with the policy that lets the log delivery service write."""
        statement = {
            "Sid": "S3ServerAccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": ["s3:PutObject"],
            "Resource": f"arn:aws:s3:::{site.log_bucket}/{PREFIX}*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{site.source_prefix}*"},
                "StringEquals": {"aws:SourceAccount": site.account_id},
            },
        }
        site.make_log_bucket(site.log_bucket, json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def watch(self, site: Site, bucket: str) -> None:
        """Switch logging on for a source bucket."""
        target = {
            "TargetBucket": site.log_bucket,
            "TargetPrefix": PREFIX,
            "TargetObjectKeyFormat": {"SimplePrefix": {}},
        }
        site.s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": target})

    def disable(self, site: Site) -> None:
        """Switch logging off for all source buckets; records go on coming for an hour or more."""
        for bucket in site.source_buckets():
            site.s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new log objects."""
        return new_objects(site.s3, site.clock, self.name, site.log_bucket, FOLDER, since, known)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Parse a log object."""
        return server_access.parse(delivery.body or b"")
