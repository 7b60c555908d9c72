"""``report.html``: the run in one file that opens offline. Nothing in it is fetched, and a policy in it forbids that.

Texts of logs are inert three times over: invisible characters are written out (``safe.visible``, for every expression
of the template), Jinja2 escapes what is left, and the page's Content-Security-Policy runs no script but the two whose
hashes it names. What the script shows of a cell reaches it compressed and as data, and is set as text, never as markup.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.analyse.cases import DiffResult
from harness.analyse.claims import check_claims
from harness.analyse.delays import clock_offset
from harness.analyse.verify import Check, Seen, check_table
from harness.catalogue import documented
from harness.model import Level, Verdict
from harness.report import Result, unwritten, without_channels
from harness.report.delay import DELAY_NAMES, LOSS_NAMES, NOTES, clock_text, delay_rows
from harness.report.html_delay import curves, table, timeline
from harness.report.html_details import claim, details, inert
from harness.report.html_matrix import CODE, SIGN, groups
from harness.report.html_summary import channel_lines, channels_of, facts, figures, sentence
from harness.report.safe import visible
from harness.report.verification import ORDER

FILE_NAME = "report.html"
NEWEST = "aws-2026"
"""The documented table of the first screen; the dialog of a cell has all of them."""
CLAIMS = "claims about the two logs"
MAX_REJECTS = 50
"""Rejected log lines shown; matrix.json has all."""


def write(result: Result, drift: DiffResult | None = None) -> list[Path]:
    """Write the file into the run's folder.

    Args:
        result: The run.
        drift: What differs from a baseline, where one was given.

    Raises:
        JournalError: The file cannot be written.
    """
    path = result.folder / FILE_NAME
    try:
        path.write_text(page(result, drift), "utf-8")
    except OSError as error:
        raise unwritten(str(path), error) from error
    return [path]


def page(result: Result, drift: DiffResult | None = None) -> str:
    """Return the report as one HTML document."""
    seen = Seen.of(result.cells, result.calls, result.paired)
    checks = _checks(seen)
    shown = sorted(
        (check for title in (documented.TABLES[NEWEST], CLAIMS) for check in checks[title]),
        key=lambda check: ORDER.index(check.verdict),
    )
    delays, channels = delay_rows(result), channels_of(result)
    data = {
        "cells": details(result.cells, seen, checks, drift.findings if drift else ()),
        **inert({"channels": channels, "curves": curves(delays), "timeline": timeline(result)}),
    }
    script, (charts, charts_hash) = _text("report.js"), _charts()
    numbers = {(cell.operation, cell.variant, cell.channel): n for n, cell in enumerate(result.cells)}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            policy=_policy(_hash(script), charts_hash),
            style=Markup(_text("report.css")),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - a file of this package
            charts=charts,
            data=_packed(json.dumps(data, separators=(",", ":")).encode()),
            headline=result.headline,
            facts=facts(result),
            sentence=_verdict(result),
            figures=figures(result, delays, shown),
            verdicts=[(CODE[v], SIGN[v], v.value) for v in Verdict],
            levels=[level.value for level in Level],
            variants=list(dict.fromkeys(cell.variant for cell in result.cells)),
            channels=channels,
            channel_lines=channel_lines(result),
            groups=groups(result),
            delay_names=("channel", "region", "class", "calls", *DELAY_NAMES, *LOSS_NAMES, "without a number"),
            delay_rows=table(delays),
            delay_notes=NOTES,
            clock=clock_text(clock_offset(result.calls)),
            checks=[(check.verdict.value, claim(check, check.claim.id), numbers.get(_place(check))) for check in shown],
            check_verdicts=[v.value for v in ORDER],
            against=documented.TABLES[NEWEST],
            drift=drift,
            unmatched=result.unmatched,
            rejects=result.rejects[:MAX_REJECTS],
            all_rejects=len(result.rejects),
        )
    )


def _verdict(result: Result) -> str:
    """Return what came of the run in a sentence, also where it had no channels."""
    why = without_channels(result.facts)
    return f"Nothing was measured: {why}. executions.csv says how the calls ended." if why else sentence(result.cells)


def _checks(seen: Seen) -> dict[str, list[Check]]:
    """Hold every documented table and the claims against the run."""
    found = {
        title: check_table(documented.table(name), seen, name, whole=name.startswith("aws"))
        for name, title in documented.TABLES.items()
    }
    return {**found, CLAIMS: check_claims(documented.claims(), seen)}


def _place(check: Check) -> tuple[str, str, str]:
    """Return which cell a statement is about."""
    return check.claim.operation, check.claim.variant, check.claim.channel


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_inert_expression,
    )


def _inert_expression(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _text(name: str) -> str:
    return resources.files("harness.report").joinpath("templates", name).read_text("utf-8")


@cache
def _charts() -> tuple[str, str]:
    """Return plotly.js as its Python package ships it, packed, and its hash: it is run when the page has been shown."""
    source = resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text("utf-8")
    return _packed(source.encode()), _hash(source)


def _packed(data: bytes) -> str:
    """Compress; the browser's own DecompressionStream undoes it. Nothing of the text is left that HTML could take."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _policy(*hashes: str) -> str:
    scripts = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
