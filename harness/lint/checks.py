"""Holds one rule against what the logs write."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib import resources

from harness import catalogue
from harness.catalogue.names import log_fields
from harness.lint.fields import EVENT_NAME, EVENT_SOURCE, OPERATION
from harness.lint.known import CHANNELS, Known, Names, iam_actions, operations_of_others
from harness.lint.model import LIST, Condition, Finding, Form, Kind, Rule, Unjudged, Unreadable
from harness.model import CLOUDTRAIL, SERVER_ACCESS

MAX_NAMES = 5_000
MAX_CHARACTERS = 1_000
"""Of one name or pattern."""
_INSIDE = "+inside"
"""In ``siblings.csv``: records of something inside the call serve the same end (one key of a batch delete)."""
_S3_SOURCES = ("s3.amazonaws.com", "s3express.amazonaws.com")
_NAME_FIELDS = {CLOUDTRAIL: EVENT_NAME, SERVER_ACCESS: OPERATION}


def is_about_s3(rule: Rule, known: Known) -> bool:
    """Tell whether a rule speaks of S3's records: by its event source, or by a name that only S3 has."""
    if rule.channel not in CHANNELS:
        return False
    if rule.channel == SERVER_ACCESS:
        return True
    sources = _sources(rule)
    if sources:
        return any(_is_s3(source) for source in sources)
    # A pattern fits many services' names; in a list it stands for names of S3 where it fits any.
    names = [c for c in rule.conditions if c.field == EVENT_NAME and c.wanted]
    return any(
        _is_known(c, known) or _is_near_miss(c, known) for c in names if c.form is Form.TEXT or rule.language == LIST
    )


def unjudged(rule: Rule, known: Known) -> Unjudged | None:
    """Return the names of a rule that may be any service's, or None where there is none."""
    if rule.channel != CLOUDTRAIL or _sources(rule):
        return None
    asked = [c for c in rule.conditions if c.field == EVENT_NAME and c.form is not Form.USED and c.wanted]
    open_ = [c for c in asked if not _may_judge(rule, c, known) and not _is_known(c, known)]
    names = tuple(dict.fromkeys(c.name for c in open_))
    return Unjudged(path=rule.path, line=open_[0].line or rule.line, rule=rule.title, names=names) if names else None


def check(rule: Rule, known: Known) -> Iterator[Finding]:
    """Yield what is wrong with a rule that is about S3.

    Raises:
        Unreadable: A name's pattern cannot be read, or there are too many names.
    """
    named = [c for c in rule.conditions if c.field == _NAME_FIELDS[rule.channel] and c.form is not Form.USED]
    if len(named) > MAX_NAMES:
        raise Unreadable(f"more than {MAX_NAMES} names", rule.line)
    for condition in named:
        if len(condition.value) > MAX_CHARACTERS:
            raise Unreadable(f"a name of more than {MAX_CHARACTERS} characters", condition.line or rule.line)

    def finding(kind: Kind, name: str, message: str, line: int) -> Finding:
        return Finding(kind=kind, path=rule.path, line=line or rule.line, rule=rule.title, name=name, text=message)

    names = known.names[rule.channel]
    caught: dict[str, int] = {}
    spelled: dict[str, int] = {}
    excluded: set[str] = set()
    meant: set[str] = set()
    unclear = False
    for condition in named:
        try:
            matches = condition.matcher()
        except ValueError as error:
            raise Unreadable(str(error), condition.line or rule.line) from error
        fitting = names.fitting(matches)
        for name in fitting if condition.wanted else ():
            caught.setdefault(name, condition.line)
            if condition.form is Form.TEXT:
                spelled.setdefault(name, condition.line)
        excluded.update(() if condition.wanted else fitting)
        if fitting:
            continue
        rows: frozenset[str] = frozenset()
        if _may_judge(rule, condition, known):
            kind, message, rows = _unwritten(condition, matches, rule.channel, known)
            yield finding(kind, condition.name, message, condition.line)
        if condition.wanted:
            meant |= rows
            unclear = unclear or not rows
    caught = {name: line for name, line in {**caught, **spelled}.items() if name not in excluded}
    if caught:
        yield from _data_events(caught, names, rule.channel, finding)
        yield from _siblings(caught, spelled, rule, known, finding)
    # Beside a name of which nobody knows what it means, a field may be its: of another service's event, too.
    rows = names.rows(caught) | meant
    yield from _fields(rule, () if unclear else rows, known, finding)


_Make = Callable[[Kind, str, str, int], Finding]
_Unwritten = tuple[Kind, str, frozenset[str]]


def _sources(rule: Rule) -> list[str]:
    return [c.value.strip("*") for c in rule.conditions if c.field == EVENT_SOURCE and c.wanted and c.value]


def _is_s3(source: str) -> bool:
    return source.lower() in _S3_SOURCES


def _is_known(condition: Condition, known: Known) -> bool:
    matches = condition.matcher()
    return any(names.fitting(matches) or any(map(matches, names.former)) for names in known.names.values())


