"""How late each channel is: a distribution for each, on what evidence there is, and how often something comes twice."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayModel:
    """A log-normal delay, cut off at ``maximum_seconds``, then rounded up to the next ``batch_seconds`` boundary.

    Attributes:
        twice: The share of records that are delivered a second time, later.
    """

    median_seconds: float
    sigma: float
    maximum_seconds: float
    batch_seconds: float
    twice: float = 0.0

    def draw(self, source: random.Random) -> float:
        """Return one delay in seconds, before the batch window."""
        return min(self.maximum_seconds, self.median_seconds * math.exp(source.gauss(0, self.sigma)))

    def due(self, completed: float, drawn: float) -> float:
        """Return when a record with a drawn delay is written: at the end of the batch window in which it ends."""
        return math.ceil((completed + drawn) / self.batch_seconds) * self.batch_seconds


SERVER_ACCESS_DELAY = DelayModel(median_seconds=3300, sigma=0.4, maximum_seconds=10_800, batch_seconds=120)
"""About an hour with a tail of three (delivery.md section 4: 31 to 85 minutes in public fixtures)."""
CLOUDTRAIL_DELAY = DelayModel(median_seconds=90, sigma=0.6, maximum_seconds=900, batch_seconds=300)
"""Files at multiples of five minutes, mean about four minutes (delivery.md section 4)."""
DELAYS: Mapping[str, DelayModel] = {
    "server-access": SERVER_ACCESS_DELAY,
    # "Typically within a few hours" too: assumed to be somewhat sooner, without files to fill.
    "server-access-cloudwatch": DelayModel(
        median_seconds=2400, sigma=0.5, maximum_seconds=10_800, batch_seconds=5, twice=0.005
    ),
    "cloudtrail": CLOUDTRAIL_DELAY,
    # The documented average is the same five minutes: assumed without the files' five-minute boundaries.
    "cloudtrail-cloudwatch": DelayModel(
        median_seconds=180, sigma=0.5, maximum_seconds=900, batch_seconds=5, twice=0.005
    ),
    # One author's probe: two to three minutes (delivery.md section 4); the page says up to 15.
    "cloudtrail-lookup": DelayModel(median_seconds=150, sigma=0.4, maximum_seconds=900, batch_seconds=1),
    # Nothing is published: assumed to be sooner than CloudTrail's own deliveries.
    "eventbridge": DelayModel(median_seconds=45, sigma=0.7, maximum_seconds=600, batch_seconds=0.25, twice=0.01),
    # "Typically in seconds, sometimes a minute or longer", at least once (S3 User Guide, event notifications).
    "s3-notification": DelayModel(median_seconds=2, sigma=0.9, maximum_seconds=120, batch_seconds=0.25, twice=0.01),
}
