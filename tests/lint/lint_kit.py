"""Rule files in every language that the lint reads, from one description."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from harness.lint.command import LintResult, lint
from harness.lint.model import Kind

LANGUAGES = ("sigma", "kuery", "eql", "esql", "panther", "athena", "insights", "list")


def write(folder: Path, language: str, names: Sequence[str], channel: str = "cloudtrail") -> list[Path]:
    """Write a rule that looks for names."""
    in_trail = channel == "cloudtrail"
    quoted = ", ".join(json.dumps(name) for name in names)
    field = "eventName" if in_trail else "operation"
    if language == "sigma":
        source = "        eventSource: s3.amazonaws.com\n" if in_trail else ""
        text = (
            f"title: A rule\nlogsource:\n  product: aws\n  service: {'cloudtrail' if in_trail else 's3'}\n"
            f"detection:\n    selection:\n{source}        {field}:\n"
            + "".join(f"            - {name}\n" for name in names)
            + "    condition: selection\n"
        )
        return [_file(folder / "rule.yml", text)]
    if language in ("kuery", "eql", "esql"):
        dataset = "aws.cloudtrail" if in_trail else "aws.s3access"
        ecs = "event.action" if in_trail else "aws.s3access.operation"
        provider = 'event.provider{0} "s3.amazonaws.com" and ' if in_trail else ""
        alternatives = " or ".join(json.dumps(name) for name in names)
        query = {
            "kuery": f'event.dataset: "{dataset}" and {provider.format(":")}{ecs}: ({alternatives})',
            "eql": f'any where event.dataset == "{dataset}" and {provider.format(" ==")}{ecs} in ({quoted})',
            "esql": f'from logs-* | where event.dataset == "{dataset}" and {provider.format(" ==")}{ecs} in ({quoted})',
        }[language]
        text = f"[rule]\nname = \"A rule\"\nlanguage = \"{language}\"\ntype = \"query\"\nquery = '''\n{query}\n'''\n"
        return [_file(folder / "rule.toml", text)]
    if language == "panther":
        log = "AWS.CloudTrail" if in_trail else "AWS.S3ServerAccess"
        source = '    if event.get("eventSource") != "s3.amazonaws.com":\n        return False\n' if in_trail else ""
        code = f'NAMES = {{{quoted}}}\n\n\ndef rule(event):\n{source}    return event.get("{field}") in NAMES\n'
        _file(folder / "rule.py", code)
        text = f"AnalysisType: rule\nFilename: rule.py\nRuleID: A\nDisplayName: A rule\nLogTypes:\n  - {log}\n"
        return [_file(folder / "rule.yml", text)]
    if language == "athena":
        table = "cloudtrail_logs" if in_trail else "s3_access_logs"
        source = "eventsource = 's3.amazonaws.com' AND " if in_trail else ""
        listed = ", ".join(f"'{name}'" for name in names)
        return [_file(folder / "rule.sql", f"SELECT *\nFROM {table}\nWHERE {source}{field.lower()} IN ({listed})\n")]
    if language == "insights":
        source = 'eventSource = "s3.amazonaws.com" and ' if in_trail else ""
        return [_file(folder / "rule.query", f"fields @timestamp\n| filter {source}{field} in [{quoted}]\n")]
    assert language == "list"
    return [_file(folder / "rule.list", "# names\n" + "\n".join(names) + "\n")]


def _file(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def kinds(result: LintResult, *, notes: bool = False) -> set[tuple[Kind, str]]:
    """What was found of what, without what data events need."""
    return {(f.kind, f.name) for f in result.open if notes or f.kind is not Kind.DATA_EVENTS}


def lint_text(folder: Path, name: str, text: str, run: Path | None = None) -> LintResult:
    """Lint one file."""
    return lint([_file(folder / name, text)], run)
