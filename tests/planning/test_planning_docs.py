"""What docs/permissions.md says that runs cost is what they are planned to cost."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from harness import scenario
from harness.planning.plan import Plan, plan_of
from harness.selection import Options
from harness.targets.choice import TargetName, Wanted, asked

scenario.load()
PAGE = (Path(__file__).parent.parent.parent / "docs/permissions.md").read_text("utf-8")


@cache
def planned(target: str, repeats: int) -> Plan:
    with asked(Wanted(name=TargetName(target), region="us-east-1", seed=1)) as where:
        return plan_of(Options(repeats=repeats), where)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has credentials, so AWS is not asked who they are."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def row(begin: str) -> list[str]:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(begin)]
    return [cell.strip() for cell in line.strip("|").split("|")]


def dollars(told: str, amount: float) -> str:
    """Return an amount with as many digits as the page has."""
    digits = len(re.sub(r".*\.", "", told))
    return f"${amount:.{digits}f}"


@pytest.mark.parametrize("repeats", [1, 30])
def test_the_costs_on_aws_are_the_plans(repeats: int) -> None:
    plan = planned("aws", repeats)
    _, calls, buckets, cost, copy = row(f"| `--repeats {repeats}` |")
    assert calls == f"{sum(each.times for each in plan.calls):,}"
    assert buckets == f"{plan.resource_totals['bucket']:,}"
    assert cost == dollars(cost, plan.total_usd)
    assert copy == dollars(copy, plan.copy_usd)


@pytest.mark.parametrize(("begin", "repeats"), [("| everything once (", 1), ("| everything 30 times (", 30)])
def test_what_is_held_against_a_recount_is_the_plan(begin: str, repeats: int) -> None:
    plan = planned("embedded", repeats)
    what, cost, _ = row(begin)
    assert f"({plan.executions:,} executions" in what
    assert cost == dollars(cost, plan.total_usd)
