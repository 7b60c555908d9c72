"""How many records a call should leave in each channel, from the two numbers that its scenario declares.

An expectation only decides how long to wait and what counts as ``partly logged``; it never makes a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from harness import catalogue
from harness.catalogue.documented import table
from harness.model import (
    CLOUDTRAIL,
    CLOUDTRAIL_CLOUDWATCH,
    CLOUDTRAIL_LOOKUP,
    EVENTBRIDGE,
    S3_NOTIFICATION,
    SERVER_ACCESS,
    SERVER_ACCESS_CLOUDWATCH,
    Level,
)

NOTIFIED = frozenset(
    {
        "PutObject",
        "BrowserPost",
        "CopyObject",
        "CompleteMultipartUpload",
        "DeleteObject",
        "RestoreObject",
        "PutObjectTagging",
        "DeleteObjectTagging",
        "PutObjectAcl",
        "PutObjectAnnotation",
        "DeleteObjectAnnotation",
        "PutObjectRetention",
        "LifecycleExpiration",
        "LifecycleTransition",
    }
)
"""Operations that S3 has an event type for (S3 User Guide, supported event types; botocore 1.44.5, ``Event``)."""
NOTIFIED_PER_KEY = "DeleteObjects"


@cache
def _categories() -> Mapping[str, str]:
    claims = (claim for claim in table("aws-2026") if claim.channel == CLOUDTRAIL and claim.category)
    return {claim.operation: claim.category for claim in claims}


def is_management(operation: str) -> bool:
    """Tell whether an operation is a management event: as documented, or else by what it acts on."""
    known = catalogue.find(operation)
    # What S3 notifies of happens to objects, whatever the request names: a form is posted to the bucket.
    acts_on_objects = operation in NOTIFIED or (known is not None and known.level is Level.OBJECT)
    return _categories().get(operation, "data" if acts_on_objects else "management") == "management"


def expected(
    operation: str, server_access: int, cloudtrail: int, *, succeeds: bool = True, signed: bool = True
) -> dict[str, int]:
    """Return the expected records of one call by channel.

    Args:
        operation: Its name in the catalogue.
        server_access, cloudtrail: What its scenario declares.
        succeeds: Whether it is meant to succeed: S3 notifies of nothing else.
        signed: Whether it is known who makes it: events are looked up by that.
    """
    # Of a batch, one per key, as the access log has beside the line of its own.
    notified = max(0, server_access - 1) if operation == NOTIFIED_PER_KEY else int(operation in NOTIFIED)
    return {
        SERVER_ACCESS: server_access,
        SERVER_ACCESS_CLOUDWATCH: server_access,
        CLOUDTRAIL: cloudtrail,
        CLOUDTRAIL_CLOUDWATCH: cloudtrail,
        CLOUDTRAIL_LOOKUP: cloudtrail if signed and is_management(operation) else 0,
        # Data events too: our trail selects them (channels row L: CloudTrail's data events need a trail that does).
        EVENTBRIDGE: cloudtrail,
        S3_NOTIFICATION: notified if succeeds else 0,
    }
