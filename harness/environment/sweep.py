"""What runs have left in an account, found by name and tag: for when the journal is lost.

Only a name that is a run's from its first character to its last counts; everything else is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from harness.environment.find import Found
from harness.environment.removal import Kind
from harness.environment.site import Site, code_of, refuse_expired
from harness.environment.teardown import KINDS, in_order, teardown
from harness.journal import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A resource whose name is a run's.

    Attributes:
        made_at, tag: As ``find.Found`` has them.
        kept: Why it is left alone all the same; empty where it may be deleted.
        logs: Whether it is a bucket that logs are delivered to.
    """

    kind: str
    name: str
    run_id: str
    made_at: datetime | None
    tag: str | None
    kept: str = ""
    logs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLeft:
    """What one run has left.

    Attributes:
        leftovers: In the order of their deletion.
        youngest_at: When the last of them was made; None where AWS does not tell of any.
    """

    run_id: str
    leftovers: Sequence[Leftover]
    youngest_at: datetime | None

    def is_older_than(self, age: timedelta, now: datetime) -> bool:
        """Tell whether even the youngest is older; not where that is unknown."""
        return self.youngest_at is not None and now - self.youngest_at > age


def find_leftovers(site: Site) -> tuple[list[RunLeft], list[str]]:
    """Look for everything that runs make, in the Region and the account of a site.

    Returns:
        What was found, run by run, the oldest first; and what could not be asked for, with the reason.

    Raises:
        CredentialsError: They have expired.
    """
    found: list[Leftover] = []
    unasked = []
    for name, kind in KINDS.items():
        try:
            found += [left for each in kind.find(site) if (left := leftover(site, name, kind, each))]
        except (ClientError, BotoCoreError) as error:
            refuse_expired(error)
            unasked.append(f"{name}: {code_of(error)}")
    runs = {left.run_id for left in found}
    grouped = [_of_run(run_id, [each for each in found if each.run_id == run_id]) for run_id in sorted(runs)]
    return sorted(grouped, key=lambda run: run.youngest_at or datetime.max.replace(tzinfo=UTC)), unasked


def delete(site: Site, runs: Sequence[RunLeft]) -> list[str]:
    """Delete what runs have left, as a teardown does, through the site's journal.

    Args:
        site: With a journal of no run.
        runs: What to delete.

    Returns:
        What could not be deleted, with the reason.

    Raises:
        CredentialsError: They have expired.
    """
    now = site.clock.now()
    for left in to_delete(runs):
        site.journal.resource(left.kind, left.name, "created", now, logs=left.logs)
    return teardown(site)


def to_delete(runs: Sequence[RunLeft]) -> Iterator[Leftover]:
    """Yield what may be deleted."""
    return (left for run in runs for left in run.leftovers if not left.kept)


def leftover(site: Site, name: str, kind: Kind, found: Found) -> Leftover | None:
    """Return what was found as something that a run has left; None where its name is not a run's."""
    pattern = kind.names.replace("ACCOUNT", re.escape(site.account_id)).replace("REGION", re.escape(site.region))
    fits = re.fullmatch(pattern, found.name)
    if not fits or not kind.names:
        return None
    run_id, part = fits["run"], fits.groupdict().get("part")
    kept = ""
    if kind.tagged and found.tag != run_id:
        kept = "its tags cannot be read" if found.tag is None else "it does not have the run's tag"
    return Leftover(
        kind=name,
        name=found.name,
        run_id=run_id,
        made_at=found.made_at,
        tag=found.tag,
        kept=kept,
        logs=part is not None and not part.startswith("src"),
    )


def _of_run(run_id: str, leftovers: Sequence[Leftover]) -> RunLeft:
    by_name = {(left.kind, left.name): left for left in leftovers}
    resources: list[Resource] = [(left.kind, left.name, "created", {"logs": left.logs}) for left in leftovers]
    return RunLeft(
        run_id=run_id,
        leftovers=[by_name[kind, name] for kind, name, *_ in in_order(resources)],
        youngest_at=max((left.made_at for left in leftovers if left.made_at), default=None),
    )
