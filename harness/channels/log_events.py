"""Log groups: making one, and reading the events that are new in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from harness.channels import Permission, text_delivery
from harness.environment.site import TAG_KEY, Site
from harness.model import Delivery

LOOKS = frozenset({"FilterLogEvents"})
_DAYS = 30
"""Retention, in case that a log group is left behind."""


def log_group_permissions(pattern: str) -> tuple[Permission, ...]:
    """Return what making, reading and deleting log groups of a name needs; ``:*`` stands for their streams."""
    arn = f"arn:aws:logs:{{region}}:{{account}}:log-group:{pattern}"
    actions = ("logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:TagResource", "logs:DeleteLogGroup")
    return (Permission(actions=(*actions, "logs:FilterLogEvents"), resources=(arn, f"{arn}:*")),)


def make_log_group(site: Site, name: str) -> None:
    """Create and tag a log group whose events expire."""
    logs = site.client("logs")

    def create() -> None:
        logs.create_log_group(logGroupName=name, tags={TAG_KEY: site.run_id})
        logs.put_retention_policy(logGroupName=name, retentionInDays=_DAYS)

    site.make("log-group", name, create)


def new_log_events(site: Site, channel: str, group: str, start: datetime, known: set[str]) -> Iterator[Delivery]:
    """Yield the log events of a group that are not known yet; they arrived when CloudWatch Logs ingested them.

    Args:
        start: Events are found by their timestamps, from here on; that need not be the time of their arrival.
    """
    pages = site.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=group, startTime=max(0, round(start.timestamp() * 1000))):
        for event in page.get("events", []):
            name = f"{group}#{event['eventId']}"
            if name in known:
                continue
            known.add(name)
            ingested = datetime.fromtimestamp(event["ingestionTime"] / 1000, UTC)
            yield text_delivery(channel, name, event["message"], ingested, site.clock.now())
