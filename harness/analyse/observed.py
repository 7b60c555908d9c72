"""What a run saw, by name: whose records a name stands on, and which records an operation left in all its variants."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analyse.join import Pair
from harness.analyse.verify import Seen
from harness.catalogue.fields import is_related

Writer = tuple[str, bool]
"""An operation, and whether the record is of something inside its call (copy source, batch member)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The records of the calls under test.

    Attributes:
        pairs: Them, by channel, then by operation and whether they are of something inside the call.
    """

    pairs: Mapping[str, Mapping[Writer, Sequence[Pair]]]

    @classmethod
    def of(cls, seen: Seen) -> Observed:
        """Arrange what a run saw."""
        found: defaultdict[str, defaultdict[Writer, list[Pair]]] = defaultdict(lambda: defaultdict(list))
        for (operation, _, channel), pairs in seen.pairs.items():
            for pair in pairs:
                found[channel][operation, is_related(pair.record)].append(pair)
        return cls({channel: dict(of_channel) for channel, of_channel in found.items()})

    def of_channel(self, channel: str) -> Mapping[Writer, Sequence[Pair]]:
        """Return every record of a channel by what left it."""
        return self.pairs.get(channel, {})

    def own(self, channel: str, operation: str) -> Sequence[Pair]:
        """Return the records of an operation's own requests."""
        return self.of_channel(channel).get((operation, False), ())

    def inside(self, channel: str, operation: str) -> Sequence[Pair]:
        """Return the records of something inside an operation's calls."""
        return self.of_channel(channel).get((operation, True), ())

    def by_name(self, channel: str) -> Mapping[str, Mapping[Writer, int]]:
        """Return what left records of each name, with their number."""
        found: defaultdict[str, Counter[Writer]] = defaultdict(Counter)
        for writer, pairs in self.of_channel(channel).items():
            for pair in pairs:
                found[pair.record.name][writer] += 1
        return dict(found)
