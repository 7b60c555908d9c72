"""The words of the rule lint: a rule, what it asks of a record, a finding, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import translate
from pathlib import Path
from re import IGNORECASE
from re import compile as compiled

from harness.lint.needs import need


class Kind(StrEnum):
    """What is wrong with a rule; the value is what ``ignore[…]`` takes."""

    DEAD = "dead name"
    RENAMED = "renamed"
    OTHER_CHANNEL = "never in this channel"
    DATA_EVENTS = "needs data events"
    SIBLING = "misses sibling"
    FIELD = "field not present"

    @property
    def slug(self) -> str:
        """The kind as an identifier: ``dead-name``."""
        return self.value.replace(" ", "-")


class Level(StrEnum):
    """How much it matters, in SARIF's words; a note alone does not change the exit code."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


LEVELS = {
    Kind.DEAD: Level.ERROR,
    Kind.RENAMED: Level.ERROR,
    Kind.OTHER_CHANNEL: Level.ERROR,
    Kind.SIBLING: Level.WARNING,
    Kind.FIELD: Level.WARNING,
    Kind.DATA_EVENTS: Level.NOTE,
}


class Form(StrEnum):
    """How a condition names its values."""

    TEXT = "text"
    GLOB = "glob"
    REGEX = "regex"
    USED = "used"
    """No value: the field is asked for, or compared with something that is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a rule asks of one field.

    Attributes:
        field: By CloudTrail's or the access log's own name; other fields keep the rule's name.
        value: A text, a glob pattern or a regular expression; empty with ``USED``.
        wanted: Whether the rule wants it (or rules it out).
        written: The value as the rule has it, where that is not ``value``: a prefix, the pattern of a ``LIKE``.
        line: Where the rule has the value, from 1; 0 where that is not known.
        field_line: Where it names the field; 0 for the same line.
    """

    field: str
    value: str = ""
    form: Form = Form.TEXT
    wanted: bool = True
    ignore_case: bool = False
    written: str = ""
    line: int = 0
    field_line: int = 0

    @property
    def name(self) -> str:
        """What a finding calls it: as the rule has it."""
        return self.written or self.value

    def below(self, line: int) -> Condition:
        """Return the condition of a text that begins on a line of its file."""
        above = line - 1
        return replace(
            self, line=self.line and self.line + above, field_line=self.field_line and self.field_line + above
        )

    def matcher(self) -> Callable[[str], bool]:
        """Return the test of a name. Regular expressions of rules go through RE2, which no expression can stall.

        Raises:
            ValueError: It is no regular expression that RE2 takes.
        """
        if self.form is Form.REGEX:
            re2 = need("re2")
            options = re2.Options()
            options.log_errors = False
            options.case_sensitive = not self.ignore_case
            try:
                pattern = re2.compile(self.value, options)
            except re2.error as error:
                raise ValueError(f"{self.value!r} is no regular expression that RE2 takes: {error}") from error
            return lambda name: pattern.search(name) is not None
        if self.form is Form.GLOB:
            glob = compiled(translate(self.value), IGNORECASE if self.ignore_case else 0)
            return lambda name: glob.match(name) is not None
        wanted = self.value.lower() if self.ignore_case else self.value
        return lambda name: (name.lower() if self.ignore_case else name) == wanted


LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, query or list.

    Attributes:
        language: Of its kind, for people; ``list`` is a plain list.
        channel: ``cloudtrail`` or ``server-access``; empty where the rule reads something else.
        line: Where it begins, from 1.
        judges_fields: Whether its field names are those of the log, so that an unknown one is a mistake.
    """

    path: Path
    title: str
    language: str
    channel: str
    conditions: tuple[Condition, ...] = ()
    line: int = 1
    judges_fields: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong with a rule.

    Attributes:
        name: The name or field that it is about.
        suppressed: The reason for which it is suppressed; empty where it is not.
    """

    kind: Kind
    path: Path
    line: int
    rule: str
    name: str
    text: str
    suppressed: str = ""

    @property
    def level(self) -> Level:
        """How much it matters."""
        return LEVELS[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A rule, or a part of one, that could not be read: kept with its place and the reason, never dropped."""

    path: Path
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """Names that may be any service's: no S3 log knows them, and the rule that has them names no event source."""

    path: Path
    line: int
    rule: str
    names: tuple[str, ...]


class Unreadable(Exception):
    """Why a rule file, or one rule of it, cannot be read.

    Args:
        reason: In words.
        line: Where, from 1.
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.reason, self.line = reason, line
