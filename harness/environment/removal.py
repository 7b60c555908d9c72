"""How what the channels make is deleted, by kind and from the name that the journal has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.environment.site import Site

Delete = Callable[[Site, str], object]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource, as the journal names it.

    Attributes:
        rank: What has a lower one is deleted before: what delivers, then what it watches, then where it delivers to.
        delete: Deletes one by its name; an error that says that it is gone counts as success.
    """

    rank: int
    delete: Delete


def delete_delivery(site: Site, source: str) -> None:
    """Delete a delivery by the id that AWS gave it; where that was not journaled, by looking for its source."""
    logs = site.client("logs")
    told = next((d for kind, name, _, d in site.journal.resources() if (kind, name) == ("delivery", source)), {})
    found = [told["id"]] if "id" in told else []
    if not found:
        pages = logs.get_paginator("describe_deliveries").paginate()
        every = (delivery for page in pages for delivery in page.get("deliveries", []))
        found = [delivery["id"] for delivery in every if delivery.get("deliverySourceName") == source]
    for identifier in found:
        logs.delete_delivery(id=identifier)


def unlink_log_group(site: Site, trail: str) -> None:
    """Stop a trail's delivery to CloudWatch Logs, before its log group and role go."""
    site.cloudtrail.update_trail(Name=trail, CloudWatchLogsLogGroupArn="", CloudWatchLogsRoleArn="")


def _delete_queue(site: Site, name: str) -> None:
    sqs = site.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


def _delete_rule(site: Site, name: str) -> None:
    """Delete a rule with its targets: AWS refuses one that has any."""
    events = site.client("events")
    targets = events.list_targets_by_rule(Rule=name).get("Targets", [])
    if targets:
        events.remove_targets(Rule=name, Ids=[target["Id"] for target in targets])
    events.delete_rule(Name=name)


OF_CHANNELS: Mapping[str, Kind] = {
    "trail-log-group": Kind(-1, unlink_log_group),
    "rule": Kind(0, _delete_rule),
    "delivery": Kind(0, delete_delivery),
    "delivery-source": Kind(1, lambda site, name: site.client("logs").delete_delivery_source(name=name)),
    "role-policy": Kind(2, lambda site, name: site.iam.delete_role_policy(RoleName=name, PolicyName=name)),
    "delivery-destination": Kind(3, lambda site, name: site.client("logs").delete_delivery_destination(name=name)),
    "queue": Kind(4, _delete_queue),
    "log-group": Kind(4, lambda site, name: site.client("logs").delete_log_group(logGroupName=name)),
}
"""Kinds of resources that channels make beside buckets, trails and roles."""
