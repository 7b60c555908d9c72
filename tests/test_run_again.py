"""Runs that are left and taken up again, on an AWS that is made up: errors, expired credentials, teardown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from offline import ACCOUNT, FakeTarget

from harness import scenario
from harness.collect.gate import Shown
from harness.errors import CredentialsError, ExitCode, JournalError, LogjamError, PreflightError, UsageError
from harness.events import (
    Event,
    GateProgress,
    RunDetached,
    RunFinished,
    RunInterrupted,
    ScenarioFinished,
    StageStarted,
    Warned,
)
from harness.journal import FILE_NAME, Journal
from harness.model import CellKey, Role
from harness.planning.fake_aws import Answer, FakeAws, refusal, xml
from harness.run import LOCK_NAME, Run, forget
from harness.selection import Options

pytestmark = pytest.mark.usefixtures("no_backoff")
EXPIRED = refusal("ExpiredToken", 400, "The provided token has expired.")


class Outliving(FakeTarget):
    """A real account that is made up: it goes on, and it demands ``--account``."""

    outlives = True
    real = True
    repeatable = False

    def __init__(self, aws: FakeAws) -> None:
        super().__init__(aws)
        self.ended = 0

    def reach(self) -> dict[str, Any]:
        return {}

    def keep_evidence(self, folder: Path) -> None: ...

    def ended_with(self) -> None:
        self.ended += 1


def declare() -> None:
    scenario.variant("denied", meaning="refused", client="denied", fails=(403,))

    @scenario.scenario("HeadObject", variants=["denied"], iam=["s3:GetObject"])
    def head(call: Any, bucket: str) -> None:
        call(Bucket=bucket, Key="key")

    @scenario.scenario("PutBucketTagging")
    def tag(call: Any, surroundings: Any) -> None:
        call(Bucket=surroundings.new_bucket(), Tagging={"TagSet": []})


class Account:
    """A made-up account, and the processes that work in it one after the other."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.aws = FakeAws()
        self.aws.answers["SimulatePrincipalPolicy"] = Answer(
            b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", 403
        )
        self.target = Outliving(self.aws)
        defaults: dict[str, Any] = {
            "account": ACCOUNT,
            "canary": False,
            "deadline": timedelta(minutes=1),
            "results": folder / "results",
            "operations": ("HeadObject", "PutBucketTagging"),
            "variants": ("ok",),
        }
        self.options = Options(**(defaults | options))
        self.told: list[Event] = []

    def begin(self) -> Run:
        return Run(self.options, self.target)

    def go_on(self, run: Run, until: timedelta | None = None) -> Run:
        """Return the run as another process takes it up."""
        run.close()
        return Run.taken_up(run.folder, self.target, until)

    def do(self, run: Run) -> Run:
        self.told = list(run.events())
        return run

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
def account(tmp_path: Path, empty_registry: None) -> Account:
    declare()
    return Account(tmp_path)


def interrupt(run: Run, stage: str) -> None:
    """Stop a run at the first event after a stage has begun, as Ctrl+C does."""
    events = run.events()
    for event in events:
        if isinstance(event, StageStarted) and event.stage == stage:
            next(events)
            return


def states(run: Run) -> set[str]:
    return {state for *_, state, _ in run.journal.resources()}


def test_a_real_account_is_not_touched_unless_it_is_named(account: Account) -> None:
    account.options = replace(account.options, account=None)
    with pytest.raises(UsageError, match="--account"):
        account.begin()
    assert account.aws.made == []
    assert not account.options.results.exists()


def test_another_account_than_the_named_one_is_not_touched(account: Account) -> None:
    account.options = replace(account.options, account="999988887777")
    with pytest.raises(PreflightError, match=f"{ACCOUNT}.*999988887777.*nothing was done"):
        account.do(account.begin())
    assert set(account.aws.operations()) == {"GetCallerIdentity"}


