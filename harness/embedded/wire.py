"""What came over the wire, and which S3 operation it is: from botocore's own model, never from a list of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session

_BUCKET_HOST = re.compile(
    r"^(?P<bucket>.+?)\.s3(?:express|-object-lambda)?(?:[.-](?!control)[a-z0-9-]+)*\.amazonaws\.com(?::\d+)?$"
)
S3_SERVICES = ("s3", "s3express", "s3-object-lambda", "s3control")
_SCOPE = re.compile(r"Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_CONTROL_HOST = re.compile(r"(^|\.)s3-control[.-]")
_SDK_QUERY = re.compile(r"^(x-|awsaccesskeyid$|signature$|expires$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request as it was received.

    Attributes:
        target: The request target in its wire encoding, e.g. ``/k%20ey?acl``.
        bucket, key: Decoded; None where the request names none.
        query: Decoded pairs in their order; a valueless key has ``""``.
        headers: Lower-case names.
        service: The signing scope's service, ``s3`` for unsigned requests.
        endpoint: ``rest``, ``website``, ``access-point`` or ``control``.
    """

    method: str
    target: str
    host: str
    headers: Mapping[str, str]
    body: bytes
    remote_ip: str
    service: str
    region: str
    access_key: str | None
    query_authentication: bool
    bucket: str | None = None
    key: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    endpoint: str = "rest"

    def param(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def payload_bytes(self) -> int:
        """Size of the body in bytes, without the framing of ``aws-chunked``."""
        decoded = self.headers.get("x-amz-decoded-content-length", "")
        return int(decoded) if decoded.isdecimal() else len(self.body)


def read_request(environ: Mapping[str, Any], body: bytes) -> Request:
    """Build a ``Request`` from a WSGI environment.

    ``RAW_URI`` and not ``PATH_INFO`` is read, because PEP 3333 makes mojibake of the latter's non-ASCII keys.
    """
    headers = {k[5:].replace("_", "-").lower(): str(v) for k, v in environ.items() if k.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = str(environ[name])
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/"))
    target = re.sub(r"^https?://[^/]*", "", target) or "/"
    raw_path, _, raw_query = target.partition("?")
    query = tuple(parse_qsl(raw_query, keep_blank_values=True))
    host = headers.get("host", "")
    params = dict(query)
    access_key, region, service = _sender(headers.get("authorization", ""), params)
    by_query = "X-Amz-Credential" in params or "AWSAccessKeyId" in params
    named = _BUCKET_HOST.match(host)
    if named and service not in S3_SERVICES:
        # The host decides: a scope of another service must not lead around S3's authentication.
        service = "s3"
    if _CONTROL_HOST.search(host):
        service = "s3control"
    path = unquote(raw_path, errors="surrogateescape").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    bucket: str | None
    key: str | None
    endpoint = "rest"
    if service == "s3control":
        endpoint = "control"
    elif named:
        after = host[len(named["bucket"]) :]
        endpoint = "website" if after.startswith(".s3-website") else endpoint
        endpoint = "access-point" if after.startswith(".s3-accesspoint") else endpoint
    if endpoint == "control":
        bucket, key = None, None
    elif named:
        bucket, key = named["bucket"], path[1:] or None
    else:
        bucket, _, rest = path.lstrip("/").partition("/")
        bucket, key = bucket or None, rest or None
    return Request(
        method=str(environ.get("REQUEST_METHOD", "GET")),
        target=target,
        host=host,
        headers=headers,
        body=body,
        remote_ip=str(environ.get("REMOTE_ADDR", "127.0.0.1")),
        service=service,
        region=region,
        access_key=access_key,
        query_authentication=by_query,
        bucket=bucket,
        key=key,
        query=query,
        endpoint=endpoint,
    )


def _sender(authorization: str, params: Mapping[str, str]) -> tuple[str | None, str, str]:
    """Return access key, region and service that a request names; S3 in us-east-1 for an unsigned one."""
    scope = _SCOPE.search(authorization)
    if scope:
        return scope["key"], scope["region"], scope["service"]
    if "X-Amz-Credential" in params:
        # A query names no other service than S3: who sends one is held to S3's rules (signature.check sees the rest).
        return params["X-Amz-Credential"].split("/")[0], "us-east-1", "s3"
    old = authorization[4:].split(":", maxsplit=1)[0] if authorization.startswith("AWS ") else None
    return params.get("AWSAccessKeyId", old), "us-east-1", "s3"


@dataclass(frozen=True, slots=True)
class _Form:
    operation: str
    method: str
    level: int
    fixed: Mapping[str, str]
    query: frozenset[str]
    headers: frozenset[str]
    optional_query: frozenset[str] = field(default_factory=frozenset)

    def fits(self, request: Request, params: Mapping[str, str]) -> bool:
        return (
            all(k in params and (not v or params[k] == v) for k, v in self.fixed.items())
            and self.query <= params.keys()
            and self.headers <= request.headers.keys()
        )

    def leaves_over(self, params: Iterable[str]) -> set[str]:
        return {p for p in params if p not in self.fixed and p not in self.optional_query and not _SDK_QUERY.match(p)}


@cache
def takes_xml(operation: str) -> bool:
    """Tell whether botocore's model sends an operation's body as an XML document."""
    model = botocore.session.get_session().get_service_model("s3")
    shape = model.operation_model(operation).input_shape if operation in model.operation_names else None
    payload = shape.serialization.get("payload") if shape else None
    return shape is not None and payload is not None and shape.members[payload].type_name == "structure"


@cache
def _forms() -> tuple[_Form, ...]:
    """Every operation's wire form, the most specific first; a deprecated twin comes after its successor."""
    model = botocore.session.get_session().get_service_model("s3")
    forms = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _, fixed = operation.http["requestUri"].partition("?")
        required: dict[str, set[str]] = {"querystring": set(), "header": set()}
        optional = set()
        shape_of = operation.input_shape
        members = shape_of.members if shape_of else {}
        needed = shape_of.required_members if shape_of else []
        for member, shape in members.items():
            location = shape.serialization.get("location")
            if location == "querystring":
                optional.add(shape.serialization["name"])
            if location in required and member in needed:
                required[location].add(shape.serialization["name"])
        forms.append(
            _Form(
                operation=name,
                method=operation.http["method"],
                level=0 if path == "/" else 2 if "{Key+}" in path else 1,
                fixed=dict(parse_qsl(fixed, keep_blank_values=True)),
                query=frozenset(required["querystring"]),
                headers=frozenset(h.lower() for h in required["header"]),
                optional_query=frozenset(optional),
            )
        )
    forms = [f for f in forms if f.operation not in ("WriteGetObjectResponse", "ListDirectoryBuckets")]
    deprecated = {n for n in model.operation_names if model.operation_model(n).deprecated}
    return tuple(
        sorted(
            forms, key=lambda f: (-len(f.fixed) - len(f.query) - len(f.headers), f.operation in deprecated, f.operation)
        )
    )


def identify(request: Request) -> str | None:
    """Name the S3 operation of a request.

    Returns:
        botocore's operation name, or None for what its model does not know: the caller answers 501, because moto would
        run the base operation instead (DELETE ?unknown deletes the bucket).
    """
    if request.endpoint == "control":
        return _control_operation(request)
    if request.host.startswith("s3express-control."):
        return "ListDirectoryBuckets" if request.bucket is None and request.method == "GET" else None
    if request.headers.get("x-amz-request-route"):
        return "WriteGetObjectResponse"
    level = 0 if request.bucket is None else 1 if request.key is None else 2
    params = dict(request.query)
    for form in _forms():
        if form.method == request.method and form.level == level and form.fits(request, params):
            left = form.leaves_over(params)
            harmless = request.method in ("GET", "HEAD") and all(params[name] for name in left)
            return form.operation if not left or harmless else None
    return None


@cache
def _control_forms() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Method, path pattern and name of every s3control operation, the longest path first."""
    model = botocore.session.get_session().get_service_model("s3control")
    forms = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = http["requestUri"].partition("?")[0]
        pattern = re.sub(r"\\\{\w+(\\\+)?\\\}", lambda m: ".+" if m[1] else "[^/]+", re.escape(path))
        forms.append((http["method"], name, re.compile(f"{pattern}/?")))
    return tuple(sorted(forms, key=lambda form: -len(form[2].pattern)))


def _control_operation(request: Request) -> str | None:
    path = request.target.partition("?")[0]
    found = next((n for method, n, form in _control_forms() if method == request.method and form.fullmatch(path)), None)
    return f"s3control:{found}" if found else None
