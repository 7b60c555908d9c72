"""What botocore signs is accepted, whatever the key; what was changed after signing is refused as S3 refuses it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import boto3
import botocore.session
import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from embedded_kit import REGION, minimal_parameters
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from harness.embedded.configurations import RefusedError
from harness.embedded.signature import MAX_EXPIRES_SECONDS, Secret, check, check_form_post
from harness.embedded.wire import Request, read_request

CORE = botocore.session.get_session()
MODEL = CORE.get_service_model("s3")
BUCKET = "example-bucket"
KEY, SESSION_KEY, ENDED_KEY = "AKIAEXAMPLE", "ASIAEXAMPLE", "ASIAENDED"
TOKEN = "token/with+signs=="
SECRETS = {
    KEY: Secret("secret/of+the=user", None, None),
    SESSION_KEY: Secret("secret-of-the-session", TOKEN, datetime.now(UTC) + timedelta(days=1)),
    ENDED_KEY: Secret("secret-of-the-session", TOKEN, datetime.now(UTC) - timedelta(seconds=1)),
    "AKIAIOSFODNN7EXAMPLE": Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None),
}
STYLES = ("virtual", "path")
KEYS = (
    "plain",
    "folder/a b+c%20d&e=f?g#h",
    "'single' \"double\" (brackets) [x] {y} !*~-_.",
    "line\nbreak\ttab",
    "ünï-日本-𝄞",
    "a//b/../c/./d/",
    "/leading",
    "%2F%2e",
)
KEY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


class CapturedError(Exception):
    """Carries a request out of botocore instead of sending it."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__("captured")
        self.request = request


def session_of(access_key: str) -> boto3.Session:
    secret = SECRETS.get(access_key, Secret("unknown", None, None))
    session = boto3.Session(access_key, secret.secret_access_key, secret.session_token, region_name=REGION)
    session._session.register_component("data_loader", CORE.get_component("data_loader"))  # loads a model once
    return session


@cache
def client(style: str = "virtual", access_key: str = KEY, scheme: str = "https", service: str = "s3") -> Any:
    config = Config(s3={"addressing_style": style}, signature_version="s3v4", ignore_configured_endpoint_urls=True)
    made = session_of(access_key).client(service, config=config, use_ssl=scheme == "https")

    def capture(request: AWSPreparedRequest, **_kwargs: Any) -> None:
        raise CapturedError(request)

    made.meta.events.register("before-send", capture)
    return made


def sent(caller: Any, operation: str, **parameters: Any) -> Request:
    """Return a call as the server receives it, serialised and signed by botocore."""
    with pytest.raises(CapturedError) as caught:
        getattr(caller, botocore.xform_name(operation))(**parameters)
    prepared = caught.value.request
    body = prepared.body if prepared.body is not None else b""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()
    return received(str(prepared.method), prepared.url, prepared.headers, raw)


def received(method: str, url: str, headers: Mapping[str, Any], body: bytes = b"") -> Request:
    """Return a request as the WSGI server hands it on."""
    parts = urlsplit(url)
    texts = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in headers.items()}
    environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in texts.items()}
    if "HTTP_CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return read_request(environ | {"REQUEST_METHOD": method, "RAW_URI": target, "HTTP_HOST": parts.netloc}, body)


def presigned(
    operation: str, seconds: int = 60, access_key: str = KEY, style: str = "virtual", **named: Any
) -> Request:
    """Return the request that a holder of a presigned URL makes."""
    method = MODEL.operation_model(operation).http["method"]
    parameters = {"Bucket": BUCKET, "Key": "folder/a b+c", **named}
    url = client(style, access_key).generate_presigned_url(botocore.xform_name(operation), parameters, seconds)
    return received(method, url, {})


