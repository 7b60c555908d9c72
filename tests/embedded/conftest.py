"""One server for all tests of a worker: a day passes on its clock in 1.2 seconds, an hour of delay in 0.05."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from embedded_kit import World, running_world

FACTOR = 72_000.0


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with running_world(seed=7, factor=FACTOR) as running:
        yield running
