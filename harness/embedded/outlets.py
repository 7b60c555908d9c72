"""Where records go beside files: log groups, event buses, queues, the event history; moto's own where moto has them.

A post knows how to send its record when it is due; until then it waits in ``delivery.py`` like a line or an event does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from moto.events.models import events_backends
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends

from harness.embedded import notifications, state
from harness.embedded.access_json import record_of
from harness.embedded.access_log import Entry
from harness.embedded.exchange import Exchange
from harness.embedded.history import History
from harness.embedded.lifecycle import Action
from harness.embedded.principals import ACCOUNT_ID
from harness.embedded.trail import Event

Send = Callable[[datetime], str | None]
"""Sends a record at a time; returns where it went, or None when there is no such place any more."""
_MAX_EVENT_BYTES = 256 * 1024
"""Larger events go to neither CloudWatch Logs nor EventBridge (CloudTrail User Guide, quotas)."""
ALL_MANAGEMENT = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


@dataclass(frozen=True, slots=True)
class Post:
    """One record for one place.

    Attributes:
        source: What the seeded stream of delays is named after.
    """

    channel: str
    source: str
    send: Send


def of_entry(entry: Entry) -> Iterator[Post]:
    """Yield an access log entry for every log group that a delivery of its bucket leads to."""
    arn = f"arn:aws:s3:::{entry.bucket}"
    for logs in list(logs_backends[ACCOUNT_ID].values()):
        named = {each.name for each in list(logs.delivery_sources.values()) if arn in each.resource_arns}
        if not named:
            continue
        destinations = {each.arn: each for each in list(logs.delivery_destinations.values())}
        for delivery in list(logs.deliveries.values()):
            destination = destinations.get(delivery.delivery_destination_arn)
            if delivery.delivery_source_name in named and destination and delivery.destination_type == "CWL":
                group = destination.delivery_destination_configuration["destinationResourceArn"]
                send = _to_log_group(group, f"s3_{entry.bucket}", record_of(entry, delivery.record_fields))
                yield Post("server-access-cloudwatch", delivery.delivery_source_name, send)


def of_event(event: Event, trails: Sequence[Any], history: History) -> Iterator[Post]:
    """Yield a CloudTrail event for log groups and rules, as far as a logging trail selects it, and for the history.

    Args:
        trails: moto's trails that are logging and select the event.
    """
    text = json.dumps(event, separators=(",", ":"))
    fits = len(text) <= _MAX_EVENT_BYTES
    for trail in trails if fits else ():
        if trail.cw_log_group_arn:
            stream = f"{ACCOUNT_ID}_CloudTrail_{trail.region_name}"
            yield Post("cloudtrail-cloudwatch", trail.arn, _to_log_group(trail.cw_log_group_arn, stream, text))
    for region in dict.fromkeys(trail.region_name for trail in trails if fits):
        for rule in list(_default_bus(region).rules.values()):
            if _matches(rule, event, region):
                yield Post("eventbridge", rule.arn, _to_targets(rule, _envelope(event, region)))
    if event["managementEvent"]:
        yield Post("cloudtrail-lookup", "history", _to_history(history, event))


def of_exchange(exchange: Exchange) -> Iterator[Post]:
    """Yield the notifications of what a request did."""
    for name, key, size, version in notifications.happened(exchange):
        source = exchange.principal.principal_id
        told = notifications.Told(
            name=name,
            bucket=exchange.request.bucket or "",
            region=exchange.region,
            key=key,
            at=exchange.completed_at,
            request_id=exchange.request_id,
            host_id=exchange.host_id,
            principal_id=source,
            remote_ip=exchange.request.remote_ip,
            size=size,
            version_id=version,
            etag=exchange.response_headers.get("etag", "").strip('"') or None,
        )
        yield from _notified(told)


def of_action(action: Action, identifier: str) -> Iterator[Post]:
    """Yield the notifications of something that S3 did by itself."""
    name = notifications.ACTIONS.get(action.operation)
    if name:
        told = notifications.Told(
            name=name,
            bucket=action.bucket,
            region=action.region,
            key=action.key,
            at=action.at,
            request_id=identifier,
            host_id="",
            principal_id="s3.amazonaws.com",
            remote_ip="s3.amazonaws.com",
            size=action.object_size,
            version_id=action.version_id,
        )
        yield from _notified(told)


def _notified(told: notifications.Told) -> Iterator[Post]:
    for notification in state.queue_notifications(told.bucket):
        if notification.matches(f"s3:{told.name}", told.key):
            body = json.dumps({"Records": [notifications.record(told, notification.id)]})
            yield Post("s3-notification", told.bucket, _to_queue(notification.arn, body))


def _to_log_group(arn: str, stream: str, message: str) -> Send:
    _, _, _, region, account, _, name, *_ = arn.split(":")

    def send(now: datetime) -> str | None:
        logs = logs_backends[account][region]
        group = logs.groups.get(name)
        if group is None:
            return None
        if stream not in group.streams:
            group.create_log_stream(stream)
        logs.put_log_events(name, stream, [{"timestamp": round(now.timestamp() * 1000), "message": message}])
        return f"logs://{name}/{stream}"

    return send


def _to_targets(rule: Any, envelope: Mapping[str, Any]) -> Send:
    def send(_now: datetime) -> str | None:
        if rule.name not in _default_bus(rule.region_name).rules:
            return None
        rule.send_to_targets(dict(envelope), transform_input=False)
        return f"events://{rule.name}"

    return send


def _to_queue(arn: str, body: str) -> Send:
    _, _, _, region, account, name = arn.split(":")

    def send(_now: datetime) -> str | None:
        queues = sqs_backends[account][region]
        if name not in queues.queues:
            return None
        queues.send_message(queue_name=name, message_body=body)
        return f"sqs://{name}"

    return send


def _to_history(history: History, event: Event) -> Send:
    def send(_now: datetime) -> str:
        history.add(event)
        return "history"

    return send


def _default_bus(region: str) -> Any:
    return events_backends[ACCOUNT_ID][region].event_buses["default"]


def _matches(rule: Any, event: Event, region: str) -> bool:
    """Tell whether a rule takes an event: of the management kind, reads only if its state says so."""
    if rule.state == "DISABLED" or rule.scheduled_expression:
        return False
    if event["managementEvent"] and event["readOnly"] and rule.state != ALL_MANAGEMENT:
        return False
    return bool(rule.event_pattern.matches_event(_envelope(event, region)))


def _envelope(event: Event, region: str) -> dict[str, Any]:
    """Return what EventBridge wraps around an event; ``time`` is made a text of by moto when it sends it."""
    kind = "Service Event" if event["eventType"] == "AwsServiceEvent" else "API Call"
    return {
        "version": "0",
        "id": str(uuid5(NAMESPACE_URL, event["eventID"])),
        "detail-type": f"AWS {kind} via CloudTrail",
        "source": "aws." + event["eventSource"].partition(".")[0],
        "account": ACCOUNT_ID,
        "time": datetime.fromisoformat(event["eventTime"]).timestamp(),
        "region": region,
        "resources": [],
        "detail": event,
    }
