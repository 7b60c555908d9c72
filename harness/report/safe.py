"""Log text is hostile: what an attacker chose is made inert for each kind of output before it gets there."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#!~&])")


def visible(text: str) -> str:
    """Return a text with control, format and other invisible characters as escapes: ANSI, U+202E, newlines."""
    if text.isprintable():  # The same categories, in one quick look; nearly all text passes it.
        return text
    return "".join(
        c if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp") else _escape(c)
        for c in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def csv_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    text = visible(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header line, their texts as ``csv_cell`` gives them.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({k: csv_cell(v) if isinstance(v, str) else v for k, v in row.items()})


def markdown_cell(text: str) -> str:
    """Return a text that Markdown shows as it is, inside a table too."""
    return _MARKDOWN.sub(r"\\\1", visible(text))
