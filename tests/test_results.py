"""A finished run for Python users: load_run(...) gives frames whose columns have the types they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from offline import FACTS, HOSTILE, RUN_ID, T0, a_call, a_cell, a_delivery, a_record, a_result

import harness
from harness.analyse.join import Pair, Way
from harness.errors import LogjamError, UsageError
from harness.journal import FILE_NAME, Journal
from harness.model import Cell, Delay, Verdict
from harness.report import write_all
from harness.report.matrix_csv import COLUMNS

DELAY = Delay(n=2, min_seconds=1.0, median_seconds=1.5, p90_seconds=1.9, max_seconds=2.0)
NUMBERS = ("calls", "logged", "records", "duplicates")
MAYBE = (
    "expected_records",
    "delay_n",
    "delay_min_seconds",
    "delay_p50_seconds",
    "delay_p90_seconds",
    "delay_max_seconds",
)
TEXTS = ("operation", "variant", "channel", "verdict", "names", "statuses", "joined_by", "twins", "reason", "target")


def a_run(folder: Path, *cells: Cell, **changes: Any) -> Path:
    with Journal(folder / FILE_NAME, create=True) as journal:
        for name, value in {**FACTS, "seed": 1}.items():
            journal.note(name, value)
    write_all(a_result(folder, cells, **changes))
    return folder


def test_the_matrix_is_a_frame_with_one_row_for_each_cell(tmp_path: Path) -> None:
    matrix = harness.load_run(a_run(tmp_path, a_cell("A", calls=2, delay=DELAY), a_cell("B"))).matrix
    assert tuple(matrix.columns) == COLUMNS
    assert list(matrix["operation"]) == ["A", "B"]
    assert matrix.loc[0, "delay_p50_seconds"] == 1.5
    assert matrix.loc[0, "calls"] == 2


@pytest.mark.parametrize(
    "cells",
    [
        [a_cell(delay=DELAY, calls=1, expected=1)],
        [a_cell(verdict=Verdict.NOT_RUN)],
        [a_cell(delay=DELAY), a_cell("B", verdict=Verdict.NOT_RUN), a_cell("C", verdict=Verdict.PENDING)],
    ],
    ids=["all measured", "none measured", "mixed"],
)
def test_numbers_are_numbers_and_texts_are_texts_whatever_was_measured(cells: list[Cell], tmp_path: Path) -> None:
    matrix = harness.load_run(a_run(tmp_path, *cells)).matrix
    assert all(pd.api.types.is_integer_dtype(matrix[name]) for name in NUMBERS)
    assert all(pd.api.types.is_numeric_dtype(matrix[name]) for name in (*MAYBE, "clock_factor"))
    assert not any(matrix[name].isna().any() for name in TEXTS)
    assert all(isinstance(value, str) for name in TEXTS for value in matrix[name])


def test_what_was_not_measured_is_nan_and_not_zero(tmp_path: Path) -> None:
    matrix = harness.load_run(a_run(tmp_path, a_cell(verdict=Verdict.NOT_RUN), a_cell("B", delay=DELAY))).matrix
    assert matrix.loc[0, list(MAYBE)].isna().all()
    assert matrix.loc[1, "delay_n"] == 2


def test_texts_that_pandas_takes_for_missing_stay_texts(tmp_path: Path) -> None:
    texts = ["", "NA", "null", "nan", "None", "#N/A"]
    matrix = harness.load_run(a_run(tmp_path, *(a_cell(reason=text) for text in texts))).matrix
    assert list(matrix["reason"]) == texts


def test_every_row_says_what_its_target_proves(tmp_path: Path) -> None:
    run = harness.load_run(a_run(tmp_path, a_cell()))
    assert set(run.matrix["target_note"]) == {"proves the harness, never AWS"}
    assert "proves the harness, never AWS" in run.headline
    assert run.facts["run_id"] == RUN_ID


def test_calls_and_records_are_frames_with_times_in_utc(tmp_path: Path) -> None:
    call = a_call(1)
    record, delivery = a_record(call), a_delivery()
    paired = [(record, delivery, Pair(call, record, Way.REQUEST_ID, (delivery,)))]
    run = harness.load_run(a_run(tmp_path, a_cell(), calls=[call], paired=paired))
    assert run.calls.loc[0, "sent_at"] == call.sent_at
    assert run.records.loc[0, "arrived_at"] == T0
    assert run.records.loc[0, "call_number"] == run.calls.loc[0, "number"]
    assert str(run.records["arrived_at"].dtype).endswith("UTC]")


def test_cells_have_names_and_field_values(tmp_path: Path) -> None:
    fields = {"bucket": {"class": "equal", "present": 1, "equal": 1}}
    (cell,) = harness.load_run(a_run(tmp_path, a_cell(names={"A": 1}, fields=fields))).cells
    assert cell["names"] == {"A": 1}
    assert cell["fields"] == fields


def test_hostile_names_do_not_shift_the_columns(tmp_path: Path) -> None:
    cells = [a_cell(f"Op{n}", names={t: 1}, reason=t, statuses={t: 1}) for n, t in enumerate(HOSTILE)]
    matrix = harness.load_run(a_run(tmp_path, *cells)).matrix
    assert list(matrix["operation"]) == [f"Op{n}" for n in range(len(HOSTILE))]
    assert set(matrix["verdict"]) == {"logged"}
    assert set(matrix["target"]) == {"embedded"}


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("x")])
def test_a_path_without_a_run_is_wrong_use_and_named(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    make(path)
    with pytest.raises(UsageError, match="there is no run at") as caught:
        harness.load_run(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["matrix", "cells", "calls", "records"])
def test_a_run_whose_files_were_never_written_says_what_to_do(name: str, tmp_path: Path) -> None:
    Journal(tmp_path / FILE_NAME, create=True).close()
    with pytest.raises(LogjamError, match="s3logjam report"):
        getattr(harness.load_run(tmp_path), name)


def test_a_path_may_be_given_as_a_text(tmp_path: Path) -> None:
    assert len(harness.load_run(str(a_run(tmp_path, a_cell()))).matrix) == 1


def test_the_package_offers_load_run_and_its_version_and_nothing_by_accident() -> None:
    assert harness.__version__
    with pytest.raises(AttributeError, match="no_such_name"):
        harness.no_such_name  # noqa: B018
