"""AWS without a network, and made-up calls and records: what the tests of all stages share.

``FakeAws`` answers a real boto3 client just before the request would be sent, so that botocore's own model validates
every parameter, signs the request and parses the answer.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from harness.analyse.payload import sent_leaves
from harness.channels import Channel
from harness.clock import Clock
from harness.environment.site import Site
from harness.events import ScenarioFinished
from harness.execute.clients import Clients
from harness.execute.engine import RunSurroundings, execute
from harness.execute.recorder import Recorder
from harness.model import SERVER_ACCESS, Call, Cell, CellKey, Delivery, Parsed, Record, Role, Verdict
from harness.report import Result
from harness.scenario import Scenario
from harness.targets import Target
from harness.targets.sessions import loopback_config
from harness.testing import FakeChannel, FakeClock

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RUN_ID = "0badcafe"
ACCOUNT = "111122223333"
REGION = "us-east-1"
_LOADER = botocore.session.Session().get_component("data_loader")
_USERS_OWN = ("config_file", "credentials_file")


class _Raw(io.BytesIO):
    """What AWSResponse reads a body from."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def xml(name: str, inner: str = "") -> Answer:
    """Return an S3 answer whose root element has that name."""
    return Answer(f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{name}>'.encode())


def refusal(code: str, status: int = 400, message: str = "no", service: str = "s3") -> Answer:
    """Return an error answer of S3, or of a service that speaks JSON."""
    if service == "s3":
        return Answer(f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), status)
    return Answer(json.dumps({"__type": code, "message": message}).encode(), status)


_IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:user/tester</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
_ASSUMED = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    "<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
)
_SESSION = (
    "<Credentials><SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey><AccessKeyId>a</AccessKeyId>"
    "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
)
_LOGGING = f"<LoggingEnabled><TargetBucket>s3lm-{RUN_ID}-log</TargetBucket><TargetPrefix>sal/</TargetPrefix>"
_DEFAULTS: Mapping[str, Answer] = {
    "GetCallerIdentity": Answer(_IDENTITY.encode()),
    "AssumeRole": Answer(_ASSUMED.encode()),
    "ListAccessPoints": xml("ListAccessPointsResult", "<AccessPointList/>"),
    "CreateJob": xml("CreateJobResult", "<JobId>job-1</JobId>"),
    "GetAccessPoint": xml("GetAccessPointResult", "<Alias>s3lm-ap-0123456789abcdef-s3alias</Alias>"),
    "PutObject": Answer(headers={"ETag": '"e0"', "x-amz-version-id": "v1"}),
    "HeadObject": Answer(headers={"ETag": '"e0"'}),
    "CreateMultipartUpload": xml("InitiateMultipartUploadResult", "<UploadId>upload-1</UploadId>"),
    "UploadPart": Answer(headers={"ETag": '"e1"'}),
    "CreateSession": xml("CreateSessionResult", _SESSION),
    "GetBucketLogging": xml("BucketLoggingStatus", _LOGGING + "</LoggingEnabled>"),
    "GetBucketLocation": xml("LocationConstraint"),
    "GetBucketPolicy": Answer(b"{}"),
    "CopyObject": xml("CopyObjectResult"),
    "UploadPartCopy": xml("CopyPartResult"),
    "CompleteMultipartUpload": xml("CompleteMultipartUploadResult"),
    "CreateDelivery": Answer(b'{"delivery": {"id": "delivery-1"}}'),
    "DescribeConfigurationTemplates": Answer(b'{"configurationTemplates": [{"service": "s3"}]}'),
    "GetQueueUrl": Answer(b'{"QueueUrl": "https://sqs.us-east-1.amazonaws.com/111122223333/queue"}'),
}


class _LazyClient:
    """A boto3 client that is made at its first use: making one costs more than most tests."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = cache(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


class _LazySession(boto3.Session):
    def client(self, *args: Any, **settings: Any) -> Any:
        return _LazyClient(partial(super().client, *args, **settings))


Respond = Answer | Exception | Callable[[AWSPreparedRequest], Answer]


@dataclass
class FakeAws:
    """Stands where the network would be.

    Attributes:
        answers: What each operation answers: one answer for good, or a list that is used up one by one.
        made: (operation, parameters) of every API call, in order.
        sent: (operation, request) of every HTTP attempt, in order.
        overrule: Asked first for every attempt; its answer counts unless it is None.
    """

    answers: dict[str, Respond | list[Respond]] = field(default_factory=dict)
    made: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    sent: list[tuple[str, AWSPreparedRequest]] = field(default_factory=list)
    overrule: Callable[[str], Answer | None] = lambda _operation: None
    _answered: dict[int, AWSResponse] = field(default_factory=dict)

    def session(self, region: str = REGION) -> boto3.Session:
        """Return a session whose clients reach nothing but this object."""
        core = botocore.session.Session(session_vars=dict.fromkeys(_USERS_OWN, (None, None, os.devnull, None)))
        core.set_credentials("AKIAIOSFODNN7EXAMPLE", "not-a-secret")
        core.set_default_client_config(loopback_config())
        core.register_component("data_loader", _LOADER)  # loaded once for all tests
        session = _LazySession(botocore_session=core, region_name=region)
        session.events.register_last("before-send", self._answer)
        session.events.register("provide-client-params", self._note)
        return session

    def parameters(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of every call of an operation."""
        return [parameters for name, parameters in self.made if name == operation]

    def operations(self) -> list[str]:
        """Return the operations that were called, in order."""
        return [name for name, _ in self.made]

    def answer_to(self, request: AWSPreparedRequest) -> AWSResponse:
        """Return what a raw request was answered, which is not taken from the event as boto3 does."""
        return self._answered[id(request)]

    def _note(self, params: Mapping[str, Any], event_name: str, **_kwargs: Any) -> None:
        self.made.append((event_name.split(".")[2], dict(params)))

    def _answer(self, request: AWSPreparedRequest, event_name: str, **_kwargs: Any) -> AWSResponse:
        _, service, operation = event_name.split(".")
        self.sent.append((operation, request))
        respond = self.overrule(operation) or self.answers.get(operation, _DEFAULTS.get(operation))
        if isinstance(respond, list):
            respond = respond.pop(0) if respond else _DEFAULTS.get(operation)
        if isinstance(respond, Exception):
            raise respond
        if respond is None:
            empty = dict.fromkeys(("cloudtrail", "logs", "eventbridge", "events", "sqs"), Answer(b"{}"))
            empty |= {"iam": xml(f"{operation}Response", f"<{operation}Result/>")}
            respond = empty.get(service, Answer())
        answer = respond(request) if callable(respond) else respond
        number = len(self.sent)
        headers = {"x-amz-request-id": f"REQ{number:013d}", "x-amz-id-2": f"host{number}", **answer.headers}
        response = AWSResponse(request.url, answer.status, headers, _Raw(answer.body))
        self._answered[id(request)] = response
        return response


class FakeTarget(Target):
    """A target whose AWS is a ``FakeAws``."""

    name = "fake"
    note = "made up"
    region = REGION
    capabilities = frozenset({"general-purpose-buckets"})

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
