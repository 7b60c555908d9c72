"""Server access log objects: their keys, and one line of 27 fields for every request to a bucket that is logged."""

from __future__ import annotations

import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from embedded_kit import (
    ACCOUNT,
    REGION,
    World,
    due,
    event_time,
    finish,
    line_time,
    selector,
    split_line,
    wait_until,
)

from harness.targets import Credentials

STAMP = r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"
UNIQUE = "[0-9A-F]{16}"


def failed(call: Callable[..., Any], **parameters: Any) -> str:
    """Make a call that is refused; return its request id."""
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return str(refused.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])


# Where log objects go.


def test_a_simple_prefix_is_glued_to_the_time_of_delivery(world: World) -> None:
    source, log_bucket = world.bucket(), world.log_bucket()
    world.log_to(source, log_bucket, "logs/without-a-slash")
    world.s3.put_object(Bucket=source, Key="k", Body=b"")
    world.settle()
    entries = world.s3.list_objects_v2(Bucket=log_bucket)["Contents"]
    assert entries
    for entry in entries:
        match = re.fullmatch(f"logs/without-a-slash({STAMP})-{UNIQUE}", entry["Key"])
        assert match, entry["Key"]
        named = datetime.strptime(match[1], "%Y-%m-%d-%H-%M-%S").replace(tzinfo=UTC)
        assert named <= entry["LastModified"] <= world.clock.now()
        assert named.timestamp() >= math.floor(last_due(world, log_bucket, entry["Key"]))


def last_due(world: World, bucket: str, key: str) -> float:
    """Return before when a log object may not be written, by what the ledger says was drawn for its records."""
    return max(due(entry) for entry in world.ledger() if entry["object"] == f"s3://{bucket}/{key}")


@pytest.mark.parametrize("key_format", [{}, {"SimplePrefix": {}}], ids=["none", "simple"])
def test_the_prefix_is_simple_unless_it_is_partitioned(world: World, key_format: dict[str, Any]) -> None:
    source, log_bucket = world.bucket(), world.log_bucket()
    world.log_to(source, log_bucket, **key_format)
    world.settle()
    found = world.objects(log_bucket)
    assert found
    assert all(re.fullmatch(f"{STAMP}-{UNIQUE}", key) for key in found)


def test_a_prefix_partitioned_by_delivery_time_names_account_region_bucket_and_day(world: World) -> None:
    source, log_bucket = world.bucket(), world.log_bucket()
    world.log_to(source, log_bucket, "p/", PartitionedPrefix={"PartitionDateSource": "DeliveryTime"})
    world.s3.put_object(Bucket=source, Key="k", Body=b"")
    world.settle()
    found = world.objects(log_bucket)
    assert found
    for key in found:
        match = re.fullmatch(f"p/{ACCOUNT}/{REGION}/{source}/(?P<day>\\d{{4}}/\\d\\d/\\d\\d)/({STAMP})-{UNIQUE}", key)
        assert match, key
        assert match[2].startswith(match["day"].replace("/", "-"))
    delivered = {entry["object"]: entry["delivered_at"] for entry in world.ledger() if entry["source"] == source}
    for key in found:
        named = datetime.strptime(key.rsplit("/", 1)[1][:19], "%Y-%m-%d-%H-%M-%S").replace(tzinfo=UTC)
        assert math.floor(last_due(world, log_bucket, key)) <= named.timestamp()
        assert named.timestamp() <= delivered[f"s3://{log_bucket}/{key}"]


@pytest.mark.parametrize(
    "partitioned", [{"PartitionDateSource": "EventTime"}, {}], ids=["event time", "no date source is event time"]
)
def test_a_prefix_partitioned_by_event_time_has_the_day_of_the_events(
    world: World, partitioned: dict[str, Any]
) -> None:
    source, log_bucket = world.bucket(), world.log_bucket()
    world.log_to(source, log_bucket, "p/", PartitionedPrefix=partitioned)
    world.s3.put_object(Bucket=source, Key="k", Body=b"")
    world.settle()
    assert_partitioned_by_event(world, source, log_bucket)


