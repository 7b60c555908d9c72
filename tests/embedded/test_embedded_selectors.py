"""Which events a trail takes: basic and advanced selectors, judged on events alone."""

from __future__ import annotations

from typing import Any

import pytest
from embedded_kit import Event, selector

from harness.embedded.trail import selects

MANAGEMENT: Event = {
    "eventName": "PutBucketTagging",
    "eventSource": "s3.amazonaws.com",
    "eventType": "AwsApiCall",
    "eventCategory": "Management",
    "managementEvent": True,
    "readOnly": False,
    "resources": [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::photos"}],
    "userIdentity": {"arn": "arn:aws:iam::123456789012:user/ada"},
}
MANAGEMENT_READ = MANAGEMENT | {"eventName": "GetBucketTagging", "readOnly": True}


def data_event(name: str, arn: str = "arn:aws:s3:::photos/2026/cat.jpg", **changes: Any) -> Event:
    resources = [{"type": "AWS::S3::Object", "ARN": arn}, {"type": "AWS::S3::Bucket", "ARN": arn.partition("/")[0]}]
    changes = {"readOnly": name.startswith(("Get", "List", "Head"))} | changes
    return MANAGEMENT | {
        "eventName": name,
        "eventCategory": "Data",
        "managementEvent": False,
        "resources": resources,
        **changes,
    }


GET, PUT = data_event("GetObject"), data_event("PutObject")
MEMBER = data_event("DeleteObject", eventType="AwsServiceEvent")
LISTING = data_event("ListObjects") | {
    "resources": [{"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::photos/2026/"}]
}
ELSEWHERE = data_event("PutObject", "arn:aws:s3:::photos-old/x")
ALL = [MANAGEMENT, MANAGEMENT_READ, GET, PUT, MEMBER, LISTING, ELSEWHERE]

DATA = ("eventCategory", "Equals", ["Data"])
OBJECTS = ("resources.type", "Equals", ["AWS::S3::Object"])


def taken(basic: list[Any], advanced: list[Any]) -> list[Event]:
    return [event for event in ALL if selects(event, basic, advanced)]


def basic(*arns: str, **changes: Any) -> list[dict[str, Any]]:
    resources = [{"Type": "AWS::S3::Object", "Values": list(arns)}] if arns else []
    return [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": resources} | changes]


def test_a_trail_without_selectors_takes_management_events() -> None:
    assert taken([], []) == [MANAGEMENT, MANAGEMENT_READ]


@pytest.mark.parametrize(
    ("selectors", "wanted"),
    [
        (basic(), [MANAGEMENT, MANAGEMENT_READ]),
        (basic("arn:aws:s3"), ALL),
        (basic("arn:aws:s3:::"), ALL),
        (basic("arn:aws:s3:::photos/"), [MANAGEMENT, MANAGEMENT_READ, GET, PUT, MEMBER, LISTING]),
        (basic("arn:aws:s3:::photos/2026/cat", IncludeManagementEvents=False), [GET, PUT, MEMBER]),
        (basic("arn:aws:s3:::photos/2025/", IncludeManagementEvents=False), []),
        (basic("arn:aws:s3:::none/", "arn:aws:s3:::photos-old/", IncludeManagementEvents=False), [ELSEWHERE]),
        (basic("arn:aws:s3", ReadWriteType="ReadOnly"), [MANAGEMENT_READ, GET, LISTING]),
        (basic("arn:aws:s3", ReadWriteType="WriteOnly"), [MANAGEMENT, PUT, MEMBER, ELSEWHERE]),
        (basic(ExcludeManagementEventSources=["kms.amazonaws.com"]), [MANAGEMENT, MANAGEMENT_READ]),
        (basic(ReadWriteType="ReadOnly") + basic(ReadWriteType="WriteOnly"), [MANAGEMENT, MANAGEMENT_READ]),
    ],
)
def test_basic_selectors(selectors: list[Any], wanted: list[Event]) -> None:
    assert taken(selectors, []) == wanted


def test_basic_selectors_of_other_resource_types_take_no_object_events() -> None:
    resources = [{"Type": "AWS::Lambda::Function", "Values": ["arn:aws:lambda"]}]
    assert taken(basic(DataResources=resources, IncludeManagementEvents=False), []) == []


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (None, [GET, PUT, MEMBER, LISTING, ELSEWHERE]),
        (("eventName", "Equals", ["PutObject", "GetObject"]), [GET, PUT, ELSEWHERE]),
        (("eventName", "NotEquals", ["PutObject"]), [GET, MEMBER, LISTING]),
        (("eventName", "NotEquals", ["PutObject", "GetObject"]), [MEMBER, LISTING]),
        (("eventName", "StartsWith", ["Get", "List"]), [GET, LISTING]),
        (("eventName", "NotStartsWith", ["Get", "List"]), [PUT, MEMBER, ELSEWHERE]),
        (("eventName", "EndsWith", ["Objects"]), [LISTING]),
        (("eventName", "NotEndsWith", ["Object"]), [LISTING]),
        (("readOnly", "Equals", ["true"]), [GET, LISTING]),
        (("readOnly", "Equals", ["false"]), [PUT, MEMBER, ELSEWHERE]),
        (("eventType", "NotEquals", ["AwsServiceEvent"]), [GET, PUT, LISTING, ELSEWHERE]),
        (("resources.ARN", "StartsWith", ["arn:aws:s3:::photos/"]), [GET, PUT, MEMBER, LISTING]),
        (("resources.ARN", "Equals", ["arn:aws:s3:::photos/2026/cat.jpg"]), [GET, PUT, MEMBER]),
        (("resources.ARN", "NotStartsWith", ["arn:aws:s3:::photos/"]), [ELSEWHERE]),
        (("resources.ARN", "EndsWith", [".jpg"]), [GET, PUT, MEMBER]),
        (("eventSource", "Equals", ["s3express.amazonaws.com"]), []),
        (("userIdentity.arn", "NotEquals", ["arn:aws:iam::123456789012:user/ada"]), []),
        (
            ("userIdentity.arn", "StartsWith", ["arn:aws:iam::123456789012:user/"]),
            [GET, PUT, MEMBER, LISTING, ELSEWHERE],
        ),
    ],
    ids=lambda value: "-".join(map(str, value[:2])) if isinstance(value, tuple) else "",
)
def test_advanced_selectors_of_data_events(condition: Any, wanted: list[Event]) -> None:
    conditions = [DATA, OBJECTS] + ([condition] if condition else [])
    assert taken([], [selector(*conditions)]) == wanted


