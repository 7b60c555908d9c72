"""The stages of a run in their order, each resumable from the journal: the one place that knows the whole way."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from harness import __version__, catalogue, scenario
from harness.analyse import matrix
from harness.analyse.join import Joiner, ours_of
from harness.analyse.payload import sent_leaves
from harness.channels import DEFAULT, Channel, channels
from harness.channels.setup import switch_on, those_that_can
from harness.collect.loop import Collector, Outstanding, polling_cost
from harness.environment.site import Site
from harness.environment.teardown import teardown
from harness.errors import JournalError, LogjamError, NothingSelectedError, PreflightError, TargetError, UsageError
from harness.events import (
    ChannelSkipped,
    Event,
    ResourceCreated,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StageStarted,
    Warned,
)
from harness.execute.clients import Clients
from harness.execute.engine import RunSurroundings, execute
from harness.execute.recorder import Recorder
from harness.journal import FILE_NAME, Journal
from harness.model import Call, CellKey, Role, Verdict
from harness.report import Result, write_all
from harness.targets import Credentials, Target

LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is asked to do.

    Attributes:
        operations: Glob patterns of operation names; empty for all.
        variants: Glob patterns of variant names; empty for all.
        channels: Channel names; empty for the two classic ones, ``all`` for all.
        rate: Scenario executions a minute on the run's clock, at most; 0 for as many as go.
        deadline: How long after the last call records are waited for, on the run's clock.
        keep: Leave the resources in place after the run.
        slow: Execute scenarios too that wait for what S3 does by itself, for days.
    """

    results: Path = Path("results")
    operations: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    repeats: int = 1
    rate: float = 0.0
    seed: int = 1
    deadline: timedelta = timedelta(hours=6)
    keep: bool = False
    slow: bool = False


def plan(
    operations: Sequence[str], variants: Sequence[str], target: Target, repeats: int, *, slow: bool = False
) -> dict[CellKey, tuple[int, str]]:
    """Return repeats (0: not run) and reason for every selected row, in the catalogue's order.

    Raises:
        NothingSelectedError: No operation, or no variant of one, matches.
    """
    wanted = [pattern.lower() for pattern in variants] or ["*"]
    by_operation: dict[str, list[scenario.Scenario]] = {}
    for each in scenario.all_scenarios().values():
        by_operation.setdefault(each.operation, []).append(each)
    rows: dict[CellKey, tuple[int, str]] = {}
    for name in selected_operations(operations):
        excluded = scenario.all_exclusions().get(name)
        for each in by_operation.get(name, []):
            if not any(fnmatchcase(each.variant.lower(), pattern) for pattern in wanted):
                continue
            lacking = sorted(each.requires - target.capabilities - ({"days"} if slow else set()))
            reasons = [target.missing.get(c, f"the {target.name} target lacks {c}") for c in lacking]
            rows[each.cell] = (0 if lacking else repeats, "; ".join(reasons))
        if name not in by_operation and any(fnmatchcase("ok", pattern) for pattern in wanted):
            rows[CellKey(operation=name)] = (0, excluded or "no scenario yet")
    if not rows:
        raise NothingSelectedError(f"no variant matches {', '.join(variants)}; `s3logjam list` shows what there is")
    return rows


def selected_operations(patterns: Sequence[str]) -> list[str]:
    """Return the names of the operations that any of the glob patterns matches; all without patterns.

    Raises:
        NothingSelectedError: No operation matches.
    """
    wanted = [p.lower() for p in patterns] or ["*"]
    names = [n for n in catalogue.rows() if any(fnmatchcase(n.lower(), pattern) for pattern in wanted)]
    if not names:
        raise NothingSelectedError(f"no operation matches {', '.join(patterns)}; `s3logjam list` shows what there is")
    return names


def nothing_to_execute(rows: Mapping[CellKey, tuple[int, str]]) -> str:
    """Return why no row of a plan would be executed, or an empty text when one would."""
    if any(repeats for repeats, _ in rows.values()):
        return ""
    return "; ".join(sorted({reason for _, reason in rows.values()}))


