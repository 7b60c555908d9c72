"""Executes the selected scenarios in turn, with control calls before, between and after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from harness.channels import Channel
from harness.clock import Clock
from harness.environment.site import Site
from harness.errors import LogjamError
from harness.events import Event, ScenarioFinished
from harness.execute.recorder import Recorder
from harness.model import CellKey, Role
from harness.scenario import Scenario, method_of, prepared

CONTROL_CELL = CellKey(operation="PutObject", variant="control")
CONTROL_INTERVAL = 40
"""Scenario executions between two control calls."""


@dataclass(slots=True)
class RunSurroundings:
    """What fixtures may use: see ``harness.scenario.Surroundings``."""

    site: Site
    channels: Sequence[Channel]
    _names: int = 0
    _buckets: int = 0
    clock: Clock = field(init=False)
    s3: Any = field(init=False)
    bucket: str = field(init=False)
    account_id: str = field(init=False)
    region: str = field(init=False)

    def __post_init__(self) -> None:
        site = self.site
        self.clock, self.s3, self.bucket = site.clock, site.s3, site.bucket
        self.account_id, self.region = site.account_id, site.region

    def new_name(self, kind: str) -> str:
        """Return an object key that this run has not used."""
        self._names += 1
        return f"{kind}-{self._names:05d}"

    def bucket_name(self) -> str:
        """Return a name for a bucket that the call under test will create, and remember it for teardown."""
        self._buckets += 1
        name = self.site.bucket_name(f"src{self._buckets}")
        self.site.journal.resource("bucket", name, "intended", self.clock.now())
        return name

    def new_bucket(self, **parameters: Any) -> str:
        """Create a further source bucket, logged like the main one."""
        name = self.site.make_bucket(self.bucket_name(), **parameters)
        for channel in self.channels:
            channel.watch(self.site, name)
        return name


def execute(
    selected: Sequence[Scenario],
    repeats: int,
    recorder: Recorder,
    surroundings: RunSurroundings,
) -> Iterator[Event]:
    """Execute every scenario ``repeats`` times and yield an event after each.

    Repetitions are the outer loop, so that operations share conditions. An execution that the journal has as done is
    left out; a failure is journaled and the next scenario follows.

    Args:
        selected: What to execute.
        repeats: How often.
        recorder: Journals the calls.
        surroundings: What fixtures may use.
    """
    journal, clock = surroundings.site.journal, surroundings.clock
    done = {key for key, (state, _) in journal.executions().items() if state != "started"}
    control = _Control(recorder, surroundings)
    control.call()
    since_control = 0
    for repeat in range(repeats):
        for scenario in selected:
            if (scenario.cell, repeat) in done:
                continue
            if since_control >= CONTROL_INTERVAL:
                control.call()
                since_control = 0
            journal.execution(scenario.cell, repeat, "started", None, clock.now())
            failure = _execute_one(scenario, repeat, recorder, surroundings)
            journal.execution(scenario.cell, repeat, "failed" if failure else "done", failure, clock.now())
            since_control += 1
            yield ScenarioFinished(cell=scenario.cell, repeat=repeat, failure=failure)
    control.call()


@dataclass(slots=True)
class _Control:
    """A call that is known to be logged by every channel: its record shows that the channel was delivering."""

    recorder: Recorder
    surroundings: RunSurroundings

    def call(self) -> None:
        where = self.surroundings
        with self.recorder.purpose(Role.CONTROL, CONTROL_CELL, expected={c.name: 1 for c in where.channels}):
            where.s3.put_object(Bucket=where.bucket, Key=where.new_name("control"), Body=b"control")


def _execute_one(scenario: Scenario, repeat: int, recorder: Recorder, surroundings: RunSurroundings) -> str | None:
    """Execute one scenario once; returns why it failed, or None."""
    client = surroundings.s3
    expected = scenario.records.by_channel()

    def call(**parameters: Any) -> Any:
        with recorder.purpose(Role.SUBJECT, scenario.cell, repeat, expected):
            return _drain(getattr(client, method_of(scenario.operation))(**parameters))

    try:
        with recorder.purpose(Role.SETUP, scenario.cell, repeat), prepared(scenario, surroundings, call) as run:
            run()
    except (ClientError, BotoCoreError, LogjamError) as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _drain(answer: dict[str, Any]) -> dict[str, Any]:
    """Read a streamed answer to its end: only then is the request completed."""
    for value in answer.values():
        if isinstance(value, StreamingBody):
            value.read()
        elif hasattr(value, "__iter__") and hasattr(value, "close") and not isinstance(value, (str, bytes, dict, list)):
            for _ in value:
                pass
    return answer
