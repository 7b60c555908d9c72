"""Every scenario, run once without a server: botocore validates each call, and canned answers come back."""

from __future__ import annotations

import re
import warnings

import pytest
from offline import Answer, FakeAws, refusal

from harness import catalogue, scenario
from harness.channels import channels
from harness.environment.site import Site
from harness.events import ScenarioFinished
from harness.execute.clients import Clients
from harness.execute.engine import RunSurroundings, execute
from harness.execute.recorder import Recorder
from harness.journal import Journal
from harness.model import CellKey, Role

scenario.load()
SCENARIOS = scenario.all_scenarios()
NEEDS_A_DIRECTORY_BUCKET = ("CreateSession", "RenameObject")
no_directory_buckets = pytest.mark.xfail(reason="new_bucket(kind='directory') is no parameter of CreateBucket")


def test_every_operation_has_a_scenario_or_an_exclusion_with_a_reason() -> None:
    covered = {cell.operation for cell in SCENARIOS} | set(scenario.all_exclusions())
    missing = [name for name in catalogue.operations() if name not in covered]
    if catalogue.botocore_version() == catalogue.LOCKED_BOTOCORE:
        assert missing == []
    elif missing:
        warnings.warn(
            f"botocore {catalogue.botocore_version()} has operations without a scenario: {missing}", stacklevel=1
        )


def test_every_exclusion_has_a_reason_and_is_of_an_operation_that_there_is() -> None:
    for operation, reason in scenario.all_exclusions().items():
        assert operation in catalogue.operations()
        assert reason.strip()


def test_no_scenario_names_an_unknown_operation() -> None:
    assert {cell.operation for cell in SCENARIOS} <= set(catalogue.operations())


def test_no_operation_has_both_a_plain_scenario_and_an_exclusion() -> None:
    assert [name for name in scenario.all_exclusions() if CellKey(operation=name) in SCENARIOS] == []


@pytest.mark.parametrize("cell", list(SCENARIOS), ids=str)
def test_a_scenario_is_declared_completely(cell: CellKey) -> None:
    each = SCENARIOS[cell]
    assert each.iam
    assert all(re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+", action) for action in each.iam)
    assert set(each.records.by_channel()) <= set(channels())
    assert all(n >= 0 for n in each.records.by_channel().values())


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, marks=no_directory_buckets) if cell.operation in NEEDS_A_DIRECTORY_BUCKET else cell
        for cell in SCENARIOS
    ],
    ids=str,
)
def test_every_call_of_a_scenario_fits_botocores_model(
    cell: CellKey, aws: FakeAws, site: Site, recorder: Recorder, clients: Clients, journal: Journal
) -> None:
    fails = SCENARIOS[cell].fails
    if fails:

        def as_meant(_operation: str) -> Answer | None:
            return refusal("Refused", fails[0]) if journal.calls()[-1].role is Role.SUBJECT else None

        aws.overrule = as_meant
    surroundings = RunSurroundings(site, [make() for make in channels().values()])
    (finished,) = execute([SCENARIOS[cell]], 1, recorder, surroundings, clients)
    assert finished == ScenarioFinished(cell=cell, repeat=0, failure=None)
    under_test = journal.calls(Role.SUBJECT)
    assert under_test
    assert {(call.service, call.operation, call.cell) for call in under_test} == {("s3", cell.operation, cell)}
    # Whatever a scenario puts stays in buckets that teardown knows.
    known = {name for kind, name, _, _ in journal.resources() if kind == "bucket"} | {site.bucket}
    assert {p["Bucket"] for _, p in aws.made if "Bucket" in p} <= known
