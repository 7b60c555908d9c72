"""Rule files are untrusted: read with limits, YAML without aliases or objects, and lines kept for findings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from harness.lint.model import Unreadable
from harness.lint.needs import need

MAX_BYTES = 1024 * 1024
"""The largest rule of the public collections has 0.1 MB."""
MAX_FILES = 20_000


def text_of(path: Path) -> str:
    """Return the text of a rule file.

    Raises:
        Unreadable: It is too large, or no UTF-8 text.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"no UTF-8 text: {error.reason} at byte {error.start}") from error
    if "\0" in text:
        raise Unreadable("no text: it holds a null character")
    return text


def yaml_documents(text: str) -> list[tuple[int, Any]]:
    """Return the documents of a YAML file, each with the line on which it begins.

    Raises:
        Unreadable: It is no YAML, nested too deeply, or uses aliases.
    """
    yaml = need("yaml")
    found: list[tuple[int, Any]] = []
    try:
        loader = _without_aliases(yaml.SafeLoader(text))
        while loader.check_node():
            node = loader.get_node()
            found.append((node.start_mark.line + 1, loader.construct_document(node)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise Unreadable(f"no YAML: {reason}", mark.line + 1 if mark else 1) from error
    except (RecursionError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Unreadable(f"no YAML that can be read: {reason}") from error
    return found


def _without_aliases(loader: Any) -> Any:
    """Make a YAML loader refuse aliases: nested ones make a small file endless for whoever walks it."""
    events, compose = need("yaml.events"), type(loader).compose_node

    def compose_node(parent: Any, index: Any) -> Any:
        if loader.check_event(events.AliasEvent):
            line = loader.peek_event().start_mark.line + 1
            raise Unreadable("YAML aliases are not read: write the value out", line)
        return compose(loader, parent, index)

    loader.compose_node = compose_node
    return loader


def toml_document(text: str) -> dict[str, Any]:
    """Return a TOML file's content.

    Raises:
        Unreadable: It is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise Unreadable(f"no TOML: {error}", int(line[1]) if line else text.count("\n")) from error
    except RecursionError as error:
        raise Unreadable("no TOML that can be read: nested too deeply") from error


def line_of(text: str, needle: str, start: int = 1) -> int:
    """Return the first line, at or after one, that holds a text as a word of its own; that line if none does."""
    lines = text.split("\n")
    word = re.compile(rf"(?<![\w.]){re.escape(needle)}(?![\w])")
    for number, line in enumerate(lines[start - 1 :], start):
        if word.search(line):
            return number
    return start


def line_of_block(text: str, block: str) -> int:
    """Return the line on which a text that was read from a file begins in it; 1 where it was written otherwise."""
    first = next((number for number, line in enumerate(block.split("\n")) if line.strip()), 0)
    wanted = block.split("\n")[first].strip()
    found = (number for number, line in enumerate(text.split("\n"), 1) if wanted and wanted in line)
    return max(1, next(found, 1) - first)
