"""Shows an explanation as text or JSON: names, documents against observation, a sample record, ready-made filters."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import catalogue
from harness.analyse.explanation import READS, ChannelView, Reading, Statement
from harness.analyse.join import Pair
from harness.analyse.verify import ClaimVerdict
from harness.errors import ExitCode, UsageError
from harness.explain import NO_RUN, Explanation, Known, NameExplanation, explain, knowledge, stands_for
from harness.model import CLOUDTRAIL, SERVER_ACCESS
from harness.report import provenance
from harness.report.filters import Filter, filters
from harness.report.safe import visible

_MARKS = {
    ClaimVerdict.CONFIRMED: "✓",
    ClaimVerdict.CONTRADICTED: "✗",
    ClaimVerdict.UNDETERMINED: "–",
    ClaimVerdict.UNDOCUMENTED: "?",
}
_INDENT = "  "


def show(operation: str | None, event_name: str | None, sal: str | None, run: Path | None, *, as_json: bool) -> str:
    """Return what ``s3logjam explain`` prints; exactly one of the three names is to be given.

    Raises:
        UsageError: None or several of them are given, or there is no such run.
        NothingSelectedError: Nothing is known of the name.
    """
    wanted = [(CLOUDTRAIL, event_name), (SERVER_ACCESS, sal), ("", operation)]
    given = [(channel, name) for channel, name in wanted if name is not None]
    if len(given) != 1:
        raise UsageError("give one of: an operation such as PutBucketAcl, --event-name NAME, --sal NAME")
    channel, name = given[0]
    known = knowledge(run)
    if not channel:
        told = explain(name, known)
        return operation_as_json(told) if as_json else operation_as_text(told)
    named = stands_for(channel, name, known)
    return name_as_json(named) if as_json else name_as_text(named)


def ready_made(told: Explanation, view: ChannelView) -> tuple[Filter, ...]:
    """Return an operation's filters for a channel; none where ``view.no_filter`` says why."""
    if view.selection is None:
        return ()
    operation = told.operation
    return filters(operation.name, view.selection, is_data=view.is_data, is_read=operation.method in READS)


def operation_as_text(told: Explanation) -> str:
    """Return what a terminal shows of an operation."""
    return _safe(_operation(told))


def name_as_text(told: NameExplanation) -> str:
    """Return what a terminal shows of a name."""
    return _safe(_name(told))


def operation_as_json(told: Explanation) -> str:
    """Return an operation's explanation as a JSON document, ASCII only."""
    operation = told.operation
    document = {
        **_origin(told.known),
        "operation": operation.name,
        "service": operation.service,
        "method": operation.method,
        "uri": operation.uri,
        "level": operation.level.value,
        "twins": list(operation.twins),
        "channels": [_channel_document(told, view) for view in told.channels],
    }
    return json.dumps(document, indent=1, ensure_ascii=True)


