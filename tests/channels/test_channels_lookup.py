"""LookupEvents: at AWS's rate, page by page, of the run's principals only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from offline import RUN_ID, T0

from harness.channels import channels
from harness.channels.token_bucket import TokenBucket
from harness.clock import ScaledClock
from harness.embedded.history import History, LookupRefusedError
from harness.environment.site import Site
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.testing import FakeClock

pytestmark = pytest.mark.usefixtures("no_backoff")
THROTTLED = refusal("ThrottlingException", message="Rate exceeded", service="cloudtrail")


def page(*numbers: int, token: str = "") -> Answer:
    events = [
        {"EventId": str(n), "CloudTrailEvent": json.dumps({"eventName": "X", "eventID": str(n)})} for n in numbers
    ]
    return Answer(json.dumps({"Events": events} | ({"NextToken": token} if token else {})).encode())


@pytest.fixture
def asked(site: Site, aws: FakeAws, clock: FakeClock) -> list[datetime]:
    """When each LookupEvents was sent, on the run's clock."""
    site.journal.note("caller_arns", ["arn:aws:iam::111122223333:user/tester"])
    times: list[datetime] = []
    aws.overrule = lambda operation: times.append(clock.now()) if operation == "LookupEvents" else None  # type: ignore[func-returns-value]
    return times


def busiest_second(times: list[datetime]) -> int:
    return max(sum(1 for t in times if start <= t < start + timedelta(seconds=1)) for start in times)


@pytest.mark.parametrize("pause_seconds", [0.0, 0.1, 0.49, 0.5, 3.0])
def test_a_token_bucket_never_gives_more_than_its_rate_in_any_second(pause_seconds: float, clock: FakeClock) -> None:
    bucket, sent, arrived = TokenBucket(clock, 2), [], []
    for number in range(20):
        with bucket:
            sent.append(clock.now())
            clock.sleep(0.4 if number == 0 else 0.0)  # the first one is long on its way
            arrived.append(clock.now())
        clock.sleep(pause_seconds)
    assert busiest_second(sent) <= 2
    assert busiest_second(arrived) <= 2


def test_a_token_bucket_does_not_wait_for_what_has_dropped_in_already(clock: FakeClock) -> None:
    bucket = TokenBucket(clock, 2)
    with bucket:
        pass
    clock.sleep(10)
    clock.slept.clear()
    with bucket:
        assert clock.slept == []


def test_many_pages_are_asked_for_two_a_second_and_fifty_a_page(
    site: Site, aws: FakeAws, asked: list[datetime]
) -> None:
    aws.answers["LookupEvents"] = [page(n, token=f"t{n}") for n in range(30)] + [page(30)] * 3
    found = list(channels()["cloudtrail-lookup"]().poll(site, T0, set()))
    assert len(found) == 31
    assert len(asked) == 33
    assert busiest_second(asked) <= 2
    assert {p["MaxResults"] for p in aws.parameters("LookupEvents")} == {50}


def test_being_throttled_waits_for_the_next_token(site: Site, aws: FakeAws, asked: list[datetime]) -> None:
    """Others in the account have the same two requests a second; botocore's own retries would know no bucket."""
    aws.answers["LookupEvents"] = [THROTTLED, THROTTLED, page(1), page(), page()]
    assert len(list(channels()["cloudtrail-lookup"]().poll(site, T0, set()))) == 1
    assert len(asked) == 5
    assert busiest_second(asked) <= 2


def test_the_runs_events_are_found_by_who_made_them_and_by_its_bucket(
    site: Site, aws: FakeAws, asked: list[datetime]
) -> None:
    list(channels()["cloudtrail-lookup"]().poll(site, T0, set()))
    chosen = [p["LookupAttributes"][0] for p in aws.parameters("LookupEvents")]
    assert chosen == [
        {"AttributeKey": "Username", "AttributeValue": "tester"},
        {"AttributeKey": "Username", "AttributeValue": f"s3lm-{RUN_ID}"},
        {"AttributeKey": "ResourceName", "AttributeValue": site.bucket},
    ]
    assert len(asked) == 3


def test_events_of_every_session_that_the_run_was_carried_on_by_are_found(
    site: Site, aws: FakeAws, asked: list[datetime]
) -> None:
    sessions = [f"arn:aws:sts::111122223333:assumed-role/{name}" for name in ("A/one", "A/two", "B/one")]
    site.journal.note("caller_arns", sessions)
    list(channels()["cloudtrail-lookup"]().poll(site, T0, set()))
    chosen = [p["LookupAttributes"][0]["AttributeValue"] for p in aws.parameters("LookupEvents")]
    assert chosen == ["one", "two", f"s3lm-{RUN_ID}", site.bucket]


def test_late_events_are_looked_for_and_the_polling_itself_is_not(site: Site, aws: FakeAws, clock: FakeClock) -> None:
    site.journal.note("executed_at", (T0 + timedelta(hours=2)).isoformat())
    clock.at = T0 + timedelta(hours=6)
    list(channels()["cloudtrail-lookup"]().poll(site, T0 + timedelta(hours=3), set()))
    asked: dict[str, Any] = aws.parameters("LookupEvents")[0]
    assert asked["StartTime"].astimezone(UTC) == T0 + timedelta(hours=2)
    assert asked["EndTime"].astimezone(UTC) == T0 + timedelta(hours=2, minutes=1)


@pytest.mark.parametrize("asks_again", [True, False])
def test_a_poll_with_nothing_left_to_ask_for_asks_nothing_and_is_complete(
    asks_again: bool, site: Site, aws: FakeAws
) -> None:
    """AWS refuses a beginning that is later than the end."""
    site.journal.note("executed_at", T0.isoformat())
    since = T0 + timedelta(minutes=61 if asks_again else 62)
    assert list(channels()["cloudtrail-lookup"]().poll(site, since, set())) == []
    times = [(p["StartTime"], p["EndTime"]) for p in aws.parameters("LookupEvents")]
    assert bool(times) is asks_again
    assert all(start <= end for start, end in times)


def test_the_embedded_history_refuses_such_a_request_as_aws_does() -> None:
    history = History(ScaledClock())
    assert history.look_up({"StartTime": 7.0, "EndTime": 7.0}, "us-east-1") == {"Events": []}
    with pytest.raises(LookupRefusedError, match="InvalidTimeRangeException"):
        history.look_up({"StartTime": 8.0, "EndTime": 7.0}, "us-east-1")


def test_an_event_that_two_queries_find_is_told_once_and_has_no_stamp_but_that_of_the_poll(
    site: Site, aws: FakeAws, clock: FakeClock
) -> None:
    aws.answers["LookupEvents"] = page(7)
    channel = channels()["cloudtrail-lookup"]()
    (found,) = channel.poll(site, T0, set())
    assert found.arrived_at == found.seen_at
    assert not channel.policy.arrival_stamps
    assert list(channel.poll(site, T0, {found.name})) == []
    (record,) = channel.parse(found).records
    assert (record.channel, record.identity) == ("cloudtrail-lookup", "7")


def test_who_may_not_look_up_is_told_before_the_run(site: Site, aws: FakeAws) -> None:
    assert channels()["cloudtrail-lookup"]().preflight(site) == ""
    aws.answers["LookupEvents"] = refusal("AccessDeniedException", message="not authorized", service="cloudtrail")
    assert "not authorized" in channels()["cloudtrail-lookup"]().preflight(site)
