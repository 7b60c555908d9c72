"""The AWS target: whose credentials, which Region, which role, and what the account can serve; nothing else gets in."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError
from offline import ACCOUNT

from harness.errors import ExitCode, TargetError, UsageError
from harness.targets import Credentials
from harness.targets.aws import AwsTarget, aws_config
from harness.targets.choice import TargetName, Wanted, reopened, target_for

LOADER = botocore.session.Session().get_component("data_loader")
"""Loaded once for all tests."""
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/harness"
CONFIG = """
[default]
region = eu-west-1
[profile sandbox]
region = eu-central-1
[profile nowhere]
output = json
"""
KEYS = """
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = d
[sandbox]
aws_access_key_id = AKIASANDBOX
aws_secret_access_key = s
[nowhere]
aws_access_key_id = AKIANOWHERE
aws_secret_access_key = n
"""


class _Body(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


@dataclass
class Wire:
    """Stands where the network would be: answers STS and the listing of directory buckets.

    Attributes:
        seen: (action, host, access key) of every request.
        lasts: How long an assumed role's credentials are good for.
        refuses: Error code by action.
    """

    seen: list[tuple[str, str, str]] = field(default_factory=list)
    lasts: timedelta = timedelta(hours=1)
    refuses: dict[str, str] = field(default_factory=dict)
    unreachable: bool = False

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        if self.unreachable:
            raise EndpointConnectionError(endpoint_url=request.url)
        body = request.body if isinstance(request.body, str) else (request.body or b"").decode()
        action = parse_qs(body).get("Action", ["ListDirectoryBuckets"])[0]
        host = request.url.split("/")[2]
        signed = request.headers.get("Authorization", b"")
        found = re.search(r"Credential=(\w+)/", signed if isinstance(signed, str) else signed.decode())
        self.seen.append((action, host, found[1] if found else ""))
        if action in self.refuses:
            error = f"<Error><Code>{self.refuses[action]}</Code><Message>no</Message></Error>"
            return AWSResponse(request.url, 403, {}, _Body(f"<ErrorResponse>{error}</ErrorResponse>".encode()))
        return AWSResponse(request.url, 200, {}, _Body(getattr(self, f"_{action}")().encode()))

    def _GetCallerIdentity(self) -> str:
        inner = f"<Arn>arn:aws:iam::{ACCOUNT}:user/u</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account>"
        return (
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<GetCallerIdentityResult>{inner}</GetCallerIdentityResult></GetCallerIdentityResponse>"
        )

    def _AssumeRole(self) -> str:
        ends = (datetime.now(UTC) + self.lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
        number = sum(action == "AssumeRole" for action, *_ in self.seen)
        inner = (
            f"<AccessKeyId>ASIAROLE{number}</AccessKeyId><SecretAccessKey>r</SecretAccessKey>"
            f"<SessionToken>t</SessionToken><Expiration>{ends}</Expiration>"
        )
        return (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
            f"<Credentials>{inner}</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )

    def _ListDirectoryBuckets(self) -> str:
        return "<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>"

    def keys(self, action: str) -> list[str]:
        return [key for name, _, key in self.seen if name == action]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Wire:
    """A user with three profiles, and no network."""
    for name, text in (("config", CONFIG), ("credentials", KEYS)):
        (tmp_path / name).write_text(text)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("botocore.session.create_loader", lambda _path: LOADER)
    made = Wire()
    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", lambda _session, request: made.send(request))
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    return made


def test_the_default_profile_gives_credentials_and_region(wire: Wire) -> None:
    with AwsTarget() as target:
        assert target.region == "eu-west-1"
    assert wire.seen[0] == ("GetCallerIdentity", "sts.eu-west-1.amazonaws.com", "AKIADEFAULT")


def test_a_profile_gives_credentials_and_region_and_an_option_overrides_the_region(wire: Wire) -> None:
    with AwsTarget("sandbox") as target:
        assert target.region == "eu-central-1"
    with AwsTarget("sandbox", "us-west-2") as target:
        assert target.region == "us-west-2"
    assert wire.keys("GetCallerIdentity") == ["AKIASANDBOX"] * 2
    assert wire.seen[-1][1].endswith("us-west-2.amazonaws.com")


@pytest.mark.parametrize("region", [None, "us-east-1"])
def test_a_profile_that_is_not_there_is_wrong_use_with_or_without_a_region(wire: Wire, region: str | None) -> None:
    with pytest.raises(UsageError, match=r"\(nope\).*list-profiles") as caught:
        AwsTarget("nope", region)
    assert caught.value.exit_code == ExitCode.USAGE
    assert wire.seen == []


@pytest.mark.usefixtures("wire")
def test_a_profile_of_the_environment_that_is_not_there_is_wrong_use_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nope")
    with pytest.raises(UsageError, match="nope"):
        AwsTarget(None, "us-east-1")


@pytest.mark.usefixtures("wire")
def test_no_region_and_no_such_region_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="--region"):
        AwsTarget("nowhere")
    with pytest.raises(UsageError, match=r"no Region 'mars-north-1'.*eu-central-1"):
        AwsTarget("sandbox", "mars-north-1")


@pytest.mark.usefixtures("wire")
def test_a_configuration_that_cannot_be_read_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default\nregion")
    with pytest.raises(UsageError, match="configuration"):
        AwsTarget()


def test_no_credentials_say_how_to_get_some(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("")
    with pytest.raises(TargetError, match=r"no AWS credentials .*aws sso login"), AwsTarget():
        pass
    with pytest.raises(TargetError, match=f"no AWS credentials .*{ROLE}"), AwsTarget(role_arn=ROLE):
        pass
    assert wire.seen == []


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "ExpiredToken"])
def test_credentials_that_aws_does_not_take_are_told_with_its_reason(wire: Wire, code: str) -> None:
    wire.refuses["GetCallerIdentity"] = code
    with pytest.raises(TargetError, match=f"AWS does not take the credentials.*{code}"), AwsTarget():
        pass


def test_an_endpoint_that_cannot_be_reached_is_an_error_for_the_user(wire: Wire) -> None:
    wire.unreachable = True
    with pytest.raises(TargetError, match="connect"), AwsTarget():
        pass


def test_a_role_is_assumed_once_for_all_sessions_and_makes_every_call(wire: Wire) -> None:
    with AwsTarget("sandbox", role_arn=ROLE) as target:
        target.session().client("sts").get_caller_identity()
        target.session().client("sts").get_caller_identity()
    assert wire.keys("AssumeRole") == ["AKIASANDBOX"]
    assert wire.keys("GetCallerIdentity") == ["ASIAROLE1"] * 3


def test_a_role_works_where_only_the_option_names_a_region(wire: Wire) -> None:
    with AwsTarget("nowhere", "eu-west-3", ROLE):
        pass
    assert wire.seen[0] == ("AssumeRole", "sts.eu-west-3.amazonaws.com", "AKIANOWHERE")


def test_an_assumed_roles_credentials_renew_themselves_before_they_expire(wire: Wire) -> None:
    wire.lasts = timedelta(minutes=1)
    with AwsTarget(role_arn=ROLE) as target:
        sts = target.session().client("sts")
        sts.get_caller_identity()
        sts.get_caller_identity()
    keys = wire.keys("GetCallerIdentity")
    assert len(set(keys)) == len(keys) == 3
    assert set(wire.keys("AssumeRole")) == {"AKIADEFAULT"}


def test_a_role_that_cannot_be_assumed_is_told_as_such(wire: Wire) -> None:
    wire.refuses["AssumeRole"] = "AccessDenied"
    with pytest.raises(TargetError, match=r"role cannot be assumed.*AccessDenied"), AwsTarget(role_arn=ROLE):
        pass


@pytest.mark.parametrize("arn", ["harness", "arn:aws:iam::1:role/x", "arn:aws:iam::111122223333:user/x", f"{ROLE}\n"])
def test_what_is_no_arn_of_a_role_is_wrong_use(wire: Wire, arn: str) -> None:
    with pytest.raises(UsageError, match="ARN of a role"):
        AwsTarget(role_arn=arn)
    assert wire.seen == []


def test_an_endpoint_of_the_environment_leads_nowhere(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://localhost:4566")
    with AwsTarget(region="us-east-1") as target:
        s3 = target.session().client("s3")
    assert {host for _, host, _ in wire.seen} == {
        "sts.us-east-1.amazonaws.com",
        "s3express-control.us-east-1.amazonaws.com",
    }
    assert s3.meta.endpoint_url.endswith(".amazonaws.com")


@pytest.mark.parametrize(
    ("region", "refused", "there"),
    [("us-east-1", False, True), ("us-east-1", True, False), ("eu-west-1", False, False)],
)
def test_directory_buckets_are_asked_for_not_assumed(wire: Wire, region: str, refused: bool, there: bool) -> None:
    if refused:
        wire.refuses["ListDirectoryBuckets"] = "AccessDenied"
    with AwsTarget(region=region) as target:
        assert ("directory-buckets" in target.capabilities) is there
        assert ("directory-buckets" in target.missing) is not there
    assert bool(wire.keys("ListDirectoryBuckets")) is (region == "us-east-1")


def test_what_costs_by_the_job_or_changes_the_account_is_never_offered(wire: Wire) -> None:
    with AwsTarget(region="us-east-1") as target:
        lacking = {"account-wide-changes", "batch-operations", "multi-region", "object-lambda", "torrent", "days"}
        assert lacking <= set(target.missing)
        assert not lacking & target.capabilities
    assert (target.real, target.outlives, target.repeatable) == (True, True, False)


def test_other_credentials_get_a_session_that_reads_nothing_of_the_users(wire: Wire) -> None:
    target = AwsTarget("sandbox")
    target.session(Credentials("AKIAOTHER", "o")).client("sts").get_caller_identity()
    assert wire.seen == [("GetCallerIdentity", "sts.eu-central-1.amazonaws.com", "AKIAOTHER")]


def test_throttled_calls_are_repeated_six_times_at_most(wire: Wire) -> None:
    wire.refuses["GetCallerIdentity"] = "Throttling"
    with pytest.raises(TargetError, match="Throttling"), AwsTarget():
        pass
    assert len(wire.seen) == aws_config().retries["total_max_attempts"] == 6


def test_another_process_reaches_it_by_profile_role_and_region_and_no_secret_is_kept(wire: Wire) -> None:
    target = AwsTarget("sandbox", "us-west-2", ROLE)
    facts = {"target": "aws", "region": target.region, "reach": target.reach()}
    assert facts["reach"] == {"profile": "sandbox", "role_arn": ROLE}
    with reopened(facts) as again:
        assert (again.region, again.reach()) == ("us-west-2", target.reach())
    assert reopened(facts, profile="default").reach() == {"profile": "default", "role_arn": ROLE}
    assert wire.seen[0][2] == "AKIASANDBOX"


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(profile="sandbox"),
        Wanted(role_arn=ROLE),
        Wanted(name=TargetName.AWS, endpoint_url="http://localhost"),
        Wanted(name=TargetName.AWS, behaviours=["form-post=PostObject"]),
    ],
)
@pytest.mark.usefixtures("wire")
def test_an_option_of_another_target_is_wrong_use(wanted: Wanted) -> None:
    with pytest.raises(UsageError, match="--target"):
        target_for(wanted)
