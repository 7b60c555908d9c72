"""The bucket configuration families: one declaration each, from which Put, Get, List and Delete follow."""

import json
from typing import Any

from harness.scenario import configuration

RULES = [{"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}]
OLD_RULES = [{"ID": "expire", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 30}}]


def policy_denying_insecure_transport(bucket: str) -> dict[str, str]:
    """A policy that changes nothing for us: it denies what is not sent over TLS to a key nobody uses."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/never-used",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


def analytics(bucket: str, account_id: str) -> dict[str, Any]:
    """An analytics configuration that exports to the test bucket itself."""
    exported = {"Format": "CSV", "BucketAccountId": account_id, "Bucket": f"arn:aws:s3:::{bucket}"}
    export = {"OutputSchemaVersion": "V_1", "Destination": {"S3BucketDestination": exported}}
    return {"Id": "a1", "AnalyticsConfiguration": {"Id": "a1", "StorageClassAnalysis": {"DataExport": export}}}


def inventory(bucket: str, account_id: str) -> dict[str, Any]:
    """A disabled inventory: the configuration is what is measured, no report is ever made."""
    destination = {
        "S3BucketDestination": {"AccountId": account_id, "Bucket": f"arn:aws:s3:::{bucket}", "Format": "CSV"}
    }
    settings = {
        "Id": "i1",
        "IsEnabled": False,
        "IncludedObjectVersions": "Current",
        "Schedule": {"Frequency": "Weekly"},
        "Destination": destination,
    }
    return {"Id": "i1", "InventoryConfiguration": settings}


def replication(fresh_bucket: str, account_id: str, s3: Any) -> dict[str, Any]:
    """A disabled rule to a second bucket; the role need not exist on the embedded target."""
    s3.put_bucket_versioning(Bucket=fresh_bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "r1",
        "Priority": 1,
        "Status": "Disabled",
        "Filter": {"Prefix": "replicate/"},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{fresh_bucket}"},
    }
    role = f"arn:aws:iam::{account_id}:role/s3lm-replication"
    return {"ReplicationConfiguration": {"Role": role, "Rules": [rule]}}


def logging_to_the_log_bucket(fresh_bucket: str, s3: Any) -> dict[str, Any]:
    """The bucket's own logging configuration, put once more: nothing changes for its deliveries."""
    answer = s3.get_bucket_logging(Bucket=fresh_bucket)
    return {"BucketLoggingStatus": {k: v for k, v in answer.items() if k == "LoggingEnabled"}}


def notifying_eventbridge_too(bucket: str, s3: Any) -> dict[str, Any]:
    """The bucket's own notification configuration, put once more, with EventBridge beside it."""
    answer = s3.get_bucket_notification_configuration(Bucket=bucket)
    own = {name: value for name, value in answer.items() if name.endswith("Configurations")}
    return {"NotificationConfiguration": own | {"EventBridgeConfiguration": {}}}


configuration(
    "BucketCors",
    put={"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"]}]}},
    iam={"put": "s3:PutBucketCORS", "get": "s3:GetBucketCORS", "delete": "s3:PutBucketCORS"},
    missing=["get"],
)
configuration(
    "BucketEncryption",
    put={
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        }
    },
    iam={
        "put": "s3:PutEncryptionConfiguration",
        "get": "s3:GetEncryptionConfiguration",
        "delete": "s3:PutEncryptionConfiguration",
    },
)
configuration(
    "BucketLifecycleConfiguration",
    put={"LifecycleConfiguration": {"Rules": RULES}},
    operations={"delete": "DeleteBucketLifecycle"},
    iam={
        "put": "s3:PutLifecycleConfiguration",
        "get": "s3:GetLifecycleConfiguration",
        "delete": "s3:PutLifecycleConfiguration",
    },
    missing=["get"],
)
# The deprecated twin has the same wire form; its DeleteBucketLifecycle is the one above.
configuration(
    "BucketLifecycle",
    on="fresh_bucket",
    put={"LifecycleConfiguration": {"Rules": OLD_RULES}},
    operations={"delete": ""},
    iam={"put": "s3:PutLifecycleConfiguration", "get": "s3:GetLifecycleConfiguration"},
)
configuration(
    "BucketNotificationConfiguration",
    put=notifying_eventbridge_too,
    iam={"put": "s3:PutBucketNotification", "get": "s3:GetBucketNotification"},
)
configuration(
    "BucketNotification",
    on="fresh_bucket",
    put={"NotificationConfiguration": {}},
    iam={"put": "s3:PutBucketNotification", "get": "s3:GetBucketNotification"},
)
configuration(
    "BucketOwnershipControls",
    on="fresh_bucket",
    put={"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}},
    iam={"delete": "s3:PutBucketOwnershipControls"},
    missing=["get"],
)
configuration(
    "BucketPolicy",
    put=policy_denying_insecure_transport,
    missing=["get"],
    variants={"put": ["anonymous", "bad-signature", "large-policy"], "get": ["anonymous", "wrong-owner"]},
)
configuration(
    "PublicAccessBlock",
    on="fresh_bucket",
    put={"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "IgnorePublicAcls": True}},
    iam={
        "put": "s3:PutBucketPublicAccessBlock",
        "get": "s3:GetBucketPublicAccessBlock",
        "delete": "s3:PutBucketPublicAccessBlock",
    },
    missing=["get"],
)
configuration(
    "BucketReplication",
    on="versioned_bucket",
    put=replication,
    iam={
        "put": "s3:PutReplicationConfiguration",
        "get": "s3:GetReplicationConfiguration",
        "delete": "s3:PutReplicationConfiguration",
    },
    further_iam=["s3:PutBucketVersioning", "iam:PassRole"],
    missing=["get"],
)
configuration(
    "BucketTagging",
    put={"Tagging": {"TagSet": [{"Key": "purpose", "Value": "s3logjam"}]}},
    on="fresh_bucket",
    iam={"delete": "s3:PutBucketTagging"},
)
configuration(
    "BucketWebsite",
    put={"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}},
    missing=["get"],
)
configuration(
    "BucketAnalyticsConfiguration",
    put=analytics,
    identifier="Id",
    iam=dict.fromkeys(("put", "delete"), "s3:PutAnalyticsConfiguration")
    | dict.fromkeys(("get", "list"), "s3:GetAnalyticsConfiguration"),
    missing=["get", "delete"],
)
configuration(
    "BucketInventoryConfiguration",
    put=inventory,
    identifier="Id",
    iam=dict.fromkeys(("put", "delete"), "s3:PutInventoryConfiguration")
    | dict.fromkeys(("get", "list"), "s3:GetInventoryConfiguration"),
    missing=["get", "delete"],
)
configuration(
    "BucketMetricsConfiguration",
    put={"Id": "m1", "MetricsConfiguration": {"Id": "m1", "Filter": {"Prefix": "never-used/"}}},
    identifier="Id",
    iam=dict.fromkeys(("put", "delete"), "s3:PutMetricsConfiguration")
    | dict.fromkeys(("get", "list"), "s3:GetMetricsConfiguration"),
    missing=["get", "delete"],
)
configuration(
    "BucketIntelligentTieringConfiguration",
    put={
        "Id": "t1",
        "IntelligentTieringConfiguration": {
            "Id": "t1",
            "Status": "Disabled",
            "Filter": {"Prefix": "never-used/"},
            "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}],
        },
    },
    identifier="Id",
    iam=dict.fromkeys(("put", "delete"), "s3:PutIntelligentTieringConfiguration")
    | dict.fromkeys(("get", "list"), "s3:GetIntelligentTieringConfiguration"),
    missing=["get", "delete"],
)
configuration("BucketAbac", on="fresh_bucket", put={"AbacStatus": {"Status": "Disabled"}})
configuration(
    "BucketAccelerateConfiguration",
    on="fresh_bucket",
    put={"AccelerateConfiguration": {"Status": "Suspended"}},
    iam={"put": "s3:PutAccelerateConfiguration", "get": "s3:GetAccelerateConfiguration"},
)
configuration(
    "BucketAcl",
    on="acl_bucket",
    put={"ACL": "private"},
    variants={"get": ["anonymous", "bad-signature"], "put": ["anonymous"]},
)
configuration("BucketLogging", on="fresh_bucket", put=logging_to_the_log_bucket, further_iam=["s3:GetBucketLogging"])
configuration("BucketRequestPayment", on="fresh_bucket", put={"RequestPaymentConfiguration": {"Payer": "BucketOwner"}})
configuration("BucketVersioning", on="fresh_bucket", put={"VersioningConfiguration": {"Status": "Enabled"}})
configuration(
    "ObjectLockConfiguration",
    on="empty_locked_bucket",
    put={"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
    iam={"put": "s3:PutBucketObjectLockConfiguration", "get": "s3:GetBucketObjectLockConfiguration"},
)
