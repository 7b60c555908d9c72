"""How what the channels make is deleted, by kind and from the name that the journal has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.environment import find, find_channels
from harness.environment.find import Find
from harness.environment.site import PREFIX, Site

Delete = Callable[[Site, str], object]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource, as the journal names it.

    Attributes:
        rank: What has a lower one is deleted before: what delivers, then what it watches, then where it delivers to.
        delete: Deletes one by its name; an error that says that it is gone counts as success.
        find: Finds those of any run, for ``sweep``.
        names: What a run's name of it looks like, whole; the group ``run`` is the run id, ``ACCOUNT`` and ``REGION``
            stand for those of the run.
        tagged: Whether a run tags it, or what it is part of, in the same call that makes it: one without the tag is
            somebody else's.
    """

    rank: int
    delete: Delete
    find: Find = find.nothing
    names: str = ""
    tagged: bool = False


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


_RUN = rf"{PREFIX}-(?P<run>[0-9a-f]{{8}})"
# A group may have its name once in a pattern: (?(vended)…) ends the name that belongs to the beginning.
_LOG_GROUP = rf"(?:(?P<vended>/aws/vendedlogs/s3/{PREFIX}-)|/{PREFIX}/)(?P<run>[0-9a-f]{{8}})(?(vended)|/cloudtrail)"
OF_CHANNELS: Mapping[str, Kind] = {
    "trail-log-group": Kind(-1, unlink_log_group),
    "rule": Kind(0, _delete_rule, find_channels.rules, _RUN, tagged=True),
    "delivery": Kind(0, delete_delivery, find_channels.deliveries, rf"{_RUN}-src[0-9]*", tagged=True),
    "delivery-source": Kind(
        1,
        lambda site, name: site.client("logs").delete_delivery_source(name=name),
        find_channels.delivery_sources,
        rf"{_RUN}-src[0-9]*",
        tagged=True,
    ),
    "role-policy": Kind(
        2,
        lambda site, name: site.iam.delete_role_policy(RoleName=name, PolicyName=name),
        find_channels.role_policies,
        rf"{_RUN}-ct",
        tagged=True,
    ),
    "delivery-destination": Kind(
        3,
        lambda site, name: site.client("logs").delete_delivery_destination(name=name),
        find_channels.delivery_destinations,
        rf"{_RUN}-cwl",
        tagged=True,
    ),
    "queue": Kind(4, _delete_queue, find_channels.queues, rf"{_RUN}-(?:eb|ntf)", tagged=True),
    "log-group": Kind(
        4,
        lambda site, name: site.client("logs").delete_log_group(logGroupName=name),
        find_channels.log_groups,
        _LOG_GROUP,
        tagged=True,
    ),
}
"""Kinds of resources that channels make beside buckets, trails and roles."""
