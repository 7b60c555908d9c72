"""The stages of a run in their order, each resumable from the journal: the one place that knows the whole way."""

from __future__ import annotations

import platform
import secrets
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from filelock import FileLock, Timeout

from harness import __version__, catalogue, scenario
from harness.analyse import matrix
from harness.analyse.delays import clock_offset
from harness.analyse.executions import executions
from harness.analyse.join import Joiner, ours_of
from harness.analyse.outstanding import outstanding
from harness.analyse.payload import sent_leaves
from harness.channels import Channel
from harness.channels.setup import switch_on, those_that_can, watch
from harness.clock import ScaledClock
from harness.collect.gate import Shown, wait_for_channels
from harness.collect.loop import Collector, Outstanding, polling_cost
from harness.environment.preflight import log_buckets_fit, preflight
from harness.environment.site import Site, caller, expect_owner
from harness.environment.teardown import teardown
from harness.errors import (
    CredentialsError,
    DamagedJournalError,
    JournalError,
    LogjamError,
    NothingSelectedError,
    PreflightError,
    UsageError,
)
from harness.events import (
    ChannelSkipped,
    Event,
    GateProgress,
    ResourceCreated,
    RunDetached,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StageStarted,
    Warned,
)
from harness.execute.buckets import SourceBuckets
from harness.execute.clients import Clients
from harness.execute.engine import Control, RunSurroundings, execute
from harness.execute.recorder import Recorder
from harness.folders import new_folder, point_latest
from harness.journal import FILE_NAME, Journal
from harness.model import Call, Role, Verdict
from harness.planning.policy import permissions
from harness.report import Result, write_all
from harness.selection import Options, nothing_to_execute, plan, selected_channels
from harness.targets import Credentials, Target

LOCK_NAME = "lock"
FINISHED, TORN_DOWN = "finished", "torn down"
"""Stages after which a run cannot be resumed."""