def assert_partitioned_by_event(world: World, source: str, log_bucket: str) -> None:
    found = world.objects(log_bucket)
    assert found
    for key, body in found.items():
        match = re.fullmatch(f"p/{ACCOUNT}/{REGION}/{source}/(.+)/([0-9-]+)-{UNIQUE}", key)
        assert match, key
        (day,) = {line_time(split_line(line)).date() for line in body.decode().splitlines()}
        assert (match[1], match[2]) == (f"{day:%Y/%m/%d}", f"{day:%Y-%m-%d}-00-00-00")


def put_over_midnight(world: World, bucket: str, nights: int) -> tuple[datetime, datetime, str]:
    """Send a request, and the end of its body some nights later; returns when each was sent, and its id."""
    begun = world.clock.now()
    connection = world.begin("PUT", world.host(bucket), "/slow", b"body")
    connection.send(b"bo")
    wait_until(lambda: (world.clock.now().date() - begun.date()).days >= nights, "midnight")
    resumed = world.clock.now()
    connection.send(b"dy")
    answer = finish(connection)
    assert answer.status == 200
    return begun, resumed, answer.one("x-amz-request-id")


def test_a_request_over_midnight_is_logged_on_the_day_it_arrived(world: World) -> None:
    """The line's time is that of arrival, a CloudTrail event's that of completion (delivery notes, section 5)."""
    source, log_bucket = world.bucket(), world.log_bucket()
    world.log_to(source, log_bucket, "p/", PartitionedPrefix={"PartitionDateSource": "EventTime"})
    everything = selector(("eventCategory", "Equals", ["Data"]), ("resources.type", "Equals", ["AWS::S3::Object"]))
    with world.trail(AdvancedEventSelectors=[everything]) as trail:
        for nights in (1, 2, 4, 8):
            begun, resumed, request_id = put_over_midnight(world, source, nights)
            line = world.line(request_id)
            if line_time(line).date() < resumed.date():
                break  # else it was still on its way at the last midnight: a night lasts a second here
        (event,) = [each for each in trail.events(source) if each["requestID"] == request_id]
    assert begun.replace(microsecond=0) <= line_time(line)
    assert line_time(line).date() < resumed.date() <= event_time(event).date()
    assert_partitioned_by_event(world, source, log_bucket)


def test_log_objects_are_plain_text(world: World) -> None:
    _source, log_bucket = world.logged_bucket()
    world.settle()
    found = world.objects(log_bucket)
    assert found
    for key in found:
        assert world.s3.head_object(Bucket=log_bucket, Key=key)["ContentType"] == "text/plain"


def test_two_buckets_share_a_log_bucket_but_no_log_object(world: World) -> None:
    log_bucket = world.log_bucket()
    sources = {world.bucket() for _ in range(2)}
    for source in sources:
        world.log_to(source, log_bucket)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda bucket: world.s3.put_object(Bucket=bucket, Key="k", Body=b""), [*sources] * 20))
    world.settle()
    found = [
        {split_line(line)["bucket"] for line in body.decode().splitlines()}
        for body in world.objects(log_bucket).values()
    ]
    assert all(len(buckets) == 1 for buckets in found)
    assert set().union(*found) == sources


def test_deliveries_go_on_after_a_log_bucket_is_gone(world: World) -> None:
    lost, lost_logs = world.logged_bucket()
    kept, _ = world.logged_bucket()
    world.settle()
    for key in world.objects(lost_logs):
        world.s3.delete_object(Bucket=lost_logs, Key=key)
    world.s3.delete_bucket(Bucket=lost_logs)
    world.s3.put_object(Bucket=lost, Key="k", Body=b"")
    answer = world.s3.put_object(Bucket=kept, Key="k", Body=b"")
    assert world.line(answer["ResponseMetadata"]["RequestId"])
    delivered = {entry["operation"]: entry["delivered_at"] for entry in world.ledger() if entry["source"] == lost}
    assert delivered["PutBucketLogging"]
    assert delivered["PutObject"] is None


