"""One request and its answer, as both log writers see it, and the table of what the embedded server logs it as."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import resources

from harness.embedded.principals import Principal
from harness.embedded.switches import Behaviours
from harness.embedded.wire import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What this server writes for one operation (``behaviour.csv``): ``*_basis`` says on what evidence it was chosen.

    Attributes:
        server_access: Operation string; empty where no record is written.
        server_access_related: Operation string of the further records of one call (copy source, batch member).
        event_name: CloudTrail's name; empty where no event is delivered.
        event_category: ``management`` or ``data``.
    """

    operation: str
    server_access: str
    server_access_related: str
    server_access_basis: str
    event_name: str
    event_category: str
    event_source: str
    event_basis: str


@cache
def behaviours() -> Mapping[str, Behaviour]:
    """Return the behaviour table by operation."""
    text = resources.files("harness.embedded").joinpath("behaviour.csv").read_text("utf-8")
    return {row["operation"]: Behaviour(**row) for row in csv.DictReader(text.splitlines())}


def behaviour_of(operation: str | None, request: Request, switches: Behaviours) -> Behaviour:
    """Return what an operation is logged as, with the switches applied.

    A control operation is a management event of its own name; what is no operation at all gets AWS's naming rule in the
    access log and no event.
    """
    found = behaviours().get(operation or "")
    if found is None:
        if operation and operation.startswith("s3control:"):
            name = _CONTROL_NAMES.get(operation, operation.removeprefix("s3control:"))
            return replace(_NOTHING, operation=operation, event_name=name)
        kind = "OBJECT" if request.key else "BUCKET"
        return replace(_NOTHING, operation=operation or "", server_access=f"REST.{request.method}.{kind}")
    if operation == "BrowserPost":
        return replace(found, event_name=switches["form-post"])
    if operation == "HeadBucket":
        return replace(found, event_category=switches["head-bucket"])
    return found


_CONTROL_NAMES = {
    "s3control:GetPublicAccessBlock": "GetAccountPublicAccessBlock",
    "s3control:PutPublicAccessBlock": "PutAccountPublicAccessBlock",
    "s3control:DeletePublicAccessBlock": "DeleteAccountPublicAccessBlock",
}
_NOTHING = Behaviour(
    operation="",
    server_access="",
    server_access_related="",
    server_access_basis="inferred",
    event_name="",
    event_category="management",
    event_source="s3.amazonaws.com",
    event_basis="assumed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request with its answer.

    Attributes:
        received_at, completed_at: The server's clock, aware UTC.
        region: Where it was served: the bucket's, or the one that the request was signed for.
        object_size: Full size of the object in bytes, None where no object is concerned.
        copy_source: Bucket, key and size of a copy's source.
        members: Keys of a batch delete that were deleted, with the version asked for.
        failed_authentication: Whether it was refused before anyone knew who sent it.
        access_point: ARN of the access point that the request went through.
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
    region: str = "us-east-1"
    error_code: str | None = None
    error_message: str | None = None
    object_size: int | None = None
    copy_source: tuple[str, str, int | None] | None = None
    members: tuple[tuple[str, str | None], ...] = ()
    failed_authentication: bool = False
    access_point: str | None = None

    @property
    def acl_required(self) -> bool:
        """Whether the request sets an ACL that needs one (S3 User Guide, ACL overview, aclRequired)."""
        canned = self.request.headers.get("x-amz-acl", "bucket-owner-full-control")
        return self.behaviour.operation in ("PutBucketAcl", "PutObjectAcl") or canned != "bucket-owner-full-control"
