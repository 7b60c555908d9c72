"""Executes a run against nothing: which calls it makes, and which resources, without a network and without waiting.

The code of a run makes the calls (channels, engine, teardown), botocore validates them, and the recorder counts them as
in a real run; so no number is written by hand, and a user's own scenarios are counted like ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

import boto3
from botocore.awsrequest import AWSPreparedRequest

from harness.channels import Channel
from harness.channels.setup import switch_on, watch
from harness.environment.preflight import log_buckets_fit, preflight
from harness.environment.site import Site, expect_owner
from harness.environment.teardown import teardown
from harness.events import ScenarioFinished
from harness.execute.clients import Clients
from harness.execute.engine import RunSurroundings, control_calls, execute
from harness.execute.recorder import Recorder
from harness.journal import Journal
from harness.model import Call, Role
from harness.planning.fake_aws import DEFAULTS, Answer, FakeAws, refusal, xml
from harness.scenario import Scenario
from harness.selection import Options
from harness.targets import Target
from harness.testing import FakeClock

_MEMORY = Path(":memory:")
_SERVER_ERROR = 500
_STORED = ("PutObject", "CopyObject", "CreateMultipartUpload", "CompleteMultipartUpload", "AbortMultipartUpload")


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The calls of a run, by how often they are made.

    Attributes:
        once: What is made once: set-up, and the first repetition of every scenario, each with its teardown.
        again: What every further repetition makes.
        control: A control call; None where not even that could be made.
        polls: What one poll of each channel makes.
        executions: Scenario executions in one repetition.
        resources: (kind, name) of what is made in the first repetition, in that order.
        resources_again: How many of each kind every further repetition makes.
        uncounted: What could not be executed to its end, with the reason: its calls are counted up to there.
    """

    once: Sequence[Call]
    again: Sequence[Call]
    control: Call | None
    polls: Mapping[str, Sequence[Call]]
    executions: int
    resources: Sequence[tuple[str, str]]
    resources_again: Mapping[str, int]
    uncounted: Sequence[str] = ()

    def weighted(
        self, repeats: int, polls: Mapping[str, int], controls: int = 0, visits: int = 1
    ) -> list[tuple[int, Call]]:
        """Return every call with the number of times that a run makes it.

        Args:
            repeats: Of every scenario.
            polls: How often each channel is polled.
            controls: Control calls beside those that accompany the scenarios.
            visits: How often a bucket beside the main one is called to learn whether it is logged.
        """
        made = [(visits if _is_visit(call) else 1, call) for call in self.once]
        made += [((repeats - 1) * (visits if _is_visit(call) else 1), call) for call in self.again]
        if self.control:
            made.append((controls + control_calls(self.executions * repeats), self.control))
        made += [(polls.get(name, 0), call) for name, calls in self.polls.items() for call in calls]
        return [(times, call) for times, call in made if times]


def _is_visit(call: Call) -> bool:
    return call.role is Role.SETUP and call.operation == "GetBucketLocation"


