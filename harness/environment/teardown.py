"""Takes away what a run has made, from the journal alone, in any state and as often as one likes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from harness.environment.removal import CHANNELS, Delete, Detail
from harness.environment.site import Site, code_of

_ATTEMPTS = 10
_GONE = {
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchAccessPoint",
    "404",
    "TrailNotFoundException",
    "ResourceNotFoundException",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
}


def teardown(site: Site) -> list[str]:
    """Delete the journaled resources, the last made first (trails and sources before the log buckets).

    Returns:
        What could not be deleted, with the reason; empty when nothing is left.
    """
    left = []
    deletes: dict[str, Delete] = {
        "trail": _delete_trail,
        "bucket": _delete_bucket,
        "role": lambda site, name, _: site.iam.delete_role(RoleName=name),
        "access-point": lambda site, name, _: site.s3control.delete_access_point(AccountId=site.account_id, Name=name),
        **CHANNELS,
    }
    for kind, name, state, detail in reversed(site.journal.resources()):
        if state == "deleted":
            continue
        try:
            deletes[kind](site, name, detail)
        except (ClientError, BotoCoreError) as error:
            if code_of(error) not in _GONE:
                left.append(f"{kind} {name}: {error}")
                continue
        site.journal.resource(kind, name, "deleted", site.clock.now())
    return left


def _delete_trail(site: Site, name: str, _detail: Detail) -> None:
    site.cloudtrail.stop_logging(Name=name)
    site.cloudtrail.delete_trail(Name=name)


def _delete_bucket(site: Site, name: str, _detail: Detail) -> None:
    """Empty and delete a bucket, again if log files have come meanwhile: deliveries go on for hours."""
    for _ in range(_ATTEMPTS - 1):
        _empty_bucket(site, name)
        try:
            site.s3.delete_bucket(Bucket=name)
            return
        except ClientError as error:
            if code_of(error) != "BucketNotEmpty":
                raise
    _empty_bucket(site, name)
    site.s3.delete_bucket(Bucket=name)


def _empty_bucket(site: Site, name: str) -> None:
    """Remove uploads and all versions, lifting legal holds and GOVERNANCE retention where they stand in the way."""
    for page in site.s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        for upload in page.get("Uploads", []):
            site.s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    # XML parsers read a carriage return in a key as a line feed: only URL-encoded keys can be deleted for sure.
    for page in site.s3.get_paginator("list_object_versions").paginate(Bucket=name, EncodingType="url"):
        decode = unquote_plus if page.get("EncodingType") == "url" else str
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        objects = [{"Key": decode(each["Key"]), "VersionId": each["VersionId"]} for each in entries]
        if objects:
            answer = site.s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
            for failed in answer.get("Errors", []):
                _delete_locked(site.s3, name, failed["Key"], failed.get("VersionId"))


def _delete_locked(s3: Any, bucket: str, key: str, version_id: str | None) -> None:
    named = {"Bucket": bucket, "Key": key} | ({"VersionId": version_id} if version_id else {})
    with suppress(ClientError):  # not every locked object is in a bucket with Object Lock: the deletion says why
        s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    s3.delete_object(**named, BypassGovernanceRetention=True)
