"""Holds documented statements against what a run saw: confirmed, contradicted with evidence, or undetermined with the
reason; and what was seen though no statement speaks of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import groupby, islice

from harness import catalogue
from harness.analyse.join import Pair
from harness.catalogue.documented import NO_FURTHER, Claim, Confidence
from harness.catalogue.fields import is_related
from harness.model import Call, Cell, Delivery, FieldValue, Record, Role, Verdict

OUTSIDE = "not part of the run"
"""Why nothing is said of a row that was not selected."""
MAX_EVIDENCE = 5
"""Pieces of evidence kept per statement."""
Key = tuple[str, str, str]
"""Operation, variant, channel."""


class ClaimVerdict(StrEnum):
    """What a run says of one statement."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNDETERMINED = "undetermined"
    UNDOCUMENTED = "undocumented"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One call, and the record that it left (none: ``record`` is empty).

    Attributes:
        call: Number of the call in the run.
        marker: Text in its user agent that no other call has.
        file: Delivery that holds the record.
        offset: Line, or index in ``Records``, from 0.
    """

    call: int
    marker: str
    request_id: str | None = None
    record: str = ""
    file: str = ""
    offset: int | None = None

    def __str__(self) -> str:
        call = f"call {self.call} ({self.marker}, request id {self.request_id or 'none'})"
        return f"{call}: {self.record} in {self.file}, offset {self.offset}" if self.record else f"{call}: no record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a run says of one statement, and why."""

    verdict: ClaimVerdict
    why: str = ""
    seen: str = ""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One statement with its answer: a line of the verification."""

    claim: Claim
    answer: Answer

    @property
    def verdict(self) -> ClaimVerdict:
        """The verdict, whatever the statement stands on."""
        return self.answer.verdict

    @property
    def words(self) -> str:
        """The verdict in words: of what nobody has said or seen, it speaks as of a hypothesis."""
        decided = self.verdict in (ClaimVerdict.CONFIRMED, ClaimVerdict.CONTRADICTED)
        return f"hypothesis {self.verdict}" if decided and self.claim.confidence.is_hypothesis else self.verdict.value

    @property
    def twins(self) -> tuple[str, ...]:
        """Operations that no log can tell from this one."""
        operation = catalogue.find(self.claim.operation)
        return operation.twins if operation else ()


@dataclass(frozen=True)
class Seen:
    """What a run saw, by row and channel.

    Attributes:
        pairs: Distinct records of the calls under test.
        deliveries: Every delivery that holds a record of ours.
        calls: Calls under test, by operation and variant.
        own: The run's own calls: set-up, controls, polls, teardown.
    """

    cells: Mapping[Key, Cell]
    pairs: Mapping[Key, Sequence[Pair]]
    calls: Mapping[tuple[str, str], Sequence[Call]]
    deliveries: Mapping[str, Sequence[Delivery]]
    own: Sequence[Call]

    @classmethod
    def of(
        cls, cells: Iterable[Cell], calls: Iterable[Call], paired: Iterable[tuple[Record, Delivery, Pair | None]]
    ) -> Seen:
        """Arrange what ``run.analyse`` has built."""
        last: dict[tuple[str, str], Pair] = {}
        files: defaultdict[str, dict[str, Delivery]] = defaultdict(dict)
        for record, delivery, pair in paired:
            if pair:
                files[record.channel][delivery.name] = delivery
                if pair.call.role is Role.SUBJECT and pair.call.cell:
                    last[record.channel, record.identity] = pair
        pairs: defaultdict[Key, list[Pair]] = defaultdict(list)
        for pair in last.values():
            assert pair.call.cell
            pairs[pair.call.cell.operation, pair.call.cell.variant, pair.record.channel].append(pair)
        of_row: defaultdict[tuple[str, str], list[Call]] = defaultdict(list)
        own = []
        for call in calls:
            if call.role is Role.SUBJECT and call.cell:
                of_row[call.cell.operation, call.cell.variant].append(call)
            else:
                own.append(call)
        by_key = {(cell.operation, cell.variant, cell.channel): cell for cell in cells}
        deliveries = {channel: tuple(found.values()) for channel, found in files.items()}
        return cls(by_key, dict(pairs), dict(of_row), deliveries, tuple(own))

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The channels of the run."""
        return tuple(dict.fromkeys(channel for _, _, channel in self.cells))

    def cell(self, operation: str, channel: str, variant: str = "ok") -> Cell | None:
        """Return a cell, or None where the run has none."""
        return self.cells.get((operation, variant, channel))

    def records(self, operation: str, channel: str, variant: str = "ok") -> Sequence[Pair]:
        """Return the records of a row in a channel."""
        return self.pairs.get((operation, variant, channel), ())

    def own_records(self, operation: str, channel: str, variant: str = "ok") -> list[Pair]:
        """Return the records of a row's own requests, without those of something inside them."""
        return [pair for pair in self.records(operation, channel, variant) if not is_related(pair.record)]


