"""Multipart uploads, from start to completion or abortion."""

from typing import Any

from harness.scenario import Caller, Records, StoredObject, scenario
from scenarios.fixtures import BODY

IAM = ("s3:PutObject", "s3:AbortMultipartUpload")


@scenario("CreateMultipartUpload", iam=IAM, variants=["anonymous", "options"])
def create_multipart_upload(call: Caller, s3: Any, bucket: str, new_key: str) -> None:
    """Start an upload."""
    started = call(Bucket=bucket, Key=new_key)
    s3.abort_multipart_upload(Bucket=bucket, Key=new_key, UploadId=started["UploadId"])


@scenario("UploadPart", iam=["s3:PutObject"], variants=["missing-upload", "anonymous", "presigned", "path-style"])
def upload_part(call: Caller, upload: dict[str, str]) -> None:
    """Upload one part."""
    call(**upload, PartNumber=1, Body=BODY)


@scenario(
    "UploadPartCopy",
    records=Records(server_access=2, cloudtrail=2),
    iam=["s3:PutObject", "s3:GetObject"],
    variants=["missing-upload", "missing-key"],
)
def upload_part_copy(call: Caller, upload: dict[str, str], stored_object: StoredObject) -> None:
    """One call, two records in each channel: the part, and the read of the source."""
    call(**upload, PartNumber=1, CopySource={"Bucket": stored_object.bucket, "Key": stored_object.key})


@scenario("ListParts", iam=["s3:ListMultipartUploadParts"], variants=["missing-upload"])
def list_parts(call: Caller, upload: dict[str, str]) -> None:
    """List the parts of an upload."""
    call(**upload)


@scenario("CompleteMultipartUpload", iam=["s3:PutObject"], variants=["missing-upload"])
def complete_multipart_upload(call: Caller, upload: dict[str, str], uploaded_part: dict[str, Any]) -> None:
    """Finish an upload of one part."""
    call(**upload, MultipartUpload={"Parts": [uploaded_part]})


@scenario("AbortMultipartUpload", variants=["missing-upload"])
def abort_multipart_upload(call: Caller, upload: dict[str, str]) -> None:
    """Give an upload up."""
    call(**upload)
