"""A trail shows the whole account: 100,000 foreign records around 500 of ours are counted, and neither read nor kept.

How long that takes is for ``benchmarks/busy_account.py`` to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from busy_account_kit import FOREIGN, OURS, event, read
from offline import a_delivery, a_record

from harness.analyse.join import Way
from harness.collect.loop import Collector, Outstanding
from harness.environment.site import Site
from harness.formats import cloudtrail
from harness.model import Delivery, Ours, Parsed
from harness.testing import FakeChannel


def test_a_busy_account_is_ignored_and_nothing_of_ours_is_lost(tmp_path: Path) -> None:
    done = read(tmp_path)
    assert done.joined == OURS
    assert done.ways == {Way.REQUEST_ID, Way.MARKER}
    assert done.unmatched == 0
    assert (done.counts["records"], done.counts["foreign"], done.counts["rejects"]) == (OURS, FOREIGN, 0)
    assert done.journal_bytes < 2 * 2**20, "nothing of the account's other events is kept"


def test_a_foreign_record_that_does_not_parse_is_still_a_reject() -> None:
    text = json.dumps({"Records": [event("X", 1), {"no": "name"}]})[:-2] + ", {bad}]}"
    parsed = cloudtrail.parse(text.encode(), lambda _text, _request_id: False)
    assert parsed.foreign == 1
    assert len(parsed.rejects) == 2


class _OneByOne(FakeChannel):
    """A message of others a minute and one of ours an hour, each there for as long as a channel looks back at most."""

    def poll(self, site: Site, since: datetime, known: set[str]) -> Iterator[Delivery]:
        self.known = known
        now, back = site.clock.now(), timedelta(hours=1, minutes=31)
        arrivals = [now - timedelta(minutes=n) for n in range(back // timedelta(minutes=1))]
        names = {f"{at:%H:%M}": at for at in arrivals}
        yield from (a_delivery(name, at, channel="fake") for name, at in names.items() if name not in known)

    def parse(self, delivery: Delivery, ours: Ours | None = None) -> Parsed:
        if delivery.name.endswith(":00"):
            return Parsed((a_record(channel="fake", identity=delivery.name),))
        return Parsed(foreign=1)


def test_names_of_foreign_deliveries_are_forgotten_when_they_are_not_listed_any_more_and_stay_counted(
    site: Site,
) -> None:
    hours, before = 9, 90
    channel = _OneByOne()
    still = Outstanding(arrived={}, expected={}, open_channels=frozenset({"fake"}))
    collector = Collector(site, [channel], lambda _r, _d: None, lambda _: still)
    list(collector.run(site.clock.now() + timedelta(hours=hours)))
    messages = before + hours * 60 + 1
    counts = site.journal.delivery_counts()["fake"]
    assert (counts["deliveries"], counts["records"]) == (messages, hours + 2)
    assert counts["foreign"] == messages - counts["records"]
    assert len(channel.known) < 3 * 60
