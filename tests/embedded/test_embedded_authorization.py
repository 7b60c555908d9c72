"""Policies decide as IAM documents it, on the safe side where the embedded server does not know better."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from harness.embedded.authorization import Action, actions, allowed, identity_policies
from harness.embedded.credentials import secret_of
from harness.embedded.principals import (
    ACCESS_KEY_ID,
    ACCOUNT_ID,
    ANONYMOUS,
    SECRET_ACCESS_KEY,
    Principal,
    add_default_user,
    principal_of,
)

OTHER_ACCOUNT = "999988887777"
MODEL = botocore.session.get_session().get_service_model("s3")


def user(name: str = "alice", account: str = ACCOUNT_ID) -> Principal:
    arn = f"arn:aws:iam::{account}:user/{name}"
    return Principal(kind="IAMUser", account_id=account, principal_id="AIDA", arn=arn, user_name=name)


def session(role: str = "reader", account: str = ACCOUNT_ID) -> Principal:
    return Principal(
        kind="AssumedRole",
        account_id=account,
        principal_id="AROA:now",
        arn=f"arn:aws:sts::{account}:assumed-role/{role}/now",
        user_name=role,
        issuer=("AROA", f"arn:aws:iam::{account}:role/path/{role}"),
    )


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    """Return a statement on everything, with elements replaced, or taken away where None."""
    whole = {"Effect": effect, "Action": "*", "Resource": "*", **elements}
    return {name: value for name, value in whole.items() if value is not None}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def decide(
    principal: Principal = user(),  # noqa: B008 - a frozen value
    action: str = "s3:GetObject",
    resource: str = "arn:aws:s3:::bucket/folder/key",
    identity: list[dict[str, Any]] | None = None,
    bucket: list[dict[str, Any]] | None = None,
    context: Mapping[str, str] | None = None,
) -> bool:
    policies = [policy(*identity)] if identity else []
    return allowed(
        principal, action, resource, policies, policy(*bucket) if bucket else None, ACCOUNT_ID, context or {}
    )


ALLOW, DENY = [statement()], [statement("Deny")]
TO_ALL = [statement(Principal="*")]
NOT_TO_ALL = [statement("Deny", Principal="*")]
ROOT = f"arn:aws:iam::{ACCOUNT_ID}:root"
OTHER_ROOT = f"arn:aws:iam::{OTHER_ACCOUNT}:root"
STRANGER = user(account=OTHER_ACCOUNT)


@pytest.mark.parametrize(
    ("principal", "identity", "bucket", "expected"),
    [
        pytest.param(user(), [], [], False, id="nothing said"),
        pytest.param(user(), ALLOW, [], True, id="identity allows"),
        pytest.param(user(), [], TO_ALL, True, id="bucket allows"),
        pytest.param(user(), ALLOW + DENY, TO_ALL, False, id="identity denies"),
        pytest.param(user(), ALLOW, TO_ALL + NOT_TO_ALL, False, id="bucket denies"),
        pytest.param(STRANGER, ALLOW, [], False, id="stranger with identity only"),
        pytest.param(STRANGER, [], TO_ALL, False, id="stranger with bucket only"),
        pytest.param(STRANGER, ALLOW, TO_ALL, True, id="stranger with both"),
        pytest.param(STRANGER, ALLOW, TO_ALL + NOT_TO_ALL, False, id="stranger denied"),
        pytest.param(ANONYMOUS, [], [], False, id="anonymous, private bucket"),
        pytest.param(ANONYMOUS, [], TO_ALL, True, id="anonymous, public bucket"),
        pytest.param(ANONYMOUS, [], [statement(Principal={"AWS": "*"})], True, id="anonymous, public in the long form"),
        pytest.param(ANONYMOUS, [], TO_ALL + NOT_TO_ALL, False, id="anonymous denied"),
        pytest.param(ANONYMOUS, [], [statement(Principal={"AWS": ROOT})], False, id="anonymous is no account"),
        pytest.param(ANONYMOUS, [], [statement()], False, id="no principal named"),
        pytest.param(user(), ALLOW, [statement("Deny", Principal={"AWS": ROOT})], False, id="account denied"),
        pytest.param(user(), [], [statement(Principal={"AWS": ROOT})], False, id="own account delegated"),
        pytest.param(user(), ALLOW, [statement(Principal={"AWS": ROOT})], True, id="own account delegated, allowed"),
        pytest.param(STRANGER, [], [statement(Principal={"AWS": OTHER_ROOT})], False, id="other account delegated"),
        pytest.param(STRANGER, ALLOW, [statement(Principal={"AWS": OTHER_ROOT})], True, id="delegated and allowed"),
        pytest.param(STRANGER, ALLOW, [statement(Principal={"AWS": OTHER_ACCOUNT})], True, id="account by number"),
        pytest.param(STRANGER, ALLOW, [statement(Principal={"AWS": ACCOUNT_ID})], False, id="another account"),
    ],
)
def test_who_may(
    principal: Principal, identity: list[dict[str, Any]], bucket: list[dict[str, Any]], expected: bool
) -> None:
    assert decide(principal, identity=identity, bucket=bucket) is expected


@pytest.mark.parametrize(
    ("principal", "named", "expected"),
    [
        (user(), {"AWS": user().arn}, True),
        (user(), {"AWS": [user("bob").arn, user().arn]}, True),
        (user(), {"AWS": user("bob").arn}, False),
        (user(), {"AWS": user("ali*").arn}, False),
        (user(), {"AWS": ["*"]}, True),
        (user(), {"Service": "logging.s3.amazonaws.com"}, False),
        (user(), {"Service": "*"}, False),
        (user(), {"Service": "s3.amazonaws.com", "AWS": user().arn}, True),
        (user(), {"CanonicalUser": "*"}, False),
        (user(), None, False),
        (user(), [], False),
        (session(), {"AWS": session().arn}, True),
        (session(), {"AWS": session().issuer[1]}, True),  # type: ignore[index]
        (session(), {"AWS": "arn:aws:sts::123456789012:assumed-role/reader/yesterday"}, False),
        (session(), {"AWS": user("reader").arn}, False),
    ],
)
def test_whom_a_bucket_policy_names(principal: Principal, named: object, expected: bool) -> None:
    assert decide(principal, bucket=[statement(Principal=named)]) is expected


def test_a_denial_can_spare_some() -> None:
    spared = [statement("Deny", NotPrincipal={"AWS": user().arn})]
    assert decide(user(), identity=ALLOW, bucket=spared)
    assert not decide(user("bob"), identity=ALLOW, bucket=spared)
    assert not decide(ANONYMOUS, bucket=TO_ALL + spared)
    assert not decide(user("bob"), bucket=[statement(NotPrincipal={"AWS": user().arn})]), "an Allow to the rest is none"


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"Action": "s3:GetObject"}, True),
        ({"Action": "S3:getobject"}, True),
        ({"Action": ["s3:PutObject", "s3:Get*"]}, True),
        ({"Action": "s3:GetObjec?"}, True),
        ({"Action": "s3:GetObject?"}, False),
        ({"Action": "GetObject"}, False),
        ({"Action": []}, False),
        ({"Action": None}, False),
        ({"Action": None, "NotAction": "s3:Put*"}, True),
        ({"Action": None, "NotAction": ["s3:PUT*", "s3:get*"]}, False),
        ({"Resource": "arn:aws:s3:::bucket/*"}, True),
        ({"Resource": "arn:aws:s3:::bucket/*/ke?"}, True),
        ({"Resource": ["arn:aws:s3:::other", "arn:aws:s3:::b*"]}, True),
        ({"Resource": "arn:aws:s3:::bucket"}, False),
        ({"Resource": "arn:aws:s3:::bucket/FOLDER/key"}, False),
        ({"Resource": "arn:aws:s3:::bucket/folder/[k]ey"}, False),
        ({"Resource": None}, False),
        ({"Resource": None, "NotResource": "arn:aws:s3:::other/*"}, True),
        ({"Resource": None, "NotResource": ["arn:aws:s3:::bucket/*"]}, False),
        ({"Effect": "allow"}, False),
        ({"Effect": None}, False),
    ],
)
def test_what_a_statement_covers(elements: dict[str, Any], expected: bool) -> None:
    assert decide(identity=[statement(**elements)]) is expected


@pytest.mark.parametrize("key", ["a\nb", "[x]", "ü 日本", "*", "?", "", "a" * 1000])
def test_a_wildcard_covers_any_key(key: str) -> None:
    allow = [statement(Resource="arn:aws:s3:::bucket/*")]
    assert decide(resource=f"arn:aws:s3:::bucket/{key}", identity=allow)
    assert not decide(resource=f"arn:aws:s3:::bucket-2/{key}", identity=allow)


def test_a_pattern_of_many_wildcards_is_evaluated_at_once() -> None:
    allow = [statement(Resource="*a" * 30 + "*b")]
    assert not decide(resource="arn:aws:s3:::bucket/" + "a" * 1000, identity=allow)


def test_brackets_are_no_wildcards() -> None:
    assert decide(resource="arn:aws:s3:::bucket/[x]", identity=[statement(Resource="arn:aws:s3:::bucket/[x]")])


PREFIX = {"s3:prefix": "home/", "aws:SecureTransport": "true", "aws:PrincipalArn": "arn:aws:iam::1:user/alice"}


@pytest.mark.parametrize(
    ("condition", "in_allow", "in_deny"),
    [
        ({}, True, True),
        ({"StringEquals": {"s3:prefix": "home/"}}, True, True),
        ({"StringEquals": {"S3:Prefix": ["x", "home/"]}}, True, True),
        ({"StringEquals": {"s3:prefix": "Home/"}}, False, False),
        ({"StringEquals": {"s3:prefix": "home/", "s3:delimiter": "/"}}, False, False),
        ({"StringEquals": {"s3:delimiter": "/"}}, False, False),
        ({"StringEqualsIfExists": {"s3:delimiter": "/"}}, True, True),
        ({"StringEqualsIfExists": {"s3:prefix": "x"}}, False, False),
        ({"StringNotEquals": {"s3:prefix": "x"}}, True, True),
        ({"StringNotEquals": {"s3:prefix": ["x", "home/"]}}, False, False),
        ({"StringNotEquals": {"s3:delimiter": "/"}}, False, True),
        ({"StringNotEqualsIfExists": {"s3:delimiter": "/"}}, True, True),
        ({"StringLike": {"s3:prefix": "ho?e*"}}, True, True),
        ({"StringNotLike": {"s3:prefix": "ho?e*"}}, False, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}}, True, True),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::1:user/alice"}}, True, True),
        ({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::1:user/alice"}}, False, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True, True),
        ({"Bool": {"aws:SecureTransport": True}}, True, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False, False),
        ({"Null": {"s3:delimiter": "true"}}, True, True),
        ({"Null": {"s3:prefix": True}}, False, False),
        ({"Null": {"s3:prefix": "false"}}, True, True),
        ({"StringEquals": {"s3:prefix": "home/"}, "Bool": {"aws:SecureTransport": "false"}}, False, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False, True),
        ({"ForAnyValue:StringEquals": {"s3:prefix": "x"}}, False, True),
        ({"NumericLessThan": {"s3:max-keys": "10"}, "StringEquals": {"s3:prefix": "x"}}, False, False),
        ("text", False, True),
        ({"StringEquals": "text"}, False, True),
    ],
)
def test_conditions(condition: object, in_allow: bool, in_deny: bool) -> None:
    context = PREFIX
    assert decide(identity=[statement(Condition=condition)], context=context) is in_allow
    assert decide(identity=[*ALLOW, statement("Deny", Condition=condition)], context=context) is not in_deny


def test_a_policy_may_have_one_statement_without_a_list() -> None:
    assert allowed(user(), "s3:GetObject", "*", [{"Statement": statement()}], None, ACCOUNT_ID, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["Allow", "Deny", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Effect", "Action", "Resource", "NotAction", "Condition", "AWS", "StringEquals", "Null"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_any_policy_is_evaluated(statements: Any, principal: Any) -> None:
    """moto stores bucket policies unread."""
    bucket = {"Statement": [statements, statement(Principal=principal)]}
    assert allowed(user(), "s3:GetObject", "arn", [{"Statement": statements}], bucket, ACCOUNT_ID, {}) in (True, False)


# --- actions


def test_every_operation_has_an_action() -> None:
    assert set(actions()) == set(MODEL.operation_names)


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_an_action_is_on_what_its_operation_names(operation: str) -> None:
    found = actions()[operation]
    path = MODEL.operation_model(operation).http["requestUri"].partition("?")[0]
    level = "object" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "service"
    special = {"DeleteObjects": "object", "RenameObject": "bucket"}
    assert found.resource == special.get(operation, level)
    assert found.action.partition(":")[0] in ("s3", "s3express", "s3-object-lambda")


def documented(operation: str) -> set[str]:
    """The permissions that botocore's own documentation of an operation mentions, in lower case."""
    text = re.sub("<[^>]+>", " ", MODEL.operation_model(operation).documentation)
    return {name.lower() for name in re.findall(r"\bs3:[A-Z]\w+", text)}


