"""Hours and days of waiting for records with long tails: nothing is lost, and polls stay few.

The simulation is ``benchmarks/long_wait.py``: real loop, channels, parsers, join and journal, on a clock of its own.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.channels import channels
from harness.model import CLOUDTRAIL, SERVER_ACCESS

FILE = Path(__file__).parents[2] / "benchmarks" / "long_wait.py"
NINE_HOURS = timedelta(hours=9)


@pytest.fixture(scope="module")
def long_wait() -> Any:
    found = importlib.util.spec_from_file_location("long_wait", FILE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["long_wait"] = module  # dataclasses look their module up
    found.loader.exec_module(module)
    return module


def test_nine_hours_with_a_long_tail_lose_nothing_and_cost_few_requests(long_wait: Any, tmp_path: Path) -> None:
    done = long_wait.simulate(tmp_path, NINE_HOURS, timedelta(hours=10))
    assert done.arrived == done.expected == {SERVER_ACCESS: 1000, CLOUDTRAIL: 1000}
    assert (done.rejects, done.unmatched) == (0, 0)
    assert NINE_HOURS <= done.waited < NINE_HOURS + timedelta(seconds=1800)
    # A tenth of the time waited between two polls, half an hour at most: 32 and 50 polls or so, and a few at first.
    assert done.polls[SERVER_ACCESS] <= 45
    assert done.polls[CLOUDTRAIL] <= 65
    # Around midnight a poll lists two days of the trail's folder; every log object is read once.
    assert done.asked["LIST"] <= sum(done.polls.values()) + done.polls[CLOUDTRAIL]
    assert done.asked["GET"] < 100
    assert done.usd < 0.001


def test_the_wait_ends_with_the_last_record_not_with_the_deadline(long_wait: Any, tmp_path: Path) -> None:
    done = long_wait.simulate(tmp_path, timedelta(hours=2), timedelta(days=2), n_calls=50)
    assert done.arrived == done.expected
    assert done.waited < timedelta(hours=2, minutes=13)


def test_what_comes_after_the_deadline_is_still_expected_then(long_wait: Any, tmp_path: Path) -> None:
    done = long_wait.simulate(tmp_path, timedelta(days=2), NINE_HOURS, n_calls=50)
    assert done.waited == NINE_HOURS
    assert done.arrived == {SERVER_ACCESS: 49, CLOUDTRAIL: 49}
    assert done.expected == {SERVER_ACCESS: 50, CLOUDTRAIL: 50}


def test_days_of_waiting_in_vain_cost_two_polls_an_hour_and_channel(long_wait: Any, tmp_path: Path) -> None:
    done = long_wait.simulate(tmp_path, timedelta(hours=1), timedelta(days=9), n_calls=20, lost=5)
    assert done.expected == {SERVER_ACCESS: 20, CLOUDTRAIL: 20}
    assert set(done.arrived.values()) == {15}
    assert done.waited == timedelta(days=9)
    assert max(done.polls.values()) <= 9 * 24 * 2 + 65


@pytest.mark.parametrize("name", [SERVER_ACCESS, CLOUDTRAIL])
def test_a_poll_comes_at_most_a_tenth_later_than_the_record(name: str) -> None:
    policy = channels()[name]().policy
    for waited in (0, 60, 3600, 9 * 3600, 86_400, 10 * 86_400):
        interval = policy.interval_after(waited)
        assert policy.interval_seconds <= interval <= policy.slowest_seconds
        assert interval <= max(policy.interval_seconds, waited / 10)
