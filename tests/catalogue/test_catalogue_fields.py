"""The table of field classes can be used as it stands."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import fields
from importlib import resources

import pytest
from offline import a_record

from harness.analyse.fields import CHECKS
from harness.catalogue.fields import field_class, is_related
from harness.channels import channels
from harness.formats import server_access
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call

ROWS = list(csv.DictReader(resources.files("harness.catalogue").joinpath("fields.csv").read_text("utf-8").splitlines()))


def test_no_field_is_classed_twice() -> None:
    counts = Counter((row["channel"], row["field"]) for row in ROWS)
    assert [name for name, n in counts.items() if n > 1] == []


def test_every_row_belongs_to_a_channel_that_there_is() -> None:
    assert {row["channel"] for row in ROWS} <= set(channels())


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r["class"] == "equal"], ids=lambda r: f"{r['channel']}.{r['field']}"
)
def test_a_field_that_equals_the_call_names_an_attribute_of_it(row: dict[str, str]) -> None:
    attribute = field_class(row["channel"], row["field"]).check
    assert attribute in {f.name for f in fields(Call)}


@pytest.mark.parametrize("row", [r for r in ROWS if r["check"]], ids=lambda r: f"{r['channel']}.{r['field']}")
def test_only_equal_and_derived_fields_have_a_check_and_it_is_one_that_there_is(row: dict[str, str]) -> None:
    assert row["class"] in ("equal", "derived")
    assert row["class"] == "equal" or row["check"] in CHECKS


def test_every_server_access_field_of_the_parser_has_a_class() -> None:
    classed = {row["field"] for row in ROWS if row["channel"] == SERVER_ACCESS}
    assert set(server_access.FIELDS) <= classed


def test_the_field_that_names_the_call_is_classed_as_name() -> None:
    assert field_class("server-access", "operation").kind == "name"
    assert field_class("cloudtrail", "eventName").kind == "name"


def test_a_field_that_the_table_does_not_know_is_of_the_class_format() -> None:
    assert field_class("cloudtrail", "requestParameters.brandNew").kind == "format"
    assert field_class("carrier-pigeon", "ring").kind == "format"


@pytest.mark.parametrize(
    ("channel", "fields", "related"),
    [
        (SERVER_ACCESS, {"operation": "REST.COPY.OBJECT"}, False),
        (SERVER_ACCESS, {"operation": "REST.COPY.OBJECT_GET"}, True),
        (SERVER_ACCESS, {"operation": "BATCH.DELETE.OBJECT"}, True),
        (CLOUDTRAIL, {"eventType": "AwsApiCall", "sourceIPAddress": "203.0.113.9"}, False),
        (CLOUDTRAIL, {"eventType": "AwsServiceEvent"}, True),
        (CLOUDTRAIL, {"operation": "REST.COPY.OBJECT_GET"}, False),
        (SERVER_ACCESS, {}, False),
    ],
)
def test_a_record_of_something_inside_its_call_is_told_apart(
    channel: str, fields: dict[str, str], related: bool
) -> None:
    assert is_related(a_record(channel=channel, fields=fields)) is related
