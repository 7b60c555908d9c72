"""Reads Sigma rules through pySigma, whose parsed condition says what is wanted and what is ruled out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.lint.documents import line_of
from harness.lint.model import Condition, Form, Rule, Unreadable
from harness.lint.needs import need
from harness.model import CLOUDTRAIL, SERVER_ACCESS

LANGUAGE = "Sigma"
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


def read(path: Path, text: str, line: int, document: dict[str, Any]) -> Rule:
    """Read one rule.

    Raises:
        Unreadable: pySigma does not take it.
    """
    title = str(document.get("title") or path.stem)
    source = document.get("logsource")
    service = str(source.get("service") or "").lower() if isinstance(source, dict) else ""
    product = str(source.get("product") or "").lower() if isinstance(source, dict) else ""
    channel = _SERVICES.get(service, "") if product == "aws" else ""
    if not channel:
        return Rule(path=path, title=title, language=LANGUAGE, channel="", line=line)
    rules, errors = need("sigma.rule"), need("sigma.exceptions")
    try:
        # What a rule says beside its detection is not our matter, and its dates or tags may be anything.
        detection = _without_aggregation(document["detection"])
        parsed = rules.SigmaRule.from_dict({"title": title[:256], "logsource": source, "detection": detection})
        conditions = [c for each in parsed.detection.parsed_condition for c in _conditions(each.parsed, True)]
    except errors.SigmaError as error:
        raise Unreadable(f"no Sigma rule: {error}", line_of(text, "detection", line)) from error
    except (RecursionError, TypeError, AttributeError, ValueError, KeyError) as error:
        raise Unreadable(f"no Sigma rule that can be read: {error!r}", line_of(text, "detection", line)) from error
    return Rule(path=path, title=title, language=LANGUAGE, channel=channel, line=line, conditions=tuple(conditions))


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
