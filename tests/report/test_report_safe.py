"""What an attacker chose is inert in every kind of output."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from offline import HOSTILE

from harness.report.safe import csv_cell, markdown_cell, visible

MARKDOWN = MarkdownIt("commonmark").enable("table")
ANY = st.text(max_size=40) | st.sampled_from((*HOSTILE, "&lt;b&gt; &amp; &#124;"))


def is_visible(text: str) -> bool:
    return not any(unicodedata.category(c).startswith("C") for c in text)


@given(ANY)
def test_no_control_format_or_surrogate_character_is_left(text: str) -> None:
    assert is_visible(visible(text))
    assert is_visible(csv_cell(text))
    assert is_visible(markdown_cell(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202ename", "\\u202ename"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\U000e0001", "\\U000e0001"),
        ("\x9b", "\\x9b"),
        ("\ud800", "\\ud800"),
        ("😀 café ☃", "😀 café ☃"),
    ],
)
def test_invisible_characters_are_written_as_escapes_and_all_others_stay(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY)
def test_no_spreadsheet_takes_a_cell_for_a_formula(text: str) -> None:
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_plain_text_stays_as_it_is_in_a_csv_cell() -> None:
    assert csv_cell("PutObject, with 'quotes' = 1") == "PutObject, with 'quotes' = 1"


@given(ANY.filter(lambda text: visible(text).strip() == visible(text) != ""))
def test_markdown_shows_a_text_as_it_is_inside_a_table(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {markdown_cell(text)} | x |\n"
    cells = [t for t in MARKDOWN.parse(table) if t.type == "inline"][2:]
    assert [cell.type for cell in cells] == ["inline", "inline"]
    first = cells[0].children or []
    assert {child.type for child in first} <= {"text", "text_special"}
    assert "".join(child.content for child in first) == visible(text)
