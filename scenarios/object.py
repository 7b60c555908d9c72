"""Objects: put, get, head, copy, delete, batch delete, restore, select, and the attributes that are read."""

from typing import Any

from harness.scenario import Caller, Records, StoredObject, Surroundings, scenario
from scenarios.fixtures import BODY, DIRECTORY_IAM

BATCH = 3
TEXT = (
    "key-spaces",
    "key-percent",
    "key-plus",
    "key-quotes",
    "key-newline",
    "key-unicode",
    "key-emoji",
    "key-punctuation",
    "key-1024-bytes",
)
HEADERS = ("user-agent-quotes", "user-agent-long", "referer-quotes")
REFUSED = ("anonymous", "bad-signature", "unknown-key", "wrong-owner")
OTHERS = ("cross-account",)
ADDRESSED = ("path-style", "access-point", "access-point-alias")
PRESIGNED = ("presigned", "presigned-tampered", "expired")


@scenario(
    "PutObject",
    variants=[
        *REFUSED,
        *OTHERS,
        *PRESIGNED,
        *ADDRESSED,
        *TEXT,
        *HEADERS,
        "bad-digest",
        "bad-checksum",
        "options",
        "canned-acl",
    ],
)
def put_object(call: Caller, bucket: str, new_key: str) -> None:
    """Put a few bytes."""
    call(Bucket=bucket, Key=new_key, Body=BODY)


@scenario(
    "GetObject",
    variants=[
        *REFUSED,
        *OTHERS,
        *PRESIGNED,
        *ADDRESSED,
        *TEXT,
        *HEADERS,
        "missing-key",
        "missing-version",
        "not-modified",
        "precondition-failed",
        "range",
        "bad-range",
        "presigned-sigv2",
        "clock-skew",
        "plain-http",
    ],
)
def get_object(call: Caller, stored_object: StoredObject) -> None:
    """Read a whole object."""
    call(Bucket=stored_object.bucket, Key=stored_object.key)


@scenario(
    "HeadObject",
    iam=["s3:GetObject"],
    variants=[
        *REFUSED,
        *OTHERS,
        *ADDRESSED,
        "presigned",
        "expired",
        "missing-key",
        "not-modified",
        "precondition-failed",
        "range",
        "bad-range",
        "key-unicode",
    ],
)
def head_object(call: Caller, stored_object: StoredObject) -> None:
    """Ask for an object's headers."""
    call(Bucket=stored_object.bucket, Key=stored_object.key)


@scenario(
    "CopyObject",
    records=Records(server_access=2, cloudtrail=2),
    iam=["s3:GetObject", "s3:PutObject"],
    variants=["anonymous", "path-style", "missing-key", "copy-precondition-failed", "key-spaces", "key-unicode"],
)
def copy_object(call: Caller, bucket: str, stored_object: StoredObject, new_key: str) -> None:
    """One call, two records in each channel: the write, and the read of the source."""
    call(Bucket=bucket, Key=new_key, CopySource={"Bucket": bucket, "Key": stored_object.key})


@scenario(
    "DeleteObject",
    variants=[*REFUSED, *OTHERS, *ADDRESSED, *TEXT, "presigned", "missing-version", "precondition-failed"],
)
def delete_object(call: Caller, stored_object: StoredObject) -> None:
    """Delete one object."""
    call(Bucket=stored_object.bucket, Key=stored_object.key)


@scenario(
    "DeleteObjects",
    records=Records(server_access=1 + BATCH, cloudtrail=1 + BATCH),
    iam=["s3:DeleteObject", "s3:PutObject"],
    variants=[*TEXT, "anonymous", "path-style"],
)
def delete_objects(call: Caller, s3: Any, bucket: str, surroundings: Surroundings) -> None:
    """One call, one record of its own and one per key."""
    keys = [surroundings.new_name("batch") for _ in range(BATCH)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=BODY)
    call(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})


@scenario(
    "GetObjectAttributes",
    iam=["s3:GetObject", "s3:GetObjectAttributes"],
    variants=["anonymous", "missing-key"],
)
def get_object_attributes(call: Caller, stored_object: StoredObject) -> None:
    """Read size and storage class without the body."""
    call(Bucket=stored_object.bucket, Key=stored_object.key, ObjectAttributes=["ObjectSize", "StorageClass"])