def selected_channels(names: Sequence[str]) -> list[Channel]:
    """Return the channels of those names; the two classic ones without names, all for ``all``.

    Raises:
        UsageError: A name is unknown.
    """
    known = channels()
    unknown = [n for n in names if n not in known and n != "all"]
    if unknown:
        raise UsageError(f"unknown channel {', '.join(unknown)}; there are {', '.join(known)}")
    wanted = names or DEFAULT
    return [make() for name, make in known.items() if name in wanted or "all" in wanted]


@dataclass(slots=True)
class Run:
    """One run, from an empty folder to the reports.

    Args:
        options: What to do.
        target: A target that has been entered.
    """

    options: Options
    target: Target
    folder: Path = field(init=False)
    journal: Journal = field(init=False)
    _channels: list[Channel] = field(init=False)
    _plan: dict[CellKey, tuple[int, str]] = field(init=False)
    _site: Site | None = None
    _recorder: Recorder | None = None
    result: Result | None = None
    _stage: str = "plan"
    _pending: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._channels = selected_channels(self.options.channels)
        self._plan = plan(
            self.options.operations, self.options.variants, self.target, self.options.repeats, slow=self.options.slow
        )
        why = nothing_to_execute(self._plan)
        if why:
            raise NothingSelectedError(f"no selected row can be executed: {why}")
        run_id = f"{self.options.seed & 0xFFFFFFFF:08x}"
        self.folder = _new_folder(self.options.results, self.target, run_id)
        self.journal = Journal(self.folder / FILE_NAME, create=True)
        facts = {
            "run_id": run_id,
            "target": self.target.name,
            "note": self.target.note,
            "region": self.target.region,
            "clock_factor": self.target.clock.factor,
            "seed": self.options.seed,
            "repeats": self.options.repeats,
            "channels": [c.name for c in self._channels],
            "absence_seconds": {c.name: c.policy.absence_seconds for c in self._channels},
            "without_arrival_stamps": [c.name for c in self._channels if not c.policy.arrival_stamps],
            "started_at": self.target.clock.now().isoformat(),
            "s3logjam": __version__,
            "botocore": catalogue.botocore_version(),
            "python": platform.python_version(),
        }
        for name, value in facts.items():
            self.journal.note(name, value)
        self.journal.plan(self._plan)

    def events(self) -> Iterator[Event]:
        """Do the run and tell what happens; the last event is ``RunFinished``.

        Raises:
            LogjamError: The run cannot be done; what was made is taken away again.
        """
        executions = sum(repeats for repeats, _ in self._plan.values())
        yield RunStarted(
            run_id=self.journal.fact("run_id"),
            target=self.target.name,
            note=self.target.note,
            clock_factor=self.target.clock.factor,
            planned=executions,
            channels=tuple(c.name for c in self._channels),
            folder=self.folder,
        )
        try:
            try:
                yield from self._provision()
            except (ClientError, BotoCoreError) as error:
                raise PreflightError(f"cannot set up what the run needs: {error}") from error
            yield from self._execute()
            yield from self._collect()
            result = self._analyse()
        except (Exception, GeneratorExit) as error:
            left = self._teardown()
            if left and isinstance(error, LogjamError):
                raise type(error)(f"{error}; and these could not be deleted: {'; '.join(left)}") from error
            raise
        yield from self._finish()
        verdicts = {v.value: sum(1 for cell in result.cells if cell.verdict is v) for v in Verdict}
        yield RunFinished(verdicts=verdicts, pending=verdicts[Verdict.PENDING])

    def interrupted(self) -> Iterator[Event]:
        """Clean up after an interruption: report what was journaled, take away what was made."""
        stage = self._stage
        self.journal.note("interrupted", stage)
        self._analyse()
        yield from self._finish()
        yield RunInterrupted(stage=stage)

    def _provision(self) -> Iterator[Event]:
        yield self._enter("provision")
        clock = self.target.clock
        self._recorder = Recorder(self.journal, clock, self.journal.fact("run_id"))
        session = self._session(None)
        with self._recorder.purpose(Role.SETUP):
            try:
                identity = session.client("sts").get_caller_identity()
            except (ClientError, BotoCoreError) as error:
                raise TargetError(f"the {self.target.name} target does not answer: {error}") from error
            self.journal.note("account_id", identity["Account"])
            self.journal.note("caller_arn", identity["Arn"])
            self._site = Site(
                session=session,
                journal=self.journal,
                clock=clock,
                run_id=self.journal.fact("run_id"),
                account_id=identity["Account"],
                region=self.target.region,
                on_created=lambda kind, name: self._pending.append(ResourceCreated(kind=kind, name=name)),
            )
            by_cell = scenario.all_scenarios()
            yield from self._set_up_channels(self._site)
            if any(by_cell[key].how.client == "denied" for key, (repeats, _) in self._plan.items() if repeats):
                self._site.make_denied_role()
            yield from self._told()

    def _set_up_channels(self, site: Site) -> Iterator[Event]:
        """Switch the channels on, and leave out those that cannot be.

        Raises:
            PreflightError: None can.
        """
        skipped: dict[str, str] = {}

        def watch(channel: Channel) -> str:
            channel.watch(site, site.bucket)
            return ""

        able = those_that_can(self._channels, lambda c: switch_on(c, site, self.target.missing), site, skipped)
        site.make_bucket(site.bucket)
        able = those_that_can(able, watch, site, skipped)
        self.journal.note("skipped_channels", skipped)
        self.journal.note("absence_seconds", {c.name: c.policy.absence_seconds for c in able})
        yield from self._told()
        for name, reason in skipped.items():
            yield ChannelSkipped(channel=name, reason=reason)
        if not able:
            raise PreflightError("no channel can be set up: " + "; ".join(f"{n}: {why}" for n, why in skipped.items()))
        self._channels = able

    def _session(self, credentials: Credentials | None) -> boto3.Session:
        """Return a session of the target with the recorder attached."""
        assert self._recorder is not None
        session = self.target.session(credentials)
        self._recorder.attach(session)
        return session

    def _execute(self) -> Iterator[Event]:
        yield self._enter("execute")
        site, recorder = self._ready()
        by_cell = scenario.all_scenarios()
        selected = [by_cell[key] for key, (repeats, _) in self._plan.items() if repeats]
        surroundings = RunSurroundings(site, self._channels, self.target.capabilities)
        clients = Clients(site, self._session)
        interval = 60 / self.options.rate if self.options.rate else 0.0
        # Setup outside a scenario (control calls have a role of their own).
        with recorder.purpose(Role.SETUP):
            yield from execute(selected, self.options.repeats, recorder, surroundings, clients, sent_leaves, interval)
        self.journal.note("executed_at", self.target.clock.now().isoformat())

    def _collect(self) -> Iterator[Event]:
        yield self._enter("collect")
        site, recorder = self._ready()
        calls = self.journal.calls()
        joiner = Joiner(calls)
        subjects = [c for c in calls if c.role is Role.SUBJECT]
        controls = [c for c in calls if c.role is Role.CONTROL]

        def outstanding(polled_at: Mapping[str, datetime]) -> Outstanding:
            return _outstanding(self._channels, subjects, controls, joiner, polled_at)

        ours = ours_of(site.run_id, calls)
        collector = Collector(site, self._channels, take=joiner.add, outstanding=outstanding, ours=ours)
        began = self.target.clock.now()
        deadline = began + self.options.deadline
        with recorder.purpose(Role.POLL):
            for event in collector.run(deadline):
                self.journal.note("polled_at", {k: v.isoformat() for k, v in collector.polled_at.items()})
                self.journal.note("polling_cost", polling_cost(collector, began))
                yield event

    def _analyse(self) -> Result:
        self._enter("analyse")
        self.result = analyse(self.journal, self.folder)
        return self.result

    def _finish(self) -> Iterator[Event]:
        if not self.options.keep:
            yield self._enter("teardown")
            for message in self._teardown():
                yield Warned(message=f"not deleted: {message}")
            if self.result is not None:
                # The calls of the teardown belong to the files too.
                self.result = replace(self.result, calls=self.journal.calls())
                write_all(self.result)
        try:
            self.target.keep_evidence(self.folder)
        except OSError as error:
            yield Warned(message=f"the {self.target.name} target no longer says what it did: {error}")
        problem = _point_latest(self.options.results, self.folder)
        if problem:
            yield Warned(message=problem)
        self.journal.note("finished_at", self.target.clock.now().isoformat())

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
    failures = {cell: why for (cell, _), (_, why) in journal.executions().items() if why}
    deliveries = journal.delivery_counts()
    skipped: dict[str, str] = facts.get("skipped_channels", {})
    cells = matrix.build(
        planned=journal.planned(),
        failures=failures,
        joiner=joiner,
        calls=calls,
        channels=facts["absence_seconds"],
        polled_at={k: datetime.fromisoformat(v) for k, v in facts.get("polled_at", {}).items()},
    ) + matrix.not_set_up(journal.planned(), skipped)
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
    )


