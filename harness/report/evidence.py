"""Reads from a run's Parquet files what its matrix does not hold: single delays with their censoring, and evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet

from harness.analyse.snapshot import CellId, CellShot, DelayClass, Delays, Snapshot, Witness
from harness.journal import FILE_NAME, Journal
from harness.model import Role, Verdict
from harness.report.snapshots import delay_class

_MAX_WITNESSES = 3
_CALLS = ["number", "role", "operation", "variant", "sent_at", "received_at", "expected"]
_RECORDS = ["channel", "name", "delivery", "offset", "call_number", "call_role", "delay_seconds", "seen_at"]


def with_evidence(run: Snapshot, folder: Path) -> Snapshot:
    """Return a run's snapshot with its delays and witnesses.

    A call without a record is right-censored at the last poll of the channel, unless its scenario expects none or the
    absence is established: that is coverage, not delay.
    """
    calls = [row for row in _rows(folder / "calls.parquet", _CALLS) if row["role"] == Role.SUBJECT.value]
    records = _rows(folder / "records.parquet", _RECORDS)
    of_call: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in records:
        if row["call_role"] == Role.SUBJECT.value:
            of_call.setdefault((int(row["call_number"]), row["channel"]), []).append(row)
    polled_at = _polled_at(folder, records)
    observed: dict[DelayClass, list[float]] = {}
    censored: dict[DelayClass, list[float]] = {}
    witnesses: dict[CellId, tuple[list[int], list[dict[str, Any]]]] = {}
    for call in calls:
        for channel in {cell.channel for cell in run.cells}:
            cell = CellId(call["operation"], call["variant"], channel)
            shot = run.cells.get(cell)
            if shot is None:
                continue
            found = of_call.get((call["number"], channel), [])
            numbers, rows = witnesses.setdefault(cell, ([], []))
            numbers.append(call["number"])
            rows += found
            if found:
                observed.setdefault(delay_class(cell), []).append(min(row["delay_seconds"] for row in found))
            elif channel in polled_at and _is_due(call, channel, shot):
                waited = (polled_at[channel] - (call["received_at"] or call["sent_at"])).total_seconds()
                censored.setdefault(delay_class(cell), []).append(max(0.0, waited))
    return replace(
        run,
        delays={
            name: Delays(tuple(observed.get(name, ())), tuple(censored.get(name, ())))
            for name in observed.keys() | censored.keys()
        },
        no_delays="",
        witnesses={cell: _witness(numbers, rows) for cell, (numbers, rows) in witnesses.items()},
    )


def _is_due(call: dict[str, Any], channel: str, shot: CellShot) -> bool:
    return bool(json.loads(call["expected"]).get(channel, 1)) and shot.verdict is not Verdict.NOT_OBSERVED


def _rows(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(path, columns=columns).to_pylist()
    return found


def _polled_at(folder: Path, records: list[dict[str, Any]]) -> dict[str, datetime]:
    """Return when each channel was last polled: from the journal, or at least when its last record was seen."""
    times: dict[str, datetime] = {}
    for row in records:
        times[row["channel"]] = max(row["seen_at"], times.get(row["channel"], row["seen_at"]))
    if (folder / FILE_NAME).is_file():
        with Journal(folder / FILE_NAME) as journal:
            times |= {k: datetime.fromisoformat(v) for k, v in journal.fact("polled_at", {}).items()}
    return times


def _witness(numbers: list[int], rows: list[dict[str, Any]]) -> Witness:
    first = rows[:_MAX_WITNESSES]
    return Witness(
        calls=tuple(numbers[:_MAX_WITNESSES]),
        records=tuple(dict.fromkeys(row["name"] for row in first)),
        files=tuple(f"{row['delivery']}:{row['offset']}" for row in first),
    )
