"""report --html: the page of a real run, made by the real command, with and without a baseline."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import UsageError
from harness.page import write_page

Command = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parent.parent


def cells(page: Path) -> list[dict[str, Any]]:
    packed = re.search(r'id="data">([A-Za-z0-9+/=]+)</script>', page.read_text("utf-8"))
    assert packed
    found: list[dict[str, Any]] = json.loads(gzip.decompress(base64.b64decode(packed[1])))["cells"]
    return found


def test_every_run_makes_its_page_with_every_cell_and_its_evidence(full_run: Path) -> None:
    page = full_run / "report.html"
    assert page.stat().st_size < 10_000_000
    found = cells(page)
    matrix = harness.load_run(full_run).matrix
    assert [(c["operation"], c["variant"], c["channel"], c["verdict"]) for c in found] == list(
        matrix[["operation", "variant", "channel", "verdict"]].itertuples(index=False, name=None)
    )
    for cell in found:
        assert bool(cell["records"]) == bool(cell["counts"]["records"])
        assert cell["calls"] or cell["verdict"] == "not run"
    assert "proves the harness, never AWS" in page.read_text("utf-8").split("<body>")[1][:300]


def test_no_secret_of_a_call_is_in_the_page(full_run: Path) -> None:
    told = json.dumps(cells(full_run / "report.html"))
    signatures = re.findall(r"X-Amz-(?:Signature|Security-Token)=([^&\"\\ ]*)", told)
    assert signatures
    assert set(signatures) == {"***"}


def test_the_command_writes_the_page_alone_and_says_where(command: Command, full_run: Path) -> None:
    page, matrix = full_run / "report.html", (full_run / "matrix.md").stat().st_mtime_ns
    page.unlink()
    baseline = ROOT / "results" / "baselines" / "embedded.json"
    done = command("report", str(full_run), "--html", "--baseline", str(baseline))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Wrote {page}: open it in a browser.\n"
    assert (full_run / "matrix.md").stat().st_mtime_ns == matrix
    text = page.read_text("utf-8")
    assert "Against the baseline:" in text
    assert "embedded.json" in text


def test_a_baseline_or_a_run_that_is_not_there_is_a_clear_error(
    command: Command, full_run: Path, tmp_path: Path
) -> None:
    before = (full_run / "report.html").read_bytes()
    done = command("report", str(full_run), "--html", "--baseline", str(tmp_path / "none.json"))
    assert (done.returncode, done.stdout) == (4, "")
    assert "cannot read" in done.stderr
    assert (full_run / "report.html").read_bytes() == before
    with pytest.raises(UsageError, match="there is no run at"):
        write_page(tmp_path)
