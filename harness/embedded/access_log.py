"""Writes server access log lines: 27 fields in AWS's order (S3 User Guide, server access log format, April 2026)."""

from __future__ import annotations

import re
from urllib.parse import quote_plus

from harness.embedded.exchange import Exchange
from harness.embedded.lifecycle import Action
from harness.embedded.principals import ACCOUNT_ID, canonical_id

_SIGNATURE = re.compile(r"(X-Amz-Signature=|[?&]Signature=)[^&\s]+")


def lines_of(exchange: Exchange) -> list[tuple[str, str]]:
    """Return the (bucket, line) pairs of one exchange: the request's own line, then copy source or batch members.

    A line belongs to the bucket under whose logging configuration it is delivered: a copy source's own.
    """
    request, behaviour = exchange.request, exchange.behaviour
    if not behaviour.server_access or not request.bucket:
        return []
    lines = [(request.bucket, _line(exchange, behaviour.server_access, request.bucket, request.key))]
    if exchange.copy_source and exchange.status < 300:
        bucket, key, size = exchange.copy_source
        line = _line(exchange, behaviour.server_access_related, bucket, key, related=True, size=size)
        lines.append((bucket, line))
    for key, version in exchange.members:
        name = behaviour.server_access_related
        line = _line(exchange, name, request.bucket, key, related=True, status=204, version=version)
        lines.append((request.bucket, line))
    return lines


def action_line(action: Action, request_id: str) -> str:
    """Return the line of something that S3 did by itself: requester ``AmazonS3``, no client, quoted dashes.

    The key is encoded once here, unlike a request's (observed by users with lifecycle records).
    """
    size = "-" if action.object_size is None else str(action.object_size)
    fields = [
        canonical_id(ACCOUNT_ID),
        action.bucket,
        f"[{action.at:%d/%b/%Y:%H:%M:%S} +0000]",
        "-",
        "AmazonS3",
        request_id,
        action.operation,
        quote_plus(action.key, safe="/"),
        '"-"',
        *("-", "-", "-", size, "-", "-"),
        '"-"',
        '"-"',
        action.version_id or "-",
        *("-", "-", "-", "-", "-", "-", "-", "-", "-", "-"),
    ]
    return " ".join(fields)


def encode_key(key: str) -> str:
    """Encode a key as native records show it: URL-encoded twice, with a space as ``%2B`` and ``/`` kept."""
    return quote_plus(quote_plus(key, safe="/"), safe="/")


def _line(
    exchange: Exchange,
    operation: str,
    bucket: str,
    key: str | None,
    *,
    related: bool = False,
    status: int | None = None,
    size: int | None = None,
    version: str | None = None,
) -> str:
    request, principal = exchange.request, exchange.principal
    signed = request.access_key is not None
    total_ms = max(1, round((exchange.completed_at - exchange.received_at).total_seconds() * 1000))
    quiet = related or request.method == "HEAD" or exchange.status >= 300
    shown_size = size if related else exchange.object_size
    uri = f"{request.method} {_SIGNATURE.sub(_mask, request.target)} HTTP/1.1"
    fields = [
        canonical_id(ACCOUNT_ID),
        bucket,
        f"[{exchange.received_at:%d/%b/%Y:%H:%M:%S} +0000]",
        request.remote_ip,
        principal.arn or "-",
        exchange.request_id,
        operation,
        encode_key(key) if key else "-",
        "-" if related else f'"{uri}"',
        str(status or exchange.status),
        exchange.error_code or "-",
        "-" if related or not exchange.response_bytes else str(exchange.response_bytes),
        "-" if shown_size is None else str(shown_size),
        "-" if related else str(total_ms),
        "-" if quiet else str(max(1, total_ms - 1)),
        "-" if related else f'"{request.headers.get("referer", "-")}"',
        "-" if related else f'"{request.headers.get("user-agent", "-")}"',
        version or (None if related else request.param("versionId")) or "-",
        exchange.host_id,
        "SigV4" if signed else "-",
        "-",
        ("QueryString" if request.query_authentication else "AuthHeader") if signed else "-",
        request.host or "-",
        "-",
        exchange.access_point or "-",
        "Yes" if exchange.acl_required and not related else "-",
        "-",
    ]
    return " ".join(fields)


def _mask(match: re.Match[str]) -> str:
    return match[1] + "XXXXXXXX"
