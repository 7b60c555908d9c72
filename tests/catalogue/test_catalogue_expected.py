"""What a call should leave in each channel follows from two declared numbers and what the operation is."""

from __future__ import annotations

import pytest

from harness import catalogue
from harness.catalogue.expected import NOTIFIED, NOTIFIED_PER_KEY, expected, is_management
from harness.channels import channels


def test_every_channel_has_a_number_and_no_other() -> None:
    assert set(expected("PutObject", 1, 1)) == set(channels())


def test_the_copies_of_a_log_are_expected_to_hold_what_the_log_holds() -> None:
    found = expected("CopyObject", 2, 3)
    assert found["server-access-cloudwatch"] == found["server-access"] == 2
    assert found["cloudtrail-cloudwatch"] == found["eventbridge"] == found["cloudtrail"] == 3


@pytest.mark.parametrize(
    ("operation", "management"),
    [
        ("GetBucketLocation", True),
        ("CreateBucket", True),
        ("s3control:CreateAccessPoint", True),
        ("PutObject", False),
        ("ListObjectsV2", False),
        ("HeadBucket", False),
        ("GetObjectAcl", False),
    ],
)
def test_the_event_history_is_expected_to_hold_management_events_only(operation: str, management: bool) -> None:
    assert is_management(operation) is management
    assert expected(operation, 1, 1)["cloudtrail-lookup"] == int(management)


def test_s3_notifies_of_what_succeeds_and_changes_an_object_once_per_key() -> None:
    assert expected("PutObject", 1, 1)["s3-notification"] == 1
    assert expected("CopyObject", 2, 2)["s3-notification"] == 1
    assert expected("PutObject", 1, 1, succeeds=False)["s3-notification"] == 0
    assert expected("GetObject", 1, 1)["s3-notification"] == 0
    assert expected("DeleteObjects", 4, 4)["s3-notification"] == 3


def test_operations_that_s3_notifies_of_are_in_the_catalogue() -> None:
    assert {*NOTIFIED, NOTIFIED_PER_KEY} <= set(catalogue.rows())
