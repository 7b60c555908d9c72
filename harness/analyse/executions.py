"""What became of every execution: whether it ended as its scenario says, and if not, why, in words that many share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.model import Call, CellKey, Role

_UNLIKE = re.compile(r"(?s)(meant to end with .+?, got [^(]+?)(?: \(.*)?")
"""What the engine says of a variant that should fail; the text in parentheses differs from row to row."""
_REFUSED = re.compile(r"An error occurred \(([^)]+)\) when calling the (\w+) operation")
"""botocore's ClientError."""
_LONGEST = 160


class Ending(StrEnum):
    """How an execution ended."""

    AS_MEANT = "as meant"
    NOT_AS_MEANT = "not as meant"
    BROKEN_OFF = "broken off"
    NOT_EXECUTED = "not executed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of one row, or a row that is not executed at all.

    Attributes:
        repeat: From 0; None for a row that is not run.
        statuses: HTTP status and error code of its calls under test, in the order of sending, retries included.
        failure: Why it did not end as its scenario says, in full.
        reason: The same without what differs from row to row, or why the row is not run.
    """

    cell: CellKey
    repeat: int | None
    ending: Ending
    statuses: tuple[str, ...] = ()
    failure: str = ""
    reason: str = ""


def executions(
    planned: Mapping[CellKey, tuple[int, str]],
    journaled: Mapping[tuple[CellKey, int], tuple[str, str | None]],
    calls: Iterable[Call],
) -> list[Execution]:
    """Return every planned execution, and every row that is not run, in the plan's order.

    Args:
        planned: Repeats per row (0: not run) and the reason, as the journal has them.
        journaled: State and failure by row and repeat, as the journal has them.
        calls: Of the run.
    """
    sent: defaultdict[tuple[CellKey, int], list[Call]] = defaultdict(list)
    for call in calls:
        if call.role is Role.SUBJECT and call.cell:
            sent[call.cell, call.repeat].append(call)
    found = []
    for cell, (repeats, why_not) in planned.items():
        if not repeats:
            found.append(Execution(cell=cell, repeat=None, ending=Ending.NOT_RUN, reason=why_not))
        for repeat in range(repeats):
            state, failure = journaled.get((cell, repeat), ("", None))
            made = sent[cell, repeat]
            found.append(
                Execution(
                    cell=cell,
                    repeat=repeat,
                    ending=_ENDINGS[state],
                    statuses=tuple(map(answer, made)),
                    failure=failure or "",
                    reason=shared_reason(failure, made) if failure else "",
                )
            )
    return found


_ENDINGS = {
    "": Ending.NOT_EXECUTED,
    "started": Ending.BROKEN_OFF,
    "done": Ending.AS_MEANT,
    "failed": Ending.NOT_AS_MEANT,
}


def answer(call: Call) -> str:
    """Return status and error code of a call, or what came instead of an answer."""
    if call.status is None:
        return f"no answer ({call.failure})" if call.failure else "no answer"
    return f"{call.status} {call.error_code}" if call.error_code else str(call.status)


def shared_reason(failure: str, made: Sequence[Call]) -> str:
    """Return why an execution did not end as its scenario says, in words that many rows share.

    Args:
        failure: As the engine puts it.
        made: Its calls under test.
    """
    last = made[-1] if made else None
    refused = _REFUSED.search(failure)
    if refused and last is None:
        return f"what it needs could not be prepared: {refused[2]} was answered {refused[1]}"
    unlike = _UNLIKE.fullmatch(failure)
    if unlike:
        return unlike[1]
    if last and (last.status is None or last.status >= 400):
        return f"answered {answer(last)}" if last.status else answer(last)
    if refused and last and refused[2] == last.operation:
        return f"answered {answer(last)} with what botocore cannot read"
    return failure if len(failure) <= _LONGEST else f"{failure[:_LONGEST]}…"


def by_reason(found: Iterable[Execution], ending: Ending) -> dict[str, list[CellKey]]:
    """Return the rows with an execution of that ending by reason, those with most rows first."""
    groups: defaultdict[str, dict[CellKey, None]] = defaultdict(dict)
    for each in found:
        if each.ending is ending:
            groups[each.reason][each.cell] = None
    return {why: list(cells) for why, cells in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))}