class Run:
    """One run, from an empty folder to the reports, or from wherever an earlier process left it.

    Args:
        options: What to do.
        target: A target that has been entered.
        journal: Of a run that was begun before; a new one is begun without.

    Raises:
        LogjamError: It cannot be begun, or another process is at it.
    """

    def __init__(self, options: Options, target: Target, journal: Journal | None = None) -> None:
        self.options, self.target = options, target
        self.result: Result | None = None
        self._site: Site | None = None
        self._recorder: Recorder | None = None
        self._stage = "plan"
        self._pending: list[Event] = []
        self.journal = journal or self._begin()
        self.folder = self.journal.path.parent
        self._plan = self.journal.planned()
        self._channels = selected_channels(self.journal.fact("channels") or ["none"])
        self._lock = _locked(self.folder)

    @classmethod
    def taken_up(cls, folder: Path, target: Target, until: timedelta | None = None) -> Self:
        """Return a run that another process has begun, to be continued or torn down.

        Args:
            folder: Of the run.
            target: That it was begun on, entered.
            until: How long after the last call to wait, if not as long as it was begun with.

        Raises:
            JournalError: It was not begun, or is of an older version.
            UsageError: Another process is at work on it; nothing was changed.
        """
        journal = Journal(folder / FILE_NAME)
        told = journal.fact("options")
        if told is None:
            raise JournalError(f"{journal.path} was written by an older version and cannot be taken up")
        if until:
            told["deadline"] = until.total_seconds()
        run = cls(replace(Options.from_fact(told), detach=False, results=folder.parent), target, journal)
        if until:
            journal.note("options", told)  # not before the run is this process's
        return run

    def _begin(self) -> Journal:
        options, target = self.options, self.target
        options.check_account(target)
        # Where nothing is ever delivered, nothing is waited for; an unknown name is told all the same.
        chosen = [c for c in selected_channels(options.channels) if not target.no_logs]
        rows = plan(options.operations, options.variants, target, options.repeats, granted=options.granted)
        why = nothing_to_execute(rows)
        if why:
            raise NothingSelectedError(f"no selected row can be executed: {why}")
        run_id = _run_id(options.seed, target)
        journal = Journal(new_folder(options.results, target.name, run_id) / FILE_NAME, create=True)
        facts = {
            "run_id": run_id,
            "target": target.name,
            "note": target.note,
            "region": target.region,
            "clock_factor": target.clock.factor,
            "reach": target.reach(),
            "seed": options.seed,
            "repeats": options.repeats,
            "options": options.as_fact(),
            "channels": [c.name for c in chosen],
            "no_logs": target.no_logs,
            "absence_seconds": {c.name: c.policy.absence_seconds for c in chosen},
            "by_bucket": [c.name for c in chosen if c.policy.by_bucket],
            "without_arrival_stamps": [c.name for c in chosen if not c.policy.arrival_stamps],
            "started_at": target.clock.now().isoformat(),
            "s3logjam": __version__,
            "botocore": catalogue.botocore_version(),
            "python": platform.python_version(),
        }
        for name, value in facts.items():
            journal.note(name, value)
        journal.plan(rows)
        return journal

    def close(self) -> None:
        """Let go of the journal and of the run."""
        self.journal.close()
        self._lock.release()

    def events(self) -> Iterator[Event]:
        """Do what is left to do of the run and tell what happens.

        The last event is ``RunFinished``, or ``RunDetached`` for a run that waits without a process.

        Raises:
            LogjamError: The run cannot be done. What was made is taken away again, unless the run can be resumed.
        """
        executions = sum(repeats for repeats, _ in self._plan.values())
        self.journal.note("interrupted", None)
        yield RunStarted(
            run_id=self.journal.fact("run_id"),
            target=self.target.name,
            note=self.target.note,
            clock_factor=self.target.clock.factor,
            planned=executions - sum(1 for state, _ in self.journal.executions().values() if state != "started"),
            channels=tuple(c.name for c in self._channels),
            folder=self.folder,
        )
        try:
            yield from self._prepare()
            if not self.journal.fact("executed_at"):
                yield from self._execute()
            # Without channels there is nothing to come back for.
            if self.options.detach and self._channels:
                yield from self._detach()
                return
            if self._channels and not self.journal.fact("collected_at"):
                yield from self._collect()
            result = self._analyse()
        except (Exception, GeneratorExit) as error:
            if self._resumable() or (self.target.outlives and isinstance(error, GeneratorExit)):
                self.journal.note("interrupted", self._stage)
                _add(error, f"go on with `s3logjam resume {self.folder}`")
            else:
                self._give_up(error)
            raise
        yield from self._finish()
        verdicts = {v.value: sum(1 for cell in result.cells if cell.verdict is v) for v in Verdict}
        yield RunFinished(verdicts=verdicts, pending=verdicts[Verdict.PENDING])

    def interrupted(self) -> Iterator[Event]:
        """End in good order after an interruption: report what was journaled.

        What was made is left for ``resume`` where the target goes on, and taken away where it does not.
        """
        stage = self._stage
        self.journal.note("interrupted", stage)
        self._analyse()
        if self.target.outlives and stage != "teardown":
            yield RunInterrupted(stage=stage, folder=self.folder, resumable=True)
            return
        yield from self._finish()
        yield RunInterrupted(stage=stage, folder=self.folder)

    def torn_down(self) -> Iterator[Event]:
        """Delete what is left of the run, whatever became of it.

        Yields:
            A ``Warned`` for each resource that could not be deleted.

        Raises:
            TargetError: The target does not answer.
            PreflightError: The account is another than the run's.
            CredentialsError: The credentials have expired in the middle.
        """
        self._connect()
        self.options = replace(self.options, keep=False)
        yield self._enter("teardown")
        self.journal.note("torn_down_at", self.target.clock.now().isoformat())
        yield from self._taken_away()
        self.journal.note("stage", FINISHED if self.journal.fact("finished_at") else TORN_DOWN)

    def _give_up(self, error: BaseException) -> None:
        """Take away what was made before an error, as far as it goes, and say in the error what is left."""
        left: list[str] = []
        with suppress(CredentialsError):
            left = self._teardown()
        if left:
            _add(error, f"and these could not be deleted: {'; '.join(left)}")
        if any(state != "deleted" for _, _, state, _ in self.journal.resources()):
            _add(error, f"`s3logjam teardown {self.folder}` deletes what was made")
        else:
            self.target.ended_with()

    def _resumable(self) -> bool:
        """Tell whether what was made is worth more than a clean account, after an error."""
        return self.target.outlives and self.journal.fact("provisioned_at") is not None

    def _prepare(self) -> Iterator[Event]:
        if self.journal.fact("provisioned_at"):
            self._connect()
            return
        try:
            yield self._enter("preflight")
            self._connect()
            site, recorder = self._ready()
            with recorder.purpose(Role.SETUP):
                needed = partial(permissions, self._selected(), self._channels) if self.target.real else None
                yield from preflight(site, self._channels, self.target, _offset, needed)
            yield from self._provision()
        except (ClientError, BotoCoreError) as error:
            raise PreflightError(f"cannot set up what the run needs: {error}") from error
        yield from self._point_latest()

    def _connect(self) -> None:
        """Find out who asks, refuse any account but the run's, and make the clients; creates nothing.

        Raises:
            TargetError: The target does not answer.
            PreflightError: It is another account.
        """
        clock, journal = self.target.clock, self.journal
        self._recorder = Recorder(journal, clock, journal.fact("run_id"))
        session = self._session(None)
        with self._recorder.purpose(Role.SETUP):
            account, arn = caller(session, self.target.name, journal.fact("account_id") or self.options.account)
        journal.note("account_id", account)
        journal.note("caller_arn", arn)
        journal.note("caller_arns", list(dict.fromkeys([*journal.fact("caller_arns", []), arn])))
        expect_owner(session, account)
        self._site = Site(
            session=session,
            journal=journal,
            clock=clock,
            run_id=journal.fact("run_id"),
            account_id=account,
            region=self.target.region,
            on_created=lambda kind, name: self._pending.append(ResourceCreated(kind=kind, name=name)),
            requester_role=self.options.requester_role,
            resumed=bool(journal.resources()),
        )

    def _provision(self) -> Iterator[Event]:
        yield self._enter("provision")
        site, recorder = self._ready()
        selected = self._selected()
        with recorder.purpose(Role.SETUP):
            yield from self._set_up_channels(site)
            if any(each.how.client == "denied" for each in selected):
                site.make_denied_role()
            yield from self._told()
            if self._with_gate() and any(c.policy.by_bucket for c in self._channels):
                yield from self._lay_in_buckets(selected)
        self.journal.note("provisioned_at", self.target.clock.now().isoformat())

    def _set_up_channels(self, site: Site) -> Iterator[Event]:
        """Switch the channels on, and leave out those that cannot be.

        Raises:
            PreflightError: None can.
        """
        skipped: dict[str, str] = {}
        able = those_that_can(self._channels, lambda c: switch_on(c, site, self.target.missing), site, skipped)
        yield from self._told()
        yield from log_buckets_fit(site)
        site.make_bucket(site.bucket)
        able = those_that_can(able, lambda c: watch(c, site, site.bucket), site, skipped)
        self.journal.note("skipped_channels", skipped)
        self._keep_channels(able)
        yield from self._told()
        for name, reason in skipped.items():
            yield ChannelSkipped(channel=name, reason=reason)
        if skipped and not able:
            raise PreflightError("no channel can be set up: " + "; ".join(f"{n}: {why}" for n, why in skipped.items()))

    def _lay_in_buckets(self, selected: list[scenario.Scenario]) -> Iterator[Event]:
        """Make the further source buckets now: the gate waits until each of them is logged."""
        from harness.planning.dry_run import buckets_needed  # noqa: PLC0415 - what only a run with a gate needs

        site, _ = self._ready()
        wanted = buckets_needed(selected, self.target, self.options, site)
        for _ in SourceBuckets(site, self._channels).lay_in(wanted):
            yield from self._told()

    def _keep_channels(self, channels: list[Channel]) -> None:
        """Go on with these channels alone."""
        self._channels = channels
        self.journal.note("channels", [c.name for c in channels])
        self.journal.note("absence_seconds", {c.name: c.policy.absence_seconds for c in channels})

    def _selected(self) -> list[scenario.Scenario]:
        """Return the scenarios that the run executes.

        Raises:
            UsageError: One of them is no longer declared.
        """
        by_cell = scenario.all_scenarios()
        planned = [key for key, (repeats, _) in self._plan.items() if repeats]
        gone = [str(key) for key in planned if key not in by_cell]
        if gone:
            raise UsageError(f"the run has scenarios that are no longer there, put them back: {', '.join(gone)}")
        return [by_cell[key] for key in planned]

    def _session(self, credentials: Credentials | None) -> boto3.Session:
        """Return a session of the target with the recorder attached."""
        assert self._recorder is not None
        session = self.target.session(credentials)
        self._recorder.attach(session)
        if self._site is not None:
            expect_owner(session, self._site.account_id)
        return session

    def _execute(self) -> Iterator[Event]:
        site, recorder = self._ready()
        selected = self._selected()
        redone = self.journal.abandon()
        if redone:
            yield Warned(message=f"{redone} executions were broken off and are done again")
        if self._with_gate():
            yield from self._wait_for_channels()
        surroundings = RunSurroundings(site, self._channels, self.target.capabilities)
        yield self._enter("execute")
        clients = Clients(site, self._session)
        interval = 60 / self.options.rate if self.options.rate else 0.0
        # Setup outside a scenario (control calls have a role of their own).
        with recorder.purpose(Role.SETUP):
            yield from execute(selected, self.options.repeats, recorder, surroundings, clients, sent_leaves, interval)
        self.journal.note("executed_at", self.target.clock.now().isoformat())

    def _with_gate(self) -> bool:
        wanted = self.target.real if self.options.canary is None else self.options.canary
        return bool(wanted and self._channels and not self.journal.fact("gate_passed_at"))

    def _wait_for_channels(self) -> Iterator[Event]:
        """Let the first call under test wait until the channels deliver, of every bucket."""
        yield self._enter("gate")
        site, recorder = self._ready()
        surroundings = RunSurroundings(site, self._channels, self.target.capabilities)
        control, buckets = Control(recorder, surroundings), surroundings.buckets

        def call(to_visit: Collection[str]) -> None:
            # What is made before logging takes effect may be lost: it must not be waited for in the end.
            control.call(awaited=False)
            with recorder.purpose(Role.SETUP):
                buckets.visit(to_visit)

        ours = ours_of(site.run_id, self.journal.calls())
        collector = Collector(site, self._channels, take=lambda *_: None, outstanding=_nothing, ours=ours)
        silent: tuple[str, ...] = ()
        with recorder.purpose(Role.POLL):
            for event in wait_for_channels(collector, call, lambda: self._shown(buckets.in_stock)):
                yield event
                if isinstance(event, GateProgress):
                    silent = event.silent
        self.journal.note("silent", silent)
        if silent and self.options.leave_out_silent:
            self._keep_channels([c for c in self._channels if c.name not in silent])
            if not self._channels:
                raise PreflightError("no channel has shown any of the control calls: nothing can be measured")
            yield Warned(message=f"the run goes on without {', '.join(silent)}")
        self.journal.note("gate_passed_at", self.target.clock.now().isoformat())

    def _shown(self, buckets: Collection[str]) -> Shown:
        """Return what has arrived of the control calls, and of the calls to further buckets."""
        calls = self.journal.calls(Role.CONTROL, Role.SETUP)
        joiner = Joiner.filled(calls, self.journal.records())
        by_bucket = [c.name for c in self._channels if c.policy.by_bucket]
        return Shown(
            channels={
                c.name
                for c in self._channels
                for call in calls
                if call.role is Role.CONTROL and joiner.pairs(call, c.name)
            },
            missing={
                name: [b for b, since in matrix.logged_since(name, calls, joiner, buckets).items() if since is None]
                for name in by_bucket
            },
        )

    def _collect(self) -> Iterator[Event]:
        yield self._enter("collect")
        site, recorder = self._ready()
        calls = self.journal.calls()
        joiner = Joiner.filled(calls, self.journal.records())

        further = self.journal.watched_buckets()

        def still(polled_at: Mapping[str, datetime]) -> Outstanding:
            return outstanding(self._channels, calls, joiner, polled_at, further)

        executed_at = datetime.fromisoformat(self.journal.fact("executed_at"))
        collector = Collector(
            site,
            self._channels,
            take=joiner.add,
            outstanding=still,
            since=executed_at,
            polled_at={k: datetime.fromisoformat(v) for k, v in self.journal.fact("polled_at", {}).items()},
            ours=ours_of(site.run_id, calls),
        )
        began = self.target.clock.now()
        with recorder.purpose(Role.POLL):
            for event in collector.run(executed_at + self.options.deadline):
                self.journal.note("polling_cost", polling_cost(collector, began))
                yield event
        self.journal.note("collected_at", self.target.clock.now().isoformat())

    def _analyse(self) -> Result:
        self._enter("analyse")
        self.result = analyse(self.journal, self.folder)
        return self.result

    def _detach(self) -> Iterator[Event]:
        """Leave the run to its channels: what was executed is reported, everything stays in place."""
        self._analyse()
        self.journal.note("stage", "detached")
        calls = self.journal.calls()
        yield RunDetached(folder=self.folder, done_by=outstanding(self._channels, calls, Joiner(calls), {}).done_by)

    def _finish(self) -> Iterator[Event]:
        try:
            self.target.keep_evidence(self.folder)
        except OSError as error:
            yield Warned(message=f"the {self.target.name} target no longer says what it did: {error}")
        if self.options.keep:
            yield Warned(
                message=f"kept, as asked for: `s3logjam teardown {self.folder}` deletes what the run has created"
            )
        else:
            yield self._enter("teardown")
            try:
                yield from self._taken_away()
            except CredentialsError as error:
                _add(error, f"then `s3logjam resume {self.folder}` goes on deleting what the run has created")
                raise
            if self.result is not None:
                # The calls of the teardown belong to the files too.
                self.result = replace(self.result, calls=self.journal.calls())
                write_all(self.result)
        yield from self._point_latest()
        self.journal.note("finished_at", self.target.clock.now().isoformat())
        self.journal.note("stage", FINISHED)

    def _taken_away(self) -> Iterator[Event]:
        left = self._teardown()
        for message in left:
            yield Warned(message=f"not deleted: {message}")
        if left:
            yield Warned(message=f"not deleted yet: {len(left)}; `s3logjam teardown {self.folder}` tries again")
        else:
            self.target.ended_with()

    def _point_latest(self) -> Iterator[Event]:
        problem = point_latest(self.options.results, self.folder)
        if problem:
            yield Warned(message=problem)

    def _teardown(self) -> list[str]:
        if self._site is None or self._recorder is None or self.options.keep:
            return []
        with self._recorder.purpose(Role.TEARDOWN):
            return teardown(self._site)

    def _enter(self, stage: str) -> StageStarted:
        self._stage = stage
        self.journal.note("stage", stage)
        return StageStarted(stage=stage)

    def _told(self) -> Iterator[Event]:
        yield from self._pending
        self._pending.clear()

    def _ready(self) -> tuple[Site, Recorder]:
        assert self._site is not None
        assert self._recorder is not None
        return self._site, self._recorder


