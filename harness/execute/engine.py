"""Executes the selected scenarios in turn, with control calls before, between and after them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from harness import catalogue
from harness.catalogue.expected import expected
from harness.channels import Channel
from harness.clock import Clock
from harness.environment.site import DIRECTORY_SUFFIX, EXPIRED, PREFIX, Site, refuse_expired, refusing_expired
from harness.errors import CredentialsError, LogjamError
from harness.events import Event, ScenarioFinished
from harness.execute.buckets import SourceBuckets
from harness.execute.clients import CallMaker, Clients
from harness.execute.raw import RawAnswer
from harness.execute.recorder import Recorder
from harness.model import CellKey, Role
from harness.redact import redact
from harness.scenario import Scenario, method_of, prepared

Leaves = Callable[[str, Mapping[str, Any], str], Mapping[str, str]]
CONTROL_CELL = CellKey(operation="PutObject", variant="control")
CONTROL_INTERVAL = 40
"""Scenario executions between two control calls."""


def control_calls(executions: int) -> int:
    """Return how many control calls accompany so many executions: one before, one after, and those between."""
    return 2 + max(0, executions - 1) // CONTROL_INTERVAL


@dataclass(slots=True)
class RunSurroundings:
    """What fixtures may use: see ``harness.scenario.Surroundings``."""

    site: Site
    channels: Sequence[Channel]
    capabilities: frozenset[str] = frozenset()
    scenario: Scenario | None = None
    _names: int = 0
    _access_point: tuple[str, str] | None = None
    _spare: dict[tuple[str, int], str] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)
    buckets: SourceBuckets = field(init=False)
    clock: Clock = field(init=False)
    s3: Any = field(init=False)
    bucket: str = field(init=False)
    account_id: str = field(init=False)
    region: str = field(init=False)

    def __post_init__(self) -> None:
        site = self.site
        self.buckets = SourceBuckets(site, self.channels)
        # A run that is taken up again goes on counting: no name is used twice.
        self._names = site.journal.next_call_number() - 1
        self.clock, self.s3, self.bucket = site.clock, site.s3, site.bucket
        self.account_id, self.region = site.account_id, site.region

    def begin(self, scenario: Scenario | None) -> None:
        """Prepare for a scenario, or for a control call."""
        self.scenario = scenario
        self._asked.clear()

    def new_name(self, kind: str) -> str:
        """Return an object key that this run has not used, as the scenario's variant wants it."""
        self._names += 1
        name = f"{kind}-{self._names:05d}"
        rename = self.scenario.how.rename if self.scenario else None
        return rename(name) if rename else name

    def resource_name(self, kind: str, stem: str) -> str:
        """Return a name for a resource that the scenario will create, and remember it for teardown."""
        self._names += 1
        name = f"{PREFIX}-{self.site.run_id}-{stem}{self._names:05d}"
        self.site.journal.resource(kind, name, "intended", self.clock.now())
        return name

    def bucket_name(self) -> str:
        """Return a name for a bucket that the call under test will create, and remember it for teardown."""
        return self.buckets.name()

    def new_bucket(self, **parameters: Any) -> str:
        """Create a further source bucket, logged like the main one.

        A call that is meant to be refused changes nothing, so such scenarios share their buckets.
        """
        if self.scenario is None or not self.scenario.fails:
            return self.buckets.take(parameters)
        kind = json.dumps(parameters, sort_keys=True)
        place = (kind, self._asked[kind])
        self._asked[kind] += 1
        if place not in self._spare:
            self._spare[place] = self.buckets.take(parameters)
        return self._spare[place]

    def share_no_longer(self) -> None:
        """Have the next scenarios use new buckets: a call that was not refused as meant may have changed one."""
        self._spare.clear()

    def directory_bucket(self) -> str:
        """Create a directory bucket, or return a well-formed name where the target has none."""
        if "directory-buckets" not in self.capabilities:
            return f"{PREFIX}-{self.site.run_id}-none--use1-az4{DIRECTORY_SUFFIX}"
        return self.site.make_directory_bucket()

    def access_point(self) -> tuple[str, str]:
        """Return ARN and alias of the access point of the main source bucket; made at the first call."""
        if self._access_point is None:
            self._access_point = self.site.make_access_point()
        return self._access_point


def execute(
    selected: Sequence[Scenario],
    repeats: int,
    recorder: Recorder,
    surroundings: RunSurroundings,
    clients: Clients,
    leaves: Leaves,
    interval_seconds: float = 0.0,
) -> Iterator[Event]:
    """Execute every scenario ``repeats`` times and yield an event after each.

    Repetitions are the outer loop, so that operations share conditions. An execution that the journal has as done is
    left out; a failure is journaled and the next scenario follows. Credentials that have expired end it: the execution
    under way is done again by who goes on.

    Args:
        selected: What to execute.
        repeats: How often.
        recorder: Journals the calls.
        surroundings: What fixtures may use.
        clients: Makes the calls.
        leaves: Returns what a call asks for, as leaves, from operation, parameters and service.
        interval_seconds: From the start of one execution to that of the next, at least, on the run's clock.
    """
    journal, clock = surroundings.site.journal, surroundings.clock
    done = {key for key, (state, _) in journal.executions().items() if state != "started"}
    control = Control(recorder, surroundings)
    control.call()
    since_control = 0
    due = clock.now()
    for repeat in range(repeats):
        for scenario in selected:
            if (scenario.cell, repeat) in done:
                continue
            if since_control >= CONTROL_INTERVAL:
                control.call()
                since_control = 0
            if interval_seconds:
                clock.sleep((due - clock.now()).total_seconds())
                due = max(due, clock.now()) + timedelta(seconds=interval_seconds)
            journal.execution(scenario.cell, repeat, "started", None, clock.now())
            failure = _Execution(scenario, repeat, recorder, surroundings, clients, leaves).run()
            journal.execution(scenario.cell, repeat, "failed" if failure else "done", failure, clock.now())
            if failure and scenario.fails:
                surroundings.share_no_longer()
            since_control += 1
            made = journal.next_call_number() - 1
            yield ScenarioFinished(cell=scenario.cell, repeat=repeat, failure=failure, calls_made=made)
    control.call()


