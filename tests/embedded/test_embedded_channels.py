"""Log groups, rules, queues and the event history: what arrives there, what does not, and what is refused as on AWS."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from embedded_kit import ACCOUNT, REGION, World, code_of, due, running_world, selector, wait_until

LOG_TYPE = "S3_SERVER_ACCESS_LOGS"
FIELDS = ["schema_version_id", "bucket_name", "request_time", "request_id", "operation", "key_name", "http_status"]
ALL_MANAGEMENT = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
DATA = ("eventCategory", "Equals", ["Data"])
OBJECTS = ("resources.type", "Equals", ["AWS::S3::Object"])


@pytest.fixture(scope="module")
def slower() -> Iterator[World]:
    """A server whose queues keep a message for six minutes: two weeks, SQS's longest, on a slower clock."""
    with running_world(seed=7, factor=3_600) as world:
        yield world


def request_id(answer: dict[str, Any]) -> str:
    return str(answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])


def log_group(world: World) -> str:
    name = "/" + world.name("group")
    world.session.client("logs").create_log_group(logGroupName=name)
    return name


def messages(world: World, group: str) -> list[dict[str, Any]]:
    """Return the log events of a group as they stand there, each with its message as JSON."""
    pages = world.session.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [{**e, "message": json.loads(e["message"])} for page in pages for e in page["events"]]


def queue(world: World) -> tuple[str, str, Callable[[], list[dict[str, Any]]]]:
    """Create a queue; returns its name, its ARN, and what empties it into a list."""
    name, sqs = world.name("queue"), world.session.client("sqs")
    # Time flies here: what SQS keeps by default is over in no time.
    kept = {"MessageRetentionPeriod": str(14 * 86_400), "VisibilityTimeout": str(12 * 3600)}
    url = sqs.create_queue(QueueName=name, Attributes=kept)["QueueUrl"]
    taken: dict[str, dict[str, Any]] = {}  # what is not deleted in time is received again

    def take() -> list[dict[str, Any]]:
        asked: dict[str, Any] = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["SentTimestamp"]}
        while found := sqs.receive_message(QueueUrl=url, **asked).get("Messages"):
            taken.update({each["MessageId"]: {**each, "Body": json.loads(each["Body"])} for each in found})
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(found)]
            assert not sqs.delete_message_batch(QueueUrl=url, Entries=entries).get("Failed")
        return [*taken.values()]

    return name, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", take


@contextmanager
def rule(world: World, state: str, arn: str) -> Iterator[str]:
    name, events = world.name("rule"), world.session.client("events")
    events.put_rule(Name=name, State=state, EventPattern=json.dumps({"detail": {"eventSource": [{"prefix": "s3"}]}}))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
    try:
        yield name
    finally:
        events.remove_targets(Rule=name, Ids=["q"])
        events.delete_rule(Name=name)


def deliver(world: World, bucket: str, group: str, fields: list[str]) -> str:
    """Set vended delivery of a bucket up; returns the name of its source."""
    logs, name = world.session.client("logs"), world.name("vended")
    logs.put_delivery_source(name=name, resourceArn=f"arn:aws:s3:::{bucket}", logType=LOG_TYPE)
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    made = logs.put_delivery_destination(
        name=name, outputFormat="json", deliveryDestinationConfiguration={"destinationResourceArn": arn}
    )
    logs.create_delivery(
        deliverySourceName=name, deliveryDestinationArn=made["deliveryDestination"]["arn"], recordFields=fields
    )
    return name


def test_access_logs_are_delivered_to_a_log_group_with_the_fields_that_were_asked_for(world: World) -> None:
    bucket, group = world.bucket(), log_group(world)
    deliver(world, bucket, group, FIELDS)
    before = world.clock.now()
    answer = world.s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"12345")
    world.settle()
    event, *_twice = [e for e in messages(world, group) if e["message"]["request_id"] == request_id(answer)]
    told = event["message"]
    assert list(told) == FIELDS
    assert (told["schema_version_id"], told["bucket_name"]) == ("V_1_0", bucket)
    assert (told["operation"], told["key_name"], told["http_status"]) == ("REST.PUT.OBJECT", "a b/ü", 200)
    received = datetime.fromisoformat(told["request_time"])
    assert before - timedelta(seconds=1) <= received
    channel = "server-access-cloudwatch"
    (told_of_it, *_) = [e for e in world.ledger() if (e["channel"], e["request_id"]) == (channel, request_id(answer))]
    assert told_of_it["drawn_delay_seconds"] > 60
    assert received.timestamp() <= told_of_it["completed_at"]
    assert due(told_of_it) <= event["ingestionTime"] / 1000 + 0.001


