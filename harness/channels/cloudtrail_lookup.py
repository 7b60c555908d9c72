"""CloudTrail's event history by LookupEvents: management events only, always on, no stamp of their arrival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from harness.channels import Permission, PollPolicy, text_delivery
from harness.channels.token_bucket import TokenBucket
from harness.environment.site import Site, code_of
from harness.formats import cloudtrail
from harness.model import CLOUDTRAIL_LOOKUP, Delivery, Ours, Parsed

REQUESTS_PER_SECOND = 2.0
"""For an account and a Region (CloudTrail API Reference, LookupEvents, April 2026)."""
PAGE = 50
"""Events an answer, at most (the same page)."""
_THROTTLED_ATTEMPTS = 8
_AFTER_THE_LAST_CALL = timedelta(minutes=1)


class CloudTrailLookupChannel:
    """Reads the events of the run's principals, and of its main bucket for those that have none.

    Without a filter a busy account would be beyond two requests a second; events of a bucket of its own that nobody
    signed are the only ones that this leaves out.
    """

    name = CLOUDTRAIL_LOOKUP
    policy = PollPolicy(
        interval_seconds=300,
        absence_seconds=3600,
        promise="management events within 15 minutes (S3 User Guide, logging options, April 2026); the CloudTrail User"
        " Guide names no time",
        arrival_stamps=False,
        looks=frozenset({"LookupEvents"}),
    )
    permissions: tuple[Permission, ...] = (Permission(actions=("cloudtrail:LookupEvents",)),)
    charges: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._bucket: TokenBucket | None = None

    def preflight(self, site: Site) -> str:
        """Return why events cannot be looked up."""
        try:
            self._look_up(site, MaxResults=1)
        except ClientError as error:
            return str(error)
        return ""

    def enable(self, site: Site) -> None:
        """Nothing to do: the event history is always on."""

    def watch(self, site: Site, bucket: str) -> None:
        """Nothing to do."""

    def disable(self, site: Site) -> None:
        """Nothing to do: it cannot be switched off."""

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new events. They are found by their own time, and may appear as late as one is ever waited for."""
        asked: dict[str, Any] = {"StartTime": since - timedelta(seconds=self.policy.absence_seconds)}
        ended = site.journal.fact("executed_at")
        if ended:
            # What came after the last call is polling, this one included.
            asked["EndTime"] = datetime.fromisoformat(ended) + _AFTER_THE_LAST_CALL
            if asked["StartTime"] > asked["EndTime"]:
                return  # All of it was looked through for as long as anything is waited for.
        for attribute in _attributes(site):
            for event in self._pages(site, LookupAttributes=[attribute], **asked):
                name = f"event:{event['EventId']}"
                if name in known:
                    continue
                known.add(name)
                now = site.clock.now()
                yield text_delivery(self.name, name, event["CloudTrailEvent"], now, now)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Parse an event."""
        return Parsed() if delivery.body is None else cloudtrail.parse(delivery.body, ours).within(self.name)

    def _pages(self, site: Site, **asked: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._look_up(site, MaxResults=PAGE, **asked, **token)
            yield from page.get("Events", [])
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _look_up(self, site: Site, **asked: Any) -> Mapping[str, Any]:
        """Make one request when there is a token for it; botocore's own retries would not wait for one."""
        self._bucket = self._bucket or TokenBucket(site.clock, REQUESTS_PER_SECOND)
        client = site.client("cloudtrail", attempts=1)
        for attempt in Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, ClientError) and code_of(e) == "ThrottlingException"),
            stop=stop_after_attempt(_THROTTLED_ATTEMPTS),
            reraise=True,
        ):
            with attempt, self._bucket:
                answer: Mapping[str, Any] = client.lookup_events(**asked)
        return answer


def _attributes(site: Site) -> list[dict[str, str]]:
    """Return what the run's events are found by, one a request: LookupEvents takes a single attribute.

    A role without a session name of its own has another one in every process that has carried the run on.
    """
    owners = [arn.rpartition("/")[2].rpartition(":")[2] for arn in site.journal.fact("caller_arns", [])]
    users = dict.fromkeys([*owners, site.denied_session])
    found = [{"AttributeKey": "Username", "AttributeValue": name} for name in users]
    return [*found, {"AttributeKey": "ResourceName", "AttributeValue": site.bucket}]
