"""What can be called: the operations of botocore's own s3 and s3control models, never a hand-written list of them, and
the request forms that botocore has no name for."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from urllib.parse import parse_qsl

import botocore
import botocore.session
from botocore.model import OperationModel

from harness.model import Level, Operation

LOCKED_BOTOCORE = "1.44.5"
"""The version against which the scenarios are complete; with another one, unknown operations are ``not run``."""


CONTROL_PREFIX = "s3control:"


def botocore_version() -> str:
    """Return the version of the botocore that is installed."""
    return str(botocore.__version__)


@cache
def operations() -> Mapping[str, Operation]:
    """Return every operation of botocore's s3 model by name, in the model's order."""
    return _from_model("s3", "")


@cache
def control_operations() -> Mapping[str, Operation]:
    """Return every operation of botocore's s3control model, each with ``s3control:`` before its name."""
    return _from_model("s3control", CONTROL_PREFIX)


@cache
def forms() -> Mapping[str, Operation]:
    """Return the request forms that botocore has no name for (``forms.csv``, with a source each)."""
    text = resources.files("harness.catalogue").joinpath("forms.csv").read_text("utf-8")
    return {
        row["name"]: Operation(
            name=row["name"], method=row["method"], uri=row["uri"], level=Level(row["level"]), service="form"
        )
        for row in csv.DictReader(text.splitlines())
    }


def rows() -> Mapping[str, Operation]:
    """Return everything that can be a row of the matrix: s3, s3control, request forms."""
    return {**operations(), **control_operations(), **forms()}


def find(name: str) -> Operation | None:
    """Return an operation or request form by name, or None."""
    return rows().get(name)


def _from_model(service: str, prefix: str) -> Mapping[str, Operation]:
    model = botocore.session.get_session().get_service_model(service)
    found = {name: _operation(model.operation_model(name), service, prefix) for name in model.operation_names}
    alike: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for name in found:
        alike[_wire_form(model.operation_model(name))].append(name)
    twins = {name: tuple(prefix + n for n in names if n != name) for names in alike.values() for name in names}
    return {prefix + name: replace(operation, twins=twins[name]) for name, operation in found.items()}


def _operation(model: OperationModel, service: str, prefix: str) -> Operation:
    uri = str(model.http["requestUri"])
    path, _, query = uri.partition("?")
    if "{Key+}" in path or path == "/WriteGetObjectResponse":
        level = Level.OBJECT
    else:
        level = Level.BUCKET if re.search(r"\{(Bucket|Name)\}", path) else Level.SERVICE
    needed = [f"{location}:{name}" for location, name in _required(model)]
    parts = [key if not value else f"{key}={value}" for key, value in parse_qsl(query, keep_blank_values=True)]
    return Operation(
        name=prefix + str(model.name),
        service=service,
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
