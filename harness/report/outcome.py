"""What ``--output json`` prints: one document per command, on standard output, while progress goes to standard error.

Documents are ASCII, so that no name in them makes a terminal do anything, and name their target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import catalogue
from harness.analyse.cases import DiffResult
from harness.corpus import Exported
from harness.environment.sweep import RunLeft
from harness.errors import ExitCode
from harness.journal import FILE_NAME, Journal
from harness.model import Cell, CellKey
from harness.report import Result, headline, provenance
from harness.report.drift import as_json as drift_as_json
from harness.report.matrix_json import run_facts
from harness.report.summary import by_channel, executed_rows
from harness.targets import Target

SCHEMA_VERSION = 1
_DELETED = "deleted"


def as_text(document: Mapping[str, Any]) -> str:
    """Return a document as it is printed."""
    return json.dumps(document, indent=1, ensure_ascii=True)


def of_run(
    result: Result,
    exit_code: ExitCode = ExitCode.OK,
    *,
    rows: bool = True,
    not_as_meant: int = 0,
    drift: DiffResult | None = None,
) -> dict[str, Any]:
    """Return what a run came to: ``run``, ``resume``, ``heartbeat``, ``report``.

    Args:
        result: Of the run.
        exit_code: With which the command ends.
        rows: Whether to give the cells too; matrix.json has them with all their fields.
        not_as_meant: Executions that did not end as their scenarios say.
        drift: From a baseline, if one was given.
    """
    executed, planned = executed_rows(result)
    document = {
        **_first(result.facts, exit_code),
        "folder": str(result.folder),
        "run": run_facts(result.facts),
        "rows": {"planned": planned, "executed": executed, "not_as_meant": not_as_meant},
        "channels": {
            each.channel: {
                "verdicts": {verdict.value: n for verdict, n in each.verdicts.items()},
                "records": each.records,
                "median_of_rows_seconds": each.median_seconds,
                "max_seconds": each.max_seconds,
                "deliveries": each.deliveries,
                "rejects": each.rejects,
            }
            for each in by_channel(result)
        },
        "files": sorted(path.name for path in result.folder.glob("*") if path.is_file()),
        "drift": json.loads(drift_as_json(drift)) if drift else None,
    }
    return document | ({"cells": [_cell(cell) for cell in result.cells]} if rows else {})


def of_teardown(folder: Path, exit_code: ExitCode) -> dict[str, Any]:
    """Return what a teardown has left, from the journal."""
    with Journal(folder / FILE_NAME) as journal:
        facts = journal.facts()
        resources = [(kind, name, state) for kind, name, state, _ in journal.resources()]
    return {
        **_first(facts, exit_code),
        "folder": str(folder),
        "deleted": sum(1 for *_, state in resources if state == _DELETED),
        "left": [{"kind": kind, "name": name} for kind, name, state in resources if state != _DELETED],
    }


def of_list(rows: Mapping[CellKey, tuple[int, str]], target: str, note: str) -> dict[str, Any]:
    """Return the rows of a plan.

    Args:
        rows: Repeats (0: not run) and reason by row.
        target: That they are planned for.
        note: What that proves.
    """
    known = catalogue.rows()
    return {
        "schema_version": SCHEMA_VERSION,
        "exit_code": int(ExitCode.OK),
        **provenance({"target": target, "note": note}),
        "botocore": catalogue.botocore_version(),
        "rows": [
            {
                "operation": cell.operation,
                "variant": cell.variant,
                "level": known[cell.operation].level.value,
                "method": known[cell.operation].method,
                "uri": known[cell.operation].uri,
                "twins": list(known[cell.operation].twins),
                "runs": bool(repeats),
                "reason": reason,
            }
            for cell, (repeats, reason) in rows.items()
        ],
    }


def of_baseline(path: Path) -> dict[str, Any]:
    """Return what a baseline that was written says of itself."""
    written = json.loads(path.read_text("utf-8"))
    told = {name: written[name] for name in ("headline", "target", "target_note", "clock_factor")}
    about = {"schema_version": SCHEMA_VERSION, "exit_code": int(ExitCode.OK), "file": str(path)}
    return told | about | {"cells": len(written["cells"])}


def of_page(run: Path, page: Path) -> dict[str, Any]:
    """Return where the HTML report of a run is."""
    with Journal(run / FILE_NAME) as journal:
        return _first(journal.facts(), ExitCode.OK) | {"file": str(page)}


def of_sweep(
    target: Target, account_id: str, found: Sequence[RunLeft], kept: Sequence[str], exit_code: ExitCode
) -> dict[str, Any]:
    """Return what a sweep found, and what of it is still there.

    Args:
        target: That was swept.
        account_id: In which account.
        found: What runs have left.
        kept: What of it was not deleted, in words.
        exit_code: With which the command ends.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "exit_code": int(exit_code),
        **provenance({"target": target.name, "note": target.note}),
        "account_id": account_id,
        "region": target.region,
        "found": [
            {"run": run.run_id, "kind": left.kind, "name": left.name, "left_alone": left.kept}
            for run in found
            for left in run.leftovers
        ],
        "left": list(kept),
    }


def of_corpus(run: Path, out: Path, done: Exported) -> dict[str, Any]:
    """Return how many pairs were exported to a file."""
    with Journal(run / FILE_NAME) as journal:
        facts = journal.facts()
    return _first(facts, ExitCode.OK) | {"file": str(out), "written": done.written, "withheld": done.withheld}


def _first(facts: Mapping[str, Any], exit_code: ExitCode) -> dict[str, Any]:
    return {
        "headline": headline(facts),
        "schema_version": SCHEMA_VERSION,
        **provenance(facts),
        "exit_code": int(exit_code),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "operation": cell.operation,
        "variant": cell.variant,
        "channel": cell.channel,
        "verdict": cell.verdict.value,
        "names": list(cell.names),
        "delay_p50_seconds": cell.delay.median_seconds if cell.delay else None,
        "reason": cell.reason,
    }
