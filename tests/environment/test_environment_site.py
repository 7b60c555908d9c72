"""What a run builds: named after the run, tagged, and journaled before it is made."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import ACCOUNT, REGION, RUN_ID, T0

from harness.channels import channels
from harness.environment.site import TAG_KEY, Site, code_of
from harness.errors import CredentialsError, ExitCode, PreflightError
from harness.journal import Journal
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.testing import FakeClock

_CORE = boto3.Session(region_name="us-east-1")
REGIONS = [r for p in _CORE.get_available_partitions() for r in _CORE.get_available_regions("s3", p)]


class NoClients:
    """A session for sites that only name things."""

    def client(self, _name: str, **_settings: object) -> None: ...


def named(run_id: str, region: str = "us-east-1") -> Site:
    session: Any = NoClients()
    journal: Any = None
    return Site(session, journal, FakeClock(), run_id, ACCOUNT, region)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), region=st.sampled_from(REGIONS), number=st.integers(0, 99_999))
def test_bucket_names_are_valid_in_every_region(seed: int, region: str, number: int) -> None:
    site = named(f"{seed:08x}", region)
    for name in (site.bucket, site.log_bucket, site.trail_bucket, site.bucket_name(f"src{number}")):
        assert 3 <= len(name) <= 63
        assert name == name.lower()
        assert name.endswith(f"-{ACCOUNT}-{region}-an")  # the account's own namespace


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), number=st.integers(0, 99_999))
def test_log_buckets_never_begin_like_source_buckets(seed: int, number: int) -> None:
    site = named(f"{seed:08x}")
    assert site.bucket.startswith(site.source_prefix)
    assert site.bucket_name(f"src{number}").startswith(site.source_prefix)
    assert not site.log_bucket.startswith(site.source_prefix)
    assert not site.trail_bucket.startswith(site.source_prefix)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_runs_share_no_name(one: int, other: int) -> None:
    first, second = named(f"{one:08x}"), named(f"{other:08x}")
    same = one == other
    assert (first.bucket == second.bucket) is same
    assert (first.trail_name == second.trail_name) is same
    assert first.log_bucket.startswith(second.source_prefix) is False


def states(journal: Journal) -> list[tuple[str, str]]:
    return [(name, state) for _, name, state, _ in journal.resources()]


def test_a_resource_is_journaled_before_it_is_made_and_as_created_after(site: Site, journal: Journal) -> None:
    seen, told = [], []
    site.on_created = lambda kind, name: told.append((kind, name, states(journal)))
    site.make("bucket", "b", lambda: seen.extend(states(journal)))
    assert seen == [("b", "intended")]
    assert states(journal) == [("b", "created")]
    assert told == [("bucket", "b", [("b", "created")])]


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "TooManyBuckets", "Message": "enough"}}, "CreateBucket"),
        EndpointConnectionError(endpoint_url="https://nowhere"),
    ],
)
def test_a_refused_resource_stays_intended_and_the_error_names_it(
    error: Exception, site: Site, journal: Journal
) -> None:
    def create() -> None:
        raise error

    with pytest.raises(PreflightError) as caught:
        site.make("bucket", "b", create)
    assert "bucket b" in str(caught.value)
    assert str(error) in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
    assert states(journal) == [("b", "intended")]


def test_a_bucket_is_made_in_the_accounts_own_namespace_and_tagged(site: Site, aws: FakeAws) -> None:
    assert site.make_bucket("b", ObjectOwnership="ObjectWriter") == "b"
    (created,) = aws.parameters("CreateBucket")
    assert created == {"Bucket": "b", "BucketNamespace": "account-regional", "ObjectOwnership": "ObjectWriter"}
    (tagged,) = aws.parameters("PutBucketTagging")
    assert tagged["Tagging"]["TagSet"] == [{"Key": TAG_KEY, "Value": RUN_ID}]


def test_outside_us_east_1_the_bucket_is_put_into_the_region(aws: FakeAws, journal: Journal, clock: FakeClock) -> None:
    site = Site(aws.session("eu-central-1"), journal, clock, RUN_ID, ACCOUNT, "eu-central-1")
    site.make_bucket("b")
    (created,) = aws.parameters("CreateBucket")
    assert created["CreateBucketConfiguration"] == {"LocationConstraint": "eu-central-1"}


def test_a_log_bucket_is_private_encrypted_expiring_and_has_its_policy(site: Site, aws: FakeAws) -> None:
    site.make_log_bucket("logs", '{"Version": "2012-10-17", "Statement": []}')
    assert aws.parameters("CreateBucket")[0]["ObjectOwnership"] == "BucketOwnerEnforced"
    blocked = aws.parameters("PutPublicAccessBlock")[0]["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4
    assert all(blocked.values())
    assert aws.parameters("PutBucketEncryption")
    (rule,) = aws.parameters("PutBucketLifecycleConfiguration")[0]["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["Expiration"]["Days"] > 0
    assert aws.parameters("PutBucketPolicy")[0]["Policy"].startswith("{")
    assert "PutBucketLogging" not in aws.operations()


@pytest.mark.parametrize("operation", ["CreateBucket", "PutBucketTagging"])
def test_a_refused_bucket_is_a_preflight_error_and_stays_journaled(
    operation: str, site: Site, aws: FakeAws, journal: Journal
) -> None:
    aws.answers[operation] = refusal("AccessDenied", 403)
    with pytest.raises(PreflightError, match="AccessDenied"):
        site.make_log_bucket("logs", "{}")
    assert states(journal) == [("logs", "intended")]


@pytest.mark.parametrize("code", ["NoSuchBucket", "OperationAborted"])
@pytest.mark.parametrize(
    "operation",
    [
        "PutBucketTagging",
        "PutBucketLifecycleConfiguration",
        "PutPublicAccessBlock",
        "PutBucketEncryption",
        "PutBucketPolicy",
    ],
)
def test_a_bucket_that_is_not_known_everywhere_yet_is_waited_for(
    operation: str, code: str, site: Site, aws: FakeAws, journal: Journal
) -> None:
    aws.answers[operation] = [refusal(code, 404), refusal(code, 404)]
    site.make_log_bucket("logs", "{}")
    assert states(journal) == [("logs", "created")]
    assert aws.operations()[-1] == "PutBucketPolicy"


def test_a_bucket_that_never_appears_is_waited_for_a_minute_on_the_runs_clock(
    site: Site, aws: FakeAws, clock: FakeClock
) -> None:
    aws.answers["PutBucketTagging"] = refusal("NoSuchBucket", 404)
    with pytest.raises(PreflightError, match="NoSuchBucket"):
        site.make_bucket("b")
    assert 50 <= sum(clock.slept) <= 70


def test_a_refused_trail_is_a_preflight_error_and_stays_journaled(site: Site, aws: FakeAws, journal: Journal) -> None:
    aws.answers["CreateTrail"] = refusal("AccessDeniedException", service="cloudtrail")
    with pytest.raises(PreflightError, match="AccessDenied"):
        channels()["cloudtrail"]().enable(site)
    assert states(journal) == [(site.trail_bucket, "created"), (site.trail_name, "intended")]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_everything_that_provisioning_sends_fits_botocores_model(
    region: str, aws: FakeAws, journal: Journal, clock: FakeClock
) -> None:
    site = Site(aws.session(region), journal, clock, RUN_ID, ACCOUNT, region)
    every = [make() for make in channels().values()]
    for channel in every:
        channel.enable(site)
    site.make_bucket(site.bucket)
    for channel in every:
        channel.watch(site, site.bucket)
    assert {state for _, state in states(journal)} == {"created"}
    assert {site.log_bucket, site.trail_bucket, site.trail_name, site.bucket} <= {name for name, _ in states(journal)}
    logged = {p["Bucket"] for p in aws.parameters("PutBucketLogging")}
    assert logged == {site.bucket}


@pytest.mark.usefixtures("no_backoff")
def test_a_role_that_cannot_be_assumed_yet_is_tried_again(site: Site, aws: FakeAws) -> None:
    aws.answers["AssumeRole"] = [refusal("AccessDenied", 403), refusal("AccessDenied", 403)]
    assert site.denied_credentials().access_key == "ASIAEXAMPLE"
    assert len(aws.parameters("AssumeRole")) == 3


@pytest.mark.usefixtures("no_backoff")
def test_a_role_is_waited_for_on_the_runs_clock(site: Site, aws: FakeAws, clock: FakeClock) -> None:
    aws.answers["AssumeRole"] = [refusal("AccessDenied", 403)]
    site.denied_credentials()
    assert sum(clock.slept) > 0


def test_the_denied_role_may_do_nothing_and_only_the_own_account_may_assume_it(site: Site, aws: FakeAws) -> None:
    site.make_denied_role()
    (made,) = aws.parameters("CreateRole")
    (statement,) = json.loads(made["AssumeRolePolicyDocument"])["Statement"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert made["Tags"] == [{"Key": TAG_KEY, "Value": RUN_ID}]
    assert not [name for name in aws.operations() if "Policy" in name]
    assert states(site.journal) == [(site.denied_role, "created")]
    assert len(site.denied_role) <= 64


def test_the_access_point_is_journaled_and_its_arn_and_alias_are_told(site: Site, aws: FakeAws) -> None:
    arn, alias = site.make_access_point()
    assert arn == f"arn:aws:s3:{REGION}:{ACCOUNT}:accesspoint/{site.access_point}"
    assert alias.endswith("-s3alias")
    assert states(site.journal) == [(site.access_point, "created")]
    assert len(site.access_point) <= 50


def test_the_code_of_an_error_is_awss_or_the_name_of_its_class() -> None:
    assert code_of(ClientError({"Error": {"Code": "NoSuchBucket"}}, "HeadBucket")) == "NoSuchBucket"
    assert code_of(ClientError({}, "HeadBucket")) == ""
    assert code_of(EndpointConnectionError(endpoint_url="https://x")) == "EndpointConnectionError"


def test_a_directory_bucket_is_tagged_as_it_is_made_and_its_content_expires(site: Site, aws: FakeAws) -> None:
    name = site.make_directory_bucket()
    assert name.endswith("--use1-az4--x-s3")
    (made,) = aws.parameters("CreateBucket")
    assert made["CreateBucketConfiguration"]["Tags"] == [{"Key": TAG_KEY, "Value": RUN_ID}]
    (rules,) = aws.parameters("PutBucketLifecycleConfiguration")
    assert rules["Bucket"] == name
    assert rules["LifecycleConfiguration"]["Rules"][0]["Expiration"]["Days"] > 0


@pytest.mark.parametrize("code", ["EntityAlreadyExists", "BucketAlreadyOwnedByYou", "TrailAlreadyExistsException"])
def test_what_was_there_before_the_run_is_not_the_runs(code: str, site: Site, journal: Journal) -> None:
    def create() -> None:
        raise ClientError({"Error": {"Code": code, "Message": "taken"}}, "Create")

    with pytest.raises(PreflightError, match=code):
        site.make("role", "r", create)
    assert states(journal) == [("r", "deleted")]


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    "lost", [refusal("ServiceUnavailable", 503), ReadTimeoutError(endpoint_url="https://s3")], ids=["503", "timeout"]
)
def test_what_was_made_by_an_attempt_whose_answer_was_lost_is_the_runs(
    lost: Answer | Exception, site: Site, aws: FakeAws, journal: Journal
) -> None:
    aws.answers["CreateBucket"] = [lost, refusal("BucketAlreadyOwnedByYou", 409)]
    site.make_bucket("b")
    assert states(journal) == [("b", "created")]
    assert aws.parameters("PutBucketTagging")


def test_what_a_killed_process_had_begun_to_make_is_the_runs(site: Site, journal: Journal) -> None:
    def create() -> None:
        raise ClientError({"Error": {"Code": "BucketAlreadyOwnedByYou", "Message": "yours"}}, "Create")

    journal.resource("bucket", "b", "intended", T0)
    site.resumed = True
    finished = []
    site.make("bucket", "b", create, lambda: finished.append(True))
    assert (states(journal), finished) == ([("b", "created")], [True])


def test_expired_credentials_are_told_as_such(site: Site, aws: FakeAws) -> None:
    aws.answers["CreateBucket"] = refusal("ExpiredToken")
    with pytest.raises(CredentialsError):
        site.make_bucket("b")
