"""Writes server access log entries as JSON, as CloudWatch's vended delivery has them: 29 named fields, schema V_1_0.

Source: S3 User Guide, log format in CloudWatch Logs (June 2026). The key is assumed to stand there as it is, and
``acl_required`` to be false where the text has a dash: the documented sample shows no more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness.embedded.access_log import Entry
from harness.embedded.principals import ACCOUNT_ID, canonical_id


def record_of(entry: Entry, wanted: Sequence[str]) -> str:
    """Return an entry as a JSON record of the fields that a delivery wants, in its order."""
    fields = {
        "schema_version_id": "V_1_0",
        "bucket_arn": f"arn:aws:s3:::{entry.bucket}",
        "bucket_name": entry.bucket,
        "request_time": f"{entry.time:%Y-%m-%dT%H:%M:%S}.{entry.time.microsecond // 1000:03}Z",
        "bucket_owner_id": canonical_id(ACCOUNT_ID),
        "remote_ip": entry.remote_ip,
        "requester": entry.requester,
        "request_id": entry.request_id,
        "operation": entry.operation,
        "key_name": entry.key,
        "request_uri": entry.request_uri,
        "http_status": entry.http_status,
        "error_code": entry.error_code,
        "bytes_sent_size": entry.bytes_sent,
        "object_size": entry.object_size,
        "total_duration": entry.total_time,
        "turn_around_duration": entry.turn_around_time,
        "referer": None if entry.referer == "-" else entry.referer,
        "user_agent": None if entry.user_agent == "-" else entry.user_agent,
        "version_id": entry.version_id,
        "host_id": entry.host_id,
        "signature_version": entry.signature_version,
        "cipher_suite": None,
        "authentication_type": entry.authentication_type,
        "host_header": entry.host_header,
        "tls_version": None,
        "access_point_arn": entry.access_point_arn,
        "acl_required": entry.acl_required,
        "source_region": None,
    }
    return json.dumps({name: fields.get(name) for name in wanted}, separators=(",", ":"))
