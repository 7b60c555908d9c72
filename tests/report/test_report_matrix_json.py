"""matrix.json: everything that the matrix knows, exactly."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from offline import FACTS, HOSTILE, T0, a_call, a_cell, a_result

from harness.model import Cell, Delay, Reject, Role, Verdict
from harness.report import matrix_json

RUN = {"repeats": 1, "channels": ["server-access"], "started_at": T0.isoformat(), "s3logjam": "0.1.0", "python": "3.11"}
SCHEMA = json.loads(resources.files("harness.report").joinpath("matrix.schema.json").read_text("utf-8"))


def written(folder: Path, *cells: Cell, **changes: Any) -> dict[str, Any]:
    (path,) = matrix_json.write(a_result(folder, cells, **{"facts": {**FACTS, **RUN}, **changes}))
    found: dict[str, Any] = json.loads(path.read_text("ascii"))
    jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
    return found


def test_the_headline_comes_first_and_says_what_the_target_proves(tmp_path: Path) -> None:
    document = written(tmp_path, a_cell())
    assert next(iter(document)) == "headline"
    assert "proves the harness, never AWS" in document["headline"]
    assert (document["target"], document["clock_factor"]) == ("embedded", 600.0)


def test_a_cell_keeps_its_evidence(tmp_path: Path) -> None:
    fields = {"bucket": {"class": "equal", "present": 3, "equal": 2, "other": [None, "x"]}}
    delay = Delay(n=2, min_seconds=1.0, median_seconds=2.0, p90_seconds=3.0, max_seconds=4.0)
    cell = a_cell(calls=3, logged=2, names={"A": 2}, joins={"marker": 2}, fields=fields, delay=delay, reason="because")
    (found,) = written(tmp_path, cell)["cells"]
    assert (found["calls"], found["logged"], found["names"], found["joined_by"]) == (3, 2, {"A": 2}, {"marker": 2})
    assert found["fields"] == fields
    assert found["delay"] == {"n": 2, "min_seconds": 1.0, "p50_seconds": 2.0, "p90_seconds": 3.0, "max_seconds": 4.0}
    assert found["reason"] == "because"


def test_verdicts_and_calls_are_counted(tmp_path: Path) -> None:
    cells = [a_cell("A"), a_cell("B"), a_cell("C", verdict=Verdict.PENDING)]
    calls = [a_call(1), a_call(2, role=Role.POLL), a_call(3, role=Role.POLL)]
    counts = {"server-access": {"deliveries": 2, "vanished": 0, "records": 5, "rejects": 1}}
    summary = written(tmp_path, *cells, calls=calls, deliveries=counts, unmatched=7)["summary"]
    assert (summary["verdicts"]["logged"], summary["verdicts"]["pending"], summary["verdicts"]["not run"]) == (2, 1, 0)
    assert summary["calls"] == {"subject": 1, "poll": 2}
    assert (summary["deliveries"], summary["records_of_nobody"]) == (counts, 7)


def test_rejects_keep_their_place(tmp_path: Path) -> None:
    reject = Reject(channel="server-access", reason="too few fields", raw="secret raw text", offset=3)
    document = written(tmp_path, a_cell(), rejects=[(reject, "s3://logs/1")])
    assert document["rejects"] == [
        {"channel": "server-access", "file": "s3://logs/1", "offset": 3, "reason": "too few fields"}
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_comes_back_exactly_from_a_file_of_plain_ascii(text: str, tmp_path: Path) -> None:
    reject = Reject(channel="server-access", reason=text, raw=text, offset=None)
    document = written(tmp_path, a_cell(names={text: 1}, reason=text), rejects=[(reject, text)])
    assert document["cells"][0]["names"] == {text: 1}
    assert document["cells"][0]["reason"] == text
    assert document["rejects"][0]["file"] == text
    assert not any(c < 32 and c != 10 for c in (tmp_path / "matrix.json").read_bytes())
