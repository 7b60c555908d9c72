"""The printed policy on the embedded server, where IAM decides: without one of its actions, something is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from harness import scenario
from harness.analyse.payload import sent_leaves
from harness.channels import Channel, Permission, channels
from harness.environment.site import Site
from harness.environment.teardown import teardown
from harness.errors import LogjamError
from harness.events import ScenarioFinished
from harness.execute.clients import Clients
from harness.execute.engine import RunSurroundings, execute
from harness.execute.recorder import Recorder
from harness.journal import FILE_NAME, Journal
from harness.planning import policy
from harness.scenario import Scenario
from harness.selection import plan
from harness.targets import Credentials
from harness.targets.embedded import EmbeddedTarget

ACCOUNT, REGION = "123456789012", "us-east-1"
# An hour of retention must outlast a scenario and the teardown after it: here it takes half a minute.
FACTOR = 100.0
SCENARIOS = 3
scenario.load()
ROWS = plan((), (), EmbeddedTarget(seed=1), 1)
SELECTED = [scenario.all_scenarios()[cell] for cell, (repeats, _) in ROWS.items() if repeats]
ALL = [make() for make in channels().values()]
WANTED = policy.permissions(SELECTED, ALL)
UNSEEN = {
    "events:DisableRule": "only when the setting up of a channel fails half-way",
    "logs:DescribeDeliveries": "only after a crash between a call and the journal",
    "logs:DescribeLogGroups": "AWS asks for it, the embedded server does not",
    "logs:DescribeResourcePolicies": "AWS asks for it, the embedded server does not",
    "logs:PutResourcePolicy": "AWS asks for it, the embedded server does not",
}
ACTIONS = sorted({action for each in WANTED for action in each.actions if action not in UNSEEN})
OWN = len(policy.permissions([], []))
NEEDED = {s.cell: {a for each in policy.permissions([s], [])[OWN:] for a in each.actions} for s in SELECTED}


def documents(without: str = "") -> list[dict[str, Any]]:
    """Return the policies of a run of everything, one action left out."""
    kept = [Permission(actions=(a,), resources=w.resources, conditions=w.conditions) for w in WANTED for a in w.actions]
    return policy.documents(policy.statements((k for k in kept if k.actions != (without,)), ACCOUNT, REGION))


def affected(action: str) -> tuple[list[Scenario], list[Channel]]:
    """Return what of a run needs an action: some scenarios, those first whose call succeeds, and channels."""

    needing = [each for each in SELECTED if action in NEEDED[each.cell]]
    # One whose own operation the action is named after is the likeliest to be lost without it.
    needing.sort(key=lambda s: (bool(s.fails), s.operation not in action))
    watching = [made for made in ALL if any(action in each.actions for each in made.permissions)]
    return needing[:SCENARIOS], watching or ALL[:1]


@dataclass
class Part:
    """The part of a run that a principal may or may not do: everything but the waiting."""

    target: EmbeddedTarget
    folder: Path
    run_id: str
    watched: list[Channel]
    journal: Journal = field(init=False)
    recorder: Recorder = field(init=False)
    site: Site = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / FILE_NAME, create=True)
        self.journal.note("started_at", self.target.clock.now().isoformat())
        self.recorder = Recorder(self.journal, self.target.clock, self.run_id)
        self.site = Site(
            session=self.session(None),
            journal=self.journal,
            clock=self.target.clock,
            run_id=self.run_id,
            account_id=ACCOUNT,
            region=REGION,
        )
        self.surroundings = RunSurroundings(self.site, self.watched, self.target.capabilities)

    def session(self, credentials: Credentials | None) -> boto3.Session:
        made = self.target.session(credentials)
        self.recorder.attach(made)
        return made

    def provision(self) -> str:
        """Make what every run makes; returns what goes wrong."""
        try:
            for channel in self.watched:
                channel.enable(self.site)
            self.site.make_bucket(self.site.bucket)
            for channel in self.watched:
                channel.watch(self.site, self.site.bucket)
            self.site.make_denied_role()
        except (ClientError, LogjamError) as error:
            return f"provision: {error}"
        return ""

    def execute(self, selected: Sequence[Scenario]) -> str:
        """Execute scenarios until one does not go as it should; returns why."""
        clients = Clients(self.site, self.session)
        done = len(self.journal.executions())
        # A row of its own each time: what is done is not done again.
        rows = [replace(each, variant=f"{each.variant}-{done}") for each in selected]
        for event in execute(rows, 1, self.recorder, self.surroundings, clients, sent_leaves):
            if isinstance(event, ScenarioFinished) and event.failure:
                return f"{event.cell}: {event.failure}"
        return ""

    def poll(self) -> str:
        """Look for records once; returns what goes wrong."""
        self.journal.note("caller_arns", ["arn:aws:iam::123456789012:user/limited"])
        try:
            for channel in self.watched:
                list(channel.poll(self.site, self.target.clock.now(), set()))
        except ClientError as error:
            return f"poll: {error}"
        return ""

    def whole(self, selected: Sequence[Scenario]) -> str:
        """Provision, execute, tear down; returns what goes wrong first."""
        left = lambda: "; ".join(f"teardown: {each}" for each in teardown(self.site))  # noqa: E731
        return self.provision() or self.execute(selected) or self.poll() or left()


@pytest.fixture(scope="module")
def target() -> Iterator[EmbeddedTarget]:
    with EmbeddedTarget(seed=11, factor=FACTOR) as running:
        yield running


@dataclass
class Limited:
    """One principal whose policies are replaced for every test, and a place that it has provisioned."""

    part: Part
    iam: Any
    user: str

    def holds(self, policies: Sequence[Mapping[str, Any]]) -> None:
        for name in self.iam.list_user_policies(UserName=self.user)["PolicyNames"]:
            self.iam.delete_user_policy(UserName=self.user, PolicyName=name)
        for number, document in enumerate(policies):
            self.iam.put_user_policy(UserName=self.user, PolicyName=f"p{number}", PolicyDocument=json.dumps(document))


@pytest.fixture(scope="module")
def limited(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Limited:
    limited_target = target.limited_to([])
    part = Part(limited_target, tmp_path_factory.mktemp("shared"), "5ca1ab1e", [channels()["server-access"]()])
    user = part.site.session.client("sts").get_caller_identity()["Arn"].rpartition("/")[2]
    made = Limited(part, target.session().client("iam"), user)
    made.holds(documents())
    assert not part.provision()
    return made


@pytest.mark.parametrize(("number", "action"), [*enumerate(ACTIONS)], ids=ACTIONS)
def test_without_one_action_something_is_lost(number: int, action: str, limited: Limited, tmp_path: Path) -> None:
    limited.holds(documents(without=action))
    needing, watching = affected(action)
    problem = limited.part.execute(needing) if needing else ""
    if not problem:
        part = Part(limited.part.target, tmp_path, f"{number:08x}", watching)
        problem = part.whole(needing)
        limited.holds(documents())
        teardown(part.site)  # there may be five trails at once
    assert "AccessDenied" in problem or "403" in problem, problem or "nothing is lost"


@pytest.mark.parametrize("action", ["s3:PutObjectRetention", "cloudtrail:StopLogging", "sts:AssumeRole"])
def test_with_all_actions_nothing_is_lost(action: str, limited: Limited, tmp_path: Path) -> None:
    """The part that is lost without an action is not lost for another reason."""
    limited.holds(documents())
    needing, watching = affected(action)
    assert not limited.part.execute(needing)
    assert not Part(limited.part.target, tmp_path, f"a{ACTIONS.index(action):07x}", watching).whole(needing)


def test_a_run_under_exactly_the_printed_policy_succeeds(full_run: Path) -> None:
    """``full_run`` is one: everything was executed as it should, collected, and deleted."""
    with Journal(full_run / FILE_NAME) as journal:
        assert ":user/s3lm-limited-" in journal.fact("caller_arn")
        assert {state for state, _ in journal.executions().values()} == {"done"}
        assert len(journal.executions()) >= len(SELECTED)
        assert journal.records()
        assert {state for *_, state, _ in journal.resources()} == {"deleted"}
