"""``s3logjam list --output markdown``: every row that a run can fill, for the docs."""

from __future__ import annotations

from collections.abc import Mapping

from harness import catalogue, scenario
from harness.model import CellKey
from harness.report.safe import markdown_cell


def rows_table(rows: Mapping[CellKey, tuple[int, str]]) -> str:
    """Return the rows of a plan as Markdown: variants with their meaning, then one line per operation.

    Args:
        rows: Repeats (0: not run) and reason by row.
    """
    used = {key.variant for key in rows}
    lines = ["| variant | the call is made | meant to end with | rows |", "|---|---|---|---|"]
    for name, how in scenario.all_variants().items():
        if name in used:
            count = sum(1 for key in rows if key.variant == name)
            statuses = ", ".join(map(str, how.fails)) or "success"
            lines.append(f"| `{name}` | {markdown_cell(how.meaning)} | {statuses} | {count} |")
    own = sorted(used - scenario.all_variants().keys())
    for name in own:
        count = sum(1 for key in rows if key.variant == name)
        lines.append(f"| `{name}` | in a way of its own: see the scenario | see the scenario | {count} |")
    lines += ["", "| operation | form | variants | not run on the embedded target |", "|---|---|---|---|"]
    by_operation: dict[str, list[CellKey]] = {}
    for key in rows:
        by_operation.setdefault(key.operation, []).append(key)
    for operation, keys in by_operation.items():
        known = catalogue.find(operation)
        form = f"{known.method} `{known.uri}`" if known else ""
        runs = " ".join(f"`{key.variant}`" for key in keys if rows[key][0])
        reasons: dict[str, list[str]] = {}
        for key in keys:
            if not rows[key][0]:
                reasons.setdefault(rows[key][1], []).append(f"`{key.variant}`")
        why = "; ".join(f"{' '.join(names)}: {markdown_cell(reason)}" for reason, names in reasons.items())
        lines.append(f"| {operation} | {form} | {runs} | {why} |")
    executed = sum(1 for repeats, _ in rows.values() if repeats)
    total = f"{len(rows)} rows per channel, {executed} of them executed on the embedded target by default."
    return "\n".join([total, "", *lines])