def with_headers(request: Request, **headers: str | None) -> Request:
    """Return a request with headers replaced, or taken away where None; an underscore stands for a dash."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(request, headers={k: v for k, v in {**request.headers, **named}.items() if v is not None})


def with_target(request: Request, old: str, new: str) -> Request:
    """Return a request whose target has been changed on the way."""
    assert old in request.target
    return received(request.method, f"https://{request.host}{request.target.replace(old, new)}", request.headers)


def accept(request: Request, after: timedelta = timedelta(0)) -> None:
    check(request, SECRETS.get, datetime.now(UTC) + after)


def refusal(request: Request, after: timedelta = timedelta(0)) -> tuple[str, int]:
    """Return code and status that a request is refused with."""
    with pytest.raises(RefusedError) as caught:
        check(request, SECRETS.get, datetime.now(UTC) + after)
    return caught.value.code, caught.value.status


MISMATCH = ("SignatureDoesNotMatch", 403)
DENIED = ("AccessDenied", 403)
MALFORMED = ("AuthorizationHeaderMalformed", 400)
BAD_QUERY = ("AuthorizationQueryParametersError", 400)
UNSUPPORTED = ("InvalidRequest", 400)


# --- what botocore signs is accepted


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_operation_that_botocore_signs_is_accepted(operation: str, style: str) -> None:
    accept(sent(client(style), operation, **minimal_parameters(MODEL.operation_model(operation))))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("key", KEYS)
def test_any_kind_of_key_is_accepted(key: str, style: str) -> None:
    accept(sent(client(style), "PutObject", Bucket=BUCKET, Key=key, Body=b"x", Metadata={"a": "b  c"}))
    accept(sent(client(style), "GetObject", Bucket=BUCKET, Key=key))
    accept(presigned("GetObject", style=style, Key=key))


@settings(max_examples=60)
@given(KEY_TEXT, st.sampled_from(STYLES))
def test_any_key_is_accepted(key: str, style: str) -> None:
    accept(sent(client(style), "GetObject", Bucket=BUCKET, Key=key))
    accept(presigned("GetObject", style=style, Key=key))


@settings(max_examples=60)
@given(TEXT, TEXT)
@example("a b+c%20", "&x=y")
def test_any_query_parameter_is_accepted(prefix: str, delimiter: str) -> None:
    accept(sent(client(), "ListObjectsV2", Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter))
    accept(presigned("GetObject", ResponseContentDisposition=prefix, ResponseContentType=delimiter))


def test_a_plus_on_the_wire_is_the_space_that_was_signed() -> None:
    accept(with_target(sent(client(), "ListObjectsV2", Bucket=BUCKET, Prefix="a b"), "a%20b", "a+b"))


def test_an_upload_over_https_has_an_unsigned_payload_with_a_trailer() -> None:
    request = sent(client(), "PutObject", Bucket=BUCKET, Key="k", Body=BytesIO(b"content"))
    assert request.headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    accept(request)


def test_an_upload_over_http_has_a_signed_payload() -> None:
    request = sent(client(scheme="http"), "PutObject", Bucket=BUCKET, Key="k", Body=b"content")
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(b"content").hexdigest()
    accept(request)
    assert refusal(replace(request, body=b"Content")) == ("XAmzContentSHA256Mismatch", 400)


@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "HeadObject", "DeleteObject", "UploadPart"])
@pytest.mark.parametrize("access_key", [KEY, SESSION_KEY])
def test_a_presigned_url_is_accepted(operation: str, access_key: str) -> None:
    more = {"PartNumber": 1, "UploadId": "u"} if operation == "UploadPart" else {}
    request = presigned(operation, access_key=access_key, **more)
    accept(replace(request, body=b"whatever"))
    accept(with_headers(request, range="bytes=0-1", user_agent="added", x_amz_content_sha256="UNSIGNED-PAYLOAD"))


def test_a_presigned_url_with_signed_headers_needs_them() -> None:
    request = presigned("PutObject", Metadata={"a": "b"}, ContentType="text/plain", ServerSideEncryption="AES256")
    named = {"x_amz_meta_a": "b", "content_type": "text/plain", "x_amz_server_side_encryption": "AES256"}
    accept(with_headers(request, **named))
    assert refusal(request) == MISMATCH
    assert refusal(with_headers(request, **named | {"content_type": "text/html"})) == MISMATCH


def test_a_presigned_url_can_be_for_one_payload() -> None:
    headers = {"X-Amz-Content-SHA256": hashlib.sha256(b"content").hexdigest()}
    made = AWSRequest("PUT", f"https://{BUCKET}.s3.amazonaws.com/k", headers=headers)
    S3SigV4QueryAuth(Credentials(KEY, SECRETS[KEY].secret_access_key), "s3", REGION).add_auth(made)
    request = received("PUT", made.url, headers, b"content")
    accept(request)
    assert refusal(replace(request, body=b"Content")) == ("XAmzContentSHA256Mismatch", 400)
    assert refusal(with_headers(request, x_amz_content_sha256=None)) == MISMATCH


def test_a_presigned_url_may_have_no_path() -> None:
    request = received("GET", client().generate_presigned_url("list_buckets"), {})
    accept(request)
    accept(replace(request, target=request.target.removeprefix("/")))


def test_a_header_is_verified_as_the_bytes_that_were_sent() -> None:
    """Clients sign UTF-8; WSGI hands every byte on as one character."""
    request = sent(client(), "PutObject", Bucket=BUCKET, Key="k", Body=b"", ContentDisposition='inline; filename="é"')
    as_bytes = request.headers["content-disposition"].encode().decode("latin-1")
    accept(with_headers(request, content_disposition=as_bytes))
    assert refusal(request) == MISMATCH


def test_a_session_is_accepted_with_its_token() -> None:
    accept(sent(client(access_key=SESSION_KEY), "ListBuckets"))


def test_account_operations_are_accepted_too() -> None:
    accept(sent(client(service="s3control"), "GetPublicAccessBlock", AccountId="123456789012"))


def test_an_anonymous_request_passes() -> None:
    accept(received("GET", f"https://{BUCKET}.s3.amazonaws.com/key?acl", {}))


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        pytest.param(
            "/test.txt",
            {
                "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                "Range": "bytes=0-9",
                "x-amz-content-sha256": hashlib.sha256(b"").hexdigest(),
                "x-amz-date": "20130524T000000Z",
            },
            id="header",
        ),
        pytest.param(
            "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            {},
            id="query",
        ),
    ],
)
def test_the_examples_of_the_documentation_are_accepted(target: str, headers: dict[str, str]) -> None:
    """S3 API Reference, Authenticating Requests (AWS Signature Version 4): GET Object, and the presigned URL."""
    request = received("GET", f"https://examplebucket.s3.amazonaws.com{target}", headers)
    check(request, SECRETS.get, datetime(2013, 5, 24, tzinfo=UTC))


# --- what was changed is refused


def rich() -> Request:
    """A request with every kind of signed part."""
    return sent(
        client(access_key=SESSION_KEY),
        "CopyObject",
        Bucket=BUCKET,
        Key="a key",
        CopySource=f"{BUCKET}/source",
        Metadata={"colour": "blue"},
        ContentType="text/plain",
        MetadataDirective="REPLACE",
    )


def signed_headers() -> list[str]:
    return rich().headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")


@pytest.mark.parametrize("name", sorted({*signed_headers()} - {"x-amz-security-token", "x-amz-date"}))
def test_a_changed_header_is_refused(name: str) -> None:
    request = rich()
    assert name in request.headers
    assert refusal(with_headers(request, **{name: request.headers[name] + "x"})) == MISMATCH


def test_every_kind_of_header_has_been_changed() -> None:
    assert {"host", "content-type", "x-amz-content-sha256", "x-amz-copy-source", "x-amz-meta-colour"} < {
        *signed_headers()
    }


def later(request: Request) -> Request:
    """Return a request whose date has been moved on by a second."""
    at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ") - timedelta(seconds=1)
    return with_headers(request, x_amz_date=f"{at:%Y%m%dT%H%M%SZ}")


def authorized(old: str, new: str) -> Callable[[Request], Request]:
    def change(request: Request) -> Request:
        assert old in request.headers["authorization"]
        environ = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in request.headers.items()}
        environ["HTTP_AUTHORIZATION"] = request.headers["authorization"].replace(old, new)
        return read_request(environ | {"REQUEST_METHOD": request.method, "RAW_URI": request.target}, request.body)

    return change


def in_front(request: Request) -> Request:
    """Return a request whose first ``Credential=`` is the name of a signed header."""
    scheme, credential, headers, signature = request.headers["authorization"].replace(",", "").split(" ")
    headers = headers.replace("=", f"=Credential={KEY}/20260101/{REGION}/s3/aws4_request;")
    return authorized(request.headers["authorization"], f"{scheme} {headers}, {credential}, {signature}")(request)


CHANGED: Mapping[str, tuple[Callable[[Request], Request], tuple[str, int]]] = {
    "method": (lambda r: replace(r, method="POST"), MISMATCH),
    "path": (lambda r: with_target(r, "/a%20key", "/b%20key"), MISMATCH),
    "path encoding": (lambda r: with_target(r, "/a%20key", "/%61%20key"), MISMATCH),
    "query": (lambda r: with_target(r, "/a%20key", "/a%20key?acl"), MISMATCH),
    "host": (lambda r: with_headers(r, host="other-bucket.s3.amazonaws.com"), MISMATCH),
    "date": (later, MISMATCH),
    "header removed": (lambda r: with_headers(r, x_amz_meta_colour=None), MISMATCH),
    "header added": (lambda r: with_headers(r, x_amz_acl="public-read"), DENIED),
    "token": (lambda r: with_headers(r, x_amz_security_token="other"), ("InvalidToken", 400)),
    "token removed": (lambda r: with_headers(r, x_amz_security_token=None), ("InvalidToken", 400)),
    "signature": (authorized("Signature=", "Signature=0"), MISMATCH),
    "signature not ASCII": (authorized("Signature=", "Signature=é"), MISMATCH),
    "region": (authorized(f"/{REGION}/", "/eu-west-1/"), MISMATCH),
    "service": (authorized("/s3/", "/iam/"), MALFORMED),
    "other user": (authorized(SESSION_KEY, KEY), ("InvalidToken", 400)),
    "unknown key": (authorized(SESSION_KEY, "AKIAUNKNOWN"), ("InvalidAccessKeyId", 403)),
    "two credentials": (authorized("SignedHeaders=", f"Credential={KEY}/x, SignedHeaders="), MALFORMED),
    "credential of another user in front": (in_front, MALFORMED),
    "fewer signed headers": (authorized("SignedHeaders=content-type;host;", "SignedHeaders=host;"), MISMATCH),
    "host not signed": (authorized("host;", ""), DENIED),
    "no signature": (authorized(", Signature=", ", Sig="), MALFORMED),
    "no scope": (authorized("/aws4_request", ""), MALFORMED),
    "other scope": (authorized("/aws4_request", "/aws5_request"), MALFORMED),
    "scheme runs on": (authorized("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"), MALFORMED),
    "other scheme": (authorized("AWS4-HMAC-SHA256", "Bearer"), ("InvalidArgument", 400)),
    "asymmetric": (authorized("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), UNSUPPORTED),
    "version 2": (lambda r: with_headers(r, authorization=f"AWS {KEY}:c2lnbmF0dXJl"), UNSUPPORTED),
    "version 2 in the query": (
        lambda r: received("GET", f"https://h/k?AWSAccessKeyId={KEY}&Signature=x", {}),
        UNSUPPORTED,
    ),
    "empty": (lambda r: with_headers(r, authorization=""), ("InvalidArgument", 400)),
    "no date": (lambda r: with_headers(r, x_amz_date=None), DENIED),
    "date malformed": (lambda r: with_headers(r, x_amz_date="yesterday"), DENIED),
    "no hash": (lambda r: with_headers(r, x_amz_content_sha256=None), UNSUPPORTED),
    "two mechanisms": (lambda r: with_target(r, "/a%20key", "/k?X-Amz-Signature=x"), ("InvalidArgument", 400)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_request_is_refused(name: str) -> None:
    change, expected = CHANGED[name]
    accept(rich())
    assert refusal(change(rich())) == expected


def signed_with(payload_hash: str) -> Request:
    """Return a request with a made-up x-amz-content-sha256, signed by botocore's general signer."""
    request = AWSRequest("GET", f"https://{BUCKET}.s3.amazonaws.com/k", headers={"X-Amz-Content-SHA256": payload_hash})
    SigV4Auth(Credentials(KEY, SECRETS[KEY].secret_access_key), "s3", REGION).add_auth(request)
    return received("GET", request.url, request.headers)


