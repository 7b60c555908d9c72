"""The stages of a run in their order, on an AWS that is made up: what is planned, made, told, kept and taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from offline import FakeTarget, a_cell, a_delivery, a_record, seconds

from harness import catalogue, scenario
from harness.channels import PollPolicy, channels
from harness.environment.site import Site
from harness.errors import ExitCode, NothingSelectedError, PreflightError, TargetError, UsageError
from harness.events import (
    ChannelSkipped,
    CollectProgress,
    Event,
    ResourceCreated,
    RunFinished,
    RunInterrupted,
    RunStarted,
    ScenarioFinished,
    StageStarted,
    Warned,
)
from harness.journal import FILE_NAME, Journal
from harness.model import CLOUDTRAIL, CellKey, Delivery, Operation, Parsed, Role, Verdict
from harness.planning.fake_aws import FakeAws, refusal
from harness.report.delay import delay_rows
from harness.run import Run, read
from harness.selection import Options, plan, selected_channels, selected_operations
from harness.testing import FakeChannel

pytestmark = pytest.mark.usefixtures("no_backoff")
HEAD = CellKey(operation="HeadObject")


def rows(*operations: str, variants: Sequence[str] = ("ok",), repeats: int = 1) -> dict[CellKey, tuple[int, str]]:
    return plan(operations, variants, FakeTarget(), repeats)


def declare() -> None:
    """Declare one scenario, HeadObject, one that the target cannot serve, and an exclusion."""

    @scenario.scenario("HeadObject")
    def head(call: Any, bucket: str) -> None:
        call(Bucket=bucket, Key="key")

    @scenario.scenario("GetObjectTorrent", requires=["torrent", "time-machine"])
    def torrent(call: Any, bucket: str) -> None: ...

    scenario.exclusion("SelectObjectContent", "closed to new customers")


@pytest.fixture
def head_object(empty_registry: None) -> None:
    """What ``declare`` declares, and nothing else."""
    declare()


@pytest.mark.usefixtures("head_object")
def test_a_scenario_is_planned_as_often_as_it_is_to_be_repeated() -> None:
    assert rows("HeadObject", repeats=7) == {HEAD: (7, "")}


@pytest.mark.usefixtures("head_object")
def test_what_the_target_lacks_is_planned_as_not_run_with_every_reason() -> None:
    ((repeats, reason),) = rows("GetObjectTorrent").values()
    assert repeats == 0
    assert "retired" in reason
    assert "the fake target lacks time-machine" in reason


@pytest.mark.usefixtures("head_object")
def test_an_excluded_operation_is_planned_as_not_run_with_its_reason() -> None:
    assert list(rows("SelectObjectContent").values()) == [(0, "closed to new customers")]


@pytest.mark.usefixtures("head_object")
def test_an_operation_that_a_newer_botocore_brings_is_planned_as_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(catalogue.operations())
    known["PutObjectHologram"] = Operation(
        name="PutObjectHologram", method="PUT", uri="/x", level=known["PutObject"].level
    )
    monkeypatch.setattr(catalogue, "operations", lambda: known)
    assert rows("PutObjectHologram") == {CellKey(operation="PutObjectHologram"): (0, "no scenario yet")}


def test_the_plan_has_a_row_for_every_operation_in_the_catalogues_order() -> None:
    scenario.load()
    planned = rows()
    assert list(dict.fromkeys(cell.operation for cell in planned)) == list(catalogue.rows())


def test_patterns_are_globs_in_either_case_and_each_adds_to_the_others() -> None:
    acls = ["GetBucketAcl", "GetObjectAcl", "PutBucketAcl", "PutObjectAcl"]
    assert selected_operations(["*ACL"]) == acls
    assert selected_operations(["putbucketacl", "GET*acl"]) == ["GetBucketAcl", "GetObjectAcl", "PutBucketAcl"]
    assert selected_operations(["Put????????l"]) == ["PutBucketAcl", "PutObjectAcl"]
    assert selected_operations([]) == list(catalogue.rows())


@pytest.mark.parametrize("patterns", [["NoSuch*"], ["PutBucketAc"], ["s3:PutBucketAcl"], ["*", ""][1:]])
def test_nothing_selected_has_an_exit_code_of_its_own_and_says_where_to_look(patterns: list[str]) -> None:
    with pytest.raises(NothingSelectedError, match="s3logjam list") as caught:
        selected_operations(patterns)
    assert caught.value.exit_code == ExitCode.NOTHING_SELECTED == 5


@pytest.mark.usefixtures("head_object")
def test_a_variant_that_nothing_has_selects_nothing() -> None:
    with pytest.raises(NothingSelectedError, match="no-such-variant"):
        rows("HeadObject", variants=["no-such-variant"])


def test_channels_are_chosen_by_name_and_the_two_classic_ones_by_default() -> None:
    assert [c.name for c in selected_channels([])] == ["server-access", "cloudtrail"]
    assert [c.name for c in selected_channels(["all"])] == list(channels())
    assert len(channels()) == 7
    assert [c.name for c in selected_channels(["cloudtrail"])] == ["cloudtrail"]
    assert [c.name for c in selected_channels(["cloudtrail", "cloudtrail"])] == ["cloudtrail"]


def test_an_unknown_channel_is_wrong_use_and_the_message_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown channel carrier-pigeon; there are .*cloudtrail") as caught:
        selected_channels(["cloudtrail", "carrier-pigeon"])
    assert caught.value.exit_code == ExitCode.USAGE == 4


class Bench:
    """Runs on a made-up AWS."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.aws = FakeAws()
        self.target = FakeTarget(self.aws)
        defaults = {"operations": ("HeadObject",), "deadline": timedelta(minutes=1), "results": folder / "results"}
        self.options = Options(**(defaults | options))
        self.told: list[Event] = []

    def make(self) -> Run:
        return Run(self.options, self.target)

    def run(self) -> Run:
        made = self.make()
        self.told = []
        for event in made.events():
            self.told.append(event)
        return made


