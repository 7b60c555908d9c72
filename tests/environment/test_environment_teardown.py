"""Teardown needs the journal alone, forgives what is gone, and can be repeated until nothing is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from offline import T0

from harness.environment.site import Site
from harness.environment.teardown import teardown
from harness.errors import CredentialsError
from harness.journal import Journal
from harness.planning.fake_aws import Answer, FakeAws, refusal, xml

pytestmark = pytest.mark.usefixtures("no_backoff")


CR_LF = "\r\n"


def remember(journal: Journal, *resources: tuple[str, str, str]) -> None:
    for kind, name, state in resources:
        journal.resource(kind, name, state, T0)


def deleted(aws: FakeAws) -> list[str]:
    """Return buckets and trails in the order of their deletion."""
    return [p.get("Bucket") or p["Name"] for op, p in aws.made if op in ("DeleteBucket", "DeleteTrail")]


def states(journal: Journal) -> dict[str, str]:
    return {name: state for _, name, state, _ in journal.resources()}


def test_trails_go_first_then_what_was_made_last_and_log_buckets_at_the_end(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("bucket", "source-1", "created"), ("trail", "trail", "created"))
    journal.resource("bucket", "logs", "created", T0, logs=True)
    remember(journal, ("bucket", "source-2", "created"))
    assert teardown(site) == []
    assert deleted(aws) == ["trail", "source-2", "source-1", "logs"]
    assert set(states(journal).values()) == {"deleted"}


def test_a_trail_is_stopped_before_it_is_deleted(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("trail", "trail", "created"))
    teardown(site)
    assert aws.operations() == ["StopLogging", "DeleteTrail"]


def test_a_second_teardown_does_nothing(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "source", "created"), ("trail", "trail", "created"))
    teardown(site)
    aws.made.clear()
    assert teardown(site) == []
    assert aws.made == []


@pytest.mark.parametrize("operation", ["ListMultipartUploads", "ListObjectVersions", "DeleteBucket"])
@pytest.mark.parametrize("refused", [refusal("NoSuchBucket", 404), Answer(status=404)], ids=["code", "bare 404"])
def test_a_bucket_that_is_gone_counts_as_deleted(
    refused: Answer, operation: str, site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("bucket", "source", "created"))
    aws.answers[operation] = refused
    assert teardown(site) == []
    assert states(journal) == {"source": "deleted"}


def test_a_trail_that_is_gone_counts_as_deleted(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("trail", "trail", "created"))
    aws.answers["StopLogging"] = refusal("TrailNotFoundException", service="cloudtrail")
    assert teardown(site) == []
    assert states(journal) == {"trail": "deleted"}


@pytest.mark.parametrize(
    ("kind", "operation", "code"),
    [("role", "DeleteRole", "NoSuchEntity"), ("access-point", "DeleteAccessPoint", "NoSuchAccessPoint")],
)
def test_roles_and_access_points_are_deleted_and_forgiven_when_they_are_gone(
    kind: str, operation: str, code: str, site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, (kind, "first", "created"), (kind, "second", "created"))
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>gone</Message></Error></ErrorResponse>"
    aws.answers[operation] = [Answer(body.encode(), 404)]
    assert teardown(site) == []
    assert aws.operations() == [operation, operation]
    assert set(states(journal).values()) == {"deleted"}


def test_what_was_only_intended_is_looked_for_too(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "half-made", "intended"))
    assert teardown(site) == []
    assert deleted(aws) == ["half-made"]


def test_what_cannot_be_deleted_is_told_and_does_not_keep_the_rest(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "logs", "created"), ("bucket", "source", "created"))
    aws.answers["DeleteBucket"] = [refusal("AccessDenied", 403)]
    (left,) = teardown(site)
    assert "bucket source" in left
    assert "AccessDenied" in left
    assert states(journal) == {"logs": "deleted", "source": "created"}


def test_what_was_left_is_tried_again_next_time(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "source", "created"))
    aws.answers["DeleteBucket"] = [refusal("AccessDenied", 403)]
    assert len(teardown(site)) == 1
    assert teardown(site) == []
    assert states(journal) == {"source": "deleted"}


VERSIONS = xml(
    "ListVersionsResult",
    "<Version><Key>a</Key><VersionId>v1</VersionId></Version>"
    "<Version><Key>a</Key><VersionId>v2</VersionId></Version>"
    "<DeleteMarker><Key>b</Key><VersionId>null</VersionId></DeleteMarker>",
)


def test_a_bucket_is_emptied_of_uploads_versions_and_markers_first(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "source", "created"))
    aws.answers["ListMultipartUploads"] = xml(
        "ListMultipartUploadsResult", "<Upload><Key>k</Key><UploadId>u1</UploadId></Upload>"
    )
    aws.answers["ListObjectVersions"] = VERSIONS
    assert teardown(site) == []
    (aborted,) = aws.parameters("AbortMultipartUpload")
    assert (aborted["Key"], aborted["UploadId"]) == ("k", "u1")
    (batch,) = aws.parameters("DeleteObjects")
    assert [(o["Key"], o["VersionId"]) for o in batch["Delete"]["Objects"]] == [("a", "v1"), ("a", "v2"), ("b", "null")]
    assert aws.operations()[-1] == "DeleteBucket"


def test_an_upload_under_a_key_with_line_breaks_is_aborted(site: Site, aws: FakeAws, journal: Journal) -> None:
    """An XML parser reads CR LF as LF: only an encoded key comes through."""
    remember(journal, ("bucket", "source", "created"))

    def listed(request: Any) -> Answer:
        encoded = "encoding-type=url" in request.url
        key = "<EncodingType>url</EncodingType>" if encoded else ""
        upload = f"<Upload><Key>{'a%0D%0Ab+c%2B' if encoded else f'a{CR_LF}b c+'}</Key><UploadId>u1</UploadId></Upload>"
        return xml("ListMultipartUploadsResult", key + upload)

    aws.answers["ListMultipartUploads"] = listed
    assert teardown(site) == []
    (aborted,) = aws.parameters("AbortMultipartUpload")
    assert aborted["Key"] == f"a{CR_LF}b c+"


def test_an_object_under_legal_hold_or_governance_retention_is_freed(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("bucket", "source", "created"))
    aws.answers["ListObjectVersions"] = [VERSIONS]
    error = "<Error><Key>a</Key><VersionId>v1</VersionId><Code>AccessDenied</Code><Message>locked</Message></Error>"
    aws.answers["DeleteObjects"] = [xml("DeleteResult", error)]
    assert teardown(site) == []
    (lifted,) = aws.parameters("PutObjectLegalHold")
    assert lifted == {"Bucket": "source", "Key": "a", "VersionId": "v1", "LegalHold": {"Status": "OFF"}}
    (freed,) = aws.parameters("DeleteObject")
    assert freed["BypassGovernanceRetention"] is True


def test_an_error_that_names_no_version_is_of_all_versions_that_were_to_be_deleted(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("bucket", "source", "created"))
    aws.answers["ListObjectVersions"] = [VERSIONS]
    aws.answers["DeleteObjects"] = [xml("DeleteResult", "<Error><Key>a</Key><Code>AccessDenied</Code></Error>")]
    assert teardown(site) == []
    assert [each["VersionId"] for each in aws.parameters("DeleteObject")] == ["v1", "v2"]


def test_log_files_that_arrive_meanwhile_are_deleted_too(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "logs", "created"))
    aws.answers["DeleteBucket"] = [refusal("BucketNotEmpty", 409), refusal("BucketNotEmpty", 409)]
    assert teardown(site) == []
    assert deleted(aws) == ["logs"] * 3
    assert len(aws.parameters("ListObjectVersions")) == 3


def test_a_bucket_in_which_log_files_keep_coming_is_shut_once(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "logs", "created"), ("bucket", "quiet", "created"))
    aws.answers["DeleteBucket"] = [Answer(status=204), refusal("BucketNotEmpty", 409), refusal("BucketNotEmpty", 409)]
    assert teardown(site) == []
    (put,) = aws.parameters("PutBucketPolicy")
    assert put["Bucket"] == "logs"
    (statement,) = json.loads(put["Policy"])["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:PutObject", "*")
    assert statement["Resource"] == "arn:aws:s3:::logs/*"


def test_a_bucket_that_cannot_be_shut_is_waited_for(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "logs", "created"))
    aws.answers["DeleteBucket"] = [refusal("BucketNotEmpty", 409)]
    aws.answers["PutBucketPolicy"] = refusal("AccessDenied", 403)
    assert teardown(site) == []


def test_a_bucket_of_many_pages_is_emptied_page_by_page_from_the_front(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("bucket", "full", "created"))
    left = [f"folder/{number}" for number in range(2500)]

    def listed(_request: Any) -> Answer:
        assert not {"KeyMarker", "VersionIdMarker"}.intersection(aws.made[-1][1])
        versions = "".join(f"<Version><Key>{k}</Key><VersionId>v</VersionId></Version>" for k in left[:1000])
        return xml("ListVersionsResult", f"<IsTruncated>{str(len(left) > 1000).lower()}</IsTruncated>{versions}")

    def delete(_request: Any) -> Answer:
        for each in aws.made[-1][1]["Delete"]["Objects"]:
            left.remove(each["Key"])
        return xml("DeleteResult")

    aws.answers |= {"ListObjectVersions": listed, "DeleteObjects": delete}
    assert teardown(site) == []
    assert left == []
    assert len(aws.parameters("ListObjectVersions")) == 3


def test_a_page_that_cannot_be_deleted_is_not_asked_for_for_ever(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "stuck", "created"))
    versions = "<IsTruncated>true</IsTruncated><Version><Key>k</Key><VersionId>v</VersionId></Version>"
    aws.answers |= {
        "ListObjectVersions": xml("ListVersionsResult", versions),
        "DeleteObjects": xml("DeleteResult"),
        "DeleteBucket": refusal("BucketNotEmpty", 409),
    }
    (left,) = teardown(site)
    assert "BucketNotEmpty" in left


def test_a_bucket_that_never_gets_empty_is_given_up_and_told(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "logs", "created"))
    aws.answers["DeleteBucket"] = refusal("BucketNotEmpty", 409)
    (left,) = teardown(site)
    assert "BucketNotEmpty" in left
    assert states(journal) == {"logs": "created"}


def test_an_upload_that_is_gone_does_not_make_its_bucket_count_as_deleted(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("bucket", "source", "created"))
    upload = "<Upload><Key>k</Key><UploadId>u1</UploadId></Upload>"
    aws.answers["ListMultipartUploads"] = xml("ListMultipartUploadsResult", upload)
    aws.answers["AbortMultipartUpload"] = refusal("NoSuchUpload", 404)
    (left,) = teardown(site)
    assert "NoSuchUpload" in left
    assert states(journal) == {"source": "created"}


def test_a_version_that_cannot_be_deleted_is_told_with_its_own_reason(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("bucket", "source", "created"))
    aws.answers["ListObjectVersions"] = VERSIONS
    error = "<Error><Key>a</Key><VersionId>v1</VersionId><Code>AccessDenied</Code><Message>not yours</Message></Error>"
    aws.answers["DeleteObjects"] = xml("DeleteResult", error)
    aws.answers["PutObjectLegalHold"] = refusal("InvalidRequest", 400, "Bucket is missing Object Lock Configuration")
    aws.answers["DeleteObject"] = refusal("AccessDenied", 403, "not yours")
    (left,) = teardown(site)
    assert "AccessDenied" in left


def test_a_kind_that_this_version_does_not_know_is_told_and_does_not_keep_the_rest(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    remember(journal, ("hologram", "h", "created"), ("bucket", "source", "created"))
    (left,) = teardown(site)
    assert "hologram h" in left
    assert states(journal) == {"h": "created", "source": "deleted"}


def test_expired_credentials_end_it_at_the_first_refusal(site: Site, aws: FakeAws, journal: Journal) -> None:
    remember(journal, ("bucket", "one", "created"), ("bucket", "two", "created"))
    aws.answers["DeleteBucket"] = refusal("ExpiredToken")
    with pytest.raises(CredentialsError):
        teardown(site)
    assert len(deleted(aws)) == 1
