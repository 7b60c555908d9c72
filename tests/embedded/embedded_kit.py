"""What the tests of the embedded server share: one running server with clients, and raw signed requests.

Log lines are split here by a pattern of its own: a mistake in ``harness.formats`` must not be able to hide one in
``harness.embedded``.
"""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from harness.clock import ScaledClock
from harness.embedded.delays import DELAYS
from harness.targets.embedded import EmbeddedServer, EmbeddedTarget

ACCOUNT = "123456789012"
REGION = "us-east-1"
WAIT_SECONDS = 60.0
"""Real time; never waited for unless something is wrong."""
POLL_SECONDS = 0.02

ACCESS_FIELDS = [
    "bucket_owner",
    "bucket",
    "time",
    "remote_ip",
    "requester",
    "request_id",
    "operation",
    "key",
    "request_uri",
    "http_status",
    "error_code",
    "bytes_sent",
    "object_size",
    "total_time",
    "turn_around_time",
    "referer",
    "user_agent",
    "version_id",
    "host_id",
    "signature_version",
    "cipher_suite",
    "authentication_type",
    "host_header",
    "tls_version",
    "access_point_arn",
    "acl_required",
    "source_region",
]
"""The 27 fields of a server access log line (S3 User Guide, server access log format, April 2026)."""
_TOKEN = re.compile(r'\[[^]]*]|"[^"]*"|\S+')

Line = dict[str, str]
Event = dict[str, Any]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until a condition holds, in real time and for a bounded while."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s in vain: {what}"
        time.sleep(POLL_SECONDS)


def due(entry: Mapping[str, Any]) -> float:
    """Return before when a record of the ledger may not be delivered."""
    # The ledger's delay is rounded to the millisecond.
    return DELAYS[entry["channel"]].due(entry["completed_at"], entry["drawn_delay_seconds"] - 0.001)


def code_of(error: ClientError) -> str:
    """Return the error code that a client was answered with."""
    return str(error.response["Error"]["Code"])


def status_of(error: ClientError) -> int:
    """Return the HTTP status that a client was answered with."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def split_line(line: str) -> Line:
    """Split a server access log line into its fields, without quotes and brackets."""
    tokens = _TOKEN.findall(line)
    assert len(tokens) == len(ACCESS_FIELDS), f"{len(tokens)} fields in {line!r}"
    return {name: token.strip('"[]') for name, token in zip(ACCESS_FIELDS, tokens, strict=True)}


def line_time(line: Line) -> datetime:
    """Return the time of a server access log line."""
    return datetime.strptime(line["time"], "%d/%b/%Y:%H:%M:%S %z")


def event_time(event: Event) -> datetime:
    """Return the time of a CloudTrail event."""
    return datetime.strptime(event["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over the wire, before any client library has made something of it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def one(self, name: str) -> str:
        """Return the value of a header that must be there exactly once."""
        (value,) = self.all(name)
        return value

    @property
    def error(self) -> dict[str, str]:
        """The children of an S3 error document; fails on a body that is none."""
        root = ET.fromstring(self.body)
        assert root.tag == "Error", self.body
        return {child.tag: child.text or "" for child in root}


@dataclass(slots=True)
class World:
    """One running server, its clients, and short ways to say what the tests say often."""

    target: EmbeddedTarget
    session: boto3.Session
    s3: Any = field(init=False)
    cloudtrail: Any = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.s3, self.cloudtrail = self.session.client("s3"), self.session.client("cloudtrail")

    @property
    def server(self) -> EmbeddedServer:
        """The server's process."""
        assert self.target.server is not None
        return self.target.server

    @property
    def clock(self) -> ScaledClock:
        """The clock that the server and the tests share."""
        clock = self.target.clock
        assert isinstance(clock, ScaledClock)
        return clock

    def name(self, kind: str) -> str:
        """Return a name that no other test of this server uses."""
        return f"t{next(self._numbers)}-{kind}"

    def bucket(self, kind: str = "bucket", **parameters: Any) -> str:
        """Create a bucket of its own."""
        name = self.name(kind)
        self.s3.create_bucket(Bucket=name, **parameters)
        return name

    def log_bucket(self) -> str:
        """Create a bucket to which the log delivery service may write."""
        name = self.bucket("log")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": ["s3:PutObject"],
            "Resource": f"arn:aws:s3:::{name}/*",
        }
        self.s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        return name

    def log_to(self, source: str, log_bucket: str, prefix: str = "", **key_format: Any) -> None:
        """Switch a bucket's server access logging on."""
        enabled: dict[str, Any] = {"TargetBucket": log_bucket, "TargetPrefix": prefix}
        if key_format:
            enabled["TargetObjectKeyFormat"] = key_format
        self.s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": enabled})

    def logged_bucket(self, **parameters: Any) -> tuple[str, str]:
        """Create a bucket whose requests are logged; returns it and its log bucket."""
        source, log_bucket = self.bucket("src", **parameters), self.log_bucket()
        self.log_to(source, log_bucket)
        return source, log_bucket

    def ledger(self) -> list[dict[str, Any]]:
        """Return the truth about every delivery so far."""
        entries: list[dict[str, Any]] = self.server.page("ledger")
        return entries

    def settle(self) -> None:
        """Wait until every record of the requests so far has been delivered."""
        wait_until(self._is_settled, "pending records to be delivered")

    def _is_settled(self) -> bool:
        pending = [entry for entry in self.ledger() if entry["object"] is None]
        if pending:
            latest = max(entry["completed_at"] + entry["drawn_delay_seconds"] for entry in pending)
            # Reading the ledger again before the last delay has passed would only slow the server down.
            time.sleep(min(max(0.0, (latest - self.clock.now().timestamp()) / self.clock.factor), 0.1))
        return not pending

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return every object of a bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key: self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def access_lines(self, log_bucket: str) -> list[Line]:
        """Wait for pending records, then return all server access log lines of a log bucket."""
        self.settle()
        texts = [body.decode() for body in self.objects(log_bucket).values()]
        return [split_line(line) for text in texts for line in text.splitlines()]

    def lines(self, request_id: str) -> list[Line]:
        """Wait for pending records, then return the server access log lines of one request, wherever they went."""
        self.settle()
        of_it = [e for e in self.ledger() if e["channel"] == "server-access" and e["request_id"] == request_id]
        found = []
        for name in {entry["object"] for entry in of_it}:
            bucket, _, key = name.removeprefix("s3://").partition("/")
            text = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
            found += [split_line(line) for line in text.splitlines() if request_id in line]
        return found

    def line(self, request_id: str) -> Line:
        """Return the server access log line of a request that has one alone."""
        (line,) = self.lines(request_id)
        return line

    @contextmanager
    def trail(self, prefix: str = "", region: str = REGION, **selectors: Any) -> Iterator[Trail]:
        """Log with a trail of its own until the block ends."""
        name, bucket = self.name("trail"), self.bucket("ct")
        client = self.session.client("cloudtrail", region_name=region)
        client.create_trail(Name=name, S3BucketName=bucket, **({"S3KeyPrefix": prefix} if prefix else {}))
        if selectors:
            client.put_event_selectors(TrailName=name, **selectors)
        client.start_logging(Name=name)
        try:
            yield Trail(self, name, bucket)
        finally:
            client.delete_trail(Name=name)  # there may be five at once

    def host(self, bucket: str) -> str:
        """Return a bucket's virtual host name."""
        return f"{bucket}.s3.{REGION}.amazonaws.com"

    def send(
        self, method: str, host: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one signed request as it stands, and return the answer as it came."""
        connection = self.begin(method, host, path, body, headers)
        connection.send(body)
        return finish(connection)

    def begin(
        self, method: str, host: str, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPConnection:
        """Send the head of a signed request; the body is the caller's to send."""
        request = AWSRequest(method=method, url=f"https://{host}{path}", data=body, headers=dict(headers or {}))
        request.headers["Host"] = host
        credentials = self.session.get_credentials()
        assert credentials is not None
        S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=WAIT_SECONDS)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        if "Content-Length" not in request.headers and (body or method in ("PUT", "POST")):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        return connection

    def fetch(self, url: str) -> Answer:
        """GET a (presigned) URL of AWS from the server, with nothing added to it."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=WAIT_SECONDS)
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"Host": parts.netloc})
        return finish(connection)


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail and the bucket of its files."""

    world: World
    name: str
    bucket: str

    def files(self) -> dict[str, list[Event]]:
        """Wait for pending events, then return the records of every file."""
        self.world.settle()
        found = self.world.objects(self.bucket)
        return {key: json.loads(gzip.decompress(body))["Records"] for key, body in found.items()}

    def events(self, bucket: str | None = None) -> list[Event]:
        """Return the events of all files; with a bucket, only those that name it."""
        events = [event for records in self.files().values() for event in records]
        return [e for e in events if bucket is None or (e["requestParameters"] or {}).get("bucketName") == bucket]


