"""``baseline.json``: a run reduced to what the next one is held against; small enough to review and to keep in git.

It holds names, verdicts, statuses, event categories, fields with their classes, and every single delay with its
censoring. It holds no value that differs between runs, and no account id.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.analyse.snapshot import CellId, CellShot, DelayClass, Delays, Presence, Snapshot
from harness.errors import JournalError, UsageError
from harness.model import Verdict

VERSION_KEY = "baseline_version"
"""The member that tells a baseline from a matrix."""
BASELINE_VERSION = 1
_DELAY_CLASS = DelayClass._fields[1:]


def document(run: Snapshot) -> dict[str, Any]:
    """Return a baseline as a JSON document.

    Raises:
        UsageError: The run was interrupted, so that it says too little to be held against.
    """
    if "interrupted" in run.run:
        raise UsageError(f"{run.source} was interrupted in {run.run['interrupted']}: a baseline needs a whole run")
    groups: dict[str, Any] = {}
    values: dict[str, Any] = {}
    cells = []
    for cell, shot in sorted(run.cells.items()):
        told: dict[str, Any] = {"cell": list(cell), "verdict": shot.verdict.value}
        if shot.calls:
            told["counts"] = [shot.calls, shot.logged, shot.records, shot.expected, shot.examined]
            told |= {"names": shot.names, "statuses": shot.statuses}
        if shot.fields:
            told["values"] = _shared(values, dict(sorted(shot.values.items())))
            told["fields"] = [_shared(groups, group) for group in _grouped(shot)]
        if shot.wrong:
            told["wrong"] = sorted(shot.wrong)
        cells.append(told)
    delays: dict[str, list[dict[str, Any]]] = {}
    for name, each in sorted(run.delays.items()):
        delays.setdefault(name.channel, []).append(dict(zip(_DELAY_CLASS, name[1:], strict=True)) | _bounds(each))
    return {
        "headline": run.headline,
        VERSION_KEY: BASELINE_VERSION,
        "target": run.target,
        "target_note": run.target_note,
        "clock_factor": run.clock_factor,
        "run": dict(run.run),
        "no_delays": run.no_delays,
        "delays": delays,
        "value_sets": dict(sorted(values.items())),
        "field_groups": dict(sorted(groups.items())),
        "cells": cells,
    }


def _grouped(shot: CellShot) -> list[dict[str, str]]:
    """Take the fields below one parent together: most cells have most of these groups in common."""
    groups: dict[str, dict[str, str]] = {}
    for name, presence in sorted(shot.fields.items()):
        parent = re.split(r"[.\[]", name)[0]
        groups.setdefault("" if parent == name else parent, {})[name] = _presence(presence, shot.examined)
    return list(groups.values())


def _shared(table: dict[str, Any], content: Mapping[str, Any]) -> str:
    key = sha256(json.dumps(content).encode()).hexdigest()[:8]
    table[key] = content
    return key


def _presence(presence: Presence, examined: int) -> str:
    return presence.kind if presence.present == examined else f"{presence.kind} {presence.present}"


def _bounds(delays: Delays) -> dict[str, list[Any]]:
    """Return delays that were seen, those known as intervals, and how long the missing ones were waited for."""
    rounded = sorted((round(lower, 1), round(upper, 1)) for lower, upper in delays.bounds)
    return {
        "seen": [lower for lower, upper in rounded if lower == upper],
        "between": [[lower, upper] for lower, upper in rounded if lower < upper < math.inf],
        "censored": [lower for lower, upper in rounded if upper == math.inf],
    }


def _delays(told: Mapping[str, Any]) -> Delays:
    between = ((lower, upper) for lower, upper in told["between"])
    censored = ((lower, math.inf) for lower in told["censored"])
    return Delays((*((each, each) for each in told["seen"]), *between, *censored))


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


def read(document: Mapping[str, Any], source: str) -> Snapshot:
    """Return what a baseline says.

    Raises:
        UsageError: It is of another version.
    """
    if document[VERSION_KEY] != BASELINE_VERSION:
        raise UsageError(f"{source} is of baseline version {document[VERSION_KEY]}, not {BASELINE_VERSION}")
    cells = {}
    for each in document["cells"]:
        calls, logged, records, expected, examined = each.get("counts", (0,) * 5)
        fields = {}
        for group in each.get("fields", ()):
            for name, text in document["field_groups"][group].items():
                kind, _, count = text.partition(" ")
                fields[name] = Presence(kind, int(count) if count else examined)
        values = document["value_sets"][each["values"]] if "values" in each else {}
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
            values={name: tuple(found) for name, found in values.items()},
            wrong=dict.fromkeys(each.get("wrong", ()), ""),
        )
    delays = {
        DelayClass(channel, *(told[name] for name in _DELAY_CLASS)): _delays(told)
        for channel, classes in document["delays"].items()
        for told in classes
    }
    return Snapshot(
        source=source,
        headline=document["headline"],
        target=document["target"],
        target_note=document.get("target_note", ""),  # older ones have it in their headline alone
        clock_factor=document["clock_factor"],
        run=document["run"],
        cells=cells,
        delays=delays,
        no_delays=document["no_delays"],
    )
