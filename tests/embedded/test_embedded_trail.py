"""CloudTrail files: their keys, which calls become events, and what an event says."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from embedded_kit import ACCOUNT, REGION, Event, World, due, event_time, selector

DATA = ("eventCategory", "Equals", ["Data"])
OBJECTS = ("resources.type", "Equals", ["AWS::S3::Object"])
ALL_DATA = {"AdvancedEventSelectors": [selector(DATA, OBJECTS)]}
EVERYTHING = {
    "AdvancedEventSelectors": [selector(("eventCategory", "Equals", ["Management"])), selector(DATA, OBJECTS)]
}


def names(events: list[Event]) -> list[str]:
    return sorted(event["eventName"] for event in events)


def of(events: list[Event], answer: Any) -> Event:
    """Return the one event of a call."""
    (event,) = [event for event in events if event["requestID"] == answer["ResponseMetadata"]["RequestId"]]
    return event


# Files.


@pytest.mark.parametrize("prefix", ["", "some/prefix"])
def test_files_are_gzipped_json_under_account_region_and_day(world: World, prefix: str) -> None:
    bucket = world.bucket()
    with world.trail(prefix=prefix) as trail:
        world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    files = trail.files()
    assert files
    folder = f"{prefix}/" if prefix else ""
    pattern = (
        f"{folder}AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/(\\d{{4}})/(\\d\\d)/(\\d\\d)/"
        f"{ACCOUNT}_CloudTrail_{REGION}_(\\d{{8}}T\\d{{4}}Z)_[A-Za-z0-9]{{16}}\\.json\\.gz"
    )
    ledger = world.ledger()
    stored = {
        entry["Key"]: entry["LastModified"] for entry in world.s3.list_objects_v2(Bucket=trail.bucket)["Contents"]
    }
    for key, records in files.items():
        match = re.fullmatch(pattern, key)
        assert match, key
        stamp = datetime.strptime(match[4], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        assert f"{stamp:%Y%m%d}" == match[1] + match[2] + match[3]
        assert stamp.minute % 5 == 0
        assert stamp <= stored[key] <= world.clock.now()
        carried = [due(entry) for entry in ledger if entry["object"] == f"s3://{trail.bucket}/{key}"]
        assert len(carried) == len(records)
        assert max(carried) <= stamp.timestamp()
        assert all(event_time(record) <= stored[key] for record in records)
        head = world.s3.head_object(Bucket=trail.bucket, Key=key)
        assert head["ContentType"] == "application/x-gzip"


def test_each_trail_has_files_of_its_own(world: World) -> None:
    bucket = world.bucket()
    with world.trail() as one, world.trail() as other:
        answer = world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    assert of(one.events(bucket), answer) == of(other.events(bucket), answer)


# Which calls become events.


def test_a_trail_takes_management_events_only_unless_told_otherwise(world: World) -> None:
    with world.trail() as trail:
        bucket = world.bucket()
        world.s3.put_object(Bucket=bucket, Key="k", Body=b"")
        world.s3.get_bucket_location(Bucket=bucket)
        world.s3.list_objects_v2(Bucket=bucket)
        world.s3.delete_object(Bucket=bucket, Key="k")
        world.s3.delete_bucket(Bucket=bucket)
    assert names(trail.events(bucket)) == ["CreateBucket", "DeleteBucket", "GetBucketLocation"]
    assert {event["managementEvent"] for event in trail.events()} == {True}


def test_nothing_is_recorded_before_logging_starts_or_after_it_stops(world: World) -> None:
    bucket, client = world.bucket(), world.cloudtrail
    with world.trail(**EVERYTHING) as trail:
        client.stop_logging(Name=trail.name)
        world.s3.put_object(Bucket=bucket, Key="before", Body=b"")
        client.start_logging(Name=trail.name)
        world.s3.put_object(Bucket=bucket, Key="during", Body=b"")
        client.stop_logging(Name=trail.name)
        world.s3.put_object(Bucket=bucket, Key="after", Body=b"")
    assert [event["requestParameters"]["key"] for event in trail.events(bucket)] == ["during"]


def test_a_trail_that_never_started_records_nothing(world: World) -> None:
    name, bucket = world.name("trail"), world.bucket("ct")
    world.cloudtrail.create_trail(Name=name, S3BucketName=bucket)
    world.bucket()
    world.settle()
    assert world.objects(bucket) == {}


def test_a_trail_of_another_region_records_only_if_it_is_for_all_regions(world: World) -> None:
    bucket = world.bucket()
    with world.trail(region="eu-west-1") as trail:
        world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
        client = world.session.client("cloudtrail", region_name="eu-west-1")
        client.update_trail(Name=trail.name, IsMultiRegionTrail=True)
        world.s3.delete_bucket_tagging(Bucket=bucket)
    assert names(trail.events(bucket)) == ["DeleteBucketTagging"]


def test_a_deleted_trail_records_nothing_more(world: World) -> None:
    bucket = world.bucket()
    with world.trail() as trail:
        world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
        world.cloudtrail.stop_logging(Name=trail.name)
        world.cloudtrail.delete_trail(Name=trail.name)
        world.s3.delete_bucket_tagging(Bucket=bucket)
        world.cloudtrail.create_trail(Name=trail.name, S3BucketName=trail.bucket)
    assert names(trail.events(bucket)) == ["PutBucketTagging"]


def basic(*arns: str, **changes: Any) -> dict[str, Any]:
    resources = [{"Type": "AWS::S3::Object", "Values": list(arns)}] if arns else []
    return {
        "EventSelectors": [
            {"ReadWriteType": "All", "IncludeManagementEvents": False, "DataResources": resources} | changes
        ]
    }


def advanced(*conditions: tuple[str, str, list[str]]) -> dict[str, Any]:
    return {"AdvancedEventSelectors": [selector(DATA, OBJECTS, *conditions)]}


def test_selectors_choose_the_data_events(world: World) -> None:
    """The same calls for every four trails, each with its own selectors: there may be five at once."""
    one, other = world.bucket("one"), world.bucket("other")
    arn = f"arn:aws:s3:::{one}/"
    selections = {
        "basic, all": (basic("arn:aws:s3"), "one:Put one:Get one:Delete other:Put"),
        "basic, one bucket": (basic(arn), "one:Put one:Get one:Delete"),
        "basic, prefix": (basic(arn + "fold"), "one:Put one:Get one:Delete"),
        "basic, other prefix": (basic(arn + "x"), ""),
        "basic, reads": (basic("arn:aws:s3", ReadWriteType="ReadOnly"), "one:Get"),
        "basic, writes": (basic("arn:aws:s3", ReadWriteType="WriteOnly"), "one:Put one:Delete other:Put"),
        "Equals": (advanced(("eventName", "Equals", ["PutObject"])), "one:Put other:Put"),
        "NotEquals": (advanced(("eventName", "NotEquals", ["PutObject", "GetObject"])), "one:Delete"),
        "StartsWith": (advanced(("resources.ARN", "StartsWith", [arn])), "one:Put one:Get one:Delete"),
        "NotStartsWith": (advanced(("resources.ARN", "NotStartsWith", [arn])), "other:Put"),
        "ARN Equals": (advanced(("resources.ARN", "Equals", [arn + "folder/k"])), "one:Put one:Get one:Delete"),
        "readOnly": (advanced(("readOnly", "Equals", ["true"])), "one:Get"),
        "not readOnly": (advanced(("readOnly", "Equals", ["false"])), "one:Put one:Delete other:Put"),
    }
    trails = {}
    for first in range(0, len(selections), 4):
        with ExitStack() as stack:
            for name, (chosen, _) in list(selections.items())[first : first + 4]:
                trails[name] = stack.enter_context(world.trail(**chosen))
            world.s3.put_object(Bucket=one, Key="folder/k", Body=b"")
            world.s3.get_object(Bucket=one, Key="folder/k")
            world.s3.delete_object(Bucket=one, Key="folder/k")
            world.s3.put_object(Bucket=other, Key="folder/k", Body=b"")
    taken = {
        name: sorted(
            f"{label}:{event['eventName'].removesuffix('Object')}"
            for label, bucket in (("one", one), ("other", other))
            for event in trail.events(bucket)
        )
        for name, trail in trails.items()
    }
    assert taken == {name: sorted(wanted.split()) for name, (_, wanted) in selections.items()}


# What an event says.


def test_an_event_names_who_what_when_and_where(world: World) -> None:
    bucket, before = world.bucket(), world.clock.now().replace(microsecond=0)
    with world.trail(**ALL_DATA) as trail:
        answer = world.s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"12345", StorageClass="STANDARD_IA")
    after = world.clock.now()
    event = of(trail.events(bucket), answer)
    assert before <= event_time(event) <= after
    assert UUID(event["eventID"])
    expected = {
        "eventName": "PutObject",
        "eventSource": "s3.amazonaws.com",
        "awsRegion": REGION,
        "sourceIPAddress": "127.0.0.1",
        "eventType": "AwsApiCall",
        "readOnly": False,
        "managementEvent": False,
        "eventCategory": "Data",
        "recipientAccountId": ACCOUNT,
    }
    assert {name: event[name] for name in expected} == expected
    assert event["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/s3logjam"
    assert event["userIdentity"]["accessKeyId"].startswith("AKIA")
    assert re.fullmatch(r"\[Boto3/.+\]", event["userAgent"])
    assert event["requestParameters"] == {
        "Host": world.host(bucket),
        "bucketName": bucket,
        "key": "a b/ü",
        "x-amz-storage-class": "STANDARD_IA",
    }
    assert {(each["type"], each["ARN"]) for each in event["resources"]} == {
        ("AWS::S3::Object", f"arn:aws:s3:::{bucket}/a b/ü"),
        ("AWS::S3::Bucket", f"arn:aws:s3:::{bucket}"),
    }
    additional = event["additionalEventData"]
    assert additional["x-amz-id-2"] == answer["ResponseMetadata"]["HostId"]
    assert (additional["SignatureVersion"], additional["AuthenticationMethod"]) == ("SigV4", "AuthHeader")
    assert (additional["bytesTransferredIn"], additional["bytesTransferredOut"]) == (5, 0)
    assert (additional["httpStatusCode"], additional["objectSize"]) == (200, 5)
    assert before.timestamp() * 1000 <= additional["startTime"] <= additional["endTime"] <= after.timestamp() * 1000
    assert "errorCode" not in event


def test_every_event_has_an_id_of_its_own(world: World) -> None:
    bucket = world.bucket()
    with world.trail(**EVERYTHING) as trail:
        for number in range(10):
            world.s3.put_object(Bucket=bucket, Key=str(number), Body=b"")
    ids = [event["eventID"] for event in trail.events(bucket)]
    assert len(ids) == len(set(ids)) == 10


def test_a_refused_call_has_an_error_code(world: World) -> None:
    bucket = world.bucket()
    s3 = world.s3
    with world.trail(**EVERYTHING) as trail:
        for call, parameters in (
            (s3.get_object, {"Key": "none"}),
            (s3.head_object, {"Key": "none"}),
            (s3.get_bucket_website, {}),
        ):
            with pytest.raises(ClientError):
                call(Bucket=bucket, **parameters)
        s3.put_object(Bucket=bucket, Key="k", Body=b"")
    found = {
        event["eventName"]: (event.get("errorCode"), event["additionalEventData"]["httpStatusCode"])
        for event in trail.events(bucket)
    }
    assert found == {
        "GetObject": ("NoSuchKey", 404),
        "HeadObject": ("NoSuchKey", 404),
        "GetBucketWebsite": ("NoSuchWebsiteConfiguration", 404),
        "PutObject": (None, 200),
    }


def test_an_anonymous_call_is_recorded_without_an_identity(world: World) -> None:
    bucket = world.bucket()
    with world.trail(**ALL_DATA) as trail:
        assert world.fetch(f"https://{world.host(bucket)}/k").status == 403
    (event,) = trail.events(bucket)
    assert (event["eventName"], event["errorCode"]) == ("GetObject", "AccessDenied")
    assert (event["userIdentity"]["type"], event["userIdentity"]["accountId"]) == ("AWSAccount", "anonymous")
    assert not {"SignatureVersion", "AuthenticationMethod"} & event["additionalEventData"].keys()


def test_a_call_for_a_bucket_that_does_not_exist_is_recorded(world: World) -> None:
    """A server access log has no place for it: there is no bucket whose configuration could tell where."""
    name = world.name("nobody-made-this")
    with world.trail() as trail, pytest.raises(ClientError):
        world.s3.get_bucket_tagging(Bucket=name)
    (event,) = trail.events(name)
    assert (event["eventName"], event["errorCode"]) == ("GetBucketTagging", "NoSuchBucket")


def test_a_copy_is_two_events_with_one_host_id(world: World) -> None:
    source, target = world.bucket(), world.bucket()
    world.s3.put_object(Bucket=source, Key="from", Body=b"12345")
    with world.trail(**ALL_DATA) as trail:
        answer = world.s3.copy_object(Bucket=target, Key="to", CopySource={"Bucket": source, "Key": "from"})
    own, read = of(trail.events(target), answer), trail.events(source)[0]
    assert (own["eventName"], own["requestParameters"]["key"], own["readOnly"]) == ("CopyObject", "to", False)
    assert (read["eventName"], read["requestParameters"]["key"], read["readOnly"]) == ("GetObject", "from", True)
    assert read["requestID"] != own["requestID"]
    assert re.fullmatch("[A-Z0-9]{16}", read["requestID"])
    assert read["additionalEventData"]["x-amz-id-2"] == own["additionalEventData"]["x-amz-id-2"]
    assert (read["sourceIPAddress"], read["userAgent"]) == ("AWS Internal", "AWS Internal")
    assert (len(trail.events(source)), len(trail.events(target))) == (1, 1)


def test_the_events_of_a_copy_are_selected_each_on_its_own(world: World) -> None:
    source, target = world.bucket(), world.bucket()
    world.s3.put_object(Bucket=source, Key="from", Body=b"")
    with (
        world.trail(**basic(f"arn:aws:s3:::{source}/")) as reads,
        world.trail(**basic(f"arn:aws:s3:::{target}/")) as writes,
    ):
        world.s3.copy_object(Bucket=target, Key="to", CopySource={"Bucket": source, "Key": "from"})
    assert (names(reads.events()), names(writes.events())) == (["GetObject"], ["CopyObject"])


def test_a_batch_delete_of_n_keys_is_one_event_and_n_service_events(world: World) -> None:
    bucket, keys = world.bucket(), ["a", "b c", "none"]
    for key in keys[:2]:
        world.s3.put_object(Bucket=bucket, Key=key, Body=b"")
    everything_but_members = advanced(("eventType", "NotEquals", ["AwsServiceEvent"]))
    with world.trail(**ALL_DATA) as trail, world.trail(**everything_but_members) as without:
        answer = world.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    events = trail.events(bucket)
    own = [event for event in events if event["eventName"] == "DeleteObjects"]
    members = [event for event in events if event["eventName"] == "DeleteObject"]
    assert (len(events), len(own), len(members)) == (4, 1, 3)
    assert of(own, answer)["eventType"] == "AwsApiCall"
    assert {event["eventType"] for event in members} == {"AwsServiceEvent"}
    assert sorted(event["requestParameters"]["key"] for event in members) == sorted(keys)
    assert {event["resources"][0]["ARN"] for event in members} == {f"arn:aws:s3:::{bucket}/{key}" for key in keys}
    transferred = ("bytesTransferredIn", "bytesTransferredOut")
    assert [own[0]["additionalEventData"][name] for name in transferred] == [0, 0]
    assert names(without.events(bucket)) == ["DeleteObjects"]


def test_bodies_appear_as_json_in_the_request_parameters(world: World) -> None:
    bucket = world.bucket()
    with world.trail() as trail:
        world.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "k", "Value": "ünï & <v>"}]})
        rules = [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://example.com"]}]
        world.s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
        world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        world.s3.put_bucket_metrics_configuration(Bucket=bucket, Id="m", MetricsConfiguration={"Id": "m"})
    found = {event["eventName"]: event["requestParameters"] for event in trail.events(bucket)}
    namespace = {"xmlns": "http://s3.amazonaws.com/doc/2006-03-01/"}
    tags = {"TagSet": {"Tag": {"Key": "k", "Value": "ünï & <v>"}}}
    cors = {"CORSRule": {"AllowedMethod": ["GET", "PUT"], "AllowedOrigin": "https://example.com"}}
    assert found["PutBucketTagging"]["Tagging"] == tags | namespace
    assert found["PutBucketTagging"]["tagging"] == ""
    assert found["PutBucketCors"]["CORSConfiguration"] == cors | namespace
    assert found["PutBucketVersioning"]["VersioningConfiguration"] == {"Status": "Enabled"} | namespace
    assert found["PutBucketMetricsConfiguration"]["MetricsConfiguration"] == {"Id": "m"} | namespace
    assert found["PutBucketMetricsConfiguration"]["id"] == "m"


def test_a_bucket_policy_appears_as_json(world: World) -> None:
    bucket = world.bucket()
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/no"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    with world.trail() as trail:
        world.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    (event,) = trail.events(bucket)
    assert event["requestParameters"]["bucketPolicy"] == policy


def test_the_bodies_of_objects_and_batch_deletes_do_not_appear(world: World) -> None:
    bucket = world.bucket()
    with world.trail(**ALL_DATA) as trail:
        world.s3.put_object(Bucket=bucket, Key="k", Body=b"<Private>42</Private>")
        world.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    for event in trail.events(bucket):
        assert not {"Private", "Delete"} & event["requestParameters"].keys()
        assert "42" not in json.dumps(event["requestParameters"]).replace(bucket, "")


def test_secrets_of_a_request_appear_in_no_event(world: World) -> None:
    bucket = world.bucket()
    world.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    client = world.session.client("s3", config=Config(signature_version="s3v4"))
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    with world.trail(**ALL_DATA) as trail:
        assert world.fetch(url).status == 200
        world.s3.put_object(Bucket=bucket, Key="c", Body=b"", SSECustomerAlgorithm="AES256", SSECustomerKey="0" * 32)
    events = trail.events(bucket)
    methods = sorted(event["additionalEventData"]["AuthenticationMethod"] for event in events)
    assert methods == ["AuthHeader", "QueryString"]
    for event in events:
        shown = {name.lower() for name in event["requestParameters"]}
        assert not shown & {"x-amz-signature", "authorization", "x-amz-security-token"}
        assert url.rpartition("=")[2] not in json.dumps(event)
        assert not any("customer-key" in name for name in shown)


def test_a_list_is_recorded_with_the_prefix_it_asked_for(world: World) -> None:
    bucket = world.bucket()
    with world.trail(**ALL_DATA) as trail:
        world.s3.list_objects_v2(Bucket=bucket, Prefix="folder/")
    (event,) = trail.events(bucket)
    assert (event["eventName"], event["readOnly"]) == ("ListObjects", True)
    assert {"type": "AWS::S3::Object", "ARNPrefix": f"arn:aws:s3:::{bucket}/folder/"} in event["resources"]
