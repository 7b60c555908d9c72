"""What a run came to in each channel, as numbers: the terminal and the JSON documents show the same ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from harness.model import Verdict
from harness.report import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSummary:
    """One channel of a run.

    Attributes:
        verdicts: Cells by verdict; every verdict is there.
        records: Joined to calls under test.
        median_seconds: Median of the cells' median delays; None where nothing was logged.
        max_seconds: Largest delay.
        deliveries, rejects: Arrivals, and log lines that did not parse.
    """

    channel: str
    verdicts: Mapping[Verdict, int]
    records: int
    median_seconds: float | None
    max_seconds: float | None
    deliveries: int
    rejects: int


def by_channel(result: Result) -> list[ChannelSummary]:
    """Return the channels of a run in the order of its matrix."""
    summaries = []
    for channel in dict.fromkeys(cell.channel for cell in result.cells):
        cells = [cell for cell in result.cells if cell.channel == channel]
        counts = Counter(cell.verdict for cell in cells)
        delays = [cell.delay for cell in cells if cell.delay]
        arrived = result.deliveries.get(channel, {})
        summaries.append(
            ChannelSummary(
                channel=channel,
                verdicts={verdict: counts[verdict] for verdict in Verdict},
                records=sum(cell.records for cell in cells),
                median_seconds=median(each.median_seconds for each in delays) if delays else None,
                max_seconds=max((each.max_seconds for each in delays), default=None),
                deliveries=arrived.get("deliveries", 0),
                rejects=arrived.get("rejects", 0),
            )
        )
    return summaries


def executed_rows(result: Result) -> tuple[int, int]:
    """Return how many rows were executed, and how many there are."""
    executed = {(cell.operation, cell.variant) for cell in result.cells if cell.verdict is not Verdict.NOT_RUN}
    return len(executed), len({(cell.operation, cell.variant) for cell in result.cells})
