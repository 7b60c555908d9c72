"""The heat map: every cell once, under its level and subject, further variants behind the first."""

from __future__ import annotations

from pathlib import Path

import pytest
from offline import a_cell, a_result

from harness import catalogue
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Delay, Verdict
from harness.report.html_matrix import CODE, SIGN, GridCell, groups, subject


@pytest.mark.parametrize(
    ("operation", "about"),
    [
        ("PutBucketAcl", "acl"),
        ("GetBucketAnalyticsConfiguration", "analytics"),
        ("ListObjectsV2", "bucket"),
        ("UploadPartCopy", "uploads"),
        ("CopyObject", "object"),
        ("ListBuckets", "service"),
        ("s3control:CreateAccessPoint", "accesspoint"),
        ("s3control:GetMultiRegionAccessPoint", "mrap"),
        ("s3control:DeleteMultiRegionAccessPoint", "mrap"),
        ("BrowserPost", "bucket"),
    ],
)
def test_the_subject_is_read_from_the_wire_form(operation: str, about: str) -> None:
    known = catalogue.find(operation)
    assert known
    assert subject(known) == about


def test_every_operation_of_the_catalogue_has_a_heading_and_a_subject(tmp_path: Path) -> None:
    found = groups(a_result(tmp_path, [a_cell(name) for name in catalogue.rows()]))
    assert [g.title for g in found] == [
        "Service",
        "Bucket",
        "Object",
        "Requests that no SDK method makes",
        "S3 Control",
    ]
    assert sum(len(group.rows) for group in found) == len(catalogue.rows())
    assert all(row.subject and row.level for group in found for row in group.rows)


def test_operations_about_one_thing_stand_together_after_the_resource_itself(tmp_path: Path) -> None:
    names = ("PutBucketCors", "HeadBucket", "GetBucketAcl", "DeleteBucketCors", "PutBucketAcl")
    (group,) = groups(a_result(tmp_path, [a_cell(name) for name in names]))
    assert [row.operation for row in group.rows] == [
        "HeadBucket", "GetBucketAcl", "PutBucketAcl", "DeleteBucketCors", "PutBucketCors",
    ]  # fmt: skip


def test_further_variants_stand_behind_ok_and_are_summed_up_in_it(tmp_path: Path) -> None:
    cells = [
        a_cell("GetObject", variant=variant, channel=channel, verdict=verdict)
        for variant, verdict in (("denied", Verdict.LOGGED), ("ok", Verdict.LOGGED), ("missing", Verdict.NOT_OBSERVED))
        for channel in (SERVER_ACCESS, CLOUDTRAIL)
    ]
    (group,) = groups(a_result(tmp_path, cells))
    assert [(row.variant, row.first, row.variants) for row in group.rows] == [
        ("ok", True, 2), ("denied", False, 0), ("missing", False, 0),
    ]  # fmt: skip
    assert [each.verdict for each in group.rows[0].further[0]] == ["logged", "not-observed"]
    assert sorted(one.number for row in group.rows for one in row.cells if one) == list(range(6))


def test_a_cell_that_the_run_has_not_is_an_empty_one(tmp_path: Path) -> None:
    cells = [a_cell("GetObject"), a_cell("GetObject", channel=CLOUDTRAIL), a_cell("PutObject", channel=CLOUDTRAIL)]
    (group,) = groups(a_result(tmp_path, cells))
    assert [[one.number if one else None for one in row.cells] for row in group.rows] == [[0, 1], [None, 2]]


def test_an_operation_that_the_catalogue_does_not_know_is_shown_too(tmp_path: Path) -> None:
    (group,) = groups(a_result(tmp_path, [a_cell("PutBucketFromTheFuture")]))
    assert (group.title, group.rows[0].level) == ("Unknown to the catalogue", "")


def test_each_verdict_has_a_symbol_and_a_code_of_its_own() -> None:
    assert len(set(SIGN.values())) == len(set(CODE.values())) == len(Verdict)


@pytest.mark.parametrize(("seconds", "shade"), [(0.5, 0), (59, 0), (60, 1), (1000, 3), (4000, 4), (90_000, 5)])
def test_later_records_are_shaded_darker(seconds: float, shade: int) -> None:
    delay = Delay(n=1, min_seconds=0, median_seconds=seconds, p90_seconds=0, max_seconds=0)
    assert GridCell(0, a_cell(delay=delay)).shade == shade
    assert GridCell(0, a_cell()).shade is None
