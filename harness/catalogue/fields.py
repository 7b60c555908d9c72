"""Which class is expected of which field of which channel: data (``fields.csv``), read once.

Classes: ``equal`` to an attribute of the call, ``derived`` from the call, ``name`` (what the matrix counts), ``format``
(constant for a principal or a target), ``volatile`` (differs between runs). A field that the table does not name is
``format``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class FieldClass:
    """What is expected of a field."""

    kind: str
    call_attribute: str = ""


_OTHER = FieldClass("format")


@cache
def _table() -> Mapping[tuple[str, str], FieldClass]:
    text = resources.files("harness.catalogue").joinpath("fields.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(r["channel"], r["field"]): FieldClass(r["class"], r["call_attribute"] or "") for r in rows}


def field_class(channel: str, name: str) -> FieldClass:
    """Return the class of a field of a channel."""
    return _table().get((channel, name), _OTHER)
