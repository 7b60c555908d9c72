"""``matrix.csv`` and ``regions.md`` of a run in several Regions: all rows, and those that differ."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.report.safe import markdown_cell

_ROW = ["operation", "variant", "channel"]
_COMPARED = ["verdict", "names"]


def write(folder: Path, matrix: pd.DataFrame, headline: str) -> list[Path]:
    """Write both files.

    Args:
        folder: Of all Regions.
        matrix: The rows of all runs, with a column ``region``.
        headline: Target and what it proves.
    """
    table, text = folder / "matrix.csv", folder / "regions.md"
    # The values were made inert for spreadsheets when each run's own file was written.
    matrix.to_csv(table, index=False)
    regions = list(dict.fromkeys(matrix["region"]))
    differing = different(matrix)
    lines = [f"> {markdown_cell(headline)}", "", f"# {len(regions)} Regions", ""]
    lines += ["| Region | " + " | ".join(sorted(set(matrix["verdict"]))) + " | median of the rows' median delays |"]
    lines += ["|---|" + "---:|" * (matrix["verdict"].nunique() + 1)]
    for region, rows in matrix.groupby("region", sort=False):
        counts = [str((rows["verdict"] == verdict).sum()) for verdict in sorted(set(matrix["verdict"]))]
        delay = rows["delay_p50_seconds"].median()
        told = "-" if pd.isna(delay) else f"{delay:.0f} s"
        lines.append(f"| {markdown_cell(str(region))} | {' | '.join(counts)} | {told} |")
    lines += ["", f"{len(differing)} rows differ between Regions in verdict or names.", ""]
    if len(differing):
        lines += [f"| operation | variant | channel | {' | '.join(map(markdown_cell, regions))} |"]
        lines += ["|---|---|---|" + "---|" * len(regions)]
        for row in differing.itertuples(index=False):
            lines.append("| " + " | ".join(markdown_cell(str(value)) for value in row) + " |")
    text.write_text("\n".join(lines) + "\n", "utf-8")
    return [table, text]


def different(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose verdict or names are not the same in all Regions: one column per Region."""
    told = matrix.assign(told=matrix[_COMPARED].apply(lambda row: " ".join(filter(None, map(str, row))), axis=1))
    wide = told.pivot_table(index=_ROW, columns="region", values="told", aggfunc="first", sort=False)
    wide = wide[list(dict.fromkeys(matrix["region"]))].fillna("not there")
    return wide[wide.nunique(axis=1) > 1].reset_index()
