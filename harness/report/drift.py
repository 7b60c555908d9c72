"""What a comparison found, for the terminal, as Markdown, JSON and JUnit XML; each starts with both headlines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from xml.etree import ElementTree  # only written, never read

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analyse.cases import Case, DiffResult, Outcome, cases_of_diff, explained
from harness.analyse.findings import Finding, Severity
from harness.analyse.snapshot import Snapshot
from harness.report.safe import markdown_cell, visible

_STYLE = {Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan"}
_SUITE = "s3logjam"


class Output(StrEnum):
    """Forms of ``s3logjam diff --output``."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"


def show(console: Console, result: DiffResult, output: Output = Output.TEXT) -> None:
    """Print a comparison: a table for reading, or one of the other forms as it is."""
    if output is Output.TEXT:
        _show_table(console, result)
    else:
        render = {Output.JSON: as_json, Output.MARKDOWN: as_markdown, Output.JUNIT: as_junit}[output]
        console.file.write(render(result))


def _show_table(console: Console, result: DiffResult) -> None:
    for line in result.headlines:
        _line(console, line)
    if result.findings:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for name in ("severity", "id", "kind", "finding"):
            table.add_column(name, overflow="fold", no_wrap=name != "finding")
        for finding in result.findings:
            style = _STYLE[finding.severity]
            texts = (finding.severity.value, finding.id, finding.kind.value, finding.title)
            table.add_row(*(Text(visible(text), style=style) for text in texts))
        console.print(table)
        for finding in result.findings:
            for line in explained(finding, *finding.cells[:1]).splitlines():
                _line(console, line)
    for finding, entry in result.excused:
        _line(console, f"known until {entry.expires}: {finding.id} {finding.title} ({entry.reason})", "bright_black")
    _line(console, result.summary, "bold")


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(visible(text), style=style), highlight=False, soft_wrap=True)


def as_markdown(result: DiffResult) -> str:
    """Return the comparison for a job summary or an issue."""
    lines = [f"> {markdown_cell(line)}  " for line in result.headlines]
    lines += ["", "# Drift", "", markdown_cell(result.summary) + "."]
    if result.findings:
        lines += ["", "| severity | id | kind | finding |", "|---|---|---|---|"]
        lines += [
            f"| {f.severity.value} | `{f.id}` | {f.kind.value} | {markdown_cell(f.title)} |" for f in result.findings
        ]
        lines += ["", "## Evidence", ""]
        for finding in result.findings:
            lines += [f"- `{finding.id}` {markdown_cell(finding.title)}"]
            lines += [f"  - {markdown_cell(str(evidence))}" for evidence in finding.evidence]
    if result.excused:
        lines += ["", "## Known deviations", "", "| id | finding | reason | until |", "|---|---|---|---|"]
        lines += [
            f"| `{f.id}` | {markdown_cell(f.title)} | {markdown_cell(entry.reason)} | {entry.expires} |"
            for f, entry in result.excused
        ]
    return "\n".join(lines) + "\n"


def as_json(result: DiffResult) -> str:
    """Return the comparison as a JSON document (ASCII only, so that no terminal reads it otherwise)."""
    document = {
        "headlines": list(result.headlines),
        "schema_version": 1,
        **_origin(result.b),
        "against": {"source": result.a.source, **_origin(result.a)},
        "exit_code": int(result.exit_code),
        "compared": len(result.compared),
        "not_comparable": {
            "cells": dict(sorted(result.reasons.items())),
            "delays": {f"{name.channel} {name}": why for name, why in sorted(result.incomparable_delays.items())},
        },
        "findings": [_finding(finding) for finding in result.findings],
        "known": [
            _finding(finding) | {"reason": entry.reason, "expires": entry.expires.isoformat()}
            for finding, entry in result.excused
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _origin(side: Snapshot) -> dict[str, object]:
    return {"target": side.target, "target_note": side.target_note, "clock_factor": side.clock_factor}


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "cell": str(finding.cell),
        "subject": finding.subject,
        "title": finding.title,
        "cells": [str(cell) for cell in finding.cells],
        "evidence": [
            {
                "side": each.side,
                "cell": each.cell,
                "source": each.source,
                "calls": list(each.calls),
                "records": list(each.records),
                "files": list(each.files),
                "note": each.note,
            }
            for each in finding.evidence
        ],
    }


def as_junit(result: DiffResult) -> str:
    """Return the comparison as JUnit XML: a test case for each cell and for each finding about a whole channel."""
    return junit(cases_of_diff(result), {"A": result.headlines[0], "B": result.headlines[1]})


def junit(cases: Iterable[Case], properties: dict[str, str]) -> str:
    """Return cases as JUnit XML; what is undetermined or known is skipped with its reason."""
    made = list(cases)
    failed = sum(1 for case in made if case.outcome is Outcome.CONTRADICTED)
    skipped = sum(1 for case in made if case.outcome in (Outcome.UNDETERMINED, Outcome.KNOWN))
    counts = {"tests": str(len(made)), "failures": str(failed), "errors": "0", "skipped": str(skipped)}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _SUITE} | counts)
    told = ElementTree.SubElement(suite, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(told, "property", {"name": name, "value": visible(value)})
    for case in made:
        element = ElementTree.SubElement(suite, "testcase", {"classname": _SUITE, "name": visible(case.name)})
        lines = [visible(line) for line in case.text.splitlines()]
        if case.outcome is Outcome.CONTRADICTED:
            ElementTree.SubElement(element, "failure", {"message": lines[0]}).text = "\n".join(lines)
        elif case.outcome is not Outcome.CONFIRMED:
            why = f"known deviation: {visible(case.known)}" if case.known else " ".join(lines)
            ElementTree.SubElement(element, "skipped", {"message": why}).text = "\n".join(lines)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
