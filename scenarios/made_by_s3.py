"""What S3 does by itself, days after a rule was put: no request of ours, so no call to join."""

from harness.scenario import exclusion

exclusion("LifecycleExpiration", "made by S3 itself a day or more later, without a request that could be joined")
exclusion("LifecycleTransition", "made by S3 itself a month or more later, without a request that could be joined")
exclusion("ReplicationPut", "made by S3 itself under a role and between two Regions")
