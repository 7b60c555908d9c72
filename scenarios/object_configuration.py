"""What is put on an object: ACL, tags, retention, legal hold, annotations."""

from datetime import timedelta
from typing import Any

from harness.clock import Clock
from harness.scenario import configuration

MISSING_KEY = dict.fromkeys(("put", "get", "delete", "list"), ("missing-key",))


def retention(clock: Clock) -> dict[str, Any]:
    """An hour of GOVERNANCE retention: never COMPLIANCE, which nobody could take back."""
    until = clock.now() + timedelta(hours=1)
    return {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": until}}


configuration("ObjectAcl", on="acl_object", put={"ACL": "bucket-owner-full-control"}, variants=MISSING_KEY)
configuration(
    "ObjectTagging", on="stored_object", put={"Tagging": {"TagSet": [{"Key": "purpose", "Value": "s3logjam"}]}}
)
configuration(
    "ObjectRetention",
    on="locked_object",
    put=retention,
    further_iam=["s3:BypassGovernanceRetention"],
    missing=["get"],
    variants=MISSING_KEY,
)
configuration("ObjectLegalHold", on="locked_object", put={"LegalHold": {"Status": "OFF"}}, variants=MISSING_KEY)
configuration(
    "ObjectAnnotation",
    on="stored_object",
    put={"AnnotationName": "note", "AnnotationPayload": b'{"made-by": "s3logjam"}'},
    identifier="AnnotationName",
    missing=["get", "delete"],
    variants=MISSING_KEY,
)