def was_seen(cell: Cell | None) -> bool | None:
    """Return whether a cell's calls left records; None where nothing can be said."""
    if cell is None or (not cell.logged and cell.verdict is not Verdict.NOT_OBSERVED):
        return None
    return cell.logged > 0


def why_open(cell: Cell | None, row: str, channel: str, channels: Sequence[str]) -> str:
    """Say why ``was_seen`` is None."""
    if channel not in channels:
        return f"the run has no channel {channel}"
    if cell is None:
        return f"{row} is {OUTSIDE}"
    return f"{cell.verdict.value}: {cell.reason or 'no reason kept'}"


def matches(name: str, pattern: str) -> bool:
    """Tell whether a name fits one of the patterns that ``|`` separates."""
    return any(fnmatchcase(name, each.strip()) for each in pattern.split("|"))


def evidence_of(pairs: Iterable[Pair]) -> tuple[Evidence, ...]:
    """Return where records stand."""
    return tuple(
        Evidence(
            call=pair.call.number,
            marker=pair.call.marker,
            request_id=pair.call.request_id,
            record=pair.record.name,
            file=pair.deliveries[0].name,
            offset=pair.record.offset,
        )
        for pair in islice(pairs, MAX_EVIDENCE)
    )


def missing(calls: Iterable[Call], pairs: Iterable[Pair]) -> tuple[Evidence, ...]:
    """Return the calls that left none of the records."""
    found = {pair.call.number for pair in pairs}
    absent = islice((c for c in calls if c.number not in found), MAX_EVIDENCE)
    return tuple(Evidence(call=c.number, marker=c.marker, request_id=c.request_id) for c in absent)


def check_table(claims: Sequence[Claim], seen: Seen, name: str, *, whole: bool = True) -> list[Check]:
    """Hold a table's rows against a run, then list what was seen in its channels and stands in none of its rows.

    Args:
        whole: Whether the table is known as a whole: only then is what it lacks undocumented.
    """
    of_row: defaultdict[Key, list[Claim]] = defaultdict(list)
    for claim in claims:
        of_row[claim.operation, claim.variant, claim.channel].append(claim)
    checks = [Check(claim=c, answer=_answer(c, of_row[c.operation, c.variant, c.channel], seen)) for c in claims]
    channels = {claim.channel for claim in claims} if whole else set()
    told = {(operation, channel) for operation, _, channel in of_row}
    for (operation, variant, channel), cell in seen.cells.items():
        if channel not in channels or variant != "ok" or not was_seen(cell):
            continue
        pairs = seen.records(operation, channel)
        if (operation, channel) not in told:
            checks.append(_undocumented(name, operation, channel, [p for p in pairs if not is_related(p.record)]))
        rows = of_row.get((operation, variant, channel), [])
        further = _further(pairs, rows)
        if further and not any(claim.related for claim in rows):
            checks.append(_undocumented(name, operation, channel, further, " further records"))
    return checks


def _undocumented(name: str, operation: str, channel: str, pairs: Sequence[Pair], what: str = "") -> Check:
    claim = Claim(
        id=f"{name}/{channel}/{operation}[ok]{what} (no row)",
        channel=channel,
        operation=operation,
        statement=f"nothing is said of {operation}[ok]{what} in {channel}",
        logged=None,
        confidence=Confidence.NOT_FOUND,
    )
    why = "seen, and in no row of the table"
    return Check(claim=claim, answer=_answered(ClaimVerdict.UNDOCUMENTED, why, pairs))


def _answered(verdict: ClaimVerdict, why: str, pairs: Sequence[Pair]) -> Answer:
    return Answer(verdict=verdict, why=why, seen=_told(pairs), evidence=evidence_of(pairs))


def _answer(claim: Claim, rows: Sequence[Claim], seen: Seen) -> Answer:
    cell = seen.cell(claim.operation, claim.channel, claim.variant)
    pairs = seen.records(claim.operation, claim.channel, claim.variant)
    calls = seen.calls.get((claim.operation, claim.variant), ())
    logged = was_seen(cell)
    if cell is None or logged is None:
        row = f"{claim.operation}[{claim.variant}]"
        return Answer(verdict=ClaimVerdict.UNDETERMINED, why=why_open(cell, row, claim.channel, seen.channels))
    if not logged:
        return _not_seen(claim, cell, calls)
    if claim.logged is False:
        return _answered(ClaimVerdict.CONTRADICTED, f"{cell.logged} of {cell.calls} calls are logged", pairs)
    if claim.related:
        return _about_further(claim, cell, calls, _further(pairs, rows))
    if claim.logged is None and not (claim.name or claim.category):
        return _answered(ClaimVerdict.UNDOCUMENTED, "seen, and no document says anything of it", pairs)
    return _about_own(claim, cell, pairs)


