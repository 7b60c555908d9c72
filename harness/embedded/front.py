"""Request forms that no SDK makes: website endpoints, CORS preflights, browser form posts. They read moto's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from fnmatch import fnmatchcase
from typing import Any

from harness.embedded import signature
from harness.embedded.configurations import RefusedError, Reply, child_text, local_name, parse_body
from harness.embedded.wire import Request

Bucket = Any
"""moto's FakeBucket."""


def website(request: Request, bucket: Bucket, may_read: Callable[[str], bool]) -> tuple[Reply, str]:
    """Answer a request to a website endpoint.

    Args:
        request: As received.
        bucket: moto's bucket.
        may_read: Whether everybody may read a key.

    Returns:
        The reply, and the key that it resolved to.

    Raises:
        RefusedError: No website, or a method that websites do not have.
    """
    if not bucket.website_configuration:
        message = "The specified bucket does not have a website configuration"
        raise RefusedError("NoSuchWebsiteConfiguration", message, 404)
    if request.method not in ("GET", "HEAD"):
        raise RefusedError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    configuration = parse_body(bucket.website_configuration)
    suffix = child_text(configuration, "Suffix") or "index.html"
    key = request.key or ""
    if not key or key.endswith("/"):
        key += suffix
    found = bucket.keys.get(key)
    if found is not None and may_read(key):
        return _page(found, 200), key
    code, status = ("NoSuchKey", 404) if found is None and may_read(key) else ("AccessDenied", 403)
    error_key = next((child_text(e, "Key") for e in configuration if local_name(e) == "ErrorDocument"), None)
    error_page = bucket.keys.get(error_key) if error_key else None
    headers = (("x-amz-error-code", code), ("Content-Type", "text/html"))
    if error_key and error_page is not None and may_read(error_key):
        return Reply(status, _page(error_page, status).body, headers), key
    return Reply(status, f"<html><body><h1>{status} {code}</h1></body></html>".encode(), headers), key


def _page(found: Any, status: int) -> Reply:
    kind = found.metadata.get("Content-Type", "binary/octet-stream")
    return Reply(status, found.value, (("Content-Type", kind), ("ETag", found.etag)))


def preflight(request: Request, bucket: Bucket) -> Reply:
    """Answer a CORS preflight from the bucket's rules.

    Raises:
        RefusedError: 400 without Origin or method, 403 where no rule allows it (S3 API Reference, OPTIONS object).
    """
    origin = request.headers.get("origin")
    method = request.headers.get("access-control-request-method")
    if not origin or not method:
        message = "Insufficient information. Origin request header needed."
        raise RefusedError("BadRequest", message, 400)
    asked = request.headers.get("access-control-request-headers", "")
    wanted = [name.strip().lower() for name in asked.split(",") if name.strip()]
    for rule in bucket.cors or []:
        allowed = [pattern.lower() for pattern in _listed(rule.allowed_headers)]
        if (
            any(fnmatchcase(origin, pattern) for pattern in _listed(rule.allowed_origins))
            and method in _listed(rule.allowed_methods)
            and all(any(fnmatchcase(name, pattern) for pattern in allowed) for name in wanted)
        ):
            headers = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin, Access-Control-Request-Method")]
            headers.append(("Access-Control-Allow-Methods", ", ".join(_listed(rule.allowed_methods))))
            return Reply(200, b"", tuple(headers))
    message = "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin failed."
    raise RefusedError("AccessForbidden", message, 403)


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(value)] if isinstance(value, str) else [str(each) for each in value]


def form_fields(request: Request) -> tuple[dict[str, str], bytes | None]:
    """Read a multipart/form-data body: lower-case field names, and the content of ``file`` (None without one).

    Fields after the file are ignored, as S3 ignores them.

    Raises:
        RefusedError: It cannot be read.
    """
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode("latin-1", "replace")
    message: Message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    if not message.is_multipart():
        text = "The body of your POST request is not well-formed multipart/form-data."
        raise RefusedError("MalformedPOSTRequest", text, 400)
    fields: dict[str, str] = {}
    for part in message.get_payload():
        assert isinstance(part, Message)
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        content = content if isinstance(content, bytes) else b""
        if str(name).lower() == "file":
            return fields, content
        fields[str(name).lower()] = content.decode("utf-8", "replace")
    return fields, None


def check_form(
    fields: Mapping[str, str], content: bytes | None, bucket: str, secret_of: signature.SecretOf, now: datetime
) -> str | None:
    """Check a form's policy and signature.

    Returns:
        The access key, None for an anonymous form.

    Raises:
        RefusedError: As S3 refuses it.
    """
    if content is None:
        text = "POST requires exactly one file upload per request."
        raise RefusedError("IncorrectNumberOfFilesInPostRequest", text, 400)
    if "key" not in fields:
        raise RefusedError("InvalidArgument", "Bucket POST must contain a field named 'key'.", 400)
    return signature.check_form_post(fields, secret_of, now, bucket, len(content))
