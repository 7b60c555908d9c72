"""How a run ends on the terminal: its exit code, and what is said of a baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from drift_kit import Faults, traffic, write_run
from rich.console import Console

from harness.attend import attend
from harness.diff import Reference, reference
from harness.errors import ExitCode, UsageError
from harness.events import Event, RunDetached, RunFinished, RunInterrupted, ScenarioFinished
from harness.journal import FILE_NAME, Journal
from harness.model import CellKey
from harness.run import FINISHED

SAME, RENAMED = Faults(), Faults(category={"HeadBucket": "management"})
NOT_AS_MEANT = ScenarioFinished(
    cell=CellKey(operation="PutObject"), repeat=1, failure="answered with 500", calls_made=1
)


class Ended:
    """A run that tells these events and then is in a stage; Ctrl+C where ``None`` is among them."""

    result = None

    def __init__(self, folder: Path, stage: str, *events: Event | None) -> None:
        self.folder, self._events = folder, events
        self.journal = Journal(folder / FILE_NAME)
        self.journal.note("stage", stage)

    def events(self) -> Iterator[Event]:
        for event in self._events:
            if event is None:
                raise KeyboardInterrupt
            yield event

    def interrupted(self) -> Iterator[Event]:
        yield RunInterrupted(stage="collect", folder=self.folder)

    def close(self) -> None:
        self.journal.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("runs")
    made = {"before": SAME, "same": SAME, "drifted": RENAMED}
    return {name: write_run(base / name, traffic(n, faults), n) for n, (name, faults) in enumerate(made.items(), 1)}


@pytest.fixture
def end(folders: dict[str, Path]) -> Callable[..., tuple[ExitCode, str]]:
    """Attend a run that ends somehow; return the exit code and what was shown."""

    def ended(name: str, stage: str, *events: Event | None, baseline: bool = True) -> tuple[ExitCode, str]:
        against = reference(folders["before"]) if baseline else None
        text = StringIO()
        run: Any = Ended(folders[name], stage, *events)
        return attend(run, Console(file=text, width=200), against=against), text.getvalue()

    return ended


End = Callable[..., tuple[ExitCode, str]]


def finished(pending: int = 0) -> RunFinished:
    return RunFinished(verdicts={}, pending=pending)


@pytest.mark.parametrize(
    ("name", "events", "code"),
    [
        ("same", [finished()], ExitCode.OK),
        ("same", [finished(pending=3)], ExitCode.PENDING),
        ("same", [NOT_AS_MEANT, finished()], ExitCode.DRIFT),
        ("drifted", [finished()], ExitCode.DRIFT),
        ("drifted", [finished(pending=3)], ExitCode.DRIFT),
    ],
)
def test_a_run_is_held_against_its_baseline_however_it_ends(
    name: str, events: list[Event], code: ExitCode, end: End
) -> None:
    got, text = end(name, FINISHED, *events)
    assert got is code
    assert "cells compared" in text
    assert ("HeadBucket" in text) is (name == "drifted")


@pytest.mark.parametrize(
    ("stage", "event", "code", "when"),
    [
        (FINISHED, None, ExitCode.INTERRUPTED, "` does that."),
        ("collect", None, ExitCode.INTERRUPTED, "after `s3logjam resume`"),
        ("detached", RunDetached(folder=Path(), done_by=None), ExitCode.OK, "after `s3logjam resume`"),
    ],
)
def test_a_run_that_is_not_held_against_its_baseline_says_what_does_that(
    stage: str, event: Event | None, code: ExitCode, when: str, end: End, folders: dict[str, Path]
) -> None:
    got, text = end("drifted", stage, event)
    assert got is code
    assert f"s3logjam diff {folders['before']} {folders['drifted']}" in text
    assert when in text
    assert "cells compared" not in text


def test_a_run_of_which_nobody_reads_any_more_ends_in_good_order(folders: dict[str, Path]) -> None:
    class Unread(Ended):
        ended = False

        def events(self) -> Iterator[Event]:
            raise SystemExit(1)
            yield

        def interrupted(self) -> Iterator[Event]:
            self.ended = True
            return super().interrupted()

    run: Any = Unread(folders["same"], "collect")
    with pytest.raises(SystemExit):
        attend(run, Console(file=StringIO()))
    assert run.ended


def test_without_a_baseline_nothing_is_said_of_one(end: End) -> None:
    assert end("same", FINISHED, None, baseline=False)[1].count("diff") == 0


def test_latest_is_the_run_that_it_was_when_the_baseline_was_read(folders: dict[str, Path], tmp_path: Path) -> None:
    latest = tmp_path / "latest"
    latest.symlink_to(folders["before"])
    against = reference(latest)
    latest.unlink()
    latest.symlink_to(folders["same"])
    assert isinstance(against, Reference)
    assert str(folders["before"]) in against.command(latest)
    assert against.before.source == str(folders["before"])


def test_known_deviations_are_from_a_baseline() -> None:
    assert reference(None) is None
    with pytest.raises(UsageError, match="--known goes with --baseline"):
        reference(None, Path("known.toml"))
