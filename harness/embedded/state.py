"""What moto holds, read in-process: buckets, objects, trails. The only place that knows moto's S3 backend."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.cloudtrail.models import cloudtrail_backends
from moto.s3.models import s3_backends

from harness.embedded.principals import ACCOUNT_ID
from harness.embedded.wire import Request


def backend() -> Any:
    """Return moto's S3 backend of the server's account."""
    return s3_backends[ACCOUNT_ID]["aws"]


def bucket_of(request: Request) -> Any:
    """Return moto's bucket that a request names; it exists."""
    return backend().buckets[request.bucket]


def region_of(bucket: str | None, otherwise: str) -> str:
    """Return the Region of a bucket, or another where there is no such bucket."""
    found = backend().buckets.get(bucket)
    return str(found.region_name) if found else otherwise


def bucket_exists(bucket: str | None) -> bool:
    """Tell whether there is such a bucket."""
    return bucket in backend().buckets


def key(bucket: str | None, name: str | None) -> Any:
    """Return moto's object, None where there is none."""
    found = backend().buckets.get(bucket)
    return found.keys.get(name) if found and name else None


def object_exists(bucket: str, name: str) -> bool:
    """Tell whether there is such an object."""
    return key(bucket, name) is not None


def object_size(request: Request) -> int | None:
    """Return the size in bytes of the object that a request names, None where there is none."""
    return getattr(key(request.bucket, request.key), "size", None)


def lock_of(bucket: str, name: str, version_id: str | None) -> tuple[str, str] | None:
    """Return retention mode and end of an object version, None where it has none."""
    found = backend().get_object(bucket, name, version_id=version_id)
    return (found.lock_mode, str(found.lock_until)) if found is not None and found.lock_mode else None


def copy_source(operation: str | None, request: Request) -> tuple[str, str, int | None] | None:
    """Return bucket, key and size of a copy's source, None for what is no copy."""
    if operation not in ("CopyObject", "UploadPartCopy"):
        return None
    named = unquote(request.headers["x-amz-copy-source"].partition("?")[0]).lstrip("/")
    bucket, _, name = named.partition("/")
    return bucket, name, getattr(key(bucket, name), "size", None)


def trails() -> list[Any]:
    """Return moto's trails of all Regions."""
    return [t for each in list(cloudtrail_backends[ACCOUNT_ID].values()) for t in each.trails.values()]


def queue_notifications(bucket: str) -> list[Any]:
    """Return moto's notifications of a bucket that go to queues."""
    found = backend().buckets.get(bucket)
    configuration = found.notification_configuration if found else None
    return list(configuration.queue) if configuration else []


def policy_of(bucket: str | None) -> dict[str, Any] | None:
    """Return the policy of a bucket, None where it has none."""
    found = backend().buckets.get(bucket)
    return dict(json.loads(found.policy)) if found is not None and found.policy else None


def put_log_object(bucket: str, name: str, body: bytes, kind: str) -> datetime | None:
    """Write a log object of a content type; returns its stamp, None when the bucket is gone."""
    if not bucket_exists(bucket):
        return None
    stored: Any = backend().put_object(bucket, name, body)
    stored.set_metadata({"Content-Type": kind}, replace=True)
    written: datetime = stored.last_modified
    return written.replace(tzinfo=UTC)
