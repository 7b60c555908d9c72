"""Time is a parameter: everything that waits or stamps takes a clock, so hours are tested in milliseconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the harness may ask of time. ``sleep`` and ``now`` are on the same scale."""

    @property
    def factor(self) -> float:
        """Seconds on this clock for each second of the machine's."""
        ...

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait so long on this clock's scale."""
        ...


@dataclass(frozen=True)
class ScaledClock:
    """A clock that runs ``factor`` times as fast as the machine's, from ``anchor`` on.

    The embedded server and the harness are given the same anchor and factor, so both tell the same time; with factor 1
    it is the machine's own clock.

    Attributes:
        factor: Seconds on this clock for each second of the machine's.
        anchor: The machine's time (seconds since the epoch) at which both clocks agree.
    """

    factor: float = 1.0
    anchor: float = 0.0

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise ValueError(f"a clock factor is greater than 0, not {self.factor}")

    @classmethod
    def starting_now(cls, factor: float) -> ScaledClock:
        """Return a clock that agrees with the machine's at this moment."""
        return cls(factor=factor, anchor=time.time())

    def now(self) -> datetime:
        """Return the current time on this clock, aware UTC."""
        return datetime.fromtimestamp(self.anchor + (time.time() - self.anchor) * self.factor, UTC)

    def sleep(self, seconds: float) -> None:
        """Wait until ``seconds`` have passed on this clock."""
        if seconds > 0:
            time.sleep(seconds / self.factor)
