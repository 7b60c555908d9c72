"""The heat map of the HTML report: rows by level and subject, a cell per channel, further variants behind the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness import catalogue
from harness.catalogue import CONTROL_PREFIX
from harness.model import Cell, Operation, Verdict
from harness.report import Result
from harness.report.html_summary import channels_of
from harness.report.matrix_md import span

SIGN = {
    Verdict.LOGGED: "✓",
    Verdict.PARTLY: "◐",
    Verdict.NOT_OBSERVED: "✗",
    Verdict.PENDING: "…",
    Verdict.NOT_RUN: "–",
}
"""A verdict is never told by its colour alone."""
CODE = {verdict: verdict.value.replace(" ", "-") for verdict in Verdict}
"""What a verdict is called in class names and filters."""
_SLOWER_THAN_SECONDS = (60, 300, 900, 3600, 10_800)
"""Steps of the delay shades."""
_GROUPS = {
    ("s3", "service"): "Service",
    ("s3", "bucket"): "Bucket",
    ("s3", "object"): "Object",
    ("form", ""): "Requests that no SDK method makes",
    ("s3control", ""): "S3 Control",
    ("", ""): "Unknown to the catalogue",
}


@dataclass(frozen=True, slots=True)
class GridCell:
    """One cell as the table shows it; ``number`` is its place among the details."""

    number: int
    cell: Cell

    @property
    def verdict(self) -> str:
        """For class names and filters."""
        return CODE[self.cell.verdict]

    @property
    def sign(self) -> str:
        """The symbol of the verdict."""
        return SIGN[self.cell.verdict]

    @property
    def names(self) -> str:
        """What the channel calls it, or the verdict where it has no name."""
        return ", ".join(self.cell.names) or self.cell.verdict.value

    @property
    def title(self) -> str:
        """All of it, where the table cuts it off."""
        why = f" ({self.cell.reason})" if self.cell.reason else ""
        return f"{self.cell.verdict.value}: {', '.join(self.cell.names) or 'no name'}{why}"

    @property
    def delay(self) -> str:
        """The median."""
        return span(self.cell.delay.median_seconds) if self.cell.delay else ""

    @property
    def shade(self) -> int | None:
        """How dark the median delay is shown: 0 for the quickest; None without one."""
        if self.cell.delay is None:
            return None
        return sum(self.cell.delay.median_seconds >= step for step in _SLOWER_THAN_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """One operation in one variant, with one cell per channel (None where the run has none).

    Attributes:
        first: Whether it stands for its operation while further variants are folded.
        further: Cells of the operation's further variants, per channel; only of the first one.
    """

    operation: str
    variant: str
    level: str
    subject: str
    twins: tuple[str, ...]
    cells: list[GridCell | None]
    first: bool
    further: list[list[GridCell]] = field(default_factory=list)

    @property
    def variants(self) -> int:
        """How many further variants there are."""
        return max((len(each) for each in self.further), default=0)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading."""

    title: str
    rows: list[GridRow]


def groups(result: Result) -> list[Group]:
    """Return all rows under their headings: by level, then subject, then operation, its first variant first."""
    channels = channels_of(result)
    rows: dict[str, dict[str, dict[str, GridCell]]] = {}
    for number, cell in enumerate(result.cells):
        variants = rows.setdefault(cell.operation, {})
        variants.setdefault(cell.variant, {})[cell.channel] = GridCell(number, cell)
    found: dict[str, list[GridRow]] = {title: [] for title in _GROUPS.values()}
    for name in sorted(rows, key=_place):
        found[_title(catalogue.find(name))] += _rows(name, rows[name], channels)
    return [Group(title, kept) for title, kept in found.items() if kept]


def _rows(operation: str, variants: dict[str, dict[str, GridCell]], channels: Sequence[str]) -> Iterator[GridRow]:
    known = catalogue.find(operation)
    names = sorted(variants, key=lambda name: name != "ok")  # stable: the others stay in the run's order
    for name in names:
        others = names[1:] if name == names[0] else []
        yield GridRow(
            operation=operation,
            variant=name,
            level=known.level.value if known else "",
            subject=subject(known) if known else "",
            twins=known.twins if known else (),
            cells=[variants[name].get(channel) for channel in channels],
            first=name == names[0],
            further=[[variants[o][channel] for o in others if channel in variants[o]] for channel in channels],
        )


def subject(operation: Operation) -> str:
    """Return what an operation is about, from its wire form: ``acl``, ``lifecycle``, ``uploads``; else its level."""
    if operation.service == "s3control":
        parts = [part for part in operation.uri.split("/")[2:] if part not in ("async-requests", "{name}")]
        return parts[0] if parts else operation.level.value
    if "uploadId" in operation.subresource:
        return "uploads"
    keys = [key for key in operation.subresource.split() if ":" not in key and "=" not in key]
    return keys[0] if keys else operation.level.value


def _title(operation: Operation | None) -> str:
    if operation is None:
        return _GROUPS["", ""]
    exact = (operation.service, operation.level.value)
    return _GROUPS.get(exact) or _GROUPS[operation.service, ""]


def _place(name: str) -> tuple[bool, str, str]:
    """Sort the resource itself before its sub-resources."""
    known = catalogue.find(name)
    if known is None:
        return False, "", name
    about = subject(known)
    return about != known.level.value, about, name.removeprefix(CONTROL_PREFIX)
