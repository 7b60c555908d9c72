"""What is asked before anything is made, and right after the log buckets are: each answer, and what forbids the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from offline import ACCOUNT, REGION, T0, FakeTarget

from harness.analyse.delays import clock_offset
from harness.channels import Permission, channels
from harness.environment.preflight import log_buckets_fit, preflight
from harness.environment.site import Site
from harness.errors import CredentialsError, PreflightError
from harness.events import Checked
from harness.execute.recorder import Recorder
from harness.planning.fake_aws import Answer, FakeAws, refusal, xml
from harness.targets import Target
from harness.testing import FakeChannel

pytestmark = pytest.mark.usefixtures("no_backoff")
USER = f"arn:aws:iam::{ACCOUNT}:user/tester"


def asked(
    site: Site,
    names: Sequence[str] = (),
    target: Target | None = None,
    permissions: Sequence[Permission] = (),
    arn: str = USER,
) -> dict[str, Checked]:
    """Return the answers by what was asked."""
    site.journal.note("caller_arn", arn)

    def offset(calls: Any) -> tuple[float, float | None]:
        found = clock_offset(calls)
        return found.seconds, found.uncertainty_seconds

    made = [channels()[name]() for name in names] or [FakeChannel()]
    needed = (lambda: permissions) if permissions else None
    return {each.name: each for each in preflight(site, made, target or FakeTarget(), offset, needed)}


def dated(ahead: timedelta) -> Answer:
    """Return an answer of a server whose clock is so far ahead of the test's."""
    return Answer(status=404, headers={"Date": format_datetime(T0 + ahead, usegmt=True)})


def test_who_asks_in_which_account_and_region_is_told_first(site: Site) -> None:
    first = next(iter(asked(site).values()))
    assert (first.name, first.trouble) == ("account", False)
    assert all(text in first.answer for text in (ACCOUNT, REGION, USER))


@pytest.mark.parametrize(
    ("ahead", "trouble", "told"),
    [
        (timedelta(0), False, "no difference"),
        (timedelta(minutes=2), True, "120 s behind"),
        (timedelta(minutes=-2), True, "120 s ahead of"),
        (timedelta(seconds=4), False, "4 s behind"),
    ],
)
@pytest.mark.usefixtures("recorder")
def test_the_clock_is_held_against_the_servers_date(
    ahead: timedelta, trouble: bool, told: str, site: Site, aws: FakeAws
) -> None:
    aws.answers["HeadBucket"] = dated(ahead)
    answer = asked(site)["clock"]
    assert told in answer.answer
    assert answer.trouble is trouble


@pytest.mark.parametrize("minutes", [20, -20])
@pytest.mark.usefixtures("recorder")
def test_a_clock_that_s3_would_refuse_forbids_the_run(minutes: int, site: Site, aws: FakeAws) -> None:
    aws.answers["HeadBucket"] = dated(timedelta(minutes=minutes))
    with pytest.raises(PreflightError, match="set the clock"):
        asked(site)


@pytest.mark.usefixtures("recorder")
def test_a_server_that_tells_no_date_is_trouble_and_no_more(site: Site, aws: FakeAws) -> None:
    aws.answers["HeadBucket"] = EndpointConnectionError(endpoint_url="https://s3")
    assert asked(site)["clock"].trouble


def test_a_target_that_delivers_no_logs_says_so_at_once(site: Site) -> None:
    target = FakeTarget()
    target.no_logs = "it delivers none"
    answer = asked(site, target=target)["logs"]
    assert (answer.trouble, "it delivers none" in answer.answer) == (True, True)
    assert "logs" not in asked(site)


def trails(*names: str) -> Answer:
    listed = [{"Name": n, "TrailARN": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{n}"} for n in names]
    return Answer(json.dumps({"trailList": listed}).encode())


MANAGEMENT = [
    {"EventSelectors": [{"IncludeManagementEvents": True}]},
    {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]},
]
DATA_ONLY = [
    {"EventSelectors": [{"IncludeManagementEvents": False}]},
    {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]},
    {},
]


def test_five_trails_leave_no_room_for_a_sixth_and_the_answer_names_them(site: Site, aws: FakeAws) -> None:
    aws.answers["DescribeTrails"] = trails(*"abcde")
    answer = asked(site, ["cloudtrail"])["trails"]
    assert answer.trouble
    assert all(text in answer.answer for text in ("5 of 5", "(a, b, c, d, e)", "left out"))
    assert "AWS allows 5" in channels()["cloudtrail"]().preflight(site)
    assert "CreateTrail" not in aws.operations()


def test_the_runs_own_trail_does_not_count_when_it_is_taken_up_again(site: Site, aws: FakeAws) -> None:
    aws.answers["DescribeTrails"] = trails(*"abcd", site.trail_name)
    assert "4 of 5" in asked(site, ["cloudtrail"])["trails"].answer


