"""The trail's log group: CloudTrail events one by one, as CloudWatch Logs ingests them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from harness.channels import Permission, PollPolicy
from harness.channels.log_events import LOOKS, log_group_permissions, make_log_group, new_log_events
from harness.channels.trail import TRAIL, TRAIL_ARN, TRAIL_CHARGES, make_trail, trail_problem
from harness.environment.removal import unlink_log_group
from harness.environment.site import TAG_KEY, Site, settled
from harness.formats import cloudtrail
from harness.model import CLOUDTRAIL_CLOUDWATCH, Delivery, Ours, Parsed

_SERVICE = "cloudtrail.amazonaws.com"
_NOT_YET = dict.fromkeys(("InvalidCloudWatchLogsRoleArnException", "InvalidCloudWatchLogsLogGroupArnException"), "")
"""What CloudTrail answers while a new role is not known everywhere."""
_ROLES = "arn:aws:iam::{account}:role/s3lm-*"


class CloudTrailCloudWatchChannel:
    """The same trail's second destination."""

    name = CLOUDTRAIL_CLOUDWATCH
    policy = PollPolicy(
        interval_seconds=60,
        absence_seconds=3600,
        promise="about 5 minutes on average, not guaranteed; events over 256 kB never"
        " (CloudTrail User Guide, sending events to CloudWatch Logs, April 2026)",
        looks=LOOKS,
    )
    permissions: tuple[Permission, ...] = (
        *TRAIL,
        Permission(actions=("cloudtrail:UpdateTrail",), resources=(TRAIL_ARN,)),
        *log_group_permissions("/s3lm/*"),
        Permission(
            actions=("iam:CreateRole", "iam:TagRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DeleteRole"),
            resources=(_ROLES,),
        ),
        Permission(
            actions=("iam:PassRole",),
            resources=(_ROLES,),
            conditions={"StringEquals": {"iam:PassedToService": _SERVICE}},
        ),
    )
    charges: tuple[str, ...] = (*TRAIL_CHARGES, "logs-ingestion")

    def preflight(self, site: Site) -> str:
        """Return why no trail can be made."""
        return trail_problem(site)

    def enable(self, site: Site) -> None:
        """Create the trail, a log group and the role that lets the trail write there, and link them."""
        make_trail(site)
        make_log_group(site, _group(site))
        role = _role(site)
        trust = {"Effect": "Allow", "Principal": {"Service": _SERVICE}, "Action": "sts:AssumeRole"}
        trust["Condition"] = {"StringEquals": {"aws:SourceArn": site.arn("cloudtrail", f"trail/{site.trail_name}")}}
        streams = f"log-group:{_group(site)}:log-stream:{site.account_id}_CloudTrail_{site.region}*"
        write = {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": site.arn("logs", streams),
        }
        tags = [{"Key": TAG_KEY, "Value": site.run_id}]
        site.make(
            "role",
            role,
            lambda: site.iam.create_role(RoleName=role, AssumeRolePolicyDocument=_document(trust), Tags=tags),
        )
        site.make(
            "role-policy",
            role,
            lambda: site.iam.put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=_document(write)),
        )
        site.make("trail-log-group", site.trail_name, lambda: _link(site))

    def watch(self, site: Site, bucket: str) -> None:
        """Nothing to do: the trail selects every source bucket."""

    def disable(self, site: Site) -> None:
        """Take the log group away from the trail, which goes on with its files."""
        unlink_log_group(site, site.trail_name)

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new log events. No page says what their timestamp is: it may be that of the call.

        The log group holds the events of the whole account, which is why it is not read from the beginning.
        """
        start = since - timedelta(seconds=self.policy.absence_seconds)
        return new_log_events(site, self.name, _group(site), start, known)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Parse a log event."""
        return Parsed() if delivery.body is None else cloudtrail.parse(delivery.body, ours).within(self.name)


def _group(site: Site) -> str:
    return f"/s3lm/{site.run_id}/cloudtrail"


def _role(site: Site) -> str:
    return f"{site.trail_name}-ct"


def _document(statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _link(site: Site) -> None:
    """Give the trail its log group, as soon as CloudTrail knows the role."""
    settled(
        site.clock,
        lambda: site.cloudtrail.update_trail(
            Name=site.trail_name,
            CloudWatchLogsLogGroupArn=site.arn("logs", f"log-group:{_group(site)}:*"),
            CloudWatchLogsRoleArn=f"arn:aws:iam::{site.account_id}:role/{_role(site)}",
        ),
        _NOT_YET,
    )
