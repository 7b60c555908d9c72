"""The WSGI middleware in front of moto: the right operation or a clean 501, AWS-shaped ids, and every request logged.

moto alone silently runs another operation for 37 of the 116 (``DeleteBucketMetricsConfiguration`` deletes the bucket),
so nothing reaches it before botocore's own model has named the operation.
"""

from __future__ import annotations

import io
import json
import logging
import random
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from moto.cloudtrail.models import cloudtrail_backends
from moto.s3.models import s3_backends

from harness.clock import ScaledClock
from harness.embedded.configurations import (
    Configurations,
    RefusedError,
    Reply,
    child_text,
    inner_xml,
    local_name,
    parse_body,
)
from harness.embedded.delivery import LogDelivery, LoggingConfiguration
from harness.embedded.exchange import Exchange, behaviours
from harness.embedded.principals import ACCOUNT_ID, principal_of
from harness.embedded.trail import request_id
from harness.embedded.wire import Request, identify, read_request

Start = Callable[..., Any]
_LOG = logging.getLogger(__name__)
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_CODE_OF_EMPTY = {400: "BadRequest", 403: "AccessDenied", 405: "MethodNotAllowed", 412: "PreconditionFailed"}
_NOT_SERVED = {
    "CreateSession": "directory buckets are not served here",
    "ListDirectoryBuckets": "directory buckets are not served here",
    "RenameObject": "directory buckets are not served here",
    "WriteGetObjectResponse": "Object Lambda is not served here",
    "GetObjectTorrent": "BitTorrent is not served here",
}