def test_a_copy_is_delivered_with_the_read_of_its_source(world: World) -> None:
    bucket, group = world.bucket(), log_group(world)
    deliver(world, bucket, group, ["operation", "request_id", "request_uri", "key_name"])
    world.s3.put_object(Bucket=bucket, Key="one", Body=b"x")
    answer = world.s3.copy_object(Bucket=bucket, Key="two", CopySource={"Bucket": bucket, "Key": "one"})
    world.settle()
    found = {
        e["message"]["operation"]: e["message"]
        for e in messages(world, group)
        if e["message"]["request_id"] == request_id(answer)
    }
    assert set(found) == {"REST.COPY.OBJECT", "REST.COPY.OBJECT_GET"}
    assert found["REST.COPY.OBJECT_GET"]["request_uri"] is None
    assert found["REST.COPY.OBJECT_GET"]["key_name"] == "one"


def test_a_delivery_goes_before_its_source_and_destination(world: World) -> None:
    bucket, group, logs = world.bucket(), log_group(world), world.session.client("logs")
    name = deliver(world, bucket, group, FIELDS)
    for delete in (logs.delete_delivery_source, logs.delete_delivery_destination):
        with pytest.raises(ClientError) as caught:
            delete(name=name)
        assert code_of(caught.value) == "ConflictException"
    (delivery,) = [d for d in logs.describe_deliveries()["deliveries"] if d["deliverySourceName"] == name]
    logs.delete_delivery(id=delivery["id"])
    logs.delete_delivery_source(name=name)
    logs.delete_delivery_destination(name=name)


def test_only_access_logs_can_be_delivered_of_a_bucket(world: World) -> None:
    logs = world.session.client("logs")
    with pytest.raises(ClientError) as caught:
        logs.put_delivery_source(name=world.name("s"), resourceArn=f"arn:aws:s3:::{world.bucket()}", logType="OTHER")
    assert code_of(caught.value) == "ValidationException"
    (template,) = logs.describe_configuration_templates(service="s3", logTypes=[LOG_TYPE])["configurationTemplates"]
    assert template["logType"] == LOG_TYPE


def test_a_trail_delivers_to_its_log_group_what_it_delivers_to_its_bucket(world: World) -> None:
    bucket, group = world.bucket(), log_group(world)
    with world.trail() as trail:
        world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*"
        world.cloudtrail.update_trail(
            Name=trail.name, CloudWatchLogsLogGroupArn=arn, CloudWatchLogsRoleArn=f"arn:aws:iam::{ACCOUNT}:role/r"
        )
        world.s3.delete_bucket_tagging(Bucket=bucket)
        world.s3.put_object(Bucket=bucket, Key="k", Body=b"")
        world.cloudtrail.update_trail(Name=trail.name, CloudWatchLogsLogGroupArn="", CloudWatchLogsRoleArn="")
        world.s3.get_bucket_location(Bucket=bucket)
    world.settle()
    told = {e["message"]["eventID"] for e in messages(world, group)}
    assert told == {e["eventID"] for e in trail.events(bucket) if e["eventName"] == "DeleteBucketTagging"}


def names(taken: list[dict[str, Any]], bucket: str) -> set[str]:
    details = [each["Body"]["detail"] for each in taken]
    return {d["eventName"] for d in details if d["requestParameters"].get("bucketName") == bucket}


