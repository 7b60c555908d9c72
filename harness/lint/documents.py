"""Rule files are untrusted: read with limits, YAML without aliases or objects, and lines kept for findings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a YAML file.

    Attributes:
        lines: Per path of keys and indices the line of the value; of a list or a mapping that of its key.
    """

    content: Any
    lines: Mapping[tuple[Any, ...], int]

    @property
    def line(self) -> int:
        """The line on which it begins."""
        return self.lines[()]

    def line_of(self, *path: Any) -> int:
        """Return the line of a value, or of what holds it where it has none of its own."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def yaml_documents(text: str) -> list[Document]:
    """Return the documents of a YAML file.

    Raises:
        Unreadable: It is no YAML, nested too deeply, or uses aliases.
    """
    yaml = need("yaml")
    found: list[Document] = []
    try:
        loader = _without_aliases(yaml.SafeLoader(text))
        while loader.check_node():
            node = loader.get_node()
            lines = dict(_lines(node, (), node.start_mark.line + 1))
            found.append(Document(loader.construct_document(node), lines))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise Unreadable(f"no YAML: {reason}", mark.line + 1 if mark else 1) from error
    except (RecursionError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Unreadable(f"no YAML that can be read: {reason}") from error
    return found


def _lines(node: Any, path: tuple[Any, ...], line: int) -> Iterator[tuple[tuple[Any, ...], int]]:
    yield path, line
    if node.id == "mapping":
        for key, value in node.value:
            if key.id == "scalar":
                yield from _lines(value, (*path, key.value), _line(value, key.start_mark.line + 1))
    elif node.id == "sequence":
        for index, value in enumerate(node.value):
            yield from _lines(value, (*path, index), _line(value, value.start_mark.line + 1))


def _line(node: Any, otherwise: int) -> int:
    """Return the line of a scalar: of a block (``|``) its first, below the sign."""
    return node.start_mark.line + 1 + (node.style in ("|", ">")) if node.id == "scalar" else otherwise


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


_QUERY = re.compile(r"""(?m)^[ \t]*query[ \t]*=[ \t]*(?:(\"{3}|'{3})(\r?\n)?)?""")


def query_lines(text: str) -> tuple[int, bool]:
    """Return the line on which the query of an Elastic rule begins, and whether it goes on over several lines."""
    table = re.search(r"(?m)^[ \t]*\[rule\]", text)
    found = _QUERY.search(text, table.end() if table else 0)
    if found is None:
        return 1, False
    return text.count("\n", 0, found.end()) + 1, bool(found[1])