def test_a_payload_hash_is_one_of_the_documented_values() -> None:
    accept(signed_with("UNSIGNED-PAYLOAD"))
    accept(signed_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"))
    accept(signed_with(hashlib.sha256(b"").hexdigest()))
    assert refusal(signed_with("something")) == ("InvalidArgument", 400)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(14.5, None), (-14.9, None), (15.1, "RequestTimeTooSkewed"), (-15.5, "RequestTimeTooSkewed")],
)
def test_a_clock_may_be_a_quarter_of_an_hour_off(minutes: float, expected: str | None) -> None:
    request = sent(client(), "ListBuckets")
    if expected:
        assert refusal(request, timedelta(minutes=minutes)) == (expected, 403)
    else:
        accept(request, timedelta(minutes=minutes))


def test_an_ended_session_is_refused() -> None:
    assert refusal(sent(client(access_key=ENDED_KEY), "ListBuckets")) == ("ExpiredToken", 400)
    assert refusal(presigned("GetObject", access_key=ENDED_KEY)) == ("ExpiredToken", 400)


def test_an_unknown_key_is_refused() -> None:
    assert refusal(sent(client(access_key="AKIAUNKNOWN"), "ListBuckets")) == ("InvalidAccessKeyId", 403)
    assert refusal(presigned("GetObject", access_key="AKIAUNKNOWN")) == ("InvalidAccessKeyId", 403)


