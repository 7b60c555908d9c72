"""What the engine tells while it works. Reporters consume these; the engine knows no reporter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from harness.model import CellKey, Delay


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
    """A stage began: ``preflight``, ``provision``, ``gate``, ``execute``, ``collect``, ``analyse``, ``teardown``."""

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
    """One scenario was executed once; ``failure`` is None when it went as written.

    ``calls_made`` counts the run's requests so far, of all roles.
    """

    cell: CellKey
    repeat: int
    failure: str | None = None
    calls_made: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectProgress:
    """One round of polling is over.

    Attributes:
        arrived, expected: Records in and records declared, per channel.
        rejects: Log lines that did not parse, per channel.
        now, deadline: On the run's clock.
        done_by: When all of it may have come, as far as can be told.
        delays: Of the calls whose first record has come, per channel: the delay so far, since what is missing is later.
        calls_made: Requests of the run so far, of all roles, polls included.
    """

    arrived: Mapping[str, int]
    expected: Mapping[str, int]
    rejects: Mapping[str, int]
    now: datetime
    deadline: datetime
    waiting_for: str = ""
    done_by: datetime | None = None
    delays: Mapping[str, Delay] = field(default_factory=dict)
    calls_made: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateProgress:
    """One more control call was made before the first call under test.

    Attributes:
        waiting: Channels that have shown none yet.
        silent: Those that were given up.
        buckets: Per channel, in how many buckets it has shown nothing yet.
        waited_seconds, limit_seconds: On the run's clock.
    """

    waiting: tuple[str, ...]
    silent: tuple[str, ...]
    waited_seconds: float
    limit_seconds: float
    buckets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One question of the preflight was answered.

    Attributes:
        name: What was asked.
        answer: What was found, and what to do about it.
        trouble: Whether it is something that costs money or spoils a measurement; what forbids the run is an error.
    """

    name: str
    answer: str
    trouble: bool = False


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
    """The last event of a run that was stopped: what was journaled is kept.

    ``resumable`` says whether its resources are left in place for ``s3logjam resume``.
    """

    stage: str
    folder: Path
    resumable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetached:
    """The last event of a run that waits for its records without a process: ``s3logjam resume`` collects them."""

    folder: Path
    done_by: datetime | None = None


Event = (
    RunStarted
    | StageStarted
    | ResourceCreated
    | ChannelSkipped
    | ScenarioFinished
    | CollectProgress
    | GateProgress
    | Checked
    | Warned
    | RunFinished
    | RunInterrupted
    | RunDetached
)
