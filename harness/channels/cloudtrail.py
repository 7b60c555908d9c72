"""CloudTrail files in a bucket: management events of the account, data events of the run's source buckets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from harness.channels import Permission, PollPolicy
from harness.channels.log_objects import LogFolder, new_objects
from harness.channels.trail import TRAIL, TRAIL_CHARGES, make_trail, trail_problem
from harness.environment.site import Site
from harness.formats import cloudtrail
from harness.model import CLOUDTRAIL, Delivery, Ours, Parsed

TREE = "CloudTrail"
NETWORK_TREE = "CloudTrail-NetworkActivity"
"""Beside it: calls through a VPC endpoint, where the trail selects them. Digest files have a tree of their own."""
_HOUR = timedelta(hours=1)


class CloudTrailChannel:
    """A trail of its own in one Region, with advanced selectors limited to the source buckets."""

    name = CLOUDTRAIL
    policy = PollPolicy(
        interval_seconds=60,
        absence_seconds=3600,
        promise="about 5 minutes on average, not guaranteed (CloudTrail User Guide, getting log files, April 2026)",
    )
    permissions: tuple[Permission, ...] = TRAIL
    charges: tuple[str, ...] = TRAIL_CHARGES

    def preflight(self, site: Site) -> str:
        """Return why no trail can be made."""
        return trail_problem(site)

    def enable(self, site: Site) -> None:
        """Create the trail's bucket, the trail and its selectors, and start logging."""
        make_trail(site)

    def watch(self, site: Site, bucket: str) -> None:
        """Nothing to do: the selectors hold for every bucket whose name begins like the source buckets'."""

    def disable(self, site: Site) -> None:
        """Stop the trail, and with it whatever else is fed by it."""
        site.cloudtrail.stop_logging(Name=site.trail_name)

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        """Yield new log files; whether there are any of network activity is asked once an hour, until there are."""
        yield from self._poll(site, TREE, since, known)
        has_network = any(f"/{NETWORK_TREE}/" in name for name in known)
        if has_network or since <= site.clock.now().replace(minute=0, second=0, microsecond=0):
            yield from self._poll(site, NETWORK_TREE, since if has_network else since - _HOUR, known)

    def _poll(self, site: Site, tree: str, since: datetime, known: set[str]) -> Iterator[Delivery]:
        start = f"{site.account_id}_{tree}_{site.region}_"
        folder = LogFolder(
            prefix=f"AWSLogs/{site.account_id}/{tree}/{site.region}/",
            by_day=True,
            name_at=lambda moment: f"{start}{moment:%Y%m%dT%H%MZ}",
        )
        return new_objects(site.s3, site.clock, self.name, site.trail_bucket, folder, since, known)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        """Parse a log file."""
        return Parsed() if delivery.body is None else cloudtrail.parse(delivery.body, ours)
