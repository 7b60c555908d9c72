"""The documented tables: complete, sourced, and a user's own with every mistake named by line and column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import catalogue, scenario
from harness.analyse.claims import CHECKS
from harness.catalogue import documented
from harness.catalogue.documented import COLUMNS, TABLES, Claim, Confidence
from harness.errors import UsageError
from harness.model import CLOUDTRAIL, SERVER_ACCESS

ALL = [claim for name in TABLES for claim in documented.table(name)]


def find(table: str, operation: str, channel: str = CLOUDTRAIL, variant: str = "ok", related: str = "") -> Claim:
    (claim,) = (
        c
        for c in documented.table(table)
        if (c.operation, c.channel, c.variant, c.related) == (operation, channel, variant, related)
    )
    return claim


def test_every_statement_has_document_section_and_date() -> None:
    for claim in (*ALL, *documented.claims()):
        assert claim.sources, claim.id
        for source in claim.sources:
            assert source.document, claim.id
            assert source.section, claim.id
            assert source.date[:2] == "20", claim.id


@pytest.mark.parametrize("name", TABLES)
def test_every_row_is_one_of_the_catalogue_and_of_a_scenario(name: str) -> None:
    scenario.load()
    variants = {(cell.operation, cell.variant) for cell in scenario.all_scenarios()}
    for claim in documented.table(name):
        assert catalogue.find(claim.operation), claim.id
        assert claim.variant == "ok" or (claim.operation, claim.variant) in variants, claim.id


def test_no_two_statements_have_one_id() -> None:
    ids = [claim.id for claim in (*ALL, *documented.claims())]
    assert len(ids) == len(set(ids))


def test_the_table_of_2026_speaks_of_every_operation_in_both_channels() -> None:
    told = {(claim.operation, claim.channel) for claim in documented.table("aws-2026")}
    names = [*catalogue.operations(), *catalogue.control_operations()]
    assert [(n, c) for n in names for c in (SERVER_ACCESS, CLOUDTRAIL) if (n, c) not in told] == []


@pytest.mark.parametrize(
    ("table", "operation", "name", "category"),
    [
        ("aws-2019", "GetBucketRequestPayment", "GetBucketRequestPay", "management"),
        ("aws-2019", "BrowserPost", "PostObject", "data"),
        ("aws-2019", "DeleteBucketWebsite", "DeleteBucketWebsite", "management"),
        ("aws-2019", "HeadBucket", "", "data"),
        ("aws-2023", "PutPublicAccessBlock", "PutBucketPublicAccessBlock", "management"),
        ("aws-2023", "s3control:GetPublicAccessBlock", "GetAccountPublicAccessBlock", "management"),
        ("aws-2023", "GetObjectLockConfiguration", "GetObjectLockConfiguration", "management"),
        ("aws-2023", "BrowserPost", "PostObject", "data"),
        ("aws-2026", "GetObjectLockConfiguration", "GetBucketObjectLockConfiguration", "management"),
        ("aws-2026", "PutBucketLifecycleConfiguration", "PutBucketLifecycle", "management"),
        ("aws-2026", "PutBucketAccelerateConfiguration", "PutAccelerateConfiguration", "management"),
        ("aws-2026", "HeadBucket", "HeadBucket", "data"),
        ("aws-2026", "ListBucketMetricsConfigurations", "", "management"),
        ("netskope-2019", "BrowserPost", "PutObject", ""),
    ],
)
def test_what_the_editions_say_of_cloudtrail(table: str, operation: str, name: str, category: str) -> None:
    claim = find(table, operation)
    assert (claim.name, claim.category) == (name, category)


def test_operations_that_an_edition_does_not_list_have_no_row_in_it() -> None:
    for table, operation in (("aws-2019", "GetObjectRetention"), ("aws-2023", "SelectObjectContent")):
        assert not [c for c in documented.table(table) if (c.operation, c.channel) == (operation, CLOUDTRAIL)]


@pytest.mark.parametrize(
    ("operation", "variant", "logged", "name", "confidence"),
    [
        ("PutObjectAcl", "ok", True, "REST.PUT.ACL", Confidence.DOCUMENTED),
        ("ListObjectVersions", "ok", True, "REST.GET.BUCKETVERSIONS", Confidence.SEEN),
        ("PutObjectLegalHold", "ok", True, "REST.PUT.OBJECT_LOCK_LEGALHOLD", Confidence.INFERRED),
        ("GetBucketAbac", "ok", True, "REST.GET.*", Confidence.NOT_FOUND),
        ("ListBuckets", "ok", False, "", Confidence.INFERRED),
        ("RenameObject", "ok", False, "", Confidence.DOCUMENTED),
        ("CreateBucket", "ok", False, "", Confidence.INFERRED),
        ("CreateBucket", "already-owned", True, "REST.PUT.BUCKET", Confidence.SEEN),
        ("DeleteBucket", "ok", None, "REST.DELETE.BUCKET", Confidence.INFERRED),
        ("MalformedRequest", "ok", False, "", Confidence.DOCUMENTED),
        ("LifecycleTransition", "deep-archive", True, "S3.TRANSITION_GDA.OBJECT", Confidence.DOCUMENTED),
    ],
)
def test_what_is_known_of_the_access_log(
    operation: str, variant: str, logged: bool | None, name: str, confidence: Confidence
) -> None:
    claim = find("aws-2026", operation, SERVER_ACCESS, variant)
    assert (claim.logged, claim.name, claim.confidence) == (logged, name, confidence)


def test_a_batch_deletes_keys_are_documented_as_absent_and_later_as_present() -> None:
    assert {find(t, "DeleteObjects", related="none").logged for t in ("aws-2019", "aws-2023")} == {True}
    assert find("aws-2026", "DeleteObjects", related="DeleteObject").confidence is Confidence.DOCUMENTED
    assert find("aws-2026", "DeleteObjects", SERVER_ACCESS, related="BATCH.DELETE.OBJECT")


def test_there_are_58_claims_and_each_has_a_check_or_says_why_not() -> None:
    wanted = [f"AWS-{n:02}" for n in range(1, 35)] + [f"NS-{n:02}" for n in range(1, 25)]
    assert [claim.id for claim in documented.claims()] == wanted
    assert [c.id for c in documented.claims() if bool(c.needs) == (c.id in CHECKS)] == []


def test_only_the_notes_3_5_and_6_are_preserved() -> None:
    assert {note.number: note.claim for note in documented.notes()} == {
        **dict.fromkeys(range(1, 8), ""),
        3: "NS-12",
        5: "NS-11",
        6: "NS-13",
    }


def test_inferred_and_unfound_rows_are_hypotheses() -> None:
    assert [c for c in Confidence if c.is_hypothesis] == [Confidence.INFERRED, Confidence.NOT_FOUND]


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (find("aws-2026", "PutBucketAcl"), "PutBucketAcl[ok] is in cloudtrail as PutBucketAcl, management event"),
        (find("aws-2026", "ListBuckets", SERVER_ACCESS), "ListBuckets[ok] is not in server-access"),
        (find("aws-2026", "BrowserPost"), "BrowserPost[ok] may be in cloudtrail"),
        (
            find("aws-2019", "DeleteObjects", related="none"),
            "DeleteObjects[ok] leaves nothing beside its own record in cloudtrail",
        ),
    ],
)
def test_a_row_reads_as_a_sentence(claim: Claim, text: str) -> None:
    assert claim.text == text


# --- A user's own table.


def own(tmp_path: Path, text: str | bytes) -> tuple[Claim, ...]:
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return documented.read(path)


def test_a_users_table_needs_two_columns_and_something_to_say(tmp_path: Path) -> None:
    (claim,) = own(tmp_path, "operation,channel,name\nPutObject,cloudtrail,PutObject\n")
    assert (claim.id, claim.variant, claim.logged) == ("mine.csv/cloudtrail/PutObject[ok]", "ok", True)
    assert (claim.confidence, claim.sources) == (Confidence.DOCUMENTED, ())


def test_a_users_table_may_say_everything(tmp_path: Path) -> None:
    text = (
        ",".join(COLUMNS) + "\ncloudtrail,GetObject,denied,yes,GetObject|Other,Data,,inferred,"
        '"Runbook, page 3",IAM,2026-05-01,"a ""note"""\n'
    )
    (claim,) = own(tmp_path, text)
    assert (claim.variant, claim.name, claim.category) == ("denied", "GetObject|Other", "data")
    (source,) = claim.sources
    assert (source.document, source.section, source.date) == ("Runbook, page 3", "IAM", "2026-05-01")
    assert (claim.confidence, claim.note) == (Confidence.INFERRED, 'a "note"')


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfChannel, Operation ,LOGGED\r\n server-access ,ListBuckets,NO\r\n,,\r\n\r\n"
    (claim,) = own(tmp_path, text)
    assert (claim.channel, claim.operation, claim.logged) == ("server-access", "ListBuckets", False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"mine.csv, line 1: no column channel"),
        ("channel;operation;name\n", r"line 1: no column channel.*with commas"),
        ("channel,name\n", r"line 1: no column operation"),
        ("channel,operation,nmae\n", r"line 1, column nmae: unknown; there are channel, operation"),
        ("channel,operation,name,name\n", r"line 1, column name: twice"),
        ("channel,operation,\n", r"line 1, column \(empty\): unknown"),
        ("channel,operation,name\n", r"mine.csv has no rows"),
        ("channel,operation,name\ncloudtrial,PutObject,X\n", r"line 2, column channel: 'cloudtrial' is none of"),
        ("channel,operation,name\ncloudtrail,PutObjekt,X\n", r"line 2, column operation: 'PutObjekt' is no operation"),
        ("channel,operation,name\ncloudtrail,,X\n", r"line 2, column operation: '' is no operation"),
        ("channel,operation\ncloudtrail,PutObject\n", r"line 2, column logged: the table has no such column"),
        ("channel,operation,logged\ncloudtrail,PutObject,\n", r"line 2, column logged: '' is none of yes, no, unknown"),
        ("channel,operation,logged\ncloudtrail,PutObject,maybe\n", r"line 2, column logged: 'maybe' is none of"),
        (
            "channel,operation,logged,name\ncloudtrail,PutObject,no,X\n",
            r"line 2, column logged: 'no' cannot stand beside",
        ),
        ("channel,operation,category\ncloudtrail,PutObject,object\n", r"line 2, column category: 'object' is none of"),
        (
            "channel,operation,category\nserver-access,PutObject,data\n",
            r"line 2, column category: server-access has no",
        ),
        ("channel,operation,name,confidence\ncloudtrail,PutObject,X,sure\n", r"line 2, column confidence: 'sure'"),
        ("channel,operation,name\ncloudtrail,PutObject,X,Y\n", r"line 2, column name: more cells than the 3"),
        (
            "channel,operation,name\ncloudtrail,PutObject,X\ncloudtrail,PutObject,Y\n",
            r"line 3, column operation: .*earlier",
        ),
        ('channel,operation,name\ncloudtrail,PutObject,"X\n', r"line \d: unexpected end of data"),
        (b"channel,operation,name\ncloudtrail,PutObject,\xff\n", r"is not UTF-8"),
    ],
)
def test_a_mistake_is_told_with_line_and_column(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        own(tmp_path, text)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        documented.read(tmp_path / "none.csv")


def test_the_example_and_the_counts_of_the_documentation_hold(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "verify.md").read_text("utf-8")
    (example,) = re.findall(r"```csv\n(.+?)```", text, re.DOTALL)
    assert len(own(tmp_path, example)) == 4
    counts = dict(re.findall(r"^\| `([a-z0-9-]+)` \|.+\| (\d+)(?: \+ 24)? \|$", text, re.MULTILINE))
    assert counts == {"claims": "58"} | {name: str(len(documented.table(name))) for name in TABLES}
