"""What differs between two runs: each difference is a finding with a stable id, a severity and its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.analyse.findings import ALL, Evidence, Finding, Kind, Severity
from harness.analyse.moved import DEFAULT, Limits, delay_findings, share_moved
from harness.analyse.snapshot import (
    CATEGORY_FIELD,
    COUNT_FIELD,
    MANAGEMENT_FIELD,
    CellId,
    CellShot,
    Snapshot,
    Witness,
)
from harness.model import Verdict

_FOLD_CELLS = 5
"""A change in at least so many cells, and half of those where it could show, is one finding of the whole channel."""
_MAX_EVIDENCE = 3
"""Cells whose evidence such a finding carries."""
_NONE = "null"
"""A record without a value, which is a matter of the field's presence."""
_TRANSIENT = ("429", "500", "502", "503", "504", "None")
"""How the statuses of a call begin that was throttled, failed in the service or got no answer."""


@dataclass(frozen=True, slots=True)
class _Raw:
    """A difference in one cell, before folding: kind, subject (a field's name leads it), what to say, and of what."""

    kind: Kind
    subject: str
    text: str
    field: str = ""
    note: str = ""


def incomparable(a: Snapshot, b: Snapshot) -> dict[CellId, str]:
    """Return the cells that cannot be compared, and why; they are never findings by themselves."""
    told: dict[CellId, str] = {}
    for cell in sorted(a.cells.keys() | b.cells.keys()):
        one, other = a.cells.get(cell), b.cells.get(cell)
        if one is None or other is None:
            told[cell] = f"not in {'A' if one is None else 'B'}"
            continue
        for side, shot in (("A", one), ("B", other)):
            if shot.verdict in (Verdict.PENDING, Verdict.NOT_RUN):
                told[cell] = f"{told[cell]}, {shot.verdict} in B" if cell in told else f"{shot.verdict} in {side}"
        odd = {status for status in {*one.statuses} ^ {*other.statuses} if status.startswith(_TRANSIENT)}
        if odd and cell not in told:
            told[cell] = "a call was throttled, failed in the service or got no answer"
    return told


def compare(a: Snapshot, b: Snapshot, limits: Limits = DEFAULT) -> list[Finding]:
    """Return what differs, the gravest first.

    Args:
        a: What is held against: the earlier run, or the baseline.
        b: What was measured now.
        limits: When a distribution counts as moved.
    """
    left_out = incomparable(a, b)
    common = [cell for cell in a.cells if cell in b.cells and cell not in left_out]
    raw: dict[tuple[Kind, str, str], dict[CellId, _Raw]] = {}
    for cell in sorted(common):
        for each in _differences(a.cells[cell], b.cells[cell], limits):
            # What was answered is the same for all channels.
            channel = ALL if each.kind is Kind.OUTCOME else cell.channel
            raw.setdefault((each.kind, channel, each.subject), {})[cell] = each
    findings = []
    for (kind, channel, subject), shown in raw.items():
        field = next(iter(shown.values())).field
        could = [c for c in common if channel in (ALL, c.channel)]
        could = [c for c in could if _could_show(kind, a.cells[c], b.cells[c], field)]
        for where, cells in _folded(channel, list(shown), could):
            who = f"{len(cells)} of {len(could)} cells:" if where.operation == ALL else where.operation
            who += f" ({len(cells)} cells)" if where.variant == ALL != where.operation else ""
            who += f"[{where.variant}]" if where.variant not in (ALL, "ok") else ""
            title = f"{'' if channel == ALL else f'{channel}: '}{who} {shown[cells[0]].text}"
            shown_ones = cells[:_MAX_EVIDENCE] if where.operation == ALL else cells
            evidence = tuple(e for cell in shown_ones for e in _evidence(a, b, cell, shown[cell]))
            findings.append(
                Finding(kind=kind, cell=where, subject=subject, title=title, cells=cells, evidence=evidence)
            )
    findings += delay_findings(a, b, limits)
    rank = list(Severity)
    return sorted(findings, key=lambda f: (rank.index(f.severity), f.cell.channel, f.kind, f.cell, f.subject))


def _differences(a: CellShot, b: CellShot, limits: Limits) -> Iterator[_Raw]:
    if {*a.statuses} != {*b.statuses}:
        change = _change(a.statuses, b.statuses)
        if all(status.startswith("2") for status in (*a.statuses, *b.statuses)):
            yield _Raw(Kind.OUTCOME, change, f"is answered otherwise: {change}")
        else:
            # A refusal has another record than a success, so nothing else can be held against each other.
            yield _Raw(Kind.OUTCOME, change, f"is answered otherwise: {change}; its records were not compared")
            return
    if a.seen and not b.seen:
        yield _Raw(Kind.VANISHED, "", f"is no longer logged (was {', '.join(a.names)})")
    elif b.seen and not a.seen:
        yield _Raw(Kind.APPEARED, "", f"is logged now, as {', '.join(b.names)}")
    elif a.seen:
        yield from _records(a, b, limits)
        yield from _values(a, b)
        yield from _fields(a, b, limits)


