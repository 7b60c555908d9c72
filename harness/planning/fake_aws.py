"""AWS without a network: answers a real boto3 client just before the request would be sent.

botocore's own model validates every parameter, signs the request and parses the answer. Tests and the dry run share it.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.model import OperationModel

from harness.targets.sessions import loopback_config

_USERS_OWN = ("config_file", "credentials_file")
_NEXT_PAGE = "token"
_DEEPEST = 6


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


_ASSUMED = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    "<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
)
_SESSION = (
    "<Credentials><SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey><AccessKeyId>a</AccessKeyId>"
    "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
)
_LOGGING = "<LoggingEnabled><TargetBucket>s3lm-log</TargetBucket><TargetPrefix>sal/</TargetPrefix>"
_POLICY = (
    b'{"Statement": [{"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"},'
    b' "Action": ["s3:PutObject"], "Resource": "*"}]}'
)
_SSE_S3 = (
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault></Rule>"
)
_ENFORCED = "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
DEFAULTS: Mapping[str, Answer] = {
    "AssumeRole": Answer(_ASSUMED.encode()),
    "CreateDelivery": Answer(b'{"delivery": {"id": "delivery-1"}}'),
    "DescribeConfigurationTemplates": Answer(b'{"configurationTemplates": [{"service": "s3"}]}'),
    "GetQueueUrl": Answer(b'{"QueueUrl": "https://sqs.us-east-1.amazonaws.com/111122223333/queue"}'),
    "ReceiveMessage": Answer(b"{}"),
    "LookupEvents": Answer(b"{}"),
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
    "GetBucketPolicy": Answer(_POLICY),
    "GetBucketEncryption": xml("ServerSideEncryptionConfiguration", _SSE_S3),
    "GetBucketOwnershipControls": xml("OwnershipControls", _ENFORCED),
    "CopyObject": xml("CopyObjectResult"),
    "UploadPartCopy": xml("CopyPartResult"),
    "CompleteMultipartUpload": xml("CompleteMultipartUploadResult"),
}
"""Enough of an answer for who reads it."""


@cache
def _loader() -> Any:
    return botocore.session.Session().get_component("data_loader")


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
        account: Whose account it is.
        answers: What each operation answers: one answer for good, or a list that is used up one by one.
        made: (operation, parameters) of every API call, in order.
        sent: (operation, request) of every HTTP attempt, in order.
        overrule: Asked first for every attempt; its answer counts unless it is None.
        makes_up: Whether services that speak JSON answer with something of every member; else with nothing.
    """

    account: str = "111122223333"
    answers: dict[str, Respond | list[Respond]] = field(default_factory=dict)
    made: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    sent: list[tuple[str, AWSPreparedRequest]] = field(default_factory=list)
    overrule: Callable[[str], Answer | None] = lambda _operation: None
    makes_up: bool = False
    _outputs: dict[str, Any] = field(default_factory=dict)

    def session(self, region: str = "us-east-1") -> boto3.Session:
        """Return a session whose clients reach nothing but this object."""
        core = botocore.session.Session(session_vars=dict.fromkeys(_USERS_OWN, (None, None, os.devnull, None)))
        core.set_credentials("AKIAIOSFODNN7EXAMPLE", "not-a-secret")
        core.set_default_client_config(loopback_config())
        core.register_component("data_loader", _loader())  # loaded once for all sessions
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

    def _note(self, params: Mapping[str, Any], model: OperationModel, **_kwargs: Any) -> None:
        self.made.append((model.name, dict(params)))
        self._outputs[model.name] = model.output_shape

    def _answer(self, request: AWSPreparedRequest, event_name: str, **_kwargs: Any) -> Any:
        _, service, operation = event_name.split(".")
        self.sent.append((operation, request))
        respond = self.overrule(operation) or self.answers.get(operation, DEFAULTS.get(operation))
        if isinstance(respond, list):
            respond = respond.pop(0) if respond else DEFAULTS.get(operation)
        if isinstance(respond, Exception):
            raise respond
        if respond is None:
            respond = self._usual(service, operation, request)
        answer = respond(request) if callable(respond) else respond
        number = len(self.sent)
        headers: Any = {"x-amz-request-id": f"REQ{number:013d}", "x-amz-id-2": f"host{number}", **answer.headers}
        return AWSResponse(request.url, answer.status, headers, _Raw(answer.body))

    def _usual(self, service: str, operation: str, request: AWSPreparedRequest) -> Answer:
        """Return an answer in the service's protocol, with little in it."""
        if operation == "GetCallerIdentity":
            arn = f"<Arn>arn:aws:iam::{self.account}:user/tester</Arn><UserId>AIDAEXAMPLE</UserId>"
            inner = f"<GetCallerIdentityResult>{arn}<Account>{self.account}</Account></GetCallerIdentityResult>"
            return xml("GetCallerIdentityResponse", inner)
        if "X-Amz-Target" in request.headers:
            return Answer(json.dumps(_value(self._outputs[operation], 0) if self.makes_up else {}).encode())
        return xml(f"{operation}Response", f"<{operation}Result/>") if service in ("iam", "sts") else Answer()


def _value(shape: Any, depth: int) -> Any:
    """Return something of a shape; no list has a member, and no page a next one."""
    if shape is None or shape.type_name == "structure":
        members = {} if shape is None or depth > _DEEPEST else shape.members
        return {n: _value(s, depth + 1) for n, s in members.items() if not n.lower().endswith(_NEXT_PAGE)}
    if shape.type_name == "string":
        return str((shape.enum or ["s3lm-made-up"])[0])
    scalars: dict[str, Any] = {"list": [], "map": {}, "boolean": False, "blob": ""}
    return scalars.get(shape.type_name, 0)
