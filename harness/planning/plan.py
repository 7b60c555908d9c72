"""Everything that a run would do, told before anything is created: from a dry run, and at most the caller's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from harness.channels import Channel
from harness.collect.gate import INTERVAL_SECONDS, VISIT_SECONDS
from harness.environment.site import EXPIRES_DAYS
from harness.errors import LogjamError, NothingSelectedError
from harness.journal import Journal
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, Role
from harness.planning.cost import CostLine, priced, records_of, total_usd, usage
from harness.planning.dry_run import DryRun, dry_run
from harness.planning.policy import Document, documents, permissions_for, statements
from harness.scenario import Scenario, all_scenarios
from harness.selection import Options, nothing_to_execute, plan, selected_channels
from harness.targets import Target

NOT_ASKED = "not asked"
BUCKETS_PER_ACCOUNT = 10_000
"""By default (S3 User Guide, General purpose bucket quotas, November 2024)."""
_ANY_RUN_ID, _ANY_ACCOUNT = "f0000000", "999999999999"
"""Stand for what only the run itself will know; shown as ``RUN`` and ``ACCOUNT``."""
GATE_SECONDS = 3600.0
"""Server access logging takes an hour or more to take effect (S3 User Guide, Enabling server access logging)."""
_SECONDS_PER_CALL = {True: 0.1, False: 0.02}
"""Of a real target, and of one on this machine; only an estimate of how long the calls take without ``--rate``."""
_SECONDS_PER_ROUND = 0.2
"""Of this machine, for a round of polls: minutes on a clock that runs hundreds of times as fast."""
_RECORDS_PER_OBJECT: Mapping[str, float] = {SERVER_ACCESS: 3.0, CLOUDTRAIL: 12.0}
"""How many records share a log object, about: as seen on the embedded target; reading one costs next to nothing."""
_OBJECTS_PER_LISTING = 1000
_COLLECTED = (Role.SUBJECT, Role.SETUP, Role.CONTROL)
"""Whose records come before the last poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCount:
    """How often an operation is called in a role."""

    service: str
    operation: str
    role: Role
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One wait of a run, in seconds on its clock.

    Attributes:
        what: It is for.
        expected_seconds, maximal_seconds: None where there is no limit.
    """

    what: str
    expected_seconds: float
    maximal_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do.

    Attributes:
        facts: Target, its note and the clock factor, as a journal has them.
        account, caller: Account id and ARN of who asks, or ``not asked``.
        rows, executions: Selected rows that are executed, and how often in all.
        resources: (kind, name) of what is made, further buckets by their first repetition.
        resource_totals: How many of each kind in all repetitions.
        calls: The most frequent first, roles apart.
        channels: That are watched.
        waits: In their order.
        cost: By item.
        copy_usd: What it costs more where another trail takes management events already.
        policies: The least-privilege policy.
        left: What is there afterwards.
        warnings: What the reader should know before.
    """

    facts: Mapping[str, object]
    region: str
    account: str
    caller: str
    rows: int
    repeats: int
    executions: int
    resources: Sequence[tuple[str, str]]
    resource_totals: Mapping[str, int]
    calls: Sequence[CallCount]
    channels: Sequence[Channel]
    waits: Sequence[Wait]
    cost: Sequence[CostLine]
    copy_usd: float
    policies: Sequence[Document]
    left: Sequence[str]
    warnings: Sequence[str]

    @property
    def total_usd(self) -> float:
        """Expected cost in US dollars."""
        return total_usd(self.cost)


def plan_of(options: Options, target: Target) -> Plan:
    """Plan a run: nothing is created, and nothing asked of the target but who the caller is.

    Args:
        options: As for the run.
        target: Entered, or one that can do without.

    Raises:
        LogjamError: The selection is empty or wrong.
    """
    rows = plan(options.operations, options.variants, target, options.repeats, granted=options.granted)
    why = nothing_to_execute(rows)
    if why:
        raise NothingSelectedError(f"no selected row can be executed: {why}")
    known = all_scenarios()
    selected = [known[cell] for cell, (repeats, _) in rows.items() if repeats]
    channels = [] if target.no_logs else selected_channels(options.channels)
    identity = target.identity or _asked(target)
    account = identity[0] if identity else options.account
    done = dry_run(
        selected,
        channels,
        target,
        options,
        account_id=account or _ANY_ACCOUNT,
        run_id=f"{options.seed & 0xFFFFFFFF:08x}" if target.repeatable else _ANY_RUN_ID,
    )
    waits = _waits(options, target, channels, done)
    gate_seconds = waits[0].expected_seconds
    polls = {c.name: _polls(c, gate_seconds, waits[-1].expected_seconds, target.clock.factor) for c in channels}
    made = done.weighted(
        options.repeats,
        polls,
        controls=round(gate_seconds / INTERVAL_SECONDS),
        visits=max(1, round(gate_seconds / VISIT_SECONDS)),
    )
    hours = sum(wait.expected_seconds for wait in waits) / 3600
    cost = estimate(made, [c.name for c in channels], hours)
    dearer = estimate(made, [c.name for c in channels], hours, further_copy=True)
    totals = Counter(kind for kind, _ in done.resources)
    totals.update({kind: number * (options.repeats - 1) for kind, number in done.resources_again.items()})
    return Plan(
        facts={"target": target.name, "note": target.note, "clock_factor": target.clock.factor},
        region=target.region,
        account=account or NOT_ASKED,
        caller=identity[1] if identity else NOT_ASKED,
        rows=len(selected),
        repeats=options.repeats,
        executions=len(selected) * options.repeats,
        resources=[(kind, _shown(name)) for kind, name in done.resources],
        resource_totals=totals,
        calls=_counted(made),
        channels=channels,
        waits=waits,
        cost=cost,
        copy_usd=total_usd(dearer) - total_usd(cost),
        policies=documents(statements(permissions_for(options, target), account, target.region)),
        left=_left(options, target, selected),
        warnings=_warnings(options, target, totals, done),
    )


