"""s3control: access points and their policies, Multi-Region Access Points, tags, jobs, the account's own settings."""

import json
from collections.abc import Iterator
from typing import Any

from harness.scenario import Caller, Records, Surroundings, exclusion, fixture, scenario

# Control calls go to the account's s3-control endpoint, not to a bucket: no access log can hold them.
CONTROL = Records(server_access=0)
ACCESS_POINT_IAM = ("s3:CreateAccessPoint", "s3:DeleteAccessPoint")
MULTI_REGION_IAM = ("s3:CreateMultiRegionAccessPoint", "s3:DeleteMultiRegionAccessPoint")
JOB_IAM = ("s3:CreateJob", "s3:UpdateJobStatus", "iam:PassRole")


@fixture
def control(surroundings: Surroundings) -> Any:
    """A boto3 client of s3control for everything that is not under test."""
    return surroundings.site.s3control


@fixture(iam=["s3:CreateAccessPoint", "s3:ListAccessPoints", "s3:DeleteAccessPoint"])
def point(control: Any, bucket: str, account_id: str, surroundings: Surroundings) -> Iterator[dict[str, str]]:
    """An access point of the scenario's own, as the parameters that name it."""
    named = {"AccountId": account_id, "Name": surroundings.resource_name("access-point", "ap")}
    control.create_access_point(**named, Bucket=bucket)
    yield named
    if any(
        each["Name"] == named["Name"] for each in control.list_access_points(AccountId=account_id)["AccessPointList"]
    ):
        control.delete_access_point(**named)