class Guard:
    """The WSGI application of the embedded server.

    Args:
        moto: moto's WSGI application, which serves what the guard lets through.
        clock: The clock shared with the harness.
        seed: Makes ids and delays repeatable.
    """

    def __init__(self, moto: Callable[..., Iterable[bytes]], clock: ScaledClock, seed: int) -> None:
        self.moto, self.clock = moto, clock
        self.ids = random.Random(f"{seed}:ids")  # noqa: S311 - ids need to look right, not to be secret
        self.configurations = Configurations(self._object_exists, self._lock_of, clock.now)
        self.delivery = LogDelivery(clock=clock, seed=seed, put_object=self._put_log_object, trails=self._trails)

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Serve one request (WSGI)."""
        received_at = self.clock.now()
        body = environ["wsgi.input"].read(_length(environ))
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("wsgi.input_terminated", None)
        request = read_request(environ, body)
        if request.target.startswith("/_s3logjam/"):
            return self._own_page(request, start_response)
        identifier, host_id = request_id(self.ids), "".join(self.ids.choices(_BASE64, k=75)) + "="
        if request.service != "s3":
            reply = self._moto(environ)
            return _answer(start_response, reply, request, self._stamps(identifier, host_id))
        operation = identify(request)
        before = self._logging_of(request.bucket)
        source = self._copy_source(operation, request)
        size = self._object_size(request)
        reply = self._serve(operation, request, environ)
        reply = _with_ids(reply, identifier, host_id)
        if operation and operation in behaviours():
            code, message = _error_of(reply, request, self._bucket_exists(request.bucket))
            exchange = Exchange(
                request=request,
                behaviour=behaviours()[operation],
                principal=principal_of(request.access_key),
                received_at=received_at,
                completed_at=self.clock.now(),
                status=reply.status,
                request_id=identifier,
                host_id=host_id,
                response_headers={k.lower(): v for k, v in reply.headers},
                response_bytes=0 if request.method == "HEAD" else len(reply.body),
                error_code=code,
                error_message=message,
                object_size=_first(self._object_size(request), size),
                copy_source=source,
                members=_deleted(operation, request, reply),
            )
            # The configuration before or after: PutBucketLogging's own record needs the one, DeleteBucket's the other.
            self.delivery.observe(exchange, lambda bucket: self._logging_of(bucket) or before)
        return _answer(start_response, reply, request, self._stamps(identifier, host_id))

    def _serve(self, operation: str | None, request: Request, environ: dict[str, Any]) -> Reply:
        try:
            if operation is None or operation in _NOT_SERVED:
                why = _NOT_SERVED.get(
                    operation or "", "A header or parameter implies functionality that is unknown here"
                )
                raise RefusedError("NotImplemented", why, 501)
            if request.bucket and operation != "CreateBucket" and not self._bucket_exists(request.bucket):
                raise RefusedError("NoSuchBucket", "The specified bucket does not exist", 404)
            reply = self.configurations.answer(operation, request) or self._moto(environ)
            if reply.status < 300:
                self._after(operation, request)
            return reply
        except RefusedError as refused:
            resource = escape(f"/{request.bucket or ''}{'/' + request.key if request.key else ''}")
            inner = f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
            inner += f"<Resource>{resource}</Resource>"
            body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
            return Reply(
                refused.status, b"" if request.method == "HEAD" else body, (("Content-Type", "application/xml"),)
            )

    def _after(self, operation: str, request: Request) -> None:
        """Keep what moto accepted but does not keep whole; forget what went with its bucket."""
        bucket = request.bucket or ""
        if operation == "PutBucketLogging":
            self.configurations.keep(bucket, "Logging", request.body)
        elif operation == "PutBucketNotificationConfiguration":
            self.configurations.keep(bucket, "Notification", request.body)
        elif operation == "DeleteBucket":
            self.configurations.forget(bucket)

    def _moto(self, environ: dict[str, Any]) -> Reply:
        """Let moto answer; what it lets escape becomes an InternalError instead of an HTML page without ids."""
        captured: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _exc: Any = None) -> Callable[[bytes], object]:
            captured[:] = [int(status.split(maxsplit=1)[0]), headers]
            return lambda _data: None

        try:
            chunks = self.moto(environ, start)
            try:
                body = b"".join(chunks)
            finally:
                getattr(chunks, "close", lambda: None)()
        except Exception as error:
            _LOG.exception("moto failed")
            inner = f"<Code>InternalError</Code><Message>{escape(type(error).__name__)}</Message>"
            return Reply(500, f"<Error>{inner}</Error>".encode(), (("Content-Type", "application/xml"),))
        return Reply(captured[0], body, tuple(captured[1]))

    def _own_page(self, request: Request, start_response: Start) -> Iterable[bytes]:
        """Answer the server's own pages: ``ledger`` is the truth about every delivery, for tests and benchmarks."""
        name = request.target.removeprefix("/_s3logjam/").partition("?")[0]
        pages: dict[str, Callable[[], object]] = {
            "clock": lambda: {"factor": self.clock.factor, "anchor": self.clock.anchor},
            "ledger": lambda: list(self.delivery.ledger),
        }
        if name not in pages:
            return _answer(start_response, Reply(404, b"no such page\n"), request, ())
        body = json.dumps(pages[name]()).encode()
        return _answer(start_response, Reply(200, body, (("Content-Type", "application/json"),)), request, ())

    def _stamps(self, identifier: str, host_id: str) -> tuple[tuple[str, str], ...]:
        date = f"{self.clock.now():%a, %d %b %Y %H:%M:%S} GMT"
        return (("x-amz-request-id", identifier), ("x-amz-id-2", host_id), ("Date", date), ("Server", "AmazonS3"))

    @staticmethod
    def _backend() -> Any:
        return s3_backends[ACCOUNT_ID]["aws"]

    def _bucket_exists(self, bucket: str | None) -> bool:
        return bucket in self._backend().buckets

    def _key(self, bucket: str | None, key: str | None) -> Any:
        found = self._backend().buckets.get(bucket)
        return found.keys.get(key) if found and key else None

    def _object_exists(self, bucket: str, key: str) -> bool:
        return self._key(bucket, key) is not None

    def _object_size(self, request: Request) -> int | None:
        return getattr(self._key(request.bucket, request.key), "size", None)

    def _lock_of(self, bucket: str, key: str) -> tuple[str, str] | None:
        found = self._key(bucket, key)
        return (found.lock_mode, str(found.lock_until)) if found is not None and found.lock_mode else None

    def _logging_of(self, bucket: str | None) -> LoggingConfiguration | None:
        body = self.configurations.kept(bucket or "", "Logging")
        return LoggingConfiguration.from_xml(body) if body else None

    def _copy_source(self, operation: str | None, request: Request) -> tuple[str, str, int | None] | None:
        if operation not in ("CopyObject", "UploadPartCopy"):
            return None
        named = unquote(request.headers["x-amz-copy-source"].partition("?")[0]).lstrip("/")
        bucket, _, key = named.partition("/")
        return bucket, key, getattr(self._key(bucket, key), "size", None)

    @staticmethod
    def _trails() -> list[Any]:
        return [t for backend in list(cloudtrail_backends[ACCOUNT_ID].values()) for t in backend.trails.values()]

    def _put_log_object(self, bucket: str, key: str, body: bytes, kind: str) -> bool:
        if not self._bucket_exists(bucket):
            return False
        self._backend().put_object(bucket, key, body).set_metadata({"Content-Type": kind}, replace=True)
        return True


def _length(environ: dict[str, Any]) -> int:
    """Bytes to read: all of a chunked body, which werkzeug terminates by itself."""
    return -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)


def _first(*values: int | None) -> int | None:
    return next((v for v in values if v is not None), None)


def _with_ids(reply: Reply, identifier: str, host_id: str) -> Reply:
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


def _error_of(reply: Reply, request: Request, bucket_exists: bool) -> tuple[str | None, str | None]:
    """Return error code and message; an empty body (HEAD, moto's 403) gets the code that S3 would log."""
    if reply.status < 400:
        return None, None
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


def _deleted(operation: str | None, request: Request, reply: Reply) -> tuple[tuple[str, str | None], ...]:
    """Keys (with the version asked for) of a batch delete, without those that the answer reports as failed."""
    if operation != "DeleteObjects" or reply.status >= 300:
        return ()
    asked = []
    for element in parse_body(request.body).iter():
        if local_name(element) == "Object":
            asked.append((child_text(element, "Key") or "", child_text(element, "VersionId")))
    failed = {child_text(e, "Key") for e in parse_body(reply.body).iter() if local_name(e) == "Error"}
    return tuple(pair for pair in asked if pair[0] not in failed)


def _answer(
    start_response: Start, reply: Reply, request: Request, stamps: tuple[tuple[str, str], ...]
) -> Iterable[bytes]:
    """Send a reply with our ids in place of moto's."""
    ours = {name.lower() for name, _ in stamps} | {"x-amzn-requestid", "content-length", "connection"}
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