@pytest.mark.parametrize("operation", [*filter(documented, MODEL.operation_names)])
def test_an_action_is_among_the_documented_ones(operation: str) -> None:
    assert actions()[operation].action.lower() in documented(operation)


@pytest.mark.parametrize(
    ("operation", "action", "arn"),
    [
        ("ListBuckets", "s3:ListAllMyBuckets", "arn:aws:s3:::*"),
        ("HeadBucket", "s3:ListBucket", "arn:aws:s3:::b"),
        ("HeadObject", "s3:GetObject", "arn:aws:s3:::b/k"),
        ("ListParts", "s3:ListMultipartUploadParts", "arn:aws:s3:::b/k"),
        ("DeleteBucketCors", "s3:PutBucketCORS", "arn:aws:s3:::b"),
        ("PutBucketEncryption", "s3:PutEncryptionConfiguration", "arn:aws:s3:::b"),
        ("UploadPartCopy", "s3:PutObject", "arn:aws:s3:::b/k"),
        ("CreateSession", "s3express:CreateSession", "arn:aws:s3:::b"),
    ],
)
def test_some_actions_by_name(operation: str, action: str, arn: str) -> None:
    found = actions()[operation]
    assert (found.action, found.arn("b", "k")) == (action, arn)


def test_an_operation_on_no_bucket_needs_everything() -> None:
    listing = Action("ListBuckets", "s3:ListAllMyBuckets", "service")
    for resource, expected in (("*", True), ("arn:aws:s3:::*", True), ("arn:aws:s3:::bucket*", False)):
        assert decide(resource=listing.arn(None, None), identity=[statement(Resource=resource)]) is expected