def _outstanding(
    watched: Sequence[Channel],
    subjects: Sequence[Call],
    controls: Sequence[Call],
    joiner: Joiner,
    polled_at: Mapping[str, datetime],
) -> Outstanding:
    """Say per channel what is still to come: expected records, or the proof that there are none."""
    arrived, expected, waiting, open_channels = {}, {}, [], set()
    for channel in watched:
        name = channel.name
        seen = {c.number: len(joiner.pairs(c, name)) for c in (*subjects, *controls)}
        wanted = {c.number: c.expected.get(name, 1) if matrix.was_received(c) else 0 for c in (*subjects, *controls)}
        arrived[name] = sum(min(seen[n], wanted[n]) for n in seen)
        expected[name] = sum(wanted.values())
        late = sum(1 for n in seen if seen[n] < wanted[n])
        with_control = matrix.controls_of(name, controls, joiner)
        absent = [c for c in subjects if matrix.was_received(c) and not wanted[c.number] and not seen[c.number]]
        now = polled_at.get(name)
        unproved = [
            c for c in absent
            if now is None or matrix.absence_is_established(c, with_control, now, channel.policy.absence_seconds)
        ]  # fmt: skip
        if late:
            waiting.append(f"{name}: records of {late} calls")
        if unproved:
            waiting.append(f"{name}: proof that {len(unproved)} calls leave no record")
        if late or unproved:
            open_channels.add(name)
    return Outstanding(
        arrived=arrived, expected=expected, open_channels=frozenset(open_channels), waiting_for="; ".join(waiting)
    )


