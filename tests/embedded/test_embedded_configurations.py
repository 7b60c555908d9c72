"""Configurations that moto lacks or keeps in part come back as they were put, and go when they are deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from embedded_kit import ACCOUNT, World, code_of, status_of

DESTINATION = {"S3BucketDestination": {"Bucket": "arn:aws:s3:::somewhere", "Format": "CSV"}}


@dataclass(frozen=True)
class Family:
    """A family of configurations with an id: what is put, and what the calls and members are called."""

    name: str
    body: dict[str, Any]

    def calls(self, s3: Any) -> tuple[Any, Any, Any, Any]:
        one, many = f"bucket_{self.name}_configuration", f"list_bucket_{self.name}_configurations"
        return getattr(s3, f"put_{one}"), getattr(s3, f"get_{one}"), getattr(s3, many), getattr(s3, f"delete_{one}")

    @property
    def member(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_")) + "Configuration"


FAMILIES = [
    Family(
        "analytics",
        {
            "Filter": {
                "And": {"Prefix": "a&b<c>/", "Tags": [{"Key": "k", "Value": "ünï"}, {"Key": "l", "Value": "2"}]}
            },
            "StorageClassAnalysis": {"DataExport": {"OutputSchemaVersion": "V_1", "Destination": DESTINATION}},
        },
    ),
    Family("metrics", {"Filter": {"Prefix": "a b/"}}),
    Family(
        "inventory",
        {
            "IsEnabled": True,
            "IncludedObjectVersions": "All",
            "OptionalFields": ["Size", "ETag"],
            "Schedule": {"Frequency": "Daily"},
            "Destination": DESTINATION,
        },
    ),
    Family(
        "intelligent_tiering",
        {"Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}], "Filter": {"Prefix": "x"}},
    ),
]
FAMILY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@FAMILY
def test_a_configuration_with_an_id_comes_back_as_it_was_put(world: World, family: Family) -> None:
    put, get, list_all, delete = family.calls(world.s3)
    bucket = world.bucket()
    bodies = {name: {"Id": name} | family.body for name in ("one", "two & <three>")}
    for name, body in bodies.items():
        put(Bucket=bucket, Id=name, **{family.member: body})
    assert {name: get(Bucket=bucket, Id=name)[family.member] for name in bodies} == bodies
    listed = list_all(Bucket=bucket)
    assert listed["IsTruncated"] is False
    assert sorted(listed[family.member + "List"], key=lambda each: each["Id"]) == sorted(
        bodies.values(), key=lambda each: str(each["Id"])
    )
    delete(Bucket=bucket, Id="one")
    assert [each["Id"] for each in list_all(Bucket=bucket)[family.member + "List"]] == ["two & <three>"]


@FAMILY
def test_putting_a_configuration_again_replaces_it(world: World, family: Family) -> None:
    put, _get, list_all, _delete = family.calls(world.s3)
    bucket, body = world.bucket(), {"Id": "same"} | family.body
    for _ in range(2):
        put(Bucket=bucket, Id="same", **{family.member: body})
    assert list_all(Bucket=bucket)[family.member + "List"] == [body]


@FAMILY
def test_a_configuration_that_is_not_there_is_404(world: World, family: Family) -> None:
    _put, get, list_all, delete = family.calls(world.s3)
    bucket = world.bucket()
    for call in (get, delete):
        with pytest.raises(ClientError) as missing:
            call(Bucket=bucket, Id="none")
        assert (status_of(missing.value), code_of(missing.value)) == (404, "NoSuchConfiguration")
    assert family.member + "List" not in list_all(Bucket=bucket)


@FAMILY
def test_a_configuration_under_another_id_than_its_own_is_refused(world: World, family: Family) -> None:
    put, _get, list_all, _delete = family.calls(world.s3)
    bucket = world.bucket()
    with pytest.raises(ClientError) as refused:
        put(Bucket=bucket, Id="a", **{family.member: {"Id": "b"} | family.body})
    assert status_of(refused.value) == 400
    assert family.member + "List" not in list_all(Bucket=bucket)


@FAMILY
def test_a_configuration_belongs_to_one_bucket(world: World, family: Family) -> None:
    put, _get, list_all, _delete = family.calls(world.s3)
    put(Bucket=world.bucket(), Id="a", **{family.member: {"Id": "a"} | family.body})
    assert family.member + "List" not in list_all(Bucket=world.bucket())
    with pytest.raises(ClientError) as missing:
        put(Bucket="t-nobody-made-this", Id="a", **{family.member: {"Id": "a"} | family.body})
    assert code_of(missing.value) == "NoSuchBucket"


def test_a_new_bucket_of_an_old_name_has_no_configurations(world: World) -> None:
    bucket = world.bucket()
    world.s3.put_bucket_metrics_configuration(Bucket=bucket, Id="m", MetricsConfiguration={"Id": "m"})
    world.s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Enabled"})
    world.log_to(bucket, world.log_bucket())
    world.s3.delete_bucket(Bucket=bucket)
    world.s3.create_bucket(Bucket=bucket)
    assert "MetricsConfigurationList" not in world.s3.list_bucket_metrics_configurations(Bucket=bucket)
    assert world.s3.get_bucket_abac(Bucket=bucket)["AbacStatus"]["Status"] == "Disabled"
    assert "LoggingEnabled" not in world.s3.get_bucket_logging(Bucket=bucket)


def test_a_bucket_that_could_not_be_deleted_keeps_its_configurations(world: World) -> None:
    bucket = world.bucket()
    world.s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Enabled"})
    world.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError):
        world.s3.delete_bucket(Bucket=bucket)
    assert world.s3.get_bucket_abac(Bucket=bucket)["AbacStatus"]["Status"] == "Enabled"


def test_abac_is_disabled_until_it_is_enabled(world: World) -> None:
    bucket, seen = world.bucket(), []
    for status in ("Enabled", "Disabled"):
        seen.append(world.s3.get_bucket_abac(Bucket=bucket)["AbacStatus"]["Status"])
        world.s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": status})
    assert [*seen, world.s3.get_bucket_abac(Bucket=bucket)["AbacStatus"]["Status"]] == [
        "Disabled",
        "Enabled",
        "Disabled",
    ]


def test_the_bucket_owner_pays_unless_the_requester_is_told_to(world: World) -> None:
    bucket = world.bucket()
    assert world.s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    world.s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert world.s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    with pytest.raises(ClientError) as refused:
        world.s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Nobody"})
    assert code_of(refused.value) == "MalformedXML"


# S3 Metadata.


def metadata_of(world: World, bucket: str) -> dict[str, Any]:
    found = world.s3.get_bucket_metadata_configuration(Bucket=bucket)["GetBucketMetadataConfigurationResult"]
    result: dict[str, Any] = found["MetadataConfigurationResult"]
    return result


def assert_no_metadata(get: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as missing:
        get(Bucket=bucket)
    assert (status_of(missing.value), code_of(missing.value)) == (404, "MetadataConfigurationNotFound")


def test_a_metadata_configuration_comes_back_and_goes(world: World) -> None:
    bucket, s3 = world.bucket(), world.s3
    journal = {"RecordExpiration": {"Expiration": "DISABLED"}}
    inventory = {"ConfigurationState": "DISABLED"}
    settings = {"JournalTableConfiguration": journal, "InventoryTableConfiguration": inventory}
    assert_no_metadata(s3.get_bucket_metadata_configuration, bucket)
    s3.create_bucket_metadata_configuration(Bucket=bucket, MetadataConfiguration=settings)
    found = metadata_of(world, bucket)
    assert found["JournalTableConfigurationResult"]["RecordExpiration"] == journal["RecordExpiration"]
    assert found["InventoryTableConfigurationResult"]["ConfigurationState"] == "DISABLED"
    assert "AnnotationTableConfigurationResult" not in found
    s3.delete_bucket_metadata_configuration(Bucket=bucket)
    assert_no_metadata(s3.get_bucket_metadata_configuration, bucket)
    assert_no_metadata(s3.delete_bucket_metadata_configuration, bucket)


def test_updates_of_metadata_tables_show_in_the_configuration(world: World) -> None:
    bucket, s3 = world.bucket(), world.s3
    expiration = {"Expiration": "ENABLED", "Days": 30}
    journal = {"JournalTableConfiguration": {"RecordExpiration": {"Expiration": "DISABLED"}}}
    with pytest.raises(ClientError):
        s3.update_bucket_metadata_journal_table_configuration(Bucket=bucket, **journal)
    s3.create_bucket_metadata_configuration(Bucket=bucket, MetadataConfiguration=journal)
    s3.update_bucket_metadata_journal_table_configuration(
        Bucket=bucket, JournalTableConfiguration={"RecordExpiration": expiration}
    )
    s3.update_bucket_metadata_inventory_table_configuration(
        Bucket=bucket, InventoryTableConfiguration={"ConfigurationState": "ENABLED"}
    )
    s3.update_bucket_metadata_annotation_table_configuration(
        Bucket=bucket, AnnotationTableConfiguration={"ConfigurationState": "DISABLED"}
    )
    found = metadata_of(world, bucket)
    assert found["JournalTableConfigurationResult"]["RecordExpiration"] == expiration
    assert found["InventoryTableConfigurationResult"]["ConfigurationState"] == "ENABLED"
    assert found["AnnotationTableConfigurationResult"]["ConfigurationState"] == "DISABLED"


def test_updates_of_metadata_tables_go_with_the_configuration(world: World) -> None:
    bucket, s3 = world.bucket(), world.s3
    journal = {"JournalTableConfiguration": {"RecordExpiration": {"Expiration": "DISABLED"}}}
    s3.create_bucket_metadata_configuration(Bucket=bucket, MetadataConfiguration=journal)
    s3.update_bucket_metadata_inventory_table_configuration(
        Bucket=bucket, InventoryTableConfiguration={"ConfigurationState": "ENABLED"}
    )
    s3.delete_bucket_metadata_configuration(Bucket=bucket)
    s3.create_bucket_metadata_configuration(Bucket=bucket, MetadataConfiguration=journal)
    assert "InventoryTableConfigurationResult" not in metadata_of(world, bucket)


def test_a_metadata_table_configuration_of_the_first_kind_comes_back_and_goes(world: World) -> None:
    bucket, s3 = world.bucket(), world.s3
    destination = {"TableBucketArn": f"arn:aws:s3tables:us-east-1:{ACCOUNT}:bucket/tables", "TableName": "table"}
    s3.create_bucket_metadata_table_configuration(
        Bucket=bucket, MetadataTableConfiguration={"S3TablesDestination": destination}
    )
    found = s3.get_bucket_metadata_table_configuration(Bucket=bucket)["GetBucketMetadataTableConfigurationResult"]
    assert destination.items() <= found["MetadataTableConfigurationResult"]["S3TablesDestinationResult"].items()
    assert_no_metadata(s3.get_bucket_metadata_configuration, bucket)
    s3.delete_bucket_metadata_table_configuration(Bucket=bucket)
    assert_no_metadata(s3.get_bucket_metadata_table_configuration, bucket)


# What moto keeps in part.


def test_a_notification_configuration_keeps_eventbridge(world: World) -> None:
    bucket = world.bucket()
    queue = {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue", "Events": ["s3:ObjectCreated:*"]}
    wanted = {"EventBridgeConfiguration": {}, "QueueConfigurations": [queue]}
    world.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)
    found = world.s3.get_bucket_notification_configuration(Bucket=bucket)
    assert found["EventBridgeConfiguration"] == {}
    assert queue.items() <= found["QueueConfigurations"][0].items()
    world.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    found = world.s3.get_bucket_notification_configuration(Bucket=bucket)
    assert not {"EventBridgeConfiguration", "QueueConfigurations"} & found.keys()


@pytest.mark.parametrize(
    "key_format",
    [
        {"SimplePrefix": {}},
        {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
        {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}},
    ],
    ids=["simple", "event time", "delivery time"],
)
def test_a_logging_configuration_keeps_its_key_format(world: World, key_format: dict[str, Any]) -> None:
    bucket, log_bucket = world.bucket(), world.log_bucket()
    world.log_to(bucket, log_bucket, "logs & more/", **key_format)
    found = world.s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert found == {
        "TargetBucket": log_bucket,
        "TargetPrefix": "logs & more/",
        "TargetObjectKeyFormat": key_format,
    }
    world.s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in world.s3.get_bucket_logging(Bucket=bucket)


def test_a_refused_logging_configuration_changes_nothing(world: World) -> None:
    bucket, log_bucket = world.logged_bucket()
    with pytest.raises(ClientError):
        world.log_to(bucket, "t-nobody-made-this")
    assert world.s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetBucket"] == log_bucket


# Objects.


def test_the_retention_of_an_object_comes_back(world: World) -> None:
    bucket = world.bucket(ObjectLockEnabledForBucket=True)
    world.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError) as none_yet:
        world.s3.get_object_retention(Bucket=bucket, Key="k")
    assert code_of(none_yet.value) == "NoSuchObjectLockConfiguration"
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)}
    world.s3.put_object_retention(Bucket=bucket, Key="k", Retention=retention)
    assert world.s3.get_object_retention(Bucket=bucket, Key="k")["Retention"] == retention
    with pytest.raises(ClientError) as missing:
        world.s3.get_object_retention(Bucket=bucket, Key="none")
    assert code_of(missing.value) == "NoSuchKey"


def test_the_retention_of_an_older_version_comes_back(world: World) -> None:
    bucket = world.bucket(ObjectLockEnabledForBucket=True)
    older = world.s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(2099, 1, 2, tzinfo=UTC)}
    world.s3.put_object_retention(Bucket=bucket, Key="k", Retention=retention)
    world.s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    assert world.s3.get_object_retention(Bucket=bucket, Key="k", VersionId=older)["Retention"] == retention


def test_annotations_come_back_by_name_and_are_listed_and_deleted(world: World) -> None:
    bucket, s3 = world.bucket(), world.s3
    named = {"Bucket": bucket, "Key": "a key/ü"}
    s3.put_object(**named, Body=b"body")
    for name, payload in {"note": b"first", "nöte & <b>": bytes(range(256)), "other": b""}.items():
        s3.put_object_annotation(**named, AnnotationName=name, AnnotationPayload=payload)
    assert s3.get_object_annotation(**named, AnnotationName="nöte & <b>")["AnnotationPayload"].read() == bytes(
        range(256)
    )
    listed = s3.list_object_annotations(**named)
    assert {each["AnnotationName"]: each["Size"] for each in listed["Annotations"]} == {
        "note": 5,
        "nöte & <b>": 256,
        "other": 0,
    }
    starting = s3.list_object_annotations(**named, AnnotationPrefix="n")["Annotations"]
    assert [each["AnnotationName"] for each in starting] == ["note", "nöte & <b>"]
    s3.delete_object_annotation(**named, AnnotationName="note")
    with pytest.raises(ClientError) as gone:
        s3.get_object_annotation(**named, AnnotationName="note")
    assert status_of(gone.value) == 404
    assert s3.get_object(**named)["Body"].read() == b"body"


def test_an_annotation_needs_its_object(world: World) -> None:
    bucket = world.bucket()
    with pytest.raises(ClientError) as missing:
        world.s3.put_object_annotation(Bucket=bucket, Key="none", AnnotationName="a", AnnotationPayload=b"x")
    assert code_of(missing.value) == "NoSuchKey"
    assert world.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_annotations_go_with_their_object(world: World) -> None:
    bucket, s3 = world.bucket(), world.s3
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.put_object_annotation(Bucket=bucket, Key="k", AnnotationName="a", AnnotationPayload=b"x")
    s3.delete_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert s3.list_object_annotations(Bucket=bucket, Key="k").get("Annotations", []) == []


def test_an_update_of_an_objects_encryption_leaves_the_object(world: World) -> None:
    bucket = world.bucket()
    world.s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/some"
    world.s3.update_object_encryption(Bucket=bucket, Key="k", ObjectEncryption={"SSEKMS": {"KMSKeyArn": key}})
    assert world.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
