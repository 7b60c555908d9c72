"""Reads new log objects from a bucket without listing the old ones: keys are dated, so a time is a place to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from harness.channels import Permission
from harness.clock import Clock
from harness.environment.site import code_of
from harness.model import Delivery

OVERLAP = timedelta(minutes=30)
"""How far back a listing starts: objects may become visible out of the order of their names."""

_BROKEN_OFF = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)

LOG_BUCKET = (
    Permission(
        actions=(
            "s3:CreateBucket",
            "s3:PutBucketOwnershipControls",
            "s3:PutBucketTagging",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:PutBucketPolicy",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketRequestPayment",
            "s3:GetEncryptionConfiguration",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:ListBucket",
            "s3:ListBucketVersions",
            "s3:ListBucketMultipartUploads",
            "s3:DeleteBucket",
        ),
        resources=("arn:aws:s3:::s3lm-*",),
    ),
    Permission(actions=("s3:GetObject", "s3:DeleteObjectVersion"), resources=("arn:aws:s3:::s3lm-*/*",)),
)
"""To make a log bucket, see whether it fits, read it, empty it and delete it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFolder:
    """A place whose keys are in the order of time.

    Attributes:
        prefix: Everything before the date.
        by_day: Whether ``YYYY/MM/DD/`` follows the prefix.
        name_at: The beginning of an object's name (after prefix and day) at a time.
    """

    prefix: str
    by_day: bool
    name_at: Callable[[datetime], str]

    def listings(self, since: datetime, until: datetime) -> Iterator[tuple[str, str]]:
        """Yield (prefix, start after) of the listings that cover a span of time."""
        if not self.by_day:
            yield self.prefix, self.prefix + self.name_at(since)
            return
        day = since.replace(hour=0, minute=0, second=0, microsecond=0)
        while day <= until:
            prefix = f"{self.prefix}{day:%Y/%m/%d}/"
            yield prefix, prefix + self.name_at(max(since, day))
            day += timedelta(days=1)


def new_objects(
    s3: Any, clock: Clock, channel: str, bucket: str, folder: LogFolder, since: datetime, known: set[str]
) -> Iterator[Delivery]:
    """Yield the log objects of a folder that are not known yet, read whole.

    An object that vanishes between list and get is yielded without a body: it is counted, not lost.

    Raises:
        ClientError: An object could not be read, after all others were yielded: the next poll tries it again.
        BotoCoreError: A download broke off, likewise.
    """
    unread: ClientError | BotoCoreError | None = None
    for prefix, start_after in folder.listings(since - OVERLAP, clock.now() + OVERLAP):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=start_after)
        for page in pages:
            for entry in page.get("Contents", []):
                name = f"s3://{bucket}/{entry['Key']}"
                if name in known:
                    continue
                seen_at = clock.now()
                try:
                    body = _body(s3, bucket, entry["Key"], int(entry["Size"]))
                except (ClientError, *_BROKEN_OFF) as error:
                    unread = unread or error
                    continue
                yield Delivery(
                    channel=channel,
                    name=name,
                    arrived_at=entry["LastModified"],
                    seen_at=seen_at,
                    size_bytes=int(entry["Size"]),
                    body=body,
                )
    if unread is not None:
        raise unread


def _body(s3: Any, bucket: str, key: str, size_bytes: int) -> bytes | None:
    """Return an object's bytes, None where it has vanished.

    Raises:
        ClientError: S3 refused.
        BotoCoreError: The download broke off: the object itself is whole.
    """
    try:
        stream = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if code_of(error) in ("NoSuchKey", "404"):
            return None
        raise
    received = b"".join(stream.iter_chunks())
    if len(received) != size_bytes:
        raise IncompleteReadError(actual_bytes=len(received), expected_bytes=size_bytes)
    return received
