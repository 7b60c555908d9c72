"""S3 Metadata configurations of a bucket, both generations, and the updates of their tables."""

from typing import Any

from harness.scenario import Caller, configuration, scenario

JOURNAL = {"RecordExpiration": {"Expiration": "DISABLED"}}
METADATA = {"JournalTableConfiguration": JOURNAL, "InventoryTableConfiguration": {"ConfigurationState": "DISABLED"}}
# S3 API Reference, CreateBucketMetadataTableConfiguration and CreateBucketMetadataConfiguration: kms:DescribeKey is in
# the list of the latter too, but no key is named here.
OLD_TABLES_IAM = ("s3tables:CreateNamespace", "s3tables:CreateTable", "s3tables:GetTable", "s3tables:PutTablePolicy")
TABLES_IAM = (
    *OLD_TABLES_IAM,
    "s3tables:CreateTableBucket",
    "s3tables:PutTableBucketPolicy",
    "s3tables:PutTableEncryption",
)
METADATA_IAM = ("s3:CreateBucketMetadataTableConfiguration", *TABLES_IAM)


def old_tables(account_id: str) -> dict[str, Any]:
    """A destination table bucket by name; on AWS it must exist."""
    arn = f"arn:aws:s3tables:us-east-1:{account_id}:bucket/s3lm-metadata"
    return {"MetadataTableConfiguration": {"S3TablesDestination": {"TableBucketArn": arn, "TableName": "s3lm"}}}


def create_metadata(s3: Any, bucket: str) -> None:
    """Create what the table updates below change."""
    s3.create_bucket_metadata_configuration(Bucket=bucket, MetadataConfiguration=METADATA)


configuration(
    "BucketMetadataConfiguration",
    on="fresh_bucket",
    put={"MetadataConfiguration": METADATA},
    operations={"put": "CreateBucketMetadataConfiguration"},
    iam={
        "put": "s3:CreateBucketMetadataTableConfiguration",
        "get": "s3:GetBucketMetadataTableConfiguration",
        "delete": "s3:DeleteBucketMetadataTableConfiguration",
    },
    further_iam=TABLES_IAM,
    missing=["get", "delete"],
)
configuration(
    "BucketMetadataTableConfiguration",
    on="fresh_bucket",
    put=old_tables,
    operations={"put": "CreateBucketMetadataTableConfiguration"},
    further_iam=OLD_TABLES_IAM,
    missing=["get", "delete"],
)


@scenario(
    "UpdateBucketMetadataInventoryTableConfiguration",
    iam=[*METADATA_IAM, "s3:UpdateBucketMetadataInventoryTableConfiguration"],
)
def update_inventory_table(call: Caller, s3: Any, fresh_bucket: str) -> None:
    """Switch the inventory table of a metadata configuration."""
    create_metadata(s3, fresh_bucket)
    call(Bucket=fresh_bucket, InventoryTableConfiguration={"ConfigurationState": "DISABLED"})


@scenario(
    "UpdateBucketMetadataJournalTableConfiguration",
    iam=[*METADATA_IAM, "s3:UpdateBucketMetadataJournalTableConfiguration"],
)
def update_journal_table(call: Caller, s3: Any, fresh_bucket: str) -> None:
    """Change the record expiration of the journal table."""
    create_metadata(s3, fresh_bucket)
    call(Bucket=fresh_bucket, JournalTableConfiguration={"RecordExpiration": {"Expiration": "ENABLED", "Days": 30}})


@scenario(
    "UpdateBucketMetadataAnnotationTableConfiguration",
    iam=[*METADATA_IAM, "s3:UpdateBucketMetadataAnnotationTableConfiguration"],
)
def update_annotation_table(call: Caller, s3: Any, fresh_bucket: str) -> None:
    """Switch the annotation table of a metadata configuration."""
    create_metadata(s3, fresh_bucket)
    call(Bucket=fresh_bucket, AnnotationTableConfiguration={"ConfigurationState": "DISABLED"})
