"""What of a request can be read back from its records: nothing is claimed that a record does not hold."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import botocore.session
import pytest
from botocore.model import Shape
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analyse.payload import MAX_LEAVES, Recovery, recover, sent_leaves, summarise
from harness.formats import cloudtrail, server_access
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Record

MODEL = botocore.session.get_session().get_service_model("s3")
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
OWNER = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


def event(operation: str = "PutObject", requested: Mapping[str, Any] | None = None, **additional: Any) -> Record:
    """Return the CloudTrail record of a call with these requestParameters."""
    parameters = {"Host": "photo-store.s3.us-east-1.amazonaws.com", "bucketName": "photo-store"}
    native = {
        "eventVersion": "1.11",
        "eventTime": "2026-03-07T18:05:00Z",
        "eventName": operation,
        "userAgent": "[curl/8.9]",
        "requestParameters": parameters | dict(requested or {}),
        "responseElements": {"x-amz-server-side-encryption": "AES256"},
        "additionalEventData": {"x-amz-id-2": "aGVsbG8=", "httpStatusCode": 200, **additional},
        "requestID": "9ZQ1T5K8M2XW7C4B",
        "eventID": "5d1f8f5e-0000-4000-8000-000000000001",
        "resources": [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::photo-store"}],
    }
    (found,) = cloudtrail.parse(json.dumps({"Records": [native]}).encode()).records
    return found


def line(
    request: str, *, operation: str = "REST.PUT.OBJECT", key: str = "-", size: str = "-", agent: str = "x"
) -> Record:
    """Return the server access record of a request line."""
    text = (
        f"{OWNER} photo-store [07/Mar/2026:18:04:59 +0000] 203.0.113.9 arn:aws:iam::111122223333:user/ada "
        f'9ZQ1T5K8M2XW7C4B {operation} {key} "{request} HTTP/1.1" 200 - 512 {size} 31 - "-" "{agent}" - aGVsbG8= SigV4 '
        "TLS_AES_128_GCM_SHA256 AuthHeader photo-store.s3.us-east-1.amazonaws.com TLSv1.3 - Yes us-east-1"
    )
    found = server_access.parse_line(text, 0)
    assert isinstance(found, Record), found
    return found


@dataclass(frozen=True)
class Case:
    """One call, what was sent, and what each channel makes of it."""

    operation: str
    parameters: Mapping[str, Any]
    sent: Mapping[str, str]
    event: Record
    line: Record
    lost_by_event: Sequence[str] = ()
    held_by_line: Sequence[str] = field(default_factory=tuple)


GRANTS = [
    {"Grantee": {"Type": "CanonicalUser", "ID": OWNER}, "Permission": "FULL_CONTROL"},
    {"Grantee": {"Type": "Group", "URI": ALL_USERS}, "Permission": "READ"},
]
XSI = {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": "arn:aws:s3:::photo-store/*",
            "Condition": {"Bool": {"aws:SecureTransport": False}, "NumericLessThan": {"s3:TlsVersion": 1.2}},
        }
    ],
}
RULES = [
    {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}},
    {
        "ID": "old",
        "Status": "Disabled",
        "Filter": {"Prefix": ""},
        "Transitions": [{"Date": datetime(2030, 1, 1, tzinfo=UTC), "StorageClass": "GLACIER"}],
    },
]
CASES = [
    Case(
        "PutBucketAcl",
        {"Bucket": "photo-store", "ACL": "public-read", "ExpectedBucketOwner": "111122223333"},
        {"ACL": "public-read"},
        event("PutBucketAcl", {"acl": "", "x-amz-acl": "public-read"}),
        line("PUT /?acl", operation="REST.PUT.ACL"),
    ),
    Case(
        "PutBucketAcl",
        {"Bucket": "photo-store", "AccessControlPolicy": {"Grants": GRANTS, "Owner": {"ID": OWNER}}},
        {
            "AccessControlPolicy.Grants[0].Grantee.Type": "CanonicalUser",
            "AccessControlPolicy.Grants[0].Grantee.ID": OWNER,
            "AccessControlPolicy.Grants[0].Permission": "FULL_CONTROL",
            "AccessControlPolicy.Grants[1].Grantee.Type": "Group",
            "AccessControlPolicy.Grants[1].Grantee.URI": ALL_USERS,
            "AccessControlPolicy.Grants[1].Permission": "READ",
            "AccessControlPolicy.Owner.ID": OWNER,
        },
        event(
            "PutBucketAcl",
            {
                "acl": "",
                "AccessControlPolicy": {
                    "AccessControlList": {
                        "Grant": [
                            {
                                "Grantee": {"xsi:type": "CanonicalUser", "ID": OWNER, **XSI},
                                "Permission": "FULL_CONTROL",
                            },
                            {"Grantee": {"xsi:type": "Group", "URI": ALL_USERS, **XSI}, "Permission": "READ"},
                        ]
                    },
                    "Owner": {"ID": OWNER},
                    "xmlns": NAMESPACE,
                },
            },
        ),
        line("PUT /?acl", operation="REST.PUT.ACL"),
    ),
    Case(
        "PutBucketPolicy",
        {"Bucket": "photo-store", "Policy": json.dumps(POLICY)},
        {
            "Policy.Version": "2012-10-17",
            "Policy.Statement[0].Effect": "Deny",
            "Policy.Statement[0].Principal": "*",
            "Policy.Statement[0].Action[0]": "s3:GetObject",
            "Policy.Statement[0].Action[1]": "s3:PutObject",
            "Policy.Statement[0].Resource": "arn:aws:s3:::photo-store/*",
            "Policy.Statement[0].Condition.Bool.aws:SecureTransport": "false",
            "Policy.Statement[0].Condition.NumericLessThan.s3:TlsVersion": "1.2",
        },
        event("PutBucketPolicy", {"policy": "", "bucketPolicy": POLICY}),
        line("PUT /?policy", operation="REST.PUT.BUCKETPOLICY"),
    ),
    Case(
        "PutObjectTagging",
        {
            "Bucket": "photo-store",
            "Key": "cat.jpg",
            "VersionId": "v1",
            "Tagging": {"TagSet": [{"Key": "cat.jpg", "Value": "1"}, {"Key": "public", "Value": "1"}]},
        },
        {
            "Tagging.TagSet[0].Key": "cat.jpg",
            "Tagging.TagSet[0].Value": "1",
            "Tagging.TagSet[1].Key": "public",
            "Tagging.TagSet[1].Value": "1",
        },
        event(
            "PutObjectTagging",
            {
                "key": "cat.jpg",
                "tagging": "",
                "Tagging": {"TagSet": {"Tag": [{"Key": "cat.jpg", "Value": "1"}, {"Key": "public", "Value": "1"}]}},
            },
        ),
        line("PUT /cat.jpg?tagging&versionId=v1", operation="REST.PUT.OBJECT_TAGGING", key="cat.jpg"),
    ),
    Case(
        "PutBucketLifecycleConfiguration",
        {"Bucket": "photo-store", "LifecycleConfiguration": {"Rules": RULES}},
        {
            "LifecycleConfiguration.Rules[0].ID": "logs",
            "LifecycleConfiguration.Rules[0].Status": "Enabled",
            "LifecycleConfiguration.Rules[0].Filter.Prefix": "logs/",
            "LifecycleConfiguration.Rules[0].Expiration.Days": "30",
            "LifecycleConfiguration.Rules[1].ID": "old",
            "LifecycleConfiguration.Rules[1].Status": "Disabled",
            "LifecycleConfiguration.Rules[1].Filter.Prefix": "",
            "LifecycleConfiguration.Rules[1].Transitions[0].Date": "2030-01-01T00:00:00Z",
            "LifecycleConfiguration.Rules[1].Transitions[0].StorageClass": "GLACIER",
        },
        event(
            "PutBucketLifecycle",
            {
                "lifecycle": "",
                "LifecycleConfiguration": {
                    "xmlns": NAMESPACE,
                    "Rule": [
                        {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}},
                        {
                            "ID": "old",
                            "Status": "Disabled",
                            "Filter": {"Prefix": ""},
                            "Transition": {"Date": "2030-01-01T00:00:00.000Z", "StorageClass": "GLACIER"},
                        },
                    ],
                },
            },
        ),
        line("PUT /?lifecycle", operation="REST.PUT.LIFECYCLE"),
    ),
    Case(
        "PutBucketCors",
        {
            "Bucket": "photo-store",
            "CORSConfiguration": {
                "CORSRules": [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 60}]
            },
        },
        {
            "CORSConfiguration.CORSRules[0].AllowedMethods[0]": "GET",
            "CORSConfiguration.CORSRules[0].AllowedMethods[1]": "PUT",
            "CORSConfiguration.CORSRules[0].AllowedOrigins[0]": "*",
            "CORSConfiguration.CORSRules[0].MaxAgeSeconds": "60",
        },
        event(
            "PutBucketCors",
            {
                "cors": "",
                "CORSConfiguration": {
                    "CORSRule": {"AllowedMethod": ["GET", "PUT"], "AllowedOrigin": "*", "MaxAgeSeconds": "60"}
                },
            },
        ),
        line("PUT /?cors", operation="REST.PUT.CORS"),
    ),
    Case(
        "PutObject",
        {
            "Bucket": "photo-store",
            "Key": "cat.jpg",
            "Body": b"meow",
            "Metadata": {"made.by": "ada"},
            "StorageClass": "STANDARD_IA",
            "BucketKeyEnabled": True,
            "SSECustomerKey": "0" * 32,
        },
        {
            "Body.size": "4",
            "Metadata.made.by": "ada",
            "StorageClass": "STANDARD_IA",
            "BucketKeyEnabled": "true",
        },
        event(
            requested={
                "key": "cat.jpg",
                "x-amz-storage-class": "STANDARD_IA",
                "x-amz-server-side-encryption-bucket-key-enabled": "true",
            },
            bytesTransferredIn=4,
            objectSize=4,
        ),
        line("PUT /cat.jpg?x-id=PutObject", key="cat.jpg", size="4"),
        lost_by_event=["Metadata.made.by"],
        held_by_line=["Body.size"],
    ),
    Case(
        "CopyObject",
        {
            "Bucket": "photo-store",
            "Key": "copy",
            "CopySource": {"Bucket": "photo-store", "Key": "a cat+.jpg", "VersionId": "v1"},
            "MetadataDirective": "COPY",
        },
        {"CopySource": "photo-store/a cat+.jpg?versionId=v1", "MetadataDirective": "COPY"},
        event(
            "CopyObject", {"key": "copy", "x-amz-copy-source": "photo-store/a%20cat%2B.jpg?versionId=v1"}, objectSize=4
        ),
        line("PUT /copy", operation="REST.COPY.OBJECT", key="copy", size="4"),
        lost_by_event=["MetadataDirective"],
    ),
    Case(
        "GetObject",
        {"Bucket": "photo-store", "Key": "cat.jpg", "VersionId": "v1", "Range": "bytes=0-9", "ResponseExpires": 0},
        {"Range": "bytes=0-9", "ResponseExpires": "1970-01-01T00:00:00Z"},
        event(
            "GetObject",
            {"key": "cat.jpg", "versionId": "v1", "response-expires": "Thu, 01 Jan 1970 00:00:00 GMT"},
        ),
        line(
            "GET /cat.jpg?versionId=v1&response-expires=Thu%2C%2001%20Jan%201970%2000%3A00%3A00%20GMT",
            operation="REST.GET.OBJECT",
            key="cat.jpg",
        ),
        lost_by_event=["Range"],
        held_by_line=["ResponseExpires"],
    ),
    Case(
        "ListObjectsV2",
        {"Bucket": "photo-store", "Prefix": "2026/März +", "MaxKeys": 10, "ContinuationToken": "opaque"},
        {"Prefix": "2026/März +", "MaxKeys": "10"},
        event("ListObjects", {"list-type": "2", "prefix": "2026/März +", "max-keys": "10", "encoding-type": "url"}),
        line("GET /?list-type=2&prefix=2026%2FM%C3%A4rz%20%2B&max-keys=10", operation="REST.GET.BUCKET"),
        held_by_line=["Prefix", "MaxKeys"],
    ),
    Case(
        "DeleteObjects",
        {"Bucket": "photo-store", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True}},
        {"Delete.Objects[0].Key": "a", "Delete.Objects[1].Key": "b", "Delete.Quiet": "true"},
        event("DeleteObjects", {"delete": ""}),
        line("POST /?delete", operation="REST.POST.MULTI_OBJECT_DELETE"),
        lost_by_event=["Delete.Objects[0].Key", "Delete.Objects[1].Key", "Delete.Quiet"],
    ),
]
NAMES = [f"{case.operation}-{number}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_leaves_of_a_request_leave_out_what_names_the_resource_and_secrets(case):
    leaves = sent_leaves(case.operation, case.parameters)
    assert leaves == case.sent
    assert json.loads(json.dumps(leaves)) == leaves


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_an_event_holds_the_payload_but_for_what_it_lacks(case):
    found = recover(case.operation, case.sent, case.event)
    assert list(found.lost) == list(case.lost_by_event)
    assert [*found.recovered, *found.lost] == [*(p for p in case.sent if p not in found.lost), *found.lost]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_line_holds_what_stands_in_the_query_and_the_size_of_the_body(case):
    assert list(recover(case.operation, case.sent, case.line).recovered) == list(case.held_by_line)


def test_records_of_the_members_of_a_batch_delete_hold_its_keys():
    sent = {"Delete.Objects[0].Key": "a", "Delete.Objects[1].Key": "b c"}
    lines = [line("POST /?delete", operation="BATCH.DELETE.OBJECT", key=key) for key in ("b c", "a")]
    assert recover("DeleteObjects", sent, line("POST /?delete"), *lines).share == 1
    assert recover("DeleteObjects", sent, lines[1]).recovered == ("Delete.Objects[0].Key",)
    members = [replace(each, fields=dict(each.fields) | {"version_id": "v1"}) for each in lines]
    versions = sent_leaves("DeleteObjects", {"Delete": {"Objects": [{"Key": "a", "VersionId": "v1"}]}})
    assert recover("DeleteObjects", versions, members[1]).share == 1
    assert recover("DeleteObjects", versions, event("DeleteObject", {"key": "a", "versionId": "v1"})).share == 1
    events = [event("DeleteObject", {"key": key}) for key in ("a", "b c")]
    assert recover("DeleteObjects", sent, event("DeleteObjects"), *events).share == 1


@pytest.mark.parametrize(
    ("operation", "parameters", "requested"),
    [
        ("PutObjectTagging", {"Tagging": {"TagSet": [{"Key": "cat.jpg", "Value": "v"}]}}, {"key": "cat.jpg"}),
        ("PutBucketInventoryConfiguration", {"Id": "i1", "InventoryConfiguration": {"Id": "i1"}}, {"id": "i1"}),
        ("PutObjectRetention", {"Retention": {}}, {"retention": ""}),
        ("RestoreObject", {"RestoreRequest": {"OutputLocation": {"S3": {"BucketName": "photo-store"}}}}, {}),
    ],
)
def test_what_says_where_a_call_went_is_no_evidence_of_its_payload(operation, parameters, requested):
    sent = sent_leaves(operation, parameters)
    assert sent
    assert recover(operation, sent, event(operation, requested)).recovered == ()
    assert recover(operation, sent, line(f"PUT /cat.jpg?{urlencode(requested)}", key="cat.jpg")).recovered == ()


def test_an_equal_value_under_another_name_does_not_count():
    sent = sent_leaves("PutObject", {"StorageClass": "AES256", "ContentType": "curl/8.9"})
    assert recover("PutObject", sent, event(requested={"x-amz-server-side-encryption": "AES256"})).recovered == ()
    assert recover("PutObject", sent, line("PUT /cat.jpg", agent="curl/8.9")).recovered == ()


def test_what_the_answer_or_the_client_says_does_not_count_as_the_request():
    sent = sent_leaves("PutObject", {"ServerSideEncryption": "AES256"})
    assert recover("PutObject", sent, event()).lost == ("ServerSideEncryption",)
    sent = sent_leaves("ListObjectsV2", {"Prefix": "secret/"})
    spoken = line("GET /?list-type=2", agent="GET /?prefix=secret/ HTTP/1.1")
    assert recover("ListObjectsV2", sent, spoken).lost == ("Prefix",)


def test_equal_leaves_need_as_many_occurrences():
    tags = [{"Key": f"k{number}", "Value": "same"} for number in range(3)]
    sent = sent_leaves("PutBucketTagging", {"Tagging": {"TagSet": tags}})
    found = recover("PutBucketTagging", sent, event(requested={"Tagging": {"TagSet": {"Tag": tags[:2]}}}))
    assert len(found.recovered) == 4
    assert found.lost == ("Tagging.TagSet[2].Key", "Tagging.TagSet[2].Value")


def test_of_two_equal_leaves_the_one_whose_place_is_missing_is_lost():
    rule = {"Transitions": [{"Days": 30}], "Expiration": {"Days": 30}}
    sent = sent_leaves("PutBucketLifecycleConfiguration", {"LifecycleConfiguration": {"Rules": [rule]}})
    logged = event(requested={"LifecycleConfiguration": {"Rule": {"Expiration": {"Days": 30}}}})
    found = recover("PutBucketLifecycleConfiguration", sent, logged)
    assert found.lost == ("LifecycleConfiguration.Rules[0].Transitions[0].Days",)


@pytest.mark.parametrize(
    ("length", "outcome"), [(1024, "truncated"), (256, "truncated"), (255, "lost"), (1500, "recovered"), (0, "lost")]
)
def test_a_long_value_that_was_cut_is_truncated_and_not_recovered(length, outcome):
    text = "".join(f"{number:04d}" for number in range(375))
    sent = sent_leaves("PutObject", {"Tagging": text})
    found = recover("PutObject", sent, event(requested={"x-amz-tagging": text[:length]}))
    assert getattr(found, outcome) == ("Tagging",)


def test_a_long_value_that_is_another_is_lost():
    found = recover("PutObject", {"Tagging": "x" * 500}, event(requested={"x-amz-tagging": "x" * 299 + "y"}))
    assert found.lost == ("Tagging",)


def test_a_cut_value_is_evidence_for_one_leaf_only():
    grants = {"GrantRead": "x" * 500, "GrantWrite": "x" * 500}
    found = recover("PutBucketAcl", grants, event(requested={"x-amz-grant-read": "x" * 300}))
    assert (found.truncated, found.lost) == (("GrantRead",), ("GrantWrite",))


@pytest.mark.parametrize(
    ("logged", "is_equal"),
    [
        ("2030-01-01T00:00:00Z", True),
        ("2030-01-01T01:00:00.123+01:00", True),
        ("Tue, 01 Jan 2030 00:00:00 GMT", True),
        ("2030-01-01T00:00:01Z", False),
        ("2030-99-99T00:00:00Z", False),
        ("", False),
    ],
)
def test_times_are_compared_as_instants(logged, is_equal):
    until = datetime(2030, 1, 1, 2, 0, 0, 999999, tzinfo=timezone(timedelta(hours=2)))
    for given_as in (until, "2030-01-01", datetime(2030, 1, 1), 1893456000):
        sent = sent_leaves("PutObjectRetention", {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": given_as}})
        assert sent["Retention.RetainUntilDate"] == "2030-01-01T00:00:00Z"
        found = recover("PutObjectRetention", sent, event(requested={"Retention": {"RetainUntilDate": logged}}))
        assert ("Retention.RetainUntilDate" in found.recovered) is is_equal


@pytest.mark.parametrize(
    ("logged", "is_equal"), [(True, True), ("true", True), ("TRUE", True), (1, False), ("", False)]
)
def test_booleans_are_compared_whatever_their_spelling(logged, is_equal):
    parameters = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}
    sent = sent_leaves("PutPublicAccessBlock", parameters)
    assert sent == {"PublicAccessBlockConfiguration.BlockPublicAcls": "true"}
    requested = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": logged}}
    assert bool(recover("PutPublicAccessBlock", sent, event(requested=requested)).recovered) is is_equal


@pytest.mark.parametrize("source", ["photo-store/a cat.jpg", {"Bucket": "photo-store", "Key": "a cat.jpg"}])
@pytest.mark.parametrize("logged", ["photo-store/a%20cat.jpg", "photo-store/a cat.jpg"])
def test_a_copy_source_is_one_leaf_however_it_is_given(source, logged):
    sent = sent_leaves("UploadPartCopy", {"CopySource": source, "PartNumber": 1, "UploadId": "u"})
    assert sent == {"CopySource": "photo-store/a cat.jpg"}
    assert recover("UploadPartCopy", sent, event(requested={"x-amz-copy-source": logged})).share == 1


def test_a_copy_source_behind_an_access_point_is_written_as_botocore_does():
    arn = "arn:aws:s3:us-east-1:111122223333:accesspoint/point"
    sent = sent_leaves("CopyObject", {"CopySource": {"Bucket": arn, "Key": "cat.jpg"}})
    logged = event(requested={"x-amz-copy-source": quote(f"{arn}/object/cat.jpg")})
    assert recover("CopyObject", sent, logged).share == 1


def test_a_list_in_a_header_is_one_leaf():
    sent = sent_leaves("GetObjectAttributes", {"ObjectAttributes": ["ObjectSize", "StorageClass"]})
    assert sent == {"ObjectAttributes": "ObjectSize,StorageClass"}
    logged = event(requested={"x-amz-object-attributes": "ObjectSize,StorageClass"})
    assert recover("GetObjectAttributes", sent, logged).share == 1


@pytest.mark.parametrize("logged", [["Size", "ETag"], {"Field": ["Size", "ETag"]}, {"member": "Size", "Field": "ETag"}])
def test_the_items_of_a_list_have_its_name_or_their_own(logged):
    configuration = {"OptionalFields": ["Size", "ETag"]}
    sent = sent_leaves("PutBucketInventoryConfiguration", {"Id": "i", "InventoryConfiguration": configuration})
    requested = {"InventoryConfiguration": {"OptionalFields": logged}}
    lost = [] if "member" not in logged else ["InventoryConfiguration.OptionalFields[0]"]
    assert list(recover("PutBucketInventoryConfiguration", sent, event(requested=requested)).lost) == lost


def test_a_header_may_be_logged_by_the_name_of_its_parameter():
    sent = sent_leaves("PutObject", {"StorageClass": "GLACIER"})
    assert recover("PutObject", sent, event(requested={"storageClass": "GLACIER"})).share == 1


def test_older_events_have_parameters_as_arrays():
    sent = sent_leaves("PutBucketAcl", {"ACL": "public-read"})
    assert recover("PutBucketAcl", sent, event(requested={"acl": [""], "x-amz-acl": ["public-read"]})).share == 1


def test_a_policy_that_was_logged_as_text_is_read():
    sent = sent_leaves("PutBucketPolicy", {"Policy": json.dumps(POLICY)})
    assert recover("PutBucketPolicy", sent, event(requested={"bucketPolicy": json.dumps(POLICY)})).share == 1
    sent = sent_leaves("PutBucketPolicy", {"Policy": "invalid-json-policy"})
    assert sent == {"Policy": "invalid-json-policy"}
    assert recover("PutBucketPolicy", sent, event(requested={"bucketPolicy": "invalid-json-policy"})).share == 1


def test_a_tag_that_looks_like_json_is_a_text():
    tags = {"Tagging": {"TagSet": [{"Key": "{}", "Value": '{"a": 1}'}]}}
    sent = sent_leaves("PutBucketTagging", tags)
    assert sent["Tagging.TagSet[0].Value"] == '{"a": 1}'
    logged = {"Tagging": {"TagSet": {"Tag": {"Key": "{}", "Value": '{"a": 1}'}}}}
    assert recover("PutBucketTagging", sent, event(requested=logged)).share == 1


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (b"four", "4"),
        (bytearray(4), "4"),
        ("\u732b!", "4"),
        ('{"a": 1, "b": 2}', "16"),
        (io.BytesIO(b"four"), "4"),
        (b"", "0"),
    ],
)
def test_a_body_is_told_by_its_size(body, size):
    sent = sent_leaves("PutObject", {"Body": body})
    assert sent == {"Body.size": size}
    assert recover("PutObject", sent, event(bytesTransferredIn=int(size))).share == 1
    assert recover("PutObject", sent, event(bytesTransferredIn=99, objectSize=int(size))).share == 1
    assert recover("PutObject", sent, event(bytesTransferredIn=int(size) + 1)).share == 0
    assert recover("NewOperation", {"Body.size": "4"}, line("PUT /cat.jpg", size="4")).share == 1


def test_the_position_of_a_body_is_kept_and_an_unknown_size_left_out():
    body = io.BytesIO(b"0123456789")
    body.seek(4)
    assert sent_leaves("PutObject", {"Body": body}) == {"Body.size": "6"}
    assert body.tell() == 4
    closed = io.BytesIO()
    closed.close()
    assert sent_leaves("PutObject", {"Body": closed}) == {}


def test_a_metadata_key_called_size_is_no_body():
    sent = sent_leaves("PutObject", {"Metadata": {"size": "4"}})
    assert recover("PutObject", sent, event(objectSize=4)).lost == ("Metadata.size",)
    assert recover("PutObject", sent, event(requested={"x-amz-meta-size": "4"})).share == 1


SECRETS = """SSECustomerKey SSECustomerKeyMD5 CopySourceSSECustomerKey CopySourceSSECustomerKeyMD5 Token MFA ClientToken
ContinuationToken RequestToken NextToken ClientRequestToken SecretAccessKey"""


@pytest.mark.parametrize("name", SECRETS.split())
def test_secrets_are_left_out_wherever_they_stand(name):
    for operation in ("PutObject", "RenameObject", "NewOperation"):
        assert sent_leaves(operation, {name: "hush", "Outer": {name: "hush"}, "Bytes": [{name: b"hush"}]}) == {}


def test_the_name_of_a_kms_key_is_no_secret():
    assert sent_leaves("PutObject", {"SSEKMSKeyId": "alias/app"}) == {"SSEKMSKeyId": "alias/app"}


def test_a_name_that_is_payload_in_a_body_is_kept():
    parameters = {"AccountId": "111122223333", "Name": "point", "Bucket": "photo-store"}
    assert sent_leaves("CreateAccessPoint", parameters, "s3control") == {"Bucket": "photo-store"}


def test_names_of_an_unknown_operation_are_taken_as_they_are():
    sent = sent_leaves("PutBucketDreams", {"Bucket": "b", "Dreams": {"Depth": 3, "Since": datetime(2030, 1, 1)}})
    assert sent == {"Dreams.Depth": "3", "Dreams.Since": "2030-01-01T00:00:00Z"}
    logged = event(requested={"Dreams": {"depth": 3, "Since": "2030-01-01T00:00:00Z"}})
    assert recover("PutBucketDreams", sent, logged).share == 1
    assert recover("PutBucketDreams", sent, logged, service="dreams").share == 1


def test_an_empty_element_is_a_leaf_and_an_absent_one_is_not():
    assert sent_leaves("PutBucketTagging", {"Tagging": {"TagSet": []}}) == {"Tagging.TagSet": ""}
    assert sent_leaves("PutBucketCors", {"CORSConfiguration": {"CORSRules": []}}) == {}
    assert sent_leaves("PutObject", {"Metadata": {}}) == {}
    sent = sent_leaves("PutBucketNotification", {"NotificationConfiguration": {}})
    assert recover("PutBucketNotification", sent, event(requested={"notification": ""})).share == 0
    assert recover("PutBucketNotification", sent, event(requested={"NotificationConfiguration": {}})).share == 1


def test_without_a_record_everything_is_lost_and_without_leaves_there_is_no_share():
    assert recover("PutBucketAcl", {"ACL": "private"}) == Recovery(lost=("ACL",))
    assert recover("PutBucketAcl", {"ACL": "private"}).share == 0
    assert recover("GetBucketAcl", {}, event()).share is None


def test_a_summary_counts_the_leaves_of_all_calls():
    recoveries = [
        Recovery(recovered=("A", "B")),
        Recovery(),
        Recovery(lost=("B", "A"), truncated=("C",)),
        Recovery(recovered=("A",), lost=("B",)),
    ]
    assert summarise(recoveries) == {
        "sent": 7,
        "recovered": 3,
        "share": 0.429,
        "lost": ["A", "B"],
        "truncated": ["C"],
    }
    assert summarise([Recovery(), Recovery()]) is None
    assert summarise([]) is None
    many = summarise([Recovery(lost=tuple(f"{number:03d}" for number in range(99)))])
    assert many is not None
    assert many["lost"] == [f"{number:03d}" for number in range(20)]


def test_hostile_parameters_are_read_as_far_as_they_go():
    loop: list[Any] = []
    loop.extend([loop, loop])
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    odd = [loop, deep, object(), 10**5000, float("nan"), {1: {2}, "\ud800": "\udfff"}, "{" * 99_999, '{"a":' * 99_999]
    assert len(sent_leaves("PutObject", {"A": loop})) == MAX_LEAVES
    for value in odd:
        leaves = sent_leaves("PutBucketPolicy", {"Policy": value})
        assert leaves
        json.dumps(leaves).encode()
        "".join([*leaves, *leaves.values()]).encode()


# Requests that botocore itself writes, for every operation of its model, and the records they would leave.

LETTERS = st.characters(min_codepoint=33, max_codepoint=0x2FFF, categories=["L", "N", "P", "S"])
TEXTS = st.text(LETTERS, min_size=1, max_size=6)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@st.composite
def values(draw: Callable[..., Any], shape: Shape) -> Any:
    """Return a value that a shape allows."""
    kind = shape.type_name
    if kind == "structure":
        names = [name for name in shape.members if name not in ("And", "SSECustomerKey", "CopySourceSSECustomerKey")]
        wanted = draw(st.sets(st.sampled_from(names), min_size=1, max_size=4)) if names else ()
        return {name: draw(values(shape.members[name])) for name in names if name in wanted}
    if kind == "list":
        return [draw(values(shape.member)) for _ in range(draw(st.integers(1, 2)))]
    if kind == "map":
        return draw(st.dictionaries(st.from_regex(r"[a-z.-]{1,8}", fullmatch=True), st.just("v"), max_size=2))
    if getattr(shape, "enum", None):
        return draw(st.sampled_from(shape.enum))
    simple = {"boolean": st.booleans(), "integer": st.integers(0, 9), "long": st.integers(0, 9), "timestamp": TIMES}
    return draw((simple | {"blob": st.binary(max_size=9)}).get(kind, TEXTS))


@st.composite
def requests(draw: Callable[..., Any]) -> tuple[str, dict[str, Any]]:
    """Return an operation and parameters for it."""
    operation = draw(st.sampled_from(MODEL.operation_names))
    shape = MODEL.operation_model(operation).input_shape
    parameters = draw(values(shape)) if shape.members else {}
    named = {"Bucket": "photo-store", "Key": "cat.jpg", "CopySource": "photo-store/a%cat", "RequestRoute": "route"}
    return operation, parameters | {name: named[name] for name in named if name in shape.members}


def xml_to_json(element: ET.Element) -> Any:
    """Write an element as native events do: attributes, a single child as an object, repeated ones as an array."""
    prefix = "{" + XSI["xmlns:xsi"] + "}"
    result: dict[str, Any] = {name.replace(prefix, "xsi:"): value for name, value in element.attrib.items()}
    for child in element:
        result.setdefault(child.tag.rpartition("}")[2], []).append(xml_to_json(child))
    if not result:
        return element.text or ""
    return {name: v[0] if isinstance(v, list) and len(v) == 1 else v for name, v in result.items()}


def wire_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def records_of(operation: str, parameters: Mapping[str, Any]) -> tuple[Record, Record]:
    """Return the event and the line of a request that botocore's own serializer writes."""
    request = create_serializer("rest-xml", include_validation=False).serialize_to_request(
        dict(parameters), MODEL.operation_model(operation)
    )
    query = {name: wire_text(value) for name, value in request["query_string"].items()}
    requested: dict[str, Any] = query | {name: wire_text(value) for name, value in request["headers"].items()}
    if "x-amz-copy-source" in requested:  # as botocore's own handler encodes it before
        requested["x-amz-copy-source"] = quote(requested["x-amz-copy-source"])
    body, size = request["body"], {}
    if operation == "PutBucketPolicy":
        requested["bucketPolicy"] = body.decode() if isinstance(body, bytes) else body
    elif isinstance(body, bytes) and body.startswith(b"<"):
        root = ET.fromstring(body)
        requested[root.tag.rpartition("}")[2]] = xml_to_json(root)
    elif isinstance(body, (bytes, bytearray)):
        size = {"bytesTransferredIn": len(body)}
    target = f"PUT /cat.jpg?{urlencode(query, quote_via=quote)}"
    return event(operation, requested, **size), line(target, key="cat.jpg")


