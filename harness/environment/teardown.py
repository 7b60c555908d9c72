"""Takes away what a run has made, from the journal alone, in any state and as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from harness.environment import find
from harness.environment.removal import OF_CHANNELS, Kind
from harness.environment.site import DIRECTORY_SUFFIX, PREFIX, Site, code_of, refuse_expired
from harness.journal import Resource

_ATTEMPTS = 14
_LONGEST_PAUSE_SECONDS = 120.0
_GONE = {
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchAccessPoint",
    "NoSuchMultiRegionAccessPoint",
    "404",
    "TrailNotFoundException",
    "ResourceNotFoundException",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
}


def teardown(site: Site) -> list[str]:
    """Delete the journaled resources: trails first, then the sources, log buckets last.

    Returns:
        What could not be deleted, with the reason; empty when nothing is left.

    Raises:
        CredentialsError: They have expired: nothing more can be deleted with them.
    """
    left = []
    for kind, name, state, _detail in in_order(site.journal.resources()):
        if state == "deleted":
            continue
        if kind not in KINDS:
            left.append(f"{kind} {name}: this version does not know how")
            continue
        try:
            KINDS[kind].delete(site, name)
        except (ClientError, BotoCoreError) as error:
            refuse_expired(error)
            if code_of(error) not in _GONE:
                left.append(f"{kind} {name}: {error}")
                continue
        site.journal.resource(kind, name, "deleted", site.clock.now())
    return left


def in_order(resources: Sequence[Resource]) -> list[Resource]:
    """Return resources in the order of their deletion: by rank, of one rank the last made first."""

    def rank(numbered: tuple[int, Resource]) -> tuple[int, int]:
        number, (kind, _, _, detail) = numbered
        known = KINDS[kind].rank if kind in KINDS else 0
        return _LOG_BUCKETS if detail.get("logs") else known, -number

    return [each for _, each in sorted(enumerate(resources), key=rank)]


def _delete_trail(site: Site, name: str) -> None:
    site.cloudtrail.stop_logging(Name=name)
    site.cloudtrail.delete_trail(Name=name)


def _delete_bucket(site: Site, name: str) -> None:
    """Empty and delete a bucket, again if log files have come meanwhile.

    Deliveries go on for hours, so a bucket in which something has come is shut to them first.
    """
    for attempt in range(_ATTEMPTS - 1):
        _empty_bucket(site, name)
        try:
            site.s3.delete_bucket(Bucket=name)
            return
        except ClientError as error:
            if code_of(error) != "BucketNotEmpty":
                raise
        if not attempt:
            _shut(site, name)
        site.clock.sleep(min(_LONGEST_PAUSE_SECONDS, 2.0**attempt))
    _empty_bucket(site, name)
    site.s3.delete_bucket(Bucket=name)


def _shut(site: Site, name: str) -> None:
    """Let nobody write to a bucket any more, log services included; a refusal leaves it to patience."""
    arn = f"arn:aws:s3:::{name}/*"
    statement = {"Sid": "Shut", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": arn}
    try:
        site.s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    except ClientError as error:
        refuse_expired(error)


def _empty_bucket(site: Site, name: str) -> None:
    """Remove uploads and all versions, lifting legal holds and GOVERNANCE retention where they stand in the way."""
    for uploads in _first_pages(site.s3.list_multipart_uploads, name, "Uploads"):
        for key, upload_id in uploads:
            site.s3.abort_multipart_upload(Bucket=name, Key=key, UploadId=upload_id)
    if name.endswith(DIRECTORY_SUFFIX):  # has no versions, and refuses to list them
        for page in site.s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            objects = [{"Key": each["Key"]} for each in page.get("Contents", [])]
            if objects:
                site.s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        return
    for versions in _first_pages(site.s3.list_object_versions, name, "Versions", "DeleteMarkers"):
        objects = [{"Key": key, "VersionId": version_id} for key, version_id in versions]
        answer = site.s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        for failed in answer.get("Errors", []):
            # One that names no version is of each that was asked for: a delete without adds a marker only.
            asked = [o for o in objects if o["Key"] == failed["Key"] and not failed.get("VersionId")]
            for each in asked or [failed]:
                _delete_locked(site.s3, name, each["Key"], each.get("VersionId"))


def _first_pages(ask: Callable[..., Any], bucket: str, *members: str) -> Iterator[list[tuple[str, str]]]:
    """Yield key and id of what a bucket holds, a page at a time: always the first, for each is deleted.

    XML parsers read a carriage return in a key as a line feed, so only URL-encoded keys can be deleted for sure; the
    markers of further pages are encoded then too, and would lead elsewhere. A page that comes again ends it: the
    deletion of the bucket says what is in the way.
    """
    before: list[tuple[str, str]] = []
    more = True
    while more:
        page = ask(Bucket=bucket, EncodingType="url")
        decode = _decoder(page)
        listed = [each for member in members for each in page.get(member, [])]
        found = [(decode(each["Key"]), each.get("VersionId") or each["UploadId"]) for each in listed]
        if not found or found == before:
            return
        yield found
        before, more = found, page.get("IsTruncated", False)


def _decoder(page: Mapping[str, Any]) -> Callable[[str], str]:
    """Return what reads the keys of a page that was asked for URL-encoded: not every emulator does it."""
    return unquote_plus if page.get("EncodingType") == "url" else str


def _delete_locked(s3: Any, bucket: str, key: str, version_id: str | None) -> None:
    named = {"Bucket": bucket, "Key": key} | ({"VersionId": version_id} if version_id else {})
    with suppress(ClientError):  # not every locked object is in a bucket with Object Lock: the deletion says why
        s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    s3.delete_object(**named, BypassGovernanceRetention=True)


def _delete_access_point(site: Site, name: str) -> None:
    site.s3control.delete_access_point(AccountId=site.account_id, Name=name)


def _delete_multi_region_access_point(site: Site, name: str) -> None:
    # The request is carried out later: its answer only says that it was taken.
    client: Any = site.session.client("s3control", region_name=find.MULTI_REGION_HOME)
    client.delete_multi_region_access_point(AccountId=site.account_id, ClientToken=name, Details={"Name": name})


_LOG_BUCKETS = 9
_RUN = rf"{PREFIX}-(?P<run>[0-9a-f]{{8}})"
_BUCKET = rf"{_RUN}-(?:(?P<part>[a-z]+[0-9]*)-ACCOUNT-REGION-an|[0-9]+--[a-z0-9-]+{DIRECTORY_SUFFIX})"
KINDS: Mapping[str, Kind] = {
    "trail": Kind(0, _delete_trail, find.trails, _RUN, tagged=True),
    "access-point": Kind(1, _delete_access_point, find.access_points, rf"{_RUN}-ap[0-9]*"),
    "multi-region-access-point": Kind(
        1, _delete_multi_region_access_point, find.multi_region_access_points, rf"{_RUN}-mrap[0-9]+"
    ),
    "bucket": Kind(2, _delete_bucket, find.buckets, _BUCKET),
    "role": Kind(3, lambda site, name: site.iam.delete_role(RoleName=name), find.roles, rf"{_RUN}-[a-z]+", tagged=True),
    **OF_CHANNELS,
}
"""By the name that the journal has; log buckets, whatever else is added, come last."""
