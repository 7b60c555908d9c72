"""Reads a finished run for Python users: ``harness.load_run("results/latest").matrix`` is a pandas DataFrame."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import UsageError
from harness.folders import run_folder
from harness.journal import FILE_NAME, Journal
from harness.report import headline


@dataclass(frozen=True)
class RunFiles:
    """The files of one run."""

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Target, clock factor, versions, times: what the journal notes of the run."""
        with Journal(self.folder / FILE_NAME) as journal:
            return journal.facts()

    @property
    def headline(self) -> str:
        """Target and what it proves: say it wherever numbers of the run are shown."""
        return headline(self.facts)

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise UsageError(f"there is no {name} in {self.folder}: make it with `s3logjam report {self.folder}`")
        return path

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """The coverage matrix: one row per operation, variant and channel (columns: results/README.md)."""
        return pd.read_csv(self._file("matrix.csv"), keep_default_na=False, na_values=_NA)

    @cached_property
    def executions(self) -> pd.DataFrame:
        """How every execution ended: one row per operation, variant and repetition (columns: results/README.md)."""
        return pd.read_csv(self._file("executions.csv"), keep_default_na=False, na_values={"repeat": [""]})

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """The cells of ``matrix.json``, with names and field values."""
        found: list[dict[str, Any]] = json.loads(self._file("matrix.json").read_text("utf-8"))["cells"]
        return found

    @cached_property
    def calls(self) -> pd.DataFrame:
        """Every call."""
        return pd.read_parquet(self._file("calls.parquet"))

    @cached_property
    def records(self) -> pd.DataFrame:
        """Every record, with the call that it was joined to."""
        return pd.read_parquet(self._file("records.parquet"))


_NA = {
    name: [""]
    for name in (
        "payload_sent",
        "payload_recovered",
        "expected_records",
        "delay_n",
        "delay_min_seconds",
        "delay_p50_seconds",
        "delay_p90_seconds",
        "delay_max_seconds",
    )
}


def load_run(path: str | Path = "results/latest") -> RunFiles:
    """Load a run.

    Raises:
        UsageError: There is no run at the path, or several.
    """
    return RunFiles(run_folder(path))