@given(requests())
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_everything_is_recovered_from_a_record_of_the_whole_request(request_):
    operation, parameters = request_
    sent = sent_leaves(operation, parameters)
    logged, _ = records_of(operation, parameters)
    found = recover(operation, sent, logged)
    assert (found.lost, found.truncated) == ((), ()), logged.fields
    assert found.recovered == tuple(sent)


@given(requests())
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_a_line_recovers_the_query_and_nothing_else(request_):
    operation, parameters = request_
    members = MODEL.operation_model(operation).input_shape.members
    queried = {name for name, member in members.items() if member.serialization.get("location") == "querystring"}
    sent = sent_leaves(operation, parameters)
    _, logged = records_of(operation, parameters)
    assert set(recover(operation, sent, logged).recovered) == {path for path in sent if path in queried}


@given(requests(), requests(), st.booleans(), st.integers(0, 9))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_recovered_truncated_and_lost_partition_what_was_sent(one, other, by_line, cut):
    sent = sent_leaves(*one) | {"Long": "x" * 300}
    logged = records_of(*other)[by_line]
    damaged = replace(logged, fields=dict(list(logged.fields.items())[cut:]) | {"requestParameters.Long": "x" * 256})
    found = recover(one[0], sent, damaged)
    assert sorted([*found.recovered, *found.truncated, *found.lost]) == sorted(sent)


