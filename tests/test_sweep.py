"""``teardown --sweep``: lists first, asks, deletes only where it may, and says what is left."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from offline import ACCOUNT, REGION, RUN_ID, T0, FakeTarget
from rich.console import Console

from harness.cli import main
from harness.errors import ExitCode, PreflightError, UsageError
from harness.planning.fake_aws import Answer, FakeAws, refusal, xml
from harness.sweep import sweep

pytestmark = pytest.mark.usefixtures("no_backoff")
SOURCE = f"s3lm-{RUN_ID}-src-{ACCOUNT}-{REGION}-an"
LOGS = f"s3lm-{RUN_ID}-log-{ACCOUNT}-{REGION}-an"
OLD = f"s3lm-deadbeef-src-{ACCOUNT}-{REGION}-an"


class Place:
    """An account with two source buckets, of which one is young, and a log bucket."""

    def __init__(self, aws: FakeAws) -> None:
        self.aws, self.target = aws, FakeTarget(aws)
        listed = {SOURCE: T0 - timedelta(hours=5), LOGS: T0 - timedelta(hours=5), OLD: T0 - timedelta(days=9)}
        inner = "".join(
            f"<Bucket><Name>{n}</Name><CreationDate>{at:%Y-%m-%dT%H:%M:%SZ}</CreationDate></Bucket>"
            for n, at in listed.items()
        )
        aws.answers |= {
            "ListBuckets": xml("ListAllMyBucketsResult", f"<Buckets>{inner}</Buckets>"),
            "GetBucketTagging": xml("Tagging", f"<TagSet><Tag><Key>s3lm</Key><Value>{RUN_ID}</Value></Tag></TagSet>"),
            "DescribeTrails": Answer(json.dumps({"trailList": []}).encode()),
            "ListRoles": xml("ListRolesResponse", "<ListRolesResult><Roles/></ListRolesResult>"),
        }
        self.questions: list[str] = []
        self.screen = io.StringIO()

    def sweep(self, answer: bool | None = True, **options: object) -> ExitCode:
        """Sweep, with what the user answers; None where nobody can be asked."""

        before = len(self.deleted)

        def confirm(question: str) -> bool:
            assert len(self.deleted) == before
            assert SOURCE in self.text or OLD in self.text
            self.questions.append(question)
            return bool(answer)

        ask: Callable[[str], bool] | None = None if answer is None else confirm
        return sweep(self.target, Console(file=self.screen, width=400), confirm=ask, **options)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        return self.screen.getvalue()

    @property
    def deleted(self) -> list[str]:
        return [p["Bucket"] for p in self.aws.parameters("DeleteBucket")]


@pytest.fixture
def place(aws: FakeAws) -> Place:
    return Place(aws)


def test_it_shows_what_it_found_with_age_and_tag_asks_and_deletes_log_buckets_last(place: Place) -> None:
    assert place.sweep() is ExitCode.OK
    assert place.deleted[-1] == LOGS
    assert set(place.deleted) == {SOURCE, LOGS, OLD}
    assert len(place.questions) == 1
    for text in (f"run {RUN_ID}, last made 5.0 h ago", "run deadbeef, last made 9.0 d ago", f"tag s3lm={RUN_ID}"):
        assert text in place.text
    assert "3 of 3 resources were deleted" in place.text
    assert "--older-than" in place.text


def test_a_no_deletes_nothing(place: Place) -> None:
    assert place.sweep(answer=False) is ExitCode.OK
    assert place.deleted == []
    assert "Nothing was deleted" in place.text


def test_where_nobody_can_be_asked_it_lists_and_deletes_nothing(place: Place) -> None:
    with pytest.raises(UsageError, match="--yes"):
        place.sweep(answer=None)
    assert SOURCE in place.text
    assert place.deleted == []


def test_only_one_run_or_only_old_ones_are_swept_if_wanted(place: Place) -> None:
    place.sweep(run_id=RUN_ID, answer=False)
    assert OLD not in place.text
    place.sweep(older_than=timedelta(days=2))
    assert place.deleted == [OLD]
    assert "Left out by --run-id or --older-than: 1 run." in place.text


def test_an_account_with_nothing_left_says_so_and_asks_nothing(place: Place) -> None:
    place.aws.answers["ListBuckets"] = xml("ListAllMyBucketsResult", "<Buckets/>")
    assert place.sweep(answer=None) is ExitCode.OK
    assert "Nothing to delete was found" in place.text


def test_what_cannot_be_deleted_or_asked_for_makes_exit_code_1(place: Place) -> None:
    place.aws.answers["DeleteBucket"] = [refusal("AccessDenied", 403)]
    assert place.sweep() is ExitCode.DRIFT
    assert "2 of 3 resources were deleted" in place.text
    place.aws.answers["DescribeTrails"] = refusal("AccessDeniedException", service="cloudtrail")
    assert place.sweep() is ExitCode.DRIFT
    assert "cannot be asked for trail: AccessDeniedException" in place.text


def test_a_real_account_must_be_named_and_another_one_is_left_alone(place: Place) -> None:
    place.target.real = True
    with pytest.raises(UsageError, match="--account"):
        place.sweep()
    with pytest.raises(PreflightError, match="nothing was done"):
        place.sweep(account="999988887777")
    assert set(place.aws.operations()) == {"GetCallerIdentity"}
    assert place.sweep(account=ACCOUNT) is ExitCode.OK


def test_every_deletion_says_whose_bucket_it_means(place: Place) -> None:
    place.sweep()
    owners = {
        request.headers.get("x-amz-expected-bucket-owner") for name, request in place.aws.sent if "Bucket" in name
    }
    assert owners - {None} in ({ACCOUNT}, {ACCOUNT.encode()})
    deletions = [request for name, request in place.aws.sent if name == "DeleteBucket"]
    assert all("x-amz-expected-bucket-owner" in request.headers for request in deletions)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sweep"], "--target aws or localstack"),
        (["--sweep", "--target", "embedded"], "leaves nothing behind"),
        (["--sweep", "results/x", "--target", "aws"], "s3logjam teardown results/x"),
        (["--sweep", "--target", "aws", "--older-than", "soon"], "duration"),
        (["--yes"], "--yes goes with --sweep only"),
        (["--account", ACCOUNT], "--account goes with --sweep only"),
        (["--older-than", "1d"], "--older-than goes with --sweep only"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["teardown", *arguments])
    assert caught.value.code == ExitCode.USAGE
    assert told in " ".join(capsys.readouterr().err.split())
