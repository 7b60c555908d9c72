"""Parsers of rules are an optional extra: whoever measures needs none of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from harness.errors import UsageError


def need(module: str) -> Any:
    """Import a module of the extra ``rules``.

    Raises:
        UsageError: It is not installed; the message says how to.
    """
    try:
        return import_module(module)
    except ImportError as error:
        text = f"linting rules needs {error.name or module}: install it with pip install 's3logjam[rules]'"
        raise UsageError(text) from error
