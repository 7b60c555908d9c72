"""The claims about the two logs as a whole, each with the check that a run can make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.analyse.claims import content, coverage, delivery
from harness.analyse.claims.answers import ClaimCheck, undetermined
from harness.analyse.verify import Check, Seen
from harness.catalogue.documented import Claim

CHECKS: Mapping[str, ClaimCheck] = {**coverage.CHECKS, **content.CHECKS, **delivery.CHECKS}


def check_claims(claims: Iterable[Claim], seen: Seen) -> list[Check]:
    """Hold claims against a run; one that no run decides says why."""
    return [Check(claim=c, answer=CHECKS[c.id](seen) if c.id in CHECKS else undetermined(c.needs)) for c in claims]
