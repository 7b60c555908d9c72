"""What a request needs permission for: actions, each with the resource and the condition keys that a policy sees.

``actions.csv`` has the one action of every S3 operation. ``permissions.csv`` has what some need beside it (because of a
header, a role that is passed, the tables behind a metadata configuration), and the operations of other services.
Sources: S3 User Guide, Required permissions for Amazon S3 API operations; the Permissions section of each operation in
the API References; Service Authorization Reference (resource types). What is not listed needs the action of its own
name on every resource, which a policy that is scoped to names does not grant.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session

from harness.embedded.authorization import actions, arn_of
from harness.embedded.configurations import child_text, local_name, parse_body
from harness.embedded.principals import ACCOUNT_ID
from harness.embedded.wire import Request

CONTROL = "s3control:"
_OPEN_TO_ALL = ("sts:GetCallerIdentity",)
"""Every principal may ask who it is, even against a Deny (STS API Reference, GetCallerIdentity)."""
_OF_VERSIONS = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:GetObjectAnnotation": "s3:GetObjectVersionAnnotation",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:GetObjectTorrent": "s3:GetObjectVersionTorrent",
    "s3:ListObjectAnnotations": "s3:ListObjectVersionAnnotations",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:PutObjectAnnotation": "s3:PutObjectVersionAnnotation",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:DeleteObjectAnnotation": "s3:DeleteObjectVersionAnnotation",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
}
"""What is needed instead where a request names a version."""
_PASSED_TO = {
    "PutBucketReplication": "s3.amazonaws.com",
    "s3control:CreateJob": "batchoperations.s3.amazonaws.com",
    "cloudtrail:CreateTrail": "cloudtrail.amazonaws.com",
    "cloudtrail:UpdateTrail": "cloudtrail.amazonaws.com",
}
"""The service that a role is passed to (``iam:PassedToService``)."""
_CONDITION_HEADERS = ("x-amz-acl", "x-amz-bucket-namespace", "x-amz-object-ownership", "x-amz-storage-class")
_IAM_PREFIXES = {"monitoring": "cloudwatch"}
"""Where the prefix of IAM actions is not the name that requests are signed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One action that must be allowed on one resource.

    Attributes:
        context: Condition keys, beside those that every request has.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    operation: str
    action: str
    resource: str
    when: str

    def applies(self, headers: Mapping[str, str], parameters: Mapping[str, Any]) -> bool:
        kind, _, name = self.when.partition(" ")
        # An empty one asks for nothing: a trail's log group is taken away with an empty role, for instance.
        return not kind or bool({"header": headers, "parameter": parameters}[kind].get(name))


@cache
def _rows() -> Mapping[str, Sequence[_Row]]:
    text = resources.files("harness.embedded").joinpath("permissions.csv").read_text("utf-8")
    found: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in csv.DictReader(text.splitlines()):
        found[row["operation"]].append(_Row(**row))
    return dict(found)


def of_s3(operation: str, request: Request, access_point: str | None = None) -> list[Need]:
    """Return what a request to S3 needs.

    Args:
        operation: botocore's name.
        request: As received; an access point's host is its bucket's already.
        access_point: ARN of the access point that it goes through: it must be allowed there too (S3 User Guide,
            Configuring IAM policies for using access points).

    Raises:
        RefusedError: The body must be read for it, and cannot be.
    """
    named = [(request.key, request.param("versionId"))]
    if operation == "DeleteObjects":
        # AWS answers 200 with an error per key; here one key that may not be deleted refuses them all.
        entries = [each for each in parse_body(request.body).iter() if local_name(each) == "Object"]
        named = [(child_text(each, "Key"), child_text(each, "VersionId")) for each in entries]
    return [n for key, version in named for n in _on_one(operation, request, key, version, access_point)]


