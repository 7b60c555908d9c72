"""A plan as text for the terminal and as JSON; what names come from users is made harmless first."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.errors import ExitCode
from harness.model import Role
from harness.planning.cost import CostLine, prices, total_usd
from harness.planning.plan import Plan, Wait
from harness.report import headline, provenance
from harness.report.safe import visible

_NAMED = 12
_ROLES = (Role.SUBJECT, Role.SETUP, Role.CONTROL, Role.POLL, Role.TEARDOWN)


def as_text(plans: Sequence[Plan]) -> str:
    """Return the plans of one Region or several for the terminal."""
    lines = [line for plan in plans for line in (*_lines(plan), "")]
    if len(plans) > 1:
        lines.append(f"All {len(plans)} Regions: ${sum(plan.total_usd for plan in plans):.4f}")
    return "\n".join(visible(line) for line in lines).rstrip() + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield headline(plan.facts)
    yield ""
    yield f"Account     {plan.account} in {plan.region}"
    yield f"Principal   {plan.caller}"
    yield f"Executes    {plan.rows:,} rows x {plan.repeats:,} = {plan.executions:,} scenario executions"
    yield ""
    yield from _resources(plan)
    yield ""
    yield from _calls(plan)
    yield ""
    yield "Channels"
    for channel in plan.channels:
        policy = channel.policy
        every = f"every {_duration(policy.interval_seconds)} to {_duration(policy.slowest_seconds)}"
        yield f"  {channel.name}: polled {every}; a record may take {_duration(policy.absence_seconds)}"
        yield f"    {policy.promise}"
    if not plan.channels:
        yield "  none"
    yield ""
    yield "Time (expected, at most)"
    for wait in plan.waits:
        yield f"  {wait.what}: {_about(wait)}"
    yield ""
    yield from cost_lines(plan.cost)
    if plan.copy_usd:
        yield f"  + ${plan.copy_usd:.4f} if another trail takes management events already (and for others' meanwhile)"
    yield ""
    actions = sum(len(s["Action"]) for p in plan.policies for s in p["Statement"] if s["Effect"] == "Allow")
    several = f" in {len(plan.policies)} policies" if len(plan.policies) > 1 else ""
    yield f"IAM policy  {actions} actions{several}, all on what a run makes: `s3logjam policy` prints it"
    for number, text in enumerate(plan.left):
        yield f"{'Left after  ' if not number else ' ' * 12}{text}"
    for text in plan.warnings:
        yield f"Warning: {text}"


def _resources(plan: Plan) -> Iterator[str]:
    by_kind: defaultdict[str, list[str]] = defaultdict(list)
    for kind, name in plan.resources:
        by_kind[kind].append(name)
    yield "Resources"
    for kind, names in by_kind.items():
        total = plan.resource_totals[kind]
        yield f"  {total:,} {kind}{'' if total == 1 else 's'}"
        for name in names[:_NAMED]:
            yield f"    {name}"
        if total > min(len(names), _NAMED):
            yield f"    … and {total - min(len(names), _NAMED):,} more, named alike (--output json names the first)"


def _calls(plan: Plan) -> Iterator[str]:
    by_operation: defaultdict[tuple[str, str], Counter[Role]] = defaultdict(Counter)
    for each in plan.calls:
        by_operation[each.service, each.operation][each.role] += each.times
    totals = Counter[Role]()
    for counts in by_operation.values():
        totals.update(counts)
    width = max(len(f"{s} {o}") for s, o in by_operation)
    yield f"Calls       {sum(totals.values()):,}"
    yield "  " + "".ljust(width) + "".join(f"{role.value:>10}" for role in _ROLES)
    rows = sorted(by_operation.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    for (service, operation), counts in [*rows, (("all", ""), totals)]:
        numbers = "".join(f"{counts[role] or '':>10,}" if counts[role] else " " * 10 for role in _ROLES)
        yield f"  {f'{service} {operation}'.strip().ljust(width)}{numbers}"


def cost_lines(cost: Sequence[CostLine]) -> Iterator[str]:
    """Yield a cost by item, with its total and the date of the prices."""
    some = next(iter(prices().values()))
    yield f"Cost        ${total_usd(cost):.4f} at prices of {some.region}, {some.read}"
    for line in cost:
        yield f"  ${line.usd:>9.4f}  {_quantity(line):>14}  {line.price.label}"


def _quantity(line: CostLine) -> str:
    whole = not line.price.unit.startswith("GB")
    return f"{line.quantity:,.0f}" if whole else f"{line.quantity:.6f} {line.price.unit}"


def _about(wait: Wait) -> str:
    if wait.maximal_seconds == 0:
        return "none"
    at_most = "no limit" if wait.maximal_seconds is None else _duration(wait.maximal_seconds)
    return f"about {_duration(wait.expected_seconds)}, {at_most}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def as_json(plans: Sequence[Plan]) -> str:
    """Return a plan for programs; where there are several Regions, one by Region."""
    told = {plan.region: _told(plan) for plan in plans}
    several = {"exit_code": int(ExitCode.OK), "regions": told}
    return json.dumps(several if len(plans) > 1 else next(iter(told.values())), indent=2) + "\n"


def _first(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"headline": headline(facts), **provenance(facts), "exit_code": int(ExitCode.OK)}


def _told(plan: Plan) -> dict[str, Any]:
    return {
        **_first(plan.facts),
        "region": plan.region,
        "account": plan.account,
        "principal": plan.caller,
        "rows": plan.rows,
        "repeats": plan.repeats,
        "executions": plan.executions,
        "resources": [{"kind": kind, "name": name} for kind, name in plan.resources],
        "resource_totals": dict(plan.resource_totals),
        "calls": [
            {"service": c.service, "operation": c.operation, "role": c.role.value, "times": c.times} for c in plan.calls
        ],
        "channels": [
            {
                "name": c.name,
                "promise": c.policy.promise,
                "interval_seconds": c.policy.interval_seconds,
                "slowest_seconds": c.policy.slowest_seconds,
                "absence_seconds": c.policy.absence_seconds,
            }
            for c in plan.channels
        ],
        "waits": [
            {"what": w.what, "expected_seconds": w.expected_seconds, "maximal_seconds": w.maximal_seconds}
            for w in plan.waits
        ],
        "cost": cost_json(plan.cost),
        "further_copy_of_management_events_usd": plan.copy_usd,
        "policies": list(plan.policies),
        "left": list(plan.left),
        "warnings": list(plan.warnings),
    }


def cost_json(cost: Sequence[CostLine]) -> dict[str, Any]:
    """Return a cost by item, each with its price and source."""
    items = [
        {
            "item": line.price.item,
            "label": line.price.label,
            "quantity": line.quantity,
            "unit": line.price.unit,
            "usd_per_unit": line.price.usd,
            "usd": line.usd,
            "price_region": line.price.region,
            "price_source": line.price.source,
            "price_read": line.price.read,
        }
        for line in cost
    ]
    return {"items": items, "total_usd": total_usd(cost)}


def recounted(facts: Mapping[str, Any], cost: Sequence[CostLine], *, json_wanted: bool) -> str:
    """Return what the calls of a run cost, for the terminal or for programs."""
    if json_wanted:
        return json.dumps({**_first(facts), "cost": cost_json(cost)}, indent=2)
    return "\n".join([headline(facts), "", *cost_lines(cost)])