def facts_of(folder: Path) -> dict[str, Any]:
    """Return the facts of a run that is to be gone on with or deleted, if its journal is sound.

    Raises:
        JournalError: It cannot be read; where it is damaged, the message says what deletes the run without it.
    """
    try:
        with Journal(folder / FILE_NAME) as journal:
            journal.check()
            return journal.facts()
    except DamagedJournalError as error:
        way = "where the run was in an account, `s3logjam teardown --sweep` finds what it has made"
        error.args = (f"{error}; {way}",)
        raise


def forget(folder: Path) -> None:
    """Note that everything that a run has made is gone with its target.

    Raises:
        UsageError: Another process is at work on the run.
    """
    lock, now = _locked(folder), ScaledClock().now()
    with lock, Journal(folder / FILE_NAME) as journal:
        for kind, name, state, _ in journal.resources():
            if state != "deleted":
                journal.resource(kind, name, "deleted", now)
        if not journal.fact("finished_at"):
            journal.note("torn_down_at", now.isoformat())
            journal.note("stage", TORN_DOWN)


def _locked(folder: Path) -> FileLock:
    """Take a run for this process; the operating system takes it back from one that is killed."""
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(f"another process is at work on the run in {folder}") from error
    except OSError as error:
        raise JournalError(f"{folder} cannot be written: only who may write it can go on with the run") from error
    return lock


