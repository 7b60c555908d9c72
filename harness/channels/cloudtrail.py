"""CloudTrail files in a bucket: management events of the account, data events of the run's source buckets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from harness.channels import Permission, PollPolicy
from harness.channels.log_objects import LOG_BUCKET, LogFolder, new_objects
from harness.environment.site import PREFIX, TAG_KEY, Site
from harness.formats import cloudtrail
from harness.model import CLOUDTRAIL, Delivery, Parsed


class CloudTrailChannel:
    """A trail of its own in one Region, with advanced selectors limited to the source buckets."""

    name = CLOUDTRAIL
    policy = PollPolicy(
        interval_seconds=60,
        absence_seconds=3600,
        promise="about 5 minutes on average, not guaranteed (CloudTrail User Guide, getting log files, April 2026)",
    )

    permissions: tuple[Permission, ...] = (
        *LOG_BUCKET,
        Permission(
            actions=(
                "cloudtrail:CreateTrail",
                "cloudtrail:AddTags",
                "cloudtrail:PutEventSelectors",
                "cloudtrail:StartLogging",
                "cloudtrail:StopLogging",
                "cloudtrail:DeleteTrail",
            ),
            resources=("arn:aws:cloudtrail:{region}:{account}:trail/s3lm-*",),
        ),
    )

    def enable(self, site: Site) -> None:
        """Create the trail's bucket, the trail and its selectors, and start logging."""
        arn = f"arn:aws:cloudtrail:{site.region}:{site.account_id}:trail/{site.trail_name}"
        site.make_log_bucket(site.trail_bucket, json.dumps(_bucket_policy(site, arn)))

        def create() -> None:
            site.cloudtrail.create_trail(
                Name=site.trail_name,
                S3BucketName=site.trail_bucket,
                IncludeGlobalServiceEvents=False,
                IsMultiRegionTrail=False,
                EnableLogFileValidation=False,
                RecursiveLogging=False,
                TagsList=[{"Key": TAG_KEY, "Value": site.run_id}],
            )

        site.make("trail", site.trail_name, create)
        site.cloudtrail.put_event_selectors(TrailName=site.trail_name, AdvancedEventSelectors=selectors(site))
        site.cloudtrail.start_logging(Name=site.trail_name)

    def watch(self, site: Site, bucket: str) -> None:
        """Nothing to do: the selectors hold for every bucket whose name begins like the source buckets'."""

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new log files."""
        start = f"{site.account_id}_CloudTrail_{site.region}_"
        folder = LogFolder(
            prefix=f"AWSLogs/{site.account_id}/CloudTrail/{site.region}/",
            by_day=True,
            name_at=lambda moment: f"{start}{moment:%Y%m%dT%H%MZ}",
        )
        return new_objects(site.s3, site.clock, self.name, site.trail_bucket, folder, since, known)

    def parse(self, delivery: Delivery) -> Parsed:
        """Parse a log file."""
        return Parsed() if delivery.body is None else cloudtrail.parse(delivery.body)


def selectors(site: Site) -> list[dict[str, Any]]:
    """Return the trail's advanced selectors.

    Management events cannot be narrowed to buckets; nothing is filtered by ``eventSource``, because s3lifecycle,
    s3-authn-errors and s3express exist beside s3 (CloudTrail User Guide, filtering data events).
    """
    sources = f"arn:aws:s3:::{site.source_prefix}"
    noisy = ["kms.amazonaws.com", "rdsdata.amazonaws.com"]
    management = [_select("eventCategory", Equals=["Management"]), _select("eventSource", NotEquals=noisy)]
    data = [
        _select("eventCategory", Equals=["Data"]),
        _select("resources.type", Equals=["AWS::S3::Object"]),
        _select("resources.ARN", StartsWith=[sources]),
    ]
    directory = f"arn:aws:s3express:{site.region}:{site.account_id}:bucket/{PREFIX}-"
    express = [
        _select("eventCategory", Equals=["Data"]),
        _select("resources.type", Equals=["AWS::S3Express::Object"]),
        _select("resources.ARN", StartsWith=[directory]),
    ]
    named = {"management": management, "objects": data, "directory buckets": express}
    return [{"Name": name, "FieldSelectors": fields} for name, fields in named.items()]


def _select(name: str, **condition: list[str]) -> dict[str, Any]:
    return {"Field": name, **condition}


def _bucket_policy(site: Site, trail_arn: str) -> dict[str, Any]:
    service = {"Service": "cloudtrail.amazonaws.com"}
    bucket = f"arn:aws:s3:::{site.trail_bucket}"
    own = {"aws:SourceArn": trail_arn}
    read_acl = {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": bucket}
    write = {
        "Effect": "Allow",
        "Principal": service,
        "Action": "s3:PutObject",
        "Resource": f"{bucket}/AWSLogs/{site.account_id}/*",
        "Condition": {"StringEquals": own | {"s3:x-amz-acl": "bucket-owner-full-control"}},
    }
    statements = [read_acl | {"Condition": {"StringEquals": own}}, write]
    return {"Version": "2012-10-17", "Statement": statements}
