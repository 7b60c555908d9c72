"""Writes one selection in the query languages that read S3's logs; each text is held against records in the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from uuid import NAMESPACE_URL, uuid5

from harness.analyse.selectors import Selection, Term, Test
from harness.model import CLOUDTRAIL, SERVER_ACCESS

TABLES = {CLOUDTRAIL: "cloudtrail_logs", SERVER_ACCESS: "s3_access_logs"}
DAYS = 7
"""How far the Athena queries look back."""
_JSON_FIELDS = {"key": "key_name"}
"""Where the JSON form of a server access record has another name (S3 User Guide, Log format in CloudWatch Logs)."""


class Kind(StrEnum):
    """The query languages."""

    EVENTBRIDGE = "EventBridge pattern"
    INSIGHTS = "CloudWatch Logs Insights query"
    METRIC_FILTER = "CloudWatch metric filter"
    ATHENA = "Athena SQL"
    SIGMA = "Sigma rule stub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One ready-made filter.

    Attributes:
        reads: What it is run on.
        notes: What has to be so for it to see anything.
        table: DDL of the table that it queries, where it queries one.
    """

    kind: Kind
    reads: str
    text: str
    notes: tuple[str, ...] = ()
    table: str = ""


def filters(operation: str, selection: Selection, *, is_data: bool | None, is_read: bool) -> tuple[Filter, ...]:
    """Return a selection in every language that reads its channel.

    Args:
        operation: What the filters are to find; for titles.
        is_data: Whether CloudTrail calls it a data event; None where nobody says.
        is_read: Whether it only reads.
    """
    terms = selection.terms
    if selection.channel == SERVER_ACCESS:
        json_log = "log group of the access logs (JSON delivery)"
        return (
            Filter(kind=Kind.INSIGHTS, reads=json_log, text=_insights(terms, SERVER_ACCESS)),
            Filter(kind=Kind.METRIC_FILTER, reads=json_log, text=_metric_filter(terms, SERVER_ACCESS)),
            _athena(terms, SERVER_ACCESS, "text log objects, date-based partitioned keys"),
        )
    data = ("A data event: the trail needs a data event selector for the bucket.",) if is_data else ()
    rule = data
    if is_read and not is_data:
        rule = ("A read: the rule needs the state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS.",)
    trail_log = "log group of the trail"
    return (
        Filter(kind=Kind.EVENTBRIDGE, reads="default event bus", text=_eventbridge(terms), notes=rule),
        Filter(kind=Kind.INSIGHTS, reads=trail_log, text=_insights(terms, CLOUDTRAIL), notes=data),
        Filter(kind=Kind.METRIC_FILTER, reads=trail_log, text=_metric_filter(terms, CLOUDTRAIL), notes=data),
        _athena(terms, CLOUDTRAIL, "log files of the trail", data),
        Filter(kind=Kind.SIGMA, reads="CloudTrail events", text=_sigma(operation, terms), notes=data),
    )


@cache
def ddl(channel: str) -> str:
    """Return the CREATE TABLE statement of a channel's Athena table."""
    return resources.files("harness.report").joinpath("athena", f"{TABLES[channel]}.sql").read_text("utf-8").rstrip()


def _eventbridge(terms: tuple[Term, ...]) -> str:
    detail: dict[str, object] = {}
    for term in terms:
        asked: list[object]
        match term.test:
            case Test.ONE_OF:
                asked = list(term.values)
            case Test.NONE_OF:
                asked = [{"anything-but": list(term.values)}]
            case _:
                asked = [{"exists": term.test is Test.PRESENT}]
        *path, last = term.field.split(".", 1)
        place = detail
        for name in path:
            inner = place.setdefault(name, {})
            assert isinstance(inner, dict)
            place = inner
        place[last] = asked
    # AWS puts the service of the event source before ".amazonaws.com" into `source`: s3express has its own.
    sources = next(term.values for term in terms if term.field == "eventSource")
    pattern = {
        "source": [f"aws.{source.removesuffix('.amazonaws.com')}" for source in sources],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": detail,
    }
    return json.dumps(pattern, indent=2)


def _insights(terms: tuple[Term, ...], channel: str) -> str:
    asked = "\n    and ".join(_insights_term(term, channel) for term in terms)
    shown = (
        "eventName, userIdentity.arn, sourceIPAddress, requestParameters.bucketName, requestParameters.key, errorCode"
        if channel == CLOUDTRAIL
        else "operation, requester, remote_ip, bucket_name, key_name, http_status"
    )
    return f"fields @timestamp, {shown}\n| filter {asked}\n| sort @timestamp desc\n| limit 100"


def _insights_term(term: Term, channel: str) -> str:
    name = _quoted_field(_json_name(term.field, channel))
    match term.test:
        case Test.ONE_OF | Test.NONE_OF if len(term.values) == 1:
            return f"{name} {'=' if term.test is Test.ONE_OF else '!='} {json.dumps(term.values[0])}"
        case Test.ONE_OF | Test.NONE_OF:
            return f"{name} {'in' if term.test is Test.ONE_OF else 'not in'} {json.dumps(list(term.values))}"
        case Test.PRESENT | Test.ABSENT:
            return f"{'' if term.test is Test.PRESENT else 'not '}ispresent({name})"
    return f"{name} {'like' if term.test is Test.QUERY else 'not like'} /[?&]{term.values[0]}=/"


