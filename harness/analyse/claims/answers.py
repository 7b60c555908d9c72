"""What the checks of claims share: three-valued answers and how they are put together.

A claim about many rows is confirmed when no row speaks against it and at least half of them were measured; a claim of
several parts when every part is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from harness import catalogue
from harness.analyse.join import Pair
from harness.analyse.verify import Answer, ClaimVerdict, Evidence, Key, Seen, evidence_of, missing, was_seen, why_open
from harness.model import Level, Operation

ClaimCheck = Callable[[Seen], Answer]


def confirmed(why: str, pairs: Iterable[Pair] = ()) -> Answer:
    """The run agrees."""
    return Answer(verdict=ClaimVerdict.CONFIRMED, why=why, evidence=evidence_of(pairs))


def contradicted(why: str, pairs: Iterable[Pair] = (), absent: tuple[Evidence, ...] = ()) -> Answer:
    """The run says otherwise; ``absent`` are calls without a record."""
    return Answer(verdict=ClaimVerdict.CONTRADICTED, why=why, evidence=(*evidence_of(pairs), *absent))


def undetermined(why: str) -> Answer:
    """The run cannot say."""
    return Answer(verdict=ClaimVerdict.UNDETERMINED, why=why)


def together(*answers: Answer) -> Answer:
    """Put the answers to the parts of a claim together: one contradiction is enough, one open part keeps it open."""
    for verdict in (ClaimVerdict.CONTRADICTED, ClaimVerdict.UNDETERMINED):
        found = [answer for answer in answers if answer.verdict is verdict]
        if found:
            break
    else:
        found, verdict = list(answers), ClaimVerdict.CONFIRMED
    why = "; ".join(dict.fromkeys(answer.why for answer in found if answer.why))
    return Answer(verdict=verdict, why=why, evidence=tuple(e for answer in found for e in answer.evidence))


def every(seen: Seen, rows: Sequence[Key], what: str, *, logged: bool = True) -> Answer:
    """Say whether all rows are logged (or all not).

    Args:
        rows: Operation, variant, channel.
        what: The rows in words: ``object operations in cloudtrail``.
        logged: What the claim says of them.
    """
    state = {row: was_seen(seen.cells.get(row)) for row in rows}
    wrong = [row for row, found in state.items() if found is (not logged)]
    decided = [row for row, found in state.items() if found is not None]
    if wrong:
        names = ", ".join(f"{operation}[{variant}]" for operation, variant, _ in wrong[:5])
        told = "not logged" if logged else "logged"
        why = f"{len(wrong)} of {len(decided)} {what}: {told}: {names}{' …' if len(wrong) > 5 else ''}"
        pairs = [pair for row in wrong for pair in seen.pairs.get(row, ())[:1]]
        calls = [call for operation, variant, _ in wrong for call in seen.calls.get((operation, variant), ())[:1]]
        return contradicted(why, pairs, missing(calls, pairs) if logged else ())
    if not decided or 2 * len(decided) < len(rows):
        left = next((row for row in rows if row not in decided), None)
        reason = f" ({why_open(seen.cells.get(left), f'{left[0]}[{left[1]}]', left[2], seen.channels)})" if left else ""
        return undetermined(f"{len(decided)} of {len(rows)} {what} were measured{reason}")
    pairs = [pair for row in decided for pair in seen.pairs.get(row, ())[:1]]
    told = "logged" if logged else "not observed"
    return confirmed(f"{what}: {len(decided)} measured of {len(rows)}, all {told}", pairs)


def row(seen: Seen, operation: str, channel: str, variant: str = "ok") -> tuple[bool | None, str]:
    """Return whether a row is logged, and where that is open, why."""
    cell = seen.cell(operation, channel, variant)
    return was_seen(cell), why_open(cell, f"{operation}[{variant}]", channel, seen.channels)


def api(*levels: Level) -> Mapping[str, Operation]:
    """Return the S3 operations of some levels that any bucket can be asked, so none with an endpoint of its own.

    Directory buckets and Object Lambda have other endpoints; a trail selects their events apart from others.
    """
    apart = ("CreateSession", "RenameObject", "ListDirectoryBuckets", "WriteGetObjectResponse")
    return {n: o for n, o in catalogue.operations().items() if o.level in levels and n not in apart}


def variants(seen: Seen, operations: Iterable[str], channel: str, *names: str) -> list[Key]:
    """Return the rows of a run that are one of some variants of some operations."""
    wanted = set(operations)
    return [key for key in seen.cells if key[0] in wanted and key[1] in names and key[2] == channel]