def name_as_json(told: NameExplanation) -> str:
    """Return a name's explanation as a JSON document, ASCII only."""
    document = {
        **_origin(told.known),
        "channel": told.channel,
        "name": told.name,
        "operations": [
            {
                "operation": each.operation,
                "inside": each.inside,
                "observed": each.observed,
                "documented": list(each.meaning.tables) if each.meaning else [],
                "documented_name": each.meaning.name if each.meaning else "",
                "confidence": each.meaning.confidence.value if each.meaning else "",
            }
            for each in told.readings
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=True)


def _safe(lines: Iterator[str]) -> str:
    return "\n".join(visible(line) for line in lines)


def _origin(known: Known) -> dict[str, Any]:
    """Return what a document begins with: there is one only where the name is known."""
    first = {"headline": known.headline, "exit_code": int(ExitCode.OK)}
    if known.facts is None:
        return {**first, "target": None, "target_note": NO_RUN, "clock_factor": None, "run": None}
    return {**first, **provenance(known.facts), "run": str(known.run)}


def _operation(told: Explanation) -> Iterator[str]:
    operation = told.operation
    yield told.known.headline
    yield f"{operation.name} · {operation.service} · {operation.method} {operation.uri} · {operation.level.value}"
    if operation.twins:
        yield f"Same wire form as {', '.join(operation.twins)}: no log can tell them apart."
    for view in told.channels:
        yield ""
        yield f"== {view.channel} =="
        yield from _channel(told, view)


def _channel(told: Explanation, view: ChannelView) -> Iterator[str]:
    if told.known.evidence:
        yield f"Names observed: {_counted(view.names) or 'none'}"
        if view.inside:
            yield f"Of something inside the call: {_counted(view.inside)}"
        verdicts: defaultdict[str, list[str]] = defaultdict(list)
        for cell in view.cells:
            verdicts[cell.verdict.value].append(cell.variant)
        for verdict, variants in verdicts.items():
            yield f"Rows {verdict}: {', '.join(variants)}"
        if not verdicts:
            yield "Rows: none was executed"
    if view.statements:
        yield "Documents:"
        for statement in view.statements:
            yield from (_INDENT + line for line in _statement(statement))
    if view.sample:
        yield f"Sample record ({_source(view.sample)}):"
        yield from (_INDENT + line for line in _pretty(view.sample, view.channel))
    if view.selection is None:
        yield f"No filters: {view.no_filter}."
        return
    yield from _trust(view)
    for each in ready_made(told, view):
        yield ""
        yield f"{each.kind}, for: {each.reads}"
        yield from (_INDENT + f"({note})" for note in each.notes)
        yield from (_INDENT + line for line in each.text.split("\n"))
        if each.table:
            yield _INDENT + "-- The table:"
            yield from (_INDENT + line for line in each.table.split("\n"))


def _statement(statement: Statement) -> Iterator[str]:
    claim, answer = statement.claim, statement.answer
    guess = "hypothesis: " if claim.confidence.is_hypothesis else ""
    mark = _MARKS[answer.verdict] if answer else "·"
    yield f"{mark} {guess}{claim.text} ({', '.join(statement.tables)})"
    if answer and answer.verdict is not ClaimVerdict.CONFIRMED:
        yield _INDENT + f"{answer.verdict}: {'; '.join(filter(None, (answer.why, answer.seen)))}"
        yield from (_INDENT + str(each) for each in answer.evidence[:1])


def _trust(view: ChannelView) -> Iterator[str]:
    """Say what the filters stand on, what they leave out, and what they cannot tell apart."""
    selection = view.selection
    assert selection is not None
    yield f"Filters from {'observed' if view.names else 'documented'} names: {'; '.join(map(str, selection.terms))}"
    if selection.siblings:
        yield _INDENT + f"told from {', '.join(selection.siblings)}, which leave the same name"
    if selection.inside:
        inside = ", ".join(selection.inside)
        yield _INDENT + f"without the records that S3 writes inside {inside}; leave 'none of' out to find them too"
    if selection.alike:
        yield _INDENT + f"not told from {', '.join(selection.alike)}: this channel gives them the same name"
    if selection.twins:
        yield _INDENT + f"not told from {', '.join(selection.twins)}: the same wire form"
    tried = view.tried
    if tried:
        taken = ", ".join(f"{n} of {name}" for name, n in tried.taken.items())
        others = f"{sum(tried.taken.values())} of {tried.foreign} others{f' ({taken})' if taken else ''}"
        yield _INDENT + f"held against this run: they select {tried.found} of {tried.own} own records, and {others}"


def _name(told: NameExplanation) -> Iterator[str]:
    yield told.known.headline
    yield f"{told.name} in {told.channel} stands for:"
    yield from (_INDENT + line for each in told.readings for line in _reading(each))
    yield f"`s3logjam explain {told.readings[0].operation}` says more."


def _reading(reading: Reading) -> Iterator[str]:
    operation = catalogue.find(reading.operation)
    wire = f" ({operation.method} {operation.uri})" if operation else ""
    where = ", as a record of something inside the call" if reading.inside else ""
    yield f"{reading.operation}{wire}{where}"
    told = [f"{reading.observed} records of the run"] if reading.observed else []
    if reading.meaning:
        rule = f"by the naming rule {reading.meaning.name} in" if reading.meaning.is_rule else "in"
        told.append(f"{rule} {', '.join(reading.meaning.tables)} ({reading.meaning.confidence})")
    yield _INDENT + "; ".join(told)


def _counted(names: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count} records)" for name, count in names.items())


def _source(pair: Pair) -> str:
    return f"{pair.call.cell}, {pair.deliveries[0].name}, offset {pair.record.offset}"


def _pretty(pair: Pair, channel: str) -> list[str]:
    if not channel.startswith("server-access") or pair.record.raw.startswith("{"):
        try:
            return json.dumps(json.loads(pair.record.raw), indent=2).split("\n")
        except ValueError:
            pass
    return [pair.record.raw]


def _channel_document(told: Explanation, view: ChannelView) -> dict[str, Any]:
    selection, tried = view.selection, view.tried
    return {
        "channel": view.channel,
        "names": dict(view.names),
        "names_inside_the_call": dict(view.inside),
        "verdicts": dict(Counter(cell.verdict.value for cell in view.cells)),
        "is_data_event": view.is_data if view.channel.startswith(CLOUDTRAIL) else None,
        "documents": [_statement_document(each) for each in view.statements],
        "sample": None
        if view.sample is None
        else {
            "cell": str(view.sample.call.cell),
            "file": view.sample.deliveries[0].name,
            "offset": view.sample.record.offset,
            "raw": view.sample.record.raw,
        },
        "no_filter": view.no_filter,
        "selection": None
        if selection is None
        else {
            "terms": [
                {"field": term.field, "test": term.test.value, "values": list(term.values)} for term in selection.terms
            ],
            "names_from": "run" if view.names else "documents",
            "told_from": list(selection.siblings),
            "without_records_inside": list(selection.inside),
            "not_told_from": list(selection.alike),
            "twins": list(selection.twins),
            "held_against_run": None
            if tried is None
            else {
                "own": tried.own,
                "own_selected": tried.found,
                "others": tried.foreign,
                "others_selected": dict(tried.taken),
            },
        },
        "filters": [
            {
                "kind": each.kind.value,
                "reads": each.reads,
                "text": each.text,
                "notes": list(each.notes),
                "table": each.table,
            }
            for each in ready_made(told, view)
        ],
    }


def _statement_document(statement: Statement) -> dict[str, Any]:
    claim, answer = statement.claim, statement.answer
    return {
        "statement": claim.text,
        "tables": list(statement.tables),
        "confidence": claim.confidence.value,
        "verdict": answer.verdict.value if answer else None,
        "why": answer.why if answer else "",
        "seen": answer.seen if answer else "",
        "evidence": [str(each) for each in answer.evidence] if answer else [],
        "sources": [
            {"document": source.document, "section": source.section, "date": source.date} for source in claim.sources
        ],
        "note": claim.note,
    }
