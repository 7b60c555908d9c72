"""A trail shows the whole account: 100,000 foreign records around 500 of ours are counted, and neither read nor kept.

How long that takes is for ``benchmarks/busy_account.py`` to say.
"""

from __future__ import annotations

import json
from pathlib import Path

from busy_account_kit import FOREIGN, OURS, event, read

from harness.analyse.join import Way
from harness.formats import cloudtrail


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
