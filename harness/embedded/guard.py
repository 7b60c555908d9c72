"""The WSGI middleware in front of moto: the right operation or a clean 501, AWS-shaped ids, and every request logged.

moto alone silently runs another operation for 37 of the 116 (``DeleteBucketMetricsConfiguration`` deletes the bucket),
so nothing reaches it before botocore's own model has named the operation.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import random
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from moto.s3control.models import s3control_backends

from harness.clock import ScaledClock
from harness.embedded import front, permissions, services, signature, state
from harness.embedded.authorization import allowed, arn_of, denies_everybody, identity_policies
from harness.embedded.configurations import (
    Configurations,
    RefusedError,
    Reply,
    parse_body,
    without_chunk_framing,
)
from harness.embedded.credentials import secret_of
from harness.embedded.delivery import LogDelivery, LoggingConfiguration
from harness.embedded.exchange import Exchange, behaviour_of
from harness.embedded.history import History
from harness.embedded.lifecycle import Lifecycle
from harness.embedded.principals import ACCESS_KEY_ID, ACCOUNT_ID, ANONYMOUS, Principal, principal_of
from harness.embedded.replies import Start, deleted_members, error_of, refusal, send, with_encoded_keys, with_ids
from harness.embedded.supplements import Supplements
from harness.embedded.switches import Behaviours
from harness.embedded.trail import request_id
from harness.embedded.wire import S3_SERVICES, Request, identify, read_request, takes_xml

_LOG = logging.getLogger(__name__)
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FAILED_AUTHENTICATION = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken")
_PUBLIC_FORMS = ("CorsPreflight", "WebsiteGet", "WebsiteHead", "WebsitePost")
_NEED_OBJECT = (
    "PutObjectRetention",
    "PutObjectLegalHold",
    "GetObjectLegalHold",
    "PutObjectTagging",
    "DeleteObjectTagging",
)
NO_CONTEXT: Mapping[str, str] = {}
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NOT_SERVED = {
    "CreateSession": "directory buckets are not served here",
    "ListDirectoryBuckets": "directory buckets are not served here",
    "RenameObject": "directory buckets are not served here",
    "WriteGetObjectResponse": "Object Lambda is not served here",
    "GetObjectTorrent": "BitTorrent is not served here",
}


@dataclass(slots=True)
class _Handling:
    """One request on its way: what it turned out to be, and who sent it."""

    request: Request
    environ: dict[str, Any]
    operation: str | None = None
    principal: Principal = ANONYMOUS
    failed_authentication: bool = False
    access_point: str | None = None


class Guard:
    """The WSGI application of the embedded server.

    Args:
        moto: moto's WSGI application, which serves what the guard lets through.
        clock: The clock shared with the harness.
        seed: Makes ids and delays repeatable.
        switches: Which sides are taken where AWS's documents leave a choice.
    """

    def __init__(
        self, moto: Callable[..., Iterable[bytes]], clock: ScaledClock, seed: int, switches: Behaviours
    ) -> None:
        self.moto, self.clock, self.switches = moto, clock, switches
        self.asked_at, self.stop_asked = time.monotonic(), threading.Event()
        self.ids = random.Random(f"{seed}:ids")  # noqa: S311 - ids need to look right, not to be secret
        self.configurations = Configurations(state.object_exists, state.lock_of, clock.now)
        self.history = History(clock)
        self.delivery = LogDelivery(
            clock=clock,
            seed=seed,
            put_object=_put_log_object,
            trails=state.trails,
            switches=switches,
            history=self.history,
        )
        self.supplements = Supplements(self.history)

        self.lifecycle = Lifecycle(
            clock, state.backend, lambda action: self.delivery.observe_action(action, self._logging_of)
        )

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Serve one request (WSGI); whatever goes wrong, the answer is S3's XML with ids."""
        received_at, self.asked_at = self.clock.now(), time.monotonic()
        try:
            body = environ["wsgi.input"].read(_length(environ))
        except ValueError:
            body, environ["CONTENT_LENGTH"] = b"", "0"
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("wsgi.input_terminated", None)
        request = read_request(environ, body)
        if request.target.startswith("/_s3logjam/") and request.host.startswith("127.0.0.1:"):
            return self._own_page(request, start_response)
        identifier, host_id = request_id(self.ids), "".join(self.ids.choices(_BASE64, k=75)) + "="
        if request.service not in S3_SERVICES:
            refused = services.refusal_of(request, datetime.now(UTC))
            reply = refused or self.supplements.answer(request) or self._moto(environ)
            return send(start_response, reply, request, self._stamps(identifier, host_id))
        handling = self._resolve(request, environ)
        request = handling.request
        handling.operation = _form(request) or identify(request)
        before = self._logging_of(request.bucket)
        source = state.copy_source(handling.operation, request)
        size = state.object_size(request)
        reply = with_ids(self._serve(handling), identifier, host_id)
        request = handling.request
        code, message = error_of(reply, request, state.bucket_exists(request.bucket))
        exchange = Exchange(
            request=request,
            behaviour=behaviour_of(handling.operation, request, self.switches),
            principal=handling.principal,
            received_at=received_at,
            completed_at=self.clock.now(),
            status=reply.status,
            request_id=identifier,
            host_id=host_id,
            response_headers={k.lower(): v for k, v in reply.headers},
            region=state.region_of(request.bucket, request.region),
            response_bytes=0 if request.method == "HEAD" else len(reply.body),
            error_code=code,
            error_message=message,
            object_size=_first(state.object_size(request), size),
            copy_source=source,
            members=deleted_members(handling.operation, request, reply),
            failed_authentication=handling.failed_authentication,
            access_point=handling.access_point,
        )
        # The configuration before or after: PutBucketLogging's own record needs the one, DeleteBucket's the other.
        own = request.bucket
        self.delivery.observe(exchange, lambda name: self._logging_of(name) or (before if name == own else None))
        return send(start_response, reply, request, self._stamps(identifier, host_id))

    def _resolve(self, request: Request, environ: dict[str, Any]) -> _Handling:
        """Find the bucket behind an access point's host or alias."""
        name = request.bucket or ""
        for point in s3control_backends[ACCOUNT_ID]["aws"].access_points[ACCOUNT_ID].values():
            if (request.endpoint == "access-point" and name == f"{point.name}-{ACCOUNT_ID}") or name == point.alias:
                return _Handling(replace(request, bucket=point.bucket), environ, access_point=point.arn)
        return _Handling(request, environ)

    def _serve(self, handling: _Handling) -> Reply:
        try:
            self._authenticate(handling)
            if handling.operation == "BrowserPost":
                return self._browser_post(handling)
            if handling.operation is None:
                return self._unknown(handling.request)
            self._check_bucket(handling.operation, handling.request)
            self._authorize(handling)
            if handling.operation in _NOT_SERVED:
                raise RefusedError("NotImplemented", _NOT_SERVED[handling.operation], 501)
            return self._run(handling.operation, handling)
        except RefusedError as refused:
            return refusal(refused, handling.request)
        except Exception as error:
            _LOG.exception("a request could not be served")
            return refusal(RefusedError("InternalError", type(error).__name__, 500), handling.request)

    def _authenticate(self, handling: _Handling) -> None:
        """Find out who sent a request.

        Raises:
            RefusedError: Its signature is wrong, unknown or expired.
        """
        try:
            signature.check(handling.request, secret_of, datetime.now(UTC))
        except RefusedError:
            handling.failed_authentication = True
            raise
        handling.principal = principal_of(handling.request.access_key)

    def _check_bucket(self, operation: str, request: Request) -> None:
        """Refuse a request to a bucket that does not or cannot exist, whoever sends it; directory buckets aside.

        Raises:
            RefusedError: NoSuchBucket or InvalidBucketName.
        """
        if operation == "CreateBucket" and not _BUCKET_NAME.fullmatch(request.bucket or ""):
            raise RefusedError("InvalidBucketName", "The specified bucket is not valid.", 400)
        directory = operation in _NOT_SERVED or operation == "CreateBucket"
        if request.bucket and not directory and not state.bucket_exists(request.bucket):
            raise RefusedError("NoSuchBucket", "The specified bucket does not exist", 404)

    def _authorize(self, handling: _Handling) -> None:
        """Refuse what IAM and the bucket policy do not allow.

        Raises:
            RefusedError: AccessDenied.
        """
        request, operation, principal = handling.request, handling.operation or "", handling.principal
        if operation in _PUBLIC_FORMS:
            return
        if operation.startswith(permissions.CONTROL):
            needs = permissions.of_control(operation, request)
        else:
            needs = permissions.of_s3(operation, request, handling.access_point)
        if not all(self._allowed(principal, n.action, n.resource, request.bucket, n.context) for n in needs):
            raise RefusedError("AccessDenied", "Access Denied", 403)

    def _allowed(
        self, principal: Principal, action: str, arn: str, bucket: str | None, context: Mapping[str, str] = NO_CONTEXT
    ) -> bool:
        policy = state.policy_of(bucket)
        policies = identity_policies(principal)
        owner = ACCOUNT_ID if bucket else principal.account_id
        known = {"aws:SecureTransport": "true", "aws:ResourceAccount": owner, **context}
        if allowed(principal, action, arn, policies, policy, owner, known):
            return True
        # An object whose ACL lets everybody read.
        key = state.key(bucket, arn.partition("/")[2])
        return action == "s3:GetObject" and key is not None and bool(key.acl and key.acl.public_read)

    def _run(self, operation: str, handling: _Handling) -> Reply:
        """Do what an authorised request asks for."""
        request = handling.request
        _check_integrity(request)
        if request.body and takes_xml(operation):
            parse_body(request.body)
        self._check_state(operation, request)
        if operation == "CorsPreflight":
            return front.preflight(request, state.bucket_of(request))
        if operation.startswith("Website"):

            def may_read(name: str) -> bool:
                arn = f"arn:aws:s3:::{request.bucket}/{name}"
                return self._allowed(ANONYMOUS, "s3:GetObject", arn, request.bucket)

            reply, key = front.website(request, state.bucket_of(request), may_read)
            handling.request = replace(request, key=key)
            return reply
        reply = self.configurations.answer(operation, request) or self._moto(self._plain(handling))
        if operation.startswith("s3control:") and reply.status >= 400 and b"<html" in reply.body[:200].lower():
            raise RefusedError("NotImplemented", "This control operation is not served here", 501)
        if operation == "ListObjectVersions" and request.param("encoding-type") == "url":
            reply = with_encoded_keys(reply)
        if reply.status < 300:
            self._after(operation, request)
            if operation == "PutBucketPolicy":  # moto answers 200 with a body
                reply = Reply(204, b"", tuple(h for h in reply.headers if h[0].lower() != "content-type"))
        return reply

    def _check_state(self, operation: str, request: Request) -> None:
        """Refuse what moto would fail on, or do though it should not.

        Raises:
            RefusedError: As S3 refuses it.
        """
        if operation == "PutBucketPolicy" and not _is_policy(request.body):
            raise RefusedError("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'", 400)
        upload = request.param("uploadId")
        if upload is not None and upload not in state.bucket_of(request).multiparts:
            message = (
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted"
            )
            raise RefusedError("NoSuchUpload", message, 404)
        if operation in _NEED_OBJECT and not state.object_exists(request.bucket or "", request.key or ""):
            raise RefusedError("NoSuchKey", "The specified key does not exist.", 404)
        source, wanted = state.copy_source(operation, request), request.headers.get("x-amz-copy-source-if-match")
        if source and wanted:
            found = state.key(source[0], source[1])
            if found is not None and found.etag.strip('"') != wanted.strip('"'):
                message = "At least one of the pre-conditions you specified did not hold"
                raise RefusedError("PreconditionFailed", message, 412)

    def _plain(self, handling: _Handling) -> dict[str, Any]:
        """Return the environment that moto gets: authentication is done, an access point is its bucket.

        moto would answer an unsigned request with an empty 403, and takes an access point's host for a bucket's name.
        """
        environ = dict(handling.environ)
        scope = f"Credential={ACCESS_KEY_ID}/20260101/us-east-1/s3/aws4_request"
        if handling.request.endpoint != "control":
            environ["s3logjam.s3"] = True
            environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"
        if handling.access_point:
            path, _, query = handling.request.target.partition("?")
            alias, host = handling.request.bucket, "s3.us-east-1.amazonaws.com"
            if handling.request.host.split(":")[0] == host:
                path = "/" + path.lstrip("/").partition("/")[2]
            path = f"/{alias}{path}"
            environ["HTTP_HOST"] = host
            environ["RAW_URI"] = environ["REQUEST_URI"] = path + (f"?{query}" if query else "")
            environ["PATH_INFO"] = unquote(path, encoding="latin-1")
        return environ

    def _unknown(self, request: Request) -> Reply:
        """Refuse what is no operation: 405 for a method that S3 does not have there, 501 for all else."""
        if request.method not in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            message = "The specified method is not allowed against this resource."
            raise RefusedError("MethodNotAllowed", message, 405)
        raise RefusedError("NotImplemented", "A parameter you provided implies functionality that is unknown here", 501)

    def _browser_post(self, handling: _Handling) -> Reply:
        """Store what a browser's form posts, if its policy and its sender may."""
        request = handling.request
        bucket = request.bucket or ""
        fields, content = front.form_fields(request)
        key = fields.get("key", "")
        handling.request = request = replace(request, key=key or None)
        if not state.bucket_exists(bucket):
            raise RefusedError("NoSuchBucket", "The specified bucket does not exist", 404)
        try:
            access_key = front.check_form(fields, content, bucket, secret_of, datetime.now(UTC))
        except RefusedError as refused:
            handling.failed_authentication = refused.code in _FAILED_AUTHENTICATION
            raise
        handling.principal = principal_of(access_key)
        handling.request = request = replace(request, access_key=access_key)
        if not self._allowed(handling.principal, "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", bucket):
            raise RefusedError("AccessDenied", "Access Denied", 403)
        stored = state.backend().put_object(bucket, key, content or b"")
        stored.set_metadata({"Content-Type": fields.get("content-type", "binary/octet-stream")}, replace=True)
        status = {"200": 200, "201": 201}.get(fields.get("success_action_status", ""), 204)
        return Reply(status, b"", (("ETag", stored.etag),))

    def _after(self, operation: str, request: Request) -> None:
        """Keep what moto accepted but does not keep whole; forget what went with its bucket."""
        bucket = request.bucket or ""
        if operation == "PutBucketLogging":
            self.configurations.keep(bucket, "Logging", request.body)
        elif operation == "PutBucketNotificationConfiguration":
            self.configurations.keep(bucket, "Notification", request.body)
        elif operation == "DeleteBucket":
            self.configurations.forget(bucket)
        elif operation in ("PutObject", "DeleteObject", "CopyObject", "CompleteMultipartUpload"):
            self.configurations.forget_object(bucket, request.key or "")

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
        except ValueError as error:
            # A number, date or token that cannot be read is the client's mistake; moto lets the failure escape.
            inner = f"<Code>InvalidArgument</Code><Message>{escape(str(error))}</Message>"
            return Reply(400, f"<Error>{inner}</Error>".encode(), (("Content-Type", "application/xml"),))
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
            "lookups": self.history.counts,
            "stop": lambda: self.stop_asked.set() or "stopping",  # type: ignore[func-returns-value]
        }
        if name not in pages:
            return send(start_response, Reply(404, b"no such page\n"), request, ())
        body = json.dumps(pages[name]()).encode()
        return send(start_response, Reply(200, body, (("Content-Type", "application/json"),)), request, ())

    def _stamps(self, identifier: str, host_id: str) -> tuple[tuple[str, str], ...]:
        date = f"{self.clock.now():%a, %d %b %Y %H:%M:%S} GMT"
        return (("x-amz-request-id", identifier), ("x-amz-id-2", host_id), ("Date", date), ("Server", "AmazonS3"))

    def _logging_of(self, bucket: str | None) -> LoggingConfiguration | None:
        body = self.configurations.kept(bucket or "", "Logging")
        return LoggingConfiguration.from_xml(body) if body else None


