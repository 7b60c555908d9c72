"""The source buckets beside the main one: made when a scenario asks for one, or all of them before the gate.

Switching logging on takes effect late, bucket by bucket (server access logging: over an hour). Where that is so, a
bucket that was made a second ago shows nothing of what a channel logs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.channels import Channel
from harness.channels.setup import watch
from harness.environment.site import Site, refusing_expired


@dataclass(slots=True)
class SourceBuckets:
    """Makes buckets, has them logged, and keeps those that were made before they are needed.

    Args:
        site: The run's resources; a run that is taken up again finds its stock in the journal.
        channels: That watch every bucket.

    Attributes:
        asked: How many were asked for, by kind: the parameters of CreateBucket, as JSON.
    """

    site: Site
    channels: Sequence[Channel]
    asked: Counter[str] = field(default_factory=Counter)
    _made: int = 0
    _stock: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, name, state, detail in self.site.journal.resources():
            # A run that is taken up again goes on counting: no name is used twice.
            self._made += kind == "bucket"
            if state == "created" and "in_stock" in detail:
                self._stock.setdefault(detail["in_stock"], []).append(name)

    def name(self) -> str:
        """Return a name that no bucket of the run has, and remember it for teardown."""
        self._made += 1
        name = self.site.bucket_name(f"src{self._made}")
        self.site.journal.resource("bucket", name, "intended", self.site.clock.now())
        return name

    def take(self, parameters: Mapping[str, Any]) -> str:
        """Return a bucket that nobody else uses, from the stock or new."""
        kind = json.dumps(parameters, sort_keys=True)
        self.asked[kind] += 1
        if self._stock.get(kind):
            name = self._stock[kind].pop(0)
            self._note(name)
            return name
        name = self._make(parameters)
        self._note(name)
        self.visit([name])
        return name

    def lay_in(self, wanted: Mapping[str, int]) -> Iterator[None]:
        """Make as many buckets of each kind as are wanted and not in stock yet; yields after each."""
        for kind, number in wanted.items():
            there = self._stock.setdefault(kind, [])
            while len(there) < number:
                name = self._make(json.loads(kind))
                self._note(name, in_stock=kind)
                there.append(name)
                yield

    @property
    def in_stock(self) -> frozenset[str]:
        """The buckets that were laid in and are not in use."""
        return frozenset(name for names in self._stock.values() for name in names)

    def visit(self, buckets: Collection[str]) -> None:
        """Make a call to buckets that changes nothing: its record will show that they are logged.

        Nothing is asked where no channel is switched on bucket by bucket; whatever comes of a call but expired
        credentials, the run goes on.
        """
        if any(channel.policy.by_bucket for channel in self.channels):
            for name in buckets:
                with suppress(ClientError, BotoCoreError), refusing_expired():
                    self.site.s3.get_bucket_location(Bucket=name)

    def _make(self, parameters: Mapping[str, Any]) -> str:
        name = self.site.make_bucket(self.name(), **parameters)
        for channel in self.channels:
            watch(channel, self.site, name)
        return name

    def _note(self, name: str, **detail: str) -> None:
        self.site.journal.resource("bucket", name, "created", self.site.clock.now(), logs=False, watched=True, **detail)
