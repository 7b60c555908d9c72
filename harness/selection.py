"""What a run is asked to do, and the rows, operations and channels that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

from harness import catalogue, scenario
from harness.channels import DEFAULT, Channel, channels
from harness.errors import NothingSelectedError, UsageError
from harness.model import CellKey
from harness.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is asked to do.

    Attributes:
        operations: Glob patterns of operation names; empty for all.
        variants: Glob patterns of variant names; empty for all.
        channels: Channel names; empty for the two classic ones, ``all`` for all, ``none`` for none.
        scenarios: Files or folders of the user's own scenarios.
        rate: Scenario executions a minute on the run's clock, at most; 0 for as many as go.
        deadline: How long after the last call records are waited for, on the run's clock.
        keep: Leave the resources in place after the run.
        slow: Execute scenarios too that wait for what S3 does by itself, for days.
        account: The only account in which the run may do anything; a real target demands it.
        detach: Stop after the last call; another process waits for the records.
        canary: Wait until every channel has shown a control record before the first call under test; None to do so on
            real targets only.
        requester_role: ARN of a role in another account, for calls across accounts.
        leave_out_silent: Go on without a channel that shows none, rather than with it.
    """

    results: Path = Path("results")
    operations: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    scenarios: tuple[Path, ...] = ()
    repeats: int = 1
    rate: float = 0.0
    seed: int = 1
    deadline: timedelta = timedelta(hours=6)
    keep: bool = False
    slow: bool = False
    account: str | None = None
    detach: bool = False
    canary: bool | None = None
    leave_out_silent: bool = False
    requester_role: str | None = None

    @property
    def granted(self) -> frozenset[str]:
        """Capabilities that scenarios may ask for and that are there because the user gave them."""
        return frozenset({"days"} if self.slow else ()) | frozenset({"requester"} if self.requester_role else ())

    def check_account(self, target: Target) -> None:
        """Refuse to work in an account that nobody has named.

        Raises:
            UsageError: The target belongs to somebody, and no account was named; or it is known to be another.
        """
        known = target.identity[0] if target.identity else None
        if known and self.account not in (None, known):
            raise UsageError(f"the {target.name} target has no account but {known}: leave --account {self.account} out")
        if target.real and not self.account:
            raise UsageError("name the account that the run may work in with --account; nothing is done in any other")

    def as_fact(self) -> dict[str, Any]:
        """Return the options as JSON takes them, for the journal."""
        told = asdict(self)
        return told | {
            "results": str(self.results),
            "scenarios": [str(path.resolve()) for path in self.scenarios],
            "deadline": self.deadline.total_seconds(),
        }

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> Self:
        """Return the options that a journal kept; what a later version added has its default."""
        known = {each.name for each in fields(cls)}
        told: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fact.items() if name in known
        }
        told["results"], told["deadline"] = Path(told["results"]), timedelta(seconds=told["deadline"])
        told["scenarios"] = tuple(Path(each) for each in told["scenarios"])
        return cls(**told)


def plan(
    operations: Sequence[str],
    variants: Sequence[str],
    target: Target,
    repeats: int,
    *,
    granted: frozenset[str] = frozenset(),
) -> dict[CellKey, tuple[int, str]]:
    """Return repeats (0: not run) and reason for every selected row, in the catalogue's order.

    Args:
        operations, variants: Glob patterns; empty for all.
        target: What it cannot serve is not run.
        repeats: How often the other rows are.
        granted: Capabilities that the options add to the target's.

    Raises:
        NothingSelectedError: No operation, or no variant of one, matches.
    """
    wanted = [pattern.lower() for pattern in variants] or ["*"]
    by_operation: dict[str, list[scenario.Scenario]] = {}
    for each in scenario.all_scenarios().values():
        by_operation.setdefault(each.operation, []).append(each)
    rows: dict[CellKey, tuple[int, str]] = {}
    for name in selected_operations(operations):
        excluded = scenario.all_exclusions().get(name)
        for each in by_operation.get(name, []):
            if not any(fnmatchcase(each.variant.lower(), pattern) for pattern in wanted):
                continue
            lacking = sorted(each.requires - target.capabilities - granted)
            reasons = [target.missing.get(c, f"the {target.name} target lacks {c}") for c in lacking]
            rows[each.cell] = (0 if lacking else repeats, "; ".join(reasons))
        if name not in by_operation and any(fnmatchcase("ok", pattern) for pattern in wanted):
            rows[CellKey(operation=name)] = (0, excluded or "no scenario yet")
    if not rows:
        raise NothingSelectedError(f"no variant matches {', '.join(variants)}; `s3logjam list` shows what there is")
    return rows


def selected_operations(patterns: Sequence[str]) -> list[str]:
    """Return the names of the operations that any of the glob patterns matches; all without patterns.

    Raises:
        NothingSelectedError: No operation matches.
    """
    wanted = [p.lower() for p in patterns] or ["*"]
    names = [n for n in catalogue.rows() if any(fnmatchcase(n.lower(), pattern) for pattern in wanted)]
    if not names:
        raise NothingSelectedError(f"no operation matches {', '.join(patterns)}; `s3logjam list` shows what there is")
    return names


def nothing_to_execute(rows: Mapping[CellKey, tuple[int, str]]) -> str:
    """Return why no row of a plan would be executed, or an empty text when one would."""
    if any(repeats for repeats, _ in rows.values()):
        return ""
    return "; ".join(sorted({reason for _, reason in rows.values()}))


def selected_channels(names: Sequence[str]) -> list[Channel]:
    """Return the channels of those names; the two classic ones without names, all for ``all``, none for ``none``.

    Raises:
        UsageError: A name is unknown, or contradicts the others.
    """
    known = channels()
    unknown = [n for n in names if n not in known and n not in ("all", "none")]
    if unknown:
        raise UsageError(f"unknown channel {', '.join(unknown)}; there are {', '.join(known)}, all and none")
    if "none" in names and len(set(names)) > 1:
        raise UsageError(f"--channels {','.join(names)}: none goes with no other")
    wanted = names or DEFAULT
    return [make() for name, make in known.items() if name in wanted or "all" in wanted]