# --- moto's state


@pytest.fixture
def aws() -> Iterator[boto3.Session]:
    with mock_aws():
        yield boto3.Session("AKIATEST", "secret", region_name="us-east-1")


def document(action: str) -> str:
    return json.dumps(policy(statement(Action=action)))


def found_actions(principal: Principal) -> list[str]:
    return sorted(each["Statement"][0]["Action"] for each in identity_policies(principal))


def test_a_user_has_its_policies_and_those_of_its_groups(aws: boto3.Session) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="alice", Path="/division/")
    iam.create_group(GroupName="staff")
    iam.create_group(GroupName="others")
    iam.add_user_to_group(GroupName="staff", UserName="alice")
    iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=document("s3:Inline"))
    iam.put_group_policy(GroupName="staff", PolicyName="p", PolicyDocument=document("s3:GroupInline"))
    iam.put_group_policy(GroupName="others", PolicyName="p", PolicyDocument=document("s3:Others"))
    managed = iam.create_policy(PolicyName="m", PolicyDocument=document("s3:Old"))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=document("s3:New"), SetAsDefault=True)
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=document("s3:Draft"))
    group_managed = iam.create_policy(PolicyName="g", PolicyDocument=document("s3:GroupManaged"))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="alice", PolicyArn=managed)
    iam.attach_group_policy(GroupName="staff", PolicyArn=group_managed)
    key = iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    assert found_actions(principal_of(key)) == ["s3:GroupInline", "s3:GroupManaged", "s3:Inline", "s3:New"]
    assert identity_policies(user("nobody")) == identity_policies(ANONYMOUS) == []