def _is_near_miss(condition: Condition, known: Known) -> bool:
    """Whether a name is all but one of S3's, and no operation of another service: where nothing names the source."""
    near = condition.form is Form.TEXT and known.names[CLOUDTRAIL].near(condition.value)
    return bool(near) and condition.value not in operations_of_others()


def _may_judge(rule: Rule, condition: Condition, known: Known) -> bool:
    """Whether a name that S3 does not write is a mistake: not where it may be another service's."""
    sources = _sources(rule)
    if rule.channel == SERVER_ACCESS or (sources and all(map(_is_s3, sources))):
        return True
    if sources or condition.form is not Form.TEXT:
        return False
    return _is_known(condition, known) or _is_near_miss(condition, known)


def _unwritten(condition: Condition, matches: Callable[[str], bool], channel: str, known: Known) -> _Unwritten:
    """Say why no record has a name, and which operations are meant by it."""
    names = known.names[channel]
    for old, meant in names.former.items():
        if matches(old):
            current, rows = " or ".join(meant.names), " or ".join(meant.operations)
            if old in iam_actions():
                told = f"{old} is an IAM action, no name in a log: its calls are named {current}"
            elif old in (row.removeprefix(catalogue.CONTROL_PREFIX) for row in meant.operations):
                told = f"{old} is the operation's name: in {channel} its records are named {current}"
            else:
                told = f"{old} is a former name of {rows}: its records are named {current}"
            return Kind.RENAMED, told, frozenset(meant.operations)
    for other in CHANNELS:
        if other != channel and (there := known.names[other].fitting(matches)):
            told = f"{condition.name} is a name of {other}, no record of {channel} has it"
            return Kind.OTHER_CHANNEL, told, known.names[other].rows(there)
    if condition.form is not Form.TEXT:
        told = f"no record of {channel} has a name that fits {condition.value}, by any run or document"
        return Kind.DEAD, told, frozenset()
    near = names.near(condition.value)
    hint = f"; did you mean {near}?" if near else ""
    told = f"no record of {channel} has the name {condition.value}, by any run or document{hint}"
    return Kind.DEAD, told, names.rows([near] if near else [])


def _data_events(caught: Mapping[str, int], names: Names, channel: str, finding: _Make) -> Iterator[Finding]:
    if channel != CLOUDTRAIL:
        return
    for name in sorted(caught):
        if names.categories.get(name, frozenset()) == frozenset({"data"}):
            text = f"{name} is a data event: a trail without a data event selector for the bucket never has it"
            yield finding(Kind.DATA_EVENTS, name, text, caught[name])


def _siblings(
    caught: Mapping[str, int], spelled: Iterable[str], rule: Rule, known: Known, finding: _Make
) -> Iterator[Finding]:
    """Hold names that are written out against other ways to the same end: a pattern (``Put*``) means what it says."""
    for purpose, groups in _sibling_groups().items():
        leaves = {group: _left_by(group, rule.channel, known) for group in groups}
        mine = sorted(leaves[groups[0]] & caught.keys() & set(spelled))
        if not mine:
            continue
        for group in groups[1:]:
            if leaves[group] and not leaves[group] & caught.keys():
                names, calls = " / ".join(sorted(leaves[group])), " / ".join(group).replace(_INSIDE, "")
                told = names if names == calls else f"{names} ({calls})"
                text = f"{mine[0]} is caught, but {told} can {purpose} too"
                yield finding(Kind.SIBLING, mine[0], text, caught[mine[0]])


def _left_by(group: Iterable[str], channel: str, known: Known) -> set[str]:
    calls = ((row.removesuffix(_INSIDE), row.endswith(_INSIDE)) for row in group)
    return {name for row, inside in calls for name in known.leaves(row, channel, inside=inside)}


def _fields(rule: Rule, rows: Collection[str], known: Known, finding: _Make) -> Iterator[Finding]:
    places: dict[str, int] = {}
    for condition in rule.conditions:
        places.setdefault(condition.field, condition.field_line or condition.line)
    for field, line in places.items():
        outer, _, inner = field.partition(".")
        if rule.channel == CLOUDTRAIL and outer == "requestParameters" and inner:
            member = inner.partition(".")[0].partition("[")[0]
            if rows and not known.may_have(rows, member):
                yield finding(
                    Kind.FIELD, field, f"requestParameters of {', '.join(sorted(rows))} have no member {member}", line
                )
        elif rule.judges_fields and not field.startswith(("p_", "@", "_")):
            there = log_fields(rule.channel)
            asked = ".".join(field.split(".")[:2]) if outer == "userIdentity" else outer
            if there and asked not in there:
                yield finding(Kind.FIELD, field, f"records of {rule.channel} have no field {asked}", line)


@cache
def _sibling_groups() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Return per purpose the ways to it; of operations in one way, each speaks for all."""
    text = resources.files("harness.lint").joinpath("siblings.csv").read_text("utf-8")
    return {
        row["purpose"]: tuple(tuple(each.split("/")) for each in row["operations"].split())
        for row in csv.DictReader(text.splitlines())
    }
