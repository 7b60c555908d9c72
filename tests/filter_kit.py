"""Evaluators of generated filters. They live with the tests: the harness writes filters, AWS and others evaluate them.

EventBridge patterns go through moto's matcher, Athena SQL through SQLGlot into DuckDB, Sigma through pySigma's parser.
Logs Insights and metric filters have no evaluator on PyPI: the two here know exactly the syntax that the harness
writes, and refuse everything else. Their limits: conditions joined by ``and`` (Insights) or ``&&``, ``||`` and brackets
(metric filters); texts only, no numbers; JSON null counts as not there; a comparison with a field that is not there is
false.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import duckdb
import sqlglot
from moto.events.models import EventPattern
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.rule import SigmaRule
from sigma.types import SigmaExists

from harness.model import Record

Matcher = Callable[[dict[str, Any]], bool]
"""Tells whether a JSON log event is found."""

_JSON_NAMES = {"key": "key_name"}


def event(record: Record) -> dict[str, Any]:
    """A CloudTrail record as its log event; a server access record in its JSON form."""
    if record.channel == "cloudtrail":
        return dict(json.loads(record.raw))
    return {_JSON_NAMES.get(name, name): value for name, value in record.fields.items()}


def eventbridge(text: str) -> Matcher:
    pattern = EventPattern.load(text)

    def found(log_event: dict[str, Any]) -> bool:
        service = log_event["eventSource"].removesuffix(".amazonaws.com")
        envelope = {
            "source": f"aws.{service}",
            "detail-type": "AWS API Call via CloudTrail",
            "detail": log_event,
        }
        return bool(pattern.matches_event(envelope))

    return found


def insights(text: str) -> Matcher:
    commands = [each.strip() for each in text.split("\n| ")]
    asked = [each.removeprefix("filter ") for each in commands if each.startswith("filter ")]
    assert len(asked) == 1 and commands[0].startswith("fields @timestamp"), text
    conditions = [_insights_condition(each) for each in re.split(r"\s+and\s+", asked[0])]
    return lambda log_event: all(condition(log_event) for condition in conditions)


def _insights_condition(text: str) -> Matcher:
    name = r"(`[^`]+`|[\w.@]+)"
    if match := re.fullmatch(rf"(not )?ispresent\({name}\)", text):
        wanted, field = not match[1], match[2].strip("`")
        return lambda log_event: (_value(log_event, field) is not None) == wanted
    if match := re.fullmatch(rf"{name} (!?=|(?:not )?in|(?:not )?like) (.+)", text):
        field, sign, right = match[1].strip("`"), match[2], match[3]
        if sign.endswith("like"):
            assert right.startswith("/") and right.endswith("/"), text
            pattern = re.compile(right[1:-1])
            return lambda log_event: _compare(
                log_event, field, lambda v: bool(pattern.search(v)) != sign.startswith("not")
            )
        values = ast.literal_eval(right)
        values = [values] if isinstance(values, str) else values
        return lambda log_event: _compare(log_event, field, lambda v: (v in values) != (sign in ("!=", "not in")))
    raise AssertionError(f"not the Insights syntax that is known here: {text}")


def metric_filter(text: str) -> Matcher:
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|&&|\|\||!=|=|[(){}]|NOT EXISTS|IS NULL|\$[\w.-]+|\S', text)
    assert tokens[0] == "{" and tokens[-1] == "}", text
    tree, rest = _either(tokens[1:-1])
    assert not rest, rest
    return tree


def _either(tokens: list[str]) -> tuple[Matcher, list[str]]:
    return _joined(tokens, "||", any, lambda inner: _joined(inner, "&&", all, _single))


def _joined(
    tokens: list[str],
    sign: str,
    over: Callable[[Iterable[bool]], bool],
    read: Callable[[list[str]], tuple[Matcher, list[str]]],
) -> tuple[Matcher, list[str]]:
    first, tokens = read(tokens)
    parts = [first]
    while tokens and tokens[0] == sign:
        part, tokens = read(tokens[1:])
        parts.append(part)
    return (lambda log_event: over(part(log_event) for part in parts)), tokens


def _single(tokens: list[str]) -> tuple[Matcher, list[str]]:
    if tokens[0] == "(":
        inner, tokens = _either(tokens[1:])
        assert tokens[0] == ")", tokens
        return inner, tokens[1:]
    field, sign = tokens[0].removeprefix("$."), tokens[1]
    assert tokens[0].startswith("$."), tokens
    if sign == "NOT EXISTS":
        return (lambda log_event: not _has(log_event, field)), tokens[2:]
    if sign == "IS NULL":
        return (lambda log_event: _has(log_event, field) and _value(log_event, field) is None), tokens[2:]
    assert sign in ("=", "!="), tokens
    pattern = re.compile(".*".join(map(re.escape, json.loads(tokens[2]).split("*"))), re.DOTALL)
    return (
        lambda log_event: _compare(log_event, field, lambda v: bool(pattern.fullmatch(v)) == (sign == "="))
    ), tokens[3:]


def _has(log_event: dict[str, Any], path: str) -> bool:
    value: Any = log_event
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def _value(log_event: dict[str, Any], path: str) -> Any:
    value: Any = log_event
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _compare(log_event: dict[str, Any], path: str, test: Callable[[str], bool]) -> bool:
    value = _value(log_event, path)
    return value is not None and test(str(value))


def sigma(text: str) -> Matcher:
    rule = SigmaRule.from_yaml(text)
    assert (rule.logsource.product, rule.logsource.service) == ("aws", "cloudtrail")
    assert len(rule.detection.parsed_condition) == 1
    tree = rule.detection.parsed_condition[0].parsed
    return lambda log_event: _sigma_holds(tree, log_event)


def _sigma_holds(node: Any, log_event: dict[str, Any]) -> bool:
    if isinstance(node, ConditionAND):
        return all(_sigma_holds(each, log_event) for each in node.args)
    if isinstance(node, ConditionOR):
        return any(_sigma_holds(each, log_event) for each in node.args)
    if isinstance(node, ConditionNOT):
        return not _sigma_holds(node.args[0], log_event)
    assert isinstance(node, ConditionFieldEqualsValueExpression), node
    if isinstance(node.value, SigmaExists):
        return (_value(log_event, node.field) is not None) == node.value.exists
    return str(_value(log_event, node.field)).lower() == str(node.value).lower()


class Athena:
    """The generated tables in DuckDB, filled with the run's records, and the generated queries on them."""

    def __init__(self, tables: dict[str, str], records: Sequence[Record]) -> None:
        self.database = duckdb.connect()
        self.rejected: list[Record] = []
        for channel, ddl in tables.items():
            parsed = sqlglot.parse_one(ddl, read="athena")
            table = parsed.find(sqlglot.exp.Table)
            assert table is not None
            kinds = {c.name: c.args["kind"].sql() for c in parsed.this.expressions}
            rows = [self._row(channel, ddl, list(kinds), record) for record in records if record.channel == channel]
            # day is the partition column; a STRUCT is not asked of by any condition.
            columns = ", ".join(f'"{name}" VARCHAR' if kind != "STRUCT" else name for name, kind in kinds.items())
            columns = columns.replace('"useridentity" VARCHAR', "useridentity STRUCT(arn VARCHAR)")
            self.database.execute(f"CREATE TABLE {table.name} ({columns}, day VARCHAR, identity VARCHAR)")
            marks = ", ".join("?" * (len(kinds) + 2))
            self.database.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)

    def _row(self, channel: str, ddl: str, columns: list[str], record: Record) -> list[Any]:
        assert record.event_time is not None
        place = [record.event_time.strftime("%Y/%m/%d"), record.identity]
        if channel == "cloudtrail":
            # The input format takes columns by their names in lower case, and objects as JSON texts.
            event_of = {name.lower(): value for name, value in json.loads(record.raw).items()}
            values = [self._column(name, event_of.get(name)) for name in columns]
        else:
            groups = access_log_groups(ddl, record.raw)
            if groups is None:
                self.rejected.append(record)
                groups = [None] * len(columns)  # as RegexSerDe does
            values = list(groups)
        return [*values, *place]

    @staticmethod
    def _column(name: str, value: Any) -> Any:
        if name == "useridentity":
            return {"arn": (value or {}).get("arn")}
        return json.dumps(value) if isinstance(value, dict | list) else None if value is None else str(value)

    def found(self, query: str) -> set[str]:
        """The identities of the records that a query for Athena finds."""
        parsed = sqlglot.parse_one(query, read="athena")
        parsed.set("expressions", [sqlglot.exp.column("identity"), *parsed.expressions])
        return {row[0] for row in self.database.execute(parsed.sql("duckdb")).fetchall()}


def access_log_groups(ddl: str, line: str) -> list[str | None] | None:
    """What RegexSerDe makes of a line; None where the table's expression does not match it as a whole."""
    pattern = re.search(r"'input\.regex' = '(.*)'\n", ddl)
    assert pattern is not None
    match = re.fullmatch(pattern[1].replace("\\\\", "\\"), line, re.DOTALL)
    return list(match.groups()) if match else None
