"""Every scenario, run once without a server: botocore validates each call, and canned answers come back."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import pytest
from offline import ACCOUNT, REGION, RUN_ID, Bench

from harness import catalogue, scenario
from harness.channels import channels
from harness.environment.site import Site
from harness.execute.recorder import Recorder
from harness.journal import FILE_NAME, Journal
from harness.model import CellKey, Role
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.testing import FakeClock

scenario.load()
SCENARIOS = scenario.all_scenarios()
WRITTEN = {cell: each for cell, each in SCENARIOS.items() if each.how.name == "ok"}
DERIVED = {each.how.name: cell for cell, each in reversed(SCENARIOS.items()) if cell not in WRITTEN}
"""The first scenario of every variant: what a variant does to a call is the same for all of them."""


def test_every_operation_has_a_scenario_or_an_exclusion_with_a_reason() -> None:
    covered = {cell.operation for cell in SCENARIOS} | set(scenario.all_exclusions())
    missing = [name for name in catalogue.rows() if name not in covered]
    if catalogue.botocore_version() == catalogue.LOCKED_BOTOCORE:
        assert missing == []
    elif missing:
        found = f"botocore {catalogue.botocore_version()} has operations without a scenario: {missing}"
        warnings.warn(found, stacklevel=1)


def test_every_exclusion_has_a_reason_and_is_of_an_operation_that_there_is() -> None:
    for operation, reason in scenario.all_exclusions().items():
        assert operation in catalogue.rows()
        assert reason.strip()


def test_no_scenario_names_an_unknown_operation() -> None:
    assert {cell.operation for cell in SCENARIOS} <= set(catalogue.rows())


def test_no_operation_has_both_a_plain_scenario_and_an_exclusion() -> None:
    assert [name for name in scenario.all_exclusions() if CellKey(operation=name) in SCENARIOS] == []


def test_every_scenario_is_declared_completely() -> None:
    action = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+( arn:aws:[^ ]+)?")
    for cell, each in SCENARIOS.items():
        assert each.cell == cell
        assert all(action.fullmatch(name) for name in scenario.permissions_of(each)), (cell, each.iam)
        assert set(each.expected()) == set(channels()), cell
        assert all(n >= 0 for n in each.expected().values()), cell
        assert all(200 <= status < 600 for status in each.fails), (cell, each.fails)


def test_every_variant_says_what_it_means() -> None:
    assert all(each.meaning for each in scenario.all_variants().values())
    assert {cell.variant for cell in SCENARIOS} >= set(scenario.all_variants())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for all scenarios of this module, with every capability and the real channels."""
    aws, clock = FakeAws(), FakeClock()
    session = aws.session()
    with Journal(tmp_path_factory.mktemp("offline") / FILE_NAME, create=True) as journal:
        recorder = Recorder(journal, clock, RUN_ID)
        recorder.attach(session)
        site = Site(session=session, journal=journal, clock=clock, run_id=RUN_ID, account_id=ACCOUNT, region=REGION)
        site.requester_role = "arn:aws:iam::444455556666:role/requester"
        bench = Bench(aws, site, recorder, [make() for make in channels().values()])
        bench.surroundings.capabilities = frozenset(name for each in SCENARIOS.values() for name in each.requires)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
            yield bench


@pytest.mark.parametrize("cell", [*WRITTEN, *DERIVED.values()], ids=str)
def test_every_call_of_a_scenario_fits_botocores_model(cell: CellKey, stage: Bench) -> None:
    aws, journal, fails = stage.aws, stage.journal, SCENARIOS[cell].fails
    first = journal.next_call_number()
    aws.made.clear()

    def as_meant(_operation: str) -> Answer | None:
        if not fails or 200 in fails:
            return None
        subjects = journal.calls(Role.SUBJECT)
        is_subject = subjects and subjects[-1].number == journal.next_call_number() - 1
        return refusal("Refused", fails[0]) if is_subject else None

    aws.overrule = as_meant
    (finished,) = stage.execute(SCENARIOS[cell])
    assert (finished.cell, finished.repeat, finished.failure) == (cell, 0, None)
    under_test = [call for call in journal.calls(Role.SUBJECT) if call.number >= first]
    assert under_test
    name = cell.operation.removeprefix(catalogue.CONTROL_PREFIX)
    assert {(call.operation, call.cell) for call in under_test} == {(name, cell)}
    # Whatever a scenario makes is made in buckets that teardown knows.
    known = {name for kind, name, _, _ in journal.resources() if kind == "bucket"} | {stage.site.bucket}
    puts = {p["Bucket"] for operation, p in aws.made if "Bucket" in p and operation in ("PutObject", "CreateBucket")}
    assert fails or cell.variant.startswith("access-point") or puts <= known


def call_under_test(stage: Bench, operation: str, variant: str) -> dict[str, object]:
    """Return the parameters of the last call of a scenario's own operation."""
    stage.aws.overrule = lambda _operation: None
    stage.aws.made.clear()
    cell = CellKey(operation=operation, variant=variant)
    done = sum(1 for executed, _ in stage.journal.executions() if executed == cell)
    stage.execute(SCENARIOS[cell], repeats=done + 1)
    return stage.aws.parameters(operation)[-1]


@pytest.mark.parametrize("variant", ["ok", "already-owned", "denied"])
def test_a_bucket_is_made_with_the_namespace_that_its_name_needs(variant: str, stage: Bench) -> None:
    made = call_under_test(stage, "CreateBucket", variant)
    assert str(made["Bucket"]).endswith("-an")
    assert made["BucketNamespace"] == "account-regional"


def test_a_key_that_does_not_exist_is_another_one_each_time(stage: Bench) -> None:
    first, second = (call_under_test(stage, "GetObject", "missing-key")["Key"] for _ in range(2))
    assert first != second


def test_the_wrong_owner_is_nobody_even_for_localstacks_account(stage: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call_under_test(stage, "HeadBucket", "wrong-owner")["ExpectedBucketOwner"] == "000000000000"
    monkeypatch.setattr(stage.surroundings, "account_id", "000000000000")
    assert call_under_test(stage, "HeadBucket", "wrong-owner")["ExpectedBucketOwner"] == "111111111111"


def test_who_is_refused_for_what_he_is_needs_a_target_that_asks() -> None:
    asking = {cell.variant for cell, each in SCENARIOS.items() if "access-control" in each.requires}
    assert {"denied", "anonymous", "bad-signature", "unknown-key", "clock-skew"} <= asking
    assert {"ok", "missing-bucket", "missing-key", "precondition-failed", "wrong-owner"}.isdisjoint(asking)