def test_a_wrong_secret_is_refused() -> None:
    request, url = sent(client(), "ListBuckets"), presigned("GetObject")
    for each in (request, url):
        with pytest.raises(RefusedError, match="does not match the signature you provided"):
            check(each, lambda _key: Secret("wrong", None, None), datetime.now(UTC))


CHANGED_URL: Mapping[str, tuple[Callable[[Request], Request], tuple[str, int]]] = {
    "method": (lambda r: replace(r, method="DELETE"), MISMATCH),
    "key": (lambda r: with_target(r, "/folder/", "/Folder/"), MISMATCH),
    "parameter added": (lambda r: with_target(r, "?", "?versionId=v&"), MISMATCH),
    "parameter changed": (lambda r: with_target(r, "no-cache", "cache"), MISMATCH),
    "host": (lambda r: with_headers(r, host="other-bucket.s3.amazonaws.com"), MISMATCH),
    "copy source added": (lambda r: with_headers(r, x_amz_copy_source="other/secret"), DENIED),
    "signature": (lambda r: with_target(r, "X-Amz-Signature=", "X-Amz-Signature=0"), MISMATCH),
    "lifetime": (lambda r: with_target(r, "X-Amz-Expires=60", "X-Amz-Expires=61"), MISMATCH),
    "lifetime too long": (lambda r: with_target(r, "Expires=60", f"Expires={MAX_EXPIRES_SECONDS + 1}"), BAD_QUERY),
    "lifetime negative": (lambda r: with_target(r, "Expires=60", "Expires=-1"), BAD_QUERY),
    "lifetime no number": (lambda r: with_target(r, "Expires=60", "Expires=%C2%B2"), BAD_QUERY),
    "lifetime endless": (lambda r: with_target(r, "Expires=60", f"Expires={'9' * 5000}"), BAD_QUERY),
    "algorithm": (lambda r: with_target(r, "AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"), BAD_QUERY),
    "credential": (lambda r: with_target(r, "%2Faws4_request", ""), BAD_QUERY),
    "credential twice": (lambda r: with_target(r, "?", f"?X-Amz-Credential={KEY}&"), BAD_QUERY),
    "no signed headers": (lambda r: with_target(r, "X-Amz-SignedHeaders=", "x="), BAD_QUERY),
    "host not signed": (lambda r: with_target(r, "SignedHeaders=host", "SignedHeaders=range"), DENIED),
    "date": (lambda r: with_target(r, "X-Amz-Date=", "X-Amz-Date=x"), BAD_QUERY),
    "other day": (lambda r: with_target(r, f"{KEY}%2F2", f"{KEY}%2F3"), BAD_QUERY),
    "token": (lambda r: with_target(r, "?", "?X-Amz-Security-Token=x&"), ("InvalidToken", 400)),
    "version 2 too": (lambda r: with_target(r, "?", "?AWSAccessKeyId=x&"), UNSUPPORTED),
}


