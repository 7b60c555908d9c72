"""S3 event notifications: which event a request or an action is, and the record that tells of it.

moto's own come at once, without ids, and not for every event type: they are switched off (``adjusted.py``).
Source: S3 User Guide, supported event types and event message structure (version 2.1, July 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from harness.embedded.exchange import Exchange

EVENTS: Mapping[str, str] = {
    "PutObject": "ObjectCreated:Put",
    "BrowserPost": "ObjectCreated:Post",
    "CopyObject": "ObjectCreated:Copy",
    "CompleteMultipartUpload": "ObjectCreated:CompleteMultipartUpload",
    "DeleteObject": "ObjectRemoved:Delete",
    "RestoreObject": "ObjectRestore:Post",
    "PutObjectTagging": "ObjectTagging:Put",
    "DeleteObjectTagging": "ObjectTagging:Delete",
    "PutObjectAcl": "ObjectAcl:Put",
    "PutObjectAnnotation": "ObjectAnnotation:Put",
    "DeleteObjectAnnotation": "ObjectAnnotation:Delete",
    "PutObjectRetention": "ObjectRetention:Put",
}
ACTIONS: Mapping[str, str] = {
    "S3.EXPIRE.OBJECT": "LifecycleExpiration:Delete",
    "S3.CREATE.DELETEMARKER": "LifecycleExpiration:DeleteMarkerCreated",
    "S3.TRANSITION_SIA.OBJECT": "LifecycleTransition",
    "S3.TRANSITION_ZIA.OBJECT": "LifecycleTransition",
    "S3.TRANSITION_INT.OBJECT": "LifecycleTransition",
    "S3.TRANSITION_GIR.OBJECT": "LifecycleTransition",
    "S3.TRANSITION.OBJECT": "LifecycleTransition",
    "S3.TRANSITION_GDA.OBJECT": "LifecycleTransition",
}
"""Operation strings of what S3 does by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one notification tells."""

    name: str
    bucket: str
    region: str
    key: str
    at: datetime
    request_id: str
    host_id: str
    principal_id: str
    remote_ip: str
    size: int | None = None
    version_id: str | None = None
    etag: str | None = None


def happened(exchange: Exchange) -> Iterator[tuple[str, str, int | None, str | None]]:
    """Yield event name, key, size and version of what a request did; nothing for reads and for what failed."""
    if exchange.status >= 300 or not exchange.request.bucket:
        return
    answered = exchange.response_headers
    version = answered.get("x-amz-version-id")
    for key, asked_version in exchange.members:
        yield "ObjectRemoved:Delete", key, None, asked_version
    name = EVENTS.get(exchange.behaviour.operation)
    if name and exchange.request.key:
        if name == "ObjectRemoved:Delete" and answered.get("x-amz-delete-marker") == "true":
            name = "ObjectRemoved:DeleteMarkerCreated"
        yield name, exchange.request.key, exchange.object_size, version


def record(told: Told, configuration: str) -> dict[str, Any]:
    """Return a record of a notification message."""
    thing: dict[str, Any] = {
        "key": quote_plus(told.key, safe="/"),
        "sequencer": f"{round(told.at.timestamp() * 1e6):016X}",
    }
    if told.name.startswith("ObjectCreated"):
        thing |= {"size": told.size, "eTag": told.etag}
    if told.version_id:
        thing["versionId"] = told.version_id
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": told.region,
        "eventTime": f"{told.at:%Y-%m-%dT%H:%M:%S}.{told.at.microsecond // 1000:03}Z",
        "eventName": told.name,
        "userIdentity": {"principalId": f"AWS:{told.principal_id}"},
        "requestParameters": {"sourceIPAddress": told.remote_ip},
        "responseElements": {"x-amz-request-id": told.request_id, "x-amz-id-2": told.host_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {"name": told.bucket, "arn": f"arn:aws:s3:::{told.bucket}"},
            "object": thing,
        },
    }
