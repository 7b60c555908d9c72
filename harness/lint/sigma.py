"""Reads Sigma rules through pySigma, whose parsed condition says what is wanted and what is ruled out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.lint.documents import Document
from harness.lint.model import Condition, Form, Rule, Unreadable
from harness.lint.needs import need
from harness.model import CLOUDTRAIL, SERVER_ACCESS

LANGUAGE = "Sigma"
_PLACE = re.compile(r"\(at char (\d+)\)")
_SERVICES = {
    "cloudtrail": CLOUDTRAIL,
    "s3": SERVER_ACCESS,
    "s3access": SERVER_ACCESS,
    "s3_access": SERVER_ACCESS,
    "s3_server_access": SERVER_ACCESS,
}


def is_sigma(document: object) -> bool:
    """Tell whether a YAML document is a Sigma rule."""
    return isinstance(document, dict) and "detection" in document and "logsource" in document


def read(path: Path, document: Document) -> Rule:
    """Read one rule.

    Raises:
        Unreadable: pySigma does not take it.
    """
    told, line = document.content, document.line
    title = str(told.get("title") or path.stem)
    source = told.get("logsource")
    service = str(source.get("service") or "").lower() if isinstance(source, dict) else ""
    product = str(source.get("product") or "").lower() if isinstance(source, dict) else ""
    channel = _SERVICES.get(service, "") if product == "aws" else ""
    if not channel:
        return Rule(path=path, title=title, language=LANGUAGE, channel="", line=line)
    rules, errors = need("sigma.rule"), need("sigma.exceptions")
    written = list(_written(told["detection"], document))
    number = 0
    try:
        # What a rule says beside its detection is not our matter, and its dates or tags may be anything.
        detection = _without_aggregation(told["detection"])
        parsed = rules.SigmaRule.from_dict({"title": title[:256], "logsource": source, "detection": detection})
        conditions: list[Condition] = []
        for number, each in enumerate(parsed.detection.parsed_condition):  # noqa: B007 - which one is broken
            conditions += _conditions(each.parsed, True)
    except errors.SigmaConditionError as error:
        where = document.line_of("detection", "condition", number)
        reason = _in_words(str(error), "".join(detection["condition"][number : number + 1]))
        raise Unreadable(f"no Sigma rule: {reason}", where) from error
    except errors.SigmaError as error:
        about = (each.line for each in written if any(repr(part) in str(error) for part in each.parts))
        where = next(about, document.line_of("detection"))
        raise Unreadable(f"no Sigma rule: {error}", where) from error
    except (RecursionError, TypeError, AttributeError, ValueError, KeyError) as error:
        raise Unreadable(f"no Sigma rule that can be read: {error!r}", document.line_of("detection")) from error
    placed = tuple(_placed(condition, written) for condition in conditions)
    return Rule(path=path, title=title, language=LANGUAGE, channel=channel, line=line, conditions=placed)


@dataclass(frozen=True, slots=True)
class _Written:
    """A value of a detection as the file has it; pySigma keeps no places."""

    key: str
    text: str
    line: int
    key_line: int

    @property
    def parts(self) -> tuple[str, ...]:
        """What a message of pySigma may quote."""
        return (*self.key.split("|"), self.text)


def _written(detection: Any, document: Document) -> Iterator[_Written]:
    def inside(node: Any, path: tuple[Any, ...], key: str, key_line: int) -> Iterator[_Written]:
        if isinstance(node, dict):
            for name, value in node.items():
                place = (*path, str(name))
                yield from inside(value, place, str(name), document.line_of(*place))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                yield from inside(value, (*path, index), key, key_line)
        else:
            yield _Written(key, str(node), document.line_of(*path), key_line)

    return inside(detection, ("detection",), "", document.line_of("detection"))


def _placed(condition: Condition, written: list[_Written]) -> Condition:
    """Return a condition with its place, and its value as the file has it: ``Put`` where pySigma has ``Put*``."""
    of_field = [each for each in written if each.key.partition("|")[0] == condition.field]
    wanted = condition.value.strip("*").lower()
    for each in of_field:
        if each.text.strip("*").lower() == wanted:
            return replace(condition, written=each.text, line=each.line, field_line=each.key_line)
    return replace(condition, line=of_field[0].key_line) if of_field else condition


def _in_words(message: str, condition: str) -> str:
    """Say what is wrong with a condition: pySigma shows what its grammar expected, which helps nobody."""
    place = _PLACE.search(message)
    if place is None:
        return message
    rest = condition[int(place[1]) :]
    return f"the condition {condition!r} is broken {f'at {rest!r}' if rest else 'at its end'}"


def _without_aggregation(detection: Any) -> Any:
    """Cut `| count() by …` off: pySigma refuses it, but the names before it are what the rule relies on."""
    if not isinstance(detection, dict):
        return detection
    told = detection.get("condition")
    conditions = told if isinstance(told, list) else [told]
    return {**detection, "condition": [str(each).partition("|")[0].strip() for each in conditions]}


def _conditions(node: Any, wanted: bool) -> Iterator[Condition]:
    tree, types = need("sigma.conditions"), need("sigma.types")
    if isinstance(node, tree.ConditionNOT):
        wanted = not wanted
    for inner in getattr(node, "args", ()):
        yield from _conditions(inner, wanted)
    if not isinstance(node, tree.ConditionFieldEqualsValueExpression):
        return
    value = node.value
    if isinstance(value, types.SigmaRegularExpression):
        yield Condition(field=node.field, value=str(value.regexp), form=Form.REGEX, wanted=wanted)
    elif isinstance(value, types.SigmaString):
        # Sigma compares texts without regard to case.
        form = Form.GLOB if value.contains_special() else Form.TEXT
        yield Condition(field=node.field, value=_plain(value), form=form, wanted=wanted, ignore_case=True)
    else:
        # `exists: false` asks for a field that is not there: no mistake, whatever its name.
        is_absent = isinstance(value, types.SigmaExists) and not value.exists
        if not is_absent and not isinstance(value, types.SigmaNull):
            yield Condition(field=node.field, form=Form.USED, wanted=wanted)


def _plain(value: Any) -> str:
    special = need("sigma.types").SpecialChars
    signs = {special.WILDCARD_MULTI: "*", special.WILDCARD_SINGLE: "?"}
    return "".join(part if isinstance(part, str) else signs.get(part, "*") for part in value.s)
