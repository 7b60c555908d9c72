"""Reads what two runs are compared by: a run's folder, its ``matrix.json`` alone, or a stored ``baseline.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import catalogue
from harness.analyse.snapshot import KEPT_VALUES, CellId, CellShot, DelayClass, Delays, Presence, Snapshot
from harness.errors import UsageError
from harness.folders import several
from harness.journal import FILE_NAME
from harness.model import Level, Verdict
from harness.report import baseline

MATRIX = "matrix.json"
_HINT = "give a run's folder, a matrix.json or a baseline.json"
_FACTS = ("region", "seed", "repeats", "channels", "started_at", "s3logjam", "botocore", "interrupted")
_INDEX = re.compile(r"\[\d+\]")
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
_READS = ("GET", "HEAD", "OPTIONS")


def load(path: Path, *, with_delays: bool = True) -> Snapshot:
    """Read one side of a comparison.

    Args:
        path: A run's folder, a ``matrix.json`` or a ``baseline.json``.
        with_delays: Whether the single delays of a run's folder are wanted, which takes a second or two.

    Raises:
        UsageError: It is none of them, or it holds no matrix because its run had no channels.
    """
    file, document = _read(path)
    try:
        if baseline.VERSION_KEY in document:
            return baseline.read(document, str(path))
        snapshot = from_matrix(document, str(path))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        lacking = f"it has no {error}" if isinstance(error, KeyError) else "something in it is of another kind"
        text = f"{file} is neither a matrix.json nor a baseline.json of this version ({lacking}); {_HINT}"
        raise UsageError(text) from error
    if not snapshot.cells:
        raise UsageError(f"{path} has no coverage matrix ({snapshot.headline}): its run had no channels")
    if (path / FILE_NAME).is_file():
        from harness.report.evidence import with_evidence  # noqa: PLC0415 - it reads this module's snapshots

        return with_evidence(snapshot, path, with_delays=with_delays)
    return snapshot


def headline(path: Path) -> str:
    """Return the line that a run, a matrix or a baseline carries first.

    Raises:
        UsageError: It is none of them.
    """
    return f"{path} · {_read(path)[1].get('headline', '')}"


def _read(path: Path) -> tuple[Path, dict[str, Any]]:
    if together := several(path):
        raise UsageError(together)
    file = path / MATRIX if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read {path}: {error}; {_HINT}") from error
    except ValueError as error:
        raise UsageError(f"{file} is no JSON: {error}; {_HINT}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{file} is neither a matrix.json nor a baseline.json; {_HINT}")
    return file, document


def _delay_class(cell: CellId, shot: CellShot, region: str) -> DelayClass:
    """Return the class of a cell's calls: by its records, or else by the catalogue and the method."""
    operation = catalogue.find(cell.operation)
    is_data = operation is not None and operation.level is Level.OBJECT
    is_read = operation is not None and operation.method in _READS
    category = "".join(shot.values.get("eventCategory", ())).lower() or ("data" if is_data else "management")
    read_only = "".join(shot.values.get("readOnly", ("true" if is_read else "false",)))
    return DelayClass(cell.channel, region, category, "read" if read_only == "true" else "write")


def from_matrix(document: Mapping[str, Any], source: str) -> Snapshot:
    """Reduce a ``matrix.json``. It has the delays of calls that were made once; of repeated ones only summaries."""
    cells: dict[CellId, CellShot] = {}
    delays: dict[DelayClass, list[tuple[float, float]]] = {}
    no_delays = ""
    for each in document["cells"]:
        cell = CellId(each["operation"], each["variant"], each["channel"])
        shot = cells[cell] = _shot(each)
        delay = each["delay"]
        if delay and delay["n"] == 1:
            name = _delay_class(cell, shot, document["run"].get("region", ""))
            delays.setdefault(name, []).append((delay["p50_seconds"], delay["p50_seconds"]))
        elif delay:
            no_delays = f"{MATRIX} alone holds no single delays of repeated calls"
        if shot.verdict in (Verdict.PENDING, Verdict.PARTLY):
            no_delays = no_delays or f"{MATRIX} alone does not say how long missing records were waited for"
    return Snapshot(
        source=source,
        headline=document["headline"],
        target=document["target"],
        target_note=document.get("target_note", ""),
        clock_factor=document["clock_factor"],
        run={name: document["run"][name] for name in _FACTS if name in document["run"]},
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
