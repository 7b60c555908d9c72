"""Finds what runs have made by its name, where no journal says so: one function a kind of resource.

They look for names that begin like a run's; whether a name is wholly a run's is for ``sweep`` to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from harness.environment.site import PREFIX, TAG_KEY, Site, code_of
from harness.targets import DIRECTORY_ZONES

_START = f"{PREFIX}-"
MULTI_REGION_HOME = "us-west-2"
"""Where requests about Multi-Region Access Points go, whatever the Region (S3 User Guide, managing them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One resource.

    Attributes:
        made_at: When it was made, as far as AWS tells; aware UTC.
        tag: The run that its tag names; empty where it has none, None where it cannot have one or it cannot be read.
    """

    name: str
    made_at: datetime | None = None
    tag: str | None = None


Find = Callable[[Site], Iterator[Found]]


def nothing(_site: Site) -> Iterator[Found]:
    """Find nothing: for what goes with something else, or cannot be listed."""
    return iter(())


def buckets(site: Site) -> Iterator[Found]:
    """Find general purpose buckets of the Region, then directory buckets where it has them."""
    for page in site.s3.get_paginator("list_buckets").paginate(Prefix=_START, BucketRegion=site.region):
        for bucket in page.get("Buckets", []):
            tag = tag_of(partial(site.s3.get_bucket_tagging, Bucket=bucket["Name"]), "TagSet")
            yield Found(name=bucket["Name"], made_at=bucket.get("CreationDate"), tag=tag)
    if site.region not in DIRECTORY_ZONES:
        return
    try:
        for page in site.s3.get_paginator("list_directory_buckets").paginate():
            for bucket in page.get("Buckets", []):
                yield Found(name=bucket["Name"], made_at=bucket.get("CreationDate"))
    except ClientError as error:
        if code_of(error) != "NotImplemented":  # an emulator's
            raise


def trails(site: Site) -> Iterator[Found]:
    """Find the Region's own trails; when logging began stands for when they were made."""
    for trail in site.cloudtrail.describe_trails(includeShadowTrails=False).get("trailList", []):
        name, arn = trail["Name"], trail["TrailARN"]
        if name.startswith(_START):
            status = site.cloudtrail.get_trail_status(Name=arn)
            tag = tag_of(partial(site.cloudtrail.list_tags, ResourceIdList=[arn]), "ResourceTagList", 0, "TagsList")
            yield Found(name=name, made_at=status.get("StartLoggingTime"), tag=tag)


def roles(site: Site) -> Iterator[Found]:
    """Find roles: they are the account's, not a Region's."""
    for page in site.iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            name = role["RoleName"]
            if name.startswith(_START):
                tag = tag_of(partial(site.iam.list_role_tags, RoleName=name), "Tags")
                yield Found(name=name, made_at=role.get("CreateDate"), tag=tag)


def access_points(site: Site) -> Iterator[Found]:
    """Find the Region's access points."""
    for page in _pages(site.s3control.list_access_points, site.account_id):
        for point in page.get("AccessPointList", []):
            if point["Name"].startswith(_START):
                told = site.s3control.get_access_point(AccountId=site.account_id, Name=point["Name"])
                yield Found(name=point["Name"], made_at=told.get("CreationDate"))


def multi_region_access_points(site: Site) -> Iterator[Found]:
    """Find Multi-Region Access Points: they are the account's, not a Region's."""
    client: Any = site.session.client("s3control", region_name=MULTI_REGION_HOME)
    for page in _pages(client.list_multi_region_access_points, site.account_id):
        for point in page.get("AccessPoints", []):
            if point["Name"].startswith(_START) and point.get("Status") != "DELETING":
                yield Found(name=point["Name"], made_at=point.get("CreatedAt"))


def _pages(ask: Callable[..., dict[str, Any]], account_id: str) -> Iterator[dict[str, Any]]:
    """Ask for page after page: botocore has no paginators for s3control."""
    page = ask(AccountId=account_id)
    yield page
    while page.get("NextToken"):
        page = ask(AccountId=account_id, NextToken=page["NextToken"])
        yield page


def tag_of(ask: Callable[[], Any], *path: str | int) -> str | None:
    """Return the value of the run's tag.

    Args:
        ask: Asks for the tags.
        path: To the list of tags in the answer.
    """
    try:
        told = ask()
    except ClientError as error:
        return "" if code_of(error) == "NoSuchTagSet" else None
    for step in path:
        told = told[step] if told and (isinstance(step, int) or step in told) else []
    return next((str(tag["Value"]) for tag in told if tag["Key"] == TAG_KEY), "")
