"""Shapes answers the way S3 sends them: error documents, ids, headers; and reads back what an answer says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, unescape

from harness.embedded.configurations import RefusedError, Reply, child_text, inner_xml, local_name, parse_body
from harness.embedded.wire import Request

Start = Callable[..., Any]
"""WSGI's ``start_response``."""
_ECHOED = ("x-amz-content-sha256", "x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length")
"""Headers of a PUT that moto keeps as metadata and repeats in every GET."""
_CODE_OF_EMPTY = {400: "BadRequest", 403: "AccessDenied", 405: "MethodNotAllowed", 412: "PreconditionFailed"}


def with_encoded_keys(reply: Reply) -> Reply:
    """URL-encode the keys of a version listing as asked: moto does so in other listings only."""
    text = reply.body.decode("utf-8", "replace")
    encoded = re.sub(r"<(Key|Prefix)>(.*?)</\1>", _encode_element, text, flags=re.DOTALL)
    encoded = encoded.replace("</ListVersionsResult>", "<EncodingType>url</EncodingType></ListVersionsResult>")
    return Reply(reply.status, encoded.encode(), reply.headers)


def _encode_element(match: re.Match[str]) -> str:
    return f"<{match[1]}>{quote(unescape(match[2], {'&quot;': chr(34), '&apos;': chr(39)}), safe='/')}</{match[1]}>"


def refusal(refused: RefusedError, request: Request) -> Reply:
    """Return the error document of a refusal; a HEAD gets the status alone."""
    resource = escape(f"/{request.bucket or ''}{'/' + request.key if request.key else ''}")
    inner = f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message><Resource>{resource}</Resource>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
    return Reply(refused.status, b"" if request.method == "HEAD" else body, (("Content-Type", "application/xml"),))


def with_ids(reply: Reply, identifier: str, host_id: str) -> Reply:
    """Give an error body the ids of the headers: moto's own are others, or none."""
    if reply.status < 300 or b"<Error" not in reply.body:
        return reply
    try:
        root = parse_body(reply.body)
    except RefusedError:
        return reply
    error = root if local_name(root) == "Error" else next((e for e in root.iter() if local_name(e) == "Error"), root)
    for child in [c for c in error if local_name(c) in ("RequestId", "HostId", "RequestID")]:
        error.remove(child)
    inner = inner_xml(error) + f"<RequestId>{identifier}</RequestId><HostId>{host_id}</HostId>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
    return Reply(reply.status, body, reply.headers)


def error_of(reply: Reply, request: Request, bucket_exists: bool) -> tuple[str | None, str | None]:
    """Return error code and message; an empty body (HEAD, moto's 403) gets the code that S3 would log."""
    if reply.status < 400:
        return None, None
    named = next((v for k, v in reply.headers if k == "x-amz-error-code"), None)
    if named:
        return named, named
    try:
        root = parse_body(reply.body)
        code = child_text(root, "Code")
        if code:
            return code, child_text(root, "Message")
    except RefusedError:
        pass
    if reply.status == 404:
        code = "NoSuchKey" if request.key and bucket_exists else "NoSuchBucket"
    else:
        code = _CODE_OF_EMPTY.get(reply.status, "InternalError")
    return code, code


def deleted_members(operation: str | None, request: Request, reply: Reply) -> tuple[tuple[str, str | None], ...]:
    """Keys (with the version asked for) of a batch delete, without those that the answer reports as failed."""
    if operation != "DeleteObjects" or reply.status >= 300:
        return ()
    asked = []
    for element in parse_body(request.body).iter():
        if local_name(element) == "Object":
            asked.append((child_text(element, "Key") or "", child_text(element, "VersionId")))
    failed = {child_text(e, "Key") for e in parse_body(reply.body).iter() if local_name(e) == "Error"}
    return tuple(pair for pair in asked if pair[0] not in failed)


def send(start_response: Start, reply: Reply, request: Request, stamps: tuple[tuple[str, str], ...]) -> Iterable[bytes]:
    """Send a reply with our ids in place of moto's."""
    ours = {name.lower() for name, _ in stamps} | {"x-amzn-requestid", "content-length", "connection", *_ECHOED}
    headers = [(k, v) for k, v in reply.headers if k.lower() not in ours]
    length = next((v for k, v in reply.headers if k.lower() == "content-length"), None)
    if reply.status not in (204, 304):
        # The Content-Length of a HEAD is the object's; for all else it is the body's, which may have been rewritten.
        headers.append(("Content-Length", length if request.method == "HEAD" and length else str(len(reply.body))))
    if reply.body and "content-type" not in {k.lower() for k, _ in headers}:
        headers.append(("Content-Type", "application/xml"))
    start_response(f"{reply.status} {_reason(reply.status)}", [*headers, *stamps])
    return [] if request.method == "HEAD" or reply.status in (204, 304) else [reply.body]


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Status"
