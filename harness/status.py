"""Where a run stands, from its journal alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.analyse.join import Joiner
from harness.analyse.outstanding import outstanding
from harness.errors import ExitCode, JournalError
from harness.folders import run_folder
from harness.journal import FILE_NAME, Journal
from harness.model import Role
from harness.report import clock_note, headline, moment, provenance, without_channels
from harness.report.safe import visible
from harness.selection import Options, selected_channels


def ended(facts: Mapping[str, Any]) -> str:
    """Return how a run is over, so that it cannot be resumed; an empty text where it is not.

    Args:
        facts: The journal's.
    """
    if facts.get("finished_at"):
        # Before the teardown, there was something left to measure.
        stage = facts.get("interrupted")
        return f"interrupted in {stage}" if stage not in (None, "teardown") else "finished"
    return "torn down" if facts.get("torn_down_at") else ""


def why_not_resumable(facts: Mapping[str, Any]) -> str:
    """Return why a run cannot be resumed; an empty text where it can.

    Args:
        facts: The journal's.
    """
    how = ended(facts)
    return f"was {how} and has ended with its embedded server" if how.startswith("interrupted") else how and f"is {how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a run stands.

    Attributes:
        stage: In which it is, or was broken off; ``detached``, ``finished`` and ``torn down`` too.
        resumable: Whether it can be gone on with.
        waited: Whether all was waited for that was to come.
        clock_factor: Of the run's clock, on which its times are.
        planned, executed: Scenario executions.
        failed: Executions that did not end as their scenarios say.
        calls: Requests by role.
        arrived, expected: Records per channel.
        waiting_for: What is missing, in words.
        without_channels: Why there is nothing to wait for; empty where there are channels.
        done_by: When that may have come.
        deadline: When the run stops waiting.
        resources: What the run has created and not deleted, by kind and name.
    """

    folder: Path
    headline: str
    provenance: Mapping[str, Any]
    stage: str
    resumable: bool
    waited: bool
    clock_factor: float
    planned: int
    executed: int
    failed: int
    calls: Mapping[str, int]
    arrived: Mapping[str, int]
    expected: Mapping[str, int]
    waiting_for: str
    without_channels: str
    done_by: datetime | None
    deadline: datetime | None
    resources: tuple[tuple[str, str], ...]


def status_of(path: Path) -> Status:
    """Read where a run stands.

    Raises:
        UsageError: There is no run at the path.
        JournalError: Its journal cannot be read, or holds nothing.
    """
    folder = run_folder(path)
    with Journal(folder / FILE_NAME) as journal:
        facts = journal.facts()
        if "target" not in facts:
            raise JournalError(f"{journal.path} holds no run: it was ended before anything was planned")
        calls = journal.calls()
        joiner = Joiner.filled(calls, journal.records())
        polled = {k: datetime.fromisoformat(v) for k, v in facts.get("polled_at", {}).items()}
        channels = selected_channels(facts.get("channels") or ["none"])
        still = outstanding(channels, calls, joiner, polled, journal.watched_buckets())
        outcomes = [why for state, why in journal.executions().values() if state != "started"]
        how, stage = ended(facts), facts.get("stage", "plan")
        if facts.get("interrupted") and not how.startswith("interrupted"):
            stage += f" (interrupted in {facts['interrupted']})"
        deadline = None
        if channels and facts.get("executed_at") and facts.get("options"):
            wait = Options.from_fact(facts["options"]).deadline
            deadline = datetime.fromisoformat(facts["executed_at"]) + wait
        return Status(
            folder=folder,
            headline=headline(facts),
            provenance=provenance(facts),
            stage=how if how.startswith("interrupted") else stage,
            resumable=not how,
            waited="collected_at" in facts,
            clock_factor=float(facts.get("clock_factor", 1)),
            planned=sum(repeats for repeats, _ in journal.planned().values()),
            executed=len(outcomes),
            failed=sum(1 for why in outcomes if why),
            calls=Counter(call.role.value for call in calls),
            arrived=still.arrived,
            expected=still.expected,
            waiting_for=still.waiting_for if any(c.role is Role.SUBJECT for c in calls) else "",
            without_channels=without_channels(facts),
            done_by=still.done_by,
            deadline=deadline,
            resources=tuple((kind, name) for kind, name, state, _ in journal.resources() if state != "deleted"),
        )


def as_text(found: Status) -> str:
    """Return a status for the terminal."""
    calls = ", ".join(f"{n} {role}" for role, n in found.calls.items())
    lines = [
        found.headline,
        f"Stage: {found.stage}",
        f"Executed: {found.executed} of {found.planned}" + (f", {found.failed} not as meant" if found.failed else ""),
        f"Calls: {calls or 'none'}",
    ]
    lines += [f"Records: none will come, {found.without_channels}"] * bool(found.without_channels)
    lines += [f"Records in {name}: {n} of {found.expected[name]}" for name, n in found.arrived.items()]
    clock = clock_note(found.clock_factor)
    if found.waiting_for:
        over = "Never came:" if found.waited else "No longer waited for:"
        lines.append(f"{'Waiting for' if found.resumable else over} {found.waiting_for}")
    if found.resumable and found.done_by and found.waiting_for:
        lines.append(f"May be done by {moment(found.done_by)}{clock}")
    if found.resumable and found.deadline:
        lines.append(f"Waits until {moment(found.deadline)}{clock} at most")
    counts = Counter(kind for kind, _ in found.resources)
    made = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items())
    lines.append(f"In place: {made}" if made else "In place: nothing, all was deleted")
    there = " if its embedded server is still there" if found.provenance["target"] == "embedded" else ""
    ways = [f"`s3logjam resume {found.folder}` goes on{there}"] if found.resumable else []
    ways += [f"`s3logjam teardown {found.folder}` deletes it"] if found.resources else []
    if ways:
        lines.append("; ".join(ways) + ".")
    return "\n".join(visible(line) for line in lines)


def as_json(found: Status) -> str:
    """Return a status for programs."""
    told = asdict(found) | {"folder": str(found.folder), "calls": dict(found.calls)}
    told |= {**told.pop("provenance"), "exit_code": int(ExitCode.OK)}
    return json.dumps(told, indent=2, default=_plain)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