# What a line says.


def test_a_line_has_the_27_fields_of_its_request(world: World) -> None:
    source, _ = world.logged_bucket()
    before = world.clock.now().replace(microsecond=0)
    answer = world.send(
        "PUT",
        world.host(source),
        "/folder/key?x-note=1",
        b"12345",
        {"User-Agent": "agent/1 (x; y)", "Referer": "https://r.example/"},
    )
    after = world.clock.now()
    line = world.line(answer.one("x-amz-request-id"))
    assert before <= line_time(line) <= after
    assert re.fullmatch("[0-9a-f]{64}", line["bucket_owner"])
    assert int(line["total_time"]) >= int(line["turn_around_time"]) > 0
    expected = {
        "bucket": source,
        "remote_ip": "127.0.0.1",
        "requester": f"arn:aws:iam::{ACCOUNT}:user/s3logjam",
        "operation": "REST.PUT.OBJECT",
        "key": "folder/key",
        "request_uri": "PUT /folder/key?x-note=1 HTTP/1.1",
        "http_status": "200",
        "error_code": "-",
        "bytes_sent": "-",
        "object_size": "5",
        "referer": "https://r.example/",
        "user_agent": "agent/1 (x; y)",
        "version_id": "-",
        "host_id": answer.one("x-amz-id-2"),
        "signature_version": "SigV4",
        "cipher_suite": "-",
        "authentication_type": "AuthHeader",
        "host_header": world.host(source),
        "tls_version": "-",
        "access_point_arn": "-",
        "acl_required": "-",
        "source_region": "-",
    }
    assert {name: line[name] for name in expected} == expected


def test_every_request_has_one_line_whatever_its_outcome(world: World) -> None:
    source, log_bucket = world.logged_bucket()
    s3 = world.s3
    stored = s3.put_object(Bucket=source, Key="k", Body=b"0123456789")
    s3.put_object(Bucket=source, Key="cold", Body=b"x", StorageClass="GLACIER")
    wanted = {
        failed(s3.get_object, Bucket=source, Key="none"): ("REST.GET.OBJECT", "404", "NoSuchKey"),
        failed(s3.head_object, Bucket=source, Key="none"): ("REST.HEAD.OBJECT", "404", "NoSuchKey"),
        failed(s3.get_object, Bucket=source, Key="cold"): ("REST.GET.OBJECT", "403", "InvalidObjectState"),
        failed(s3.get_object, Bucket=source, Key="k", IfMatch="x"): ("REST.GET.OBJECT", "412", "PreconditionFailed"),
        failed(s3.get_object, Bucket=source, Key="k", Range="bytes=99-"): ("REST.GET.OBJECT", "416", "InvalidRange"),
        failed(s3.get_object, Bucket=source, Key="k", IfNoneMatch=stored["ETag"]): ("REST.GET.OBJECT", "304", "-"),
        failed(s3.get_bucket_website, Bucket=source): ("REST.GET.WEBSITE", "404", "NoSuchWebsiteConfiguration"),
        failed(s3.delete_bucket, Bucket=source): ("REST.DELETE.BUCKET", "409", "BucketNotEmpty"),
        s3.head_bucket(Bucket=source)["ResponseMetadata"]["RequestId"]: ("REST.HEAD.BUCKET", "200", "-"),
        s3.get_bucket_acl(Bucket=source)["ResponseMetadata"]["RequestId"]: ("REST.GET.ACL", "200", "-"),
        s3.delete_object(Bucket=source, Key="k")["ResponseMetadata"]["RequestId"]: ("REST.DELETE.OBJECT", "204", "-"),
    }
    lines = world.access_lines(log_bucket)
    found = {line["request_id"]: (line["operation"], line["http_status"], line["error_code"]) for line in lines}
    assert {request_id: found.get(request_id) for request_id in wanted} == wanted
    assert set(Counter(line["request_id"] for line in lines).values()) == {1}


