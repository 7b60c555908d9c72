"""Writes server access logs: the entries of a request, and the text lines made of them (``access_json.py``: as JSON).

27 fields in AWS's order (S3 User Guide, server access log format, April 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote_plus

from harness.embedded.exchange import Exchange
from harness.embedded.lifecycle import Action
from harness.embedded.principals import ACCOUNT_ID, canonical_id

_SIGNATURE = re.compile(r"(X-Amz-Signature=|[?&]Signature=)[^&\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a bucket's access log, before it is written in one form or another; None stands for a dash.

    Attributes:
        bucket: Under whose logging configuration it is delivered: a copy source's own.
        by_s3: Of something that S3 did by itself: its line has quoted dashes, and its key is encoded once.
    """

    bucket: str
    time: datetime
    request_id: str
    operation: str
    requester: str | None = None
    remote_ip: str | None = None
    key: str | None = None
    request_uri: str | None = None
    http_status: int | None = None
    error_code: str | None = None
    bytes_sent: int | None = None
    object_size: int | None = None
    total_time: int | None = None
    turn_around_time: int | None = None
    referer: str | None = None
    user_agent: str | None = None
    version_id: str | None = None
    host_id: str | None = None
    signature_version: str | None = None
    authentication_type: str | None = None
    host_header: str | None = None
    access_point_arn: str | None = None
    acl_required: bool = False
    by_s3: bool = False


def entries_of(exchange: Exchange) -> list[Entry]:
    """Return the entries of one exchange: the request's own, then copy source or batch members."""
    request, behaviour = exchange.request, exchange.behaviour
    if not behaviour.server_access or not request.bucket:
        return []
    entries = [_own(exchange, request.bucket)]
    related = behaviour.server_access_related
    if exchange.copy_source and exchange.status < 300:
        bucket, key, size = exchange.copy_source
        entries.append(_related(exchange, related, bucket, key, exchange.status, size, None))
    for key, version in exchange.members:
        entries.append(_related(exchange, related, request.bucket, key, 204, None, version))
    return entries


def action_entry(action: Action, request_id: str) -> Entry:
    """Return the entry of something that S3 did by itself: requester ``AmazonS3``, no client."""
    return Entry(
        bucket=action.bucket,
        time=action.at,
        request_id=request_id,
        operation=action.operation,
        requester="AmazonS3",
        key=action.key,
        object_size=action.object_size,
        version_id=action.version_id,
        by_s3=True,
    )


def line_of(entry: Entry) -> str:
    """Write an entry as a line of text."""

    def quoted(text: str | None) -> str:
        return '"-"' if text is None and entry.by_s3 else "-" if text is None else f'"{text}"'

    key = entry.key
    if key:
        # Once for what S3 does by itself, unlike a request's (observed by users with lifecycle records).
        key = quote_plus(key, safe="/") if entry.by_s3 else encode_key(key)
    fields = [
        canonical_id(ACCOUNT_ID),
        entry.bucket,
        f"[{entry.time:%d/%b/%Y:%H:%M:%S} +0000]",
        entry.remote_ip,
        entry.requester,
        entry.request_id,
        entry.operation,
        key,
        quoted(entry.request_uri),
        entry.http_status,
        entry.error_code,
        entry.bytes_sent,
        entry.object_size,
        entry.total_time,
        entry.turn_around_time,
        quoted(entry.referer),
        quoted(entry.user_agent),
        entry.version_id,
        entry.host_id,
        entry.signature_version,
        None,
        entry.authentication_type,
        entry.host_header,
        None,
        entry.access_point_arn,
        "Yes" if entry.acl_required else None,
        None,
    ]
    return " ".join("-" if field is None else str(field) for field in fields)


def encode_key(key: str) -> str:
    """Encode a key as native records show it: URL-encoded twice, with a space as ``%2B`` and ``/`` kept."""
    return quote_plus(quote_plus(key, safe="/"), safe="/")


def _own(exchange: Exchange, bucket: str) -> Entry:
    request = exchange.request
    signed = request.access_key is not None
    total_ms = max(1, round((exchange.completed_at - exchange.received_at).total_seconds() * 1000))
    quiet = request.method == "HEAD" or exchange.status >= 300
    return Entry(
        bucket=bucket,
        time=exchange.received_at,
        request_id=exchange.request_id,
        operation=exchange.behaviour.server_access,
        requester=exchange.principal.arn,
        remote_ip=request.remote_ip,
        key=request.key or None,
        request_uri=f"{request.method} {_SIGNATURE.sub(_mask, request.target)} HTTP/1.1",
        http_status=exchange.status,
        error_code=exchange.error_code or None,
        bytes_sent=exchange.response_bytes or None,
        object_size=exchange.object_size,
        total_time=total_ms,
        turn_around_time=None if quiet else max(1, total_ms - 1),
        referer=request.headers.get("referer", "-"),
        user_agent=request.headers.get("user-agent", "-"),
        version_id=request.param("versionId") or None,
        host_id=exchange.host_id,
        signature_version="SigV4" if signed else None,
        authentication_type=("QueryString" if request.query_authentication else "AuthHeader") if signed else None,
        host_header=request.host or None,
        access_point_arn=exchange.access_point or None,
        acl_required=exchange.acl_required,
    )


def _related(
    exchange: Exchange, operation: str, bucket: str, key: str, status: int, size: int | None, version: str | None
) -> Entry:
    """An entry about something inside a request: without what is the request's alone."""
    request = exchange.request
    signed = request.access_key is not None
    return Entry(
        bucket=bucket,
        time=exchange.received_at,
        request_id=exchange.request_id,
        operation=operation,
        requester=exchange.principal.arn,
        remote_ip=request.remote_ip,
        key=key or None,
        http_status=status,
        error_code=exchange.error_code or None,
        object_size=size,
        version_id=version or None,
        host_id=exchange.host_id,
        signature_version="SigV4" if signed else None,
        authentication_type=("QueryString" if request.query_authentication else "AuthHeader") if signed else None,
        host_header=request.host or None,
        access_point_arn=exchange.access_point or None,
    )


def _mask(match: re.Match[str]) -> str:
    return match[1] + "XXXXXXXX"