def _asked(target: Target) -> tuple[str, str] | None:
    try:
        answer = target.session().client("sts").get_caller_identity()
    except (LogjamError, ClientError, BotoCoreError):
        return None
    return str(answer["Account"]), str(answer["Arn"])


def _shown(name: str) -> str:
    return name.replace(_ANY_RUN_ID, "RUN").replace(_ANY_ACCOUNT, "ACCOUNT")


def _waits(options: Options, target: Target, channels: Sequence[Channel], done: DryRun) -> list[Wait]:
    """Return the canary gate (0 where there is none), the calls, and the wait for the last records."""
    with_gate = bool(channels) and (target.real if options.canary is None else options.canary)
    silent = max((c.policy.silent_seconds for c in channels), default=0.0)
    calls = sum(times for times, _ in done.weighted(options.repeats, {}))
    executing = calls * _SECONDS_PER_CALL[target.real] * target.clock.factor
    if options.rate:
        executing = max(executing, done.executions * options.repeats / options.rate * 60)
    deadline = options.deadline.total_seconds() if channels else 0.0
    absence = max((c.policy.absence_seconds for c in channels), default=0.0)
    return [
        Wait(
            what="until every channel delivers",
            expected_seconds=min(GATE_SECONDS, silent) if with_gate else 0.0,
            maximal_seconds=silent if with_gate else 0.0,
        ),
        Wait(what="calls", expected_seconds=executing, maximal_seconds=None),
        Wait(what="records after the last call", expected_seconds=min(absence, deadline), maximal_seconds=deadline),
    ]


def _polls(channel: Channel, gate_seconds: float, wait_seconds: float, clock_factor: float) -> int:
    """Return how often a channel is polled, as its policy spaces the polls, and a fast clock allows them."""
    least = _SECONDS_PER_ROUND * clock_factor
    polls, waited = int(gate_seconds // max(channel.policy.interval_seconds, least)) + 1, 0.0
    while (waited := waited + max(channel.policy.interval_after(waited), least)) < wait_seconds:
        polls += 1
    return polls


def estimate(
    made: Iterable[tuple[int, Call]], channels: Sequence[str], hours: float, *, further_copy: bool = False
) -> list[CostLine]:
    """Return what planned calls cost, and the reading of the log objects that they will lead to.

    Args:
        made: Calls, each with the number of times.
        channels: Names of those that log them.
        hours: For which log objects are stored.
        further_copy: Whether another trail takes management events already.
    """
    weighted = list(made)
    found = usage(weighted, channels, hours=hours, further_copy=further_copy)
    for channel, records in _RECORDS_PER_OBJECT.items():
        if channel in channels:
            logged = sum(times * records_of(call, channel) for times, call in weighted if call.role in _COLLECTED)
            found["s3-read"] += round(logged / records)
            found["s3-write"] += round(logged / records / _OBJECTS_PER_LISTING)
    return priced(found)


def recounted(journal: Journal) -> list[CostLine]:
    """Return what the calls in a journal cost at the same prices."""
    calls = journal.calls()
    times = [call.sent_at for call in calls]
    hours = (max(times) - min(times)).total_seconds() / 3600 if times else 0.0
    return priced(usage(((1, call) for call in calls), journal.fact("channels", []), hours=hours))


def _counted(made: Iterable[tuple[int, Call]]) -> list[CallCount]:
    counts: Counter[tuple[str, str, Role]] = Counter()
    for times, call in made:
        counts[call.service, call.operation, call.role] += times
    return [CallCount(service=s, operation=o, role=r, times=n) for (s, o, r), n in counts.most_common()]


def _left(options: Options, target: Target, selected: Sequence[Scenario]) -> list[str]:
    if options.keep or options.detach:
        left = [
            f"everything, until `s3logjam teardown`; what is in the buckets expires after {EXPIRES_DAYS} days anyway"
        ]
    else:
        left = ["nothing: what is made is deleted in the end, log buckets last, with what has come meanwhile"]
    if target.real and any("BucketMetadata" in each.operation for each in selected):
        left.append("the account's AWS managed table bucket `aws-s3`, which S3 Metadata makes if there is none")
    return left


def _warnings(options: Options, target: Target, totals: Mapping[str, int], done: DryRun) -> list[str]:
    found = [f"not counted to its end: {why}" for why in done.uncounted]
    if totals.get("bucket", 0) > BUCKETS_PER_ACCOUNT and target.real:
        found.append(
            f"{totals['bucket']:,} buckets exist at once, an account may have {BUCKETS_PER_ACCOUNT:,} by default:"
            " fewer --repeats, or several runs"
        )
    if target.no_logs:
        found.append(f"{target.no_logs}: nothing is waited for")
    if target.region != "us-east-1":
        found.append(f"prices are those of us-east-1, the run is in {target.region}")
    return found