@pytest.mark.parametrize("name", CHANGED_URL)
def test_a_changed_presigned_url_is_refused(name: str) -> None:
    change, expected = CHANGED_URL[name]
    request = presigned("GetObject", ResponseCacheControl="no-cache")
    accept(request)
    assert refusal(change(request)) == expected


def test_a_presigned_url_ends() -> None:
    request = presigned("GetObject", seconds=600)
    accept(request, timedelta(seconds=500))
    with pytest.raises(RefusedError, match="Request has expired") as caught:
        accept(request, timedelta(seconds=602))
    assert (caught.value.code, caught.value.status) == DENIED
    accept(presigned("GetObject", seconds=MAX_EXPIRES_SECONDS), timedelta(days=6, hours=23))


def test_a_presigned_url_of_the_future_is_refused() -> None:
    accept(presigned("GetObject"), timedelta(minutes=-14))
    assert refusal(presigned("GetObject"), timedelta(minutes=-16)) == DENIED


def test_a_presigned_url_of_a_session_needs_its_token() -> None:
    request = presigned("GetObject", access_key=SESSION_KEY)
    named = quote(TOKEN, safe="")
    assert refusal(with_target(request, named, "other")) == ("InvalidToken", 400)
    assert refusal(with_target(request, f"&X-Amz-Security-Token={named}", "")) == ("InvalidToken", 400)
    assert refusal(with_target(request, "?", f"?X-Amz-Security-Token={named}&")) == BAD_QUERY


