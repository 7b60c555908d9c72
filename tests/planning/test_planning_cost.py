"""Calls are priced by class, at prices that say where they are from."""

from __future__ import annotations

from typing import Any

import pytest
from offline import a_call

from harness import catalogue, scenario
from harness.model import ACTOR, CLOUDTRAIL, SERVER_ACCESS, Role
from harness.planning.cost import CostLine, priced, prices, total_usd, usage

scenario.load()


def used(times: int = 1, channels: tuple[str, ...] = (), further_copy: bool = False, **call: Any) -> dict[str, float]:
    found = usage([(times, a_call(**call))], channels, hours=1.0, further_copy=further_copy)
    return {item: quantity for item, quantity in found.items() if quantity and item != "s3-storage"}


@pytest.mark.parametrize(
    ("operation", "method", "item"),
    [
        ("PutObject", "PUT", "s3-write"),
        ("CopyObject", "PUT", "s3-write"),
        ("CreateBucket", "PUT", "s3-write"),
        ("CreateMultipartUpload", "POST", "s3-write"),
        ("BrowserPost", "POST", "s3-write"),
        ("ListObjectsV2", "GET", "s3-write"),
        ("ListBuckets", "GET", "s3-write"),
        ("GetObject", "GET", "s3-read"),
        ("HeadObject", "HEAD", "s3-read"),
        ("SelectObjectContent", "POST", "s3-read"),
        ("CorsPreflight", "OPTIONS", "s3-read"),
        ("DeleteObject", "DELETE", "s3-delete"),
        ("DeleteBucketCors", "DELETE", "s3-delete"),
    ],
)
def test_a_request_is_billed_in_its_class(operation: str, method: str, item: str) -> None:
    assert used(7, operation=operation, method=method) == {item: 7}


def test_every_operation_has_a_class_with_a_price() -> None:
    for operation in catalogue.operations().values():
        (item,) = used(operation=operation.name, method=operation.method)
        assert item in prices()


def test_other_services_and_what_s3_does_by_itself() -> None:
    assert used(service="iam", operation="CreateRole", method="POST") == {"other-requests": 1}
    assert used(service="s3-control", operation="CreateAccessPoint", method="PUT") == {"s3-control": 1}
    assert used(service="s3-control", operation="CreateJob", method="POST") == {"s3-control": 1, "s3-batch-job": 1}
    assert used(method=ACTOR) == {}


def test_data_events_cost_and_the_first_copy_of_management_events_does_not() -> None:
    put = {"operation": "PutObject", "method": "PUT", "channels": (CLOUDTRAIL,)}
    assert used(5, **put) == {"s3-write": 5, "cloudtrail-data": 5}
    assert used(5, **put, expected={CLOUDTRAIL: 2})["cloudtrail-data"] == 10
    assert "cloudtrail-data" not in used(**put, expected={CLOUDTRAIL: 0})
    read = {"operation": "GetBucketAcl", "method": "GET", "channels": (CLOUDTRAIL,)}
    assert used(**read) == {"s3-read": 1, "cloudtrail-management": 1}
    assert used(**read, further_copy=True) == {"s3-read": 1, "cloudtrail-management-copy": 1}


def test_reading_log_objects_makes_no_data_events() -> None:
    assert used(operation="GetObject", method="GET", role=Role.POLL, channels=(CLOUDTRAIL,)) == {"s3-read": 1}
    polled = usage([(9, a_call(operation="GetObject", role=Role.POLL))], (SERVER_ACCESS,), hours=1.0)
    assert polled["s3-storage"] == 0


def test_stored_logs_cost_by_size_and_time() -> None:
    found = usage([(1_000_000, a_call())], (SERVER_ACCESS, CLOUDTRAIL), hours=730.0)
    assert found["s3-storage"] == pytest.approx(2600e6 / 1024**3)


def test_prices_have_a_source_a_date_and_one_region() -> None:
    assert all(each.source and each.read and each.unit for each in prices().values())
    assert {each.region for each in prices().values()} == {"us-east-1"}
    lines = priced({"s3-write": 1000, "cloudtrail-data": 100_000, "s3-read": 0})
    assert [line.price.item for line in lines] == ["s3-write", "cloudtrail-data"]
    assert total_usd(lines) == pytest.approx(0.005 + 0.10)
    assert isinstance(lines[0], CostLine)
