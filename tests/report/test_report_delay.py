"""delay.csv, delay.json, delay.md: what is measured with its interval, and what is not as such."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from offline import FACTS, HOSTILE, T0, a_call, a_delivery, a_record, a_result, seconds

from harness.analyse.join import Joiner
from harness.model import SERVER_ACCESS, Call, CellKey
from harness.report import Result, delay

ROOT = Path(__file__).parents[2]
WAITED: dict[str, Any] = {
    **FACTS,
    "region": "us-east-1",
    "absence_seconds": {SERVER_ACCESS: 14_400.0},
    "polled_at": {SERVER_ACCESS: (T0 + seconds(30_000)).isoformat()},
}


def result(folder: Path, *delays: float | None, facts: dict[str, Any] = WAITED, **call: Any) -> Result:
    """Return a run of calls whose records took so long; None for those without a record."""
    calls: list[Call] = []
    records = []
    for number, taken in enumerate(delays, 1):
        values = {"cell": CellKey(operation="PutObject"), "expected": {SERVER_ACCESS: 1}, "sent_at": T0} | call
        calls.append(a_call(number, **values))
        if taken is not None:
            came = T0 + seconds(1 + taken)
            records.append((a_record(calls[-1]), a_delivery(f"s3://logs/{number}", came)))
    joiner = Joiner(calls)
    paired = [(record, delivery, joiner.add(record, delivery)) for record, delivery in records]
    return a_result(folder, calls=calls, paired=paired, facts=facts)


def written(one: Result) -> tuple[list[dict[str, str]], dict[str, Any], str]:
    csv_path, json_path, md_path = delay.write(one)
    assert [path.name for path in (csv_path, json_path, md_path)] == ["delay.csv", "delay.json", "delay.md"]
    with csv_path.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    return found, json.loads(json_path.read_text("ascii")), md_path.read_text("utf-8")


def tables(text: str) -> list[list[str]]:
    """Return the rows of all tables of a Markdown page."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    found: list[list[str]] = []
    for before, token in pairwise(tokens):
        if token.type == "tr_open":
            found.append([])
        elif token.type == "inline" and before.type in ("td_open", "th_open"):
            found[-1].append("".join(child.content for child in token.children or []))
    return found


def test_a_class_has_its_numbers_with_their_limits_in_all_three_files(tmp_path: Path) -> None:
    rows, document, page = written(result(tmp_path, *(float(600 + 60 * n) for n in range(1, 41))))
    row, nested = rows[0], document["rows"][0]
    assert (row["channel"], row["region"], row["category"], row["access"]) == (SERVER_ACCESS, "us-east-1", "all", "all")
    assert (row["calls"], row["logged"], row["missing"], row["censored"]) == ("40", "40", "0", "0")
    assert float(row["p50_seconds"]) == pytest.approx(600 + 60 * 20.5 + 0.5)
    assert float(row["p50_low_seconds"]) < float(row["p50_seconds"]) < float(row["p50_high_seconds"])
    assert (float(row["within_15m"]), float(row["within_60m"]), row["logged_share"]) == (0.1, 1.0, "1.0")
    assert float(row["lost_below"]) == pytest.approx(1 - 0.05 ** (1 / 40), abs=1e-6)
    assert nested["quantile_seconds"]["p50"]["value"] == float(row["p50_seconds"])
    assert nested["share"]["within_15m"]["low"] == float(row["within_15m_low"])
    assert nested["max_seconds"] == {"value": 3000.5, "low": 3000.5, "high": None}
    assert tables(page)[1][:4] == ["all", "40", "30.5 min (24.3 to 36.7)", "46.6 min (42.5 to 49.7)"]


def test_a_quantile_of_too_few_calls_is_an_interval_with_the_reason_in_all_three_files(tmp_path: Path) -> None:
    rows, document, page = written(result(tmp_path, *(float(60 * n) for n in range(1, 41))))
    assert (rows[0]["p50_seconds"], rows[0]["p90_not_told"]) == ("", "")
    assert 2190 < float(rows[0]["p90_seconds"]) < 2200
    assert 860 < float(rows[0]["p50_low_seconds"]) < 870
    assert rows[0]["p50_not_told"] == "about 47 calls are needed"
    assert document["rows"][0]["quantile_seconds"]["p50"]["value"] is None
    assert document["rows"][0]["quantile_seconds"]["p50"]["not_told"] == rows[0]["p50_not_told"]
    assert document["rows"][0]["quantile_seconds"]["p90"]["not_told"] is None
    assert tables(page)[1][2:4] == ["14.3 to 26.7 min", "36.6 min (32.5 to 39.7)"]
    assert "- all, without a number: p50 (about 47 calls are needed), p95 (about 72 calls are needed), p99 (" in page


def test_quantiles_without_a_number_for_the_same_reason_are_named_together(tmp_path: Path) -> None:
    page = written(result(tmp_path, *[60.0] * 3, *[None] * 7))[2]
    assert "- all, without a number: p50, p90, p95, p99 (the watching ended before it, or records are lost)\n" in page


def test_a_page_on_which_every_quantile_is_a_number_gives_no_reasons(tmp_path: Path) -> None:
    assert "without a number" not in written(result(tmp_path, *[60.0] * 400))[2]


