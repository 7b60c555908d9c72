"""Journals every HTTP attempt of a session: one request, one call, however many botocore makes of one API call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest

from harness.clock import Clock
from harness.journal import Journal
from harness.model import Call, CellKey, Role
from harness.redact import redact

_HOST_BUCKET = re.compile(r"^(?P<bucket>.+)\.s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com")


@dataclass(slots=True)
class Purpose:
    """What the calls being made are for."""

    role: Role = Role.SETUP
    cell: CellKey | None = None
    repeat: int = 0
    expected: Mapping[str, int] | None = None


class Recorder:
    """Hooks a boto3 session; attach it before the target's routing, so that it sees AWS host names.

    Args:
        journal: Where calls are written, before and after.
        clock: Stamps the calls.
        run_id: Part of every marker.
    """

    def __init__(self, journal: Journal, clock: Clock, run_id: str) -> None:
        self._journal, self._clock, self._run_id = journal, clock, run_id
        self._number = journal.next_call_number()
        self._purpose = Purpose()
        self._open: Call | None = None
        self._attempts: dict[str, int] = {}

    def attach(self, session: boto3.Session) -> None:
        """Journal every attempt that clients of this session will make."""
        session.events.register_first("before-send", self._before_send)
        session.events.register_first("response-received", self._response_received)
        session.events.register_first("before-call", self._before_call)

    @contextmanager
    def purpose(
        self,
        role: Role,
        cell: CellKey | None = None,
        repeat: int = 0,
        expected: Mapping[str, int] | None = None,
    ) -> Iterator[None]:
        """Give the calls made inside a role and, for subject calls, their cell."""
        before = self._purpose
        self._purpose = Purpose(role, cell, repeat, expected)
        try:
            yield
        finally:
            self._purpose = before

    def _before_call(self, **_kwargs: Any) -> None:
        self._attempts.clear()

    def _before_send(self, request: AWSPreparedRequest, event_name: str, **_kwargs: Any) -> None:
        """Number and mark the attempt (the user agent is not part of the signature), and journal the intent."""
        _, service, operation = event_name.split(".")
        attempt = self._attempts[operation] = self._attempts.get(operation, 0) + 1
        marker = f"s3lm/{self._run_id}/{self._number}"
        agent = request.headers.get("User-Agent", "")
        agent = agent.decode("latin-1") if isinstance(agent, bytes) else str(agent)
        request.headers["User-Agent"] = f"{agent} {marker}"
        parts = urlsplit(request.url)
        bucket, key = _place(service, parts.netloc, parts.path)
        purpose = self._purpose
        call = Call(
            number=self._number,
            operation=operation,
            service=service,
            role=purpose.role,
            marker=marker,
            cell=purpose.cell,
            repeat=purpose.repeat,
            attempt=attempt,
            method=str(request.method),
            host=parts.netloc,
            path=redact(parts.path + (f"?{parts.query}" if parts.query else "")),
            bucket=bucket,
            key=key,
            user_agent=f"{agent} {marker}",
            sent_at=self._clock.now(),
            expected=purpose.expected or {},
        )
        self._number += 1
        self._journal.intend(call)
        self._open = call

    def _response_received(
        self,
        response_dict: Mapping[str, Any] | None,
        parsed_response: Mapping[str, Any] | None,
        exception: BaseException | None,
        **_kwargs: Any,
    ) -> None:
        call, self._open = self._open, None
        if call is None:
            return
        now = self._clock.now()
        if response_dict is None:
            self._journal.complete(replace(call, received_at=now, failure=type(exception).__name__))
            return
        headers = {str(k).lower(): str(v) for k, v in response_dict["headers"].items()}
        error = (parsed_response or {}).get("Error") or {}
        status = int(response_dict["status_code"])
        self._journal.complete(
            replace(
                call,
                received_at=now,
                server_date=_http_date(headers.get("date")),
                status=status,
                error_code=str(error.get("Code")) if status >= 300 and error.get("Code") else None,
                request_id=headers.get("x-amz-request-id") or headers.get("x-amzn-requestid"),
                host_id=headers.get("x-amz-id-2"),
            )
        )


def _http_date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def _place(service: str, host: str, path: str) -> tuple[str | None, str | None]:
    """Return bucket and key that a request URL names (virtual-host or path style), decoded."""
    if service != "s3":
        return None, None
    text = unquote(path).removeprefix("/")
    named = _HOST_BUCKET.match(host)
    if named:
        return named["bucket"], text or None
    bucket, _, key = text.partition("/")
    return bucket or None, key or None
