"""The printed policy on the embedded server, where IAM decides: with it a run succeeds, without one action it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from harness import scenario
from harness.analyse.payload import sent_leaves
from harness.channels import Channel, Permission, channels
from harness.environment import policy
from harness.environment.site import Site
from harness.environment.teardown import teardown
from harness.errors import LogjamError
from harness.events import ScenarioFinished
from harness.execute.clients import Clients
from harness.execute.engine import RunSurroundings, execute
from harness.execute.recorder import Recorder
from harness.journal import FILE_NAME, Journal
from harness.run import plan
from harness.scenario import Scenario
from harness.targets import Credentials
from harness.targets.embedded import EmbeddedTarget

ACCOUNT, REGION = "123456789012", "us-east-1"
# An hour of retention must outlast a scenario and the teardown after it: here it takes six seconds.
FACTOR = 600.0
SCENARIOS = 3
scenario.load()
ROWS = plan((), (), EmbeddedTarget(seed=1), 1)
SELECTED = [scenario.all_scenarios()[cell] for cell, (repeats, _) in ROWS.items() if repeats]
WANTED = policy.permissions(SELECTED, [make() for make in channels().values()])
ACTIONS = sorted({action for each in WANTED for action in each.actions})


def documents(without: str = "") -> list[dict[str, Any]]:
    """Return the policies of a run of everything, one action left out."""
    kept = [Permission(actions=(a,), resources=w.resources, conditions=w.conditions) for w in WANTED for a in w.actions]
    return policy.documents(policy.statements((k for k in kept if k.actions != (without,)), ACCOUNT, REGION))


def affected(action: str) -> tuple[list[Scenario], list[Channel]]:
    """Return what of a run needs an action: some scenarios, those first whose call succeeds, and channels."""

    def asked(wanted: Sequence[Permission]) -> bool:
        return any(action in each.actions for each in wanted)

    by_every_run = asked(policy.permissions([], []))
    needing = [s for s in SELECTED if not by_every_run and asked(policy.permissions([s], []))]
    # One whose own operation the action is named after is the likeliest to be lost without it.
    needing.sort(key=lambda s: (bool(s.fails), s.operation not in action))
    watching = [made for made in (make() for make in channels().values()) if asked(made.permissions)]
    return needing[:SCENARIOS], watching or [channels()["server-access"]()]


def lost(target: EmbeddedTarget, folder: Path, run_id: str, selected: list[Scenario], watched: list[Channel]) -> str:
    """Do the part of a run with these scenarios and channels; returns what goes wrong, or an empty text."""
    with Journal(folder / FILE_NAME, create=True) as journal:
        recorder = Recorder(journal, target.clock, run_id)

        def session(credentials: Credentials | None) -> boto3.Session:
            made = target.session(credentials)
            recorder.attach(made)
            return made

        site = Site(
            session=session(None), journal=journal, clock=target.clock, run_id=run_id, account_id=ACCOUNT, region=REGION
        )
        try:
            for channel in watched:
                channel.enable(site)
            site.make_bucket(site.bucket)
            for channel in watched:
                channel.watch(site, site.bucket)
            if any(each.how.client == "denied" for each in selected):
                site.make_denied_role()
        except (ClientError, LogjamError) as error:
            return f"provision: {error}"
        surroundings = RunSurroundings(site, watched, target.capabilities)
        for event in execute(selected, 1, recorder, surroundings, Clients(site, session), sent_leaves):
            if isinstance(event, ScenarioFinished) and event.failure:
                return f"{event.cell}: {event.failure}"
        return "; ".join(f"teardown: {each}" for each in teardown(site))


@pytest.fixture(scope="module")
def target() -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget(seed=11, factor=FACTOR) as running:
        yield running


@pytest.mark.parametrize(("number", "action"), [*enumerate(ACTIONS)], ids=ACTIONS)
def test_without_one_action_something_is_lost(number: int, action: str, target: EmbeddedTarget, tmp_path: Path) -> None:
    problem = lost(target.limited_to(documents(without=action)), tmp_path, f"{number:08x}", *affected(action))
    assert "AccessDenied" in problem or "403" in problem or "not authorized" in problem, problem or "nothing is lost"


@pytest.mark.parametrize("action", ["s3:PutObjectRetention", "cloudtrail:StopLogging", "sts:AssumeRole"])
def test_with_all_actions_nothing_is_lost(action: str, target: EmbeddedTarget, tmp_path: Path) -> None:
    """The part that is lost without an action is not lost for another reason."""
    run_id = f"a{ACTIONS.index(action):07x}"
    assert not lost(target.limited_to(documents()), tmp_path, run_id, *affected(action))
