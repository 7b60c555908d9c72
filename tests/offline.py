"""Targets and benches on a ``FakeAws``, and made-up calls and records: what the tests of all stages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from harness.analyse.payload import sent_leaves
from harness.channels import Channel
from harness.clock import Clock
from harness.environment.site import Site
from harness.events import ScenarioFinished
from harness.execute.clients import Clients
from harness.execute.engine import RunSurroundings, execute
from harness.execute.recorder import Recorder
from harness.model import SERVER_ACCESS, Call, Cell, CellKey, Delivery, Parsed, Record, Role, Verdict
from harness.planning.fake_aws import FakeAws
from harness.report import Result
from harness.scenario import Scenario
from harness.targets import Target
from harness.testing import FakeChannel, FakeClock

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RUN_ID = "0badcafe"
ACCOUNT = "111122223333"
REGION = "us-east-1"


class FakeTarget(Target):
    """A target whose AWS is a ``FakeAws``."""

    name = "fake"
    note = "made up"
    region = REGION
    capabilities = frozenset({"access-control", "general-purpose-buckets"})

    def __init__(self, aws: FakeAws | None = None) -> None:
        self.aws = aws or FakeAws()
        self.clock: Clock = FakeClock()
        self.missing = {"torrent": "retired"}

    def session(self, credentials: object = None) -> boto3.Session:
        return self.aws.session(self.region)


class Bench:
    """Everything that executes scenarios, on a ``FakeAws``.

    Attributes:
        channel: The channel that source buckets are watched by, unless others are given.
    """

    def __init__(self, aws: FakeAws, site: Site, recorder: Recorder, watched: Sequence[Channel] = ()) -> None:
        self.aws, self.site, self.recorder, self.journal = aws, site, recorder, site.journal
        self.channel = FakeChannel()
        self.surroundings = RunSurroundings(site, watched or [self.channel])
        self.clients = Clients(site, self._session)

    def _session(self, _credentials: object) -> boto3.Session:
        made = self.aws.session()
        self.recorder.attach(made)
        return made

    def execute(self, *scenarios: Scenario, repeats: int = 1) -> list[ScenarioFinished]:
        """Execute scenarios to the end and return what is told of each."""
        events = execute(scenarios, repeats, self.recorder, self.surroundings, self.clients, sent_leaves)
        return [event for event in events if isinstance(event, ScenarioFinished)]

    def roles(self) -> list[str]:
        return [call.role.value for call in self.journal.calls()]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def a_call(number: int = 1, **changes: Any) -> Call:
    """Return a subject call that was sent ``number`` minutes after T0 and took a second."""
    sent = changes.pop("sent_at", T0 + timedelta(minutes=number))
    values: dict[str, Any] = {
        "number": number,
        "operation": "PutObject",
        "service": "s3",
        "role": Role.SUBJECT,
        "marker": f"s3lm/{RUN_ID}/{number}",
        "cell": CellKey(operation="PutObject"),
        "method": "PUT",
        "bucket": "bucket",
        "key": f"key-{number}",
        "user_agent": f"Boto3/1 s3lm/{RUN_ID}/{number}",
        "sent_at": sent,
        "received_at": sent + seconds(1),
        "status": 200,
        "request_id": f"REQ{number:013d}",
        "host_id": f"host{number}",
    }
    return Call(**(values | changes))


def a_record(call: Call | None = None, channel: str = SERVER_ACCESS, **changes: Any) -> Record:
    """Return the record that a channel makes of a call, or a stranger's."""
    values: dict[str, Any] = {
        "channel": channel,
        "name": "REST.PUT.OBJECT",
        "event_time": call.sent_at if call else T0,
        "request_id": call.request_id if call else "STRANGER",
        "host_id": call.host_id if call else "stranger",
        "identity": f"record-{call.number if call else 'stranger'}",
        "raw": "raw",
        "offset": 0,
        "bucket": call.bucket if call else "elsewhere",
        "key": call.key if call else "elsewhere",
        "user_agent": call.user_agent if call else "curl/8",
        "status": 200,
    }
    return Record(**(values | changes))


def a_delivery(name: str = "s3://logs/1", arrived_at: datetime = T0, **changes: Any) -> Delivery:
    values: dict[str, Any] = {"channel": SERVER_ACCESS, "seen_at": arrived_at, "size_bytes": 1, "body": b"x"}
    return Delivery(name=name, arrived_at=arrived_at, **(values | changes))


def scheduled(name: str, after_seconds: float, *records: Record, **parsed: Any) -> tuple[Delivery, Parsed]:
    """Return an entry of FakeChannel.scheduled that arrives so long after T0."""
    delivery = a_delivery(name, T0 + seconds(after_seconds), channel="fake")
    return delivery, Parsed(records=tuple(records), **parsed)


def a_cell(operation: str = "PutObject", **changes: Any) -> Cell:
    values = {"variant": "ok", "channel": SERVER_ACCESS, "verdict": Verdict.LOGGED}
    return Cell(operation=operation, **(values | changes))


FACTS: Mapping[str, Any] = {
    "run_id": RUN_ID,
    "target": "embedded",
    "note": "proves the harness, never AWS",
    "clock_factor": 600.0,
    "botocore": "1.44.5",
    "seed": 1,
}


def a_result(folder: Path, cells: Sequence[Cell] = (), **changes: Any) -> Result:
    values: dict[str, Any] = {
        "facts": FACTS,
        "calls": (),
        "paired": (),
        "unmatched": 0,
        "deliveries": {},
        "rejects": (),
    }
    return Result(folder=folder, cells=list(cells), **(values | changes))


HOSTILE = (
    '=HYPERLINK("https://evil.example","click")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "a\nb\r\nc",
    "\x1b[31mred\x1b[0m",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\x00\x07",
    "a|b",
    "`code` **bold** <script>alert(1)</script>",
    "[link](javascript:alert(1))",
    "[red]markup[/red] [/nope]",
    '"quoted", and a comma',
    "\\|\\`",
    "😀 café",
)
"""What an attacker may put into a key, a user agent or a name."""
