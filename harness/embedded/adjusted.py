"""What of moto is adjusted before it serves: its clocks, and what it does by itself, at once and otherwise than AWS."""

from __future__ import annotations

import time
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
    _adjust_queues(clock)
    setattr(moto.s3.models.S3Backend, "log_incoming_request", lambda *_args: None)  # noqa: B010
    vars(moto.s3.notifications)["send_event"] = lambda *_args, **_named: None
    event: Any = Session().get_service_model("s3").shape_for("Event")
    known = frozenset(event.enum)
    kinds: Any = moto.s3.notifications.S3NotificationEvent
    kinds.is_event_valid = staticmethod(lambda name: name in known)


def _adjust_queues(clock: ScaledClock) -> None:
    """Let a receive that finds nothing wait on the server's clock, and no message be lost while another one is deleted.

    moto does not look at all when its waiting time is over before it has begun; and it rebuilds its list of messages
    when one is deleted, without a lock against one that is sent meanwhile.
    """
    receive, delete = moto.sqs.models.SQSBackend.receive_message, moto.sqs.models.Queue.delete_message

    def receive_message(
        backend: Any, queue_name: str, count: int, wait_seconds_timeout: int, *more: Any, **named: Any
    ) -> Any:
        found = receive(backend, queue_name, count, 0, *more, **named)
        if not found and wait_seconds_timeout:
            time.sleep(wait_seconds_timeout / clock.factor)
            found = receive(backend, queue_name, count, 0, *more, **named)
        return found

    def delete_message(queue: Any, receipt_handle: str) -> None:
        with queue._messages_lock:
            delete(queue, receipt_handle)

    setattr(moto.sqs.models.SQSBackend, "receive_message", receive_message)  # noqa: B010
    setattr(moto.sqs.models.Queue, "delete_message", delete_message)  # noqa: B010
