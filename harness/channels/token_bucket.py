"""A token bucket: so many requests a second and not one more, on the run's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.clock import Clock


@dataclass(slots=True)
class TokenBucket:
    """Holds one token at most; use it as a context manager around each request.

    The next token drops in so long after the answer, not after the sending: a request may be long on its way, and it
    is the other side that counts. No second there has more than the rate that way.

    Args:
        clock: Tells the time and waits.
        per_second: Tokens that drop in, a second.
    """

    clock: Clock
    per_second: float
    _next_at: datetime | None = None

    def __enter__(self) -> None:
        """Wait until there is a token, and take it."""
        now = self.clock.now()
        if self._next_at and now < self._next_at:
            self.clock.sleep((self._next_at - now).total_seconds())

    def __exit__(self, *_: object) -> None:
        """Let the next token drop in."""
        self._next_at = self.clock.now() + timedelta(seconds=1 / self.per_second)