def point_policy(surroundings: Surroundings, named: dict[str, str]) -> dict[str, str]:
    """A policy that lets the own account read through the access point."""
    arn = f"arn:aws:s3:{surroundings.region}:{named['AccountId']}:accesspoint/{named['Name']}"
    principal = {"AWS": f"arn:aws:iam::{named['AccountId']}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": f"{arn}/object/*"}
    return {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


@scenario("s3control:CreateAccessPoint", records=CONTROL, iam=ACCESS_POINT_IAM)
def create_access_point(call: Caller, control: Any, bucket: str, account_id: str, surroundings: Surroundings) -> None:
    """Create an access point for the test bucket."""
    named = {"AccountId": account_id, "Name": surroundings.resource_name("access-point", "ap")}
    call(**named, Bucket=bucket)
    control.delete_access_point(**named)


@scenario("s3control:GetAccessPoint", records=CONTROL, iam=[*ACCESS_POINT_IAM, "s3:GetAccessPoint"])
def get_access_point(call: Caller, point: dict[str, str]) -> None:
    """Read an access point."""
    call(**point)


@scenario("s3control:ListAccessPoints", records=CONTROL, iam=["s3:ListAccessPoints"])
def list_access_points(call: Caller, account_id: str, bucket: str) -> None:
    """List the access points of the test bucket."""
    call(AccountId=account_id, Bucket=bucket)


@scenario("s3control:DeleteAccessPoint", records=CONTROL, iam=ACCESS_POINT_IAM)
def delete_access_point(call: Caller, point: dict[str, str]) -> None:
    """Delete an access point."""
    call(**point)


@scenario("s3control:PutAccessPointPolicy", records=CONTROL, iam=[*ACCESS_POINT_IAM, "s3:PutAccessPointPolicy"])
def put_access_point_policy(call: Caller, point: dict[str, str], surroundings: Surroundings) -> None:
    """Put a policy on an access point."""
    call(**point, **point_policy(surroundings, point))


@scenario(
    "s3control:GetAccessPointPolicy",
    records=CONTROL,
    iam=[*ACCESS_POINT_IAM, "s3:PutAccessPointPolicy", "s3:GetAccessPointPolicy"],
)
def get_access_point_policy(call: Caller, control: Any, point: dict[str, str], surroundings: Surroundings) -> None:
    """Read an access point's policy."""
    control.put_access_point_policy(**point, **point_policy(surroundings, point))
    call(**point)


@scenario(
    "s3control:GetAccessPointPolicyStatus",
    records=CONTROL,
    iam=[*ACCESS_POINT_IAM, "s3:PutAccessPointPolicy", "s3:GetAccessPointPolicyStatus"],
)
def get_access_point_policy_status(
    call: Caller, control: Any, point: dict[str, str], surroundings: Surroundings
) -> None:
    """Ask whether an access point's policy is public."""
    control.put_access_point_policy(**point, **point_policy(surroundings, point))
    call(**point)


@scenario(
    "s3control:DeleteAccessPointPolicy",
    records=CONTROL,
    iam=[*ACCESS_POINT_IAM, "s3:PutAccessPointPolicy", "s3:DeleteAccessPointPolicy"],
)
def delete_access_point_policy(call: Caller, control: Any, point: dict[str, str], surroundings: Surroundings) -> None:
    """Delete an access point's policy."""
    control.put_access_point_policy(**point, **point_policy(surroundings, point))
    call(**point)


@scenario("s3control:ListMultiRegionAccessPoints", records=CONTROL, iam=["s3:ListMultiRegionAccessPoints"])
def list_multi_region_access_points(call: Caller, account_id: str) -> None:
    """List Multi-Region Access Points; always recorded in us-west-2 (S3 User Guide, MRAP monitoring)."""
    call(AccountId=account_id)


@fixture(iam=MULTI_REGION_IAM)
def multi_region_point(control: Any, bucket: str, account_id: str, surroundings: Surroundings) -> dict[str, str]:
    """A Multi-Region Access Point over the test bucket; on AWS its creation takes minutes."""
    name = surroundings.resource_name("multi-region-access-point", "mrap")
    details = {"Name": name, "Regions": [{"Bucket": bucket}]}
    control.create_multi_region_access_point(AccountId=account_id, ClientToken=name, Details=details)
    return {"AccountId": account_id, "Name": name}


@scenario("s3control:CreateMultiRegionAccessPoint", records=CONTROL, requires=["multi-region"], iam=MULTI_REGION_IAM)
def create_multi_region_access_point(call: Caller, bucket: str, account_id: str, surroundings: Surroundings) -> None:
    """Start the creation of a Multi-Region Access Point."""
    name = surroundings.resource_name("multi-region-access-point", "mrap")
    call(AccountId=account_id, ClientToken=name, Details={"Name": name, "Regions": [{"Bucket": bucket}]})


@scenario(
    "s3control:GetMultiRegionAccessPoint",
    records=CONTROL,
    requires=["multi-region"],
    iam=[*MULTI_REGION_IAM, "s3:GetMultiRegionAccessPoint"],
)
def get_multi_region_access_point(call: Caller, multi_region_point: dict[str, str]) -> None:
    """Read a Multi-Region Access Point."""
    call(**multi_region_point)


@scenario("s3control:DeleteMultiRegionAccessPoint", records=CONTROL, requires=["multi-region"], iam=MULTI_REGION_IAM)
def delete_multi_region_access_point(call: Caller, multi_region_point: dict[str, str]) -> None:
    """Start the deletion of a Multi-Region Access Point."""
    name = multi_region_point["Name"]
    call(AccountId=multi_region_point["AccountId"], ClientToken=f"{name}-delete", Details={"Name": name})


@scenario("s3control:GetPublicAccessBlock", records=CONTROL, iam=["s3:GetAccountPublicAccessBlock"], fails=[200, 404])
def get_account_public_access_block(call: Caller, account_id: str) -> None:
    """Read the account's own block; an account without one answers 404, and that is as good."""
    call(AccountId=account_id)


@scenario(
    "s3control:PutPublicAccessBlock",
    records=CONTROL,
    requires=["account-wide-changes"],
    iam=["s3:PutAccountPublicAccessBlock"],
)
def put_account_public_access_block(call: Caller, account_id: str) -> None:
    """Block public access in the whole account: never by default."""
    call(AccountId=account_id, PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": True})


@scenario(
    "s3control:DeletePublicAccessBlock",
    records=CONTROL,
    requires=["account-wide-changes"],
    iam=["s3:PutAccountPublicAccessBlock"],
)
def delete_account_public_access_block(call: Caller, account_id: str) -> None:
    """Lift the account's block: never by default."""
    call(AccountId=account_id)


def _tagged(point: dict[str, str], surroundings: Surroundings) -> dict[str, str]:
    arn = f"arn:aws:s3:{surroundings.region}:{point['AccountId']}:accesspoint/{point['Name']}"
    return {"AccountId": point["AccountId"], "ResourceArn": arn}


TAGS = [{"Key": "purpose", "Value": "s3logjam"}]


@scenario("s3control:TagResource", records=CONTROL, iam=[*ACCESS_POINT_IAM, "s3:TagResource"])
def tag_resource(call: Caller, point: dict[str, str], surroundings: Surroundings) -> None:
    """Tag an access point."""
    call(**_tagged(point, surroundings), Tags=TAGS)


@scenario("s3control:ListTagsForResource", records=CONTROL, iam=["s3:TagResource", "s3:ListTagsForResource"])
def list_tags_for_resource(call: Caller, control: Any, point: dict[str, str], surroundings: Surroundings) -> None:
    """List the tags of an access point."""
    control.tag_resource(**_tagged(point, surroundings), Tags=TAGS)
    call(**_tagged(point, surroundings))


@scenario("s3control:UntagResource", records=CONTROL, iam=[*ACCESS_POINT_IAM, "s3:UntagResource", "s3:TagResource"])
def untag_resource(call: Caller, control: Any, point: dict[str, str], surroundings: Surroundings) -> None:
    """Take an access point's tag away."""
    control.tag_resource(**_tagged(point, surroundings), Tags=TAGS)
    call(**_tagged(point, surroundings), TagKeys=["purpose"])


def job(surroundings: Surroundings) -> dict[str, Any]:
    """A job that waits for a confirmation which never comes; its role may do nothing anyway."""
    site = surroundings.site
    generator = {"SourceBucket": f"arn:aws:s3:::{site.bucket}", "EnableManifestOutput": False}
    return {
        "AccountId": site.account_id,
        "ConfirmationRequired": True,
        "Operation": {"S3PutObjectTagging": {"TagSet": TAGS}},
        "Report": {"Enabled": False},
        "ClientRequestToken": surroundings.new_name("job"),
        "ManifestGenerator": {"S3JobManifestGenerator": generator},
        "Priority": 1,
        "RoleArn": f"arn:aws:iam::{site.account_id}:role/{site.denied_role}",
    }


@fixture(iam=JOB_IAM)
def waiting_job(control: Any, surroundings: Surroundings) -> Iterator[dict[str, str]]:
    """A job, as the parameters that name it; cancelled afterwards."""
    made = control.create_job(**job(surroundings))
    named = {"AccountId": surroundings.account_id, "JobId": made["JobId"]}
    yield named
    control.update_job_status(**named, RequestedJobStatus="Cancelled")


BATCH = ["batch-operations"]


@scenario("s3control:CreateJob", records=CONTROL, requires=BATCH, iam=JOB_IAM)
def create_job(call: Caller, control: Any, surroundings: Surroundings) -> None:
    """Create a batch job that waits for confirmation."""
    made = call(**job(surroundings))
    control.update_job_status(AccountId=surroundings.account_id, JobId=made["JobId"], RequestedJobStatus="Cancelled")


@scenario("s3control:DescribeJob", records=CONTROL, requires=BATCH, iam=[*JOB_IAM, "s3:DescribeJob"])
def describe_job(call: Caller, waiting_job: dict[str, str]) -> None:
    """Read a job."""
    call(**waiting_job)


@scenario("s3control:ListJobs", records=CONTROL, requires=BATCH, iam=["s3:ListJobs"])
def list_jobs(call: Caller, account_id: str) -> None:
    """List jobs."""
    call(AccountId=account_id)


@scenario("s3control:UpdateJobPriority", records=CONTROL, requires=BATCH, iam=[*JOB_IAM, "s3:UpdateJobPriority"])
def update_job_priority(call: Caller, waiting_job: dict[str, str]) -> None:
    """Change a job's priority."""
    call(**waiting_job, Priority=2)


@scenario("s3control:UpdateJobStatus", records=CONTROL, requires=BATCH, iam=JOB_IAM)
def update_job_status(call: Caller, control: Any, surroundings: Surroundings) -> None:
    """Cancel a job."""
    made = control.create_job(**job(surroundings))
    call(AccountId=surroundings.account_id, JobId=made["JobId"], RequestedJobStatus="Cancelled")


@scenario("s3control:PutJobTagging", records=CONTROL, requires=BATCH, iam=[*JOB_IAM, "s3:PutJobTagging"])
def put_job_tagging(call: Caller, waiting_job: dict[str, str]) -> None:
    """Tag a job."""
    call(**waiting_job, Tags=TAGS)


@scenario("s3control:GetJobTagging", records=CONTROL, requires=BATCH, iam=[*JOB_IAM, "s3:GetJobTagging"])
def get_job_tagging(call: Caller, waiting_job: dict[str, str]) -> None:
    """Read a job's tags."""
    call(**waiting_job)


@scenario("s3control:DeleteJobTagging", records=CONTROL, requires=BATCH, iam=[*JOB_IAM, "s3:DeleteJobTagging"])
def delete_job_tagging(call: Caller, waiting_job: dict[str, str]) -> None:
    """Take a job's tags away."""
    call(**waiting_job)


def exclude(reason: str, *names: str) -> None:
    """Exclude operations of s3control for one reason."""
    for name in names:
        exclusion(f"s3control:{name}", reason)


exclude(
    "S3 Access Grants: one instance for the whole account, and no log of a bucket or object",
    "AssociateAccessGrantsIdentityCenter",
    "CreateAccessGrant",
    "CreateAccessGrantsInstance",
    "CreateAccessGrantsLocation",
    "DeleteAccessGrant",
    "DeleteAccessGrantsInstance",
    "DeleteAccessGrantsInstanceResourcePolicy",
    "DeleteAccessGrantsLocation",
    "DissociateAccessGrantsIdentityCenter",
    "GetAccessGrant",
    "GetAccessGrantsInstance",
    "GetAccessGrantsInstanceForPrefix",
    "GetAccessGrantsInstanceResourcePolicy",
    "GetAccessGrantsLocation",
    "GetDataAccess",
    "ListAccessGrants",
    "ListAccessGrantsInstances",
    "ListAccessGrantsLocations",
    "ListCallerAccessGrants",
    "PutAccessGrantsInstanceResourcePolicy",
    "UpdateAccessGrantsLocation",
)
exclude(
    "Object Lambda access points need a function, and are closed to new customers since November 2025",
    "CreateAccessPointForObjectLambda",
    "DeleteAccessPointForObjectLambda",
    "DeleteAccessPointPolicyForObjectLambda",
    "GetAccessPointConfigurationForObjectLambda",
    "GetAccessPointForObjectLambda",
    "GetAccessPointPolicyForObjectLambda",
    "GetAccessPointPolicyStatusForObjectLambda",
    "ListAccessPointsForObjectLambda",
    "PutAccessPointConfigurationForObjectLambda",
    "PutAccessPointPolicyForObjectLambda",
)
exclude(
    "for S3 on Outposts only, which needs the hardware",
    "CreateBucket",
    "DeleteBucket",
    "DeleteBucketLifecycleConfiguration",
    "DeleteBucketPolicy",
    "DeleteBucketReplication",
    "DeleteBucketTagging",
    "GetBucket",
    "GetBucketLifecycleConfiguration",
    "GetBucketPolicy",
    "GetBucketReplication",
    "GetBucketTagging",
    "GetBucketVersioning",
    "ListRegionalBuckets",
    "PutBucketLifecycleConfiguration",
    "PutBucketPolicy",
    "PutBucketReplication",
    "PutBucketTagging",
    "PutBucketVersioning",
)
exclude(
    "Storage Lens: daily metrics of the account, no log of a bucket or object",
    "CreateStorageLensGroup",
    "DeleteStorageLensConfiguration",
    "DeleteStorageLensConfigurationTagging",
    "DeleteStorageLensGroup",
    "GetStorageLensConfiguration",
    "GetStorageLensConfigurationTagging",
    "GetStorageLensGroup",
    "ListStorageLensConfigurations",
    "ListStorageLensGroups",
    "PutStorageLensConfiguration",
    "PutStorageLensConfigurationTagging",
    "UpdateStorageLensGroup",
)
exclude(
    "access points of directory buckets: no scenario for them yet",
    "DeleteAccessPointScope",
    "GetAccessPointScope",
    "ListAccessPointsForDirectoryBuckets",
    "PutAccessPointScope",
)
exclude(
    "needs a Multi-Region Access Point that is ready, which takes up to a day on AWS",
    "DescribeMultiRegionAccessPointOperation",
    "GetMultiRegionAccessPointPolicy",
    "GetMultiRegionAccessPointPolicyStatus",
    "GetMultiRegionAccessPointRoutes",
    "PutMultiRegionAccessPointPolicy",
    "SubmitMultiRegionAccessPointRoutes",
)
