"""Explains an operation or a name: reads a run where there is one, and says so where documents speak alone."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import catalogue
from harness.analyse.explanation import ChannelView, Evidence, Reading, readings, view
from harness.analyse.observed import Observed
from harness.analyse.verify import Seen
from harness.catalogue.names import meanings
from harness.errors import NothingSelectedError, UsageError
from harness.folders import LATEST, run_folder, several
from harness.journal import FILE_NAME, Journal
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Operation
from harness.report import headline
from harness.run import read

DEFAULT_RUN = Path("results") / LATEST
NO_RUN = "Nothing observed: no run was read, so documents speak alone"
_NEAR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an explanation is made from.

    Attributes:
        facts: What the run's journal notes of it; None without a run.
        run: Its folder.
        unread: Why none was read, though there is one.
    """

    facts: Mapping[str, Any] | None = None
    evidence: Evidence | None = None
    run: Path | None = None
    unread: str = ""

    @property
    def headline(self) -> str:
        """The line that every output carries first: target and what it proves, or that there was no run."""
        if self.facts is not None:
            return headline(self.facts)
        return f"{NO_RUN} ({self.unread})" if self.unread else NO_RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that is known of one operation's records."""

    operation: Operation
    known: Known
    channels: tuple[ChannelView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameExplanation:
    """What one name in a log stands for."""

    channel: str
    name: str
    known: Known
    readings: tuple[Reading, ...]


def knowledge(run: str | Path | None = None) -> Known:
    """Read a run; without a path ``results/latest``, or nothing where there is none.

    Raises:
        UsageError: There is no run at the path.
        JournalError: Its journal cannot be read.
    """
    if run is None and not (DEFAULT_RUN / FILE_NAME).is_file():
        found = several(DEFAULT_RUN)
        return Known(unread=f"{found} with --run" if found else "")
    folder = run_folder(DEFAULT_RUN if run is None else run)
    with Journal(folder / FILE_NAME) as journal:
        measured = read(journal, folder)
    seen = Seen.of(measured.cells, measured.calls, measured.paired)
    return Known(facts=measured.facts, evidence=Evidence(seen=seen, observed=Observed.of(seen)), run=folder)


def explain(operation: str, known: Known) -> Explanation:
    """Return what is known of an operation's records.

    Args:
        operation: Its name in the catalogue, in upper or lower case; ``s3control:`` only where S3 has the name too.
        known: What ``knowledge`` has read.

    Raises:
        NothingSelectedError: There is no such operation; the message has the nearest names.
    """
    rows = catalogue.rows()
    names = {name.lower(): name for name in rows}
    asked = operation.strip().lower()
    found = names.get(asked) or names.get(f"{catalogue.CONTROL_PREFIX}{asked}")
    if found is None:
        near = [names[each] for each in difflib.get_close_matches(operation.lower(), names, n=_NEAR)]
        hint = f"did you mean {' or '.join(near)}?" if near else "`s3logjam list` shows what there is"
        text = f"there is no operation {operation!r}: {hint} (for a name in a log: --event-name or --sal)"
        raise NothingSelectedError(text)
    there = known.evidence.seen.channels if known.evidence else ()
    channels = dict.fromkeys((CLOUDTRAIL, SERVER_ACCESS, *there))
    return Explanation(
        operation=rows[found],
        known=known,
        channels=tuple(view(rows[found], channel, known.evidence) for channel in channels),
    )


def stands_for(channel: str, name: str, known: Known) -> NameExplanation:
    """Return the operations that a name in a log may stand for.

    Args:
        channel: ``cloudtrail`` or ``server-access``.
        name: An event name or an operation string, in upper or lower case.
        known: What ``knowledge`` has read.

    Raises:
        UsageError: The name is empty.
        NothingSelectedError: Nothing is known of the name; the message has the nearest ones.
    """
    if not name.strip():
        raise UsageError("the name is empty: give an event name such as PutBucketAcl, or a string such as REST.PUT.ACL")
    observed = known.evidence.observed if known.evidence else None
    spelled, found = readings(channel, name.strip(), observed)
    if not found:
        there = {*meanings(channel), *(observed.by_name(channel) if observed else ())}
        near = difflib.get_close_matches(spelled, sorted(there), n=_NEAR)
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise NothingSelectedError(f"no document and no record of the run has {spelled!r} in {channel}{hint}")
    return NameExplanation(channel=channel, name=spelled, known=known, readings=found)
