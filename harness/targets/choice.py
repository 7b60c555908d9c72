"""Makes a target from what the user asked for, or again from what a journal kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.errors import JournalError, TargetError, UsageError
from harness.targets import Target
from harness.targets.embedded import DEFAULT_FACTOR, EmbeddedTarget


class TargetName(StrEnum):
    """Where calls go."""

    EMBEDDED = "embedded"
    LOCALSTACK = "localstack"
    AWS = "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user asked for.

    Attributes:
        detached: Whether the run will be left and taken up again.
        requester_role: A role in another account, which the embedded server makes up.
    """

    name: TargetName = TargetName.EMBEDDED
    profile: str | None = None
    region: str | None = None
    role_arn: str | None = None
    endpoint_url: str | None = None
    seed: int = 1
    factor: float = DEFAULT_FACTOR
    behaviours: Sequence[str] = ()
    detached: bool = False
    requester_role: str | None = None


_ONLY = {
    "profile": TargetName.AWS,
    "role_arn": TargetName.AWS,
    "endpoint_url": TargetName.LOCALSTACK,
    "behaviours": TargetName.EMBEDDED,
}


def target_for(wanted: Wanted) -> Target:
    """Return the target, not yet entered.

    Raises:
        UsageError: An option does not go with it.
    """
    for option, name in _ONLY.items():
        if getattr(wanted, option) and wanted.name is not name:
            raise UsageError(f"--{option.replace('_arn', '').replace('_', '-')} goes with --target {name} only")
    if wanted.name is TargetName.EMBEDDED:
        return EmbeddedTarget(
            wanted.seed,
            wanted.factor,
            behaviours=wanted.behaviours,
            region=wanted.region or "us-east-1",
            detached=wanted.detached,
            foreign_role=wanted.requester_role,
        )
    if wanted.name is TargetName.LOCALSTACK:
        from harness.targets.localstack import LocalstackTarget  # noqa: PLC0415 - only where it is wanted

        return LocalstackTarget(wanted.endpoint_url, wanted.region or "us-east-1")
    from harness.targets.aws import AwsTarget  # noqa: PLC0415

    return AwsTarget(wanted.profile, wanted.region, wanted.role_arn)


def unasked(wanted: Wanted) -> Target:
    """Return a target of which nothing is asked, with all that it may be able to do: for what is told beforehand.

    Raises:
        UsageError: An option does not go with it.
    """
    if wanted.name is not TargetName.AWS:
        return target_for(wanted)
    from harness.targets.aws import POSSIBLE, AwsTarget  # noqa: PLC0415

    target = AwsTarget(region=wanted.region or "us-east-1")
    target.capabilities |= POSSIBLE
    return target


@contextmanager
def asked(wanted: Wanted) -> Iterator[Target]:
    """Give a target that was asked what it can do, where that costs nothing and it answers; else one that was not.

    Raises:
        UsageError: An option does not go with it.
    """
    with ExitStack() as stack:
        # Starting a server only to ask it what is known would take longer than everything else.
        target = target_for(wanted) if wanted.name is TargetName.EMBEDDED else None
        if target is None:
            with suppress(TargetError):
                target = stack.enter_context(target_for(wanted))
        yield target or unasked(wanted)


def reopened(facts: Mapping[str, Any], profile: str | None = None) -> Target:
    """Return the target of a run that another process began, not yet entered.

    Args:
        facts: The journal's.
        profile: To use instead of the one that it was begun with.

    Raises:
        JournalError: The run was not meant to be taken up again.
        TargetError: Its target is gone.
    """
    reach = facts.get("reach")
    if not reach:
        raise JournalError("the journal does not say how to reach the target of this run")
    name, region = TargetName(facts["target"]), str(facts["region"])
    if name is TargetName.EMBEDDED:
        return EmbeddedTarget.reopened(reach, region)
    known = {"profile": profile or reach.get("profile"), "role_arn": reach.get("role_arn")}
    return target_for(Wanted(name=name, region=region, endpoint_url=reach.get("endpoint"), **known))
