"""What documents say of each log: AWS's tables in three editions, the Netskope article, 58 claims, and users' own.

Facts are taken over, the wording is ours; every statement names document, section and date (``sources.csv``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path

from harness import catalogue
from harness.errors import UsageError

CHANNELS = (
    "server-access",
    "server-access-cloudwatch",
    "cloudtrail",
    "cloudtrail-cloudwatch",
    "cloudtrail-lookup",
    "eventbridge",
)
"""Channels that a table may speak of; whether a run has them is another matter."""
TABLES: Mapping[str, str] = {
    "aws-2019": "AWS's pages of July 2019",
    "aws-2023": "AWS's pages of June 2023",
    "aws-2026": "AWS's pages of April 2026, with what public records add",
    "netskope-2019": "the Netskope article of 30 July 2019, as far as it is preserved",
}
NO_FURTHER = "none"
"""In ``related``: the document says that there is no further record."""
COLUMNS = (
    "channel",
    "operation",
    "variant",
    "logged",
    "name",
    "category",
    "related",
    "confidence",
    "source",
    "section",
    "date",
    "note",
)
_REQUIRED = ("channel", "operation")
_LOGGED: Mapping[str, bool | None] = {"yes": True, "no": False, "unknown": None}


class Confidence(StrEnum):
    """On what evidence a statement stands."""

    DOCUMENTED = "documented"
    """Its document says so."""
    SEEN = "seen"
    """No AWS page says so, but it occurs in records or lists that others published."""
    INFERRED = "inferred"
    """It follows from a general rule or sentence."""
    NOT_FOUND = "not-found"
    """No source says anything; at most the naming rule does."""

    @property
    def is_hypothesis(self) -> bool:
        """Whether nobody is known to have said or seen it."""
        return self in (Confidence.INFERRED, Confidence.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a statement stands. ``date`` is as exact as it is known: ``2026-04``."""

    document: str
    section: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One documented statement: a row of a table, or a sentence about a log as a whole (then without operation).

    Attributes:
        id: Names it in every output, e.g. ``aws-2026/cloudtrail/PutBucketAcl[ok]`` or ``AWS-13``.
        statement: The sentence; of a row, ``text`` makes it from the other attributes.
        logged: Whether the call leaves a record; None where the document leaves it open.
        name: Event name or operation string; glob patterns, alternatives separated by ``|``; empty: not said.
        category: ``management`` or ``data`` (CloudTrail); empty: not said.
        related: Names of further records of the same call (copy source, batch member); ``none``; empty: not said.
        needs: Why no run decides it; empty where ``analyse/claims`` has a check.
    """

    id: str
    channel: str
    operation: str = ""
    variant: str = "ok"
    statement: str = ""
    logged: bool | None = True
    name: str = ""
    category: str = ""
    related: str = ""
    confidence: Confidence = Confidence.DOCUMENTED
    sources: tuple[Source, ...] = ()
    needs: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """The statement in words."""
        if self.statement:
            return self.statement
        row = f"{self.operation}[{self.variant}]"
        if self.logged is False:
            return f"{row} is not in {self.channel}"
        if self.related:
            further = "nothing" if self.related == NO_FURTHER else self.related.replace("|", " or ")
            return f"{row} leaves {further} beside its own record in {self.channel}"
        name = f" as {self.name.replace('|', ' or ')}" if self.name else ""
        kind = f", {self.category} event" if self.category else ""
        if self.logged:
            return f"{row} is in {self.channel}{name}{kind}"
        return f"{row} may be in {self.channel}{name}{kind}"


@dataclass(frozen=True, slots=True)
class Note:
    """One of the seven notes of the article's tables; ``claim`` and ``statement`` are empty where it is lost."""

    number: int
    claim: str
    statement: str
    source: Source


@cache
def table(name: str) -> tuple[Claim, ...]:
    """Return a table of ``TABLES``."""
    return tuple(_claims(_text(f"{name}.csv"), name, _sources(), strict=False))


@cache
def claims() -> tuple[Claim, ...]:
    """Return the 58 claims about the two logs as a whole."""
    return tuple(
        Claim(
            id=row["id"],
            channel=row["channel"],
            statement=row["statement"],
            needs=row["needs"],
            sources=tuple(_sources()[key] for key in row["source"].split()),
            note=row["note"],
        )
        for row in csv.DictReader(io.StringIO(_text("claims.csv")))
    )


