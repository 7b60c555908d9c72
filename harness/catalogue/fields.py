"""Which class is expected of which field of which channel: data (``fields.csv``), read once.

Classes: ``equal`` to an attribute of the call, ``derived`` from the call (a named check of ``analyse/fields.py``),
``name`` (what the matrix counts), ``format`` (constant for a principal or a target), ``volatile`` (differs between
runs). A field that the table does not name is ``format``. A field of any class may be ``absent`` in all records.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from harness.model import CLOUDTRAIL, EVENT_CHANNELS, SERVER_ACCESS, SERVER_ACCESS_CLOUDWATCH, Record


@dataclass(frozen=True, slots=True)
class FieldClass:
    """What is expected of a field."""

    kind: str
    check: str = ""


_OTHER = FieldClass("format")
RELATED = {
    (SERVER_ACCESS, "operation"): {"REST.COPY.OBJECT_GET", "REST.COPY.PART_GET", "BATCH.DELETE.OBJECT"},
    (CLOUDTRAIL, "eventType"): {"AwsServiceEvent"},
    (CLOUDTRAIL, "sourceIPAddress"): {"AWS Internal"},
}
"""Values that mark a record as one of something inside the call: a copy's source read, one key of a batch delete
(S3 User Guide, server access log format; CloudTrail User Guide, record contents, April 2026)."""


def is_related(record: Record) -> bool:
    """Tell whether a record is about something inside its call, and not about the call itself."""
    kind = CLOUDTRAIL if record.channel in EVENT_CHANNELS else record.channel
    kind = SERVER_ACCESS if kind == SERVER_ACCESS_CLOUDWATCH else kind
    marks = ((name, values) for (channel, name), values in RELATED.items() if channel == kind)
    return any(record.fields.get(name) in values for name, values in marks)


@cache
def _table() -> Mapping[tuple[str, str], FieldClass]:
    text = resources.files("harness.catalogue").joinpath("fields.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(r["channel"], r["field"]): FieldClass(r["class"], r["check"] or "") for r in rows}


def field_class(channel: str, name: str) -> FieldClass:
    """Return the class of a field of a channel; a CloudTrail event has CloudTrail's fields wherever it arrives."""
    table = _table()
    if channel in EVENT_CHANNELS and (channel, name) not in table:
        channel = CLOUDTRAIL
    return table.get((channel, name), _OTHER)
