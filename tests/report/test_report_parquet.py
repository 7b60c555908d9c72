"""calls.parquet and records.parquet: every call and every record, for pandas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
from offline import HOSTILE, T0, a_call, a_delivery, a_record, a_result, seconds

from harness.analyse.join import Pair, Way
from harness.report import parquet, write_all

CALL = a_call(1, expected={"server-access": 2})


def frames(folder: Path, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    calls, records = parquet.write(a_result(folder, **changes))
    return pd.read_parquet(calls), pd.read_parquet(records)


def paired(text: str = "REST.PUT.OBJECT") -> Any:
    record = a_record(CALL, name=text, raw=text, key=text, fields={"key": text, "n": 1})
    delivery = a_delivery(text, CALL.sent_at + seconds(61))
    stranger = a_record(raw=text, event_time=None)
    return [(record, delivery, Pair(CALL, record, Way.MARKER, (delivery,))), (stranger, delivery, None)]


def test_both_files_carry_the_headline_in_their_metadata(tmp_path: Path) -> None:
    result = a_result(tmp_path, calls=[CALL], paired=paired())
    for path in parquet.write(result):
        metadata = pyarrow.parquet.read_schema(path).metadata
        assert metadata[b"s3logjam"].decode() == result.headline
        assert b"never AWS" in metadata[b"s3logjam"]


def test_every_call_is_a_row(tmp_path: Path) -> None:
    calls, _ = frames(tmp_path, calls=[CALL, a_call(2, received_at=None, status=None, cell=None)])
    first, second = calls.to_dict("records")
    assert (first["number"], first["role"], first["operation"], first["variant"]) == (1, "subject", "PutObject", "ok")
    assert first["sent_at"] == CALL.sent_at
    assert json.loads(first["expected"]) == {"server-access": 2}
    assert pd.isna(second["received_at"])
    assert pd.isna(second["status"])
    assert str(calls["sent_at"].dtype).endswith("UTC]")


def test_every_record_is_a_row_with_the_call_that_it_belongs_to(tmp_path: Path) -> None:
    _, records = frames(tmp_path, calls=[CALL], paired=paired())
    ours, stranger = records.to_dict("records")
    assert (ours["call_number"], ours["call_role"], ours["joined_by"]) == (1, "subject", "marker")
    assert (ours["operation"], ours["delay_seconds"]) == ("PutObject", 60.0)
    assert (ours["event_time"], ours["arrived_at"]) == (CALL.sent_at, CALL.sent_at + seconds(61))
    assert json.loads(ours["fields"]) == {"key": "REST.PUT.OBJECT", "n": 1}
    assert pd.isna(stranger["call_number"])
    assert pd.isna(stranger["event_time"])


def test_hostile_text_comes_back_exactly(tmp_path: Path) -> None:
    made = [a_call(n, key=text, path=text, user_agent=text) for n, text in enumerate(HOSTILE)]
    calls, records = frames(tmp_path, calls=made, paired=[pair for text in HOSTILE for pair in paired(text)[:1]])
    assert list(calls["key"]) == list(calls["path"]) == list(calls["user_agent"]) == list(HOSTILE)
    assert list(records["raw"]) == list(records["key"]) == list(records["delivery"]) == list(HOSTILE)
    assert [json.loads(fields)["key"] for fields in records["fields"]] == list(HOSTILE)


def test_a_run_without_records_has_the_same_columns_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    calls, records = frames(tmp_path / "full", calls=[CALL], paired=paired())
    no_calls, no_records = frames(tmp_path)
    assert (len(no_calls), len(no_records)) == (0, 0)
    assert list(no_calls.columns) == list(calls.columns)
    assert list(no_records.columns) == list(records.columns)


def test_times_are_utc_even_where_there_is_none(tmp_path: Path) -> None:
    calls, _ = frames(tmp_path, calls=[a_call(1, server_date=None)])
    assert pd.isna(calls.loc[0, "server_date"])
    assert calls.loc[0, "sent_at"].tzinfo is not None
    assert calls.loc[0, "sent_at"] > T0


def test_all_files_of_a_run_are_written(tmp_path: Path) -> None:
    names = {path.name for path in write_all(a_result(tmp_path, calls=[CALL], paired=paired()))}
    delays = {"delay.csv", "delay.json", "delay.md"}
    matrix = {
        "matrix.csv",
        "matrix.json",
        "matrix.md",
        "calls.parquet",
        "records.parquet",
        "logjam-tables.md",
        "report.html",
    }
    assert names == matrix | delays | {"executions.csv"}
    assert all((tmp_path / name).stat().st_size for name in names)
