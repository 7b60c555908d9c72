"""What S3 does by itself, a day or more after a rule was put: slow, and only with ``--slow``."""

from datetime import timedelta
from typing import Any

from harness.scenario import Records, exclusion, scenario
from scenarios.fixtures import BODY

# Rules act once a day, and AWS may take another day to act (S3 User Guide, expiring objects).
WITHIN = timedelta(days=3)
# In CloudTrail never (S3 User Guide), or as s3lifecycle events (CloudTrail User Guide): none is waited for.
BY_S3 = Records(server_access=1, cloudtrail=0)
IAM = ("s3:PutLifecycleConfiguration", "s3:PutObject")


def _rule(**action: Any) -> dict[str, Any]:
    return {"Rules": [{"ID": "slow", "Status": "Enabled", "Filter": {"Prefix": "slow/"}, **action}]}


@scenario("LifecycleExpiration", requires=["days"], records=BY_S3, iam=IAM)
def lifecycle_expiration(actor: Any, s3: Any, fresh_bucket: str) -> None:
    """An object that expires after a day."""
    rule = _rule(Expiration={"Days": 1})
    s3.put_bucket_lifecycle_configuration(Bucket=fresh_bucket, LifecycleConfiguration=rule)
    s3.put_object(Bucket=fresh_bucket, Key="slow/expires", Body=BODY)
    actor(fresh_bucket, "slow/expires", WITHIN)


@scenario("LifecycleExpiration", variant="versioned", requires=["days"], records=BY_S3, iam=IAM)
def lifecycle_delete_marker(actor: Any, s3: Any, versioned_bucket: str) -> None:
    """An object that expires where versions are kept: it gets a delete marker."""
    rule = _rule(Expiration={"Days": 1})
    s3.put_bucket_lifecycle_configuration(Bucket=versioned_bucket, LifecycleConfiguration=rule)
    s3.put_object(Bucket=versioned_bucket, Key="slow/expires", Body=BODY)
    actor(versioned_bucket, "slow/expires", WITHIN)


def _transition(variant: str, storage_class: str, days: int) -> None:
    @scenario("LifecycleTransition", variant=variant, requires=["days"], records=BY_S3, iam=IAM)
    def lifecycle_transition(actor: Any, s3: Any, fresh_bucket: str) -> None:
        rule = _rule(Transitions=[{"Days": days, "StorageClass": storage_class}])
        s3.put_bucket_lifecycle_configuration(Bucket=fresh_bucket, LifecycleConfiguration=rule)
        s3.put_object(Bucket=fresh_bucket, Key="slow/moves", Body=BODY)
        actor(fresh_bucket, "slow/moves", WITHIN + timedelta(days=days))


# The infrequent access classes take nothing younger than 30 days.
_transition("ok", "GLACIER_IR", 0)
_transition("glacier", "GLACIER", 0)
_transition("deep-archive", "DEEP_ARCHIVE", 0)
_transition("intelligent-tiering", "INTELLIGENT_TIERING", 0)
_transition("standard-ia", "STANDARD_IA", 30)
_transition("onezone-ia", "ONEZONE_IA", 30)

exclusion("ReplicationPut", "made by S3 itself under a role and between two buckets; no scenario for it yet")
