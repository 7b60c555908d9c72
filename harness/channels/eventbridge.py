"""EventBridge: CloudTrail events as the default bus sends them to a rule's queue, reads included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from harness.channels import Permission, PollPolicy
from harness.channels.queues import LOOKS, QUEUE, make_queue, new_messages
from harness.channels.trail import TRAIL, TRAIL_CHARGES, make_trail, trail_problem
from harness.environment.site import TAG_KEY, Site
from harness.errors import PreflightError
from harness.formats import eventbridge
from harness.model import EVENTBRIDGE, Delivery, Ours, Parsed

TARGET = "queue"
"""The id of the rule's one target."""
STATE = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
"""With ``ENABLED`` alone, reads of the management kind never come (EventBridge User Guide, read-only events)."""
PATTERN = {"detail": {"eventSource": [{"prefix": "s3"}]}}
"""s3 alone would leave out s3lifecycle, s3-authn-errors and s3express."""


class EventBridgeChannel:
    """A rule on the default bus; what CloudTrail sends there needs a trail that is logging, and selects it."""

    name = EVENTBRIDGE
    policy = PollPolicy(
        interval_seconds=60,
        absence_seconds=3600,
        promise="no time is promised; CloudTrail gets events on a best-effort basis, over 256 kB never"
        " (EventBridge User Guide, AWS service events delivered via CloudTrail, July 2026)",
        looks=LOOKS,
    )
    permissions: tuple[Permission, ...] = (
        *TRAIL,
        *QUEUE,
        Permission(
            actions=(
                "events:PutRule",
                "events:TagResource",
                "events:PutTargets",
                "events:DisableRule",
                "events:ListTargetsByRule",
                "events:RemoveTargets",
                "events:DeleteRule",
            ),
            resources=("arn:aws:events:{region}:{account}:rule/s3lm-*",),
        ),
    )
    charges: tuple[str, ...] = (*TRAIL_CHARGES, "sqs-request")

    def preflight(self, site: Site) -> str:
        """Return why no trail can be made."""
        return trail_problem(site)

    def enable(self, site: Site) -> None:
        """Create the trail, the queue and the rule, and let the rule send to the queue."""
        make_trail(site)
        rule, queue = site.trail_name, _queue(site)
        arn = site.arn("events", f"rule/{rule}")
        make_queue(site, queue, "events.amazonaws.com", {"ArnEquals": {"aws:SourceArn": arn}})
        events, tags = site.client("events"), [{"Key": TAG_KEY, "Value": site.run_id}]

        def create() -> None:
            events.put_rule(Name=rule, State=STATE, EventPattern=json.dumps(PATTERN), Tags=tags)
            answer = events.put_targets(Rule=rule, Targets=[{"Id": TARGET, "Arn": site.arn("sqs", queue)}])
            for failed in answer.get("FailedEntries", []):
                raise PreflightError(f"rule {rule} cannot send to {queue}: {failed.get('ErrorMessage')}")

        site.make("rule", rule, create)

    def watch(self, site: Site, bucket: str) -> None:
        """Nothing to do: the trail selects every source bucket."""

    def disable(self, site: Site) -> None:
        """Switch the rule off; the trail goes on for others."""
        site.client("events").disable_rule(Name=site.trail_name)

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new messages."""
        return new_messages(site, self.name, _queue(site), known)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Parse a message."""
        return Parsed() if delivery.body is None else eventbridge.parse(delivery.body, ours)


def _queue(site: Site) -> str:
    return f"{site.trail_name}-eb"
