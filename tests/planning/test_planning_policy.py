"""A policy is made of what is declared, scoped to the run's names, and of actions that IAM has."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from harness import scenario
from harness.channels import Permission, channels
from harness.errors import NothingSelectedError, ScenarioError, UsageError
from harness.planning.policy import (
    MANAGED_POLICY_CHARACTERS,
    documents,
    permission_for,
    permissions,
    permissions_for,
    size,
    statements,
)
from harness.selection import Options
from harness.targets.choice import TargetName, Wanted, unasked

scenario.load()
TARGETS = [TargetName.AWS, TargetName.EMBEDDED]
NEVER = (
    "s3:PutAccountPublicAccessBlock",
    "s3:PutStorageLensConfiguration",
    "cloudtrail:UpdateTrail",
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:CreateUser",
)


@pytest.fixture(scope="module")
def known() -> Any:
    """Every IAM action with its resource types, as cfn-lint keeps the Service Authorization Reference."""
    path = resources.files("cfnlint").joinpath("data/AdditionalSpecs/Policies.json")
    return json.loads(path.read_text("utf-8"))


def made_for(name: TargetName, **options: Any) -> list[dict[str, Any]]:
    return statements(permissions_for(Options(**options), unasked(Wanted(name=name))), "111122223333", "us-east-1")


def actions(made: list[dict[str, Any]]) -> set[str]:
    return {action for each in made if each["Effect"] == "Allow" for action in each["Action"]}


@pytest.mark.parametrize("name", TARGETS)
def test_every_action_exists(name: TargetName, known: Any) -> None:
    for action in actions(made_for(name)):
        service, _, what = action.partition(":")
        assert what.lower() in known[service]["Actions"], action


def test_every_known_action_is_on_the_kind_of_resource_that_iam_says(known: Any) -> None:
    kinds = {"objects": "object", "accesspoint": "access-point", "multiregionaccesspoint": "multi-region-access-point"}
    kinds |= {"tablebucket": "table-bucket", "accesspointobject": "object"}
    text = resources.files("harness.planning").joinpath("actions.csv").read_text("utf-8")
    for line in text.splitlines()[1:]:
        action, _, told = line.partition(",")
        service, _, what = action.partition(":")
        found = known[service]["Actions"][what.lower()].get("Resources")
        listed = [found] if isinstance(found, str) else found or []
        names = {kinds.get(each.lower(), each.lower()) for each in listed} or {"any"}
        if service == "s3express":
            names = {"directory-" + each for each in names if each == "bucket"} or names
        assert set(told.split()) <= names, line


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_changes_the_account_or_what_a_run_did_not_make(name: TargetName) -> None:
    made = made_for(name)
    assert actions(made).isdisjoint(NEVER)
    for each in made:
        if each["Effect"] == "Allow" and "*" in each["Resource"]:
            assert all(action.partition(":")[2].startswith(("Get", "List")) for action in each["Action"]), each
        foreign = [arn for arn in each["Resource"] if "s3lm-" not in arn and arn != "*"]
        # S3 Metadata's own table bucket and Multi-Region Access Points have names that nobody chooses.
        assert each["Effect"] == "Deny" or all("bucket/aws-s3" in a or ":accesspoint/*" in a for a in foreign), each


def test_buckets_are_made_in_the_accounts_own_namespace_only_and_retention_can_be_taken_back() -> None:
    made = made_for(TargetName.AWS)
    (creating,) = [each for each in made if "s3:CreateBucket" in each["Action"]]
    assert creating["Condition"]["StringEquals"] == {"s3:x-amz-bucket-namespace": "account-regional"}
    (never,) = [each for each in made if each["Effect"] == "Deny"]
    assert never["Condition"] == {"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}}
    assert [e for e in made_for(TargetName.AWS, operations=("ListBuckets",)) if e["Effect"] == "Deny"] == []


def test_account_and_region_are_filled_in_or_left_to_be() -> None:
    wanted = [Permission(actions=("iam:CreateRole",), resources=("arn:aws:iam::{account}:role/{region}",))]
    assert statements(wanted, "111122223333", "eu-west-1")[0]["Resource"] == [
        "arn:aws:iam::111122223333:role/eu-west-1"
    ]
    assert statements(wanted)[0]["Resource"] == ["arn:aws:iam::ACCOUNT:role/REGION"]


def test_a_selection_needs_less() -> None:
    one = actions(made_for(TargetName.AWS, operations=("GetBucketCors",), variants=("ok",), channels=("cloudtrail",)))
    assert {"s3:GetBucketCORS", "s3:PutBucketCORS", "cloudtrail:CreateTrail", "s3:CreateBucket"} <= one
    assert one.isdisjoint({"s3:GetBucketAcl", "iam:CreateRole", "s3:PutBucketLogging", "s3:PutObjectRetention"})
    assert one < actions(made_for(TargetName.AWS))


def test_the_denied_role_and_access_points_are_allowed_where_variants_want_them() -> None:
    denied = actions(made_for(TargetName.AWS, operations=("HeadBucket",), variants=("denied",)))
    assert {"iam:CreateRole", "iam:TagRole", "iam:DeleteRole", "sts:AssumeRole"} <= denied
    through = made_for(TargetName.AWS, operations=("GetObject",), variants=("access-point",))
    (reading,) = [each for each in through if "s3:GetObject" in each["Action"]]
    assert "arn:aws:s3:us-east-1:111122223333:accesspoint/s3lm-*/object/*" in reading["Resource"]


def test_a_role_in_another_account_may_be_assumed_where_it_is_given() -> None:
    role = "arn:aws:iam::444455556666:role/requester"
    made = made_for(TargetName.AWS, operations=("GetObject",), variants=("cross-account",), requester_role=role)
    assert [each["Resource"] for each in made if "sts:AssumeRole" in each["Action"]] == [[role]]


@pytest.mark.usefixtures("empty_registry")
def test_fixtures_bring_their_own_permissions() -> None:
    @scenario.fixture(iam=["s3:PutObject"])
    def inner() -> str:
        return ""

    @scenario.fixture(iam=["s3:PutBucketCORS"])
    def outer(inner: str) -> str:
        return inner

    @scenario.scenario("GetObject")
    def reads(call: Any, outer: str) -> None:
        """Read."""

    (only,) = scenario.all_scenarios().values()
    assert scenario.permissions_of(only) == {"s3:GetObject", "s3:PutObject", "s3:PutBucketCORS"}


@pytest.mark.usefixtures("empty_registry")
def test_an_action_without_a_known_resource_must_name_one() -> None:
    @scenario.scenario("GetObject", iam=["kms:Decrypt"])
    def reads(call: Any) -> None:
        """Read."""

    with pytest.raises(ScenarioError, match=r"GetObject\[ok\].*kms:Decrypt"):
        permissions(scenario.all_scenarios().values(), [])
    named = permission_for("kms:Decrypt arn:aws:kms:{region}:{account}:key/k")
    assert (named.actions, named.resources) == (("kms:Decrypt",), ("arn:aws:kms:{region}:{account}:key/k",))


@pytest.mark.parametrize("name", TARGETS)
def test_every_document_is_within_iams_limit_and_nothing_is_lost_between_them(name: TargetName) -> None:
    made = made_for(name)
    found = documents(made)
    assert all(size(each) <= MANAGED_POLICY_CHARACTERS for each in found)
    held = [statement for each in found for statement in each["Statement"]]
    assert sorted(held, key=str) == sorted(made, key=str)
    assert len({each["Sid"] for each in made}) == len(made)


def test_what_one_policy_cannot_hold_is_split_between_statements() -> None:
    many = [
        Permission(actions=tuple(f"s3:Action{n}x{m:03d}" for m in range(100)), resources=(f"arn:{n}",))
        for n in range(7)
    ]
    made = statements(many)
    found = documents(made)
    assert len(found) > 1
    assert all(size(each) <= MANAGED_POLICY_CHARACTERS for each in found)
    assert sorted(s["Sid"] for each in found for s in each["Statement"]) == sorted(s["Sid"] for s in made)
    with pytest.raises(ScenarioError, match="larger than"):
        documents(statements([Permission(actions=tuple(f"s3:{n:04d}" for n in range(1000)))]))


def test_a_wrong_selection_is_told() -> None:
    with pytest.raises(NothingSelectedError):
        made_for(TargetName.AWS, operations=("Nope",))
    with pytest.raises(UsageError, match="unknown channel"):
        made_for(TargetName.AWS, channels=("nope",))


def test_every_channel_declares_what_it_may_do(known: Any) -> None:
    for make in channels().values():
        for each in make().permissions:
            for action in each.actions:
                service, _, what = action.partition(":")
                assert what.lower() in known[service]["Actions"], action
