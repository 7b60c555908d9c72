"""The command ``teardown --sweep``: shows what runs have left in an account, asks, and deletes it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.environment.site import TAG_KEY, Site, caller, expect_owner
from harness.environment.sweep import RunLeft, delete, find_leftovers, to_delete
from harness.errors import ExitCode, UsageError
from harness.journal import FILE_NAME, Journal
from harness.report.matrix_md import span
from harness.report.outcome import of_sweep
from harness.report.safe import visible
from harness.targets import Target

Confirm = Callable[[str], bool]


def sweep(
    target: Target,
    screen: Console,
    *,
    account: str | None = None,
    run_id: str | None = None,
    older_than: timedelta | None = None,
    confirm: Confirm | None = None,
    tell: Callable[[Mapping[str, Any]], object] | None = None,
) -> ExitCode:
    """Find what runs have left, show it, and delete what the user wants deleted.

    Args:
        target: Entered.
        screen: Where to show it.
        account: The only account in which anything may be done; a real target demands it.
        run_id: Only what this run has left.
        older_than: Only runs of which everything is older.
        confirm: Asks the user; None where nobody can be asked.
        tell: Takes what was found and what is left as a document.

    Returns:
        1 when something could not be deleted or looked for.

    Raises:
        UsageError: No account was named, or nobody can be asked.
        PreflightError: It is another account.
        CredentialsError: They have expired.
    """
    if target.real and not account:
        raise UsageError("name the account that may be swept with --account; nothing is done in any other")
    session = target.session()
    account_id, _ = caller(session, target.name, account)
    expect_owner(session, account_id)
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / FILE_NAME, create=True) as journal:
        site = Site(
            session=session,
            journal=journal,
            clock=target.clock,
            run_id="",
            account_id=account_id,
            region=target.region,
        )
        runs, unasked = find_leftovers(site)
        now = site.clock.now()
        chosen = [run for run in runs if run_id in (None, run.run_id)]
        if older_than is not None:
            chosen = [run for run in chosen if run.is_older_than(older_than, now)]
        for line in _listed(site, chosen, len(runs) - len(chosen), now):
            screen.print(Text(visible(line)), soft_wrap=True)
        for each in unasked:
            screen.print(Text(f"  ! cannot be asked for {visible(each)}", style="yellow"))
        wanted = list(to_delete(chosen))
        trouble = ExitCode.DRIFT if unasked else ExitCode.OK

        def ended(code: ExitCode, left: Sequence[str] = ()) -> ExitCode:
            if tell:
                tell(of_sweep(target, account_id, chosen, left, code))
            return code

        if not wanted:
            return ended(trouble)
        if confirm is None:
            raise UsageError("nothing was deleted: give --yes where nobody can be asked")
        if not confirm(f"Delete these {len(wanted)} resources? A run that still goes on would be broken off."):
            screen.print(Text("Nothing was deleted."))
            return ended(trouble, [f"{each.kind} {each.name}" for each in wanted])
        left = delete(site, chosen)
    for each in left:
        screen.print(Text(f"  ! not deleted: {visible(each)}", style="yellow"))
    screen.print(Text(f"{len(wanted) - len(left)} of {len(wanted)} resources were deleted."))
    return ended(ExitCode.DRIFT if left else trouble, left)


def _listed(site: Site, runs: Sequence[RunLeft], others: int, now: datetime) -> list[str]:
    """Say what was found, run by run."""
    where = f"account {site.account_id}, {site.region}"
    lines = [f"Left by runs in {where} (roles: in the whole account; other Regions were not asked):"]
    for run in runs:
        counts = Counter(left.kind for left in run.leftovers)
        made = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items())
        age = f"last made {span((now - run.youngest_at).total_seconds())} ago" if run.youngest_at else "age unknown"
        lines.append(f"run {run.run_id}, {age}: {made}")
        for left in run.leftovers:
            tag = f"tag {TAG_KEY}={left.tag}" if left.tag else "no tag" if left.tag == "" else "known by its name"
            lines.append(f"  {left.kind} {left.name}  ({tag})" + (f": left alone, {left.kept}" if left.kept else ""))
    if runs:
        lines.append("One of them may still be going on in another process: --older-than 2d leaves young ones alone.")
    else:
        lines = [f"Nothing to delete was found in {where}; other Regions were not asked."]
    if others:
        lines.append(f"Left out by --run-id or --older-than: {others} run{'s' if others > 1 else ''}.")
    return lines
