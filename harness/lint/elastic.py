"""Reads Elastic detection rules: TOML with a query in KQL, EQL or ES|QL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.lint.documents import query_lines
from harness.lint.expressions import conditions
from harness.lint.fields import EVENT_NAME, EVENT_SOURCE, OPERATION, from_ecs
from harness.lint.model import Condition, Rule, Unreadable
from harness.model import CLOUDTRAIL, SERVER_ACCESS

_LANGUAGES = {"kuery": "KQL", "eql": "EQL", "esql": "ES|QL"}
_DATASETS = {"aws.cloudtrail": CLOUDTRAIL, "aws.s3access": SERVER_ACCESS}
_DATASET_FIELDS = ("event.dataset", "data_stream.dataset")


def read(path: Path, text: str, document: dict[str, Any]) -> list[Rule]:
    """Read the rule of a file; a rule without a query (machine learning) asks nothing of names.

    Raises:
        Unreadable: It is no rule, or its query cannot be read.
    """
    rule = document.get("rule")
    if not isinstance(rule, dict):
        raise Unreadable("no Elastic rule: there is no table [rule]")
    title = str(rule.get("name") or path.stem)
    query, language = rule.get("query"), str(rule.get("language") or "kuery")
    if not isinstance(query, str) or language not in _LANGUAGES:
        return [Rule(path=path, title=title, language="Elastic", channel="")]
    line, is_block = query_lines(text)
    try:
        asked = conditions(query, language)
    except Unreadable as error:
        raise Unreadable(error.reason, line + is_block * (error.line - 1)) from error
    named = tuple(
        replace(each.below(line) if is_block else replace(each, line=line, field_line=line), field=from_ecs(each.field))
        for each in asked
    )
    channel = _channel(named, rule.get("index"))
    return [
        Rule(
            path=path,
            title=title,
            language=_LANGUAGES[language],
            channel=channel,
            conditions=named,
            line=line,
            judges_fields=False,
        )
    ]


def _channel(asked: tuple[Condition, ...], index: object) -> str:
    """Take the dataset that the query wants, or else what its index patterns and fields are for."""
    wanted = [c.value for c in asked if c.field in _DATASET_FIELDS and c.wanted]
    if wanted:
        return next((_DATASETS[each] for each in wanted if each in _DATASETS), "")
    fields = {condition.field for condition in asked}
    if OPERATION in fields or "s3access" in str(index):
        return SERVER_ACCESS
    from_aws = "aws" in str(index) or any("amazonaws.com" in c.value for c in asked if c.field == EVENT_SOURCE)
    return CLOUDTRAIL if from_aws and fields & {EVENT_NAME, EVENT_SOURCE} else ""
