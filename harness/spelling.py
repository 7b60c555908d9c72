"""Reads text as characters that remember how they were spelled: plain, or percent-encoded once or more often.

Logs write one key in many ways: as it is, encoded once in a request line, twice in a server access log's key field, or
half of it. Decoded to the end they are all the same, and a character that takes another's place is spelled like it.
"""

from __future__ import annotations

import re

_RUN = re.compile(r"(?:%(?:25)*[0-9A-Fa-f]{2})+")
_BYTE = re.compile(r"%((?:25)*)([0-9A-Fa-f]{2})")
_NOT_TEXT = "\x1a"
"""Stands for an encoded byte that is no UTF-8; it stays as it is."""


def spelled(text: str) -> list[tuple[str, str]]:
    """Return the characters of a text, fully decoded, each with its spelling in the text."""
    units: list[tuple[str, str]] = []
    position = 0
    for run in _RUN.finditer(text):
        units += [(c, c) for c in text[position : run.start()]]
        parts = [(part[0], int(part[2], 16)) for part in _BYTE.finditer(run[0])]
        at = 0
        while at < len(parts):
            for size in (1, 2, 3, 4):
                try:
                    character = bytes(value for _, value in parts[at : at + size]).decode()
                    break
                except UnicodeDecodeError:
                    continue
            else:
                character, size = _NOT_TEXT, 1
            units.append((character, "".join(spelling for spelling, _ in parts[at : at + size])))
            at += size
        position = run.end()
    return units + [(c, c) for c in text[position:]]


def decoded(text: str) -> str:
    """Return a text with all percent-encoding undone, however often it was done."""
    return "".join(character for character, _ in spelled(text))


def respelled(new: str, old: str, spelling: str) -> str:
    """Spell a character as the one before it was, down to the case of its hexadecimal digits."""
    if new == old:
        return spelling
    if spelling == old:
        return new
    made = []
    for value, mark in zip(new.encode(), _BYTE.finditer(spelling), strict=True):
        two = f"{value:02x}"
        made.append(f"%{mark[1]}{two if mark[2] != mark[2].upper() else two.upper()}")
    return "".join(made)
