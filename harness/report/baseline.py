"""``baseline.json``: a run reduced to what the next one is held against; small enough to review and to keep in git.

It holds names, verdicts, statuses, event categories, fields with their classes, and every single delay with its
censoring. It holds no value that differs between runs, and no account id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness import catalogue
from harness.analyse.snapshot import KEPT_VALUES, CellId, CellShot, DelayClass, Delays, Presence, Snapshot
from harness.errors import JournalError, UsageError
from harness.model import Verdict

BASELINE_VERSION = 1
MATRIX = "matrix.json"
_FACTS = ("seed", "repeats", "channels", "started_at", "s3logjam", "botocore")
_INDEX = re.compile(r"\[\d+\]")
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
_READS = ("GET", "HEAD", "OPTIONS")


def load(path: Path) -> Snapshot:
    """Read one side of a comparison.

    Args:
        path: A run's folder, a ``matrix.json`` or a ``baseline.json``.

    Raises:
        UsageError: It is none of them.
    """
    file = path / MATRIX if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
        if "baseline_version" in document:
            return _from_baseline(document, str(path))
        snapshot = from_matrix(document, str(path))
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"cannot read {path}: {error}; give a run's folder, a matrix.json or a baseline.json"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is neither a matrix.json nor a baseline.json of this version ({error!r})") from error
    if path.is_dir() and all((path / f"{name}.parquet").is_file() for name in ("calls", "records")):
        from harness.report.evidence import with_evidence  # noqa: PLC0415 - pyarrow loads slowly

        return with_evidence(snapshot, path)
    return snapshot


@cache
def delay_class(cell: CellId) -> DelayClass:
    """Return the class of calls whose delays are compared together."""
    operation = catalogue.find(cell.operation)
    if operation is None:
        return DelayClass(cell.channel, "other", "call")
    return DelayClass(cell.channel, operation.level.value, "read" if operation.method in _READS else "write")


def from_matrix(document: Mapping[str, Any], source: str) -> Snapshot:
    """Reduce a ``matrix.json``. It has the delays of calls that were made once; of repeated ones only summaries."""
    cells: dict[CellId, CellShot] = {}
    delays: dict[DelayClass, list[float]] = {}
    no_delays = ""
    for each in document["cells"]:
        cell = CellId(each["operation"], each["variant"], each["channel"])
        shot = cells[cell] = _shot(each)
        delay = each["delay"]
        if delay and delay["n"] == 1:
            delays.setdefault(delay_class(cell), []).append(delay["p50_seconds"])
        elif delay:
            no_delays = f"{MATRIX} alone holds no single delays of repeated calls"
        if shot.verdict in (Verdict.PENDING, Verdict.PARTLY):
            no_delays = no_delays or f"{MATRIX} alone does not say how long missing records were waited for"
    return Snapshot(
        source=source,
        headline=document["headline"],
        target=document["target"],
        clock_factor=document["clock_factor"],
        run={name: document["run"][name] for name in (*_FACTS, "interrupted") if name in document["run"]},
        cells=cells,
        delays={} if no_delays else {name: Delays(tuple(values)) for name, values in delays.items()},
        no_delays=no_delays,
    )


def _shot(cell: Mapping[str, Any]) -> CellShot:
    fields: dict[str, Presence] = {}
    for name, entry in cell["fields"].items():
        plain = _ACCOUNT.sub("<account>", _INDEX.sub("[]", name))
        known = fields.get(plain)
        fields[plain] = Presence(entry["class"], max(entry["present"], known.present if known else 0))
    values = {name: cell["fields"][name].get("values", ()) for name in KEPT_VALUES if name in cell["fields"]}
    return CellShot(
        verdict=Verdict(cell["verdict"]),
        calls=cell["calls"],
        logged=cell["logged"],
        records=cell["records"],
        expected=cell["expected_records"],
        examined=max((1, *(presence.present for presence in fields.values()))) if fields else 0,
        names=tuple(sorted(cell["names"])),
        statuses=tuple(sorted(cell["statuses"])),
        fields=fields,
        values={name: tuple(sorted(map(_text, found))) for name, found in values.items()},
        wrong={
            w["field"]: f"call {w['call']}: expected {w['expected']!r}, seen {w['seen']!r}"
            for w in cell["wrong_values"]
        },
        reason=cell["reason"],
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def document(run: Snapshot) -> dict[str, Any]:
    """Return a baseline as a JSON document.

    Raises:
        UsageError: The run was interrupted, so that it says too little to be held against.
    """
    if "interrupted" in run.run:
        raise UsageError(f"{run.source} was interrupted in {run.run['interrupted']}: a baseline needs a whole run")
    sets: dict[str, dict[str, str]] = {}
    cells = []
    for cell, shot in sorted(run.cells.items()):
        told: dict[str, Any] = {"cell": list(cell), "verdict": shot.verdict.value}
        if shot.calls:
            told["counts"] = [shot.calls, shot.logged, shot.records, shot.expected, shot.examined]
            told |= {"names": shot.names, "statuses": shot.statuses}
        if shot.fields:
            content = {name: _presence(presence, shot.examined) for name, presence in sorted(shot.fields.items())}
            key = sha256(json.dumps(content).encode()).hexdigest()[:8]
            sets[key] = content
            told |= {"values": dict(sorted(shot.values.items())), "fields": key}
        if shot.wrong:
            told["wrong"] = sorted(shot.wrong)
        cells.append(told)
    delays: dict[str, dict[str, Any]] = {}
    for name, each in sorted(run.delays.items()):
        told = {"observed": _rounded(each.observed), "censored": _rounded(each.censored)}
        delays.setdefault(name.channel, {})[str(name)] = told
    return {
        "headline": run.headline,
        "baseline_version": BASELINE_VERSION,
        "target": run.target,
        "clock_factor": run.clock_factor,
        "run": dict(run.run),
        "no_delays": run.no_delays,
        "delays": delays,
        "field_sets": dict(sorted(sets.items())),
        "cells": cells,
    }


def _presence(presence: Presence, examined: int) -> str:
    return presence.kind if presence.present == examined else f"{presence.kind} {presence.present}"


def _rounded(seconds: Iterable[float]) -> list[float]:
    return sorted(round(each, 1) for each in seconds)


def write(run: Snapshot, path: Path) -> Path:
    """Write a baseline, a cell a line, so that a change of it can be reviewed.

    Raises:
        UsageError: The run was interrupted.
        JournalError: The file cannot be written.
    """
    content = document(run)
    lines = []
    for name, value in content.items():
        if isinstance(value, (dict, list)) and value:
            inner = value.items() if isinstance(value, dict) else ((None, each) for each in value)
            rows = [("" if key is None else f"{json.dumps(key)}: ") + json.dumps(each) for key, each in inner]
            opening, closing = "{}" if isinstance(value, dict) else "[]"
            lines.append(f"{json.dumps(name)}: {opening}\n  " + ",\n  ".join(rows) + f"\n {closing}")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{\n " + ",\n ".join(lines) + "\n}\n", "utf-8")
    except OSError as error:
        raise JournalError(f"cannot write the baseline {path}: {error}") from error
    return path


def _from_baseline(document: Mapping[str, Any], source: str) -> Snapshot:
    if document["baseline_version"] != BASELINE_VERSION:
        raise UsageError(f"{source} is of baseline version {document['baseline_version']}, not {BASELINE_VERSION}")
    cells = {}
    for each in document["cells"]:
        calls, logged, records, expected, examined = each.get("counts", (0,) * 5)
        fields = {}
        for name, text in document["field_sets"].get(each.get("fields"), {}).items():
            kind, _, count = text.partition(" ")
            fields[name] = Presence(kind, int(count) if count else examined)
        cells[CellId(*each["cell"])] = CellShot(
            verdict=Verdict(each["verdict"]),
            calls=calls,
            logged=logged,
            records=records,
            expected=expected,
            examined=examined,
            names=tuple(each.get("names", ())),
            statuses=tuple(each.get("statuses", ())),
            fields=fields,
            values={name: tuple(values) for name, values in each.get("values", {}).items()},
            wrong=dict.fromkeys(each.get("wrong", ()), ""),
        )
    delays = {
        DelayClass(channel, *name.split(" ", 1)): Delays(tuple(told["observed"]), tuple(told["censored"]))
        for channel, classes in document["delays"].items()
        for name, told in classes.items()
    }
    return Snapshot(
        source=source,
        headline=document["headline"],
        target=document["target"],
        clock_factor=document["clock_factor"],
        run=document["run"],
        cells=cells,
        delays=delays,
        no_delays=document["no_delays"],
    )
