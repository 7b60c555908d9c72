"""``verification.csv``, ``.md`` and ``.json``: documented statements held against a run, each with its evidence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.analyse.verify import OUTSIDE, Check, ClaimVerdict
from harness.errors import ExitCode
from harness.report import headline, provenance, unwritten
from harness.report.safe import markdown_cell, visible, write_csv

SCHEMA_VERSION = 1
COLUMNS = (
    "id",
    "verdict",
    "confidence",
    "statement",
    "channel",
    "operation",
    "variant",
    "documented_logged",
    "documented_name",
    "documented_category",
    "documented_related",
    "seen",
    "why",
    "evidence",
    "twins",
    "document",
    "section",
    "date",
    "note",
    "against",
    "target",
    "target_note",
    "clock_factor",
)
ORDER = (ClaimVerdict.CONTRADICTED, ClaimVerdict.UNDOCUMENTED, ClaimVerdict.UNDETERMINED, ClaimVerdict.CONFIRMED)
_LOGGED = {True: "yes", False: "no", None: "unknown"}
_SHOWN = 20
"""Lines of one verdict in the terminal; the files have all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """A table or a set of claims, held against one run.

    Attributes:
        folder: The run's.
        facts: What the run's journal notes of it.
        against: Name of the table, or the user's file.
        title: The same in words.
        checks: One per statement, and one per record that no statement speaks of.
    """

    folder: Path
    facts: Mapping[str, Any]
    against: str
    title: str
    checks: tuple[Check, ...]

    @property
    def headline(self) -> str:
        """The line that every output carries first: target, what it proves, clock."""
        return headline(self.facts)

    @property
    def counts(self) -> dict[str, int]:
        """Lines per verdict in words."""
        return dict(Counter(check.words for check in self.checks))

    @property
    def exit_code(self) -> ExitCode:
        """1 when anything is contradicted, a hypothesis included; else 0."""
        wrong = any(check.verdict is ClaimVerdict.CONTRADICTED for check in self.checks)
        return ExitCode.DRIFT if wrong else ExitCode.OK

    def of(self, verdict: ClaimVerdict) -> list[Check]:
        """Return the lines of one verdict."""
        return [check for check in self.checks if check.verdict is verdict]

    @property
    def summary(self) -> str:
        """The numbers in one line."""
        told = ", ".join(f"{n} {words}" for words, n in sorted(self.counts.items()))
        return f"{len(self.checks)} lines against {self.title}: {told or 'nothing to say'}."


def write(result: VerifyResult) -> list[Path]:
    """Write the three files into the run's folder.

    Raises:
        JournalError: A file cannot be written.
    """
    try:
        return [_write_csv(result), _write_md(result), _write_json(result)]
    except OSError as error:
        raise unwritten(f"the verification in {result.folder}", error) from error


def document(result: VerifyResult) -> dict[str, Any]:
    """Return the verification as a JSON document."""
    return {
        "headline": result.headline,
        "schema_version": SCHEMA_VERSION,
        **provenance(result.facts),
        "run_id": result.facts.get("run_id", ""),
        "against": result.against,
        "title": result.title,
        "counts": result.counts,
        "exit_code": int(result.exit_code),
        "checks": [
            {
                "id": check.claim.id,
                "verdict": check.verdict.value,
                "confidence": check.claim.confidence.value,
                "statement": check.claim.text,
                "channel": check.claim.channel,
                "operation": check.claim.operation,
                "variant": check.claim.variant if check.claim.operation else "",
                "documented": {
                    "logged": check.claim.logged,
                    "name": check.claim.name,
                    "category": check.claim.category,
                    "related": check.claim.related,
                }
                if check.claim.operation
                else None,
                "seen": check.answer.seen,
                "why": check.answer.why,
                "evidence": [asdict(each) for each in check.answer.evidence],
                "twins": list(check.twins),
                "sources": [asdict(source) for source in check.claim.sources],
                "note": check.claim.note,
            }
            for check in result.checks
        ],
    }


def as_json(result: VerifyResult) -> str:
    """Return the document as text, ASCII only."""
    return json.dumps(document(result), indent=1, ensure_ascii=True) + "\n"