def test_five_trails_do_not_matter_to_a_run_without_cloudtrail(site: Site, aws: FakeAws) -> None:
    aws.answers["DescribeTrails"] = trails(*"abcde")
    assert "trails" not in asked(site, ["server-access"])


@pytest.mark.parametrize("selectors", MANAGEMENT)
def test_a_trail_that_takes_management_events_already_makes_a_second_copy_cost(
    selectors: dict[str, Any], site: Site, aws: FakeAws
) -> None:
    aws.answers |= {"DescribeTrails": trails("audit"), "GetEventSelectors": Answer(json.dumps(selectors).encode())}
    answer = asked(site, ["cloudtrail"])["trails"]
    assert answer.trouble
    assert all(text in answer.answer for text in ("audit", "costs money"))


@pytest.mark.parametrize("selectors", DATA_ONLY)
def test_the_only_copy_of_management_events_is_free(selectors: dict[str, Any], site: Site, aws: FakeAws) -> None:
    aws.answers |= {"DescribeTrails": trails("audit"), "GetEventSelectors": Answer(json.dumps(selectors).encode())}
    answer = asked(site, ["cloudtrail"])["trails"]
    assert (answer.trouble, "free" in answer.answer) == (False, True)


def test_a_trail_that_may_not_be_asked_counts_as_one_that_takes_them(site: Site, aws: FakeAws) -> None:
    aws.answers |= {
        "DescribeTrails": trails("organization"),
        "GetEventSelectors": refusal("AccessDeniedException", 400, service="cloudtrail"),
    }
    assert "costs money" in asked(site, ["cloudtrail"])["trails"].answer


def test_trails_that_may_not_be_listed_are_trouble_and_no_more(site: Site, aws: FakeAws) -> None:
    aws.answers["DescribeTrails"] = refusal("AccessDeniedException", 400, service="cloudtrail")
    assert asked(site, ["cloudtrail"])["trails"].trouble


NEEDED = [
    Permission(actions=("s3:CreateBucket", "s3:DeleteBucket"), resources=("arn:aws:s3:::s3lm-*",)),
    Permission(actions=("cloudtrail:CreateTrail",), resources=("arn:aws:cloudtrail:{region}:{account}:trail/s3lm-*",)),
    Permission(actions=("sts:GetCallerIdentity",)),
]


def simulate(aws: FakeAws, *denied: str) -> None:
    """Have IAM answer each simulation in its turn."""
    answers = []
    for each in NEEDED:
        rows = "".join(
            f"<member><EvalActionName>{a}</EvalActionName>"
            f"<EvalDecision>{'implicitDeny' if a in denied else 'allowed'}</EvalDecision></member>"
            for a in each.actions
        )
        inner = f"<IsTruncated>false</IsTruncated><EvaluationResults>{rows}</EvaluationResults>"
        result = f"<SimulatePrincipalPolicyResult>{inner}</SimulatePrincipalPolicyResult>"
        answers.append(Answer(f"<SimulatePrincipalPolicyResponse>{result}</SimulatePrincipalPolicyResponse>".encode()))
    aws.answers["SimulatePrincipalPolicy"] = list(answers)


