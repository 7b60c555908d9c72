"""Journals every HTTP attempt of a session: one request, one call, however many botocore makes of one API call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest

from harness.clock import Clock
from harness.execute.raw import RAW_CALL
from harness.journal import Journal
from harness.model import ACTOR, Call, CellKey, Role
from harness.redact import redact

_HOST_BUCKET = re.compile(r"^(?P<bucket>.+?)\.s3(?:[.-]|express-)(?:[a-z0-9-]+\.)*amazonaws\.com")


@dataclass(slots=True)
class Purpose:
    """What the calls being made are for."""

    role: Role = Role.SETUP
    cell: CellKey | None = None
    repeat: int = 0
    expected: Mapping[str, int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)


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
        self.statuses: list[int | None] = []
        """HTTP statuses of subject calls, for who clears it and reads it; None where no answer came."""
        self.error_codes: set[str] = set()
        """Error codes of subject calls, likewise."""

    @property
    def role(self) -> Role:
        """What the calls that are being made are for."""
        return self._purpose.role

    def attach(self, session: boto3.Session) -> None:
        """Journal every attempt that clients of this session will make."""
        session.events.register_first("before-send", self._before_send)
        session.events.register_first("response-received", self._response_received)
        for event in ("before-call", RAW_CALL):
            session.events.register_first(event, self._before_call)

    @contextmanager
    def purpose(
        self,
        role: Role,
        cell: CellKey | None = None,
        repeat: int = 0,
        *,
        expected: Mapping[str, int] | None = None,
        headers: Mapping[str, str] | None = None,
        sent: Mapping[str, str] | None = None,
    ) -> Iterator[None]:
        """Give the calls made inside a role and a cell.

        Args:
            role: What they are for.
            cell: The row whose scenario makes them.
            repeat: Which repetition.
            expected: Records expected per channel.
            headers: Sent beside the request's own, not signed; a ``User-Agent`` is appended to the usual one.
            sent: What is requested, as leaves.
        """
        before = self._purpose
        self._purpose = Purpose(role, cell, repeat, expected or {}, headers or {}, sent or {})
        try:
            yield
        finally:
            self._purpose = before

    def expect_actor(self, operation: str, bucket: str, key: str, within: timedelta) -> None:
        """Journal something that S3 will do by itself within a time, in the place of a call."""
        now, purpose = self._clock.now(), self._purpose
        call = Call(
            number=self._number,
            operation=operation,
            service="s3",
            role=purpose.role,
            marker=f"s3lm/{self._run_id}/{self._number}",
            cell=purpose.cell,
            repeat=purpose.repeat,
            method=ACTOR,
            bucket=bucket,
            key=key,
            sent_at=now,
            received_at=now + within,
            expected=purpose.expected,
        )
        self._number += 1
        self._journal.intend(call)

    def _before_call(self, **_kwargs: Any) -> None:
        self._attempts.clear()

    def _before_send(self, request: AWSPreparedRequest, event_name: str, **_kwargs: Any) -> None:
        """Number and mark the attempt (the user agent is not part of the signature), and journal the intent."""
        _, service, operation = event_name.split(".")
        attempt = self._attempts[operation] = self._attempts.get(operation, 0) + 1
        marker = f"s3lm/{self._run_id}/{self._number}"
        agent = request.headers.get("User-Agent", "")
        agent = agent.decode("latin-1") if isinstance(agent, bytes) else str(agent)
        purpose = self._purpose
        extra = purpose.headers.get("User-Agent", "")
        agent = f"{agent} {extra} {marker}" if extra else f"{agent} {marker}"
        for name, value in purpose.headers.items():
            request.headers[name] = value
        request.headers["User-Agent"] = agent
        parts = urlsplit(request.url)
        bucket, key = _place(service, parts.netloc, parts.path)
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
            user_agent=agent,
            sent_at=self._clock.now(),
            expected=purpose.expected,
            sent=purpose.sent,
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
        if call.role is Role.SUBJECT:
            if call.attempt > 1:
                del self.statuses[-1:]  # a retry's answer takes the place of the one before
            self.statuses.append(int(response_dict["status_code"]) if response_dict else None)
        if response_dict is None:
            self._journal.complete(replace(call, received_at=now, failure=type(exception).__name__))
            return
        headers = {str(k).lower(): str(v) for k, v in response_dict["headers"].items()}
        error = (parsed_response or {}).get("Error") or {}
        code = str(error.get("Code") or "")
        if call.role is Role.SUBJECT and code:
            self.error_codes.add(code)
        status = int(response_dict["status_code"])
        self._journal.complete(
            replace(
                call,
                received_at=now,
                server_date=_http_date(headers.get("date")),
                status=status,
                # botocore makes a code of the status where there is no body (HEAD, 304).
                error_code=code if status >= 300 and code and not code.isdigit() else None,
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
    if service != "s3" or any(mark in host for mark in (".s3-accesspoint", "-s3alias.", ".s3-object-lambda")):
        # An access point names its bucket to the server only.
        return None, unquote(path).removeprefix("/") or None if service == "s3" else None
    text = unquote(path).removeprefix("/")
    named = _HOST_BUCKET.match(host)
    if named:
        return named["bucket"], text or None
    bucket, _, key = text.partition("/")
    return bucket or None, key or None
