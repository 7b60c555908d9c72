"""What can be called: the operations of botocore's own S3 model. Nothing here is a hand-written list of operations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from urllib.parse import parse_qsl

import botocore
import botocore.session
from botocore.model import OperationModel

from harness.model import Level, Operation

LOCKED_BOTOCORE = "1.44.5"
"""The version against which the scenarios are complete; with another one, unknown operations are ``not run``."""


def botocore_version() -> str:
    """Return the version of the botocore that is installed."""
    return str(botocore.__version__)


@cache
def operations() -> Mapping[str, Operation]:
    """Return every operation of botocore's s3 model by name, in the model's order."""
    model = botocore.session.get_session().get_service_model("s3")
    found = {name: _operation(model.operation_model(name)) for name in model.operation_names}
    alike: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for name in found:
        alike[_wire_form(model.operation_model(name))].append(name)
    twins = {name: tuple(n for n in names if n != name) for names in alike.values() for name in names}
    return {name: replace(operation, twins=twins[name]) for name, operation in found.items()}


def _operation(model: OperationModel) -> Operation:
    uri = str(model.http["requestUri"])
    path, _, query = uri.partition("?")
    if "{Key+}" in path or path == "/WriteGetObjectResponse":
        level = Level.OBJECT
    else:
        level = Level.BUCKET if "{Bucket}" in path else Level.SERVICE
    needed = [f"{location}:{name}" for location, name in _required(model)]
    parts = [key if not value else f"{key}={value}" for key, value in parse_qsl(query, keep_blank_values=True)]
    return Operation(
        name=str(model.name),
        method=str(model.http["method"]),
        uri=uri,
        level=level,
        subresource=" ".join(parts + needed),
        deprecated=bool(model.deprecated),
    )


def _required(model: OperationModel) -> list[tuple[str, str]]:
    """Query parameters and headers without which a request would be another operation."""
    shape = model.input_shape
    members = [shape.members[name] for name in shape.required_members] if shape else []
    named = [(m.serialization.get("location"), m.serialization.get("name")) for m in members]
    kinds = {"querystring": "query", "header": "header"}
    return sorted((kinds[where], str(name)) for where, name in named if where in kinds)


def _wire_form(model: OperationModel) -> tuple[object, ...]:
    """What a server can tell operations apart by: the URI, the endpoint, and the required query and headers."""
    endpoints = ("UseS3ExpressControlEndpoint", "UseObjectLambdaEndpoint")
    static = {p.name for p in model.static_context_parameters}
    # Most bucket operations carry UseS3ExpressControlEndpoint for directory buckets only; at service level
    # it is a host.
    special = static & set(endpoints) if "{Bucket}" not in model.http["requestUri"] else set()
    return (model.http["method"], model.http["requestUri"], tuple(sorted(special)), tuple(_required(model)))