@pytest.fixture
def bench(tmp_path: Path, head_object: None) -> Bench:
    return Bench(tmp_path)


def states(journal: Journal) -> dict[str, str]:
    return {name: state for _, name, state, _ in journal.resources()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Run]]:
    """A bench and the one run that was made on it, to the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_scenarios", "_variants", "_exclusions", "_fixtures"):
            patch.setattr(scenario, name, {})
        declare()
        bench = Bench(tmp_path_factory.mktemp("finished"))
        yield bench, bench.run()


def test_a_run_tells_its_stages_in_order_and_ends_with_exactly_one_last_event(finished: tuple[Bench, Run]) -> None:
    bench, _ = finished
    assert isinstance(bench.told[0], RunStarted)
    assert [isinstance(event, RunFinished) for event in bench.told].index(True) == len(bench.told) - 1
    assert [event.stage for event in bench.told if isinstance(event, StageStarted)] == [
        "preflight",
        "provision",
        "execute",
        "collect",
        "teardown",
    ]
    kinds = [type(event) for event in bench.told]
    assert kinds.index(ResourceCreated) < kinds.index(ScenarioFinished) < kinds.index(CollectProgress)


def test_the_first_event_says_what_will_be_done(finished: tuple[Bench, Run]) -> None:
    bench, run = finished
    (started,) = [event for event in bench.told if isinstance(event, RunStarted)]
    assert (started.target, started.note, started.planned) == ("fake", "made up", 1)
    assert (started.channels, started.folder) == (("server-access", "cloudtrail"), run.folder)


def test_records_that_never_come_are_pending_at_the_deadline(finished: tuple[Bench, Run]) -> None:
    bench, run = finished
    (last,) = [event for event in bench.told if isinstance(event, RunFinished)]
    assert last.pending == last.verdicts["pending"] == 2
    assert run.result is not None
    assert {cell.verdict.value for cell in run.result.cells} == {"pending"}


def test_everything_that_was_made_is_taken_away_again(finished: tuple[Bench, Run]) -> None:
    bench, run = finished
    assert set(states(run.journal).values()) == {"deleted"}
    created = {p["Bucket"] for p in bench.aws.parameters("CreateBucket")}
    assert created == {p["Bucket"] for p in bench.aws.parameters("DeleteBucket")}
    assert len(bench.aws.parameters("DeleteTrail")) == 1


def test_every_call_of_a_run_has_the_role_of_its_stage(finished: tuple[Bench, Run]) -> None:
    _, run = finished
    calls = run.journal.calls()
    roles = [call.role for n, call in enumerate(calls) if n == 0 or call.role is not calls[n - 1].role]
    assert roles == [Role.SETUP, Role.CONTROL, Role.SUBJECT, Role.CONTROL, Role.POLL, Role.TEARDOWN]
    assert {call.cell for call in calls if call.role in (Role.POLL, Role.TEARDOWN)} == {None}


def test_the_files_of_a_run_are_there_and_latest_points_at_the_last_one(bench: Bench) -> None:
    first = bench.run()
    assert {path.name for path in first.folder.iterdir()} >= {
        FILE_NAME,
        "matrix.csv",
        "matrix.json",
        "matrix.md",
        "calls.parquet",
        "records.parquet",
    }
    second = bench.run()
    assert first.folder != second.folder
    latest = bench.options.results / "latest"
    assert latest.resolve() == second.folder.resolve()
    assert [p.name for p in bench.options.results.iterdir() if p.name.startswith(".")] == []


def test_a_folder_of_the_users_own_named_latest_is_left_alone(bench: Bench) -> None:
    mine = bench.options.results / "latest"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    run = bench.run()
    assert (mine / "notes.txt").read_text() == "mine"
    assert [p.name for p in bench.options.results.iterdir() if p.name.startswith(".")] == []
    assert run.folder.is_dir()


def test_what_is_kept_is_neither_deleted_nor_forgotten(tmp_path: Path, head_object: None) -> None:
    bench = Bench(tmp_path, keep=True)
    run = bench.run()
    assert set(states(run.journal).values()) == {"created"}
    assert "DeleteBucket" not in bench.aws.operations()


def test_what_cannot_be_deleted_is_told(bench: Bench) -> None:
    bench.aws.answers["DeleteTrail"] = refusal("AccessDeniedException", service="cloudtrail")
    bench.run()
    warnings = [event.message for event in bench.told if isinstance(event, Warned)]
    assert any("not deleted: trail" in message and "AccessDenied" in message for message in warnings)
    assert isinstance(bench.told[-1], RunFinished)


def test_a_target_that_does_not_answer_is_an_error_that_says_so(bench: Bench) -> None:
    bench.aws.answers["GetCallerIdentity"] = EndpointConnectionError(endpoint_url="https://sts")
    with pytest.raises(TargetError, match="fake target does not answer"):
        bench.run()


def test_without_any_channel_the_run_ends_and_what_was_made_before_is_taken_away(bench: Bench) -> None:
    bench.options = replace(bench.options, channels=("cloudtrail", "eventbridge"))
    bench.aws.answers["CreateTrail"] = refusal("MaximumNumberOfTrailsExceededException", service="cloudtrail")
    run = bench.make()
    with pytest.raises(PreflightError, match=r"no channel .*trail .*MaximumNumberOfTrails") as caught:
        list(run.events())
    assert "eventbridge: cannot create trail" in str(caught.value)
    assert set(states(run.journal).values()) == {"deleted"}


@pytest.mark.parametrize(
    ("operation", "left"),
    [("PutBucketLogging", "cloudtrail"), ("PutEventSelectors", "server-access"), ("StartLogging", "server-access")],
)
def test_a_channel_that_is_refused_is_left_out_with_its_reason_and_the_others_go_on(
    operation: str, left: str, bench: Bench
) -> None:
    service = "s3" if "Bucket" in operation else "cloudtrail"
    bench.aws.answers[operation] = refusal("AccessDenied", 403, service=service)
    run = bench.run()
    assert run.result is not None
    (skipped,) = [event for event in bench.told if isinstance(event, ChannelSkipped)]
    assert "AccessDenied" in skipped.reason
    assert {skipped.channel, left} == {"server-access", "cloudtrail"}
    by_channel = {cell.channel: cell for cell in run.result.cells if cell.operation == "HeadObject"}
    assert by_channel[left].verdict is not Verdict.NOT_RUN
    assert by_channel[skipped.channel].verdict is Verdict.NOT_RUN
    assert "could not be set up" in by_channel[skipped.channel].reason
    assert "AccessDenied" in by_channel[skipped.channel].reason
    assert set(run.result.facts["absence_seconds"]) == {left}
    assert set(run.result.facts["skipped_channels"]) == {skipped.channel}
    assert set(states(run.journal).values()) == {"deleted"}


def test_a_target_says_which_channels_it_does_not_have(bench: Bench) -> None:
    bench.target.missing |= {"cloudtrail": "this target keeps no trails"}
    run = bench.run()
    assert [e.reason for e in bench.told if isinstance(e, ChannelSkipped)] == ["this target keeps no trails"]
    assert "CreateTrail" not in bench.aws.operations()
    assert run.result is not None


class Lookup(FakeChannel):
    """Shows the record of every call 150 s after it, without a stamp of its arrival."""

    def __init__(self) -> None:
        policy = PollPolicy(interval_seconds=60, absence_seconds=3600, promise="none", arrival_stamps=False)
        super().__init__(name=CLOUDTRAIL, policy=policy)

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        for call in site.journal.calls(Role.SUBJECT, Role.CONTROL):
            arrival = a_delivery(str(call.number), call.completed_at + seconds(150), channel=CLOUDTRAIL)
            self.scheduled.append((arrival, Parsed(records=(a_record(call, CLOUDTRAIL),))))
        return super().poll(site, since, known)


def test_delays_of_a_channel_without_arrival_stamps_are_intervals_between_its_polls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.selection.channels", lambda: {CLOUDTRAIL: Lookup})
    bench.options = replace(bench.options, deadline=timedelta(hours=1))
    run = bench.run()
    assert run.result is not None
    with Journal(run.journal.path) as journal:
        again = read(journal, run.folder)
    for result in (run.result, again):
        observations = delay_rows(result)[0].observations
        assert len(observations) == 3
        assert {(o.lower_seconds, o.upper_seconds) for o in observations} == {(120.0, 180.0)}
    (row, *_) = json.loads((run.folder / "delay.json").read_text())["rows"]
    assert row["quantile_seconds"]["p50"]["low"] is None
    assert row["share"]["within_1m"]["value"] == 0
    assert row["max_seconds"] == {"value": 150.0, "low": 120.0, "high": None}


def interrupt(run: Run, stage: str) -> None:
    """Stop a run at the first event after a stage has begun, as Ctrl+C does."""
    events = run.events()
    for event in events:
        if isinstance(event, StageStarted) and event.stage == stage:
            next(events)
            return


@pytest.mark.parametrize("stage", ["provision", "execute", "collect"])
def test_an_interrupted_run_reports_what_was_journaled_and_takes_away_what_was_made(stage: str, bench: Bench) -> None:
    run = bench.make()
    interrupt(run, stage)
    *before, last = run.interrupted()
    assert last == RunInterrupted(stage=stage, folder=run.folder)
    assert not any(isinstance(event, RunFinished) for event in before)
    assert set(states(run.journal).values()) <= {"deleted"}
    document = json.loads((run.folder / "matrix.json").read_text())
    assert f"interrupted in {stage}" in document["headline"]
    assert len(document["cells"]) == 2


def test_a_caller_who_stops_listening_leaves_nothing_behind(bench: Bench) -> None:
    run = bench.make()
    events = run.events()
    for event in events:
        if isinstance(event, ScenarioFinished):
            break
    events.close()  # type: ignore[attr-defined]
    assert set(states(run.journal).values()) == {"deleted"}


def in_the_way(path: Path) -> Path:
    path.write_text("I am a file")
    return path


@pytest.fixture
def bad_results(tmp_path: Path) -> Iterator[list[Path]]:
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere" / "at" / "all")
    yield [in_the_way(tmp_path / "file"), in_the_way(tmp_path / "other") / "below", dangling, Path("/proc/results")]


def test_a_results_folder_that_cannot_be_made_is_wrong_use_with_advice(
    bad_results: list[Path], head_object: None, tmp_path: Path
) -> None:
    for results in bad_results:
        with pytest.raises(UsageError, match="--results") as caught:
            Bench(tmp_path, results=results).make()
        assert str(results) in str(caught.value)
        assert caught.value.exit_code == ExitCode.USAGE


def test_nothing_selected_makes_no_folder(tmp_path: Path, head_object: None) -> None:
    bench = Bench(tmp_path, operations=("NoSuch*",))
    with pytest.raises(NothingSelectedError):
        bench.make()
    assert not bench.options.results.exists()


def test_two_runs_at_the_same_second_have_folders_of_their_own(bench: Bench) -> None:
    folders = {bench.make().folder for _ in range(3)}
    assert len(folders) == 3


def test_cells_are_named_by_operation_and_variant() -> None:
    cell = a_cell("PutObject", variant="denied")
    assert str(CellKey(operation=cell.operation, variant=cell.variant)) == "PutObject[denied]"
