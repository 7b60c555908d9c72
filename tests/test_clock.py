"""Time is a parameter, and both clocks keep to one scale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness.clock import ScaledClock
from harness.testing import FakeClock


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The machine's clock, in one list: it moves only by being slept on."""
    now = [1_800_000_000.0]
    monkeypatch.setattr("harness.clock.time.time", lambda: now[0])
    monkeypatch.setattr("harness.clock.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_with_factor_1_it_is_the_machines_clock(machine: list[float]) -> None:
    assert ScaledClock().now() == datetime.fromtimestamp(machine[0], UTC)


def test_an_hour_at_factor_600_takes_six_seconds(machine: list[float]) -> None:
    clock = ScaledClock.starting_now(600)
    began, before = clock.now(), machine[0]
    clock.sleep(3600)
    assert clock.now() - began == timedelta(hours=1)
    assert machine[0] - before == 6


def test_two_clocks_of_the_same_anchor_and_factor_tell_the_same_time(machine: list[float]) -> None:
    ours = ScaledClock.starting_now(600)
    theirs = ScaledClock(factor=ours.factor, anchor=ours.anchor)
    machine[0] += 17.25
    assert ours.now() == theirs.now()


def test_sleeping_for_no_time_or_less_returns_at_once(machine: list[float]) -> None:
    before = machine[0]
    ScaledClock().sleep(0)
    ScaledClock().sleep(-5)
    assert machine[0] == before


@pytest.mark.parametrize("factor", [0, -1, float("nan")])
def test_a_clock_that_stands_still_or_runs_backwards_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        ScaledClock(factor=factor)


def test_the_fake_clock_advances_only_by_sleep_and_never_backwards() -> None:
    clock = FakeClock()
    began = clock.now()
    assert clock.now() == began
    clock.sleep(90)
    clock.sleep(-10)
    assert clock.now() - began == timedelta(seconds=90)
    assert clock.slept == [90, -10]