@cache
def notes() -> tuple[Note, ...]:
    """Return the seven notes of the article's Tables 3 and 4."""
    rows = csv.DictReader(io.StringIO(_text("notes.csv")))
    return tuple(Note(int(r["note"]), r["claim"], r["statement"], _sources()[r["source"]]) for r in rows)


def read(path: Path) -> tuple[Claim, ...]:
    """Read a user's own table (docs/verify.md says which columns).

    Raises:
        UsageError: The file cannot be read, or says something that no table can: the message has line and column.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    found = tuple(_claims(text, path.name, {}, strict=True))
    if not found:
        raise UsageError(f"{path} has no rows below its header")
    return found


def _text(file: str) -> str:
    return resources.files(__name__).joinpath(file).read_text("utf-8")


@cache
def _sources() -> Mapping[str, Source]:
    rows = csv.DictReader(io.StringIO(_text("sources.csv")))
    return {r["key"]: Source(r["document"], r["section"], r["date"]) for r in rows}


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a table, whose complaints name it."""

    table: str
    number: int
    cells: Mapping[str, str]

    def get(self, column: str, default: str = "") -> str:
        return (self.cells.get(column) or "").strip() or default

    def error(self, column: str, what: str) -> UsageError:
        return UsageError(f"{self.table}, line {self.number}, column {column}: {what}")

    def choose(self, column: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.get(column, default).lower()
        if value not in choices:
            there = ", ".join(repr(c) if c == "" else c for c in choices)
            raise self.error(column, f"{self.get(column)!r} is none of {there}")
        return value


def _claims(text: str, name: str, sources: Mapping[str, Source], *, strict: bool) -> Iterator[Claim]:
    seen: set[str] = set()
    for line in _lines(text, name):
        claim = _claim(line, name, sources, strict)
        if claim.id in seen:
            if strict:
                raise line.error("operation", f"{claim.text}: an earlier line speaks of the same row")
            raise ValueError(f"{claim.id} twice")
        seen.add(claim.id)
        yield claim


def _lines(text: str, name: str) -> Iterator[_Line]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip().lower() for column in reader.fieldnames or ()]
        for column in _REQUIRED:
            if column not in header:
                raise UsageError(f"{name}, line 1: no column {column}; a table has {', '.join(COLUMNS)}, with commas")
        for column in header:
            if column not in COLUMNS or header.count(column) > 1:
                why = "twice" if column in COLUMNS else "unknown"
                raise UsageError(f"{name}, line 1, column {column or '(empty)'}: {why}; there are {', '.join(COLUMNS)}")
        reader.fieldnames = header
        for row in reader:
            line = _Line(name, reader.line_num, row)
            if not any(cell for cell in row.values()):
                continue  # what spreadsheets leave below a table
            if None in row:
                raise line.error(header[-1], f"more cells than the {len(header)} of the header (quotes missing?)")
            yield line
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: {error}") from error


def _claim(line: _Line, name: str, sources: Mapping[str, Source], strict: bool) -> Claim:
    channel = line.choose("channel", "", CHANNELS)
    operation, variant = line.get("operation"), line.get("variant", "ok")
    if not operation or (strict and catalogue.find(operation) is None):
        raise line.error("operation", f"{operation!r} is no operation; `s3logjam list` shows them")
    said = line.get("name") or line.get("category") or line.get("related")
    if not said and "logged" not in line.cells:
        raise line.error("logged", "the table has no such column, and the line has no name, category or related")
    logged = line.choose("logged", "yes" if said else "", tuple(_LOGGED))
    if logged == "no" and said:
        raise line.error("logged", f"'no' cannot stand beside {said!r}")
    category = line.choose("category", "", ("", "management", "data"))
    if category and not channel.startswith(("cloudtrail", "eventbridge")):
        raise line.error("category", f"{channel} has no event categories")
    related = line.get("related")
    found = tuple(sources.get(key, Source(key)) for key in line.get("source").split()) if sources else ()
    own = Source(line.get("source"), line.get("section"), line.get("date"))
    return Claim(
        id=f"{name}/{channel}/{operation}[{variant}]{' further records' if related and not line.get('name') else ''}",
        channel=channel,
        operation=operation,
        variant=variant,
        logged=_LOGGED[logged],
        name=line.get("name"),
        category=category,
        related=related,
        confidence=Confidence(line.choose("confidence", "documented", tuple(Confidence))),
        sources=found or ((own,) if own.document or own.date else ()),
        note=line.get("note"),
    )
