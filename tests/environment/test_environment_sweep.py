"""The sweep finds what runs have left by whole names and tags, touches nothing else, and deletes as a teardown does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import ACCOUNT, REGION, RUN_ID, T0

from harness.environment.find import Found, nothing
from harness.environment.removal import OF_CHANNELS
from harness.environment.site import TAG_KEY, Site
from harness.environment.sweep import RunLeft, delete, find_leftovers, leftover, to_delete
from harness.environment.teardown import KINDS
from harness.errors import CredentialsError
from harness.planning.fake_aws import Answer, FakeAws, refusal, xml

pytestmark = pytest.mark.usefixtures("no_backoff")
OTHER = "deadbeef"


def bucket(kind: str, run_id: str = RUN_ID, account: str = ACCOUNT, region: str = REGION) -> str:
    return f"s3lm-{run_id}-{kind}-{account}-{region}-an"


class Account:
    """What is in the account."""

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.of_kinds([], [], [], [], [])

    def of_kinds(
        self,
        buckets: Sequence[str],
        trails: Sequence[str],
        roles: Sequence[str],
        points: Sequence[str] = (),
        everywhere: Sequence[str] = (),
        tags: str = RUN_ID,
        made: str = "2025-12-30T00:00:00Z",
    ) -> None:
        """Put resources there, all with the same tag (empty for none)."""
        day = f"<CreationDate>{made}</CreationDate>"
        listed = "".join(f"<Bucket><Name>{n}</Name>{day}</Bucket>" for n in buckets)
        named = [{"Name": n, "TrailARN": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{n}"} for n in trails]
        members = "".join(
            f"<member><RoleName>{n}</RoleName><Path>/</Path><RoleId>AROA</RoleId><Arn>arn:aws:iam::{ACCOUNT}:role/{n}"
            f"</Arn><CreateDate>{made}</CreateDate></member>"
            for n in roles
        )
        aps = "".join(f"<AccessPoint><Name>{n}</Name></AccessPoint>" for n in points)
        mraps = "".join(f"<AccessPoint><Name>{n}</Name><Status>READY</Status></AccessPoint>" for n in everywhere)
        tag = f"<Tag><Key>{TAG_KEY}</Key><Value>{tags}</Value></Tag>" if tags else ""
        role_tag = tag.replace("<Tag>", "<member>").replace("</Tag>", "</member>")
        cloud_tags = [{"Key": TAG_KEY, "Value": tags}] if tags else []
        self.aws.answers |= {
            "ListBuckets": xml("ListAllMyBucketsResult", f"<Buckets>{listed}</Buckets>"),
            "GetBucketTagging": xml("Tagging", f"<TagSet>{tag}</TagSet>") if tags else refusal("NoSuchTagSet", 404),
            "DescribeTrails": Answer(json.dumps({"trailList": named}).encode()),
            "GetTrailStatus": Answer(b'{"StartLoggingTime": 1767052800.0}'),
            "ListTags": Answer(json.dumps({"ResourceTagList": [{"ResourceId": "x", "TagsList": cloud_tags}]}).encode()),
            "ListRoles": xml("ListRolesResponse", f"<ListRolesResult><Roles>{members}</Roles></ListRolesResult>"),
            "ListRoleTags": xml(
                "ListRoleTagsResponse", f"<ListRoleTagsResult><Tags>{role_tag}</Tags></ListRoleTagsResult>"
            ),
            "ListAccessPoints": xml("ListAccessPointsResult", f"<AccessPointList>{aps}</AccessPointList>"),
            "GetAccessPoint": xml("GetAccessPointResult", day),
            "ListMultiRegionAccessPoints": xml(
                "ListMultiRegionAccessPointsResult", f"<AccessPoints>{mraps}</AccessPoints>"
            ),
        }


@pytest.fixture
def account(aws: FakeAws) -> Account:
    return Account(aws)


def names(runs: Sequence[RunLeft]) -> list[str]:
    return [left.name for left in to_delete(runs)]


def test_an_empty_account_has_nothing_left(site: Site, account: Account) -> None:
    assert find_leftovers(site) == ([], [])


def test_all_kinds_are_found_and_put_into_teardowns_order(site: Site, account: Account) -> None:
    buckets = [bucket("log"), bucket("ct"), bucket("src"), bucket("src12")]
    account.of_kinds(buckets, [f"s3lm-{RUN_ID}"], [f"s3lm-{RUN_ID}-denied"], [f"s3lm-{RUN_ID}-ap"], [])
    (run,), unasked = find_leftovers(site)
    assert unasked == []
    assert (run.run_id, {left.tag for left in run.leftovers if left.kind != "access-point"}) == (RUN_ID, {RUN_ID})
    assert [left.kind for left in run.leftovers] == [
        "trail",
        "access-point",
        "bucket",
        "bucket",
        "role",
        "bucket",
        "bucket",
    ]
    assert {left.name for left in run.leftovers if left.logs} == {bucket("log"), bucket("ct")}
    assert names([run])[-2:] == [bucket("ct"), bucket("log")]


def test_what_does_not_fit_from_the_first_character_to_the_last_is_not_even_told(site: Site, account: Account) -> None:
    account.of_kinds(
        [
            "s3lm-my-own-bucket",
            f"s3lm-{RUN_ID}-src",
            f"x{bucket('src')}",
            f"{bucket('src')}x",
            bucket("src", RUN_ID.upper()),
            bucket("src", RUN_ID[:7]),
            bucket("src", account="999988887777"),
            bucket("src", region="eu-west-1"),
            f"s3lm-{RUN_ID}-1--use1-az4--x-s4",
        ],
        [f"s3lm-{RUN_ID}-mine", "s3lm-production", f"S3LM-{RUN_ID}"],
        ["s3lm-admin", f"s3lm-{RUN_ID}", f"my-s3lm-{RUN_ID}-denied", f"s3lm-{RUN_ID}-denied/x"],
        ["s3lm-shared", f"s3lm-{RUN_ID}-point"],
        [f"s3lm-{RUN_ID}-mrap"],
    )
    assert find_leftovers(site) == ([], [])


@given(name=st.text(max_size=80))
@settings(max_examples=200)
def test_no_name_but_a_runs_is_ever_a_leftover(name: str) -> None:
    class Here:
        account_id, region = ACCOUNT, REGION

    for kind, how in KINDS.items():
        assert leftover(Here(), kind, how, Found(name=name)) is None  # type: ignore[arg-type]
        assert leftover(Here(), kind, how, Found(name=f"s3lm-{RUN_ID}-src-{name}")) is None  # type: ignore[arg-type]


def of_channels(account: Account, tags: str = RUN_ID) -> set[str]:
    """Put there what the channels of a run make, all with the same tag (empty for none); returns the names."""
    run, logs = f"s3lm-{RUN_ID}", f"arn:aws:logs:{REGION}:{ACCOUNT}"
    pairs = {TAG_KEY: tags} if tags else {}
    listed = [{"Key": TAG_KEY, "Value": tags}] if tags else []
    account.of_kinds([], [], [f"{run}-ct"], tags=tags)
    groups = [f"/aws/vendedlogs/s3/{run}", f"/s3lm/{RUN_ID}/cloudtrail"]

    def tags_of(request: Any) -> Answer:
        logs_ask = "Logs" in request.headers["X-Amz-Target"].decode()
        return Answer(json.dumps({"tags": pairs} if logs_ask else {"Tags": listed}).encode())

    def groups_like(request: Any) -> Answer:
        prefix = json.loads(request.body)["logGroupNamePrefix"]
        found = [{"logGroupName": n, "logGroupArn": f"{logs}:log-group:{n}"} for n in groups if n.startswith(prefix)]
        return Answer(json.dumps({"logGroups": found}).encode())

    answers = {
        "ListRules": {"Rules": [{"Name": run, "Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{run}"}]},
        # Tags are told with these, or have to be asked for.
        "DescribeDeliveries": {"deliveries": [{"deliverySourceName": f"{run}-src", "arn": f"{logs}:delivery:1"}]},
        "DescribeDeliverySources": {"deliverySources": [{"name": f"{run}-src", "tags": pairs}]},
        "DescribeDeliveryDestinations": {"deliveryDestinations": [{"name": f"{run}-cwl", "tags": pairs}]},
        "ListQueues": {"QueueUrls": [f"https://sqs/{ACCOUNT}/{run}-{part}" for part in ("eb", "ntf")]},
        "ListQueueTags": {"Tags": pairs} if tags else {},
    }
    account.aws.answers |= {name: Answer(json.dumps(told).encode()) for name, told in answers.items()}
    account.aws.answers |= {"DescribeLogGroups": groups_like, "ListTagsForResource": tags_of}
    names = f"<PolicyNames><member>{run}-ct</member></PolicyNames>"
    account.aws.answers["ListRolePolicies"] = xml(
        "ListRolePoliciesResponse", f"<ListRolePoliciesResult>{names}</ListRolePoliciesResult>"
    )
    return {run, f"{run}-src", f"{run}-cwl", f"{run}-eb", f"{run}-ntf", f"{run}-ct", *groups}


def test_what_channels_make_is_found_with_its_tag(site: Site, account: Account) -> None:
    made = of_channels(account)
    (run,), unasked = find_leftovers(site)
    assert unasked == []
    assert {left.kind for left in run.leftovers} == {*OF_CHANNELS, "role"} - {"trail-log-group"}
    assert set(names([run])) == made
    assert {left.tag for left in run.leftovers} == {RUN_ID}


@pytest.mark.parametrize("tags", ["", OTHER])
def test_what_channels_tag_is_left_alone_without_the_runs_tag(tags: str, site: Site, account: Account) -> None:
    made = of_channels(account, tags)
    (run,), _ = find_leftovers(site)
    assert {left.name for left in run.leftovers if left.kept} == made
    assert names([run]) == []


@pytest.mark.parametrize("operation", ["ListTagsForResource", "ListQueueTags"])
def test_tags_of_channels_that_cannot_be_read_are_no_evidence(operation: str, site: Site, account: Account) -> None:
    of_channels(account)
    account.aws.answers[operation] = refusal("AccessDeniedException", service="sqs")
    (run,), unasked = find_leftovers(site)
    assert unasked == []
    assert {left.kept for left in run.leftovers if left.kept} == {"its tags cannot be read"}


@pytest.mark.parametrize(
    "name", [f"/s3lm/{RUN_ID}", f"/aws/vendedlogs/s3/s3lm-{RUN_ID}/cloudtrail", f"/s3lm/{RUN_ID}/cloudtrail/x"]
)
def test_a_log_group_that_is_named_almost_like_a_runs_is_no_leftover(name: str, site: Site) -> None:
    assert leftover(site, "log-group", KINDS["log-group"], Found(name=name, tag=RUN_ID)) is None


@pytest.mark.parametrize("tags", ["", OTHER])
def test_a_trail_or_a_role_without_the_runs_tag_is_told_and_left_alone(tags: str, site: Site, account: Account) -> None:
    account.of_kinds([bucket("src")], [f"s3lm-{RUN_ID}"], [f"s3lm-{RUN_ID}-denied"], tags=tags)
    (run,), _ = find_leftovers(site)
    assert {left.kind for left in run.leftovers if left.kept} == {"trail", "role"}
    assert names([run]) == [bucket("src")]


def test_tags_that_cannot_be_read_are_no_evidence(site: Site, account: Account) -> None:
    account.of_kinds([bucket("src")], [], [f"s3lm-{RUN_ID}-denied"])
    denied = Answer(b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", 403)
    account.aws.answers |= {"ListRoleTags": denied, "GetBucketTagging": refusal("AccessDenied", 403)}
    (run,), _ = find_leftovers(site)
    assert {left.kind: left.kept for left in run.leftovers} == {"bucket": "", "role": "its tags cannot be read"}


def test_runs_are_told_apart_and_the_oldest_comes_first(site: Site, account: Account) -> None:
    listed = [(bucket("src", OTHER), "2025-06-01"), (bucket("log", OTHER), "2025-06-02"), (bucket("src"), "2025-12-31")]
    inner = "".join(
        f"<Bucket><Name>{n}</Name><CreationDate>{day}T00:00:00Z</CreationDate></Bucket>" for n, day in listed
    )
    account.aws.answers["ListBuckets"] = xml("ListAllMyBucketsResult", f"<Buckets>{inner}</Buckets>")
    (old, young), _ = find_leftovers(site)
    assert (old.run_id, young.run_id) == (OTHER, RUN_ID)
    assert old.youngest_at is not None
    assert (old.youngest_at.month, old.youngest_at.day) == (6, 2)
    assert [run.is_older_than(timedelta(days=2), T0) for run in (old, young)] == [True, False]


def test_a_run_of_unknown_age_is_never_old_enough() -> None:
    assert not RunLeft(run_id=RUN_ID, leftovers=(), youngest_at=None).is_older_than(timedelta(0), T0)


def test_what_cannot_be_asked_for_is_told_and_the_rest_is_found(site: Site, account: Account) -> None:
    account.of_kinds([bucket("src")], [], [])
    account.aws.answers["DescribeTrails"] = refusal("AccessDeniedException", service="cloudtrail")
    (run,), unasked = find_leftovers(site)
    assert (names([run]), unasked) == ([bucket("src")], ["trail: AccessDeniedException"])


def test_expired_credentials_end_it(site: Site, account: Account) -> None:
    account.aws.answers["ListBuckets"] = refusal("ExpiredToken")
    with pytest.raises(CredentialsError):
        find_leftovers(site)


def test_every_page_is_asked_for(site: Site, account: Account) -> None:
    def page(name: str, more: str) -> Answer:
        inner = f"<AccessPointList><AccessPoint><Name>{name}</Name></AccessPoint></AccessPointList>{more}"
        return xml("ListAccessPointsResult", inner)

    first = page(f"s3lm-{RUN_ID}-ap1", "<NextToken>more</NextToken>")
    account.aws.answers["ListAccessPoints"] = [first, page(f"s3lm-{RUN_ID}-ap2", "")]
    (run,), _ = find_leftovers(site)
    assert sorted(names([run])) == [f"s3lm-{RUN_ID}-ap1", f"s3lm-{RUN_ID}-ap2"]


def test_directory_buckets_are_found_and_emptied_without_asking_for_versions(site: Site, account: Account) -> None:
    name = f"s3lm-{RUN_ID}-7--use1-az4--x-s3"
    account.aws.answers |= {
        "ListDirectoryBuckets": xml(
            "ListAllMyDirectoryBucketsResult", f"<Buckets><Bucket><Name>{name}</Name></Bucket></Buckets>"
        ),
        "ListObjectsV2": xml("ListBucketResult", "<Contents><Key>a</Key></Contents>"),
    }
    runs, _ = find_leftovers(site)
    assert delete(site, runs) == []
    assert "ListObjectVersions" not in account.aws.operations()
    (batch,) = account.aws.parameters("DeleteObjects")
    assert batch["Delete"]["Objects"] == [{"Key": "a"}]
    assert account.aws.parameters("DeleteBucket") == [{"Bucket": name}]


def test_only_what_may_be_deleted_is_and_what_cannot_be_is_told(site: Site, account: Account) -> None:
    account.of_kinds([bucket("src"), bucket("log")], [f"s3lm-{RUN_ID}"], [f"s3lm-{RUN_ID}-denied"], tags="")
    account.aws.answers["DeleteBucket"] = [refusal("AccessDenied", 403)]
    runs, _ = find_leftovers(site)
    (left,) = delete(site, runs)
    assert bucket("src") in left
    assert {p["Bucket"] for p in account.aws.parameters("DeleteBucket")} == {bucket("src"), bucket("log")}
    assert not {"DeleteTrail", "StopLogging", "DeleteRole"} & set(account.aws.operations())


def test_every_kind_of_resource_says_how_a_runs_name_of_it_looks() -> None:
    for kind in KINDS.values():
        assert kind.find is nothing or "(?P<run>" in kind.names