def as_text(result: VerifyResult) -> str:
    """Return what a terminal shows: contradictions with evidence, what is undocumented, and why the rest is open."""
    lines = [result.headline, result.summary]
    wrong, beyond = result.of(ClaimVerdict.CONTRADICTED), result.of(ClaimVerdict.UNDOCUMENTED)
    if wrong:
        lines += ["", f"Contradicted ({len(wrong)}):"]
        for check in wrong:
            about = f" ({check.claim.id})" if not check.claim.operation else ""
            guess = "hypothesis: " if check.claim.confidence.is_hypothesis else ""
            lines.append(f"✗ {guess}{check.claim.text}{about}")
            lines.append(f"    {'; '.join(filter(None, (check.answer.why, check.answer.seen)))}")
            lines += [f"    {evidence}" for evidence in check.answer.evidence[:1]]
    if beyond:
        lines += ["", f"Undocumented ({len(beyond)}):"]
        lines += [
            f"? {check.claim.operation} in {check.claim.channel}: {check.answer.seen}" for check in beyond[:_SHOWN]
        ]
        lines += [f"… and {len(beyond) - _SHOWN} more in verification.csv"] * (len(beyond) > _SHOWN)
    reasons = Counter(_reason(check.answer.why) for check in result.of(ClaimVerdict.UNDETERMINED))
    if reasons:
        lines += ["", f"Undetermined ({reasons.total()}):"]
        lines += [f"– {n} × {why}" for why, n in reasons.most_common(_SHOWN)]
        lines += [f"… and {len(reasons) - _SHOWN} more reasons in verification.csv"] * (len(reasons) > _SHOWN)
    return "\n".join(visible(line) for line in lines)


def _reason(why: str) -> str:
    """Return why a line is open, one reason for all rows that were not selected; the files name them."""
    return OUTSIDE if all(each.endswith(f" is {OUTSIDE}") for each in why.split("; ")) else why


def row(check: Check, result: VerifyResult) -> dict[str, Any]:
    """Return a line as a row."""
    claim = check.claim
    is_row = bool(claim.operation)
    return {
        "id": claim.id,
        "verdict": check.words,
        "confidence": claim.confidence.value,
        "statement": claim.text,
        "channel": claim.channel,
        "operation": claim.operation,
        "variant": claim.variant if is_row else "",
        "documented_logged": _LOGGED[claim.logged] if is_row else "",
        "documented_name": claim.name,
        "documented_category": claim.category,
        "documented_related": claim.related,
        "seen": check.answer.seen,
        "why": check.answer.why,
        "evidence": " · ".join(map(str, check.answer.evidence)),
        "twins": " ".join(check.twins),
        "document": " | ".join(source.document for source in claim.sources),
        "section": " | ".join(source.section for source in claim.sources),
        "date": " | ".join(source.date for source in claim.sources),
        "note": claim.note,
        "against": result.against,
        **provenance(result.facts),
    }


def _write_csv(result: VerifyResult) -> Path:
    path = result.folder / "verification.csv"
    write_csv(path, COLUMNS, (row(check, result) for check in result.checks))
    return path


def _write_json(result: VerifyResult) -> Path:
    path = result.folder / "verification.json"
    path.write_text(as_json(result), "utf-8")
    return path


def _write_md(result: VerifyResult) -> Path:
    lines = [f"> {markdown_cell(result.headline)}", "", f"# Held against {markdown_cell(result.title)}", ""]
    lines += [markdown_cell(result.summary), "", "docs/verify.md says what each verdict means."]
    for verdict in ORDER:
        checks = result.of(verdict)
        if checks:
            lines += ["", f"## {verdict.value.capitalize()} ({len(checks)})", ""]
            lines += ["| statement | verdict | seen, and why | evidence | source |", "|---|---|---|---|---|"]
            lines += [_md_row(check) for check in checks]
    path = result.folder / "verification.md"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _md_row(check: Check) -> str:
    claim, answer = check.claim, check.answer
    label = f"{claim.id}: {claim.text}" if not claim.operation else claim.text
    if check.twins:
        label += f" (same wire form as {', '.join(check.twins)})"
    seen = "; ".join(filter(None, (answer.seen, answer.why, claim.note and f"note: {claim.note}")))
    sources = "; ".join(", ".join(filter(None, (s.document, s.section, s.date))) for s in claim.sources)
    evidence = str(answer.evidence[0]) if answer.evidence else ""
    return f"| {' | '.join(markdown_cell(cell) for cell in (label, check.words, seen, evidence, sources))} |"
