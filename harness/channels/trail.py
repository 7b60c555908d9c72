"""The run's one trail, which three channels share: AWS allows five in a Region, and charges for a second copy."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from harness.channels import Permission
from harness.channels.log_objects import LOG_BUCKET
from harness.environment.site import PREFIX, TAG_KEY, Site, code_of, settled
from harness.model import CLOUDTRAIL, CLOUDTRAIL_CLOUDWATCH, EVENTBRIDGE

MAX_TRAILS = 5
"""In a Region, shadow trails included; it cannot be raised (CloudTrail User Guide, quotas, April 2026)."""
OF_TRAIL = frozenset({CLOUDTRAIL, CLOUDTRAIL_CLOUDWATCH, EVENTBRIDGE})
"""The channels that are fed by it."""
TRAIL_ARN = "arn:aws:cloudtrail:{region}:{account}:trail/s3lm-*"
TRAIL: tuple[Permission, ...] = (
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
        resources=(TRAIL_ARN,),
    ),
)
"""To make the trail and its bucket, and to delete them. The preflight asks for the trails that there are, if it may."""
_NOT_YET = {"InsufficientS3BucketPolicyException": ""}
"""What CloudTrail answers while it does not see the bucket's new policy."""
TRAIL_CHARGES = ("cloudtrail-data", "cloudtrail-management", "cloudtrail-management-copy", "s3-storage")


def trail_problem(site: Site) -> str:
    """Return why no trail can be made, as far as one may ask; an empty text where nothing stands against it."""
    try:
        trails = site.cloudtrail.describe_trails(includeShadowTrails=True).get("trailList", [])
    except ClientError:
        return ""  # Who may not ask may be allowed to create: that will say.
    if len(trails) < MAX_TRAILS or any(trail.get("Name") == site.trail_name for trail in trails):
        return ""
    return (
        f"{len(trails)} trails are in {site.region} already, and AWS allows {MAX_TRAILS}: delete one, or choose"
        " channels that need no trail"
    )


def make_trail(site: Site) -> None:
    """Create the trail with its bucket and selectors and start it, unless another channel has."""
    if site.journal.resource_state("trail", site.trail_name) == "created":
        return
    site.make_log_bucket(site.trail_bucket, json.dumps(_bucket_policy(site)))

    def create() -> None:
        try:
            settled(
                site.clock,
                lambda: site.cloudtrail.create_trail(
                    Name=site.trail_name,
                    S3BucketName=site.trail_bucket,
                    IncludeGlobalServiceEvents=False,
                    IsMultiRegionTrail=False,
                    EnableLogFileValidation=False,
                    RecursiveLogging=False,
                    TagsList=[{"Key": TAG_KEY, "Value": site.run_id}],
                ),
                _NOT_YET,
            )
        except ClientError as error:
            # Its name is the run's own: another channel made it, and could not finish.
            if code_of(error) != "TrailAlreadyExistsException":
                raise

    def finish() -> None:
        site.cloudtrail.put_event_selectors(TrailName=site.trail_name, AdvancedEventSelectors=selectors(site))
        site.cloudtrail.start_logging(Name=site.trail_name)

    site.make("trail", site.trail_name, create, finish)


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
    directory = f"arn:aws:s3express:{site.region}:{site.account_id}:bucket/{PREFIX}-{site.run_id}-"
    express = [
        _select("eventCategory", Equals=["Data"]),
        _select("resources.type", Equals=["AWS::S3Express::Object"]),
        _select("resources.ARN", StartsWith=[directory]),
    ]
    named = {"management": management, "objects": data, "directory buckets": express}
    return [{"Name": name, "FieldSelectors": fields} for name, fields in named.items()]


def _select(name: str, **condition: list[str]) -> dict[str, Any]:
    return {"Field": name, **condition}


def _bucket_policy(site: Site) -> dict[str, Any]:
    service = {"Service": "cloudtrail.amazonaws.com"}
    bucket = f"arn:aws:s3:::{site.trail_bucket}"
    own = {"aws:SourceArn": site.arn("cloudtrail", f"trail/{site.trail_name}")}
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