SOME = st.text(st.characters(max_codepoint=255), max_size=30)
PIECES = st.sampled_from(
    [
        "AWS4-HMAC-SHA256 ",
        "Credential=",
        f"{KEY}/20260101/r/s3/aws4_request",
        ",",
        "SignedHeaders=",
        "host",
        "Signature=",
    ]
)


@given(st.lists(PIECES | SOME, max_size=10).map("".join), SOME, SOME)
def test_any_authorization_passes_or_is_refused(authorization: str, date: str, target: str) -> None:
    headers = {"Authorization": authorization, "x-amz-date": date, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    environ = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers.items()}
    request = read_request(environ | {"RAW_URI": f"/{target}"}, b"")
    assert refusal(request)[1] in (400, 403)


@given(st.dictionaries(st.sampled_from(["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"]), SOME))
def test_any_presigned_url_is_refused(changes: dict[str, str]) -> None:
    good = {"Algorithm": "AWS4-HMAC-SHA256", "Credential": f"{KEY}/20260101/r/s3/aws4_request", "Signature": "0"}
    good |= {"Date": "20260101T000000Z", "Expires": "60", "SignedHeaders": "host"}
    query = "&".join(f"X-Amz-{name}={quote(value)}" for name, value in (good | changes).items())
    request = received("GET", f"https://{BUCKET}.s3.amazonaws.com/k?{query}", {})
    with pytest.raises(RefusedError):
        check(request, SECRETS.get, datetime(2026, 1, 1, tzinfo=UTC))


# --- over a socket


class _Handler(MotoRequestHandler):
    def make_environ(self) -> dict[str, Any]:
        """Undo what http.server does to a target that begins with two slashes, as a key with a leading one has it."""
        environ: dict[str, Any] = super().make_environ()
        environ["RAW_URI"] = self.requestline.split()[1]
        return environ

    def log(self, type: str, message: str, *args: object) -> None:
        pass


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read(-1 if environ.get("wsgi.input_terminated") else int(environ["CONTENT_LENGTH"]))
    try:
        check(read_request(environ, body), SECRETS.get, datetime.now(UTC))
    except RefusedError as refused:
        text = f"<Error><Code>{refused.code}</Code><Message>{refused.message}</Message></Error>".encode()
        start_response(f"{refused.status} no", [("Content-Length", str(len(text)))])
        return [text]
    start_response("200 OK", [("Content-Length", "4")])
    return [b"<a/>"]


@contextmanager
def served() -> Iterator[int]:
    server = make_server(
        "127.0.0.1", 0, lambda e, s: application({"CONTENT_LENGTH": "0", **e}, s), request_handler=_Handler
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("style", STYLES)
def test_a_request_is_accepted_over_a_socket(style: str) -> None:
    """What werkzeug makes of a request is what ``check`` reads: chunks, spaces, underscores, slashes."""
    with served() as port:

        def reroute(request: AWSPreparedRequest, **_kwargs: Any) -> None:
            parts = urlsplit(request.url)
            request.headers["Host"] = parts.netloc
            request.headers["User-Agent"] = "changed after signing"
            request.url = urlunsplit(("http", f"127.0.0.1:{port}", parts.path or "/", parts.query, ""))

        config = Config(s3={"addressing_style": style}, proxies={}, ignore_configured_endpoint_urls=True)
        s3 = session_of(SESSION_KEY).client("s3", config=config)
        s3.meta.events.register_last("before-send", reroute)
        for key in KEYS:
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * 70_000, Metadata={"under_score": "a  b", "c": ""})
            s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=0-1")
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "ü"}]})
        s3.list_objects_v2(Bucket=BUCKET, Prefix="a b+ü/")
        other = session_of("AKIAUNKNOWN").client("s3", config=config)
        other.meta.events.register_last("before-send", reroute)
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            other.list_buckets()


# --- form posts


def form(access_key: str = KEY, key: str = "folder/${filename}", seconds: int = 60, **more: Any) -> dict[str, str]:
    """Return the fields of a form as botocore presigns it."""
    made = client(access_key=access_key).generate_presigned_post(BUCKET, key, ExpiresIn=seconds, **more)
    return {name.lower(): str(value) for name, value in made["fields"].items()}


