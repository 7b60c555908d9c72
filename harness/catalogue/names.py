"""Which operations a name in a log stands for, as far as documents say: the tables, read from the name's side."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from harness.catalogue import documented
from harness.catalogue.documented import NO_FURTHER, Claim, Confidence

GLOB = "*"
NEWEST_FIRST = tuple(sorted(documented.TABLES, key=lambda name: name.rpartition("-")[2], reverse=True))
NEWEST = NEWEST_FIRST[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One operation that may stand behind a name.

    Attributes:
        operation: Its name in the catalogue.
        name: The documented name, or a naming rule such as ``REST.GET.*``.
        inside: Whether the name is of a record of something inside the call (a copy's source read).
        tables: The tables that say so, the newest first.
        confidence: The best that any of them stands on.
    """

    operation: str
    name: str
    inside: bool
    tables: tuple[str, ...]
    confidence: Confidence

    @property
    def is_rule(self) -> bool:
        """Whether the name is only a naming rule, which several names fit."""
        return GLOB in self.name


@cache
def meanings(channel: str) -> Mapping[str, tuple[Meaning, ...]]:
    """Return per documented name of a channel what it may stand for.

    An operation of which only the logging is documented (``ListBucketMetricsConfigurations``) is not in it.
    """
    said: defaultdict[tuple[str, str, bool], list[tuple[str, Claim]]] = defaultdict(list)
    for table in NEWEST_FIRST:
        for claim in documented.table(table):
            if claim.channel == channel and claim.logged is not False:
                for text, inside in ((claim.name, False), (claim.related, True)):
                    for name in filter(None, (each.strip() for each in text.split("|"))):
                        if name != NO_FURTHER:
                            said[name, claim.operation, inside].append((table, claim))
    found: defaultdict[str, list[Meaning]] = defaultdict(list)
    ranks = list(Confidence)
    for (name, operation, inside), by in said.items():
        found[name].append(
            Meaning(
                operation=operation,
                name=name,
                inside=inside,
                tables=tuple(dict.fromkeys(table for table, _ in by)),
                confidence=min((claim.confidence for _, claim in by), key=ranks.index),
            )
        )
    return {name: tuple(each) for name, each in found.items()}


@cache
def documented_names(channel: str, operation: str, tables: tuple[str, ...] = NEWEST_FIRST) -> tuple[str, ...]:
    """Return the names of an operation's own records in the first table that has any, naming rules left out."""
    for table in tables:
        said = [c for c in documented.table(table) if (c.channel, c.operation) == (channel, operation)]
        names = [name.strip() for claim in said for name in claim.name.split("|")]
        if found := tuple(dict.fromkeys(name for name in names if name and GLOB not in name)):
            return found
    return ()


@cache
def seen_strings(channel: str) -> frozenset[str]:
    """Return names that documents or real logs have, and that belong to no row of the catalogue."""
    return frozenset(row["name"] for row in _rows("strings_seen.csv") if row["channel"] == channel)


@cache
def log_fields(channel: str) -> frozenset[str]:
    """Return the documented fields: CloudTrail's at the top and in ``userIdentity``; the access log's JSON form's."""
    return frozenset(row["field"] for row in _rows("log_fields.csv") if row["channel"] == channel)


def _rows(file: str) -> list[dict[str, str]]:
    text = resources.files("harness.catalogue").joinpath(file).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
