"""What of moto is adjusted before it serves: its clocks, and what it does by itself, at once and otherwise than AWS."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import moto.logs.models
import moto.s3.models
import moto.s3.notifications
import moto.sqs.models
from botocore.session import Session

from harness.clock import ScaledClock


def adjust(clock: ScaledClock) -> None:
    """Let moto's stamps run on the server's clock, and switch off its access log and its notifications.

    Both are delivered by this server: moto's access log is a wrong one (docs/embedded.md), its notifications come at
    once and without request ids.
    """
    now: Callable[[], datetime] = lambda: clock.now().replace(tzinfo=None)  # noqa: E731 - as moto's own
    vars(moto.s3.models)["utcnow"] = now
    vars(moto.logs.models)["utcnow"] = now
    queues = vars(moto.sqs.models)
    queues["unix_time"] = lambda *_: clock.now().timestamp()
    queues["unix_time_millis"] = lambda *_: clock.now().timestamp() * 1000
    # A receive that finds nothing waits for a second, which is a second of the server's clock.
    wait = moto.sqs.models.Queue.wait_for_messages
    setattr(moto.sqs.models.Queue, "wait_for_messages", lambda queue, seconds: wait(queue, seconds / clock.factor))  # noqa: B010
    setattr(moto.s3.models.S3Backend, "log_incoming_request", lambda *_args: None)  # noqa: B010
    vars(moto.s3.notifications)["send_event"] = lambda *_args, **_named: None
    event: Any = Session().get_service_model("s3").shape_for("Event")
    known = frozenset(event.enum)
    kinds: Any = moto.s3.notifications.S3NotificationEvent
    kinds.is_event_valid = staticmethod(lambda name: name in known)