def post(fields: Mapping[str, str], *, bytes_: int = 10, after: float = 0, bucket: str = BUCKET) -> str | None:
    return check_form_post(fields, SECRETS.get, datetime.now(UTC) + timedelta(seconds=after), bucket, bytes_)


def post_refusal(fields: Mapping[str, str], **how: Any) -> tuple[str, int, str]:
    with pytest.raises(RefusedError) as caught:
        post(fields, **how)
    return caught.value.code, caught.value.status, caught.value.message


def signed_form(policy: object, **fields: str) -> dict[str, str]:
    """Return a form with any policy at all, signed here by hand: botocore makes only good ones."""
    day = f"{datetime.now(UTC):%Y%m%d}"
    text = policy if isinstance(policy, str) else base64.b64encode(json.dumps(policy).encode()).decode()
    signing = f"AWS4{SECRETS[KEY].secret_access_key}".encode()
    for part in (day, REGION, "s3", "aws4_request", text):
        signing = hmac.digest(signing, part.encode(), "sha256")
    return {
        "policy": text,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{KEY}/{day}/{REGION}/s3/aws4_request",
        "x-amz-date": f"{day}T000000Z",
        "x-amz-signature": signing.hex(),
        "key": "folder/name",
        **fields,
    }


OF_THE_SIGNATURE = [["starts-with", f"$x-amz-{name}", ""] for name in ("algorithm", "credential", "date")]
USUAL = [{"bucket": BUCKET}, ["starts-with", "$key", "folder/"], *OF_THE_SIGNATURE]


def policy_of(*conditions: object, usual: bool = True) -> dict[str, Any]:
    end = datetime.now(UTC) + timedelta(hours=1)
    return {"expiration": f"{end:%Y-%m-%dT%H:%M:%S.000Z}", "conditions": [*(USUAL if usual else []), *conditions]}


@pytest.mark.parametrize("access_key", [KEY, SESSION_KEY])
def test_a_form_that_botocore_presigned_is_accepted(access_key: str) -> None:
    fields = form(
        access_key, Fields={"acl": "private"}, Conditions=[{"acl": "private"}, ["content-length-range", 1, 10]]
    )
    assert post(fields) == access_key
    assert post({**fields, "key": "folder/picture.jpg", "file": "x", "x-ignore-me": "x"}) == access_key


def test_a_form_without_a_policy_is_anonymous() -> None:
    assert post({"key": "k", "content-type": "text/plain"}) is None


def test_a_form_of_a_session_needs_its_token() -> None:
    fields = form(SESSION_KEY)
    assert post_refusal({**fields, "x-amz-security-token": "other"})[:2] == ("InvalidToken", 400)
    del fields["x-amz-security-token"]
    assert post_refusal(fields)[:2] == ("InvalidToken", 400)
    assert post_refusal(form(ENDED_KEY))[:2] == ("ExpiredToken", 400)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x-amz-signature", "0" * 64, MISMATCH),
        ("x-amz-signature", "é", MISMATCH),
        ("policy", base64.b64encode(b"{}").decode(), MISMATCH),
        ("policy", "", MISMATCH),
        (
            "x-amz-credential",
            f"AKIAUNKNOWN/DAY/{REGION}/s3/aws4_request",
            ("InvalidAccessKeyId", 403),
        ),
        ("x-amz-credential", f"{KEY}/DAY/eu-west-1/s3/aws4_request", MISMATCH),
        ("x-amz-credential", KEY, BAD_QUERY),
        ("x-amz-date", "20200101T000000Z", BAD_QUERY),
        ("x-amz-algorithm", "AWS4-HMAC-MD5", UNSUPPORTED),
        ("awsaccesskeyid", KEY, UNSUPPORTED),
        ("key", "other/name", DENIED),
        ("x-amz-meta-extra", "x", DENIED),
    ],
)
def test_a_changed_form_is_refused(name: str, value: str, expected: tuple[str, int]) -> None:
    fields = form()
    changed = value.replace("DAY", fields["x-amz-date"][:8])
    assert post_refusal({**fields, name: changed})[:2] == expected


