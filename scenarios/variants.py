"""The variants: ways in which any scenario's call can be made, by whom, how addressed, with which text, to what end."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from harness import catalogue
from harness.scenario import How, Records, Surroundings, method_of, variant
from harness.targets import ACCESS_CONTROL

Parameters = dict[str, Any]
EXPIRES_SECONDS = 300
ACCESS_POINT_IAM = ("s3:CreateAccessPoint", "s3:GetAccessPoint", "s3:DeleteAccessPoint")
CHECKED = frozenset({ACCESS_CONTROL})
HOSTILE_AGENT = "said \"hello\" and 'bye' -- <b>|`$(id)`"


def _kind(operation: str) -> str:
    found = catalogue.find(operation)
    return found.service if found else ""


def _names_a_bucket(operation: str) -> bool:
    found = catalogue.find(operation)
    return _kind(operation) == "s3" and found is not None and "{Bucket}" in found.uri and operation != "CreateBucket"


def no_access_log(records: Records) -> Records:
    """Nobody's access log can hold a request to a bucket that does not exist."""
    return Records(server_access=0, cloudtrail=records.cloudtrail)


def no_cloudtrail(records: Records) -> Records:
    """CloudTrail does not deliver what fails authentication (S3 User Guide, logging options, note 1)."""
    return Records(server_access=records.server_access, cloudtrail=0)


def missing_bucket(parameters: Parameters, where: Surroundings) -> Parameters:
    """Name a bucket that nobody has, in the run's own name space."""
    return parameters | {"Bucket": where.bucket.replace("-src-", "-srcmissing-")}


def missing_key(parameters: Parameters, where: Surroundings) -> Parameters:
    """Name a key that does not exist, and another one each time; of a copy, as its source."""
    key = {"Key": where.new_name("missing")}
    if "CopySource" in parameters:
        return parameters | {"CopySource": parameters["CopySource"] | key}
    return parameters | key


def missing_upload(parameters: Parameters, _where: Surroundings) -> Parameters:
    """Name an upload that does not exist."""
    return parameters | {"UploadId": "there.is.no.such.upload"}


def missing_version(parameters: Parameters, _where: Surroundings) -> Parameters:
    """Ask for a version that does not exist."""
    return parameters | {"VersionId": "3HL4kqtJvjVBH40NrjfkdNoSuchVersion"}


def _adding(**more: Any) -> Any:
    def change(parameters: Parameters, _where: Surroundings) -> Parameters:
        return parameters | more

    return change


def access_point(parameters: Parameters, where: Surroundings) -> Parameters:
    """Address the bucket by its access point's ARN."""
    return parameters | {"Bucket": where.access_point()[0]}


def access_point_alias(parameters: Parameters, where: Surroundings) -> Parameters:
    """Address the bucket by its access point's alias."""
    return parameters | {"Bucket": where.access_point()[1]}


def let_requester_in(parameters: Parameters, where: Surroundings) -> Parameters:
    """Have the bucket's policy let the role of the other account in: its own policies must do so too."""
    bucket = f"arn:aws:s3:::{parameters['Bucket']}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": where.site.requester_role},
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
        "Resource": [bucket, f"{bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    where.s3.put_bucket_policy(Bucket=parameters["Bucket"], Policy=policy)
    return parameters


def wrong_owner(parameters: Parameters, where: Surroundings) -> Parameters:
    """Expect an owner who is nobody; LocalStack's own account is the one that is nobody's elsewhere."""
    nobody = "0" * 12 if where.account_id != "0" * 12 else "1" * 12
    return parameters | {"ExpectedBucketOwner": nobody}


def matching_etag(parameters: Parameters, where: Surroundings) -> Parameters:
    """Ask only for what differs from the object as it is."""
    head = where.s3.head_object(Bucket=parameters["Bucket"], Key=parameters["Key"])
    return parameters | {"IfNoneMatch": head["ETag"]}


def _presign(how: How, parameters: Parameters) -> tuple[str, bytes]:
    body = parameters.pop("Body", b"")
    client = how.client()
    return client.generate_presigned_url(method_of(how.operation), Params=parameters, ExpiresIn=EXPIRES_SECONDS), body


def _method(how: How) -> str:
    found = catalogue.find(how.operation)
    return found.method if found else "GET"


def presigned(how: How, parameters: Parameters) -> Any:
    """Use a presigned URL, as a browser would: the signature stands in the query."""
    url, body = _presign(how, parameters)
    return how.send(_method(how), url, body=body)


def presigned_tampered(how: How, parameters: Parameters) -> Any:
    """Use a presigned URL whose signature was changed."""
    url, body = _presign(how, parameters)
    changed = url[:-1] + ("0" if url[-1] != "0" else "1")
    return how.send(_method(how), changed, body=body)


def _sign_as_of_yesterday(signer: Any, request: Any) -> None:
    """Sign a URL as of yesterday: it has expired, and nobody had to wait for that."""
    request.context["timestamp"] = (datetime.now(UTC) - timedelta(days=1)).strftime(SIGV4_TIMESTAMP)
    signer._modify_request_before_signing(request)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(to_sign, request))


