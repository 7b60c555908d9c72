"""Rule languages have names of their own for the logs' fields; here they become the logs' names."""

from __future__ import annotations

from harness.model import CLOUDTRAIL, SERVER_ACCESS

EVENT_NAME = "eventName"
EVENT_SOURCE = "eventSource"
OPERATION = "operation"
_ECS = {
    "event.action": EVENT_NAME,
    "event.provider": EVENT_SOURCE,
    "aws.s3access.operation": OPERATION,
    "aws.cloudtrail.event_name": EVENT_NAME,
}
_ECS_PARAMETERS = "aws.cloudtrail.flattened.request_parameters."
_SQL = {"eventname": EVENT_NAME, "event_name": EVENT_NAME, "eventsource": EVENT_SOURCE, "operation": OPERATION}
_SHAPES = ("REST.", "SOAP.", "BATCH.", "WEBSITE.", "S3.")


def from_ecs(field: str) -> str:
    """Return the log's name of a field of the Elastic Common Schema or of its AWS integration; others stay."""
    if field.startswith(_ECS_PARAMETERS):
        return f"requestParameters.{field.removeprefix(_ECS_PARAMETERS)}"
    return _ECS.get(field, field)


def from_column(column: str) -> str:
    """Return the log's name of an Athena column; columns of users' own tables stay."""
    return _SQL.get(column.lower(), column)


def channel_of_name(name: str) -> str:
    """Return the channel that a name is shaped for."""
    return SERVER_ACCESS if name.upper().startswith(_SHAPES) else CLOUDTRAIL