def test_what_is_not_estimable_is_empty_and_never_a_number(tmp_path: Path) -> None:
    rows, document, page = written(result(tmp_path, *[60.0] * 3, *[None] * 7))
    row = rows[0]
    for name in ("p50_seconds", "p50_high_seconds", "p99_seconds", "max_seconds", "within_24h"):
        assert row[name] == ""
    assert (row["missing"], row["never_logged"], row["censored"], row["logged_share"]) == ("7", "0", "7", "0.3")
    assert float(row["max_low_seconds"]) > 29_000
    assert document["rows"][0]["quantile_seconds"]["p99"]["value"] is None
    assert tables(page)[1][2:] == ["> 60.5 s", "> 60.5 s", "> 60.5 s", "> 60.5 s", "> 8.33 h"]


def test_pending_calls_leave_the_logged_share_open(tmp_path: Path) -> None:
    facts = WAITED | {"polled_at": {SERVER_ACCESS: (T0 + seconds(7200)).isoformat()}}
    rows, _, page = written(result(tmp_path, 60.0, 60.0, None, facts=facts))
    assert (rows[0]["pending"], rows[0]["logged_share"], rows[0]["logged_share_high"]) == ("1", "", "1.0")
    assert "9.43 to 100 %" in page


def test_nearly_all_is_not_shown_as_all(tmp_path: Path) -> None:
    _, _, page = written(result(tmp_path, *[60.0] * 2999, None))
    assert "99.967 % (99.814 to 99.999)" in page


def test_every_file_says_what_the_target_proves_and_how_the_clock_ran(tmp_path: Path) -> None:
    rows, document, page = written(result(tmp_path, 60.0, 90.0))
    assert {(row["target"], row["target_note"], row["clock_factor"]) for row in rows} == {
        ("embedded", "proves the harness, never AWS", "600.0")
    }
    assert next(iter(document)) == "headline"
    assert "proves the harness, never AWS" in document["headline"]
    assert "proves the harness, never AWS" in page.splitlines()[0]
    assert "clock x600" in page.splitlines()[0]


def test_the_clocks_offset_is_told_with_its_uncertainty(tmp_path: Path) -> None:
    rows, document, page = written(result(tmp_path, 60.0, server_date=T0 + seconds(10)))
    assert document["clock"] == {"offset_seconds": 10.0, "uncertainty_seconds": 1.0, "calls": 1, "agreeing": 1}
    assert (rows[0]["clock_offset_seconds"], rows[0]["clock_uncertainty_seconds"]) == ("10.0", "1.0")
    assert "+10.00 s ± 1.00 s from the client's (1 of 1 Date headers agree)" in page


def test_without_date_headers_the_page_says_so(tmp_path: Path) -> None:
    rows, _, page = written(result(tmp_path, 60.0))
    assert "No answer had a Date header" in page
    assert (rows[0]["clock_offset_seconds"], rows[0]["clock_uncertainty_seconds"]) == ("0.0", "")


@pytest.mark.parametrize("facts", [FACTS, WAITED])
def test_a_run_without_calls_has_files_that_say_so(facts: dict[str, Any], tmp_path: Path) -> None:
    rows, document, page = written(result(tmp_path, facts=facts))
    assert (rows, document["rows"]) == ([], [])
    assert "No call was made whose record is expected in a channel." in page


def test_regions_are_named_where_there_are_several(tmp_path: Path) -> None:
    one = result(tmp_path, 60.0, 90.0)
    elsewhere = a_call(3, sent_at=T0, host="b.s3.eu-west-1.amazonaws.com", expected={SERVER_ACCESS: 1})
    page = written(a_result(tmp_path, calls=[*one.calls, elsewhere], paired=one.paired, facts=WAITED))[2]
    assert {row[0] for row in tables(page)} >= {"us-east-1 all", "eu-west-1 data write"}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_a_record_says_of_its_class_breaks_no_file(text: str, tmp_path: Path) -> None:
    one = result(tmp_path, 60.0, facts=WAITED | {"region": text})
    (record, delivery, _), *_ = one.paired
    hostile = a_record(one.calls[0], fields={"eventCategory": text, "readOnly": True})
    assert record.identity == hostile.identity
    joiner = Joiner(one.calls)
    rows, document, page = written(
        a_result(
            tmp_path, calls=one.calls, paired=[(hostile, delivery, joiner.add(hostile, delivery))], facts=one.facts
        )
    )
    assert [row["access"] for row in rows] == ["all", "all", "read"]
    for row in rows:
        assert None not in row
        for value in row.values():
            assert not value.startswith(("=", "+", "-", "@", "\t"))
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", value)
    assert document["rows"][0]["region"] == text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert {len(row) for row in tables(page)} <= {6, 7, 8}
    assert "<script" not in MarkdownIt("commonmark").enable("table").render(page)


def headers(folder: Path) -> Sequence[str]:
    delay.write(result(folder))
    with (folder / "delay.csv").open(encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream))


def test_the_columns_are_those_that_are_stated(tmp_path: Path) -> None:
    assert tuple(headers(tmp_path)) == delay.COLUMNS
    assert len(set(delay.COLUMNS)) == len(delay.COLUMNS)


def test_every_file_and_column_is_explained() -> None:
    files, columns = ((ROOT / name).read_text("utf-8") for name in ("results/README.md", "docs/measurement.md"))
    assert not {name for name in ("delay.csv", "delay.json", "delay.md") if f"`{name}`" not in files}
    assert not {name for name in delay.COLUMNS if f"`{name}`" not in columns}