def expired(how: How, parameters: Parameters) -> Any:
    """Use a presigned URL that has expired."""
    url, body = _presign(how, parameters)
    request = AWSRequest(method=_method(how), url=url.partition("?")[0])
    client = how.client()
    credentials = client._request_signer._credentials.get_frozen_credentials()
    region = client.meta.region_name
    _sign_as_of_yesterday(S3SigV4QueryAuth(credentials, "s3", region, expires=EXPIRES_SECONDS), request)
    return how.send(_method(how), request.prepare().url, body=body)


def clock_skew(how: How, parameters: Parameters) -> Any:
    """Sign with a clock that is a day late."""
    client = how.client()
    url, _, _ = client.generate_presigned_url(method_of(how.operation), Params=parameters).partition("?")
    request = AWSRequest(method=_method(how), url=url, headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    credentials = client._request_signer._credentials.get_frozen_credentials()
    _sign_as_of_yesterday(S3SigV4Auth(credentials, "s3", client.meta.region_name), request)
    return how.send(_method(how), url, headers=dict(request.headers.items()))


def plain_http(how: How, parameters: Parameters) -> Any:
    """Use a presigned URL without TLS."""
    url, body = _presign(how, parameters)
    return how.send(_method(how), url.replace("https://", "http://"), body=body)


def presigned_sigv2(how: How, parameters: Parameters) -> Any:
    """Use a URL presigned with Signature Version 2, which buckets made after June 2020 refuse."""
    client = how.client("signature-version-2")
    url = client.generate_presigned_url(method_of(how.operation), Params=parameters, ExpiresIn=EXPIRES_SECONDS)
    return how.send(_method(how), url)


def _key(suffix: str) -> Any:
    return lambda name: f"{name}{suffix}"


def large_policy(parameters: Parameters, where: Surroundings) -> Parameters:
    """A policy near the limit of 20 kB, made large by its list of resources."""
    resources = [f"arn:aws:s3:::{where.bucket}/never-used/{number:03d}-{'x' * 60}" for number in range(125)]
    listed = ",".join(f'"{resource}"' for resource in resources)
    statement = f'{{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":[{listed}]}}'
    return parameters | {"Policy": f'{{"Version":"2012-10-17","Statement":[{statement}]}}'}


variant(
    "denied",
    meaning="by an assumed role without any permission",
    client="denied",
    fails=(403,),
    everywhere=lambda operation: _kind(operation) != "form",
    served=False,
    requires=CHECKED,
)
variant(
    "missing-bucket",
    meaning="to a bucket that does not exist",
    change=missing_bucket,
    fails=(404,),
    records=no_access_log,
    everywhere=_names_a_bucket,
)
variant("missing-key", meaning="to a key that does not exist", change=missing_key, fails=(404,))
variant("missing-upload", meaning="to an upload that does not exist", change=missing_upload, fails=(404,))
variant(
    "missing-version",
    meaning="to a version that does not exist",
    change=missing_version,
    fails=(204, 400, 404),
    iam=("s3:GetObjectVersion",),
)
variant("anonymous", meaning="unsigned, to a private resource", client="anonymous", fails=(403,), requires=CHECKED)
variant(
    "bad-signature",
    meaning="signed with a wrong secret",
    client="bad-signature",
    fails=(403,),
    records=no_cloudtrail,
    requires=CHECKED,
)
variant(
    "unknown-key",
    meaning="signed with an access key that nobody has",
    client="unknown-key",
    fails=(403,),
    records=no_cloudtrail,
    requires=CHECKED,
)
variant("presigned", meaning="by a presigned URL", via=presigned)
variant(
    "presigned-tampered",
    meaning="by a presigned URL with a changed signature",
    via=presigned_tampered,
    fails=(403,),
    records=no_cloudtrail,
)
variant("expired", meaning="by a presigned URL that has expired", via=expired, fails=(403,), records=no_cloudtrail)
variant(
    "presigned-sigv2",
    meaning="by a URL presigned with Signature Version 2",
    via=presigned_sigv2,
    fails=(400, 403),
    records=no_cloudtrail,
)
variant(
    "clock-skew",
    meaning="signed with a clock that is a day late",
    via=clock_skew,
    fails=(403,),
    records=no_cloudtrail,
    requires=CHECKED,
)
variant("plain-http", meaning="by a presigned URL without TLS", via=plain_http)
variant("not-modified", meaning="conditional: unchanged since (304)", change=matching_etag, fails=(304,))
variant(
    "precondition-failed",
    meaning="conditional: another version than the one asked for (412)",
    change=_adding(IfMatch='"00000000000000000000000000000000"'),
    fails=(412,),
)
variant(
    "already-there",
    meaning="conditional: only if it does not exist (412)",
    change=_adding(IfNoneMatch="*"),
    fails=(412,),
)
variant(
    "copy-precondition-failed",
    meaning="conditional on the source of a copy (412)",
    change=_adding(CopySourceIfMatch='"00000000000000000000000000000000"'),
    fails=(412,),
)
variant("range", meaning="a part of the object (206)", change=_adding(Range="bytes=2-5"))
variant(
    "bad-range", meaning="a part beyond the object's end (416)", change=_adding(Range="bytes=900000-"), fails=(416,)
)
variant(
    "cross-account",
    meaning="by a role of another account that the bucket's policy lets in",
    client="requester",
    change=let_requester_in,
    requires=frozenset({"requester"}),
    iam=("s3:PutBucketPolicy",),
)
variant("path-style", meaning="bucket named in the path, not in the host", client="path-style")
variant(
    "access-point",
    meaning="by the ARN of an access point",
    change=access_point,
    iam=ACCESS_POINT_IAM,
    by_access_point=True,
)
variant(
    "access-point-alias",
    meaning="by the alias of an access point",
    change=access_point_alias,
    iam=ACCESS_POINT_IAM,
    by_access_point=True,
)
variant(
    "wrong-owner",
    meaning="with an expected bucket owner who is not the owner",
    change=wrong_owner,
    fails=(403,),
)
variant(
    "bad-digest",
    meaning="with a Content-MD5 of something else (400)",
    change=_adding(ContentMD5=base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()),
    fails=(400,),
)
variant(
    "bad-checksum",
    meaning="with a CRC32 of something else (400)",
    change=_adding(ChecksumCRC32="AAAAAA=="),
    fails=(400,),
)
variant(
    "options",
    meaning="with metadata, tags and storage class in headers",
    change=_adding(Metadata={"made-by": "s3logjam"}, Tagging="purpose=s3logjam", StorageClass="STANDARD_IA"),
    iam=("s3:PutObjectTagging",),
)
variant(
    "canned-acl",
    meaning="with a canned ACL in a header",
    change=_adding(ACL="bucket-owner-full-control"),
    iam=("s3:PutObjectAcl",),
)
variant("large-policy", meaning="with a policy near the limit of 20 kB", change=large_policy)
variant("user-agent-quotes", meaning="with quotes and markup in the user agent", headers={"User-Agent": HOSTILE_AGENT})
variant("user-agent-long", meaning="with a user agent of 4 kB", headers={"User-Agent": "x" * 4096})
variant(
    "referer-quotes", meaning="with quotes in the referer", headers={"Referer": "https://example.com/\"q\" 's' a b"}
)
variant("key-spaces", meaning="a key with blanks", rename=_key(" a  b "))
variant("key-percent", meaning="a key with percent signs", rename=_key("%20%2F%zz%"))
variant("key-plus", meaning="a key with plus signs", rename=_key("+a++b"))
variant("key-quotes", meaning="a key with quotes and a backslash", rename=_key("\"a\" 'b' \\c"))
variant("key-newline", meaning="a key with line breaks and a tab", rename=_key("\na\r\nb\t"))
variant(
    "key-unicode", meaning="a key in several scripts, combining and right-to-left", rename=_key("äöü-日本語-עברית-é")
)
variant("key-emoji", meaning="a key with emoji outside the basic plane", rename=_key("🪣🧨👩‍💻"))
variant("key-punctuation", meaning="a key with the signs that URLs and shells use", rename=_key("?a=b&c;#d!*'(),:@$~"))
variant("key-1024-bytes", meaning="a key of the greatest length", rename=lambda name: name.ljust(1024, "k"))