def test_a_request_denied_by_the_bucket_policy_is_logged_as_403(world: World) -> None:
    source, _ = world.logged_bucket()
    world.s3.put_object(Bucket=source, Key="k", Body=b"secret")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{source}/*"}
    world.s3.put_bucket_policy(Bucket=source, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    request_id = failed(world.s3.get_object, Bucket=source, Key="k")
    line = world.line(request_id)
    assert (line["http_status"], line["error_code"], line["turn_around_time"]) == ("403", "AccessDenied", "-")


def test_an_anonymous_request_is_logged_without_requester_and_signature(world: World) -> None:
    source, _ = world.logged_bucket()
    world.s3.put_object(Bucket=source, Key="k", Body=b"secret")
    answer = world.fetch(f"https://{world.host(source)}/k")
    assert answer.status == 403
    line = world.line(answer.one("x-amz-request-id"))
    assert (line["operation"], line["http_status"], line["error_code"]) == ("REST.GET.OBJECT", "403", "AccessDenied")
    assert [line[name] for name in ("requester", "signature_version", "authentication_type")] == ["-"] * 3


def test_a_request_with_a_wrong_signature_is_logged_as_403(world: World) -> None:
    source, _ = world.logged_bucket()
    stranger = world.target.session(Credentials("AKIAS3LOGJAMEMBEDDED", "wrong")).client("s3")
    request_id = failed(stranger.get_object, Bucket=source, Key="k")
    line = world.line(request_id)
    assert (line["http_status"], line["error_code"]) == ("403", "SignatureDoesNotMatch")


def test_a_request_that_is_no_operation_has_a_line_too(world: World) -> None:
    source, _ = world.logged_bucket()
    answer = world.send("DELETE", world.host(source), "/?futureThing")
    line = world.line(answer.one("x-amz-request-id"))
    assert (line["http_status"], line["error_code"]) == ("501", "NotImplemented")
    assert line["request_uri"] == "DELETE /?futureThing HTTP/1.1"


def test_sizes_are_of_the_body_sent_and_of_the_whole_object(world: World) -> None:
    source, _ = world.logged_bucket()
    s3 = world.s3
    stored = s3.put_object(Bucket=source, Key="k", Body=io.BytesIO(b"0123456789"))
    part = s3.get_object(Bucket=source, Key="k", Range="bytes=2-4")
    head = s3.head_object(Bucket=source, Key="k")
    deleted = s3.delete_object(Bucket=source, Key="k")
    listed = s3.get_bucket_location(Bucket=source)
    answers = (stored, part, head, deleted)
    found = [world.line(answer["ResponseMetadata"]["RequestId"]) for answer in answers]
    assert [(line["bytes_sent"], line["object_size"]) for line in found] == [
        ("-", "10"),
        ("3", "10"),
        ("-", "10"),
        ("-", "10"),
    ]
    location = world.line(listed["ResponseMetadata"]["RequestId"])
    assert int(location["bytes_sent"]) > 0
    assert location["object_size"] == "-"


def test_the_version_asked_for_is_logged_and_not_the_one_made(world: World) -> None:
    source, _ = world.logged_bucket()
    s3 = world.s3
    s3.put_bucket_versioning(Bucket=source, VersioningConfiguration={"Status": "Enabled"})
    stored = s3.put_object(Bucket=source, Key="k", Body=b"")
    read = s3.get_object(Bucket=source, Key="k", VersionId=stored["VersionId"])
    assert world.line(stored["ResponseMetadata"]["RequestId"])["version_id"] == "-"
    assert world.line(read["ResponseMetadata"]["RequestId"])["version_id"] == stored["VersionId"]


def test_a_call_that_sets_an_acl_says_so(world: World) -> None:
    source, _ = world.logged_bucket(ObjectOwnership="ObjectWriter")
    s3 = world.s3
    answers = [
        s3.put_bucket_acl(Bucket=source, ACL="private"),
        s3.put_object(Bucket=source, Key="k", Body=b"", ACL="private"),
        s3.put_object(Bucket=source, Key="k", Body=b""),
    ]
    found = [world.line(answer["ResponseMetadata"]["RequestId"])["acl_required"] for answer in answers]
    assert found == ["Yes", "Yes", "-"]


@pytest.mark.parametrize(
    ("key", "logged"),
    [
        ("plain/key-1_2.txt", "plain/key-1_2.txt"),
        ("a b", "a%2Bb"),
        ("a+b", "a%252Bb"),
        ("100%", "100%2525"),
        ("ü/日", "%25C3%25BC/%25E6%2597%25A5"),
        ('"quoted"', "%2522quoted%2522"),
        ("line\nbreak", "line%250Abreak"),
    ],
)
def test_a_key_is_url_encoded_twice(world: World, key: str, logged: str) -> None:
    """As in native records: a space gives %2B, a plus %252B, and slashes are kept."""
    source, _ = world.logged_bucket()
    answer = world.s3.put_object(Bucket=source, Key=key, Body=b"")
    line = world.line(answer["ResponseMetadata"]["RequestId"])
    assert line["key"] == logged


def test_the_request_uri_keeps_the_encoding_of_the_wire(world: World) -> None:
    source, _ = world.logged_bucket()
    target = "/a%20b%2Bc%2f%C3%BC?versionId=null&x-n=%22"
    answer = world.send("DELETE", world.host(source), target)
    line = world.line(answer.one("x-amz-request-id"))
    assert line["request_uri"] == f"DELETE {target} HTTP/1.1"


def test_quotes_in_a_user_agent_are_not_escaped(world: World) -> None:
    """As on AWS, where they make lines that a naive parser splits wrongly."""
    source, log_bucket = world.logged_bucket()
    answer = world.send("GET", world.host(source), "/none", headers={"User-Agent": 'say "hi" <b>'})
    world.settle()
    lines = "".join(body.decode() for body in world.objects(log_bucket).values()).splitlines()
    (line,) = [line for line in lines if answer.one("x-amz-request-id") in line]
    assert ' "say "hi" <b>" ' in line


def test_path_style_requests_are_logged_with_their_bucket_and_key(world: World) -> None:
    source, _ = world.logged_bucket()
    host = f"s3.{REGION}.amazonaws.com"
    answer = world.send("PUT", host, f"/{source}/folder/key", b"x")
    assert answer.status == 200
    line = world.line(answer.one("x-amz-request-id"))
    assert (line["bucket"], line["key"], line["host_header"]) == (source, "folder/key", host)
    assert line["request_uri"] == f"PUT /{source}/folder/key HTTP/1.1"


@pytest.mark.parametrize(("version", "parameter"), [("s3v4", "X-Amz-Signature"), ("s3", "Signature")])
def test_a_presigned_signature_is_masked(world: World, version: str, parameter: str) -> None:
    """Whether the old signature version is served or refused: what is secret in it stays so."""
    source, _ = world.logged_bucket()
    world.s3.put_object(Bucket=source, Key="k", Body=b"x")
    client = world.session.client("s3", config=Config(signature_version=version))
    url = client.generate_presigned_url("get_object", Params={"Bucket": source, "Key": "k"})
    (secret,) = re.findall(f"[?&]{parameter}=([^&]+)", url)
    answer = world.fetch(url)
    line = world.line(answer.one("x-amz-request-id"))
    assert f"{parameter}=XXXXXXXX" in line["request_uri"]
    assert secret not in json.dumps(line)


def test_a_presigned_request_is_logged_as_authenticated_by_its_query(world: World) -> None:
    source, _ = world.logged_bucket()
    world.s3.put_object(Bucket=source, Key="k", Body=b"x")
    client = world.session.client("s3", config=Config(signature_version="s3v4"))
    answer = world.fetch(client.generate_presigned_url("get_object", Params={"Bucket": source, "Key": "k"}))
    assert (answer.status, answer.body) == (200, b"x")
    line = world.line(answer.one("x-amz-request-id"))
    assert (line["signature_version"], line["authentication_type"]) == ("SigV4", "QueryString")
    assert line["requester"].endswith(":user/s3logjam")
    assert "X-Amz-Credential=AKIA" in line["request_uri"]


# Calls with more than one line.


def test_a_copy_has_two_lines_with_the_same_request_id(world: World) -> None:
    source, _ = world.logged_bucket()
    world.s3.put_object(Bucket=source, Key="from here", Body=b"12345")
    answer = world.s3.copy_object(Bucket=source, Key="to", CopySource={"Bucket": source, "Key": "from here"})
    request_id = answer["ResponseMetadata"]["RequestId"]
    lines = world.lines(request_id)
    own, read = sorted(lines, key=lambda line: line["operation"])
    assert (own["operation"], own["key"], own["request_uri"]) == ("REST.COPY.OBJECT", "to", "PUT /to HTTP/1.1")
    assert (read["operation"], read["key"], read["object_size"]) == ("REST.COPY.OBJECT_GET", "from%2Bhere", "5")
    assert [read[name] for name in ("request_uri", "referer", "user_agent", "bytes_sent", "total_time")] == ["-"] * 5
    assert own["host_id"] == read["host_id"] == answer["ResponseMetadata"]["HostId"]


def test_the_configuration_of_the_source_bucket_decides_on_the_line_of_the_copy_source(world: World) -> None:
    source, source_logs = world.logged_bucket()
    target, target_logs = world.logged_bucket()
    silent = world.bucket("silent")
    for bucket in (source, silent):
        world.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    for bucket in (source, silent):
        world.s3.copy_object(Bucket=target, Key=f"from-{bucket}", CopySource={"Bucket": bucket, "Key": "k"})
    world.s3.copy_object(Bucket=silent, Key="copy", CopySource={"Bucket": source, "Key": "k"})
    copies = {
        bucket: Counter(line["operation"] for line in world.access_lines(logs) if "COPY" in line["operation"])
        for bucket, logs in ((source, source_logs), (target, target_logs))
    }
    assert copies[target] == {"REST.COPY.OBJECT": 2}
    assert copies[source] == {"REST.COPY.OBJECT_GET": 2}


def test_a_failed_copy_has_its_own_line_alone(world: World) -> None:
    source, _ = world.logged_bucket()
    request_id = failed(world.s3.copy_object, Bucket=source, Key="to", CopySource={"Bucket": source, "Key": "none"})
    line = world.line(request_id)
    assert (line["operation"], line["http_status"], line["error_code"]) == ("REST.COPY.OBJECT", "404", "NoSuchKey")


def test_a_copied_part_has_two_lines(world: World) -> None:
    source, _ = world.logged_bucket()
    world.s3.put_object(Bucket=source, Key="from", Body=b"12345")
    upload = world.s3.create_multipart_upload(Bucket=source, Key="to")["UploadId"]
    answer = world.s3.upload_part_copy(
        Bucket=source, Key="to", UploadId=upload, PartNumber=1, CopySource={"Bucket": source, "Key": "from"}
    )
    request_id = answer["ResponseMetadata"]["RequestId"]
    lines = world.lines(request_id)
    assert {line["operation"]: line["key"] for line in lines} == {"REST.COPY.PART": "to", "REST.COPY.PART_GET": "from"}


def test_a_batch_delete_of_n_keys_has_one_line_and_n_more(world: World) -> None:
    source, _ = world.logged_bucket()
    keys = ["a", "b c", "<&>", "none"]
    for key in keys[:3]:
        world.s3.put_object(Bucket=source, Key=key, Body=b"x")
    answer = world.s3.delete_objects(Bucket=source, Delete={"Objects": [{"Key": key} for key in keys]})
    request_id = answer["ResponseMetadata"]["RequestId"]
    lines = world.lines(request_id)
    own = [line for line in lines if line["operation"] == "REST.POST.MULTI_OBJECT_DELETE"]
    members = [line for line in lines if line["operation"] == "BATCH.DELETE.OBJECT"]
    assert (len(lines), len(own), len(members)) == (5, 1, 4)
    assert {line["key"] for line in members} == {"a", "b%2Bc", "%253C%2526%253E", "none"}
    assert {(line["http_status"], line["request_uri"]) for line in members} == {("204", "-")}
    assert own[0]["request_uri"] == "POST /?delete HTTP/1.1"


# What is logged, and since when.


def test_nothing_is_logged_for_a_bucket_without_a_configuration(world: World) -> None:
    silent = world.bucket("silent")
    world.s3.put_object(Bucket=silent, Key="k", Body=b"")
    failed(world.s3.get_object, Bucket=silent, Key="none")
    _source, log_bucket = world.logged_bucket()
    assert silent not in {line["bucket"] for line in world.access_lines(log_bucket)}
    assert silent not in {entry["source"] for entry in world.ledger()}


def test_nothing_is_logged_before_logging_is_switched_on_or_after_it_is_switched_off(world: World) -> None:
    source, log_bucket = world.bucket(), world.log_bucket()
    world.s3.put_object(Bucket=source, Key="before", Body=b"")
    world.log_to(source, log_bucket)
    world.s3.put_object(Bucket=source, Key="during", Body=b"")
    world.s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={})
    world.s3.put_object(Bucket=source, Key="after", Body=b"")
    assert {line["key"] for line in world.access_lines(log_bucket)} - {"-"} == {"during"}


def test_a_new_log_bucket_takes_over_from_the_next_request_on(world: World) -> None:
    source, first = world.logged_bucket()
    second = world.log_bucket()
    world.s3.put_object(Bucket=source, Key="one", Body=b"")
    world.log_to(source, second)
    world.s3.put_object(Bucket=source, Key="two", Body=b"")
    assert {line["key"] for line in world.access_lines(first)} - {"-"} == {"one"}
    assert {line["key"] for line in world.access_lines(second)} - {"-"} == {"two"}


def test_the_deletion_of_a_logged_bucket_is_logged(world: World) -> None:
    source, _ = world.logged_bucket()
    answer = world.s3.delete_bucket(Bucket=source)
    line = world.line(answer["ResponseMetadata"]["RequestId"])
    assert (line["operation"], line["http_status"]) == ("REST.DELETE.BUCKET", "204")


def test_listing_all_buckets_is_in_no_log(world: World) -> None:
    _source, log_bucket = world.logged_bucket()
    answer = world.s3.list_buckets()
    assert answer["ResponseMetadata"]["RequestId"] not in {
        line["request_id"] for line in world.access_lines(log_bucket)
    }


def test_no_line_is_lost_or_doubled_under_concurrent_requests(world: World) -> None:
    source, log_bucket = world.logged_bucket()

    def put(number: int) -> str:
        answer = world.s3.put_object(Bucket=source, Key=f"{number:03}", Body=b"x")
        return str(answer["ResponseMetadata"]["RequestId"])

    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(put, range(120)))
    found = [line["request_id"] for line in world.access_lines(log_bucket) if line["operation"] == "REST.PUT.OBJECT"]
    assert sorted(found) == sorted(sent)


def test_nothing_more_is_delivered_to_a_bucket_whose_policy_shuts_everybody_out(world: World) -> None:
    source, log_bucket = world.logged_bucket()
    everything = f"arn:aws:s3:::{log_bucket}/*"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": everything}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.s3.put_bucket_policy(Bucket=log_bucket, Policy=policy)
    answer = world.s3.put_object(Bucket=source, Key="k", Body=b"")
    sent = answer["ResponseMetadata"]["RequestId"]
    world.settle()
    (entry,) = [e for e in world.ledger() if e["request_id"] == sent and e["channel"] == "server-access"]
    assert entry["delivered_at"] is None
    assert not [key for key, text in world.objects(log_bucket).items() if sent in text.decode()]