def test_a_rule_takes_reads_of_the_management_kind_only_if_its_state_says_so(slower: World) -> None:
    bucket = slower.bucket()
    (_, usual, take_usual), (_, every, take_every) = queue(slower), queue(slower)
    (_, off, take_off) = queue(slower)
    data = selector(DATA, OBJECTS, ("resources.ARN", "StartsWith", [f"arn:aws:s3:::{bucket}/"]))
    management = selector(("eventCategory", "Equals", ["Management"]))
    with (
        slower.trail(AdvancedEventSelectors=[management, data]),
        rule(slower, "ENABLED", usual),
        rule(slower, ALL_MANAGEMENT, every),
        rule(slower, "DISABLED", off),
    ):
        slower.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
        slower.s3.get_bucket_location(Bucket=bucket)
        slower.s3.put_object(Bucket=bucket, Key="k", Body=b"")
        slower.s3.get_object(Bucket=bucket, Key="k")
        slower.settle()
    assert names(take_usual(), bucket) == {"PutBucketTagging", "PutObject", "GetObject"}
    assert names(take_every(), bucket) == {"PutBucketTagging", "GetBucketLocation", "PutObject", "GetObject"}
    assert take_off() == []
    envelope = take_every()[0]["Body"]
    assert envelope["detail-type"] == "AWS API Call via CloudTrail"
    assert envelope["source"] == "aws.s3"
    assert datetime.fromisoformat(envelope["time"]) == datetime.fromisoformat(envelope["detail"]["eventTime"])
    sent = int(take_every()[0]["Attributes"]["SentTimestamp"]) / 1000
    assert sent > datetime.fromisoformat(envelope["time"]).timestamp()


def test_without_a_logging_trail_a_rule_gets_nothing(slower: World) -> None:
    bucket, (_, arn, take) = slower.bucket(), queue(slower)
    with rule(slower, ALL_MANAGEMENT, arn):
        slower.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
        with slower.trail():  # management events only
            slower.s3.put_object(Bucket=bucket, Key="k", Body=b"")
        slower.settle()
    assert names(take(), bucket) == set()


def notify(world: World, bucket: str, arn: str, *events: str, **more: Any) -> None:
    configuration = {"QueueArn": arn, "Events": list(events), **more}
    world.s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )


def told_of(taken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for each in taken for record in each["Body"].get("Records", [])]


def test_s3_notifies_of_what_succeeded_with_the_ids_of_the_request(slower: World) -> None:
    bucket, (_, arn, take) = slower.bucket(), queue(slower)
    notify(
        slower, bucket, arn, "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAnnotation:*"
    )
    put = slower.s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"12345")
    slower.s3.get_object(Bucket=bucket, Key="a b/ü")
    tag = slower.s3.put_object_tagging(Bucket=bucket, Key="a b/ü", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    with suppress(ClientError):
        slower.s3.put_object(Bucket=bucket, Key="no", Body=b"", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==X")
    copy = slower.s3.copy_object(Bucket=bucket, Key="two", CopySource={"Bucket": bucket, "Key": "a b/ü"})
    batch = slower.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a b/ü"}, {"Key": "two"}]})
    slower.settle()
    found = {(r["eventName"], unquote_plus(r["s3"]["object"]["key"])): r for r in told_of(take())}
    assert {where: r["responseElements"]["x-amz-request-id"] for where, r in found.items()} == {
        ("ObjectCreated:Put", "a b/ü"): request_id(put),
        ("ObjectTagging:Put", "a b/ü"): request_id(tag),
        ("ObjectCreated:Copy", "two"): request_id(copy),
        ("ObjectRemoved:Delete", "a b/ü"): request_id(batch),
        ("ObjectRemoved:Delete", "two"): request_id(batch),
    }
    assert found["ObjectCreated:Put", "a b/ü"]["s3"]["object"]["size"] == 5
    assert [each["Body"]["Event"] for each in take() if "Event" in each["Body"]] == ["s3:TestEvent"]


def test_s3_notifies_of_the_events_and_keys_that_were_chosen(slower: World) -> None:
    bucket, (_, arn, take) = slower.bucket(), queue(slower)
    rules = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
    notify(slower, bucket, arn, "s3:ObjectRemoved:Delete", Filter=rules)
    for key in ("in/x", "out/x"):
        slower.s3.put_object(Bucket=bucket, Key=key, Body=b"")
        slower.s3.delete_object(Bucket=bucket, Key=key)
    slower.settle()
    assert {(r["eventName"], r["s3"]["object"]["key"]) for r in told_of(take())} == {("ObjectRemoved:Delete", "in/x")}


def look_up(world: World, attribute: str, value: str, **more: Any) -> list[dict[str, Any]]:
    pages = world.cloudtrail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}], **more
    )
    return [event for page in pages for event in page["Events"]]


