"""ExpectedBucketOwner: every S3 call that can say whose bucket it means does, whoever makes it and for whatever."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from offline import ACCOUNT

from harness.channels import channels
from harness.environment.site import Site, expect_owner
from harness.environment.teardown import teardown
from harness.journal import Journal
from harness.planning.fake_aws import FakeAws, xml
from harness.testing import FakeClock

MODEL = botocore.session.Session().get_service_model("s3")
HEADER, SOURCE = "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"


@pytest.fixture
def owned(aws: FakeAws, journal: Journal, clock: FakeClock) -> Site:
    """A site whose session expects the owner, as a run's does."""
    session = aws.session()
    expect_owner(session, ACCOUNT)
    return Site(session, journal, clock, "0badcafe", ACCOUNT, "us-east-1")


def can_say(operation: str) -> bool:
    shape = MODEL.operation_model(operation).input_shape
    return shape is not None and "ExpectedBucketOwner" in shape.members


def headers(aws: FakeAws) -> list[tuple[str, Any]]:
    """Return (operation, expected owner) of every S3 request that can have one."""
    s3 = [(name, request) for name, request in aws.sent if ".s3" in request.url or "s3." in request.url]
    return [(name, _text(request.headers.get(HEADER))) for name, request in s3 if can_say(name)]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def test_set_up_polls_and_teardown_say_whose_buckets_they_mean(owned: Site, aws: FakeAws) -> None:
    every = [make() for make in channels().values()]
    for channel in every:
        channel.enable(owned)
    owned.make_bucket(owned.bucket)
    for channel in every:
        channel.watch(owned, owned.bucket)
        list(channel.poll(owned, owned.clock.now(), set()))
    aws.answers["ListObjectVersions"] = xml(
        "ListVersionsResult", "<Version><Key>a</Key><VersionId>v1</VersionId></Version>"
    )
    upload = "<Upload><Key>k</Key><UploadId>u</UploadId></Upload>"
    aws.answers["ListMultipartUploads"] = xml("ListMultipartUploadsResult", upload)
    assert teardown(owned) == []
    seen = headers(aws)
    assert {name for name, _ in seen} >= {
        "PutBucketLogging",
        "PutBucketPolicy",
        "PutBucketTagging",
        "PutBucketLifecycleConfiguration",
        "ListObjectsV2",
        "ListObjectVersions",
        "AbortMultipartUpload",
        "DeleteObjects",
        "DeleteBucket",
    }
    assert {owner for _, owner in seen} == {ACCOUNT}


def test_a_copy_says_whose_source_it_means_too(owned: Site, aws: FakeAws) -> None:
    owned.s3.copy_object(Bucket="b", Key="k", CopySource="b/source")
    (_, request) = aws.sent[-1]
    assert (_text(request.headers[HEADER]), _text(request.headers[SOURCE])) == (ACCOUNT, ACCOUNT)


def test_a_call_that_names_another_owner_itself_keeps_it(owned: Site, aws: FakeAws) -> None:
    owned.s3.head_bucket(Bucket="b", ExpectedBucketOwner="444455556666")
    assert headers(aws) == [("HeadBucket", "444455556666")]


def test_what_cannot_say_it_is_sent_as_it_is(owned: Site, aws: FakeAws) -> None:
    owned.s3.list_buckets()
    owned.s3.create_bucket(Bucket="b")
    assert not [request for _, request in aws.sent if HEADER in request.headers]


@pytest.mark.parametrize("operation", ["delete_bucket", "list_objects_v2", "get_bucket_policy"])
def test_directory_buckets_refuse_the_header_and_do_not_get_it(operation: str, owned: Site, aws: FakeAws) -> None:
    getattr(owned.s3, operation)(Bucket="s3lm-0badcafe-1--use1-az4--x-s3")
    requests = {name: request for name, request in aws.sent if name != "CreateSession"}
    assert requests
    for request in requests.values():
        assert "s3express" in request.url
        assert HEADER not in request.headers
