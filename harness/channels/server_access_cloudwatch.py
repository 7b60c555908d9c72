"""Server access logs by CloudWatch's vended delivery (June 2026): JSON records of 29 fields in a log group."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from botocore.exceptions import ClientError

from harness.channels import Permission, PollPolicy
from harness.channels.log_events import LOOKS, log_group_permissions, make_log_group, new_log_events
from harness.channels.log_objects import OVERLAP
from harness.environment.removal import delete_delivery
from harness.environment.site import TAG_KEY, Site
from harness.formats import server_access_json
from harness.model import SERVER_ACCESS_CLOUDWATCH, Delivery, Ours, Parsed

LOG_TYPE = "S3_SERVER_ACCESS_LOGS"
_GUIDE = "S3 User Guide, delivering server access logs to CloudWatch Logs, July 2026"


class ServerAccessCloudWatchChannel:
    """A delivery source for each source bucket, one destination. ``GetBucketLogging`` shows nothing of it."""

    name = SERVER_ACCESS_CLOUDWATCH
    policy = PollPolicy(
        interval_seconds=300,
        absence_seconds=4 * 3600,
        by_bucket=True,
        promise=f"typically within a few hours, best effort, 15 to 20 minutes after it is switched on ({_GUIDE})",
        looks=LOOKS,
    )
    permissions: tuple[Permission, ...] = (
        *log_group_permissions("/aws/vendedlogs/s3/s3lm-*"),
        Permission(
            actions=(
                "logs:PutDeliverySource",
                "logs:DeleteDeliverySource",
                "logs:PutDeliveryDestination",
                "logs:DeleteDeliveryDestination",
                "logs:CreateDelivery",
                "logs:DeleteDelivery",
                "logs:TagResource",
            ),
            resources=(
                "arn:aws:logs:{region}:{account}:delivery:*",
                "arn:aws:logs:{region}:{account}:delivery-source:s3lm-*",
                "arn:aws:logs:{region}:{account}:delivery-destination:s3lm-*",
            ),
        ),
        # AWS lets its delivery service write to the log group only if the caller may have it do so (the same page).
        Permission(
            actions=(
                "logs:DescribeDeliveries",
                "logs:DescribeLogGroups",
                "logs:DescribeResourcePolicies",
                "logs:PutResourcePolicy",
            )
        ),
        Permission(actions=("s3:AllowVendedLogDeliveryForResource",), resources=("arn:aws:s3:::s3lm-*",)),
    )
    charges: tuple[str, ...] = ("logs-vended",)

    def preflight(self, site: Site) -> str:
        """Return that the Region or target does not offer it, if so."""
        try:
            answer = site.client("logs").describe_configuration_templates(service="s3", logTypes=[LOG_TYPE])
        except ClientError:
            return ""  # Who may not ask may be allowed to create: that will say.
        if answer.get("configurationTemplates"):
            return ""
        return f"CloudWatch Logs in {site.region} offers no delivery of server access logs"

    def enable(self, site: Site) -> None:
        """Create the log group and the delivery destination that leads to it."""
        make_log_group(site, _group(site))
        logs, name = site.client("logs"), _destination(site)
        configuration = {"destinationResourceArn": site.arn("logs", f"log-group:{_group(site)}")}

        def create() -> None:
            logs.put_delivery_destination(
                name=name,
                outputFormat="json",
                deliveryDestinationConfiguration=configuration,
                tags={TAG_KEY: site.run_id},
            )

        site.make("delivery-destination", name, create)

    def watch(self, site: Site, bucket: str) -> None:
        """Make a source bucket a delivery source and deliver all its fields to the log group."""
        logs = site.client("logs")
        name, tags = bucket.partition(f"-{site.account_id}")[0], {TAG_KEY: site.run_id}
        destination = site.arn("logs", f"delivery-destination:{_destination(site)}")
        arn = f"arn:aws:s3:::{bucket}"
        site.make(
            "delivery-source",
            name,
            lambda: logs.put_delivery_source(name=name, resourceArn=arn, logType=LOG_TYPE, tags=tags),
        )
        made = site.make(
            "delivery",
            name,
            lambda: logs.create_delivery(
                deliverySourceName=name,
                deliveryDestinationArn=destination,
                recordFields=list(server_access_json.FIELDS),
                tags=tags,
            ),
        )
        if made:
            site.journal.resource("delivery", name, "created", site.clock.now(), id=made["delivery"]["id"])

    def disable(self, site: Site) -> None:
        """Delete the deliveries; their sources and destination stay until the teardown."""
        for kind, name, state, _ in site.journal.resources():
            if kind == "delivery" and state != "deleted":
                delete_delivery(site, name)

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new log events, of the whole run: no page says that their timestamp is not that of the request.

        The log group holds the run's records alone: reading it again costs a request for every megabyte.
        """
        start = datetime.fromisoformat(site.journal.fact("started_at")) - OVERLAP
        return new_log_events(site, self.name, _group(site), start, known)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Parse a log event."""
        return server_access_json.parse(delivery.body or b"")


def _group(site: Site) -> str:
    return f"/aws/vendedlogs/s3/{site.trail_name}"


def _destination(site: Site) -> str:
    return f"{site.trail_name}-cwl"
