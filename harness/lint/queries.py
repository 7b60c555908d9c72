"""Reads the text of queries: Athena SQL through SQLGlot, CloudWatch Logs Insights by its ``filter`` commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.lint import expressions
from harness.lint.fields import EVENT_NAME, EVENT_SOURCE, OPERATION, channel_of_name, from_column
from harness.lint.model import Condition, Form, Rule, Unreadable
from harness.lint.needs import need
from harness.model import CLOUDTRAIL, SERVER_ACCESS

_INSIGHTS = re.compile(r"(?im)^\s*(?:\|\s*)?filter\s+\S|^\s*fields\s+@")
_SQL = re.compile(r"(?is)^\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:select|with|create|insert)\b")
_ACCESS_TABLE = re.compile(r"access_?log|s3_?(?:server_?)?access|server_?access", re.IGNORECASE)
_PARAMETERS = "requestparameters"


def is_insights(text: str) -> bool:
    """Tell whether a text is a CloudWatch Logs Insights query."""
    return bool(_INSIGHTS.search(text)) and not is_sql(text)


def is_sql(text: str) -> bool:
    """Tell whether a text is SQL."""
    return bool(_SQL.match(text))


def read_insights(path: Path, text: str, title: str, line: int = 1) -> list[Rule]:
    """Read a Logs Insights query.

    Raises:
        Unreadable: It cannot be divided into words.
    """
    try:
        asked = [each.below(line) for each in expressions.conditions(text, "insights")]
    except Unreadable as error:
        raise Unreadable(error.reason, line + error.line - 1) from error
    return _by_channel(path, title, "Logs Insights", asked, line, False, True)


def read_sql(path: Path, text: str, title: str, line: int = 1) -> list[Rule]:
    """Read the statements of an SQL text.

    Raises:
        Unreadable: SQLGlot does not take it.
    """
    sqlglot, errors = need("sqlglot"), need("sqlglot.errors")
    try:
        try:
            parsed = sqlglot.parse(text, read="athena")
        except errors.SqlglotError:
            parsed = sqlglot.parse(text, read="snowflake")  # Panther's queries may be for either
        statements = [each for each in parsed if each is not None]
        asked = [condition.below(line) for each in statements for condition in _walk(each, True)]
        tables = [table.name for each in statements for table in each.find_all(sqlglot.exp.Table)]
    except errors.SqlglotError as error:
        places = getattr(error, "errors", None) or [{}]
        where = int(places[0].get("line") or 1)
        what = places[0].get("description") or str(error).split("\n")[0]
        raise Unreadable(f"no SQL: {what}", line + where - 1) from error
    except RecursionError as error:
        raise Unreadable("no SQL that can be read: nested too deeply", line) from error
    is_access_log = any(_ACCESS_TABLE.search(table) for table in tables)
    return _by_channel(path, title, "SQL", asked, line, is_access_log, False)


def _by_channel(
    path: Path, title: str, language: str, asked: list[Condition], line: int, is_access_log: bool, judges_fields: bool
) -> list[Rule]:
    """Make a rule for each log that the text reads: event names are CloudTrail's, operations the access log's."""
    of_trail = [c for c in asked if c.field in (EVENT_NAME, EVENT_SOURCE)]
    operations = [c for c in asked if c.field == OPERATION]
    shaped = any(channel_of_name(condition.value) == SERVER_ACCESS for condition in operations)
    rules = []
    if of_trail:
        kept = tuple(condition for condition in asked if condition.field != OPERATION)
        rules.append(
            Rule(path=path, title=title, language=language, channel=CLOUDTRAIL, conditions=kept, line=line,
                 judges_fields=judges_fields)
        )  # fmt: skip
    if operations and (is_access_log or shaped):
        kept = tuple(operations)
        if judges_fields and not of_trail:
            kept = tuple(asked)
        rules.append(
            Rule(path=path, title=title, language=language, channel=SERVER_ACCESS, conditions=kept, line=line,
                 judges_fields=judges_fields and not of_trail)
        )  # fmt: skip
    return rules or [Rule(path=path, title=title, language=language, channel="", line=line)]


def _walk(node: Any, wanted: bool) -> Iterator[Condition]:
    exp = need("sqlglot").exp
    if isinstance(node, exp.Not):
        yield from _walk(node.this, not wanted)
        return
    if isinstance(node, exp.EQ | exp.NEQ | exp.In | exp.Like | exp.ILike | exp.RegexpLike):
        column, field, folded = node.this, *_column(node.this)
        values = node.args.get("expressions") or [node.args.get("expression")]
        if not field and isinstance(node, exp.EQ | exp.NEQ):  # 'PutObject' = eventname
            column, field, folded = node.expression, *_column(node.expression)
            values = [node.this]
        for value in values if field else ():
            if isinstance(value, exp.Literal) and value.is_string:
                found = _condition(node, field, value.this, exp)
                yield replace(
                    found,
                    wanted=wanted != isinstance(node, exp.NEQ),
                    ignore_case=folded or isinstance(node, exp.ILike),
                    line=_line(value),
                    field_line=_line(column),
                )
            elif value is not None:
                yield Condition(field=field, form=Form.USED, wanted=wanted, line=_line(column))
    elif isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
        field, _ = _column(node)
        if field:
            yield Condition(field=field, form=Form.USED, wanted=wanted, line=_line(node))
    for child in node.iter_expressions():
        yield from _walk(child, wanted)


def _line(node: Any) -> int:
    """Return the line of an expression: the first that SQLGlot has kept of anything in it."""
    return next((each.meta["line"] for each in node.walk(bfs=False) if "line" in each.meta), 0)


def _condition(node: Any, field: str, value: str, exp: Any) -> Condition:
    if isinstance(node, exp.RegexpLike):
        return Condition(field=field, value=value, form=Form.REGEX)
    if isinstance(node, exp.Like | exp.ILike):
        glob = re.sub(r"[*?\[]", lambda sign: f"[{sign[0]}]", value).replace("%", "*").replace("_", "?")
        return Condition(field=field, value=glob, form=Form.GLOB, written=value)
    return Condition(field=field, value=value)


def _column(node: Any) -> tuple[str, bool]:
    """Return the field that an expression is about (empty: none), and whether it folds the case."""
    exp = need("sqlglot").exp
    folded = False
    while isinstance(node, exp.Lower | exp.Upper | exp.Trim | exp.Cast | exp.Coalesce | exp.Paren):
        folded = folded or isinstance(node, exp.Lower | exp.Upper)
        node = node.this
    if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
        column = node.this
        path = [p.this for p in node.expression.find_all(exp.JSONPathKey)] if node.expression else []
        is_parameters = isinstance(column, exp.Column) and column.name.lower() == _PARAMETERS
        keys = [key for key in path if isinstance(key, str)]
        return (f"requestParameters.{'.'.join(keys)}" if is_parameters and keys else ""), folded
    return (from_column(node.name) if isinstance(node, exp.Column) else ""), folded
