"""The two channels of queues: who may send, what is asked for, and that no message is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

import pytest
from botocore.session import Session
from offline import ACCOUNT, T0

from harness.channels import channels
from harness.channels.s3_notification import EVENTS
from harness.environment.site import Site
from harness.errors import PreflightError
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.testing import FakeClock

pytestmark = pytest.mark.usefixtures("no_backoff")
NAMES = ("eventbridge", "s3-notification")


def message(number: int, sent_ms: int | None = None) -> dict[str, Any]:
    sent = {"SentTimestamp": str(round(T0.timestamp() * 1000) + number if sent_ms is None else sent_ms)}
    return {"MessageId": str(number), "ReceiptHandle": f"r{number}", "Body": f"body {number}", "Attributes": sent}


def batch(*numbers: int) -> Answer:
    return Answer(json.dumps({"Messages": [message(n) for n in numbers]} if numbers else {}).encode())


def policy(aws: FakeAws) -> dict[str, Any]:
    (made,) = aws.parameters("CreateQueue")
    (statement,) = json.loads(made["Attributes"]["Policy"])["Statement"]
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"].endswith(f":{made['QueueName']}")
    return dict(statement)


def test_only_the_runs_rule_may_send_to_its_queue(site: Site, aws: FakeAws) -> None:
    channels()["eventbridge"]().enable(site)
    statement = policy(aws)
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":rule/{site.trail_name}")


def test_the_rule_takes_reads_too_and_every_event_source_of_s3s(site: Site, aws: FakeAws) -> None:
    channels()["eventbridge"]().enable(site)
    (rule,) = aws.parameters("PutRule")
    assert rule["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    assert json.loads(rule["EventPattern"]) == {"detail": {"eventSource": [{"prefix": "s3"}]}}


def test_a_target_that_eventbridge_does_not_take_is_an_error(site: Site, aws: FakeAws) -> None:
    failed = {"FailedEntryCount": 1, "FailedEntries": [{"TargetId": "queue", "ErrorMessage": "no such queue"}]}
    aws.answers["PutTargets"] = Answer(json.dumps(failed).encode())
    with pytest.raises(PreflightError, match="no such queue"):
        channels()["eventbridge"]().enable(site)


def test_s3_may_send_for_the_runs_source_buckets_only(site: Site, aws: FakeAws) -> None:
    channels()["s3-notification"]().enable(site)
    statement = policy(aws)
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Condition"]["ArnLike"]["aws:SourceArn"] == f"arn:aws:s3:::{site.source_prefix}*"
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


def test_every_event_type_is_asked_for_that_a_run_can_cause() -> None:
    model: Any = Session().get_service_model("s3")
    known = set(model.shape_for("Event").enum)
    assert set(EVENTS) <= known
    covered = {name for name in known for event in EVENTS if name == event or name.startswith(event.rstrip("*"))}
    kinds = ("s3:Replication", "s3:IntelligentTiering", "s3:ReducedRedundancyLostObject")
    assert {name for name in known - covered if not name.startswith(kinds)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_messages_arrive_when_sqs_took_them_until_there_are_none(name: str, site: Site, aws: FakeAws) -> None:
    aws.answers["ReceiveMessage"] = [batch(1, 2), batch(3), batch()]
    found = list(channels()[name]().poll(site, T0, set()))
    assert [delivery.body for delivery in found] == [b"body 1", b"body 2", b"body 3"]
    assert found[0].arrived_at == datetime.fromtimestamp(round(T0.timestamp() * 1000 + 1) / 1000, UTC)
    handles = [[e["ReceiptHandle"] for e in p["Entries"]] for p in aws.parameters("DeleteMessageBatch")]
    assert handles == [["r1", "r2"], ["r3"]]


def test_a_message_is_deleted_only_after_it_was_taken(site: Site, aws: FakeAws) -> None:
    aws.answers["ReceiveMessage"] = [batch(1, 2), batch()]
    poll = channels()["eventbridge"]().poll(site, T0, set())
    next(poll)
    assert aws.parameters("DeleteMessageBatch") == []
    poll.close()  # what took it failed: the message comes again
    assert aws.parameters("DeleteMessageBatch") == []


def test_a_message_that_comes_again_is_not_told_twice_and_goes(site: Site, aws: FakeAws) -> None:
    aws.answers["ReceiveMessage"] = [batch(1), batch(1), batch()]
    (found,) = channels()["eventbridge"]().poll(site, T0, set())
    assert len(aws.parameters("DeleteMessageBatch")) == 2
    aws.answers["ReceiveMessage"] = [batch(1), batch()]
    assert list(channels()["eventbridge"]().poll(site, T0, {found.name})) == []
    assert len(aws.parameters("DeleteMessageBatch")) == 3


@pytest.mark.parametrize("name", NAMES)
def test_what_a_killed_process_has_received_comes_again_long_before_absence_is_told(
    name: str, site: Site, aws: FakeAws
) -> None:
    channel = channels()[name]()
    channel.enable(site)
    (made,) = aws.parameters("CreateQueue")
    hidden_seconds = int(made["Attributes"]["VisibilityTimeout"])
    assert 30 <= hidden_seconds <= channel.policy.absence_seconds / 10


@pytest.mark.parametrize("ahead_seconds", [-600, 0, 600])
@pytest.mark.parametrize("name", NAMES)
def test_a_poll_ends_when_it_has_caught_up_though_messages_keep_coming(
    name: str, ahead_seconds: int, site: Site, aws: FakeAws, clock: FakeClock
) -> None:
    """Twenty messages come while ten are taken; SQS stamps them with a clock of its own, and its answers tell it."""
    waiting, numbers = [clock.now()] * 40, count()

    def receive(_request: object) -> Answer:
        clock.sleep(0.1)
        waiting.extend([clock.now()] * 20)
        theirs = [waiting.pop(0) + timedelta(seconds=ahead_seconds) for _ in range(10)]
        taken = [message(next(numbers), round(at.timestamp() * 1000)) for at in theirs]
        date = format_datetime(clock.now() + timedelta(seconds=ahead_seconds))
        return Answer(json.dumps({"Messages": taken}).encode(), headers={"Date": date})

    aws.answers["ReceiveMessage"] = receive
    found = list(channels()[name]().poll(site, T0, set()))
    assert len(found) >= 40
    assert len(found) == sum(len(p["Entries"]) for p in aws.parameters("DeleteMessageBatch"))
    assert clock.now() - T0 < timedelta(minutes=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_message_that_has_just_come_does_not_hide_the_older_ones(name: str, site: Site, aws: FakeAws) -> None:
    """SQS keeps the order of messages only about."""
    just_now, long_ago = (round((site.clock.now() + timedelta(seconds=n)).timestamp() * 1000) for n in (2, -600))
    batches = [[message(1, just_now)], [message(2, long_ago)], []]
    aws.answers["ReceiveMessage"] = [Answer(json.dumps({"Messages": each}).encode()) for each in batches]
    assert len(list(channels()[name]().poll(site, T0, set()))) == 2


def test_switching_off_takes_what_was_switched_on_back(site: Site, aws: FakeAws) -> None:
    for name in NAMES:
        channel = channels()[name]()
        channel.enable(site)
    site.make_bucket(site.bucket)
    for name in NAMES:
        channels()[name]().watch(site, site.bucket)
        channels()[name]().disable(site)
    assert aws.parameters("DisableRule") == [{"Name": site.trail_name}]
    put = aws.parameters("PutBucketNotificationConfiguration")
    assert [bool(p["NotificationConfiguration"]) for p in put] == [True, False]


def test_a_queue_that_cannot_be_made_is_an_error_that_names_it(site: Site, aws: FakeAws) -> None:
    aws.answers["CreateQueue"] = refusal("AccessDenied", 403, service="sqs")
    with pytest.raises(PreflightError, match=r"cannot create queue .*-ntf"):
        channels()["s3-notification"]().enable(site)
