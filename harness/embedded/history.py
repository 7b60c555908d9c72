"""CloudTrail's event history: management events as LookupEvents shows them, at AWS's rate and page size.

moto has no LookupEvents. Source: CloudTrail API Reference, LookupEvents (April 2026).
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from harness.clock import ScaledClock
from harness.embedded.trail import Event

REQUESTS_PER_SECOND = 2
MAX_PAGE = 50
_MAX_EVENTS = 200_000


class LookupRefusedError(Exception):
    """A lookup that CloudTrail refuses: its error code is the first argument, the message the second."""


@dataclass(slots=True)
class History:
    """The events, and the count of who asked for them.

    Attributes:
        requests: When each request came, on the server's clock, refused ones included.
        largest_page: The most events that one answer held.
        throttled: How many requests were refused.
    """

    clock: ScaledClock
    requests: list[float] = field(default_factory=list)
    largest_page: int = 0
    throttled: int = 0
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=_MAX_EVENTS))
    _answered: deque[float] = field(default_factory=lambda: deque(maxlen=REQUESTS_PER_SECOND))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, event: Event) -> None:
        """Take an event up."""
        with self._lock:
            self._events.append(event)

    def look_up(self, asked: Mapping[str, Any], region: str) -> dict[str, Any]:
        """Answer a LookupEvents request.

        Raises:
            LookupRefusedError: Too many requests, or one that is wrong.
        """
        with self._lock:
            now = self.clock.now().timestamp()
            self.requests.append(now)
            if len(self._answered) == REQUESTS_PER_SECOND and now - self._answered[0] < 1:
                self.throttled += 1
                raise LookupRefusedError("ThrottlingException", "Rate exceeded")
            self._answered.append(now)
            events = list(self._events)
        size, first = self._page(asked)
        chosen = (event for event in events if event["awsRegion"] == region and _wanted(event, asked))
        # The newest first; a later page begins where the one before ended, even if events have come meanwhile.
        newest_first = sorted(chosen, key=lambda e: (e["eventTime"], e["eventID"]), reverse=True)
        following = (e for e in newest_first if first is None or f"{e['eventTime']}/{e['eventID']}" < first)
        page = list(islice(following, size + 1))
        shown = page[:size]
        self.largest_page = max(self.largest_page, len(shown))
        more = {"NextToken": f"{shown[-1]['eventTime']}/{shown[-1]['eventID']}"} if len(page) > size else {}
        return {"Events": [_shown(event) for event in shown], **more}

    def counts(self) -> dict[str, Any]:
        """Return how LookupEvents was used: what a client's own rate is held against."""
        with self._lock:
            times = list(self.requests)
        busiest = max((sum(1 for t in times[i : i + 50] if t < start + 1) for i, start in enumerate(times)), default=0)
        return {
            "requests": len(times),
            "most_in_a_second": busiest,
            "throttled": self.throttled,
            "largest_page": self.largest_page,
        }

    @staticmethod
    def _page(asked: Mapping[str, Any]) -> tuple[int, str | None]:
        size = asked.get("MaxResults", MAX_PAGE)
        if not isinstance(size, int) or not 1 <= size <= MAX_PAGE:
            raise LookupRefusedError("InvalidMaxResultsException", f"MaxResults is between 1 and {MAX_PAGE}")
        attributes = asked.get("LookupAttributes", [])
        if len(attributes) > 1 or any(each.get("AttributeKey") not in _ATTRIBUTES for each in attributes):
            raise LookupRefusedError("InvalidLookupAttributesException", "One known attribute at most")
        if "EndTime" in asked and asked.get("StartTime", 0) > asked["EndTime"]:
            raise LookupRefusedError("InvalidTimeRangeException", "StartTime is later than EndTime")
        return size, asked.get("NextToken")


def user_name(event: Event) -> str:
    """Return the user or session that an event is found by; empty for nobody."""
    identity = event["userIdentity"]
    if identity.get("type") == "AssumedRole":
        return str(identity.get("arn", "")).rpartition("/")[2]
    return str(identity.get("userName", "") or ("root" if identity.get("type") == "Root" else ""))


def resource_names(event: Event) -> list[str]:
    """Return the names of the resources that an event is about."""
    arns = [str(each.get("ARN") or each.get("ARNPrefix", "")) for each in event["resources"]]
    return [name for arn in arns for name in (arn, arn.rpartition(":::")[2]) if name]


_ATTRIBUTES: Mapping[str, Callable[[Event], list[str]]] = {
    "EventId": lambda e: [e["eventID"]],
    "EventName": lambda e: [e["eventName"]],
    "ReadOnly": lambda e: [str(e["readOnly"]).lower()],
    "Username": lambda e: [user_name(e)],
    "ResourceType": lambda e: [each["type"] for each in e["resources"]],
    "ResourceName": resource_names,
    "EventSource": lambda e: [e["eventSource"]],
    "AccessKeyId": lambda e: [e["userIdentity"].get("accessKeyId", "")],
}


def _wanted(event: Event, asked: Mapping[str, Any]) -> bool:
    at = datetime.fromisoformat(event["eventTime"]).timestamp()
    if at < asked.get("StartTime", at) or at > asked.get("EndTime", at):
        return False
    return all(
        each["AttributeValue"] in _ATTRIBUTES[each["AttributeKey"]](event) for each in asked.get("LookupAttributes", ())
    )


def _shown(event: Event) -> dict[str, Any]:
    shown = {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "ReadOnly": str(event["readOnly"]).lower(),
        "AccessKeyId": event["userIdentity"].get("accessKeyId"),
        "EventTime": datetime.fromisoformat(event["eventTime"]).timestamp(),
        "EventSource": event["eventSource"],
        "Username": user_name(event) or None,
        "Resources": [
            {"ResourceType": each["type"], "ResourceName": name}
            for each, name in zip(event["resources"], resource_names(event)[1::2], strict=False)
        ],
        "CloudTrailEvent": json.dumps(event, separators=(",", ":")),
    }
    return {name: value for name, value in shown.items() if value is not None}