NUMBERS = st.none() | st.booleans() | st.integers() | st.floats()
HOSTILE = st.recursive(
    NUMBERS | st.text() | st.binary() | st.datetimes() | st.just(object()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=8,
)
FIELD_NAMES = st.text() | st.builds("requestParameters.{}".format, st.text()) | st.sampled_from(server_access.FIELDS)
FIELDS = st.dictionaries(FIELD_NAMES, NUMBERS | st.text(), max_size=8)
OPERATIONS = st.sampled_from(MODEL.operation_names) | st.text()


@given(OPERATIONS, st.data(), FIELDS, st.sampled_from([SERVER_ACCESS, CLOUDTRAIL, "eventbridge"]))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_nothing_raises_on_hostile_parameters_and_records(operation, data, fields, channel):
    shape = MODEL.operation_model(operation).input_shape if operation in MODEL.operation_names else None
    names = st.sampled_from(list(shape.members)) if shape and shape.members else st.text()
    sent = sent_leaves(operation, data.draw(st.dictionaries(names | st.text(), HOSTILE, max_size=4)))
    assert all(isinstance(text, str) and text.encode() is not None for leaf in sent.items() for text in leaf)
    record = replace(event(), channel=channel, fields=fields)
    found = recover(operation, sent, record, record)
    assert len(found.recovered) + len(found.truncated) + len(found.lost) == len(sent)
    assert recover(operation, data.draw(st.dictionaries(st.text(), st.text(), max_size=4)), record) is not None
    assert summarise([found]) is None or sent
