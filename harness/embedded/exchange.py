"""One request and its answer, as both log writers see it, and the table of what the embedded server logs it as."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources

from harness.embedded.principals import Principal
from harness.embedded.wire import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What this server writes for one operation (``behaviour.csv``): ``*_basis`` says on what evidence it was chosen.

    Attributes:
        server_access: Operation string; empty where no record is written.
        server_access_related: Operation string of the further records of one call (copy source, batch member).
        event_category: ``management`` or ``data``.
    """

    operation: str
    server_access: str
    server_access_related: str
    server_access_basis: str
    event_name: str
    event_category: str
    event_basis: str


@cache
def behaviours() -> Mapping[str, Behaviour]:
    """Return the behaviour table by operation."""
    text = resources.files("harness.embedded").joinpath("behaviour.csv").read_text("utf-8")
    return {row["operation"]: Behaviour(**row) for row in csv.DictReader(text.splitlines())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request with its answer.

    Attributes:
        received_at, completed_at: The server's clock, aware UTC.
        object_size: Full size of the object in bytes, None where no object is concerned.
        copy_source: Bucket, key and size of a copy's source.
        members: Keys of a batch delete that were deleted, with the version asked for.
    """

    request: Request
    behaviour: Behaviour
    principal: Principal
    received_at: datetime
    completed_at: datetime
    status: int
    request_id: str
    host_id: str
    response_headers: Mapping[str, str]
    response_bytes: int
    error_code: str | None = None
    error_message: str | None = None
    object_size: int | None = None
    copy_source: tuple[str, str, int | None] | None = None
    members: tuple[tuple[str, str | None], ...] = ()