def _records(a: CellShot, b: CellShot, limits: Limits) -> Iterator[_Raw]:
    gone, new = sorted({*a.names} - {*b.names}), sorted({*b.names} - {*a.names})
    # Rounded, so that a repeated delivery in a hundred calls is no difference.
    before, after = round(a.records / a.calls), round(b.records / b.calls)
    numbers = f"{a.records} records of {a.calls} calls before, {b.records} of {b.calls} now"
    if ((gone or new) and before == after) or (gone and new):
        change = _change(gone or a.names, new or b.names)
        yield _Raw(Kind.RENAMED, change, f"is logged under another name: {change}")
    elif gone or before > after or (a.verdict is Verdict.LOGGED and b.verdict is Verdict.PARTLY):
        yield _Raw(Kind.RECORD_LOST, " ".join(gone), f"has fewer records ({', '.join([*gone, numbers])})")
    elif new or after > before:
        yield _Raw(Kind.RECORD_ADDED, " ".join(new), f"has more records ({', '.join([*new, numbers])})")
    elif share_moved((a.logged, a.calls), (b.logged, b.calls), limits):
        kind = Kind.RECORD_LOST if a.logged * b.calls > b.logged * a.calls else Kind.RECORD_ADDED
        yield _Raw(kind, "", f"is logged for another share of its calls ({numbers})")


def _values(a: CellShot, b: CellShot) -> Iterator[_Raw]:
    one, other = _category(a), _category(b)
    if one and other and {*one} != {*other}:
        change = _change(one, other)
        yield _Raw(Kind.CATEGORY, change, f"changed its event category: {change}", CATEGORY_FIELD)
    for name in a.values.keys() & b.values.keys() - {CATEGORY_FIELD, MANAGEMENT_FIELD}:
        before, now = {*a.values[name]} - {_NONE}, {*b.values[name]} - {_NONE}
        if before and now and before != now:
            change = _change(before, now)
            if name == COUNT_FIELD:
                yield _Raw(Kind.FIELD_COUNT, change, f"has another number of fields: {change}", name)
            else:
                yield _Raw(Kind.VALUE, f"{name}: {change}", f"has another value in {name}: {change}", name)
    for name in b.wrong.keys() - a.wrong.keys():
        yield _Raw(Kind.WRONG, name, f"has a value in {name} that does not follow from the call", name, b.wrong[name])
    for name in a.wrong.keys() & b.fields.keys() - b.wrong.keys():
        yield _Raw(Kind.RIGHT, name, f"has the value in {name} that follows from the call, which it had not", name)


def _category(shot: CellShot) -> tuple[str, ...]:
    """Return the event category; events from before 2021 only say whether they are management events."""
    named = {"true": "Management", "false": "Data"}
    return shot.values.get(CATEGORY_FIELD) or tuple(named.get(v, v) for v in shot.values.get(MANAGEMENT_FIELD, ()))


def _fields(a: CellShot, b: CellShot, limits: Limits) -> Iterator[_Raw]:
    for name in sorted(a.fields.keys() | b.fields.keys()):
        one, other = a.fields.get(name), b.fields.get(name)
        if one == other and a.examined == b.examined:
            continue
        if one and other:
            if one.kind != other.kind:
                change = _change((one.kind,), (other.kind,))
                yield _Raw(Kind.FIELD_CLASS, f"{name}: {change}", f"has {name} in another class: {change}", name)
            if "volatile" in (one.kind, other.kind):
                continue  # whether such a field has a value may change from record to record
            share = (one.present / a.examined, other.present / b.examined)
            certain, what = {*share} == {0.0, 1.0}, "a value in"
        else:
            only = one or other
            assert only is not None
            certain, what = only.present in (0, a.examined if one else b.examined), "the field"
            share = (1.0, 0.0) if one else (0.0, 1.0)
        had, has = (one.present if one else 0, a.examined), (other.present if other else 0, b.examined)
        if certain or share_moved(had, has, limits):
            lost = share[0] > share[1]
            text = f"{'no longer has' if lost else 'now has'} {what} {name}"
            yield _Raw(Kind.FIELD_MISSING if lost else Kind.FIELD_NEW, name, text, name)


def _folded(
    channel: str, shown: Sequence[CellId], could: Sequence[CellId]
) -> Iterator[tuple[CellId, tuple[CellId, ...]]]:
    """Take a change of many cells together: one of the whole channel, or of all variants of an operation."""
    cells = sorted(shown)
    operations = dict.fromkeys(cell.operation for cell in cells)
    if len(cells) >= _FOLD_CELLS and len(operations) > 1 and 2 * len(cells) >= len(could):
        yield CellId(ALL, ALL, channel), tuple(cells)
        return
    for operation in operations:
        mine = [cell for cell in cells if cell.operation == operation]
        variants = dict.fromkeys(cell.variant for cell in mine)
        if len(variants) > 1 and len(mine) == sum(1 for cell in could if cell.operation == operation):
            yield CellId(operation, ALL, channel), tuple(mine)
            continue
        for variant in variants:
            yield CellId(operation, variant, channel), tuple(cell for cell in mine if cell.variant == variant)


def _could_show(kind: Kind, a: CellShot, b: CellShot, field: str) -> bool:
    if kind is Kind.VANISHED or kind is Kind.APPEARED:
        return a.seen is (kind is Kind.VANISHED)
    if kind is Kind.OUTCOME:
        return True
    return a.seen and b.seen and (kind is Kind.FIELD_NEW or not field or field in a.fields)


def _evidence(a: Snapshot, b: Snapshot, cell: CellId, raw: _Raw) -> Iterator[Evidence]:
    for side, snapshot, note in (("A", a, ""), ("B", b, raw.note)):
        seen = snapshot.witnesses.get(cell, Witness())
        names = seen.records or snapshot.cells[cell].names
        told = Evidence(side=side, cell=str(cell), source=snapshot.source, records=names, note=note)
        yield replace(told, calls=seen.calls, files=seen.files)


def _change(before: Iterable[str], now: Iterable[str]) -> str:
    return f"{', '.join(sorted(before)) or 'none'} → {', '.join(sorted(now)) or 'none'}"