def test_iams_simulation_of_all_actions_is_told(site: Site, aws: FakeAws) -> None:
    simulate(aws)
    answer = asked(site, permissions=NEEDED)["permissions"]
    assert (answer.trouble, "allows all 4" in answer.answer) == (False, True)
    sent = aws.parameters("SimulatePrincipalPolicy")
    assert {each["PolicySourceArn"] for each in sent} == {USER}
    assert [each["ResourceArns"] for each in sent] == [
        ["arn:aws:s3:::s3lm-x"],
        [f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/s3lm-x"],
        ["*"],
    ]


def test_what_the_simulation_refuses_is_named(site: Site, aws: FakeAws) -> None:
    simulate(aws, "s3:DeleteBucket", "cloudtrail:CreateTrail")
    answer = asked(site, permissions=NEEDED)["permissions"]
    assert answer.trouble
    assert all(text in answer.answer for text in ("refuses 2", "cloudtrail:CreateTrail, s3:DeleteBucket", "policy"))


def test_a_simulation_that_is_not_allowed_is_told_and_no_more(site: Site, aws: FakeAws) -> None:
    error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    aws.answers["SimulatePrincipalPolicy"] = Answer(error.encode(), 403)
    answer = asked(site, permissions=NEEDED)["permissions"]
    assert (answer.trouble, "iam:SimulatePrincipalPolicy is not allowed" in answer.answer) == (True, True)


def test_the_policies_of_an_assumed_role_are_those_of_the_role(site: Site, aws: FakeAws) -> None:
    simulate(aws)
    asked(site, permissions=NEEDED, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/harness/session-1")
    assert aws.parameters("SimulatePrincipalPolicy")[0]["PolicySourceArn"] == f"arn:aws:iam::{ACCOUNT}:role/harness"


def test_the_root_user_is_not_simulated(site: Site, aws: FakeAws) -> None:
    assert asked(site, permissions=NEEDED, arn=f"arn:aws:iam::{ACCOUNT}:root")["permissions"].trouble
    assert "SimulatePrincipalPolicy" not in aws.operations()


def test_the_preflight_makes_nothing(site: Site, aws: FakeAws, recorder: Recorder) -> None:
    simulate(aws)
    asked(site, list(channels()), permissions=NEEDED)
    assert not [name for name in aws.operations() if name.startswith(("Create", "Put", "Delete", "Start"))]
    assert site.journal.resources() == []


@pytest.fixture
def log_bucket(site: Site) -> str:
    site.make_log_bucket(site.log_bucket, "{}")
    return site.log_bucket


@pytest.mark.usefixtures("log_bucket")
def test_log_buckets_that_are_as_they_were_made_fit(site: Site, aws: FakeAws) -> None:
    site.make_bucket(site.bucket)
    (told,) = log_buckets_fit(site)
    assert (told.trouble, site.log_bucket in told.answer) == (False, True)
    questions = [p for name, p in aws.made if name.startswith("Get")]
    assert {p["Bucket"] for p in questions} == {site.log_bucket}


def kms(algorithm: str) -> Answer:
    applied = f"<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm>"
    return xml("ServerSideEncryptionConfiguration", f"<Rule>{applied}</ApplyServerSideEncryptionByDefault></Rule>")


def lock(rule: str) -> Answer:
    return xml("ObjectLockConfiguration", f"<ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}")


RETENTION = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>"
DENYING = b'{"Statement": [{"Effect": "Deny", "Principal": {"Service": "x"}, "Action": "s3:PutObject"}]}'


@pytest.mark.parametrize(
    ("operation", "answer", "setting"),
    [
        ("GetObjectLockConfiguration", lock(RETENTION), "Object Lock"),
        ("GetBucketRequestPayment", xml("RequestPaymentConfiguration", "<Payer>Requester</Payer>"), "Requester Pays"),
        ("GetBucketEncryption", kms("aws:kms"), "aws:kms"),
        (
            "GetBucketOwnershipControls",
            xml("OwnershipControls", "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"),
            "Object Ownership is ObjectWriter",
        ),
        ("GetBucketPolicy", Answer(DENYING), "bucket policy"),
        ("GetBucketPolicy", Answer(b"?"), "bucket policy"),
        ("GetBucketPolicy", refusal("NoSuchBucketPolicy", 404), "bucket policy"),
    ],
)
def test_a_log_bucket_that_was_changed_is_an_error_that_names_bucket_and_setting(
    operation: str, answer: Answer, setting: str, site: Site, aws: FakeAws, log_bucket: str
) -> None:
    aws.answers[operation] = answer
    with pytest.raises(PreflightError, match=f"{log_bucket}.*{setting}"):
        list(log_buckets_fit(site))


@pytest.mark.usefixtures("log_bucket")
@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("GetObjectLockConfiguration", "NoSuchBucket"),
        ("GetBucketRequestPayment", "NoSuchBucket"),
        ("GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("GetBucketOwnershipControls", "OwnershipControlsNotFoundError"),
        ("GetBucketPolicy", "NoSuchBucketPolicy"),
        ("GetBucketPolicy", "OperationAborted"),
    ],
)
def test_a_setting_that_was_put_a_moment_ago_may_take_some_seconds_to_be_seen(
    operation: str, code: str, site: Site, aws: FakeAws
) -> None:
    aws.answers[operation] = [refusal(code, 404), refusal(code, 404)]
    assert len(list(log_buckets_fit(site))) == 1


@pytest.mark.usefixtures("log_bucket")
@pytest.mark.parametrize("answer", [lock(""), refusal("ObjectLockConfigurationNotFoundError", 404)])
def test_object_lock_without_a_default_retention_fits(answer: Answer, site: Site, aws: FakeAws) -> None:
    aws.answers["GetObjectLockConfiguration"] = answer
    assert len(list(log_buckets_fit(site))) == 1


@pytest.mark.usefixtures("log_bucket")
@pytest.mark.parametrize(
    "operation",
    [
        "GetObjectLockConfiguration",
        "GetBucketRequestPayment",
        "GetBucketEncryption",
        "GetBucketOwnershipControls",
        "GetBucketPolicy",
    ],
)
def test_a_setting_that_may_not_be_asked_is_an_error_that_says_which(operation: str, site: Site, aws: FakeAws) -> None:
    aws.answers[operation] = refusal("AccessDenied", 403)
    with pytest.raises(PreflightError, match=rf"cannot be asked .*AccessDenied.*{operation}"):
        list(log_buckets_fit(site))
    aws.answers[operation] = refusal("ExpiredToken", 400)
    with pytest.raises(CredentialsError):
        list(log_buckets_fit(site))
