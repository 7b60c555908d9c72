"""What the engine tells while it works. Reporters consume these; the engine knows no reporter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from harness.model import CellKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The first event. ``planned`` counts scenario executions, ``channels`` are those to be polled."""

    run_id: str
    target: str
    note: str
    clock_factor: float
    planned: int
    channels: tuple[str, ...]
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage began: ``provision``, ``execute``, ``collect``, ``analyse``, ``teardown``."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceCreated:
    """Provisioning made one resource."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSkipped:
    """A channel cannot be set up: the run goes on with the others."""

    channel: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFinished:
    """One scenario was executed once; ``failure`` is None when it went as written."""

    cell: CellKey
    repeat: int
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectProgress:
    """One round of polling is over.

    Attributes:
        arrived, expected: Records in and records declared, per channel.
        rejects: Log lines that did not parse, per channel.
        now, deadline: On the run's clock.
    """

    arrived: Mapping[str, int]
    expected: Mapping[str, int]
    rejects: Mapping[str, int]
    now: datetime
    deadline: datetime
    waiting_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that the user should know and that does not stop the run."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The last event of a run that came to its end, whatever its verdicts. ``verdicts`` counts cells."""

    verdicts: Mapping[str, int] = field(default_factory=dict)
    pending: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterrupted:
    """The last event of a run that was stopped: what was journaled is kept."""

    stage: str


Event = (
    RunStarted
    | StageStarted
    | ResourceCreated
    | ChannelSkipped
    | ScenarioFinished
    | CollectProgress
    | Warned
    | RunFinished
    | RunInterrupted
)
