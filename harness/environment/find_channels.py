"""Finds what the channels of runs have made by its name, as ``find`` does for buckets, trails and roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from harness.environment.find import Found, roles, tag_of
from harness.environment.site import PREFIX, TAG_KEY, Site, code_of

_START = f"{PREFIX}-"
_NOT_THERE = ("NotImplemented", "InternalFailure", "UnknownOperationException")
"""What emulators answer for services that they do not have."""


def _all(site: Site, service: str, operation: str, members: str, **asked: Any) -> Iterator[dict[str, Any]]:
    try:
        for page in site.client(service).get_paginator(operation).paginate(**asked):
            yield from page.get(members, [])
    except ClientError as error:
        if code_of(error) not in _NOT_THERE:
            raise


def rules(site: Site) -> Iterator[Found]:
    """Find rules of the default bus."""
    for rule in _all(site, "events", "list_rules", "Rules", NamePrefix=_START):
        ask = partial(site.client("events").list_tags_for_resource, ResourceARN=rule["Arn"])
        yield Found(name=rule["Name"], tag=tag_of(ask, "Tags"))


def log_groups(site: Site) -> Iterator[Found]:
    """Find log groups under both prefixes that runs use."""
    for prefix in (f"/aws/vendedlogs/s3/{_START}", f"/{PREFIX}/"):
        for group in _all(site, "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
            made_at = datetime.fromtimestamp(group["creationTime"] / 1000, UTC) if "creationTime" in group else None
            arn = site.arn("logs", f"log-group:{group['logGroupName']}")
            yield Found(name=group["logGroupName"], made_at=made_at, tag=_logs_tag(site, group, arn))


def deliveries(site: Site) -> Iterator[Found]:
    """Find deliveries, under the names of their sources."""
    for each in _all(site, "logs", "describe_deliveries", "deliveries"):
        if str(each.get("deliverySourceName")).startswith(_START):
            yield Found(name=each["deliverySourceName"], tag=_logs_tag(site, each, each.get("arn", "")))


def delivery_sources(site: Site) -> Iterator[Found]:
    """Find delivery sources."""
    for each in _all(site, "logs", "describe_delivery_sources", "deliverySources"):
        if each["name"].startswith(_START):
            yield Found(name=each["name"], tag=_logs_tag(site, each, each.get("arn", "")))


def delivery_destinations(site: Site) -> Iterator[Found]:
    """Find delivery destinations."""
    for each in _all(site, "logs", "describe_delivery_destinations", "deliveryDestinations"):
        if each["name"].startswith(_START):
            yield Found(name=each["name"], tag=_logs_tag(site, each, each.get("arn", "")))


def queues(site: Site) -> Iterator[Found]:
    """Find queues."""
    try:
        for page in site.client("sqs").get_paginator("list_queues").paginate(QueueNamePrefix=_START):
            for url in page.get("QueueUrls", []):
                tag = _run_of(partial(site.client("sqs").list_queue_tags, QueueUrl=url), "Tags")
                yield Found(name=url.rpartition("/")[2], tag=tag)
    except ClientError as error:
        if code_of(error) not in _NOT_THERE:
            raise


def _logs_tag(site: Site, told: Mapping[str, Any], arn: str) -> str | None:
    """Return the value of the run's tag of something of CloudWatch Logs: told with it, else asked for."""
    if "tags" in told:
        return str(told["tags"].get(TAG_KEY, ""))
    return _run_of(partial(site.client("logs").list_tags_for_resource, resourceArn=arn), "tags")


def _run_of(ask: Callable[[], Mapping[str, Any]], member: str) -> str | None:
    """Return the value of the run's tag, where tags come as a mapping; None where they cannot be read."""
    try:
        return str(ask().get(member, {}).get(TAG_KEY, ""))
    except ClientError:
        return None


def role_policies(site: Site) -> Iterator[Found]:
    """Find the inline policy that the trail's role has, under the name of the role, which is its own too."""
    for role in roles(site):
        if role.name.endswith("-ct") and role.name in _policies(site, role.name):
            yield role


def _policies(site: Site, role: str) -> list[str]:
    return list(site.iam.list_role_policies(RoleName=role).get("PolicyNames", []))