@dataclass(slots=True)
class Control:
    """A call that is known to be logged: its record shows that the channel was delivering.

    A channel without data events gets a second one, which is a management event.
    """

    recorder: Recorder
    surroundings: RunSurroundings

    def call(self, *, awaited: bool = True) -> None:
        """Make one; whatever comes of it but expired credentials, the run goes on.

        Args:
            awaited: Whether its records are worth waiting for.
        """
        where = self.surroundings
        where.begin(None)
        by_write, by_read = (self._expected(operation) for operation in ("PutObject", "GetBucketLocation"))
        self._make(by_write, awaited, "put_object", Key=where.new_name("control"), Body=b"control")
        if not all(by_write.values()):
            self._make(by_read, awaited, "get_bucket_location")

    def _make(self, by_channel: Mapping[str, int], awaited: bool, method: str, **parameters: Any) -> None:
        expected = by_channel if awaited else dict.fromkeys(by_channel, 0)
        client, bucket = self.surroundings.s3, self.surroundings.bucket
        # One that is refused shows nothing, and the next one may show more: it must not end the run. Credentials that
        # have expired do end it: without the last control call no absence could be established.
        made = self.recorder.purpose(Role.CONTROL, CONTROL_CELL, expected=expected)
        with suppress(ClientError, BotoCoreError), refusing_expired(), made:
            getattr(client, method)(Bucket=bucket, **parameters)

    def _expected(self, operation: str) -> dict[str, int]:
        by_channel = expected(operation, 1, 1)
        return {c.name: by_channel.get(c.name, 1) for c in self.surroundings.channels}


@dataclass(slots=True)
class _Execution:
    """One execution of one scenario."""

    scenario: Scenario
    repeat: int
    recorder: Recorder
    surroundings: RunSurroundings
    clients: Clients
    leaves: Leaves

    def run(self) -> str | None:
        """Execute it; returns why it did not go as its variant says, or None."""
        scenario, recorder = self.scenario, self.recorder
        self.surroundings.begin(scenario)
        recorder.statuses.clear()
        recorder.error_codes.clear()
        raised = None
        try:
            with (
                recorder.purpose(Role.SETUP, scenario.cell, self.repeat),
                prepared(scenario, self.surroundings, self.call, {"send": self.send, "actor": self.actor}) as run,
            ):
                run()
        except CredentialsError:
            raise
        except (ClientError, BotoCoreError, LogjamError) as error:
            if scenario.how.client == "owner":
                refuse_expired(error)
            raised = redact(str(error))
        except Exception as error:
            raised = redact(f"{type(error).__name__}: {error}")
        if scenario.how.client == "owner" and EXPIRED.intersection(recorder.error_codes):
            raise CredentialsError  # a raw request raises nothing
        statuses = recorder.statuses
        if scenario.fails:
            if statuses and all(status in scenario.fails for status in statuses):
                return None
            meant = " or ".join(map(str, scenario.fails))
            got = ", ".join(map(str, statuses)) or "no call"
            return f"meant to end with {meant}, got {got}" + (f" ({raised})" if raised else "")
        failed = [status for status in statuses if status is None or status >= 400]
        return raised or (f"answered with {failed[0]}" if failed else None)

    def call(self, **parameters: Any) -> Any:
        """Make the call under test, as the scenario's variant does."""
        scenario, how = self.scenario, self.scenario.how
        if how.change:
            parameters = how.change(dict(parameters), self.surroundings)
        operation = catalogue.find(scenario.operation)
        service = operation.service if operation else "s3"
        name = scenario.operation.removeprefix(catalogue.CONTROL_PREFIX)
        client = self.clients.get(how.client, service)
        with self._subject(self.leaves(name, parameters, service)):
            if how.via:
                return how.via(self._maker(), parameters)
            return _drain(getattr(client, method_of(name))(**parameters))

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> RawAnswer:
        """Send the raw request under test."""
        with self._subject({}):
            return self._maker().send(method, url, headers=headers, body=body)

    def actor(self, bucket: str, key: str, within: timedelta) -> None:
        """Expect what S3 will do by itself to an object."""
        with self._subject({}):
            self.recorder.expect_actor(self.scenario.operation, bucket, key, within)

    def _subject(self, sent: Mapping[str, str]) -> Any:
        return self.recorder.purpose(
            Role.SUBJECT,
            self.scenario.cell,
            self.repeat,
            expected=self.scenario.expected(),
            headers=self.scenario.how.headers,
            sent=sent,
        )

    def _maker(self) -> CallMaker:
        return CallMaker(self.scenario.operation, self.surroundings, self.clients)


def _drain(answer: dict[str, Any]) -> dict[str, Any]:
    """Read a streamed answer to its end: only then is the request completed."""
    for value in answer.values():
        if isinstance(value, StreamingBody):
            value.read()
        elif hasattr(value, "__iter__") and hasattr(value, "close") and not isinstance(value, (str, bytes, dict, list)):
            for _ in value:
                pass
    return answer