def _quoted_field(name: str) -> str:
    """Insights wants backticks around names with anything but letters, digits, ``@``, ``_`` and dots."""
    return name if all(c.isalnum() or c in "@_." for c in name) else f"`{name}`"


def _metric_filter(terms: tuple[Term, ...], channel: str) -> str:
    return "{ " + " && ".join(_metric_term(term, f"$.{_json_name(term.field, channel)}") for term in terms) + " }"


def _metric_term(term: Term, name: str) -> str:
    match term.test:
        case Test.ONE_OF:
            return f"({' || '.join(f'{name} = {json.dumps(value)}' for value in term.values)})"
        case Test.NONE_OF:
            return f"({' && '.join(f'{name} != {json.dumps(value)}' for value in term.values)})"
        case Test.PRESENT:
            return f'({name} = "*")'
        case Test.ABSENT:
            # The JSON form of the access log writes null where a record has no value.
            return f"(({name} NOT EXISTS) || ({name} IS NULL))"
    sign, joint = ("=", " || ") if term.test is Test.QUERY else ("!=", " && ")
    patterns = [f"*{mark}{term.values[0]}=*" for mark in "?&"]
    return f"({joint.join(f'{name} {sign} {json.dumps(each)}' for each in patterns)})"


def _json_name(field: str, channel: str) -> str:
    return _JSON_FIELDS.get(field, field) if channel == SERVER_ACCESS else field


def _athena(terms: tuple[Term, ...], channel: str, reads: str, notes: tuple[str, ...] = ()) -> Filter:
    in_trail = channel == CLOUDTRAIL
    shown = (
        "eventtime, eventname, useridentity.arn, sourceipaddress, requestparameters, errorcode, requestid"
        if in_trail
        else "requestdatetime, operation, requester, remoteip, bucket_name, key, request_uri, httpstatus, requestid"
    )
    asked = [f"day >= date_format(current_date - INTERVAL '{DAYS}' DAY, '%Y/%m/%d')"]
    asked += [_sql_term(term, in_trail) for term in terms]
    text = f"SELECT {shown}\nFROM {TABLES[channel]}\nWHERE " + "\n  AND ".join(asked)
    return Filter(kind=Kind.ATHENA, reads=reads, text=text, notes=notes, table=ddl(channel))


def _sql_term(term: Term, in_trail: bool) -> str:
    outer, _, inner = term.field.partition(".")
    column = f"json_extract_scalar({outer.lower()}, {_sql(f'$[{json.dumps(inner)}]')})" if inner else term.field.lower()
    values = ", ".join(_sql(value) for value in term.values)
    match term.test:
        case Test.ONE_OF:
            return f"{column} = {values}" if len(term.values) == 1 else f"{column} IN ({values})"
        case Test.NONE_OF:
            return f"coalesce({column}, '') NOT IN ({values})"
        case Test.PRESENT:
            return f"{column} IS NOT NULL" if in_trail else f"{column} <> '-'"
        case Test.ABSENT:
            return f"{column} IS NULL" if in_trail else f"{column} = '-'"
    found = f"regexp_like({column}, {_sql(f'[?&]{term.values[0]}=')})"
    return found if term.test is Test.QUERY else f"NOT {found}"


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_SIGMA: dict[Test, Callable[[Term], tuple[str, object]]] = {
    Test.ONE_OF: lambda term: (term.field, list(term.values)),
    Test.NONE_OF: lambda term: (term.field, list(term.values)),
    Test.PRESENT: lambda term: (f"{term.field}|exists", True),
    Test.ABSENT: lambda term: (f"{term.field}|exists", False),
}


def _sigma(operation: str, terms: tuple[Term, ...]) -> str:
    """Sigma is YAML, of which JSON is a part: values are written as JSON, so that no text can be anything else."""
    wanted = [_SIGMA[term.test](term) for term in terms if term.test is not Test.NONE_OF]
    lines = [
        f"title: {json.dumps(f'S3 {operation}')}",
        f"id: {uuid5(NAMESPACE_URL, f's3logjam:{operation}')}",
        "status: experimental",
        f"description: {json.dumps(f'Finds {operation} in CloudTrail. Say here why it matters.')}",
        "logsource:",
        "  product: aws",
        "  service: cloudtrail",
        "detection:",
        "  selection:",
        *(f"    {name}: {json.dumps(value)}" for name, value in wanted),
    ]
    unwanted = [term for term in terms if term.test is Test.NONE_OF]
    for number, term in enumerate(unwanted, 1):
        lines += [f"  filter_{number}:", f"    {term.field}: {json.dumps(list(term.values))}"]
    lines += [f"  condition: selection{' and not 1 of filter_*' if unwanted else ''}", "level: informational"]
    return "\n".join(lines)