def _form(request: Request) -> str | None:
    """Name a request form that botocore has no operation for, or return None."""
    if request.endpoint == "website":
        return {"GET": "WebsiteGet", "HEAD": "WebsiteHead"}.get(request.method, "WebsitePost")
    if request.method == "OPTIONS" and request.bucket:
        return "CorsPreflight"
    if request.method == "POST" and request.bucket and not request.key and not request.query:
        return "BrowserPost" if request.headers.get("content-type", "").startswith("multipart/form-data") else None
    return None


def _check_integrity(request: Request) -> None:
    """Refuse a body that is not what its digests say, or a bucket that is not whose the sender thinks.

    Raises:
        RefusedError: BadDigest, InvalidDigest or AccessDenied.
    """
    owner = request.headers.get("x-amz-expected-bucket-owner")
    if owner is not None and owner != ACCOUNT_ID:
        raise RefusedError("AccessDenied", "Access Denied", 403)
    payload = without_chunk_framing(request)
    digests: dict[str, Callable[[], bytes]] = {
        "content-md5": lambda: hashlib.md5(payload, usedforsecurity=False).digest(),
        "x-amz-checksum-crc32": lambda: zlib.crc32(payload).to_bytes(4, "big"),
    }
    for name, digest in digests.items():
        value = request.headers.get(name)
        if value is not None and value != base64.b64encode(digest()).decode():
            message = f"The {name.upper()} you specified did not match the calculated checksum."
            raise RefusedError("BadDigest", message, 400)


def _put_log_object(bucket: str, name: str, body: bytes, kind: str) -> datetime | None:
    """Write a log object, unless the bucket's policy shuts everybody out; None when it is not written."""
    if denies_everybody(state.policy_of(bucket) or {}, "s3:PutObject", arn_of("object", bucket, name)):
        return None
    return state.put_log_object(bucket, name, body, kind)


def _is_policy(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _length(environ: dict[str, Any]) -> int:
    """Bytes to read: all of a chunked body, which werkzeug terminates by itself."""
    return -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)


def _first(*values: int | None) -> int | None:
    return next((v for v in values if v is not None), None)
