"""A run without channels says how its calls ended; what needs records says that there are none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import harness
from harness.corpus import export
from harness.diff import diff
from harness.errors import UsageError
from harness.journal import FILE_NAME, Journal
from harness.report.snapshots import load
from harness.run import analyse
from harness.status import as_text, status_of
from harness.verify import verify

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SELECTION = ("--channels", "none", "--operations", "PutObject,CreateBucket", "--variants", "ok,denied")


@pytest.fixture(scope="module")
def finished(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("none")
    done = command("run", *SELECTION, "--results", str(results), "--detach")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Waiting for records" not in done.stdout
    assert "4 of 4 executions ended as their scenarios say" in done.stdout
    return (results / "latest").resolve()


def test_it_is_finished_at_once_detached_or_not(command: Command, finished: Path) -> None:
    text = as_text(status_of(finished))
    assert "Stage: finished" in text
    assert "Records: none will come, the run was made without any channel" in text
    assert "nothing, all was deleted" in text
    assert "Waits until" not in text
    resumed = command("resume", str(finished))
    assert resumed.returncode == 4
    assert "is finished" in resumed.stderr


def test_it_is_reported_again_and_read_from_python(finished: Path) -> None:
    (finished / "executions.csv").unlink()
    with Journal(finished / FILE_NAME) as journal:
        analyse(journal, finished)
    run = harness.load_run(finished)
    assert run.matrix.empty
    assert sorted(map(tuple, run.executions[["operation", "variant", "ending", "statuses"]].to_numpy())) == [
        ("CreateBucket", "denied", "as meant", "403 AccessDenied"),
        ("CreateBucket", "ok", "as meant", "200"),
        ("PutObject", "denied", "as meant", "403 AccessDenied"),
        ("PutObject", "ok", "as meant", "200"),
    ]


@pytest.mark.parametrize(
    "need",
    [verify, lambda run: diff(run, run), load, lambda run: export(run, run / "corpus.jsonl")],
    ids=["verify", "diff", "baseline", "corpus"],
)
def test_what_needs_records_says_that_there_are_none(need: Callable[[Path], object], finished: Path) -> None:
    before = set(finished.iterdir())
    with pytest.raises(UsageError, match="has no coverage matrix"):
        need(finished)
    assert set(finished.iterdir()) == before


def test_a_baseline_is_refused_before_anything_is_done(command: Command, tmp_path: Path) -> None:
    baseline = "results/baselines/embedded.json"
    done = command("run", *SELECTION, "--results", str(tmp_path), "--baseline", baseline)
    assert done.returncode == 4
    assert "leave --baseline out" in done.stderr
    assert list(tmp_path.iterdir()) == []
