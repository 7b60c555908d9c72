"""What S3 does by itself: applies lifecycle rules once a day, at midnight UTC of the server's clock.

Expirations, delete markers, transitions and aborted uploads are logged with AWS's operation strings (S3 User Guide,
lifecycle and logging). Filters by tag or size are not evaluated: such a rule does nothing here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.clock import ScaledClock

_DAY = timedelta(days=1)
_TRANSITIONS = {
    "STANDARD_IA": "S3.TRANSITION_SIA.OBJECT",
    "ONEZONE_IA": "S3.TRANSITION_ZIA.OBJECT",
    "INTELLIGENT_TIERING": "S3.TRANSITION_INT.OBJECT",
    "GLACIER_IR": "S3.TRANSITION_GIR.OBJECT",
    "GLACIER": "S3.TRANSITION.OBJECT",
    "DEEP_ARCHIVE": "S3.TRANSITION_GDA.OBJECT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that S3 did: its operation string, and where."""

    operation: str
    bucket: str
    key: str
    at: datetime
    region: str
    object_size: int | None = None
    version_id: str | None = None


class Lifecycle:
    """Applies the rules of all buckets.

    Args:
        clock: The server's clock.
        backend: Returns moto's S3 backend.
        log: Takes what was done.
    """

    def __init__(self, clock: ScaledClock, backend: Callable[[], Any], log: Callable[[Action], None]) -> None:
        self._clock, self._backend, self._log = clock, backend, log

    def run(self, stop: threading.Event) -> None:
        """Apply the rules after every midnight, until ``stop`` is set. Meant for a thread of its own."""
        midnight = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        while True:
            wait = (midnight - self._clock.now()).total_seconds() / self._clock.factor
            if stop.wait(max(0.0, wait)):
                return
            self.apply(midnight)
            midnight += _DAY

    def apply(self, midnight: datetime) -> None:
        """Apply all rules as of a midnight."""
        for bucket in list(self._backend().buckets.values()):
            for rule in list(bucket.rules or []):
                if rule.status == "Enabled":
                    for action in self._apply_rule(bucket, rule, midnight):
                        self._log(action)

    def _apply_rule(self, bucket: Any, rule: Any, midnight: datetime) -> Iterator[Action]:
        selected = rule.filter
        if selected is not None and (selected.tag_key or selected.and_filter):
            return
        prefix = (selected.prefix if selected is not None else rule.prefix) or ""
        for key, found in list(bucket.keys.items()):
            if not key.startswith(prefix) or not hasattr(found, "storage_class"):  # a delete marker has none
                continue
            # The day of creation does not count: a rule of n days acts at the midnight after n days.
            age = (midnight - found.last_modified.replace(tzinfo=UTC)).total_seconds() / _DAY.total_seconds()
            common = {"bucket": bucket.name, "region": bucket.region_name, "key": key, "object_size": found.size}
            common["at"] = self._clock.now()
            if rule.expiration_days and age >= int(rule.expiration_days):
                self._backend().delete_object(bucket.name, key)
                yield Action(
                    operation="S3.CREATE.DELETEMARKER" if bucket.is_versioned else "S3.EXPIRE.OBJECT", **common
                )
                continue
            for transition in rule.transitions or []:
                due = transition.days is not None and age >= int(transition.days)
                if due and found.storage_class != transition.storage_class and transition.storage_class in _TRANSITIONS:
                    found.set_storage_class(transition.storage_class)
                    yield Action(operation=_TRANSITIONS[transition.storage_class], **common)