def _not_seen(claim: Claim, cell: Cell, calls: Sequence[Call]) -> Answer:
    """The cell says ``not observed``: a bound, which its reason holds."""
    if claim.logged is False:
        return Answer(verdict=ClaimVerdict.CONFIRMED, why=cell.reason)
    if claim.logged is None:
        why = f"the documents do not say whether it is logged; not observed: {cell.reason}"
        return Answer(verdict=ClaimVerdict.UNDETERMINED, why=why)
    operation = catalogue.find(claim.operation)
    is_api = operation is None or operation.service != "form"
    if claim.variant == "ok" and is_api and all(c.status is None or c.status >= 400 for c in calls):
        why = f"no call succeeded ({', '.join(cell.statuses)}); not observed: {cell.reason}"
        return Answer(verdict=ClaimVerdict.UNDETERMINED, why=why)
    why = f"not observed: {cell.reason}"
    return Answer(verdict=ClaimVerdict.CONTRADICTED, why=why, seen="no record", evidence=missing(calls, ()))


def _about_own(claim: Claim, cell: Cell, pairs: Sequence[Pair]) -> Answer:
    """Name and category of the calls' own records: of each call, one record must have the name."""
    own = [pair for pair in pairs if not is_related(pair.record)]
    if not own:
        return _answered(ClaimVerdict.UNDETERMINED, "only records of something inside the calls have come", pairs)
    by_call = [list(group) for _, group in groupby(sorted(own, key=_number), key=_number)]
    if claim.name:
        wrong = [p for group in by_call if not any(matches(q.record.name, claim.name) for q in group) for p in group]
        if wrong:
            return _answered(ClaimVerdict.CONTRADICTED, f"the name is not {claim.name.replace('|', ' or ')}", wrong)
        own = [pair for pair in own if matches(pair.record.name, claim.name)]
    if claim.category:
        answer = _category(claim.category, own)
        if answer:
            return answer
    share = "" if cell.logged == cell.calls else f"{cell.logged} of {cell.calls} calls are logged"
    return _answered(ClaimVerdict.CONFIRMED, share, own)


def _category(wanted: str, own: Sequence[Pair]) -> Answer | None:
    """Hold eventCategory and managementEvent against the documented category; None where both agree with it."""
    told = [(pair, field(pair.record, "eventCategory"), field(pair.record, "managementEvent")) for pair in own]
    wrong = [
        pair
        for pair, category, management in told
        if (category is not None and str(category).lower() != wanted)
        or (management is not None and bool(management) != (wanted == "management"))
    ]
    if wrong:
        return _answered(ClaimVerdict.CONTRADICTED, f"it is not a {wanted} event", wrong)
    if all(category is None and management is None for _, category, management in told):
        return _answered(ClaimVerdict.UNDETERMINED, "the records say nothing of their category", own)
    return None


def _about_further(claim: Claim, cell: Cell, calls: Sequence[Call], further: Sequence[Pair]) -> Answer:
    wanted = "" if claim.related == NO_FURTHER else claim.related
    strange = [pair for pair in further if not matches(pair.record.name, wanted)]
    if strange:
        why = f"further records, but not {wanted.replace('|', ' or ')}" if wanted else "there are further records"
        return _answered(ClaimVerdict.CONTRADICTED, why, strange)
    if cell.verdict is Verdict.PENDING:
        return Answer(verdict=ClaimVerdict.UNDETERMINED, why=f"pending: {cell.reason}")
    if not wanted or further:
        return Answer(verdict=ClaimVerdict.CONFIRMED, seen=_told(further), evidence=evidence_of(further))
    if all(call.status is None or call.status >= 300 for call in calls):
        return Answer(verdict=ClaimVerdict.UNDETERMINED, why="no call succeeded, so there is nothing inside it to log")
    why = "the calls are logged, but nothing beside their own records"
    return Answer(verdict=ClaimVerdict.CONTRADICTED, why=why, seen="no further record", evidence=missing(calls, ()))


def _further(pairs: Sequence[Pair], rows: Sequence[Claim]) -> list[Pair]:
    """Records beside the calls' own: marked as such, or of another name where one record has the documented one."""
    names = "|".join(claim.name for claim in rows if claim.name)
    named = {pair.call.number for pair in pairs if names and matches(pair.record.name, names)}
    return [
        pair
        for pair in pairs
        if is_related(pair.record) or (pair.call.number in named and not matches(pair.record.name, names))
    ]


def field(record: Record, name: str) -> FieldValue:
    """Return a field of a CloudTrail record, also of one that comes inside an EventBridge envelope."""
    return record.fields.get(name, record.fields.get(f"detail.{name}"))


def _told(pairs: Sequence[Pair]) -> str:
    names = dict.fromkeys(_name_of(pair.record) for pair in pairs)
    return ", ".join(names) if names else "no record"


def _name_of(record: Record) -> str:
    category = field(record, "eventCategory")
    return f"{record.name} ({str(category).lower()} event)" if category else record.name


def _number(pair: Pair) -> int:
    return pair.call.number
