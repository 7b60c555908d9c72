"""What a run was asked to do survives in its journal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.selection import Options

names = st.lists(st.text(max_size=10), max_size=3).map(tuple)
options = st.builds(
    Options,
    operations=names,
    variants=names,
    channels=names,
    repeats=st.integers(1, 10_000),
    rate=st.floats(0, 1e6),
    seed=st.integers(),
    deadline=st.timedeltas(timedelta(0), timedelta(days=3650)),
    keep=st.booleans(),
    slow=st.booleans(),
    account=st.none() | st.text("0123456789", min_size=12, max_size=12),
    detach=st.booleans(),
    canary=st.none() | st.booleans(),
    leave_out_silent=st.booleans(),
    requester_role=st.none() | st.text(max_size=20),
)


@given(options)
def test_options_come_out_of_a_journal_as_they_went_in(given_options: Options) -> None:
    assert Options.from_fact(json.loads(json.dumps(given_options.as_fact()))) == given_options


def test_scenario_files_are_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fact = Options(scenarios=(Path("mine.py"),)).as_fact()
    monkeypatch.chdir("/")
    assert Options.from_fact(fact).scenarios == (tmp_path / "mine.py",)


@pytest.mark.parametrize("change", [{"made_up_later": 1}, {"canary": None}])
def test_options_of_another_version_are_understood(change: dict[str, Any]) -> None:
    fact = Options(repeats=7).as_fact() | change
    del fact["leave_out_silent"]
    assert Options.from_fact(fact) == Options(repeats=7)
