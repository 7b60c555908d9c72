"""How what the channels make is deleted, by kind: each needs a name of the journal's, and at most an id beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.environment.site import Site

Detail = Mapping[str, Any]
Delete = Callable[[Site, str, Detail], object]


def delete_delivery(site: Site, source: str, detail: Detail) -> None:
    """Delete a delivery by the id that AWS gave it; where that was not journaled, by looking for its source."""
    logs = site.client("logs")
    found = [detail["id"]] if "id" in detail else []
    if not found:
        pages = logs.get_paginator("describe_deliveries").paginate()
        every = (delivery for page in pages for delivery in page.get("deliveries", []))
        found = [delivery["id"] for delivery in every if delivery.get("deliverySourceName") == source]
    for identifier in found:
        logs.delete_delivery(id=identifier)


def unlink_log_group(site: Site, trail: str, _detail: Detail) -> None:
    """Stop a trail's delivery to CloudWatch Logs, before its log group and role go."""
    site.cloudtrail.update_trail(Name=trail, CloudWatchLogsLogGroupArn="", CloudWatchLogsRoleArn="")


def _delete_queue(site: Site, name: str, _detail: Detail) -> None:
    sqs = site.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


def _delete_rule(site: Site, name: str, _detail: Detail) -> None:
    """Delete a rule with its targets: AWS refuses one that has any."""
    events = site.client("events")
    targets = events.list_targets_by_rule(Rule=name).get("Targets", [])
    if targets:
        events.remove_targets(Rule=name, Ids=[target["Id"] for target in targets])
    events.delete_rule(Name=name)


CHANNELS: Mapping[str, Delete] = {
    "log-group": lambda site, name, _: site.client("logs").delete_log_group(logGroupName=name),
    "delivery-destination": lambda site, name, _: site.client("logs").delete_delivery_destination(name=name),
    "delivery-source": lambda site, name, _: site.client("logs").delete_delivery_source(name=name),
    "delivery": delete_delivery,
    "role-policy": lambda site, name, _: site.iam.delete_role_policy(RoleName=name, PolicyName=name),
    "trail-log-group": unlink_log_group,
    "queue": _delete_queue,
    "rule": _delete_rule,
}
"""Kinds of resources that channels make beside buckets, trails and roles."""