@dataclass(slots=True)
class _Stage:
    """What stands in for the account: a fake AWS that remembers which buckets hold something."""

    scenarios: Sequence[Scenario]
    channels: Sequence[Channel]
    target: Target
    options: Options
    account_id: str
    run_id: str
    aws: FakeAws = field(init=False)
    journal: Journal = field(init=False)
    recorder: Recorder = field(init=False)
    site: Site = field(init=False)
    surroundings: RunSurroundings | None = None
    uncounted: list[str] = field(default_factory=list)
    filled: set[str] = field(default_factory=set)
    uploads: dict[str, list[str]] = field(default_factory=dict)
    points: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.aws = FakeAws(account=self.account_id, overrule=self._as_meant, makes_up=True)
        self.aws.answers = {
            "ListObjectVersions": self._versions,
            "ListMultipartUploads": self._unfinished,
            "DeleteObjects": xml("DeleteResult"),
        }
        points = {"CreateAccessPoint": self.points.add, "DeleteAccessPoint": self.points.discard}
        self.aws.answers |= {name: partial(self._pointed, change) for name, change in points.items()}
        self.aws.answers |= {"ListAccessPoints": self._points}
        self.aws.answers |= {name: partial(self._stored, name) for name in _STORED}
        self.journal = Journal(_MEMORY, create=True)
        clock = FakeClock()
        self.journal.note("started_at", clock.now().isoformat())
        self.recorder = Recorder(self.journal, clock, self.run_id)
        self.site = Site(
            session=self._session(None),
            journal=self.journal,
            clock=clock,
            run_id=self.run_id,
            account_id=self.account_id,
            region=self.target.region,
            requester_role=self.options.requester_role,
        )

    def _session(self, _credentials: object) -> boto3.Session:
        made = self.aws.session(self.target.region)
        self.recorder.attach(made)
        expect_owner(made, self.account_id)
        return made

    def _as_meant(self, _operation: str) -> Answer | None:
        """Refuse the call under test where its scenario is meant to fail, best so that botocore does not retry."""
        scenario = self.surroundings.scenario if self.surroundings else None
        if scenario is None or 200 in scenario.fails or self.recorder.role is not Role.SUBJECT:
            return None
        statuses = sorted((s for s in scenario.fails if s >= 300), key=lambda status: status >= _SERVER_ERROR)
        return refusal("Refused", statuses[0]) if statuses else None

    def _stored(self, operation: str, _request: AWSPreparedRequest) -> Answer:
        """Remember what a call that is not refused leaves in its bucket."""
        asked = self.aws.made[-1][1]
        bucket, key = str(asked["Bucket"]), str(asked["Key"])
        if operation == "CreateMultipartUpload":
            self.uploads.setdefault(bucket, []).append(key)
        elif operation in ("AbortMultipartUpload", "CompleteMultipartUpload"):
            self.uploads[bucket].remove(key)
        if operation not in ("CreateMultipartUpload", "AbortMultipartUpload"):
            self.filled.add(bucket)
        return DEFAULTS.get(operation, Answer(status=204))

    def _versions(self, _request: AWSPreparedRequest) -> Answer:
        """List one version in a bucket that something was put into since it was last emptied."""
        bucket = str(self.aws.made[-1][1]["Bucket"])
        held = bucket in self.filled
        self.filled.discard(bucket)
        return xml("ListVersionsResult", "<Version><Key>k</Key><VersionId>v</VersionId></Version>" if held else "")

    def _unfinished(self, _request: AWSPreparedRequest) -> Answer:
        """List the uploads of a bucket that were neither completed nor aborted."""
        asked = self.aws.made[-1][1]
        keys = [k for k in self.uploads.get(str(asked["Bucket"]), ()) if k.startswith(asked.get("Prefix", ""))]
        uploads = (f"<Upload><Key>{escape(key)}</Key><UploadId>upload-1</UploadId></Upload>" for key in keys)
        return xml("ListMultipartUploadsResult", "".join(uploads))

    def _pointed(self, change: Callable[[str], None], _request: AWSPreparedRequest) -> Answer:
        change(str(self.aws.made[-1][1]["Name"]))
        return Answer()

    def _points(self, _request: AWSPreparedRequest) -> Answer:
        listed = "".join(f"<AccessPoint><Name>{name}</Name></AccessPoint>" for name in sorted(self.points))
        return xml("ListAccessPointsResult", f"<AccessPointList>{listed}</AccessPointList>")

    def calls_of(self, do: Callable[[], object]) -> list[Call]:
        """Return the calls that something makes."""
        first = self.journal.next_call_number()
        try:
            do()
        except Exception as error:
            # Made-up answers cannot satisfy every reader: a plan that says so is better than none.
            self.uncounted.append(f"{type(error).__name__}: {error}")
        return [call for call in self.journal.calls() if call.number >= first]

    def provision(self) -> None:
        """Make what every run of these scenarios makes, as ``Run`` does."""
        with self.recorder.purpose(Role.SETUP):
            arn = self.site.session.client("sts").get_caller_identity()["Arn"]
            self.journal.note("caller_arn", arn)
            self.journal.note("caller_arns", [arn])
            for _ in preflight(self.site, self.channels, self.target, lambda _calls: (0.0, None)):
                pass
            for channel in self.channels:
                if reason := switch_on(channel, self.site, self.target.missing):
                    self.uncounted.append(f"{channel.name}: {reason}")
            for _ in log_buckets_fit(self.site):
                pass
            self.site.make_bucket(self.site.bucket)
            for channel in self.channels:
                watch(channel, self.site, self.site.bucket)
            if any(each.how.client == "denied" for each in self.scenarios):
                self.site.make_denied_role()

    def execute(self, repeats: int, clients: Clients) -> None:
        """Execute what was not executed before."""
        from harness.analyse.payload import sent_leaves  # noqa: PLC0415 - pandas loads slowly

        if self.surroundings is None:
            capabilities = self.target.capabilities | self.options.granted
            self.surroundings = RunSurroundings(self.site, self.channels, capabilities)
        with self.recorder.purpose(Role.SETUP):
            events = execute(self.scenarios, repeats, self.recorder, self.surroundings, clients, sent_leaves)
            for event in events:
                if isinstance(event, ScenarioFinished) and event.failure:
                    self.uncounted.append(f"{event.cell}: {event.failure}")

    def tear_down(self) -> None:
        """Delete what was made since the last time."""
        with self.recorder.purpose(Role.TEARDOWN):
            teardown(self.site)

    def poll(self, channel: Channel) -> None:
        """Poll a channel once."""
        with self.recorder.purpose(Role.POLL):
            for _ in channel.poll(self.site, self.site.clock.now(), set()):
                pass


