"""What each channel switches on: only the run's own buckets are logged, and never the logs themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from offline import ACCOUNT, REGION

from harness.channels import channels
from harness.channels.trail import selectors
from harness.environment.site import Site
from harness.errors import PreflightError
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.testing import FakeClock

pytestmark = pytest.mark.usefixtures("no_backoff")


def policy(aws: FakeAws, bucket: str) -> list[dict[str, Any]]:
    (text,) = [p["Policy"] for p in aws.parameters("PutBucketPolicy") if p["Bucket"] == bucket]
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements


def test_every_channel_answers_to_the_name_that_it_is_registered_under() -> None:
    assert {name: make().name for name, make in channels().items()} == {name: name for name in channels()}


@pytest.mark.parametrize("name", list(channels()))
def test_every_channel_says_how_it_is_polled_and_what_aws_promises(name: str) -> None:
    policy = channels()[name]().policy
    assert 0 < policy.interval_seconds < policy.absence_seconds
    assert "User Guide" in policy.promise


def test_access_logs_may_only_be_written_for_source_buckets_of_the_own_account(site: Site, aws: FakeAws) -> None:
    channels()["server-access"]().enable(site)
    (statement,) = policy(aws, site.log_bucket)
    assert statement["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    allowed = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    assert allowed == f"arn:aws:s3:::{site.source_prefix}*"
    assert statement["Resource"].startswith(f"arn:aws:s3:::{site.log_bucket}/")


def test_a_watched_bucket_logs_into_the_log_bucket_below_the_prefix_that_is_polled(site: Site, aws: FakeAws) -> None:
    channel = channels()["server-access"]()
    channel.watch(site, site.bucket)
    list(channel.poll(site, site.clock.now(), set()))
    (enabled,) = [p["BucketLoggingStatus"]["LoggingEnabled"] for p in aws.parameters("PutBucketLogging")]
    assert enabled["TargetBucket"] == site.log_bucket
    assert {(p["Bucket"], p["Prefix"]) for p in aws.parameters("ListObjectsV2")} == {
        (site.log_bucket, enabled["TargetPrefix"])
    }


def test_the_trails_bucket_lets_only_the_runs_own_trail_write(site: Site, aws: FakeAws) -> None:
    channels()["cloudtrail"]().enable(site)
    for statement in policy(aws, site.trail_bucket):
        assert statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        own = statement["Condition"]["StringEquals"]["aws:SourceArn"]
        assert own.endswith(f":{ACCOUNT}:trail/{site.trail_name}")


def test_the_trail_is_made_after_its_bucket_and_started_last(site: Site, aws: FakeAws) -> None:
    channels()["cloudtrail"]().enable(site)
    calls = aws.operations()
    assert calls.index("PutBucketPolicy") < calls.index("CreateTrail") < calls.index("PutEventSelectors")
    assert calls[-1] == "StartLogging"
    (trail,) = aws.parameters("CreateTrail")
    assert trail["S3BucketName"] == site.trail_bucket
    assert trail["IsMultiRegionTrail"] is False


TOO_EARLY = {
    "cloudtrail": ("CreateTrail", "InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy", "cloudtrail"),
    "cloudtrail-cloudwatch": ("UpdateTrail", "InvalidCloudWatchLogsRoleArnException", "Access denied.", "cloudtrail"),
    "s3-notification": (
        "PutBucketNotificationConfiguration",
        "InvalidArgument",
        "Unable to validate the following destination configurations",
        "s3",
    ),
}


@pytest.mark.parametrize("name", TOO_EARLY)
def test_what_aws_does_not_know_everywhere_yet_is_waited_for_on_the_runs_clock(
    name: str, site: Site, aws: FakeAws, clock: FakeClock
) -> None:
    operation, code, message, service = TOO_EARLY[name]
    late = refusal(code, message=message, service=service)
    aws.answers[operation] = [late, late, Answer(b"" if service == "s3" else b"{}")]
    channel = channels()[name]()
    channel.enable(site)
    channel.watch(site, site.bucket)
    assert len(aws.parameters(operation)) == 3
    assert sum(clock.slept) == 10


@pytest.mark.parametrize("name", TOO_EARLY)
def test_what_aws_never_comes_to_know_is_an_error_after_a_minute(
    name: str, site: Site, aws: FakeAws, clock: FakeClock
) -> None:
    operation, code, message, service = TOO_EARLY[name]
    aws.answers[operation] = refusal(code, message=message, service=service)
    channel = channels()[name]()
    with pytest.raises((PreflightError, ClientError), match=code):
        channel.enable(site)
        channel.watch(site, site.bucket)
    assert 50 <= sum(clock.slept) <= 70


@pytest.mark.parametrize("name", TOO_EARLY)
def test_any_other_refusal_is_told_at_once(name: str, site: Site, aws: FakeAws, clock: FakeClock) -> None:
    operation, _, _, service = TOO_EARLY[name]
    aws.answers[operation] = refusal("InvalidArgument", message="no such event", service=service)
    channel = channels()[name]()
    with pytest.raises((PreflightError, ClientError), match="no such event"):
        channel.enable(site)
        channel.watch(site, site.bucket)
    assert clock.slept == []


def test_data_events_are_selected_for_source_buckets_only(site: Site) -> None:
    fields = {f["Field"]: f for s in selectors(site) for f in s["FieldSelectors"] if s["Name"] == "objects"}
    (start,) = fields["resources.ARN"]["StartsWith"]
    assert f"arn:aws:s3:::{site.bucket}/key".startswith(start)
    assert not f"arn:aws:s3:::{site.log_bucket}/key".startswith(start)
    assert not f"arn:aws:s3:::{site.trail_bucket}/key".startswith(start)


def test_data_events_of_directory_buckets_are_selected_for_the_runs_own_only(site: Site, aws: FakeAws) -> None:
    """Runs side by side must not log, and pay for, each other's."""
    fields = {f["Field"]: f for s in selectors(site) for f in s["FieldSelectors"] if s["Name"] == "directory buckets"}
    (start,) = fields["resources.ARN"]["StartsWith"]
    own = site.make_directory_bucket()
    arn = f"arn:aws:s3express:{REGION}:{ACCOUNT}:bucket/{own}/key"
    assert arn.startswith(start)
    assert not arn.replace(site.run_id, "0badf00d").startswith(start)


def test_management_events_of_no_s3_service_are_filtered_out(site: Site) -> None:
    (management,) = [s for s in selectors(site) if s["Name"] == "management"]
    shut_out = [value for f in management["FieldSelectors"] for value in f.get("NotEquals", [])]
    assert not any(source.startswith(("s3", "s3express", "s3-authn")) for source in shut_out)
