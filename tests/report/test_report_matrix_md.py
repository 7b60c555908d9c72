"""matrix.md: the honesty note first, then a table that no name can break."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from offline import FACTS, HOSTILE, a_cell, a_result

from harness.model import CLOUDTRAIL, SERVER_ACCESS, Cell, Delay, Verdict
from harness.report import matrix_md
from harness.report.matrix_md import span

MARKDOWN = MarkdownIt("commonmark").enable("table")


def written(folder: Path, *cells: Cell, **changes: object) -> str:
    (path,) = matrix_md.write(a_result(folder, cells, **changes))
    return path.read_text("utf-8")


def tokens(text: str) -> list[Token]:
    return [each for token in MARKDOWN.parse(text) for each in (token, *(token.children or []))]


def table(text: str) -> list[list[str]]:
    """Return the cells of the table as a reader sees them."""
    rows: list[list[str]] = []
    for token in MARKDOWN.parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def test_the_first_line_says_what_the_target_proves(tmp_path: Path) -> None:
    first = written(tmp_path, a_cell()).splitlines()[0]
    assert "embedded" in first
    assert "proves the harness, never AWS" in first
    assert "clock x600" in first


def test_an_interrupted_run_says_so_on_the_first_line(tmp_path: Path) -> None:
    first = written(tmp_path, a_cell(), facts={**FACTS, "interrupted": "collect"}).splitlines()[0]
    assert "interrupted in collect" in first


def test_there_is_one_row_for_each_operation_and_variant_and_one_column_for_each_channel(tmp_path: Path) -> None:
    cells = [
        a_cell(operation, variant=variant, channel=channel, names={channel: 1})
        for operation in ("GetObject", "PutObject")
        for variant in ("ok", "denied")
        for channel in (SERVER_ACCESS, CLOUDTRAIL)
    ]
    header, *rows = table(written(tmp_path, *cells))
    assert header == ["operation", "variant", SERVER_ACCESS, CLOUDTRAIL]
    assert [row[:2] for row in rows] == [
        ["GetObject", "ok"],
        ["GetObject", "denied"],
        ["PutObject", "ok"],
        ["PutObject", "denied"],
    ]
    assert all(SERVER_ACCESS in row[2] and CLOUDTRAIL in row[3] for row in rows)


def test_a_cell_shows_names_delay_and_the_reason(tmp_path: Path) -> None:
    delay = Delay(n=1, min_seconds=1, median_seconds=3480, p90_seconds=1, max_seconds=1)
    text = written(
        tmp_path,
        a_cell("GetObject", names={"REST.GET.OBJECT": 1}, delay=delay, reason="quiet"),
        a_cell("PutObject", verdict=Verdict.PENDING, reason="no control call"),
    )
    _, logged, pending = table(text)
    assert "REST.GET.OBJECT" in logged[2]
    assert "58 m" in logged[2]
    assert "quiet" in logged[2]
    assert "no control call" in pending[2]
    assert "1 logged, 1 pending" in text


def test_twins_are_told(tmp_path: Path) -> None:
    assert "same wire form as GetBucketLifecycleConfiguration" in written(tmp_path, a_cell("GetBucketLifecycle"))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_breaks_neither_the_table_nor_out_of_it(text: str, tmp_path: Path) -> None:
    cell = a_cell(text, variant=text, names={text: 1}, verdict=Verdict.PARTLY, reason=text)
    page = written(tmp_path, cell, a_cell("PutObject"))
    assert [len(row) for row in table(page)] == [3, 3, 3]
    kinds = {token.type for token in tokens(page)}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open", "fence"}
    assert not any(ord(c) < 32 and c != "\n" for c in page)
    assert "\u202e" not in page


def test_a_name_is_shown_as_code_with_its_underscores(tmp_path: Path) -> None:
    _, row = table(written(tmp_path, a_cell(names={"REST.COPY.OBJECT_GET": 1})))
    assert "REST.COPY.OBJECT_GET" in row[2]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (45, "45 s"), (89.4, "89 s"), (90, "2 m"), (3480, "58 m"), (7560, "2.1 h"), (259_200, "3.0 d")],
)
def test_spans_are_told_in_the_unit_that_suits_them(seconds: float, told: str) -> None:
    assert span(seconds) == told
