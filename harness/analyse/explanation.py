"""Says of one operation what its records are called and what selects them, and of one name what it stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from harness.analyse.join import Pair
from harness.analyse.observed import Observed, Writer
from harness.analyse.selectors import PLAIN_NAME, Selection, select
from harness.analyse.verify import Answer, Seen, check_table, matches
from harness.catalogue import documented
from harness.catalogue.documented import Claim
from harness.catalogue.names import NEWEST, Meaning, documented_names, meanings
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Cell, Operation, Verdict

READS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a run adds to the documents."""

    seen: Seen
    observed: Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One documented statement, and what the run says of it.

    Attributes:
        tables: Those that say the same.
        answer: None without a run.
    """

    tables: tuple[str, ...]
    claim: Claim
    answer: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A selection held against every record of a run's calls under test in its channel.

    Attributes:
        own: Own records of the operation.
        found: How many of them are selected.
        foreign: All other records.
        taken: How many of those are selected too, by operation.
    """

    own: int
    found: int
    foreign: int
    taken: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """One operation in one channel.

    Attributes:
        names: Names of its own records that were observed, with their number, over all variants.
        inside: The same of records of something inside its calls.
        cells: Its rows of the matrix.
        statements: What documents say.
        sample: A record of its own, of the plain variant if there is one.
        selection: What selects its own records; None where ``no_filter`` says why there is none.
        tried: The selection held against the run's records; None without a run.
        is_data: Whether CloudTrail calls it a data event; None where nobody says.
    """

    channel: str
    names: Mapping[str, int] = field(default_factory=dict)
    inside: Mapping[str, int] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()
    statements: tuple[Statement, ...] = ()
    sample: Pair | None = None
    selection: Selection | None = None
    no_filter: str = ""
    tried: Tried | None = None
    is_data: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One operation that a name may stand for.

    Attributes:
        inside: Whether the record is of something inside the call.
        observed: Records with the name that its calls left in the run.
        meaning: What documents say; None where only the run says so.
    """

    operation: str
    inside: bool
    observed: int = 0
    meaning: Meaning | None = None

    @property
    def by_rule(self) -> bool:
        """Whether nothing but a naming rule speaks for it."""
        return not self.observed and self.meaning is not None and self.meaning.is_rule


def view(operation: Operation, channel: str, evidence: Evidence | None) -> ChannelView:
    """Return what is known of an operation in a channel.

    Args:
        evidence: A run's; without it documents speak alone.
    """
    own = evidence.observed.own(channel, operation.name) if evidence else ()
    inside = evidence.observed.inside(channel, operation.name) if evidence else ()
    names = dict(Counter(pair.record.name for pair in own).most_common())
    selection, why_not = _selection(operation, channel, tuple(names), own, evidence)
    return ChannelView(
        channel=channel,
        names=names,
        inside=dict(Counter(pair.record.name for pair in inside).most_common()),
        cells=tuple(_cells(operation, channel, evidence.seen)) if evidence else (),
        statements=tuple(_statements(operation, channel, evidence)),
        sample=min(own, key=_plain_first, default=None),
        selection=selection,
        no_filter=why_not,
        tried=_try(selection, operation, evidence.observed) if evidence and selection else None,
        is_data=_is_data(operation, own),
    )


def readings(channel: str, name: str, observed: Observed | None) -> tuple[str, tuple[Reading, ...]]:
    """Return a name as it is written in logs, and the operations that it may stand for; none where nothing is known.

    Naming rules (``REST.GET.*``) speak only where nothing else does.
    """
    said = meanings(channel)
    seen = observed.by_name(channel) if observed else {}
    name = {each.lower(): each for each in (*said, *seen)}.get(name.lower(), name)
    rules = [each for rule in said.values() for each in rule if each.is_rule and matches(name, each.name)]
    told = {(m.operation, m.inside): m for m in (*rules, *said.get(name, ()))}
    writers: dict[Writer, int] = dict.fromkeys(told, 0) | dict(seen.get(name, {}))
    found = [
        Reading(operation=operation, inside=inside, observed=n, meaning=told.get((operation, inside)))
        for (operation, inside), n in writers.items()
    ]
    certain = [each for each in found if not each.by_rule]
    return name, tuple(sorted(certain or found, key=lambda each: (each.inside, -each.observed)))


def _plain_first(pair: Pair) -> tuple[bool, int]:
    return (pair.call.cell is None or pair.call.cell.variant != "ok", pair.call.number)


def _cells(operation: Operation, channel: str, seen: Seen) -> Iterator[Cell]:
    for (name, _, where), cell in seen.cells.items():
        if (name, where) == (operation.name, channel) and cell.verdict is not Verdict.NOT_RUN:
            yield cell


def _statements(operation: Operation, channel: str, evidence: Evidence | None) -> Iterator[Statement]:
    """Yield what the tables say; tables that say the same with the same outcome are one."""
    found: dict[tuple[object, ...], Statement] = {}
    for table in documented.TABLES:
        said = [c for c in documented.table(table) if (c.operation, c.channel) == (operation.name, channel)]
        answers = [c.answer for c in check_table(said, evidence.seen, table, whole=False)] if evidence else []
        for claim, answer in zip_longest(said, answers):
            key = (claim.text, claim.confidence.is_hypothesis, answer and answer.verdict)
            known = found.get(key)
            tables = (table, *(known.tables if known else ()))
            found[key] = Statement(tables=tables, claim=claim, answer=answer)
    yield from found.values()


def _selection(
    operation: Operation, channel: str, observed_names: Sequence[str], own: Sequence[Pair], evidence: Evidence | None
) -> tuple[Selection | None, str]:
    if channel not in (CLOUDTRAIL, SERVER_ACCESS):
        return None, "its filters stand with cloudtrail and server-access"
    names = tuple(observed_names) or documented_names(channel, operation.name)
    sources = sorted({str(source) for pair in own if (source := pair.record.fields.get("eventSource"))})
    if any(not PLAIN_NAME.fullmatch(name) for name in (*names, *sources)):
        return None, "a name or event source in its records holds characters that none has"
    if not names:
        return None, _why_no_name(operation, channel)
    writers: dict[Writer, None] = {}
    seen = evidence.observed.by_name(channel) if evidence else {}
    for name in names:
        writers |= dict.fromkeys((meaning.operation, meaning.inside) for meaning in meanings(channel).get(name, ()))
        writers |= dict.fromkeys(seen.get(name, {}))
    selection = select(
        channel,
        operation,
        names,
        others=[name for name, inside in writers if not inside],
        inside=[name for name, inside in writers if inside],
        sources=sources,
    )
    return selection, ""


def _why_no_name(operation: Operation, channel: str) -> str:
    said = [c for c in documented.table(NEWEST) if (c.channel, c.operation) == (channel, operation.name)]
    for claim in said:
        if claim.logged is False:
            return f"documented as not in this channel ({claim.note or 'no reason given'})"
    rules = " and ".join(claim.name for claim in said if claim.name)
    if rules:
        return f"no name was observed, and documents have only the naming rule {rules}"
    return "no name was observed, and documents have none"


def _is_data(operation: Operation, own: Sequence[Pair]) -> bool | None:
    for pair in own:
        category = pair.record.fields.get("eventCategory")
        if category is not None:
            return str(category).lower() == "data"
    said = (c for c in documented.table(NEWEST) if (c.channel, c.operation) == (CLOUDTRAIL, operation.name))
    return next((claim.category == "data" for claim in said if claim.category), None)


def _try(selection: Selection, operation: Operation, observed: Observed) -> Tried:
    own = found = foreign = 0
    taken: Counter[str] = Counter()
    for (name, inside), pairs in observed.of_channel(selection.channel).items():
        hits = sum(selection.matches(pair.record) for pair in pairs)
        if name == operation.name and not inside:
            own, found = len(pairs), hits
        else:
            foreign += len(pairs)
            taken[name] += hits
    return Tried(own=own, found=found, foreign=foreign, taken={n: hits for n, hits in sorted(taken.items()) if hits})