def _new_folder(results: Path, target: Target, run_id: str) -> Path:
    """Make the run's folder.

    Raises:
        UsageError: It cannot be made or written.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        folder = results / f"{stamp}-{target.name}-{run_id}{f'-{attempt}' if attempt else ''}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            if not results.is_dir():
                raise UsageError(
                    f"cannot write results: {results} is not a folder; choose another with --results"
                ) from error
            continue
        except OSError as error:
            raise UsageError(
                f"cannot write results in {results}: {error}; choose another folder with --results"
            ) from error
        return folder
    raise UsageError(f"cannot make a folder for this run in {results}")


def _point_latest(results: Path, folder: Path) -> str:
    """Point ``results/latest`` at a run, atomically; where links are not possible, a text file names it.

    Returns:
        Why it does not point there, if so.
    """
    link, fresh = results / LATEST, results / f".{LATEST}-{os.getpid()}"
    try:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.name, target_is_directory=True)
        if link.is_dir() and not link.is_symlink():
            fresh.unlink()
            return f"{link} is a folder and was left alone: the run is in {folder}"
        fresh.replace(link)
    except OSError:
        (results / f"{LATEST}.txt").write_text(json.dumps(folder.name) + "\n", "utf-8")
        return f"{link} cannot be a link: {LATEST}.txt names the run"
    return ""
