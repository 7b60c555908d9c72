"""What all JSON formats share: texts that can be kept anywhere, numbers and times that can be read."""

from __future__ import annotations

import math
from datetime import UTC, datetime

MAX_REJECT_BYTES = 8192


def clean(text: str) -> str:
    """Spell out lone surrogates (JSON's ``\\ud800``), which neither SQLite nor a UTF-8 file can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def integer(digits: str) -> int | str:
    """Read an integer: not one that SQLite's INTEGER cannot hold, nor one that ``int()`` refuses (4300 digits)."""
    return int(digits) if len(digits) < 19 else digits


def number(digits: str) -> float | str:
    """Read a number with a fraction; one beyond every float stays a text, because JSON has no infinity."""
    return value if math.isfinite(value := float(digits)) else digits


def time(text: str | None) -> datetime | None:
    """Read a time in ISO 8601, UTC where it names no zone; None for what is none."""
    if text is None or len(text) < len("2026-01-01T00:00"):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def capped(text: str) -> str:
    """Return as much of a text as a reject keeps."""
    return text[:MAX_REJECT_BYTES].encode("utf-8", "backslashreplace")[:MAX_REJECT_BYTES].decode("utf-8", "ignore")
