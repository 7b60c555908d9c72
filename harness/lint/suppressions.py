"""Comments in a rule file that accept a finding: ``s3logjam: ignore[misses sibling] copies are denied by policy``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.lint.model import Finding, Kind

_COMMENT = re.compile(r"(?:#|--|//)\s*s3logjam:\s*ignore\[([^\]\n]{1,200})\][ \t:]*([^\n]*)")


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment.

    Attributes:
        name: The name or field that it is about; empty for all of the kind in the file.
    """

    kind: Kind
    name: str
    reason: str
    line: int


def read(text: str) -> tuple[list[Suppression], list[tuple[int, str]]]:
    """Return the suppressions of a file, and those that are not honoured: each with its line and why.

    Args:
        text: The file's.
    """
    found: list[Suppression] = []
    refused: list[tuple[int, str]] = []
    kinds = {kind.value: kind for kind in Kind}
    for match in _COMMENT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        said, _, name = match[1].partition(":")
        kind = kinds.get(said.strip().lower().replace("-", " "))
        reason = match[2].strip().removesuffix("*/").strip()
        if kind is None:
            refused.append((line, f"unknown kind {said.strip()!r}: there are {', '.join(kinds)}"))
        elif not reason:
            refused.append((line, f"ignore[{match[1]}] without a reason is not honoured: say why behind the bracket"))
        else:
            found.append(Suppression(kind, name.strip(), reason, line))
    return found, refused


def apply(findings: Iterable[Finding], suppressions: Sequence[Suppression]) -> list[Finding]:
    """Return the findings, each with the reason of the suppression that covers it."""
    told = []
    for finding in findings:
        covers = [s for s in suppressions if s.kind is finding.kind and s.name in ("", finding.name)]
        told.append(replace(finding, suppressed=covers[0].reason) if covers else finding)
    return told