def test_advanced_management_selectors_take_no_data_events() -> None:
    assert taken([], [selector(("eventCategory", "Equals", ["Management"]))]) == [MANAGEMENT, MANAGEMENT_READ]


def test_the_conditions_of_a_selector_must_all_hold_and_any_selector_suffices() -> None:
    writes = selector(DATA, OBJECTS, ("readOnly", "Equals", ["false"]), ("eventName", "StartsWith", ["Put"]))
    reads = selector(("eventCategory", "Equals", ["Management"]), ("readOnly", "Equals", ["true"]))
    assert taken([], [writes, reads]) == [MANAGEMENT_READ, PUT, ELSEWHERE]


def test_several_operators_of_one_field_select_by_or_and_exclude_by_and() -> None:
    field = {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::photos"], "NotEndsWith": [".jpg", "/x"]}
    chosen = selector(DATA, OBJECTS)
    chosen["FieldSelectors"].append(field)
    assert taken([], [chosen]) == [LISTING]


def test_advanced_selectors_replace_basic_ones() -> None:
    assert taken(basic("arn:aws:s3"), [selector(DATA, OBJECTS, ("eventName", "Equals", ["GetObject"]))]) == [GET]


@pytest.mark.parametrize("kind", ["AWS::S3::AccessPoint", "AWS::S3Express::Object", "AWS::S3ObjectLambda::AccessPoint"])
def test_selectors_of_other_resource_types_take_no_object_events(kind: str) -> None:
    assert taken([], [selector(DATA, ("resources.type", "Equals", [kind]))]) == []
