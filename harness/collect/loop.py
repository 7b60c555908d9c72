"""One poll loop: every channel at its own interval, until nothing is outstanding or the deadline has passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryCallState, Retrying, retry_if_result
from tenacity.wait import wait_base

from harness.channels import Channel
from harness.channels.log_objects import OVERLAP
from harness.clock import Clock
from harness.environment.site import Site, code_of, refuse_expired
from harness.events import CollectProgress, Event, Warned
from harness.model import Delay, Delivery, Ours, Record
from harness.redact import without_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """What is still to come, per channel.

    Attributes:
        arrived, expected: Records.
        open_channels: Those that must be polled on.
        waiting_for: What the wait is for, in the user's words.
        done_by: When all of it may have come, from what each channel has shown so far; None when nothing is awaited.
        delays: Of the calls whose first record has come, per channel; what is missing is later than that.
    """

    arrived: Mapping[str, int]
    expected: Mapping[str, int]
    open_channels: frozenset[str]
    waiting_for: str = ""
    done_by: datetime | None = None
    delays: Mapping[str, Delay] = field(default_factory=dict)


@dataclass(slots=True)
class Collector:
    """Polls channels into the journal.

    Args:
        site: The run's resources.
        channels: What to poll.
        take: Called with every new record and its delivery.
        outstanding: Called after each round with the times of the last complete polls.
        ours: Which records to keep: a trail shows the whole account, and what is of others is only counted.
        cost: Per channel, polls and the requests that looked for what is new.
        since: When the last call was made: the longer ago that is, the less often is polled.
        polled_at: When the last complete poll of each channel began.
    """

    site: Site
    channels: Sequence[Channel]
    take: Callable[[Record, Delivery], object]
    outstanding: Callable[[Mapping[str, datetime]], Outstanding]
    ours: Ours | None = None
    since: datetime | None = None
    polled_at: dict[str, datetime] = field(default_factory=dict)
    cost: dict[str, Counter[str]] = field(default_factory=dict)
    _due: dict[str, datetime] = field(default_factory=dict)
    _warned: set[tuple[str, str]] = field(default_factory=set)
    _events: list[Event] = field(default_factory=list)

    def run(self, deadline: datetime) -> Iterator[Event]:
        """Poll until nothing is outstanding or the deadline has passed; yields progress after every round.

        Args:
            deadline: On the run's clock. One last round is made at or after it.
        """
        clock = self.site.clock
        rounds = Retrying(
            sleep=clock.sleep,
            wait=_UntilDue(clock, self._due, deadline),
            stop=lambda _state: last,
            retry=retry_if_result(lambda outstanding: bool(outstanding.open_channels)),
            retry_error_callback=lambda _state: None,
        )
        last = False
        for attempt in rounds:
            # A round that began in time may end late: one that begins at or after the deadline is the last.
            last = clock.now() >= deadline
            told = self.poll_due(every=last)
            state = self.outstanding(self.polled_at)
            with attempt:
                pass
            attempt.retry_state.set_result(state)
            yield from told
            yield self._progress(state, deadline)

    def poll_due(self, *, every: bool = False) -> list[Event]:
        """Poll the channels that are due, or every one; returns what is worth telling.

        Raises:
            CredentialsError: The credentials have expired: polling on would be in vain.
        """
        for channel in self.channels:
            now = self.site.clock.now()
            if every or now >= self._due.get(channel.name, now):
                self._poll(channel)
        told = list(self._events)
        self._events.clear()
        return told

    def _progress(self, state: Outstanding, deadline: datetime) -> CollectProgress:
        counts = self.site.journal.delivery_counts()
        return CollectProgress(
            arrived=state.arrived,
            expected=state.expected,
            rejects={channel: numbers["rejects"] for channel, numbers in counts.items()},
            now=self.site.clock.now(),
            deadline=deadline,
            waiting_for=state.waiting_for,
            done_by=state.done_by,
            delays=state.delays,
            calls_made=self.site.journal.next_call_number() - 1,
        )

    def _poll(self, channel: Channel) -> None:
        """Poll one channel once. An error of AWS's is told once and tried again at the next round."""
        clock, journal = self.site.clock, self.site.journal
        began = clock.now()
        waited = (began - self.since).total_seconds() if self.since else 0.0
        self._due[channel.name] = began + timedelta(seconds=channel.policy.interval_after(waited))
        first_call = journal.next_call_number()
        since = datetime.fromisoformat(journal.cursor(channel.name) or journal.fact("started_at"))
        journal.forget_foreign(channel.name, since - timedelta(seconds=channel.policy.absence_seconds) - 2 * OVERLAP)
        try:
            for delivery in channel.poll(self.site, since, journal.known_deliveries(channel.name)):
                parsed = without_secrets(channel.parse(delivery, self.ours))
                journal.deliver(delivery, parsed)
                for record in parsed.records:
                    self.take(record, delivery)
                if delivery.body is None:
                    self._warn(channel.name, delivery.name, f"{delivery.name} vanished between list and get")
                for reject in parsed.rejects:
                    self._warn(channel.name, delivery.name, f"{delivery.name}: {reject.reason}")
        except (ClientError, BotoCoreError) as error:
            refuse_expired(error)
            self._warn(channel.name, code_of(error), f"polling {channel.name} failed and goes on: {error}")
            return
        finally:
            made = journal.operations_since(first_call)
            cost = self.cost.setdefault(channel.name, Counter())
            cost.update(polls=1, looks=sum(n for name, n in made.items() if name in channel.policy.looks))
        journal.move_cursor(channel.name, began.isoformat())
        journal.polled(channel.name, began)
        self.polled_at[channel.name] = began
        journal.note("polled_at", {k: v.isoformat() for k, v in self.polled_at.items()})

    def _warn(self, channel: str, what: str, message: str) -> None:
        if (channel, what) not in self._warned:
            self._warned.add((channel, what))
            self._events.append(Warned(message=message))


def polling_cost(collector: Collector, began: datetime) -> dict[str, dict[str, float]]:
    """Return what polling has cost since a time, per channel: polls, requests that looked, and those an hour."""
    hours = (collector.site.clock.now() - began).total_seconds() / 3600
    return {
        channel: {
            "polls": n["polls"],
            "looks": n["looks"],
            "looks_an_hour": round(n["looks"] / hours, 1) if hours else 0,
        }
        for channel, n in collector.cost.items()
    }


class _UntilDue(wait_base):
    """A tenacity wait: until the next channel is due, and never past the deadline."""

    def __init__(self, clock: Clock, due: Mapping[str, datetime], deadline: datetime) -> None:
        self._clock, self._due, self._deadline = clock, due, deadline

    def __call__(self, retry_state: RetryCallState) -> float:
        now = self._clock.now()
        upcoming = min([*self._due.values(), self._deadline])
        return max(0.0, (max(upcoming, now) - now).total_seconds())
