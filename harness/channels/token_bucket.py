"""A token bucket: so many requests a second and not one more, on the run's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.clock import Clock


@dataclass(slots=True)
class TokenBucket:
    """Holds one token at most, so that requests are evenly spaced and no window of a second has more than the rate.

    Args:
        clock: Tells the time and waits.
        per_second: Tokens that drop in, a second.
    """

    clock: Clock
    per_second: float
    _next_at: datetime | None = None

    def take(self) -> None:
        """Wait until there is a token, and take it."""
        now = self.clock.now()
        if self._next_at and now < self._next_at:
            self.clock.sleep((self._next_at - now).total_seconds())
            now = self.clock.now()
        self._next_at = now + timedelta(seconds=1 / self.per_second)