@scenario("GetObjectTorrent", requires=["torrent"])
def get_object_torrent(call: Caller, stored_object: StoredObject) -> None:
    """BitTorrent was retired in 2022; the operation is still in the model."""
    call(Bucket=stored_object.bucket, Key=stored_object.key)


@scenario("RestoreObject", variants=["anonymous", "missing-key"])
def restore_object(call: Caller, archived_object: StoredObject) -> None:
    """Ask for an archived object back; the request is measured, not the hours that it takes."""
    wanted = {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}
    call(Bucket=archived_object.bucket, Key=archived_object.key, RestoreRequest=wanted)


@scenario("SelectObjectContent", iam=["s3:GetObject", "s3:PutObject"], variants=["anonymous", "missing-key"])
def select_object_content(call: Caller, s3: Any, bucket: str, new_key: str) -> None:
    """Query a CSV object (closed to new AWS customers since July 2024; the error is then the measurement)."""
    s3.put_object(Bucket=bucket, Key=new_key, Body=b"name,size\na,1\nb,2\n")
    call(
        Bucket=bucket,
        Key=new_key,
        Expression="SELECT * FROM s3object",
        ExpressionType="SQL",
        InputSerialization={"CSV": {"FileHeaderInfo": "USE"}},
        OutputSerialization={"CSV": {}},
    )


@scenario("RenameObject", requires=["directory-buckets"], records=Records(server_access=0), iam=DIRECTORY_IAM)
def rename_object(call: Caller, directory_object: StoredObject) -> None:
    """Directory buckets only; they have no server access logs."""
    call(Bucket=directory_object.bucket, Key="after", RenameSource=directory_object.key)


@scenario(
    "WriteGetObjectResponse",
    requires=["object-lambda"],
    records=Records(server_access=0, cloudtrail=0),
    iam=[
        "s3-object-lambda:WriteGetObjectResponse arn:aws:s3-object-lambda:{region}:{account}:accesspoint/s3lm-*",
    ],
)
def write_get_object_response(call: Caller) -> None:
    """Answers a request of an Object Lambda access point, which gives route and token to its function only."""
    call(RequestRoute="io-route", RequestToken="token", Body=BODY)


@scenario("UpdateObjectEncryption", variants=["missing-key"])
def update_object_encryption(call: Caller, stored_object: StoredObject, account_id: str) -> None:
    """Change an object's encryption in place; on AWS the key must exist."""
    key_arn = f"arn:aws:kms:us-east-1:{account_id}:key/00000000-0000-4000-8000-000000000000"
    wanted = {"SSEKMS": {"KMSKeyArn": key_arn}}
    call(Bucket=stored_object.bucket, Key=stored_object.key, ObjectEncryption=wanted)


@scenario("GetObject", variant="version", iam=["s3:GetObjectVersion"])
def get_object_version(call: Caller, versioned_object: StoredObject) -> None:
    """Read one version by its id."""
    call(Bucket=versioned_object.bucket, Key=versioned_object.key, VersionId=versioned_object.version_id)


@scenario("DeleteObject", variant="delete-marker")
def delete_object_with_marker(call: Caller, versioned_object: StoredObject) -> None:
    """Delete without a version id where versions are kept: a delete marker is made."""
    call(Bucket=versioned_object.bucket, Key=versioned_object.key)


@scenario("DeleteObject", variant="version", iam=["s3:DeleteObjectVersion"])
def delete_object_version(call: Caller, versioned_object: StoredObject) -> None:
    """Delete one version for good."""
    call(Bucket=versioned_object.bucket, Key=versioned_object.key, VersionId=versioned_object.version_id)


@scenario("PutObject", variant="already-there", fails=[412])
def put_object_already_there(call: Caller, stored_object: StoredObject) -> None:
    """Put only if the key is free, and it is not."""
    call(Bucket=stored_object.bucket, Key=stored_object.key, Body=BODY, IfNoneMatch="*")


@scenario("GetObject", variant="archived", fails=[403])
def get_archived_object(call: Caller, archived_object: StoredObject) -> None:
    """Read an archived object that was not restored: InvalidObjectState."""
    call(Bucket=archived_object.bucket, Key=archived_object.key)
