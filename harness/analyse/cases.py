"""Turns a comparison, or a run alone, into named cases: passed, failed, known or undetermined, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from harness.analyse.findings import ALL, Finding, Kind
from harness.analyse.known import Deviation
from harness.analyse.snapshot import CellId, DelayClass, Snapshot
from harness.analyse.verify import Check, ClaimVerdict
from harness.errors import ExitCode
from harness.model import Verdict

MAX_CELLS = 3
"""Cells whose evidence is shown of a finding about more of them."""


class Outcome(StrEnum):
    """What a case says."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNDETERMINED = "undetermined"
    KNOWN = "known deviation"


_OUTCOMES = {
    ClaimVerdict.CONFIRMED: Outcome.CONFIRMED,
    ClaimVerdict.CONTRADICTED: Outcome.CONTRADICTED,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a test report: a cell, a statement, or what concerns a whole channel.

    Attributes:
        known: Why a deviation is accepted.
        id: Of the statement, where there is one.
    """

    name: str
    outcome: Outcome
    text: str = ""
    known: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffResult:
    """What a comparison found.

    Attributes:
        a, b: What was held against, and what was measured now.
        findings: What is neither expected nor known.
        excused: Findings that are known, with the entry.
        incomparable: Cells of which nothing can be said, and why.
        incomparable_delays: Delay classes of which nothing can be said, and why.
    """

    a: Snapshot
    b: Snapshot
    findings: tuple[Finding, ...] = ()
    excused: tuple[tuple[Finding, Deviation], ...] = ()
    incomparable: Mapping[CellId, str]
    incomparable_delays: Mapping[DelayClass, str]

    @property
    def headlines(self) -> tuple[str, str]:
        """The lines that every output carries first."""
        return f"A: {self.a.source} · {self.a.headline}", f"B: {self.b.source} · {self.b.headline}"

    @property
    def compared(self) -> list[CellId]:
        """The cells that were compared."""
        return sorted(self.b.cells.keys() & self.a.cells.keys() - self.incomparable.keys())

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many cells were not compared for which reason."""
        return Counter(self.incomparable.values())

    @property
    def summary(self) -> str:
        """The numbers in one line."""
        parts = [f"{len(self.findings)} findings", f"{len(self.excused)} known deviations"]
        parts.append(f"{len(self.compared)} cells compared")
        left_out = "; ".join(f"{n} {reason}" for reason, n in sorted(self.reasons.items()))
        parts.append(f"{len(self.incomparable)} not comparable{f' ({left_out})' if left_out else ''}")
        whys = "; ".join(sorted(set(self.incomparable_delays.values())))
        parts.append(f"{len(self.incomparable_delays)} delay classes not comparable{f' ({whys})' if whys else ''}")
        return ", ".join(parts)

    @property
    def exit_code(self) -> ExitCode:
        """1 with findings; 5 where nothing could be compared, so that an empty comparison is no clean one."""
        if self.findings:
            return ExitCode.DRIFT
        return ExitCode.OK if self.compared else ExitCode.NOTHING_SELECTED


def explained(finding: Finding, *cells: CellId) -> str:
    """Return a finding with its evidence, as lines: for some of its cells, or for the first ones."""
    told = [str(cell) for cell in cells or finding.cells[:MAX_CELLS]]
    lines = [f"{finding.severity} {finding.kind} {finding.id}: {finding.title}"]
    lines += [f"  {each}" for each in finding.evidence if each.cell in told or not told]
    more = len(finding.cells) - len(told)
    return _text([*lines, f"  and {more} more"] if more > 0 else lines)


def _text(lines: Iterable[str]) -> str:
    """Join lines; a line break within one (log text is hostile) must not look like another line of ours."""
    return "\n".join("\\n".join(line.splitlines()) for line in lines)


def cases_of_diff(result: DiffResult) -> list[Case]:
    """Return a case for each cell, and one for each finding about a whole channel.

    A finding about all variants of an operation fails each of them; one about a whole channel fails only its own case.
    """
    open_ones: dict[CellId, list[str]] = {}
    known: dict[CellId, list[tuple[str, str]]] = {}
    wide = []
    for finding in result.findings:
        if finding.cell.operation == ALL:
            wide.append(Case(_wide_name(finding), Outcome.CONTRADICTED, explained(finding)))
        for cell in finding.cells if finding.cell.operation != ALL else ():
            open_ones.setdefault(cell, []).append(explained(finding, cell))
    for finding, entry in result.excused:
        why = f"{entry.reason} (until {entry.expires})"
        if finding.cell.operation == ALL:
            wide.append(Case(_wide_name(finding), Outcome.KNOWN, explained(finding), why))
        for cell in finding.cells if finding.cell.operation != ALL else ():
            known.setdefault(cell, []).append((explained(finding, cell), why))
    cases = []
    for cell in sorted(result.a.cells.keys() | result.b.cells.keys()):
        if cell in open_ones:
            cases.append(Case(str(cell), Outcome.CONTRADICTED, "\n".join(open_ones[cell])))
        elif cell in known:
            texts, whys = zip(*known[cell], strict=True)
            cases.append(Case(str(cell), Outcome.KNOWN, "\n".join(texts), "; ".join(dict.fromkeys(whys))))
        elif cell in result.incomparable:
            cases.append(Case(str(cell), Outcome.UNDETERMINED, f"not comparable: {result.incomparable[cell]}"))
        else:
            cases.append(Case(str(cell), Outcome.CONFIRMED))
    return cases + wide


def cases_of_run(run: Snapshot) -> list[Case]:
    """Return a case for each cell of a run alone: does it say what its scenario declares, with the right values?"""
    return [_declared(str(cell), run, cell) for cell in sorted(run.cells)]


def _declared(name: str, run: Snapshot, cell: CellId) -> Case:
    shot = run.cells[cell]
    if shot.verdict in (Verdict.PENDING, Verdict.NOT_RUN):
        return Case(name, Outcome.UNDETERMINED, _text([f"{shot.verdict}: {shot.reason}"]))
    faults = [f"wrong value in {field}: {text}" for field, text in shot.wrong.items()]
    if (shot.records == 0) is not (shot.expected == 0) or shot.records < shot.expected:
        faults.insert(0, f"{shot.records} records where {shot.expected} are declared ({shot.verdict})")
    if not faults:
        return Case(name, Outcome.CONFIRMED)
    witness = run.witnesses.get(cell)
    if witness:
        calls = f"call {', '.join(map(str, witness.calls))}"
        names = f"record {', '.join(witness.records) or 'none'}"
        faults.append("; ".join([calls, names, f"in {', '.join(witness.files) or run.source}"]))
    return Case(name, Outcome.CONTRADICTED, _text(faults))


def cases_of_checks(checks: Iterable[Check]) -> list[Case]:
    """Return a case for each statement of a verification; what no statement speaks of is undetermined."""
    cases: dict[str, Case] = {}
    for check in checks:
        claim, answer = check.claim, check.answer
        name = claim.id
        if claim.operation:
            name = f"{CellId(claim.operation, claim.variant, claim.channel)}{claim.id.rpartition(']')[2]}"
        name = name if name not in cases else claim.id
        sources = "; ".join(", ".join(filter(None, (s.document, s.section, s.date))) for s in claim.sources)
        lines = [f"{claim.id}: {claim.text}", *([f"  said by {sources}"] if sources else [])]
        lines += [f"  {check.words}{f': {answer.why}' if answer.why else ''}"]
        lines += [f"  seen: {answer.seen}"] if answer.seen else []
        lines += [f"  {each}" for each in answer.evidence]
        cases[name] = Case(name, _OUTCOMES.get(check.verdict, Outcome.UNDETERMINED), _text(lines), id=claim.id)
    return list(cases.values())


def excuse(cases: Iterable[Case], known: Iterable[Deviation], today: date) -> list[Case]:
    """Mark what is known to be contradicted, and add a case for each entry that has expired or is no longer true.

    Entries are matched by the id of a statement, or by the cell; those with a kind or the id of a finding are
    about differences.
    """
    made = {case.name: case for case in cases}
    for entry in (each for each in known if not each.kind and (each.is_about_statement or not each.id)):
        hits = [case for case in made.values() if entry.names(case.name, case.id)]
        wrong = [case for case in hits if case.outcome in (Outcome.CONTRADICTED, Outcome.KNOWN)]
        why = f"{entry.reason} (until {entry.expires})"
        if today > entry.expires:
            name = f"{Kind.KNOWN_EXPIRED}[{entry.name}]"
            made[name] = Case(name, Outcome.CONTRADICTED, f"known deviation {entry.name} expired on {entry.expires}")
        elif wrong:
            made |= {case.name: replace(case, outcome=Outcome.KNOWN, known=why) for case in wrong}
        elif any(case.outcome is Outcome.CONFIRMED for case in hits):
            name = f"{Kind.KNOWN_STALE}[{entry.name}]"
            made[name] = Case(name, Outcome.CONTRADICTED, f"known deviation {entry.name} is no longer true: {why}")
    return list(made.values())


def _wide_name(finding: Finding) -> str:
    channel = "" if finding.cell.channel == ALL else f"-{finding.cell.channel}"
    return f"{finding.kind}[{finding.subject}{channel}]"