def test_the_event_history_has_management_events_without_any_trail(world: World) -> None:
    bucket = world.bucket()
    answer = world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    world.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    world.settle()
    found = {event["EventName"]: event for event in look_up(world, "ResourceName", bucket)}
    assert set(found) == {"CreateBucket", "PutBucketTagging"}
    event = json.loads(found["PutBucketTagging"]["CloudTrailEvent"])
    assert event["requestID"] == request_id(answer)
    assert event["eventID"] == found["PutBucketTagging"]["EventId"]
    assert found["PutBucketTagging"]["Username"] == "s3logjam"
    assert look_up(world, "EventId", event["eventID"])[0]["EventName"] == "PutBucketTagging"
    after = datetime.fromisoformat(event["eventTime"]) + timedelta(seconds=1)
    assert look_up(world, "EventId", event["eventID"], StartTime=after) == []


def test_pages_of_the_event_history_hold_fifty_at_most_and_miss_nothing(world: World) -> None:
    bucket = world.bucket()
    for _ in range(60):
        world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    world.settle()
    found = look_up(world, "ResourceName", bucket)
    assert len({event["EventId"] for event in found}) == len(found) == 61
    times = [event["EventTime"] for event in found]
    assert times == sorted(times, reverse=True)
    assert world.server.page("lookups")["largest_page"] == 50
    for wrong, code in (
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}] * 2}, "InvalidLookupAttributes"),
    ):
        with pytest.raises(ClientError) as caught:
            world.cloudtrail.lookup_events(**wrong)
        assert code_of(caught.value).startswith(code)


def test_a_sixth_trail_of_a_region_is_refused(world: World) -> None:
    made: list[str] = []
    try:
        with pytest.raises(ClientError) as caught:
            for _ in range(6):
                name = world.name("trail")
                world.cloudtrail.create_trail(Name=name, S3BucketName=world.bucket("ct"))
                made.append(name)
        assert code_of(caught.value) == "MaximumNumberOfTrailsExceededException"
        assert len(made) <= 5
    finally:
        for name in made:
            world.cloudtrail.delete_trail(Name=name)


def test_policies_hold_for_the_other_services_too(world: World) -> None:
    iam = world.session.client("iam")
    statement = {"Effect": "Deny", "Action": "logs:Create*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="s3logjam", PolicyName="no-logs", PolicyDocument=document)
    try:
        with pytest.raises(ClientError) as caught:
            log_group(world)
        assert code_of(caught.value) == "AccessDeniedException"
        world.session.client("sqs").create_queue(QueueName=world.name("queue"))
    finally:
        iam.delete_user_policy(UserName="s3logjam", PolicyName="no-logs")
    log_group(world)


def test_some_messages_come_twice_as_at_least_once_means() -> None:
    with running_world(seed=3, factor=3_600) as world:
        bucket, (_, arn, take) = world.bucket(), queue(world)
        notify(world, bucket, arn, "s3:ObjectCreated:*")
        for number in range(300):
            world.s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"")
        world.settle()
        wait_until(lambda: len(told_of(take())) >= 300, "all notifications")
        seen = Counter(record["s3"]["object"]["key"] for record in told_of(take()))
        twice = {e["request_id"] for e in world.ledger() if e["channel"] == "s3-notification" and e["copy"]}
    assert len(seen) == 300
    assert 1 <= sum(count > 1 for count in seen.values()) == len(twice) <= 15


def test_a_receive_that_waits_finds_what_is_there_however_fast_the_clock_is(world: World) -> None:
    """A second is over in 14 microseconds here: moto alone would not look at all."""
    sqs, name = world.session.client("sqs"), world.name("queue")
    url = sqs.create_queue(QueueName=name, Attributes={"MessageRetentionPeriod": str(14 * 86_400)})["QueueUrl"]
    for _ in range(20):
        sqs.send_message(QueueUrl=url, MessageBody="x")
        (found,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)


def test_more_than_two_lookups_a_second_are_throttled_and_counted() -> None:
    # A second lasts a hundred here: four requests are within one on any machine.
    with running_world(seed=3, factor=0.01) as world:
        client = world.session.client("cloudtrail", config=Config(retries={"total_max_attempts": 1}))
        codes = []
        for _ in range(4):
            with suppress(ClientError):
                client.lookup_events(MaxResults=1)
                codes.append("answered")
        counts = world.server.page("lookups")
    assert len(codes) == 2
    assert {name: counts[name] for name in ("requests", "throttled", "most_in_a_second")} == {
        "requests": 4,
        "throttled": 2,
        "most_in_a_second": 4,
    }