@pytest.mark.parametrize("name", ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"])
def test_an_incomplete_form_is_refused(name: str) -> None:
    code, status, message = post_refusal({k: v for k, v in form().items() if k != name})
    assert (code, status, name in message) == ("InvalidArgument", 400, True)


def test_a_policy_without_a_signature_is_refused() -> None:
    assert post_refusal({"key": "k", "policy": form()["policy"]})[:2] == DENIED


def test_a_form_ends_with_its_policy() -> None:
    assert post(form(seconds=600), after=500) == KEY
    assert post_refusal(form(seconds=600), after=602) == (*DENIED, "Invalid according to Policy: Policy expired.")


def test_a_form_is_for_one_bucket() -> None:
    failed = f'Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "{BUCKET}"]'
    assert post_refusal({**form(), "bucket": BUCKET}, bucket="other-bucket") == (*DENIED, failed)


@pytest.mark.parametrize(
    ("condition", "fields", "expected"),
    [
        ({"acl": "private"}, {"acl": "private"}, None),
        ({"ACL": "private"}, {"acl": "private"}, None),
        (["eq", "$Content-Type", "image/png"], {"content-type": "image/png"}, None),
        (["starts-with", "$Content-Type", "image/"], {"content-type": "image/png"}, None),
        (["starts-with", "$x-amz-meta-tag", ""], {"x-amz-meta-tag": "anything"}, None),
        (["content-length-range", 0, 10], {}, None),
        (["content-length-range", "10", "10"], {}, None),
        ({"acl": "private"}, {"acl": "public-read"}, 'Condition failed: ["eq", "$acl", "private"]'),
        ({"acl": "private"}, {}, 'Condition failed: ["eq", "$acl", "private"]'),
        (["eq", "$key", "folder/"], {}, 'Condition failed: ["eq", "$key", "folder/"]'),
        (["starts-with", "$key", "other/"], {}, 'Condition failed: ["starts-with", "$key", "other/"]'),
        (["starts-with", "$filename", ""], {}, 'Condition failed: ["starts-with", "$filename", ""]'),
        (["content-length-range", 0, 9], {}, "exceeds the maximum allowed size"),
        (["content-length-range", 11, 20], {}, "smaller than the minimum allowed size"),
        (["content-length-range", 0, 10], {"acl": "x", "tagging": "y"}, "Extra input fields: acl, tagging"),
    ],
)
def test_a_form_is_held_against_its_policy(condition: object, fields: dict[str, str], expected: str | None) -> None:
    made = signed_form(policy_of(condition), **fields)
    if expected is None:
        assert post(made) == KEY
    else:
        assert expected in post_refusal(made)[2]


@pytest.mark.parametrize(("bounds", "code"), [((0, 9), "EntityTooLarge"), ((11, 20), "EntityTooSmall")])
def test_a_file_of_a_wrong_size_is_refused(bounds: tuple[int, int], code: str) -> None:
    assert post_refusal(signed_form(policy_of(["content-length-range", *bounds])))[:2] == (code, 400)


def test_the_bucket_needs_a_condition() -> None:
    made = signed_form(policy_of(*USUAL[1:], usual=False))
    assert post_refusal(made)[2] == "Invalid according to Policy: Extra input fields: bucket"


@pytest.mark.parametrize(
    "policy",
    [
        "%%%",
        base64.b64encode(b"not json").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(b"\xff\xfe").decode(),
        [],
        {},
        {"expiration": "2099-01-01T00:00:00Z"},
        {"conditions": []},
        {"EXPIRATION": "2099-01-01T00:00:00Z", "conditions": []},
        {"expiration": "tomorrow", "conditions": []},
        {"expiration": 4070908800, "conditions": []},
        {"expiration": "2099-01-01T00:00:00", "conditions": []},
        policy_of({"acl": "private", "key": "k"}),
        policy_of({"acl": 1}),
        policy_of({}),
        policy_of(["StArTs-WiTh", "$key", ""]),
        policy_of(["eq", "key", "k"]),
        policy_of(["eq", "$key"]),
        policy_of(["content-length-range", "a", 1]),
        policy_of(["content-length-range", 1]),
        policy_of("text"),
        policy_of(None),
    ],
)
def test_a_malformed_policy_is_refused(policy: object) -> None:
    assert post_refusal(signed_form(policy))[:2] == ("InvalidPolicyDocument", 400)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["eq", "$key", "starts-with"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_condition_is_evaluated_or_refused(condition: Any) -> None:
    try:
        assert post(signed_form(policy_of(condition))) == KEY
    except RefusedError as refused:
        assert refused.status in (400, 403)
