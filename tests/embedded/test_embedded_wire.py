"""The server names an operation from the request alone; what botocore's model does not know has no name."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from embedded_kit import REGION, minimal_parameters
from hypothesis import example, given
from hypothesis import strategies as st

from harness import catalogue
from harness.embedded.wire import Request, identify, read_request

MODEL = botocore.session.get_session().get_service_model("s3")
STYLES = ("virtual", "path")
VIRTUAL_HOST = f"example-bucket.s3.{REGION}.amazonaws.com"
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
LATIN_1 = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60)


class CapturedError(Exception):
    """Carries a request out of botocore instead of sending it."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__("captured")
        self.request = request


@cache
def capturing_client(style: str) -> Any:
    session = boto3.Session("AKIAEXAMPLE", "secret", region_name=REGION)
    client = session.client("s3", config=Config(s3={"addressing_style": style}, ignore_configured_endpoint_urls=True))

    def capture(request: AWSPreparedRequest, **_kwargs: Any) -> None:
        raise CapturedError(request)

    client.meta.events.register("before-send", capture)
    return client


def received(operation: str, style: str, **parameters: Any) -> Request:
    """Return a call as the server receives it, serialised by botocore itself."""
    named = minimal_parameters(MODEL.operation_model(operation), **parameters) | parameters
    with pytest.raises(CapturedError) as caught:
        getattr(capturing_client(style), botocore.xform_name(operation))(**named)
    prepared = caught.value.request
    parts = urlsplit(prepared.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in prepared.headers.items()}
    return request_of(str(prepared.method), target, parts.netloc, **headers)


def request_of(method: str, target: str, host: str = VIRTUAL_HOST, **headers: str) -> Request:
    """Return a request as the WSGI server hands it on."""
    environ = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "PATH_INFO": unquote(target.partition("?")[0], "latin-1"),
        "REMOTE_ADDR": "127.0.0.1",
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()},
        "HTTP_HOST": host,
    }
    return read_request(environ, b"")


def expected_name(operation: str) -> str:
    """A deprecated operation of another's wire form is that other one: only its client knows the difference."""
    known = catalogue.operations()
    successors = [twin for twin in known[operation].twins if not known[twin].deprecated]
    return successors[0] if known[operation].deprecated and successors else operation


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_a_request_made_by_botocore_is_identified_as_its_operation(operation: str, style: str) -> None:
    assert identify(received(operation, style)) == expected_name(operation)


def test_only_deprecated_operations_are_identified_under_another_name() -> None:
    renamed = {name for name in MODEL.operation_names if expected_name(name) != name}
    assert renamed == {"GetBucketLifecycle", "PutBucketLifecycle", "GetBucketNotification", "PutBucketNotification"}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "key", ["plain", "folder/key", "a b+c%&=?#", "ünïcode-日本-𝄞", "line\nbreak", "trailing/", "//x"]
)
def test_bucket_and_key_are_read_as_the_client_meant_them(key: str, style: str) -> None:
    request = received("GetObject", style, Bucket="example-bucket", Key=key)
    assert (request.bucket, request.key) == ("example-bucket", key)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("ListObjectsV2", {"Prefix": "a/b", "Delimiter": "/", "StartAfter": "a", "MaxKeys": 5, "FetchOwner": True}),
        ("ListObjects", {"Prefix": "acl", "Marker": "policy", "EncodingType": "url"}),
        ("GetObject", {"VersionId": "null", "PartNumber": 1, "ResponseContentType": "text/plain"}),
        ("PutObject", {"Body": b"x", "Tagging": "a=b", "ACL": "private", "IfNoneMatch": "*"}),
        ("DeleteObject", {"VersionId": "v", "BypassGovernanceRetention": True}),
        ("ListBucketAnalyticsConfigurations", {"ContinuationToken": "t"}),
        ("GetBucketAnalyticsConfiguration", {"Id": "id"}),
        ("UploadPart", {"PartNumber": 2, "UploadId": "acl"}),
        ("ListObjectVersions", {"KeyMarker": "delete", "VersionIdMarker": "null"}),
        ("CreateBucket", {"BucketNamespace": "account-regional", "ObjectLockEnabledForBucket": True}),
    ],
)
def test_optional_parameters_do_not_change_the_operation(operation: str, parameters: dict[str, Any]) -> None:
    assert {identify(received(operation, style, **parameters)) for style in STYLES} == {operation}


@pytest.mark.parametrize("path", ["/", "/key"])
@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_subresource_is_no_operation(method: str, path: str) -> None:
    assert identify(request_of(method, f"{path}?futureThing")) is None


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_writing_request_with_an_unknown_parameter_is_no_operation(method: str) -> None:
    targets = ["/?futureThing=1", "/key?futureThing=1", "/?policy&futureThing", "/key?tagging&futureThing=1"]
    assert {identify(request_of(method, target)) for target in targets} == {None}


def test_a_read_with_an_unknown_parameter_that_has_a_value_is_the_plain_read() -> None:
    assert identify(request_of("GET", "/key?cache-buster=1")) == "GetObject"


def test_a_parameter_for_the_access_log_is_ignored() -> None:
    """AWS keeps query parameters that begin with ``x-`` for customers' own notes in the log."""
    assert identify(request_of("DELETE", "/key?x-reason=cleanup")) == "DeleteObject"


@given(
    st.sampled_from(METHODS),
    st.sampled_from(["/", "/key", "/folder/key"]),
    st.sampled_from(
        [VIRTUAL_HOST, f"s3.{REGION}.amazonaws.com", "127.0.0.1:80", "", "s3express-control.amazonaws.com"]
    ),
    LATIN_1,
)
def test_any_query_string_is_an_operation_of_the_model_or_none(method: str, path: str, host: str, query: str) -> None:
    assert identify(request_of(method, f"{path}?{query}", host)) in {None, *MODEL.operation_names}


@given(LATIN_1, st.dictionaries(st.sampled_from(["authorization", "x-amz-copy-source", "x-amz-date"]), LATIN_1))
def test_any_target_and_headers_can_be_read(target: str, headers: dict[str, str]) -> None:
    request = request_of("PUT", target, **headers)
    identify(request)
    assert request.method == "PUT"


@given(st.text(st.characters(max_codepoint=255), max_size=8))
@example("²")
def test_any_stated_payload_size_can_be_read(size: str) -> None:
    """The header is the client's, and some characters look like digits that are no numbers."""
    request = request_of("PUT", "/key", **{"x-amz-decoded-content-length": size})
    assert request.payload_bytes >= 0


def looks_unknown(name: str) -> bool:
    """Neither a note for the access log, nor a part of an old signature, nor DeleteObject's own parameter."""
    folded = name.casefold()
    return not folded.startswith("x-") and folded not in ("awsaccesskeyid", "signature", "expires", "versionid")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(looks_unknown)
SUBRESOURCES = st.sampled_from(["acl", "versions", "uploads", "delete", "response-future", "futureThing", "list-type"])


@given(
    st.sampled_from(["/", "/key"]),
    NAMES | SUBRESOURCES,
    st.lists(st.tuples(NAMES | st.sampled_from(["x-id", "x-amz-meta"]), st.sampled_from(["", "=", "=1"])), max_size=3),
    st.randoms(use_true_random=False),
)
def test_no_delete_of_a_subresource_deletes_the_bucket_or_object(
    path: str, name: str, others: list[tuple[str, str]], order: Any
) -> None:
    parts = [quote(name), *(quote(other) + value for other, value in others)]
    order.shuffle(parts)
    assert identify(request_of("DELETE", f"{path}?{'&'.join(parts)}")) not in ("DeleteBucket", "DeleteObject")