def buckets_needed(scenarios: Sequence[Scenario], target: Target, options: Options, site: Site) -> Counter[str]:
    """Return how many source buckets beside the main one a run asks for, by kind (``SourceBuckets.asked``)."""
    stage = _Stage(scenarios, (), target, options, site.account_id, site.run_id)
    clients = Clients(stage.site, stage._session)
    asked = []
    stage.provision()
    for repeats in (1, 2):
        stage.execute(repeats, clients)
        assert stage.surroundings is not None
        asked.append(stage.surroundings.buckets.asked.copy())
    stage.journal.close()
    first, both = asked
    return Counter({kind: first[kind] + (n - first[kind]) * (options.repeats - 1) for kind, n in both.items()})


def dry_run(
    scenarios: Sequence[Scenario],
    channels: Sequence[Channel],
    target: Target,
    options: Options,
    *,
    account_id: str,
    run_id: str,
) -> DryRun:
    """Execute scenarios twice against nothing, between provisioning and teardown; nothing leaves this process.

    Args:
        scenarios: What the run would execute.
        channels: What it would watch.
        target: Nothing is asked of it.
        options: Of the run.
        account_id, run_id: What names are made of.
    """
    stage = _Stage(scenarios, channels, target, options, account_id, run_id)
    clients = Clients(stage.site, stage._session)
    once = stage.calls_of(stage.provision) + stage.calls_of(lambda: stage.execute(1, clients))
    polls = {channel.name: stage.calls_of(lambda: stage.poll(channel)) for channel in channels}  # noqa: B023
    made = [(kind, name) for kind, name, _, _ in stage.journal.resources()]
    once += stage.calls_of(stage.tear_down)
    again = stage.calls_of(lambda: stage.execute(2, clients)) + stage.calls_of(stage.tear_down)
    further = [kind for kind, *_ in stage.journal.resources()[len(made) :]]
    control = next((call for call in once if call.role is Role.CONTROL), None)
    stage.journal.close()
    return DryRun(
        once=[call for call in once if call.role is not Role.CONTROL],
        again=[call for call in again if call.role is not Role.CONTROL],
        control=control,
        polls=polls,
        executions=len(scenarios),
        resources=made,
        resources_again={kind: further.count(kind) for kind in dict.fromkeys(further)},
        uncounted=stage.uncounted,
    )
