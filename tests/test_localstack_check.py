"""The check against LocalStack: what it compares, and the page that its table stands in. No LocalStack is started."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from offline import HOSTILE

ROOT = Path(__file__).parent.parent
KEY = ("PutObject", "ok")


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("localstack_check", ROOT / "deploy" / "localstack" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made


def test_rows_that_ended_as_before_do_not_differ(check: ModuleType) -> None:
    known = {KEY: check.Row("not as meant", "answered 501", "not implemented")}
    assert not list(check.compare(known, {KEY: check.Row("not as meant", "answered 501")}))


def test_another_ending_or_another_reason_differs(check: ModuleType) -> None:
    known = {KEY: check.Row("not as meant", "answered 501", "not implemented")}
    for now in (check.Row("as meant", ""), check.Row("not as meant", "answered 500")):
        (told,) = check.compare(known, {KEY: now})
        assert told.startswith("PutObject[ok]: ")
        assert told.endswith("rows.csv has not as meant (answered 501)")


def test_new_rows_and_lost_rows_differ_but_not_those_that_were_not_selected(check: ModuleType) -> None:
    row = check.Row("as meant", "")
    assert len(list(check.compare({}, {KEY: row}))) == 1
    assert len(list(check.compare({KEY: row}, {}))) == 1
    assert not list(check.compare({KEY: row}, {}, whole=False))


def test_a_difference_without_an_explanation_is_told(check: ModuleType) -> None:
    rows = {KEY: check.Row("not as meant", "answered 501"), ("GetObject", "ok"): check.Row("not run", "no")}
    assert [told.partition(":")[0] for told in check.unexplained(rows)] == ["PutObject[ok]"]


def test_writing_keeps_explanations_of_what_is_still_so_and_drops_the_others(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{check.BEGIN}\nold table\n{check.END}\nafter\n", "utf-8")
    monkeypatch.setattr(check, "ROWS", tmp_path / "rows.csv")
    monkeypatch.setattr(check, "PAGE", page)
    known = {
        ("A", "ok"): check.Row("not as meant", "answered 501", "not implemented"),
        ("B", "ok"): check.Row("not as meant", "answered 501", "not implemented"),
    }
    measured = {
        ("A", "ok"): check.Row("not as meant", "answered 501"),
        ("B", "ok"): check.Row("not as meant", "answered 400"),
        ("C", "ok"): check.Row("as meant", ""),
    }
    check.write(measured, known)
    assert {key[0]: row.why for key, row in check.read_rows(check.ROWS).items()} == {
        "A": "not implemented",
        "B": "",
        "C": "",
    }
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| `A[ok]` | answered 501 | not implemented |" in text
    assert "old table" not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_what_localstack_answered_stays_in_its_cell_of_the_table(text: str, check: ModuleType) -> None:
    lines = check.table({KEY: check.Row("not as meant", text, "why")}).splitlines()
    assert len(lines) == 3
    assert lines[2].replace("\\|", "").count("|") == 4


def test_every_difference_of_the_list_is_explained_and_the_page_shows_it(check: ModuleType) -> None:
    rows = check.read_rows(check.ROWS)
    assert not list(check.unexplained(rows))
    assert f"{check.BEGIN}\n{check.table(rows)}{check.END}" in check.PAGE.read_text("utf-8")


def test_the_numbers_on_the_page_are_those_of_the_list(check: ModuleType) -> None:
    rows = check.read_rows(check.ROWS)
    ended = sum(1 for row in rows.values() if row.ending == check.AS_MEANT)
    executed = ended + sum(1 for row in rows.values() if row.ending == check.NOT_AS_MEANT)
    assert f"**{ended} of {executed}** rows" in check.PAGE.read_text("utf-8")
    assert f"{len(rows) - executed} rows are not run" in check.PAGE.read_text("utf-8")
