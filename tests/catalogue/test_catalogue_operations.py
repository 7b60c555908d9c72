"""The denominator of the matrix is botocore's own model, read rather than written down."""

from __future__ import annotations

import warnings

import botocore.session
import pytest

from harness import catalogue
from harness.model import Level

MODEL = botocore.session.get_session().get_service_model("s3")


def test_every_operation_of_botocores_model_is_listed_in_its_order_and_no_other() -> None:
    assert list(catalogue.operations()) == list(MODEL.operation_names)
    assert all(operation.name == name for name, operation in catalogue.operations().items())


def test_the_locked_botocore_has_116_operations() -> None:
    if catalogue.botocore_version() == catalogue.LOCKED_BOTOCORE:
        assert len(catalogue.operations()) == 116
    else:
        warnings.warn(f"botocore {catalogue.botocore_version()} is not the locked one", stacklevel=1)
        assert len(catalogue.operations()) >= 116


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("ListBuckets", Level.SERVICE),
        ("ListDirectoryBuckets", Level.SERVICE),
        ("CreateBucket", Level.BUCKET),
        ("CreateSession", Level.BUCKET),
        ("ListMultipartUploads", Level.BUCKET),
        ("DeleteObjects", Level.BUCKET),
        ("PutObject", Level.OBJECT),
        ("AbortMultipartUpload", Level.OBJECT),
        ("GetObjectTorrent", Level.OBJECT),
        ("WriteGetObjectResponse", Level.OBJECT),
    ],
)
def test_the_level_says_what_an_operation_acts_on(name: str, level: Level) -> None:
    assert catalogue.operations()[name].level is level


@pytest.mark.parametrize("name", list(MODEL.operation_names))
def test_levels_agree_with_what_the_model_takes_as_parameters(name: str) -> None:
    shape = MODEL.operation_model(name).input_shape
    members = shape.members if shape else {}
    in_uri = {n for n, member in members.items() if member.serialization.get("location") == "uri"}
    if name == "WriteGetObjectResponse":
        expected = Level.OBJECT
    else:
        expected = Level.OBJECT if "Key" in in_uri else Level.BUCKET if "Bucket" in in_uri else Level.SERVICE
    assert catalogue.operations()[name].level is expected


@pytest.mark.parametrize(
    ("name", "subresource"),
    [
        ("PutBucketAcl", "acl"),
        ("ListObjects", ""),
        ("ListObjectsV2", "list-type=2"),
        ("GetObject", ""),
        ("CopyObject", "header:x-amz-copy-source"),
        ("UploadPart", "query:partNumber query:uploadId"),
        ("GetBucketInventoryConfiguration", "inventory query:id"),
        ("ListBucketInventoryConfigurations", "inventory"),
    ],
)
def test_the_subresource_tells_an_operation_from_its_siblings(name: str, subresource: str) -> None:
    assert catalogue.operations()[name].subresource == subresource


def test_exactly_four_pairs_share_a_wire_form() -> None:
    pairs = {frozenset({name, *operation.twins}) for name, operation in catalogue.operations().items()}
    assert {pair for pair in pairs if len(pair) > 1} == {
        frozenset({"GetBucketLifecycle", "GetBucketLifecycleConfiguration"}),
        frozenset({"PutBucketLifecycle", "PutBucketLifecycleConfiguration"}),
        frozenset({"GetBucketNotification", "GetBucketNotificationConfiguration"}),
        frozenset({"PutBucketNotification", "PutBucketNotificationConfiguration"}),
    }


def test_twins_name_each_other_and_never_themselves() -> None:
    known = catalogue.operations()
    for name, operation in known.items():
        assert name not in operation.twins
        assert all(name in known[twin].twins for twin in operation.twins)


def test_deprecated_operations_are_those_that_botocore_marks() -> None:
    marked = {name for name, operation in catalogue.operations().items() if operation.deprecated}
    assert marked == {name for name in MODEL.operation_names if MODEL.operation_model(name).deprecated}
    assert "PutBucketLifecycle" in marked