def _run_id(seed: int, target: Target) -> str:
    """Return 8 hex digits that are part of every name: from the seed where that makes a run repeatable, else random."""
    if not target.repeatable:
        return secrets.token_hex(4)
    # Roles are the account's, not a Region's: runs side by side in two Regions must not share their names.
    number = seed if target.region == "us-east-1" else zlib.crc32(f"{seed}:{target.region}".encode())
    return f"{number & 0xFFFFFFFF:08x}"


def _nothing(_polled_at: Mapping[str, datetime]) -> Outstanding:
    return Outstanding(arrived={}, expected={}, open_channels=frozenset())


def _offset(calls: Iterable[Call]) -> tuple[float, float | None]:
    found = clock_offset(calls)
    return found.seconds, found.uncertainty_seconds


def _add(error: BaseException, more: str) -> None:
    """Say more in an error: in its message where it is one for the user, else in a note."""
    if isinstance(error, LogjamError):
        error.args = (f"{error}; {more}",)
    else:
        error.add_note(more)


def analyse(journal: Journal, folder: Path) -> Result:
    """Build the matrix of a journal and write all reports into a folder."""
    result = read(journal, folder)
    write_all(result)
    return result


def read(journal: Journal, folder: Path) -> Result:
    """Build the matrix of a journal, and write nothing.

    Raises:
        JournalError: The journal holds no run.
    """
    calls = journal.calls()
    joiner = Joiner(calls)
    paired = [(record, delivery, joiner.add(record, delivery)) for record, delivery in journal.records()]
    facts = journal.facts()
    if "absence_seconds" not in facts:
        raise JournalError(f"{journal.path} holds no run: it was ended before anything was measured")
    planned, journaled = journal.planned(), journal.executions()
    failures = {cell: why for (cell, _), (_, why) in journaled.items() if why}
    deliveries = journal.delivery_counts()
    cells = matrix.build(
        planned=planned,
        failures=failures,
        joiner=joiner,
        calls=calls,
        channels=facts["absence_seconds"],
        polled_at={k: datetime.fromisoformat(v) for k, v in facts.get("polled_at", {}).items()},
        by_bucket=dict.fromkeys(facts.get("by_bucket", ()), journal.watched_buckets()),
    ) + matrix.not_set_up(planned, facts.get("skipped_channels", {}))
    return Result(
        folder=folder,
        facts=facts,
        cells=cells,
        calls=calls,
        paired=paired,
        unmatched=joiner.unmatched + sum(counts["foreign"] for counts in deliveries.values()),
        deliveries=deliveries,
        rejects=journal.rejects(),
        polls=journal.polls(),
        executions=executions(planned, journaled, calls),
    )
