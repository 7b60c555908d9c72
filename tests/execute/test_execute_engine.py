"""Scenarios are executed in turn, between controls, and one that fails does not stop the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from offline import T0, Bench

from harness.channels import DEFAULT, channels
from harness.environment.site import Site
from harness.execute.engine import CONTROL_INTERVAL, RunSurroundings
from harness.execute.recorder import Recorder
from harness.journal import Journal
from harness.model import CellKey, Role
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.scenario import Records, Scenario, StoredObject, fixture

pytestmark = pytest.mark.usefixtures("empty_registry", "no_backoff")


def heads(variant: str = "ok") -> Scenario:
    return Scenario(
        operation="HeadObject",
        variant=variant,
        needs=("call", "bucket"),
        run=lambda call, bucket: call(Bucket=bucket, Key=variant),
    )


def fails(error: BaseException, variant: str = "broken") -> Scenario:
    def run() -> None:
        raise error

    return Scenario(operation="HeadObject", variant=variant, run=run)


def test_controls_are_called_before_and_after_the_scenarios(bench: Bench) -> None:
    bench.execute(heads())
    assert bench.roles() == ["control", "subject", "control"]


def test_controls_are_called_between_many_scenarios(bench: Bench) -> None:
    bench.execute(heads(), repeats=CONTROL_INTERVAL + 1)
    at = [n for n, role in enumerate(bench.roles()) if role == "control"]
    assert at == [0, CONTROL_INTERVAL + 1, CONTROL_INTERVAL + 3]


def test_controls_go_to_the_main_bucket_and_expect_a_record_in_every_channel(bench: Bench) -> None:
    bench.execute()
    before, after = bench.journal.calls(Role.CONTROL)
    assert before.operation == "PutObject"
    assert before.bucket == bench.site.bucket
    assert before.expected == {"fake": 1}
    assert before.key != after.key


def test_repetitions_are_the_outer_loop(bench: Bench) -> None:
    events = bench.execute(heads(variant="a"), heads(variant="b"), repeats=2)
    assert [(event.cell.variant, event.repeat) for event in events] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [(c.cell.variant, c.repeat) for c in bench.journal.calls(Role.SUBJECT) if c.cell] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("b", 1),
    ]


def test_the_call_under_test_is_a_subject_and_what_prepares_it_is_setup(bench: Bench) -> None:
    def run(s3: Any, bucket: str, call: Any) -> None:
        s3.put_object(Bucket=bucket, Key="key", Body=b"x")
        call(Bucket=bucket, Key="key")
        s3.delete_object(Bucket=bucket, Key="key")

    bench.execute(
        Scenario(operation="HeadObject", run=run, needs=("s3", "bucket", "call"), records=Records(2, cloudtrail=0))
    )
    calls = bench.journal.calls(Role.SETUP, Role.SUBJECT)
    assert [(c.operation, c.role) for c in calls] == [
        ("PutObject", Role.SETUP),
        ("HeadObject", Role.SUBJECT),
        ("DeleteObject", Role.SETUP),
    ]
    assert {c.cell for c in calls} == {CellKey(operation="HeadObject")}
    assert {name: calls[1].expected[name] for name in DEFAULT} == {"server-access": 2, "cloudtrail": 0}


def test_an_api_error_is_recorded_and_the_next_scenario_goes_on(bench: Bench) -> None:
    bench.aws.answers["HeadObject"] = [refusal("AccessDenied", 403)]
    first, second = bench.execute(heads(variant="denied"), heads())
    assert first.failure
    assert "403" in first.failure or "AccessDenied" in first.failure
    assert (second.cell, second.failure) == (CellKey(operation="HeadObject"), None)
    state = bench.journal.executions()
    assert state[first.cell, 0] == ("failed", first.failure)
    assert bench.roles()[-1] == "control"


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyError("gone"), AssertionError(), ValueError("")])
def test_a_scenario_that_breaks_is_recorded_with_the_kind_of_its_error(error: Exception, bench: Bench) -> None:
    broken, after = bench.execute(fails(error), heads())
    assert broken.failure
    assert type(error).__name__ in broken.failure
    assert after.failure is None
    assert bench.journal.executions()[after.cell, 0] == ("done", None)


@pytest.mark.parametrize("wrapped", [False, True], ids=["the error", "another error"])
def test_a_presigned_request_without_an_answer_tells_its_url_without_secrets(wrapped: bool, bench: Bench) -> None:
    url = "https://bucket.s3.amazonaws.com/key?X-Amz-Security-Token=to/ken&X-Amz-Signature=abc123&x-id=GetObject"
    error: Exception = ReadTimeoutError(endpoint_url=url)
    (finished,) = bench.execute(fails(RuntimeError(str(error)) if wrapped else error))
    _, kept = bench.journal.executions()[finished.cell, 0]
    for told in (finished.failure, kept):
        assert told
        assert "bucket.s3.amazonaws.com/key" in told
        assert not any(secret in told for secret in ("to/ken", "abc123"))


def test_wrong_parameters_are_a_failure_and_no_call_is_made(bench: Bench) -> None:
    wrong = Scenario(operation="HeadObject", needs=("call",), run=lambda call: call(Bukket="b"))
    (finished,) = bench.execute(wrong)
    assert finished.failure
    assert "Bukket" in finished.failure
    assert bench.journal.calls(Role.SUBJECT) == []


def test_an_unknown_fixture_is_a_failure_of_that_scenario_only(bench: Bench) -> None:
    lost = Scenario(operation="HeadObject", variant="lost", needs=("stored_objekt",), run=lambda **_kwargs: None)
    first, second = bench.execute(lost, heads())
    assert first.failure
    assert "stored_objekt" in first.failure
    assert second.failure is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_passed_on_and_leaves_the_execution_started(
    error: type[BaseException], bench: Bench
) -> None:
    with pytest.raises(error):
        bench.execute(fails(error()), heads())
    assert bench.journal.executions() == {(CellKey(operation="HeadObject", variant="broken"), 0): ("started", None)}


def test_executions_that_are_done_or_failed_are_not_repeated(bench: Bench) -> None:
    for variant, state in (("done", "done"), ("failed", "failed"), ("started", "started")):
        bench.journal.execution(CellKey(operation="HeadObject", variant=variant), 0, state, None, T0)
    events = bench.execute(*(heads(variant=v) for v in ("done", "failed", "started", "new")))
    assert [event.cell.variant for event in events] == ["started", "new"]


def test_a_run_that_is_taken_up_again_does_only_what_is_missing(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.execute(heads(variant="a"), fails(KeyboardInterrupt()), heads(variant="c"))
    again = bench.execute(heads(variant="a"), heads(variant="broken"), heads(variant="c"))
    assert [event.cell.variant for event in again] == ["broken", "c"]
    assert {state for state, _ in bench.journal.executions().values()} == {"done"}


def test_an_execution_is_journaled_as_started_before_its_first_call(bench: Bench) -> None:
    seen = {}

    def look(_request: object) -> Answer:
        seen.update(bench.journal.executions())
        return Answer()

    bench.aws.answers["HeadObject"] = look
    bench.execute(heads())
    assert seen == {(CellKey(operation="HeadObject"), 0): ("started", None)}


def test_a_streamed_answer_is_read_to_its_end(bench: Bench) -> None:
    bench.aws.answers["GetObject"] = Answer(b"x" * 10_000, headers={"Content-Length": "10000"})
    answers = []
    bench.execute(
        Scenario(
            operation="GetObject",
            needs=("call", "bucket"),
            run=lambda call, bucket: answers.append(call(Bucket=bucket, Key="k")),
        )
    )
    assert answers[0]["Body"].read() == b""


def test_new_names_are_never_used_twice(bench: Bench) -> None:
    names = [bench.surroundings.new_name("key") for _ in range(100)]
    assert len(set(names)) == 100


def test_a_further_bucket_is_remembered_and_watched_by_every_channel(bench: Bench) -> None:
    name = bench.surroundings.new_bucket(ObjectOwnership="ObjectWriter")
    assert name.startswith(bench.site.source_prefix)
    assert name != bench.site.bucket
    assert bench.channel.watched == [name]
    assert ("bucket", name, "created", {"logs": False, "watched": True}) in bench.journal.resources()
    assert bench.aws.parameters("CreateBucket")[0]["ObjectOwnership"] == "ObjectWriter"


def test_a_bucket_that_the_call_under_test_creates_is_remembered_for_teardown(bench: Bench) -> None:
    name = bench.surroundings.bucket_name()
    assert bench.journal.resources() == [("bucket", name, "intended", {})]
    assert bench.aws.made == []


def test_bucket_names_are_never_used_twice_in_a_run(bench: Bench) -> None:
    names = [bench.surroundings.bucket_name(), bench.surroundings.new_bucket(), bench.surroundings.bucket_name()]
    assert len(set(names)) == 3


def test_bucket_names_are_not_used_again_when_a_run_is_taken_up_again(bench: Bench) -> None:
    first = bench.surroundings.bucket_name()
    again = RunSurroundings(bench.site, [bench.channel])
    assert again.bucket_name() != first


def test_further_buckets_are_logged_by_the_real_channels(aws: FakeAws, site: Site, recorder: Recorder) -> None:
    bench = Bench(aws, site, recorder, [make() for make in channels().values()])
    name = bench.surroundings.new_bucket()
    (logging,) = aws.parameters("PutBucketLogging")
    assert logging["Bucket"] == name


def test_surroundings_tell_fixtures_what_they_may_use(bench: Bench) -> None:
    got: dict[str, Any] = {}
    needs = ("s3", "bucket", "account_id", "clock", "surroundings")
    bench.execute(Scenario(operation="HeadObject", needs=needs, run=got.update))
    assert got["bucket"] == bench.site.bucket
    assert got["account_id"] == bench.site.account_id
    assert got["clock"] is bench.site.clock
    assert got["surroundings"] is bench.surroundings


def test_a_call_that_is_answered_at_its_second_attempt_has_not_failed(bench: Bench) -> None:
    bench.aws.answers["HeadObject"] = [refusal("SlowDown", 503), Answer()]
    (finished,) = bench.execute(heads())
    assert [call.status for call in bench.journal.calls(Role.SUBJECT)] == [503, 200]
    assert finished.failure is None


def test_a_call_that_is_meant_to_fail_has_failed_when_it_does_not(bench: Bench) -> None:
    (finished,) = bench.execute(replace(heads(variant="denied"), fails=(403,)))
    assert finished.failure
    assert "meant to end with 403, got 200" in finished.failure


def test_a_call_that_fails_as_it_is_meant_to_is_no_failure(bench: Bench) -> None:
    bench.aws.answers["HeadObject"] = refusal("AccessDenied", 403)
    (finished,) = bench.execute(replace(heads(variant="denied"), fails=(403, 404)))
    assert finished.failure is None


def test_a_refusal_that_is_meant_may_be_preceded_by_a_throttled_attempt(bench: Bench) -> None:
    bench.aws.answers["HeadObject"] = [refusal("SlowDown", 503), refusal("AccessDenied", 403)]
    (finished,) = bench.execute(replace(heads(variant="denied"), fails=(403,)))
    assert finished.failure is None


def test_a_failing_clean_up_is_told_when_nothing_else_failed(bench: Bench, journal: Journal) -> None:
    @fixture
    def untidy() -> Any:
        yield StoredObject("b", "k", b"")
        raise ClientError({"Error": {"Code": "Conflict", "Message": "no"}}, "DeleteObject")

    (finished,) = bench.execute(Scenario(operation="HeadObject", needs=("untidy",), run=lambda untidy: None))
    assert finished.failure
    assert "Conflict" in finished.failure


def test_a_control_that_is_refused_does_not_end_the_run(bench: Bench) -> None:
    bench.aws.answers["PutObject"] = [*[refusal("SlowDown", 503)] * 3, Answer(), Answer()]
    (finished,) = bench.execute(heads())
    assert finished.failure is None


def refused(variant: str) -> Scenario:
    """A call that is meant to be refused, on a bucket that such scenarios share."""
    return Scenario(
        operation="DeleteBucket",
        variant=variant,
        fails=(403,),
        needs=("call", "surroundings"),
        run=lambda call, surroundings: call(Bucket=surroundings.new_bucket()),
    )


def test_calls_that_are_refused_as_meant_share_a_bucket(bench: Bench) -> None:
    bench.aws.answers["DeleteBucket"] = refusal("AccessDenied", 403)
    bench.execute(refused("a"), refused("b"))
    assert len(bench.aws.parameters("CreateBucket")) == 1


def test_a_call_that_was_not_refused_as_meant_leaves_no_bucket_to_the_next(bench: Bench) -> None:
    bench.aws.answers["DeleteBucket"] = [Answer(status=204), refusal("AccessDenied", 403), refusal("AccessDenied", 403)]
    first, *others = bench.execute(refused("a"), refused("b"), refused("c"))
    assert first.failure == "meant to end with 403, got 204"
    assert [each.failure for each in others] == [None, None]
    buckets = [each["Bucket"] for each in bench.aws.parameters("DeleteBucket")]
    assert buckets[0] != buckets[1] == buckets[2]
