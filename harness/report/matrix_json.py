"""``matrix.json``: the whole matrix with names, field values and evidence; ``matrix.schema.json`` describes it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import catalogue
from harness.model import Cell, Verdict
from harness.report import Result, provenance

SCHEMA_VERSION = 1
_FACTS = (
    "run_id",
    "region",
    "account_id",
    "seed",
    "repeats",
    "channels",
    "skipped_channels",
    "started_at",
    "executed_at",
    "s3logjam",
    "botocore",
    "python",
    "interrupted",
)


def run_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells one run from another."""
    return {name: facts[name] for name in _FACTS if facts.get(name) is not None}


def document(result: Result) -> dict[str, Any]:
    """Return the matrix as a JSON document."""
    facts = result.facts
    return {
        "headline": result.headline,
        "schema_version": SCHEMA_VERSION,
        **provenance(facts),
        "run": run_facts(facts),
        "summary": {
            "verdicts": {v.value: sum(1 for c in result.cells if c.verdict is v) for v in Verdict},
            "calls": dict(Counter(call.role.value for call in result.calls)),
            "deliveries": result.deliveries,
            "records_of_nobody": result.unmatched,
            "polling": facts.get("polling_cost", {}),
        },
        "cells": [_cell(cell) for cell in result.cells],
        "rejects": [
            {"channel": r.channel, "file": file, "offset": r.offset, "reason": r.reason} for r, file in result.rejects
        ],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    operation = catalogue.find(cell.operation)
    delay = cell.delay
    return {
        "operation": cell.operation,
        "variant": cell.variant,
        "channel": cell.channel,
        "level": operation.level.value if operation else None,
        "twins": list(operation.twins) if operation else [],
        "verdict": cell.verdict.value,
        "calls": cell.calls,
        "logged": cell.logged,
        "records": cell.records,
        "expected_records": cell.expected,
        "duplicates": cell.duplicates,
        "names": dict(cell.names),
        "statuses": dict(cell.statuses),
        "joined_by": dict(cell.joins),
        "wrong_values": [dict(each) for each in cell.wrong],
        "payload": dict(cell.payload) if cell.payload else None,
        "fields": {name: dict(value) for name, value in cell.fields.items()},
        "delay": None
        if delay is None
        else {
            "n": delay.n,
            "min_seconds": delay.min_seconds,
            "p50_seconds": delay.median_seconds,
            "p90_seconds": delay.p90_seconds,
            "max_seconds": delay.max_seconds,
        },
        "reason": cell.reason,
    }


def write(result: Result) -> list[Path]:
    """Write the file."""
    path = result.folder / "matrix.json"
    path.write_text(json.dumps(document(result), indent=1, ensure_ascii=True) + "\n", "utf-8")
    return [path]
