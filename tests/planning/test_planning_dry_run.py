"""What a dry run counts is what a run makes; nothing leaves the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import scenario
from harness.channels import PollPolicy
from harness.journal import FILE_NAME, Journal
from harness.model import Call, CellKey, Role
from harness.planning.cost import total_usd
from harness.planning.dry_run import DryRun, dry_run
from harness.planning.plan import plan_of, recounted
from harness.selection import Options, selected_channels
from harness.targets.embedded import EmbeddedTarget
from harness.testing import FakeChannel

scenario.load()
COUNTED = (Role.SUBJECT, Role.SETUP, Role.CONTROL)


def done(*cells: str, watched: Sequence[Any] | None = None, region: str = "us-east-1") -> DryRun:
    selected = [
        scenario.all_scenarios()[CellKey(operation=o, variant=v)] for o, _, v in (c.partition(":") for c in cells)
    ]
    own = selected_channels(()) if watched is None else watched
    target = EmbeddedTarget(seed=1, region=region)
    return dry_run(selected, own, target, Options(), account_id="111122223333", run_id="0badcafe")


def names(calls: Sequence[Call], role: Role) -> list[str]:
    return [call.operation for call in calls if call.role is role]


def test_it_makes_the_calls_of_a_run_with_their_roles() -> None:
    found = done("GetBucketCors:ok")
    assert names(found.once, Role.SUBJECT) == ["GetBucketCors"]
    assert {"CreateTrail", "StartLogging", "PutBucketLogging", "PutBucketCors"} <= set(names(found.once, Role.SETUP))
    assert {"DeleteTrail", "DeleteBucket"} <= set(names(found.once, Role.TEARDOWN))
    assert not found.uncounted


def test_a_further_repetition_makes_only_what_it_makes() -> None:
    found = done("DeleteBucket:ok", "PutObject:ok")
    assert names(found.again, Role.SUBJECT) == ["DeleteBucket", "PutObject"]
    assert names(found.again, Role.SETUP).count("CreateBucket") == 1
    assert "CreateTrail" not in names(found.again, Role.SETUP)
    assert found.resources_again == {"bucket": 1}


def test_scenarios_that_are_refused_share_their_buckets() -> None:
    assert names(done("DeleteBucket:denied").again, Role.SETUP) == []


def test_names_are_those_of_the_run() -> None:
    found = done("PutObject:ok", region="eu-west-1")
    assert ("bucket", "s3lm-0badcafe-src-111122223333-eu-west-1-an") in found.resources
    assert ("trail", "s3lm-0badcafe") in found.resources


def test_every_call_is_weighted_by_how_often_it_is_made() -> None:
    found = done("PutObject:ok", "GetObject:ok")
    counts: Counter[tuple[str, Role]] = Counter()
    for times, call in found.weighted(100, {"cloudtrail": 7}, controls=3):
        counts[call.operation, call.role] += times
    assert counts["GetObject", Role.SUBJECT] == 100
    assert counts["CreateTrail", Role.SETUP] == 1
    # One before, one after, four between 200 executions, three beside.
    assert counts["PutObject", Role.CONTROL] == 9
    assert counts["ListObjectsV2", Role.POLL] >= 7


@pytest.mark.usefixtures("empty_registry")
def test_a_scenario_that_needs_an_answer_is_counted_up_to_there_and_told() -> None:
    @scenario.scenario("GetObject")
    def reads(call: Any, s3: Any, bucket: str) -> None:
        """Read what a listing names."""
        key = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]
        call(Bucket=bucket, Key=key)

    found = done("GetObject:ok", watched=[])
    assert "ListObjectsV2" in names(found.once, Role.SETUP)
    assert any("GetObject[ok]: KeyError" in text for text in found.uncounted)


class _OfAnotherService(FakeChannel):
    """A channel whose service answers with more than nothing."""

    def enable(self, site: Any) -> None:
        queue = site.session.client("sqs").create_queue(QueueName="s3lm-0badcafe")["QueueUrl"]
        site.session.client("logs").create_log_group(logGroupName=queue)

    def poll(self, site: Any, since: Any, known: Any) -> Any:
        pages = site.session.client("logs").get_paginator("filter_log_events").paginate(logGroupName="g")
        yield from (event for page in pages for event in page["events"])


def test_channels_of_other_services_are_counted_too() -> None:
    watched = [
        _OfAnotherService(policy=PollPolicy(interval_seconds=60, absence_seconds=60, promise=""), permissions=())
    ]
    found = done("PutObject:ok", watched=watched)
    assert {"CreateQueue", "CreateLogGroup"} <= set(names(found.once, Role.SETUP))
    assert names(found.polls["fake"], Role.POLL) == ["FilterLogEvents"]


def test_a_whole_run_makes_exactly_the_calls_that_were_planned(full_run: Path) -> None:
    """Polls and the emptying of log buckets depend on what the channels deliver; everything else is known before."""
    with Journal(full_run / FILE_NAME) as journal:
        options, calls = Options.from_fact(journal.fact("options")), journal.calls()
        made = Counter((c.service, c.operation, c.role.value) for c in calls if c.role in COUNTED)
        resources = {(kind, name) for kind, name, _, _ in journal.resources()}
        counted = total_usd(recounted(journal))
    plan = plan_of(options, EmbeddedTarget(seed=options.seed, factor=3600))
    planned: Counter[tuple[str, str, str]] = Counter()
    for each in plan.calls:
        if each.role in COUNTED:
            planned[each.service, each.operation, each.role.value] += each.times
    assert planned == made
    assert set(plan.resources) == resources
    # In one repetition polls are a third of the cost, and on a busy machine with so fast a clock their number differs;
    # thirty repetitions come within a tenth (docs/permissions.md).
    assert plan.total_usd == pytest.approx(counted, rel=0.25)
