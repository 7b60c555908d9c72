"""Buckets themselves: create, delete, list, head, and what is only read."""

from typing import Any

from harness.scenario import Caller, Records, StoredObject, Surroundings, scenario
from scenarios.fixtures import DIRECTORY_IAM


@scenario(
    "ListBuckets",
    records=Records(server_access=0),
    iam=["s3:ListAllMyBuckets"],
    variants=["anonymous", "bad-signature", "unknown-key"],
)
def list_buckets(call: Caller) -> None:
    """A service level request is made to no bucket, so no bucket's access log can hold it."""
    call(MaxBuckets=10)


@scenario(
    "ListDirectoryBuckets",
    requires=["directory-buckets"],
    records=Records(server_access=0),
    iam=["s3express:ListAllMyDirectoryBuckets"],
)
def list_directory_buckets(call: Caller) -> None:
    """Goes to the regional s3express-control endpoint."""
    call(MaxDirectoryBuckets=10)


@scenario("CreateBucket", records=Records(server_access=0))
def create_bucket(call: Caller, surroundings: Surroundings) -> None:
    """A bucket that is being created cannot be logged yet."""
    call(Bucket=surroundings.bucket_name(), **surroundings.site.bucket_parameters)


@scenario("DeleteBucket", variants=["wrong-owner"])
def delete_bucket(call: Caller, fresh_bucket: str) -> None:
    """The deleted bucket was logged until then; whether its last record is delivered is undocumented."""
    call(Bucket=fresh_bucket)


@scenario("HeadBucket", iam=["s3:ListBucket"], variants=["anonymous", "bad-signature", "path-style", "wrong-owner"])
def head_bucket(call: Caller, bucket: str) -> None:
    """Ask whether the bucket exists."""
    call(Bucket=bucket)


@scenario("GetBucketLocation", variants=["anonymous", "bad-signature", "unknown-key", "path-style", "wrong-owner"])
def get_bucket_location(call: Caller, bucket: str) -> None:
    """Read the bucket's Region."""
    call(Bucket=bucket)


@scenario("GetBucketPolicyStatus", iam=["s3:GetBucketPolicyStatus", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"])
def get_bucket_policy_status(call: Caller, s3: Any, fresh_bucket: str, account_id: str) -> None:
    """Needs a policy; this one lets the own account list, which is not public."""
    principal = f'{{"AWS":"arn:aws:iam::{account_id}:root"}}'
    statement = f'"Effect":"Allow","Principal":{principal},"Action":"s3:ListBucket"'
    policy = f'{{"Version":"2012-10-17","Statement":[{{{statement},"Resource":"arn:aws:s3:::{fresh_bucket}"}}]}}'
    s3.put_bucket_policy(Bucket=fresh_bucket, Policy=policy)
    call(Bucket=fresh_bucket)


@scenario("ListObjects", iam=["s3:ListBucket"], variants=["anonymous", "path-style"])
def list_objects(call: Caller, stored_object: StoredObject) -> None:
    """The first version of the listing."""
    call(Bucket=stored_object.bucket, Prefix=stored_object.key)


@scenario(
    "ListObjectsV2",
    iam=["s3:ListBucket"],
    variants=[
        "anonymous",
        "bad-signature",
        "unknown-key",
        "path-style",
        "access-point",
        "access-point-alias",
        "presigned",
    ],
)
def list_objects_v2(call: Caller, stored_object: StoredObject) -> None:
    """Only ``list-type=2`` in the URI tells it from ListObjects."""
    call(Bucket=stored_object.bucket, Prefix=stored_object.key)


@scenario("ListObjectVersions", iam=["s3:ListBucketVersions"], variants=["anonymous"])
def list_object_versions(call: Caller, stored_object: StoredObject) -> None:
    """List versions under a prefix."""
    call(Bucket=stored_object.bucket, Prefix=stored_object.key)


@scenario("ListMultipartUploads", iam=["s3:ListBucketMultipartUploads"])
def list_multipart_uploads(call: Caller, upload: dict[str, str]) -> None:
    """List uploads in progress under a prefix."""
    call(Bucket=upload["Bucket"], Prefix=upload["Key"])


@scenario("CreateSession", requires=["directory-buckets"], records=Records(server_access=0), iam=DIRECTORY_IAM)
def create_session(call: Caller, directory_bucket: str) -> None:
    """Directory buckets only; they have no server access logs."""
    call(Bucket=directory_bucket)


@scenario("DeleteBucket", variant="not-empty", fails=[409], iam=["s3:DeleteBucket", "s3:PutObject"])
def delete_full_bucket(call: Caller, s3: Any, fresh_bucket: str) -> None:
    """Delete a bucket that holds an object: BucketNotEmpty."""
    s3.put_object(Bucket=fresh_bucket, Key="in-the-way", Body=b"x")
    call(Bucket=fresh_bucket)


@scenario("CreateBucket", variant="already-owned", fails=[200, 409])
def create_bucket_again(call: Caller, fresh_bucket: str, surroundings: Surroundings) -> None:
    """Create a bucket that one has: in us-east-1 AWS may answer 200 to this (S3 API Reference, CreateBucket)."""
    call(Bucket=fresh_bucket, **surroundings.site.bucket_parameters)


@scenario("CreateBucket", variant="bad-name", fails=[400], records=Records(server_access=0))
def create_bucket_badly(call: Caller) -> None:
    """A name that no bucket may have; botocore lets it through."""
    call(Bucket="S3LM_No_Such_Name")
