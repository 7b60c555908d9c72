"""Attends a run on the terminal: shows what happens, ends it in good order on Ctrl+C, and says with which exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.errors import ExitCode, InterruptedAgainError
from harness.events import Event, RunFinished, ScenarioFinished, Warned
from harness.report.terminal import Terminal, show_matrix, show_summary
from harness.run import Run


def attend(
    run: Run, screen: Console, *, rows: bool = True, against: Path | None = None, known: Path | None = None
) -> ExitCode:
    """Do what is left to do of a run, show its result, and compare it with a baseline if there is one.

    Args:
        run: Begun or taken up.
        screen: Where to show it.
        rows: Whether to print the whole matrix, not only the summary.
        against: A baseline, or another run.
        known: Known deviations from it.
    """
    pending = failed = 0
    code = ExitCode.OK
    try:
        with Terminal(screen) as reporter:
            try:
                for event in run.events():
                    reporter(event)
                    failed += isinstance(event, ScenarioFinished) and event.failure is not None
                    if isinstance(event, RunFinished):
                        pending = event.pending
            except KeyboardInterrupt:
                code = ExitCode.INTERRUPTED
                _twice(run, run.interrupted, reporter)
        done = run.journal.fact("stage") == "finished"
    finally:
        run.close()
    if run.result is not None:
        (show_matrix if rows and done else show_summary)(screen, run.result)
    if code is ExitCode.OK and pending:
        screen.print(Text("The deadline passed with records still pending: try a longer --deadline.", style="yellow"))
        code = ExitCode.PENDING
    if code is ExitCode.OK and failed:
        text = (
            f"{failed} executions did not end as their scenarios say: the target answers otherwise, or they are wrong."
        )
        screen.print(Text(text, style="yellow"))
        code = ExitCode.DRIFT
    if code is ExitCode.OK and done and against is not None:
        from harness.diff import diff as hold  # noqa: PLC0415 - scipy loads slowly
        from harness.report.drift import show  # noqa: PLC0415

        found = hold(against, run.folder, known)
        show(screen, found)
        code = found.exit_code
    return code


def tear_down(run: Run, screen: Console) -> ExitCode:
    """Delete what is left of a run; exit code 1 when something could not be deleted."""
    left = 0
    try:
        with Terminal(screen) as reporter:
            try:
                for event in run.torn_down():
                    reporter(event)
                    left += isinstance(event, Warned)
            except KeyboardInterrupt:
                raise InterruptedAgainError(run.folder) from None
    finally:
        run.close()
    return ExitCode.DRIFT if left else ExitCode.OK


def _twice(run: Run, events: Callable[[], Iterator[Event]], reporter: Terminal) -> None:
    try:
        for event in events():
            reporter(event)
    except KeyboardInterrupt:
        raise InterruptedAgainError(run.folder) from None
