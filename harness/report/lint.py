"""Shows what a lint found: text, JSON, or SARIF 2.1.0 for code hosts; suppressed findings with their reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness import __version__
from harness.lint.command import LintResult
from harness.lint.model import LEVELS, Finding, Kind, Unjudged, Unread
from harness.report import provenance
from harness.report.safe import visible

MEANINGS: Mapping[Kind, str] = {
    Kind.DEAD: "Nothing writes the name: no run saw it and no document has it.",
    Kind.RENAMED: "The operation is logged, but under another name.",
    Kind.OTHER_CHANNEL: "The name belongs to another log than the one that the rule reads.",
    Kind.DATA_EVENTS: "CloudTrail has the event only where data events are switched on for the bucket.",
    Kind.SIBLING: "Another call reaches the same end under a name that the rule does not catch.",
    Kind.FIELD: "Records of these events have no such field.",
}
_MAX_NAMED = 5
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(result: LintResult) -> str:
    """Return what a terminal shows."""
    lines = [result.measured.headline]
    lines += [f"{f.path}:{f.line}: {f.level}: {f.kind}: {f.text} ({f.rule})" for f in result.open]
    lines += [
        f"{f.path}:{f.line}: suppressed: {f.kind}: {f.text}: {f.suppressed}" for f in result.findings if f.suppressed
    ]
    lines += [f"{each.path}:{each.line}: not judged: {_in_words(each)} ({each.rule})" for each in result.unjudged]
    lines += [f"{each.path}:{each.line}: unread: {each.reason}" for each in result.unread]
    lines.append(_summary(result))
    return "\n".join(visible(line) for line in lines)


def as_json(result: LintResult) -> str:
    """Return the result as a JSON document, ASCII only."""
    document = {
        **_origin(result),
        "files": result.files,
        "rules": result.rules,
        "rules_about_s3": result.about_s3,
        "summary": dict(Counter(finding.kind.value for finding in result.open)),
        "exit_code": int(result.exit_code),
        "findings": [
            {
                "kind": finding.kind.value,
                "level": finding.level.value,
                "path": str(finding.path),
                "line": finding.line,
                "rule": finding.rule,
                "name": finding.name,
                "text": finding.text,
                "suppressed": finding.suppressed,
            }
            for finding in result.findings
        ],
        "not_judged": [
            {"path": str(each.path), "line": each.line, "rule": each.rule, "names": list(each.names)}
            for each in result.unjudged
        ],
        "unread": [{"path": str(each.path), "line": each.line, "reason": each.reason} for each in result.unread],
    }
    return json.dumps(document, indent=1, ensure_ascii=True)


def as_sarif(result: LintResult) -> str:
    """Return the result in the Static Analysis Results Interchange Format, ASCII only."""
    run = {
        "tool": {
            "driver": {
                "name": "s3logjam",
                "version": __version__,
                "rules": [
                    {
                        "id": kind.slug,
                        "name": kind.value,
                        "shortDescription": {"text": MEANINGS[kind]},
                        "defaultConfiguration": {"level": LEVELS[kind].value},
                    }
                    for kind in Kind
                ],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not result.unread,
                "toolExecutionNotifications": [
                    *(_notification("error", each.reason, each) for each in result.unread),
                    *(_notification("note", f"not judged: {_in_words(each)}", each) for each in result.unjudged),
                ],
            }
        ],
        "results": [_sarif_result(finding) for finding in result.findings],
        "properties": _origin(result),
    }
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=True)


FORMS: Mapping[str, Callable[[LintResult], str]] = {"text": as_text, "json": as_json, "sarif": as_sarif}


def _origin(result: LintResult) -> dict[str, Any]:
    facts = result.measured.facts
    if facts is None:
        none = {"target": None, "target_note": result.measured.headline, "clock_factor": None, "run": None}
        return {"headline": result.measured.headline, **none}
    return {"headline": result.measured.headline, **provenance(facts), "run": str(result.measured.run)}


def _summary(result: LintResult) -> str:
    counts = Counter(finding.kind.value for finding in result.open)
    told = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "nothing found"
    suppressed = len(result.findings) - len(result.open)
    parts = [f"{result.rules} rules in {result.files} files, {result.about_s3} about S3: {told}"]
    unjudged = sum(len(each.names) for each in result.unjudged)
    further = {"suppressed": suppressed, "not judged": unjudged, "unread": len(result.unread)}
    return ", ".join([*parts, *(f"{n} {what}" for what, n in further.items() if n)]) + "."


def _in_words(unjudged: Unjudged) -> str:
    names = unjudged.names
    told = ", ".join(names[:_MAX_NAMED]) + ", …" * (len(names) > _MAX_NAMED)
    count = f"{len(names)} name{'s' * (len(names) > 1)}"
    return f"{count} that no S3 log knows, and no event source is named, so that another service may: {told}"


def _sarif_result(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ruleId": finding.kind.slug,
        "ruleIndex": list(Kind).index(finding.kind),
        "level": finding.level.value,
        "message": {"text": f"{finding.text} ({finding.rule})"},
        "locations": [_location(finding.path, finding.line)],
    }
    if finding.suppressed:
        told["suppressions"] = [{"kind": "inSource", "justification": finding.suppressed}]
    return told


def _notification(level: str, text: str, about: Unread | Unjudged) -> dict[str, Any]:
    return {"level": level, "message": {"text": text}, "locations": [_location(about.path, about.line)]}


def _location(path: Path, line: int) -> dict[str, Any]:
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}
