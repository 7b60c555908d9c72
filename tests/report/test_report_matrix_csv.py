"""matrix.csv: every cell a row that spreadsheets and scripts read alike."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from offline import HOSTILE, a_cell, a_result

from harness.model import Cell, Delay, Verdict
from harness.report import matrix_csv

DELAY = Delay(n=3, min_seconds=-0.5, median_seconds=2.0, p90_seconds=3.5, max_seconds=4.0)


def written(folder: Path, *cells: Cell) -> list[dict[str, str]]:
    (path,) = matrix_csv.write(a_result(folder, cells))
    assert path == folder / "matrix.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_cell_becomes_a_row_with_its_numbers(tmp_path: Path) -> None:
    (row,) = written(
        tmp_path,
        a_cell(
            "GetBucketLifecycle",
            calls=3,
            logged=3,
            records=4,
            expected=3,
            duplicates=1,
            names={"A": 1, "B": 2},
            statuses={"200": 2, "403 AccessDenied": 1},
            joins={"request-id": 4},
            delay=DELAY,
        ),
    )
    assert (row["operation"], row["variant"], row["channel"]) == ("GetBucketLifecycle", "ok", "server-access")
    assert (row["verdict"], row["calls"], row["logged"], row["records"]) == ("logged", "3", "3", "4")
    assert (row["expected_records"], row["duplicates"], row["names"]) == ("3", "1", "A B")
    assert (row["statuses"], row["joined_by"]) == ("200: 2; 403 AccessDenied: 1", "request-id: 4")
    assert [row[f"delay_{name}"] for name in ("n", "min_seconds", "p50_seconds", "p90_seconds", "max_seconds")] == [
        "3",
        "-0.5",
        "2.0",
        "3.5",
        "4.0",
    ]
    assert (row["level"], row["twins"]) == ("bucket", "GetBucketLifecycleConfiguration")


def test_every_row_names_the_target_and_what_it_proves(tmp_path: Path) -> None:
    rows = written(tmp_path, a_cell("PutObject"), a_cell("GetObject", verdict=Verdict.NOT_RUN))
    assert {(row["target"], row["target_note"], row["clock_factor"]) for row in rows} == {
        ("embedded", "proves the harness, never AWS", "600.0")
    }


def test_what_was_not_run_has_no_numbers_that_look_measured(tmp_path: Path) -> None:
    (row,) = written(tmp_path, a_cell(verdict=Verdict.NOT_RUN, reason="retired"))
    assert (row["expected_records"], row["delay_n"], row["delay_p50_seconds"], row["reason"]) == ("", "", "", "retired")


def test_an_operation_that_the_model_does_not_know_has_a_row_all_the_same(tmp_path: Path) -> None:
    (row,) = written(tmp_path, a_cell("BrandNew"))
    assert (row["operation"], row["level"], row["twins"]) == ("BrandNew", "", "")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_stays_in_its_cell_and_is_no_formula(text: str, tmp_path: Path) -> None:
    cell = a_cell(text, variant=text, names={text: 1}, statuses={text: 1}, joins={text: 1}, reason=text)
    (row,) = written(tmp_path, cell)
    assert None not in row
    for value in row.values():
        assert not value.startswith(("=", "+", "-", "@", "\t"))
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", value)
