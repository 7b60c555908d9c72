"""Attends a run on the terminal: shows what happens, ends it in good order on Ctrl+C, and says with which exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from harness.analyse.cases import DiffResult
from harness.errors import ExitCode, InterruptedAgainError, TargetGoneError
from harness.events import Event, RunFinished, ScenarioFinished, Warned
from harness.report.outcome import of_run
from harness.report.terminal import Terminal, show_matrix, show_summary
from harness.run import FINISHED, Run, facts_of, forget
from harness.targets.choice import reopened

if TYPE_CHECKING:
    from harness.diff import Reference


def attend(
    run: Run,
    screen: Console,
    *,
    rows: bool = True,
    against: Reference | None = None,
    tell: Callable[[Mapping[str, Any]], object] | None = None,
) -> ExitCode:
    """Do what is left to do of a run, show its result, and compare it with a baseline if there is one.

    Args:
        run: Begun or taken up.
        screen: Where to show it.
        rows: Whether to print the whole matrix, not only the summary.
        against: A baseline, or another run.
        tell: Takes the result as a document, which is then not shown on the screen.
    """
    found: DiffResult | None = None
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
            except SystemExit:  # rich's, where nobody reads any more what is shown: ends as on Ctrl+C
                _twice(run, run.interrupted, reporter)
                raise
        done = run.journal.fact("stage") == FINISHED
    finally:
        run.close()
    if run.result is not None and tell is None:
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
    if against is not None and done and code is not ExitCode.INTERRUPTED:
        found = _compared(run, screen, against, shown=tell is None)
        # Drift is told above all; without any, what the run itself came to.
        code = found.exit_code if found.findings or code is ExitCode.OK else code
    elif against is not None:
        when = "" if done else ", after `s3logjam resume`"
        text = f"Not compared with {against.path}: `{against.command(run.folder)}` does that{when}."
        screen.print(Text(text, style="yellow"), soft_wrap=True)
    if tell is not None and run.result is not None:
        tell(of_run(run.result, code, rows=rows and done, not_as_meant=failed, drift=found))
    return code


def _compared(run: Run, screen: Console, against: Reference, *, shown: bool) -> DiffResult:
    """Hold a run against a baseline, and put what differs into its page too."""
    from harness.report import html  # noqa: PLC0415 - scipy loads slowly
    from harness.report.drift import show  # noqa: PLC0415

    found = against.held(run.folder)
    if run.result is not None:
        html.write(run.result, found)
    if shown:
        show(screen, found)
    return found


def tear_down(folder: Path, screen: Console, profile: str | None = None) -> ExitCode:
    """Delete what is left of a run; exit code 1 when something could not be deleted.

    Args:
        folder: Of the run.
        screen: Where to show it.
        profile: To use instead of the one that the run was begun with.
    """
    facts = facts_of(folder)
    try:
        target = reopened(facts, profile)
    except TargetGoneError as error:
        forget(folder)
        screen.print(Text(f"{error}. Nothing is left to delete."))
        return ExitCode.OK
    with target:
        return _torn_down(Run.taken_up(folder, target), screen)


def _torn_down(run: Run, screen: Console) -> ExitCode:
    left = 0
    before = _in_place(run)
    try:
        with Terminal(screen) as reporter:
            try:
                for event in run.torn_down():
                    reporter(event)
                    left += isinstance(event, Warned)
            except KeyboardInterrupt:
                raise InterruptedAgainError(run.folder) from None
        after = _in_place(run)
    finally:
        run.close()
    what = f"{before - after} resources were deleted" if before else "Everything was deleted before"
    screen.print(Text(f"{what}; {after} of the run are left." if left else f"{what}; nothing of the run is left."))
    return ExitCode.DRIFT if left else ExitCode.OK


def _in_place(run: Run) -> int:
    return sum(1 for *_, state, _ in run.journal.resources() if state != "deleted")


def _twice(run: Run, events: Callable[[], Iterator[Event]], reporter: Terminal) -> None:
    try:
        for event in events():
            reporter(event)
    except KeyboardInterrupt:
        raise InterruptedAgainError(run.folder) from None
