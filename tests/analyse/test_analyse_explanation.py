"""What selects an operation's records: names, wire form, and no text that a log might have smuggled in."""

from __future__ import annotations

import json

import pytest
from offline import a_call, a_delivery, a_record

from harness import catalogue
from harness.analyse.explanation import Evidence, readings, view
from harness.analyse.join import Pair, Way
from harness.analyse.observed import Observed
from harness.analyse.selectors import Test as Ask
from harness.analyse.selectors import select
from harness.analyse.verify import Seen
from harness.model import CLOUDTRAIL, SERVER_ACCESS, CellKey, Operation
from harness.report.filters import filters


def _operation(name: str) -> Operation:
    found = catalogue.find(name)
    assert found
    return found


def _evidence(operation: str, channel: str, *fields: dict[str, object]) -> Evidence:
    pairs = []
    for number, each in enumerate(fields, 1):
        call = a_call(number, operation=operation, cell=CellKey(operation=operation))
        name = str(each.get("eventName", each.get("operation")))
        record = a_record(call, channel, name=name, fields=each)
        pairs.append(Pair(call, record, Way.REQUEST_ID, (a_delivery(channel=channel),)))
    seen = Seen({}, {(operation, "ok", channel): pairs}, {}, {}, ())
    return Evidence(seen=seen, observed=Observed.of(seen))


def test_names_come_from_the_run_before_documents() -> None:
    renamed = {"eventName": "PutBucketAccessList", "eventSource": "s3.amazonaws.com"}
    told = view(_operation("PutBucketAcl"), CLOUDTRAIL, _evidence("PutBucketAcl", CLOUDTRAIL, renamed))
    assert told.names == {"PutBucketAccessList": 1}
    assert told.selection
    assert [term.values for term in told.selection.terms] == [("s3.amazonaws.com",), ("PutBucketAccessList",)]
    assert told.tried
    assert (told.tried.own, told.tried.found) == (1, 1)


@pytest.mark.parametrize("name", ["PutBucketAcl' OR '1'='1", 'x"]}', "a b", "Put\x1b[31m", "Put*", "%", "`x`", ""])
def test_no_filter_is_made_of_a_name_that_no_log_has(name: str) -> None:
    for fields in ({"eventName": name, "eventSource": "s3.amazonaws.com"}, {"eventName": "x", "eventSource": name}):
        if not name and fields["eventName"] == "x":
            continue
        told = view(_operation("PutBucketAcl"), CLOUDTRAIL, _evidence("PutBucketAcl", CLOUDTRAIL, fields))
        assert told.selection is None
        assert "characters" in told.no_filter


def test_several_observed_names_are_all_searched_for() -> None:
    two = [{"operation": f"REST.PUT.{name}"} for name in ("ACL", "ACLS")]
    told = view(_operation("PutBucketAcl"), SERVER_ACCESS, _evidence("PutBucketAcl", SERVER_ACCESS, *two))
    assert told.selection
    texts = [each.text for each in filters("PutBucketAcl", told.selection, is_data=None, is_read=False)]
    assert 'operation in ["REST.PUT.ACL", "REST.PUT.ACLS"]' in texts[0]
    assert '($.operation = "REST.PUT.ACL" || $.operation = "REST.PUT.ACLS")' in texts[1]
    assert "operation IN ('REST.PUT.ACL', 'REST.PUT.ACLS')" in texts[2]


def test_siblings_are_told_apart_by_their_wire_form() -> None:
    get, found = _operation("GetBucketAnalyticsConfiguration"), "ListBucketAnalyticsConfigurations"
    one = select(SERVER_ACCESS, get, ["REST.GET.ANALYTICS"], [found])
    assert [(term.test, term.values) for term in one.terms[1:]] == [(Ask.QUERY, ("id",))]
    other = select(SERVER_ACCESS, _operation(found), ["REST.GET.ANALYTICS"], [get.name])
    for uri, is_get in (
        ("GET /?analytics&id=a HTTP/1.1", True),
        ("GET /?id=a&analytics HTTP/1.1", True),
        ("GET /?analytics HTTP/1.1", False),
        ("GET /?analytics&x-id=a HTTP/1.1", False),
    ):
        record = a_record(fields={"operation": "REST.GET.ANALYTICS", "request_uri": uri})
        assert (one.matches(record), other.matches(record)) == (is_get, not is_get)


def test_twins_and_what_a_channel_cannot_tell_apart_are_named() -> None:
    put = _operation("PutBucketLifecycle")
    told = select(CLOUDTRAIL, put, ["PutBucketLifecycle"], ["PutBucketLifecycleConfiguration"])
    assert (told.twins, told.alike, told.siblings) == (("PutBucketLifecycleConfiguration",), (), ())
    told = select(CLOUDTRAIL, _operation("PutObject"), ["PutObject"], ["BrowserPost"])
    assert (told.twins, told.alike) == ((), ("BrowserPost",))


def test_reads_and_data_events_say_what_they_need() -> None:
    read = view(_operation("GetBucketAcl"), CLOUDTRAIL, None)
    assert read.selection and read.is_data is False
    pattern = filters("GetBucketAcl", read.selection, is_data=False, is_read=True)[0]
    assert "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" in pattern.notes[0]
    data = view(_operation("CreateSession"), CLOUDTRAIL, None)
    assert data.selection and data.is_data
    pattern = filters("CreateSession", data.selection, is_data=True, is_read=True)[0]
    assert "data event selector" in pattern.notes[0]
    assert json.loads(pattern.text)["source"] == ["aws.s3express"]


def test_readings_prefer_what_is_certain() -> None:
    spelled, found = readings(SERVER_ACCESS, "rest.get.analytics", None)
    assert spelled == "REST.GET.ANALYTICS"
    assert {each.operation for each in found} == {
        "GetBucketAnalyticsConfiguration",
        "ListBucketAnalyticsConfigurations",
    }
    assert readings(SERVER_ACCESS, "PutObject", None)[1] == ()