@pytest.mark.parametrize("account", [ACCOUNT_ID, OTHER_ACCOUNT])
def test_a_session_has_the_policies_of_its_role(aws: boto3.Session, account: str) -> None:
    sts = aws.client("sts")
    if account != ACCOUNT_ID:
        there = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/admin", RoleSessionName="admin")["Credentials"]
        aws = boto3.Session(there["AccessKeyId"], there["SecretAccessKey"], there["SessionToken"])
    iam = aws.client("iam")
    role = iam.create_role(RoleName="reader", Path="/path/", AssumeRolePolicyDocument=document("sts:AssumeRole"))[
        "Role"
    ]
    iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=document("s3:Inline"))
    managed = iam.create_policy(PolicyName="m", PolicyDocument=document("s3:Managed"))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="reader", PolicyArn=managed)
    before = datetime.now(UTC).replace(microsecond=0)
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="now", DurationSeconds=900)["Credentials"]
    after = datetime.now(UTC)
    principal = principal_of(assumed["AccessKeyId"])
    assert principal.account_id == account
    assert found_actions(principal) == ["s3:Inline", "s3:Managed"]

    secret = secret_of(assumed["AccessKeyId"])
    assert secret is not None
    assert (secret.secret_access_key, secret.session_token) == (assumed["SecretAccessKey"], assumed["SessionToken"])
    assert secret.expires_at is not None
    assert before <= secret.expires_at - timedelta(seconds=900) <= after

    iam.detach_role_policy(RoleName="reader", PolicyArn=managed)
    iam.delete_role_policy(RoleName="reader", PolicyName="p")
    iam.delete_role(RoleName="reader")
    assert identity_policies(principal) == []


def test_the_default_user_has_its_fixed_secret(aws: boto3.Session) -> None:
    add_default_user()
    found = secret_of(ACCESS_KEY_ID)
    assert found is not None
    assert (found.secret_access_key, found.session_token, found.expires_at) == (SECRET_ACCESS_KEY, None, None)


def test_a_key_is_known_while_it_is_active(aws: boto3.Session) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="alice")
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    named = {"UserName": "alice", "AccessKeyId": key["AccessKeyId"]}
    found = secret_of(key["AccessKeyId"])
    assert found is not None
    assert found.secret_access_key == key["SecretAccessKey"]
    iam.update_access_key(**named, Status="Inactive")
    assert secret_of(key["AccessKeyId"]) is None
    iam.update_access_key(**named, Status="Active")
    assert secret_of(key["AccessKeyId"]) is not None
    iam.delete_access_key(**named)
    assert secret_of(key["AccessKeyId"]) is None
    assert secret_of("AKIAUNKNOWN") is None
