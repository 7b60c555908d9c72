"""``calls.parquet`` and ``records.parquet``: every call and every record, with how they were joined."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from harness.analyse.delay import delay_seconds
from harness.model import Call
from harness.report import Result

CALL_COLUMNS = (
    "number",
    "role",
    "service",
    "sent_operation",
    "operation",
    "variant",
    "repeat",
    "attempt",
    "sent_at",
    "received_at",
    "server_date",
    "status",
    "error_code",
    "failure",
    "request_id",
    "host_id",
    "marker",
    "method",
    "host",
    "path",
    "bucket",
    "key",
    "user_agent",
    "expected",
    "sent",
)
RECORD_COLUMNS = (
    "channel",
    "name",
    "event_time",
    "request_id",
    "host_id",
    "bucket",
    "key",
    "status",
    "error_code",
    "user_agent",
    "delivery",
    "offset",
    "arrived_at",
    "seen_at",
    "call_number",
    "call_role",
    "operation",
    "variant",
    "joined_by",
    "delay_seconds",
    "identity",
    "fields",
    "raw",
)


def calls_frame(result: Result) -> pd.DataFrame:
    """Return every call as a row."""
    return pd.DataFrame([_call(call) for call in result.calls], columns=list(CALL_COLUMNS))


def records_frame(result: Result) -> pd.DataFrame:
    """Return every record as a row, whether it was joined or not."""
    rows = []
    for record, delivery, pair in result.paired:
        rows.append(
            {
                "channel": record.channel,
                "name": record.name,
                "event_time": record.event_time,
                "request_id": record.request_id,
                "host_id": record.host_id,
                "bucket": record.bucket,
                "key": record.key,
                "status": record.status,
                "error_code": record.error_code,
                "user_agent": record.user_agent,
                "delivery": delivery.name,
                "offset": record.offset,
                "arrived_at": delivery.arrived_at,
                "seen_at": delivery.seen_at,
                "call_number": pair.call.number if pair else None,
                "call_role": pair.call.role.value if pair else None,
                "operation": pair.call.cell.operation if pair and pair.call.cell else None,
                "variant": pair.call.cell.variant if pair and pair.call.cell else None,
                "joined_by": pair.way.value if pair else None,
                "delay_seconds": delay_seconds(pair) if pair else None,
                "identity": record.identity,
                "fields": json.dumps(dict(record.fields)),
                "raw": record.raw,
            }
        )
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))


def _call(call: Call) -> dict[str, object]:
    return {
        "number": call.number,
        "role": call.role.value,
        "service": call.service,
        "sent_operation": call.operation,
        "operation": call.cell.operation if call.cell else None,
        "variant": call.cell.variant if call.cell else None,
        "repeat": call.repeat,
        "attempt": call.attempt,
        "sent_at": call.sent_at,
        "received_at": call.received_at,
        "server_date": call.server_date,
        "status": call.status,
        "error_code": call.error_code,
        "failure": call.failure,
        "request_id": call.request_id,
        "host_id": call.host_id,
        "marker": call.marker,
        "method": call.method,
        "host": call.host,
        "path": call.path,
        "bucket": call.bucket,
        "key": call.key,
        "user_agent": call.user_agent,
        "expected": json.dumps(dict(call.expected)),
        "sent": json.dumps(dict(call.sent)),
    }


def write(result: Result) -> list[Path]:
    """Write both files; the headline is in their metadata."""
    paths = []
    for name, frame in (("calls", calls_frame(result)), ("records", records_frame(result))):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"s3logjam": result.headline.encode()})
        paths.append(result.folder / f"{name}.parquet")
        pyarrow.parquet.write_table(table, paths[-1])
    return paths