def test_a_run_is_not_taken_up_in_another_account(account: Account) -> None:
    account.options = replace(account.options, detach=True)
    run = account.do(account.begin())
    before = len(account.aws.made)
    account.aws.answers["GetCallerIdentity"] = Answer(
        b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>999988887777</Account><Arn>a</Arn>"
        b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    for again in ("events", "torn_down"):
        run = account.go_on(run)
        with pytest.raises(PreflightError, match="999988887777"):
            list(getattr(run, again)())
    assert {name for name, _ in account.aws.made[before:]} == {"GetCallerIdentity"}
    assert states(run) == {"created"}


def test_a_detached_run_is_finished_by_another_process(account: Account) -> None:
    account.options = replace(account.options, detach=True)
    run = account.do(account.begin())
    assert [type(event) for event in account.told][-1] is RunDetached
    assert (states(run), run.journal.fact("stage")) == ({"created"}, "detached")
    made = len(run.journal.calls(Role.SUBJECT))
    run = account.do(account.go_on(run))
    assert account.of(RunFinished)
    assert not account.of(ScenarioFinished)
    assert len(run.journal.calls(Role.SUBJECT)) == made == 2
    assert states(run) == {"deleted"}
    assert account.target.ended == 1


@pytest.mark.parametrize("later", ["botocore-session-1", "botocore-session-2"])
def test_calls_of_an_earlier_process_are_looked_up_though_its_session_had_another_name(
    later: str, account: Account
) -> None:
    """A role without a session name of its own gets one from botocore, new in every process."""

    def signed_in_as(name: str) -> None:
        told = f"<Account>{ACCOUNT}</Account><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/Audit/{name}</Arn>"
        inner = f"<GetCallerIdentityResult>{told}</GetCallerIdentityResult>"
        account.aws.answers["GetCallerIdentity"] = xml("GetCallerIdentityResponse", inner)

    account.options = replace(account.options, channels=("cloudtrail-lookup",), detach=True)
    signed_in_as("botocore-session-1")
    run = account.do(account.begin())
    signed_in_as(later)
    account.do(account.go_on(run))
    asked = [each for p in account.aws.parameters("LookupEvents") for each in p.get("LookupAttributes", [])]
    first_poll = asked[: next(n for n, each in enumerate(asked) if each["AttributeKey"] == "ResourceName")]
    names = [each["AttributeValue"] for each in first_poll]
    assert names[:-1] == list(dict.fromkeys(["botocore-session-1", later]))


def test_a_run_that_is_taken_up_after_its_deadline_polls_once_and_ends(account: Account) -> None:
    account.options = replace(account.options, detach=True)
    run = account.do(account.begin())
    account.target.clock.sleep(30 * 86_400)
    run = account.do(account.go_on(run))
    assert {name: len(times) for name, times in run.journal.polls().items()} == {"server-access": 1, "cloudtrail": 1}
    assert account.of(RunFinished)[0].pending == 4
    assert states(run) == {"deleted"}


def test_a_longer_wait_is_kept_for_whoever_asks(account: Account) -> None:
    account.options = replace(account.options, detach=True)
    run = account.do(account.begin())
    run = account.go_on(run, until=timedelta(hours=7))
    assert Options.from_fact(run.journal.fact("options")).deadline == timedelta(hours=7)
    before = account.target.clock.now()
    account.do(run)
    assert timedelta(hours=6, minutes=50) < account.target.clock.now() - before <= timedelta(hours=7)


def test_only_one_process_works_on_a_run_and_a_lock_that_was_left_behind_locks_nobody_out(account: Account) -> None:
    run = account.begin()
    with pytest.raises(UsageError, match="another process"):
        Run.taken_up(run.folder, account.target)
    with pytest.raises(UsageError, match="another process"):
        forget(run.folder)
    run.close()
    assert (run.folder / LOCK_NAME).exists()
    Run.taken_up(run.folder, account.target).close()


def test_a_longer_wait_that_is_refused_changes_nothing_of_the_run_in_progress(account: Account) -> None:
    run = account.begin()
    before = run.journal.fact("options")
    with pytest.raises(UsageError, match="another process"):
        Run.taken_up(run.folder, account.target, timedelta(hours=7))
    assert run.journal.fact("options") == before


@pytest.mark.parametrize("operation", ["CreateBucket", "PutObject", "HeadObject", "PutBucketTagging"])
def test_credentials_that_expire_while_executing_lose_no_execution(operation: str, account: Account) -> None:
    run = account.begin()
    events = run.events()
    for event in events:
        if isinstance(event, StageStarted) and event.stage == "execute":
            break
    account.aws.answers[operation] = EXPIRED
    with pytest.raises(CredentialsError, match=rf"sign in again.*s3logjam resume {run.folder}") as caught:
        list(events)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert not [why for _, why in run.journal.executions().values() if why]
    assert states(run) <= {"created", "intended"}
    del account.aws.answers[operation]
    run = account.do(account.go_on(run))
    assert all(event.failure is None for event in account.of(ScenarioFinished))
    assert set(run.journal.executions().values()) == {("done", None)}
    assert states(run) == {"deleted"}


def test_credentials_that_expire_while_the_denied_role_is_assumed_lose_no_execution(account: Account) -> None:
    account.options = replace(account.options, variants=("denied",))
    account.aws.answers |= {"HeadObject": refusal("AccessDenied", 403)}
    run = account.begin()
    account.aws.answers["AssumeRole"] = Answer(
        b"<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>", 403
    )
    with pytest.raises(CredentialsError):
        account.do(run)
    del account.aws.answers["AssumeRole"]
    run = account.do(account.go_on(run))
    assert set(run.journal.executions().values()) == {("done", None)}


def test_the_denied_roles_credentials_are_renewed_before_they_expire(account: Account) -> None:
    account.options = replace(account.options, variants=("denied",), repeats=3)
    account.aws.answers["HeadObject"] = refusal("AccessDenied", 403)
    account.do(account.begin())
    assert len(account.aws.parameters("AssumeRole")) == 1
    account.aws.answers["AssumeRole"] = Answer(
        b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s"
        b"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2020-01-01T00:00:00Z</Expiration></Credentials>"
        b"</AssumeRoleResult></AssumeRoleResponse>"
    )
    account.do(account.begin())
    assert len(account.aws.parameters("AssumeRole")) == 1 + 3


def test_credentials_that_expire_while_collecting_leave_a_run_that_goes_on(account: Account) -> None:
    account.options = replace(account.options, deadline=timedelta(hours=1))
    run = account.begin()
    account.aws.answers["ListObjectsV2"] = EXPIRED
    with pytest.raises(CredentialsError, match="s3logjam resume"):
        account.do(run)
    assert run.journal.fact("interrupted") == "collect"
    del account.aws.answers["ListObjectsV2"]
    account.do(account.go_on(run))
    assert account.of(RunFinished)


def test_credentials_that_expire_while_tearing_down_leave_a_run_that_goes_on_with_that(account: Account) -> None:
    run = account.begin()
    account.aws.answers["DeleteBucket"] = EXPIRED
    with pytest.raises(CredentialsError, match=f"s3logjam resume {run.folder}"):
        account.do(run)
    assert not run.journal.fact("finished_at")
    assert len(account.aws.parameters("DeleteBucket")) == 1
    del account.aws.answers["DeleteBucket"]
    run = account.do(account.go_on(run))
    assert states(run) == {"deleted"}


def test_what_was_made_before_an_error_and_cannot_be_deleted_is_told_with_the_way_to_delete_it(
    account: Account,
) -> None:
    account.aws.answers |= {
        "CreateBucket": [Answer(), Answer(), refusal("TooManyBuckets")],
        "DeleteBucket": refusal("AccessDenied", 403),
    }
    run = account.begin()
    with pytest.raises(PreflightError, match=rf"could not be deleted: .*s3logjam teardown {run.folder}"):
        account.do(run)
    assert account.target.ended == 0


def test_an_error_before_anything_was_made_leaves_nothing_to_come_back_to(account: Account) -> None:
    account.aws.answers["CreateBucket"] = refusal("TooManyBuckets")
    with pytest.raises(PreflightError):
        account.do(account.begin())
    assert account.target.ended == 1


def test_a_defect_in_the_middle_says_how_to_go_on_too(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError

    run = account.begin()
    monkeypatch.setattr("harness.run.Collector", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        account.do(run)
    assert any(f"s3logjam resume {run.folder}" in note for note in caught.value.__notes__)


def test_scenarios_that_have_vanished_are_named_and_nothing_is_thrown_away(account: Account) -> None:
    run = account.begin()
    events = run.events()
    for event in events:
        if isinstance(event, ScenarioFinished):
            break
    events.close()  # type: ignore[attr-defined]
    run = account.go_on(run)
    del scenario._scenarios[CellKey(operation="PutBucketTagging")]
    with pytest.raises(UsageError, match=r"no longer there.*PutBucketTagging"):
        account.do(run)
    assert states(run) == {"created"}


@pytest.mark.parametrize("stage", ["preflight", "provision", "execute", "collect"])
def test_an_interrupted_run_leaves_what_was_made_where_the_target_goes_on(stage: str, account: Account) -> None:
    run = account.begin()
    interrupt(run, stage)
    (*_, last) = run.interrupted()
    assert last == RunInterrupted(stage=stage, folder=run.folder, resumable=True)
    assert "deleted" not in states(run)
    run = account.do(account.go_on(run))
    assert account.of(RunFinished)
    assert states(run) == {"deleted"}


def test_a_run_that_was_torn_down_says_so_and_has_nothing_left(account: Account) -> None:
    account.options = replace(account.options, detach=True)
    run = account.do(account.begin())
    for _ in range(2):
        run = account.go_on(run)
        list(run.torn_down())
        assert (states(run), run.journal.fact("stage")) == ({"deleted"}, "torn down")
    assert run.journal.fact("torn_down_at")


def test_teardown_with_expired_credentials_stops_at_the_first_and_can_be_repeated(account: Account) -> None:
    account.options = replace(account.options, detach=True)
    run = account.do(account.begin())
    account.aws.answers["StopLogging"] = refusal("ExpiredTokenException", service="cloudtrail")
    run = account.go_on(run)
    with pytest.raises(CredentialsError):
        list(run.torn_down())
    assert states(run) == {"created"}
    del account.aws.answers["StopLogging"]
    list(account.go_on(run).torn_down())


def test_what_is_kept_says_how_to_delete_it(account: Account) -> None:
    account.options = replace(account.options, keep=True)
    run = account.do(account.begin())
    (warned,) = account.of(Warned)
    assert warned.message.startswith("kept")
    assert f"s3logjam teardown {run.folder}" in warned.message
    assert account.target.ended == 0


def test_what_is_left_says_how_to_try_again(account: Account) -> None:
    account.aws.answers["DeleteBucket"] = refusal("AccessDenied", 403)
    run = account.do(account.begin())
    assert f"s3logjam teardown {run.folder}" in account.of(Warned)[-1].message
    assert account.target.ended == 0


def test_what_was_there_before_the_run_is_not_deleted_with_it(account: Account) -> None:
    account.options = replace(account.options, variants=("denied",))
    taken = b"<ErrorResponse><Error><Code>EntityAlreadyExists</Code></Error></ErrorResponse>"
    account.aws.answers["CreateRole"] = Answer(taken, 409)
    with pytest.raises(PreflightError, match="EntityAlreadyExists"):
        account.do(account.begin())
    assert "DeleteRole" not in account.aws.operations()


def test_everything_that_is_made_is_named_in_the_journal_before(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever creates a bucket, a trail, a role or an access point: the journal has heard of it."""
    account.options = replace(account.options, variants=())
    account.aws.answers["HeadObject"] = refusal("AccessDenied", 403)
    known: list[bool] = []
    run = account.begin()

    def heard(params: Any, model: Any, **_kwargs: Any) -> None:
        if model.name in ("CreateBucket", "CreateTrail", "CreateRole", "CreateAccessPoint"):
            made = account.aws.made[-1][1]
            name = made.get("Bucket") or made.get("RoleName") or made["Name"]
            known.append(any(row[1] == name and row[2] == "intended" for row in run.journal.resources()))

    plain = FakeAws.session

    def session(aws: FakeAws, region: str = "us-east-1") -> Any:
        made = plain(aws, region)
        made.events.register("before-call", heard)
        return made

    monkeypatch.setattr(FakeAws, "session", session)
    account.do(run)
    assert len(known) >= 6
    assert all(known)


def test_every_bucket_expires_even_if_nobody_ever_tears_down(account: Account) -> None:
    account.do(account.begin())
    created = {p["Bucket"] for p in account.aws.parameters("CreateBucket")}
    expiring = {
        p["Bucket"]
        for p in account.aws.parameters("PutBucketLifecycleConfiguration")
        if p["LifecycleConfiguration"]["Rules"][0]["Expiration"]["Days"] > 0
    }
    assert len(created) >= 4
    assert expiring == created


@pytest.fixture
def silent_gate(account: Account) -> Iterator[Account]:
    account.options = replace(account.options, canary=True)
    yield account


def test_no_call_under_test_is_made_before_the_gate(silent_gate: Account) -> None:
    run = silent_gate.do(silent_gate.begin())
    stages = [event.stage for event in silent_gate.of(StageStarted)]
    assert stages.index("gate") < stages.index("execute")
    calls = run.journal.calls(Role.CONTROL, Role.SUBJECT)
    gate = [c for c in calls if c.role is Role.CONTROL and not any(c.expected.values())]
    assert len(gate) == silent_gate.of(GateProgress)[-1].waited_seconds // 60 + 1
    assert max(c.sent_at for c in gate) <= min(c.sent_at for c in calls if c.role is Role.SUBJECT)
    assert run.journal.fact("silent") == ["cloudtrail", "server-access"]


def test_further_buckets_are_made_before_the_gate_and_none_after_it(silent_gate: Account) -> None:
    silent_gate.options = replace(silent_gate.options, repeats=3)
    run = silent_gate.do(silent_gate.begin())
    further = run.journal.watched_buckets()
    assert len(further) == 3
    calls = run.journal.calls()
    gate_ends = min(c.number for c in calls if c.role is Role.SUBJECT)
    assert max(c.number for c in calls if c.operation == "CreateBucket") < gate_ends
    visits = [c for c in calls if c.operation == "GetBucketLocation" and c.role is Role.SETUP and c.bucket in further]
    assert {c.bucket for c in visits} == further
    assert max(c.number for c in visits) < gate_ends
    tagged = {c.bucket for c in calls if c.operation == "PutBucketTagging" and c.role is Role.SUBJECT}
    assert tagged == further


def test_buckets_that_were_laid_in_before_a_kill_are_used_afterwards(silent_gate: Account) -> None:
    run = silent_gate.begin()
    interrupt(run, "gate")
    before = run.journal.watched_buckets()
    run = silent_gate.do(silent_gate.go_on(run))
    assert run.journal.watched_buckets() == before
    assert len(before) == 1


def test_a_bucket_that_is_made_after_the_gate_is_not_logged_by_a_channel_that_was_left_out(
    silent_gate: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "_shown", lambda _self, _buckets: Shown(channels={"cloudtrail"}))
    monkeypatch.setattr("harness.planning.dry_run.buckets_needed", lambda *_: {})
    silent_gate.options = replace(silent_gate.options, leave_out_silent=True)
    run = silent_gate.do(silent_gate.begin())
    (made_later,) = run.journal.watched_buckets()
    assert run.journal.fact("channels") == ["cloudtrail"]
    assert made_later not in {asked["Bucket"] for asked in silent_gate.aws.parameters("PutBucketLogging")}


def test_a_run_in_which_all_channels_are_silent_is_not_made_if_they_are_to_be_left_out(silent_gate: Account) -> None:
    silent_gate.options = replace(silent_gate.options, leave_out_silent=True)
    run = silent_gate.begin()
    with pytest.raises(PreflightError, match="no channel has shown"):
        silent_gate.do(run)
    assert run.journal.calls(Role.SUBJECT) == []


def test_the_gate_is_passed_once(silent_gate: Account) -> None:
    silent_gate.options = replace(silent_gate.options, detach=True)
    run = silent_gate.do(silent_gate.begin())
    silent_gate.do(silent_gate.go_on(run))
    assert "gate" not in [event.stage for event in silent_gate.of(StageStarted)]


def test_a_target_that_is_gone_leaves_a_journal_in_which_all_is_deleted(account: Account) -> None:
    account.options = replace(account.options, detach=True)
    run = account.do(account.begin())
    run.close()
    for _ in range(2):
        forget(run.folder)
        with Journal(run.folder / FILE_NAME) as journal:
            assert {state for *_, state, _ in journal.resources()} == {"deleted"}
            assert journal.fact("stage") == "torn down"


def test_a_journal_of_no_run_cannot_be_taken_up(account: Account, tmp_path: Path) -> None:
    Journal(tmp_path / FILE_NAME, create=True).close()
    with pytest.raises(JournalError, match="older version"):
        Run.taken_up(tmp_path, account.target)


def test_errors_of_a_run_are_errors_for_the_user(account: Account) -> None:
    account.aws.answers["PutBucketPolicy"] = refusal("SlowDown", 503)
    with pytest.raises(LogjamError, match="SlowDown"):
        account.do(account.begin())
    assert json.dumps(account.options.as_fact())
