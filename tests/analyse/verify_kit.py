"""Made-up runs: calls and records go through the real joiner and the real matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from offline import T0, a_call, a_delivery, a_record

from harness.analyse import matrix
from harness.analyse.join import Joiner
from harness.analyse.verify import Seen
from harness.embedded.exchange import Behaviour, behaviours
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Call, CellKey, Delivery, Record, Role

WAIT = {SERVER_ACCESS: 14_400.0, CLOUDTRAIL: 3_600.0}
END = T0 + timedelta(days=7)


def event(name: str, category: str = "data", **fields: Any) -> dict[str, Any]:
    """The fields of a CloudTrail record that say what it is."""
    management = category == "management"
    told = {"eventCategory": "Management" if management else "Data", "managementEvent": management}
    return {"name": name, "fields": {"eventName": name, "eventType": "AwsApiCall", **told, **fields}}


def line(name: str, **fields: Any) -> dict[str, Any]:
    """The fields of an access log record that say what it is."""
    return {"name": name, "fields": {"operation": name, **fields}}


Told = Mapping[str, Sequence[Mapping[str, Any]]]
"""Per channel, the records of one call."""
Row = tuple[str, str]


def a_run(
    rows: Mapping[Row, Told],
    *,
    channels: Iterable[str] = (SERVER_ACCESS, CLOUDTRAIL),
    calls: Mapping[Row, Mapping[str, Any]] | None = None,
    own: Sequence[Call] = (),
    times: int = 1,
    delay: timedelta = timedelta(minutes=3),
    polled_at: Any = END,
) -> Seen:
    """What a run sees that made these calls, each followed by these records; controls before and after arrive."""
    made: list[Call] = [a_call(1, role=Role.CONTROL, cell=None, key="control-1")]
    told: list[Told] = [{channel: [line("REST.PUT.OBJECT")] for channel in channels}]
    for row, records in rows.items():
        for _ in range(times):
            number = len(made) + 1
            changes = {"key": f"key-{number}", **((calls or {}).get(row, {}))}
            made.append(a_call(number, cell=CellKey(operation=row[0], variant=row[1]), operation=row[0], **changes))
            told.append(records)
    made.append(a_call(len(made) + 1, role=Role.CONTROL, cell=None, key="control-2"))
    told.append(told[0])
    joiner = Joiner(made)
    paired = []
    for call, records in zip(made, told, strict=True):
        for channel in channels:
            for index, record in enumerate(records.get(channel, ())):
                found = a_record(call, channel, **{"identity": f"{call.number}-{index}", "offset": index, **record})
                paired.append(arrive(joiner, found, call, delay))
    cells = matrix.build(
        planned={CellKey(operation=o, variant=v): (1, "") for o, v in rows},
        failures={},
        joiner=joiner,
        calls=made,
        channels={channel: WAIT.get(channel, 3_600.0) for channel in channels},
        polled_at=dict.fromkeys(channels, polled_at),
        by_bucket={},
    )
    return Seen.of(cells, [*made, *own], paired)


def arrive(joiner: Joiner, record: Record, call: Call, delay: timedelta) -> tuple[Record, Delivery, Any]:
    """One delivery per record, its name as the channel has it."""
    at = (call.received_at or call.sent_at) + delay
    name = {
        SERVER_ACCESS: f"s3://logs/sal/{at:%Y-%m-%d-%H-%M-%S}-{call.number:016X}",
        CLOUDTRAIL: (
            f"s3://trail/AWSLogs/111122223333/CloudTrail/us-east-1/{at:%Y/%m/%d}/"
            f"111122223333_CloudTrail_us-east-1_{at:%Y%m%dT%H%MZ}_{call.number:016d}.json.gz"
        ),
    }.get(record.channel, f"{record.channel}-{call.number}")
    delivery = a_delivery(name, at, channel=record.channel)
    return record, delivery, joiner.add(record, delivery)


def told_by(behaviour: Behaviour) -> dict[Row, Told]:
    """The rows of one operation, logged as the embedded server's table says."""
    name = behaviour.operation
    own = [line(behaviour.server_access)] if behaviour.server_access else []
    related = [line(behaviour.server_access_related)] if own and behaviour.server_access_related else []
    events = [event(behaviour.event_name, behaviour.event_category)] if behaviour.event_name else []
    inside: list[Mapping[str, Any]] = []
    if events and name in ("CopyObject", "UploadPartCopy"):
        inside = [event("GetObject", sourceIPAddress="AWS Internal")]
    if events and name == "DeleteObjects":
        inside = [event("DeleteObject", eventType="AwsServiceEvent")]
    rows: dict[Row, Told] = {(name, "ok"): {SERVER_ACCESS: own + related, CLOUDTRAIL: events + inside}}
    if name == "CreateBucket":  # a bucket that is just being made has no logging
        rows = {(name, "ok"): {CLOUDTRAIL: events}, (name, "already-owned"): rows[name, "ok"]}
    if name == "DeleteBucket":
        rows[name, "not-empty"] = rows[name, "ok"]
    return rows


def merged(base: Seen, changed: Seen) -> Seen:
    """The first run, but where the second says something."""
    return replace(
        base,
        cells={**base.cells, **changed.cells},
        pairs={**{k: p for k, p in base.pairs.items() if k not in changed.cells}, **changed.pairs},
        calls={**base.calls, **changed.calls},
    )


@cache
def default_run() -> Seen:
    rows: dict[Row, Told] = {}
    for behaviour in behaviours().values():
        rows |= told_by(behaviour)
    return a_run(rows)