def _on_one(
    operation: str, request: Request, key: str | None, version: str | None, access_point: str | None
) -> list[Need]:
    main = actions().get(operation)
    if main is None:
        return [Need(action=f"s3:{operation}", resource="*")]
    places = {kind: [arn_of(kind, request.bucket, key)] for kind in ("service", "bucket", "object")}
    if access_point:
        places["bucket"].append(access_point)
        places["object"].append(f"{access_point}/object/{key}")
    context = {f"s3:{name}": request.headers[name] for name in _CONDITION_HEADERS if name in request.headers}
    in_body = _body_of(request)("Mode") if operation == "PutObjectRetention" else ""
    mode = request.headers.get("x-amz-object-lock-mode") or in_body
    context |= {"s3:object-lock-mode": mode} if mode else {}
    first = _Row(operation=operation, action=main.action, resource=main.resource, when="")
    needs = []
    for row in (first, *_rows().get(operation, ())):
        if not row.applies(request.headers, {}):
            continue
        if row.resource == "source":
            needs.append(_source(row.action, request))
        elif row.resource in places:
            action = _OF_VERSIONS.get(row.action, row.action) if version else row.action
            needs += [Need(action=action, resource=arn, context=context) for arn in places[row.resource]]
        else:
            needs.append(_filled(row, request.region, _body_of(request)))
    return needs


def _source(action: str, request: Request) -> Need:
    path, _, query = request.headers.get("x-amz-copy-source", "").partition("?")
    action = _OF_VERSIONS[action] if query.startswith("versionId=") else action
    return Need(action=action, resource=f"arn:aws:s3:::{unquote(path).lstrip('/')}")


def of_control(operation: str, request: Request) -> list[Need]:
    """Return what a request to S3's control plane needs; ``operation`` has ``s3control:`` before botocore's name."""
    rows = _rows().get(operation)
    if rows is None:
        return [Need(action=f"s3:{operation.removeprefix(CONTROL)}", resource="*")]
    named = _in_path(operation.removeprefix(CONTROL), request)
    value = (lambda name: named[name] if name in named else _body_of(request)(name)) if named else _body_of(request)
    return [_filled(row, request.region, value) for row in rows if row.applies(request.headers, named)]


def of_service(request: Request) -> tuple[str, list[Need]]:
    """Return operation (``cloudtrail:CreateTrail``) and needs of a request to another service than S3."""
    name, parameters = _asked(request)
    operation = f"{_IAM_PREFIXES.get(request.service, request.service)}:{name}"
    if operation in _OPEN_TO_ALL:
        return operation, []
    rows = [row for row in _rows().get(operation, ()) if row.applies(request.headers, parameters)]
    if not rows:
        return operation, [Need(action=operation, resource="*")]
    return operation, [_filled(row, request.region, lambda n: str(parameters.get(n, ""))) for row in rows]


def _asked(request: Request) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the operation, and its parameters by their first names (``Tags.member.1.Key`` is ``Tags``)."""
    target = request.headers.get("x-amz-target")
    if target:
        try:
            told = json.loads(request.body or b"{}")
        except ValueError:
            told = {}
        parameters = told if isinstance(told, dict) else {}
        if "QueueUrl" in parameters:  # ends with the queue's name
            parameters["QueueUrl"] = str(parameters["QueueUrl"]).rpartition("/")[2]
        return target.rpartition(".")[2], parameters
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"))) or dict(request.query)
    path = request.target.partition("?")[0].rstrip("/").rpartition("/")[2]
    return form.get("Action", path), {name.partition(".")[0]: value for name, value in form.items()}


def _in_path(name: str, request: Request) -> Mapping[str, str]:
    """Return the parameters that stand in the path of a request to the control plane."""
    model = botocore.session.get_session().get_service_model("s3control")
    uri = str(model.operation_model(name).http["requestUri"]).partition("?")[0]
    pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(uri))
    found = re.fullmatch(f"{pattern}/?", request.target.partition("?")[0])
    return {name: unquote(value) for name, value in found.groupdict().items()} if found else {}


def _body_of(request: Request) -> Callable[[str], str]:
    """Return a function that gives the text of the first element of a name in the body."""

    def text(name: str) -> str:
        found = (each.text for each in parse_body(request.body).iter() if local_name(each) == name)
        return (next(found, "") or "") if request.body else ""

    return text


_NAME = re.compile(r"\{(\w+)\}")


def _filled(row: _Row, region: str, value: Callable[[str], str]) -> Need:
    """Return the need of a row: its resource names parameters, which may be ARNs already."""
    fixed = {"region": region, "account": ACCOUNT_ID}
    found = {name: fixed[name] if name in fixed else value(name) for name in _NAME.findall(row.resource)}
    whole = next((text for text in found.values() if text.startswith("arn:")), "")
    resource = whole if whole and row.resource.startswith("arn:") else row.resource.format(**found)
    passed = {"iam:PassedToService": _PASSED_TO[row.operation]} if row.action == "iam:PassRole" else {}
    return Need(action=row.action, resource=resource, context=passed)