def finish(connection: http.client.HTTPConnection) -> Answer:
    """Return the answer to a request that has been sent."""
    try:
        response = connection.getresponse()
        return Answer(response.status, tuple(response.getheaders()), response.read())
    finally:
        connection.close()


@contextmanager
def running_world(seed: int, factor: float) -> Iterator[World]:
    """Start a server, and end it whatever happens."""
    with EmbeddedTarget(seed=seed, factor=factor) as target:
        yield World(target, target.session())


def minimal_parameters(operation: OperationModel, **fixed: Any) -> dict[str, Any]:
    """Return parameters with every required member of an operation and nothing else."""
    shape: Any = operation.input_shape
    if shape is None:
        return {}
    wanted = {name: shape.members[name] for name in shape.required_members}
    return {name: fixed[name] if name in fixed else _value(name, member) for name, member in wanted.items()}


def _value(name: str, shape: Any) -> Any:
    """Return some valid value of a shape."""
    if shape.type_name == "structure":
        wanted = list(shape.members)[:1] if getattr(shape, "is_tagged_union", False) else shape.required_members
        return {each: _value(each, shape.members[each]) for each in wanted}
    if shape.type_name == "list":
        return [_value(name, shape.member)]
    if shape.type_name == "string":
        texts = {"Bucket": "example-bucket", "Key": "folder/key", "CopySource": "example-bucket/source"}
        return str((shape.enum or [texts.get(name, "example")])[0]).ljust(shape.metadata.get("min", 0), "x")
    scalars: dict[str, Any] = {"integer": 1, "long": 1, "boolean": True, "blob": b"x", "map": {}}
    return datetime(2030, 1, 2, tzinfo=UTC) if shape.type_name == "timestamp" else scalars[shape.type_name]


def selector(*fields: tuple[str, str, Sequence[str]]) -> dict[str, Any]:
    """Return an advanced event selector of (field, operator, values)."""
    return {"FieldSelectors": [{"Field": name, operator: list(values)} for name, operator, values in fields]}


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=WAIT_SECONDS):
            return True
    except OSError:
        return False
