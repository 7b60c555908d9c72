"""What scenarios ask for by parameter name; ``bucket``, ``s3``, ``call``, ``clock`` and ``account_id`` are built in."""

from collections.abc import Iterator
from typing import Any

from harness.scenario import StoredObject, Surroundings, fixture

BODY = b"s3logjam measures what S3 logs\n"
DIRECTORY_IAM = ("s3express:CreateBucket", "s3express:CreateSession", "s3express:DeleteBucket")
# What creating a bucket with Object Lock needs (S3 API Reference, CreateBucket).
LOCK_IAM = ("s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning")


@fixture(iam=["s3:PutObject"])
def stored_object(s3: Any, bucket: str, surroundings: Surroundings) -> StoredObject:
    """An object of a few bytes in the test bucket."""
    key = surroundings.new_name("object")
    s3.put_object(Bucket=bucket, Key=key, Body=BODY)
    return StoredObject(bucket, key, BODY)


@fixture
def new_key(surroundings: Surroundings) -> str:
    """A key that does not exist yet."""
    return surroundings.new_name("new")


@fixture
def fresh_bucket(surroundings: Surroundings) -> str:
    """A bucket of its own, logged like the test bucket."""
    return surroundings.new_bucket()


@fixture(iam=["s3:PutBucketOwnershipControls"])
def acl_bucket(surroundings: Surroundings) -> str:
    """A bucket whose ownership setting allows ACLs."""
    return surroundings.new_bucket(ObjectOwnership="ObjectWriter")


@fixture(iam=["s3:PutObject"])
def acl_object(s3: Any, acl_bucket: str) -> StoredObject:
    """An object in a bucket that allows ACLs."""
    s3.put_object(Bucket=acl_bucket, Key="acl-object", Body=BODY)
    return StoredObject(acl_bucket, "acl-object", BODY)


@fixture(iam=["s3:PutBucketVersioning"])
def versioned_bucket(s3: Any, surroundings: Surroundings) -> str:
    """A bucket with versioning enabled."""
    name = surroundings.new_bucket()
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@fixture(iam=LOCK_IAM)
def locked_bucket(surroundings: Surroundings) -> str:
    """A bucket with Object Lock enabled and no default retention."""
    return surroundings.new_bucket(ObjectLockEnabledForBucket=True)


@fixture(iam=[*LOCK_IAM, "s3:PutBucketOwnershipControls"])
def empty_locked_bucket(surroundings: Surroundings) -> str:
    """A bucket with Object Lock enabled, for its configuration alone."""
    return surroundings.new_bucket(ObjectLockEnabledForBucket=True, ObjectOwnership="BucketOwnerEnforced")


@fixture(iam=["s3:PutObject"])
def locked_object(s3: Any, locked_bucket: str) -> StoredObject:
    """An object in a bucket with Object Lock; teardown lifts legal holds and bypasses GOVERNANCE retention."""
    answer = s3.put_object(Bucket=locked_bucket, Key="locked-object", Body=BODY)
    return StoredObject(locked_bucket, "locked-object", BODY, answer.get("VersionId"))


@fixture(iam=["s3:PutObject"])
def versioned_object(s3: Any, versioned_bucket: str) -> StoredObject:
    """An object in a bucket with versioning, with its version id."""
    answer = s3.put_object(Bucket=versioned_bucket, Key="versioned-object", Body=BODY)
    return StoredObject(versioned_bucket, "versioned-object", BODY, answer["VersionId"])


@fixture
def directory_bucket(surroundings: Surroundings) -> str:
    """A directory bucket; only a well-formed name where the target has none."""
    return surroundings.directory_bucket()


@fixture
def directory_object(s3: Any, surroundings: Surroundings, directory_bucket: str) -> StoredObject:
    """An object in a directory bucket; only its name where the target has none."""
    if "directory-buckets" in surroundings.capabilities:
        s3.put_object(Bucket=directory_bucket, Key="before", Body=BODY)
    return StoredObject(directory_bucket, "before", BODY)


@fixture(iam=["s3:PutObject"])
def archived_object(s3: Any, bucket: str, surroundings: Surroundings) -> StoredObject:
    """An object in the GLACIER storage class."""
    key = surroundings.new_name("archived")
    s3.put_object(Bucket=bucket, Key=key, Body=BODY, StorageClass="GLACIER")
    return StoredObject(bucket, key, BODY)


@fixture(iam=["s3:PutObject", "s3:ListBucketMultipartUploads", "s3:AbortMultipartUpload"])
def upload(s3: Any, bucket: str, surroundings: Surroundings) -> Iterator[dict[str, str]]:
    """A started multipart upload, as the parameters that name it; aborted afterwards if it is still there."""
    key = surroundings.new_name("multipart")
    started = s3.create_multipart_upload(Bucket=bucket, Key=key)
    named = {"Bucket": bucket, "Key": key, "UploadId": started["UploadId"]}
    yield named
    unfinished = s3.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", [])
    if any(each["UploadId"] == named["UploadId"] for each in unfinished):
        s3.abort_multipart_upload(**named)


@fixture(iam=["s3:PutObject"])
def uploaded_part(s3: Any, upload: dict[str, str]) -> dict[str, Any]:
    """The one part of a multipart upload, as CompleteMultipartUpload names it."""
    answer = s3.upload_part(**upload, PartNumber=1, Body=BODY)
    return {"PartNumber": 1, "ETag": answer["ETag"]}
