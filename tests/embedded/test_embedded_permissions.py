"""What requests need permission for, as AWS documents it, and that every service asks for it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import timedelta
from importlib import resources
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from embedded_kit import ACCOUNT, World, code_of, status_of

from harness.embedded.permissions import of_control, of_s3, of_service
from harness.embedded.wire import Request, read_request
from harness.targets import Credentials
from harness.targets.sessions import isolated_session, route_to

OBJECT, BUCKET = "arn:aws:s3:::b/k", "arn:aws:s3:::b"
SESSION = botocore.session.get_session()


def request(
    target: str = "/b/k", method: str = "PUT", body: bytes = b"", service: str = "s3", **headers: str
) -> Request:
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    scope = f"Credential=AKIA/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    environ = {"REQUEST_METHOD": method, "RAW_URI": target, "HTTP_HOST": f"{service}.us-east-1.amazonaws.com", **named}
    return read_request(environ | {"HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 {scope}"}, body)


def needed(operation: str, asked: Request, access_point: str | None = None) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for need in of_s3(operation, asked, access_point):
        found.setdefault(need.action, set()).add(need.resource)
    return found


@pytest.mark.parametrize(
    ("operation", "asked", "expected"),
    [
        ("PutObject", request(), {"s3:PutObject": {OBJECT}}),
        ("PutObject", request(x_amz_tagging="a=b"), {"s3:PutObject": {OBJECT}, "s3:PutObjectTagging": {OBJECT}}),
        ("PutObject", request(x_amz_acl="private"), {"s3:PutObject": {OBJECT}, "s3:PutObjectAcl": {OBJECT}}),
        (
            "PutObject",
            request(x_amz_object_lock_mode="GOVERNANCE"),
            {"s3:PutObject": {OBJECT}, "s3:PutObjectRetention": {OBJECT}},
        ),
        ("GetObject", request("/b/k?versionId=v"), {"s3:GetObjectVersion": {OBJECT}}),
        ("HeadObject", request("/b/k?versionId=v"), {"s3:GetObjectVersion": {OBJECT}}),
        ("GetObjectAttributes", request(), {"s3:GetObjectAttributes": {OBJECT}, "s3:GetObject": {OBJECT}}),
        (
            "GetObjectAttributes",
            request("/b/k?versionId=v"),
            {"s3:GetObjectVersionAttributes": {OBJECT}, "s3:GetObjectVersion": {OBJECT}},
        ),
        ("GetObjectTagging", request("/b/k?tagging&versionId=v"), {"s3:GetObjectVersionTagging": {OBJECT}}),
        ("DeleteObject", request("/b/k?versionId=v"), {"s3:DeleteObjectVersion": {OBJECT}}),
        (
            "DeleteObject",
            request("/b/k?versionId=v", x_amz_bypass_governance_retention="true"),
            {"s3:DeleteObjectVersion": {OBJECT}, "s3:BypassGovernanceRetention": {OBJECT}},
        ),
        (
            "CopyObject",
            request(x_amz_copy_source="/from/a%20b"),
            {"s3:PutObject": {OBJECT}, "s3:GetObject": {"arn:aws:s3:::from/a b"}},
        ),
        (
            "UploadPartCopy",
            request(x_amz_copy_source="from/a?versionId=v"),
            {"s3:PutObject": {OBJECT}, "s3:GetObjectVersion": {"arn:aws:s3:::from/a"}},
        ),
        ("CreateBucket", request("/b"), {"s3:CreateBucket": {BUCKET}}),
        (
            "CreateBucket",
            request("/b", x_amz_object_ownership="ObjectWriter"),
            {"s3:CreateBucket": {BUCKET}, "s3:PutBucketOwnershipControls": {BUCKET}},
        ),
        (
            "CreateBucket",
            request("/b", x_amz_bucket_object_lock_enabled="true"),
            {
                "s3:CreateBucket": {BUCKET},
                "s3:PutBucketObjectLockConfiguration": {BUCKET},
                "s3:PutBucketVersioning": {BUCKET},
            },
        ),
        (
            "PutBucketReplication",
            request("/b?replication", body=b"<R><Role>arn:aws:iam::1:role/r</Role></R>"),
            {"s3:PutReplicationConfiguration": {BUCKET}, "iam:PassRole": {"arn:aws:iam::1:role/r"}},
        ),
        ("MadeUpOperation", request(), {"s3:MadeUpOperation": {"*"}}),
    ],
)
def test_a_request_to_s3_needs_what_is_documented(
    operation: str, asked: Request, expected: Mapping[str, set[str]]
) -> None:
    assert needed(operation, asked) == expected


def test_a_batch_delete_needs_permission_for_every_key() -> None:
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key><VersionId>v</VersionId></Object></Delete>"
    assert needed("DeleteObjects", request("/b?delete", "POST", body)) == {
        "s3:DeleteObject": {"arn:aws:s3:::b/a"},
        "s3:DeleteObjectVersion": {"arn:aws:s3:::b/b"},
    }


def test_through_an_access_point_both_must_allow() -> None:
    point = f"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/p"
    assert needed("GetObject", request(), point) == {"s3:GetObject": {OBJECT, f"{point}/object/k"}}
    assert needed("ListObjectsV2", request("/b"), point) == {"s3:ListBucket": {BUCKET, point}}


def test_condition_keys_say_what_the_request_says() -> None:
    (asked,) = of_s3("CreateBucket", request("/b", x_amz_bucket_namespace="account-regional"))
    assert asked.context == {"s3:x-amz-bucket-namespace": "account-regional"}
    body = b"<Retention><Mode>COMPLIANCE</Mode></Retention>"
    (retained,) = of_s3("PutObjectRetention", request("/b/k?retention", body=body))
    assert retained.context == {"s3:object-lock-mode": "COMPLIANCE"}


@pytest.mark.parametrize(
    ("operation", "target", "expected"),
    [
        ("CreateAccessPoint", "/v20180820/accesspoint/p", ("s3:CreateAccessPoint", "accesspoint/p")),
        ("GetAccessPoint", "/v20180820/accesspoint/p", ("s3:GetAccessPoint", "*")),
        ("GetPublicAccessBlock", "/v20180820/configuration/publicAccessBlock", ("s3:GetAccountPublicAccessBlock", "*")),
        (
            "TagResource",
            f"/v20180820/tags/arn%3Aaws%3As3%3Aus-east-1%3A{ACCOUNT}%3Aaccesspoint%2Fp",
            ("s3:TagResource", "accesspoint/p"),
        ),
    ],
)
def test_the_control_plane_needs_permission_on_what_it_names(
    operation: str, target: str, expected: tuple[str, str]
) -> None:
    (need,) = of_control(f"s3control:{operation}", request(target))
    action, resource = expected
    assert need.action == action
    assert need.resource == (resource if resource == "*" else f"arn:aws:s3:us-east-1:{ACCOUNT}:{resource}")


def asked_of(service: str, operation: str, **parameters: Any) -> tuple[str, list[tuple[str, str]]]:
    """Return what a call of a real client needs: the client makes the request, nothing is sent."""
    session = isolated_session(Credentials("AKIA", "secret"), "us-east-1")
    caught: list[Request] = []

    def catch(request: Any, **_kwargs: Any) -> None:
        environ = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in request.headers.items()}
        environ = {k: v.decode() if isinstance(v, bytes) else v for k, v in environ.items()}
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        caught.append(read_request({"REQUEST_METHOD": request.method, "RAW_URI": "/", **environ}, body))
        raise InterruptedError

    session.events.register("before-send", catch)
    with pytest.raises(InterruptedError):
        getattr(session.client(service), operation)(**parameters)
    name, needs = of_service(caught[0])
    return name, [(need.action, need.resource) for need in needs]


TRAIL = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/t"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("cloudtrail", "start_logging", {"Name": "t"}, [("cloudtrail:StartLogging", TRAIL)]),
        ("cloudtrail", "start_logging", {"Name": TRAIL}, [("cloudtrail:StartLogging", TRAIL)]),
        ("cloudtrail", "describe_trails", {}, [("cloudtrail:DescribeTrails", "*")]),
        (
            "cloudtrail",
            "create_trail",
            {"Name": "t", "S3BucketName": "b", "TagsList": [{"Key": "k"}], "CloudWatchLogsRoleArn": ROLE},
            [("cloudtrail:CreateTrail", TRAIL), ("cloudtrail:AddTags", TRAIL), ("iam:PassRole", ROLE)],
        ),
        ("iam", "delete_role", {"RoleName": "r"}, [("iam:DeleteRole", ROLE)]),
        (
            "iam",
            "create_role",
            {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "Tags": [{"Key": "k", "Value": "v"}]},
            [("iam:CreateRole", ROLE), ("iam:TagRole", ROLE)],
        ),
        ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "name"}, [("sts:AssumeRole", ROLE)]),
        ("sts", "get_caller_identity", {}, []),
        (
            "logs",
            "create_log_group",
            {"logGroupName": "g"},
            [("logs:CreateLogGroup", "arn:aws:logs:us-east-1:123456789012:log-group:g")],
        ),
    ],
)
def test_another_service_needs_permission_on_what_it_names(
    service: str, operation: str, parameters: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    _, found = asked_of(service, operation, **parameters)
    assert found == expected


def test_every_listed_operation_is_one_of_botocores_and_every_parameter_one_of_its() -> None:
    text = resources.files("harness.embedded").joinpath("permissions.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        service, _, operation = row["operation"].rpartition(":")
        model = SESSION.get_service_model(service or "s3").operation_model(operation)
        kind, _, name = row["when"].partition(" ")
        members = model.input_shape.members if model.input_shape else {}
        headers = {str(shape.serialization.get("name", "")).lower() for shape in members.values()}
        assert kind in ("", "header", "parameter"), row
        assert kind != "header" or name in headers, row
        assert kind != "parameter" or name in members, row


# --- on the running server


def limited(world: World, *statements: dict[str, Any]) -> Any:
    return world.target.limited_to([{"Version": "2012-10-17", "Statement": list(statements)}]).session()


def allow(action: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def refused(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return code_of(caught.value), status_of(caught.value)


def test_services_refuse_in_their_own_form_and_name_what_is_missing(world: World) -> None:
    session = limited(world, allow("cloudtrail:GetTrailStatus", f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/mine"))
    assert refused(session.client("cloudtrail").describe_trails) == ("AccessDeniedException", 400)
    assert refused(session.client("cloudtrail").get_trail_status, Name="mine")[0] == "TrailNotFoundException"
    with pytest.raises(ClientError, match=r"not authorized to perform: iam:GetRole on resource: .*role/r") as caught:
        session.client("iam").get_role(RoleName="r")
    assert (code_of(caught.value), status_of(caught.value)) == ("AccessDenied", 403)
    assert session.client("sts").get_caller_identity()["Account"] == ACCOUNT


@pytest.mark.parametrize(("secret", "code"), [("wrong", "SignatureDoesNotMatch"), (None, "InvalidClientTokenId")])
def test_services_refuse_who_is_not_who_they_say(world: World, secret: str | None, code: str) -> None:
    known = world.session.get_credentials()
    assert known is not None
    who = Credentials(known.access_key if secret else "AKIAUNKNOWN", secret or "any")
    session = isolated_session(who, "us-east-1")
    route_to(session, world.server.endpoint)
    assert refused(session.client("iam").list_users) == (code, 403)
    expected = "UnrecognizedClientException" if code == "InvalidClientTokenId" else code
    assert refused(session.client("cloudtrail").list_trails) == (expected, 400)


def test_a_role_is_assumed_by_whom_it_trusts_and_who_may(world: World) -> None:
    def role(name: str, principal: str) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = world.session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
        return str(made["Role"]["Arn"])

    may, may_not = limited(world, allow("sts:AssumeRole")), limited(world, allow("s3:*"))
    by_account = role(world.name("trusting"), f"arn:aws:iam::{ACCOUNT}:root")
    by_name = role(world.name("named"), may_not.client("sts").get_caller_identity()["Arn"])
    asked = {"RoleSessionName": "session"}
    assert may.client("sts").assume_role(RoleArn=by_account, **asked)["Credentials"]
    assert refused(may_not.client("sts").assume_role, RoleArn=by_account, **asked)[0] == "AccessDenied"
    # A trust that names the caller is enough in the same account; one that names another is not.
    assert may_not.client("sts").assume_role(RoleArn=by_name, **asked)["Credentials"]
    assert refused(may.client("sts").assume_role, RoleArn=by_name, **asked)[0] == "AccessDenied"
    gone = f"arn:aws:iam::{ACCOUNT}:role/there-is-none"
    assert refused(may.client("sts").assume_role, RoleArn=gone, **asked)[0] == "AccessDenied"


def test_who_may_not_pass_a_role_may_not_name_one(world: World) -> None:
    bucket = world.bucket("replicated")
    world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ID": "r", "Priority": 1, "Status": "Disabled", "Filter": {"Prefix": "x"}}
    rule |= {"DeleteMarkerReplication": {"Status": "Disabled"}, "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"}}
    configuration = {"Role": f"arn:aws:iam::{ACCOUNT}:role/r", "Rules": [rule]}
    asked = {"Bucket": bucket, "ReplicationConfiguration": configuration}
    pass_to_s3 = allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/r")
    pass_to_s3 |= {"Condition": {"StringEquals": {"iam:PassedToService": "s3.amazonaws.com"}}}
    without = limited(world, allow("s3:*"))
    assert refused(without.client("s3").put_bucket_replication, **asked) == ("AccessDenied", 403)
    limited(world, allow("s3:*"), pass_to_s3).client("s3").put_bucket_replication(**asked)


def test_retention_that_nobody_could_take_back_can_be_denied(world: World) -> None:
    bucket = world.bucket("locked", ObjectLockEnabledForBucket=True)
    world.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    never = {"Effect": "Deny", "Action": "s3:PutObjectRetention", "Resource": "*"}
    never |= {"Condition": {"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}}}
    s3 = limited(world, allow("s3:*"), never).client("s3")
    until = world.clock.now().replace(microsecond=0) + timedelta(days=3650)
    retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
    asked = {"Bucket": bucket, "Key": "k", "Retention": retention}
    assert refused(s3.put_object_retention, **asked) == ("AccessDenied", 403)
