"""Fixtures of all tests: nothing here reaches a network, a real clock or the user's AWS settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from offline import ACCOUNT, REGION, RUN_ID, T0, Bench

from harness import scenario
from harness.environment.site import Site
from harness.execute.recorder import Recorder
from harness.journal import FILE_NAME, Journal
from harness.planning.fake_aws import FakeAws
from harness.testing import FakeClock

# Workers of a parallel run get a width of 80 from it, which the commands under test would take for the user's.
os.environ.pop("COLUMNS", None)
# How fast an example is says something about the machine alone.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(at=T0)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / FILE_NAME, create=True) as made:
        made.note("started_at", T0.isoformat())
        yield made


@pytest.fixture
def aws() -> FakeAws:
    """AWS without a network, for boto3's requests and for raw ones."""
    return FakeAws()


@pytest.fixture
def site(aws: FakeAws, journal: Journal, clock: FakeClock) -> Site:
    return Site(session=aws.session(), journal=journal, clock=clock, run_id=RUN_ID, account_id=ACCOUNT, region=REGION)


@pytest.fixture
def recorder(site: Site, journal: Journal, clock: FakeClock) -> Recorder:
    """A recorder that is attached to the site's session, whose clients are made at their first use."""
    made = Recorder(journal, clock, RUN_ID)
    made.attach(site.session)
    return made


@pytest.fixture
def bench(aws: FakeAws, site: Site, recorder: Recorder) -> Bench:
    return Bench(aws, site, recorder)


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No scenario, variant, exclusion or fixture is registered; what was comes back afterwards."""
    for name in ("_scenarios", "_variants", "_exclusions", "_fixtures"):
        monkeypatch.setattr(scenario, name, {})


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore retries at once."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
