"""Reads from a run's journal what its matrix does not hold: single delays with their censoring, and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.analyse.join import Joiner, Pair
from harness.analyse.snapshot import CellId, DelayClass, Delays, Snapshot, Witness
from harness.journal import FILE_NAME, Journal
from harness.model import Call, Role

_MAX_WITNESSES = 3


def with_evidence(run: Snapshot, folder: Path, *, with_delays: bool) -> Snapshot:
    """Return a run's snapshot with its witnesses, and its delays where they are wanted.

    Raises:
        JournalError: The journal cannot be read.
    """
    with Journal(folder / FILE_NAME) as journal:
        facts, calls, polls = journal.facts(), journal.calls(), journal.polls()
        joiner = Joiner(calls)
        for record, delivery in journal.records():
            joiner.add(record, delivery)
    if with_delays:
        run = replace(run, delays=_delays(calls, joiner, facts, polls), no_delays="")
    seen: dict[CellId, tuple[list[int], list[Pair]]] = {}
    for call in calls:
        if call.role is Role.SUBJECT and call.cell:
            for channel in facts.get("channels", ()):
                numbers, pairs = seen.setdefault(CellId(call.cell.operation, call.cell.variant, channel), ([], []))
                numbers.append(call.number)
                pairs += joiner.pairs(call, channel)
    witnesses = {cell: _witness(numbers, pairs) for cell, (numbers, pairs) in seen.items() if cell in run.cells}
    return replace(run, witnesses=witnesses)


def _delays(
    calls: Sequence[Call], joiner: Joiner, facts: Mapping[str, Any], polls: Mapping[str, Sequence[datetime]]
) -> dict[DelayClass, Delays]:
    from harness.analyse import delays  # noqa: PLC0415 - scipy loads slowly

    return {
        DelayClass(row.channel, row.region, row.category, row.access): Delays(
            tuple((each.lower_seconds, each.upper_seconds) for each in row.observations)
        )
        for row in delays.rows(calls, joiner.pairs, facts, polls)
        if delays.ALL not in (row.category, row.access)
    }


def _witness(numbers: list[int], pairs: list[Pair]) -> Witness:
    first = pairs[:_MAX_WITNESSES]
    return Witness(
        calls=tuple(numbers[:_MAX_WITNESSES]),
        records=tuple(dict.fromkeys(pair.record.name for pair in first)),
        files=tuple(f"{pair.deliveries[0].name}:{pair.record.offset}" for pair in first),
    )
