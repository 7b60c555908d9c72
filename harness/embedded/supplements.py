"""What the server answers itself for services beside S3, because moto does not, or otherwise than AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.cloudtrail.models import cloudtrail_backends
from moto.logs.models import DeliverySource, logs_backends

from harness.embedded.configurations import Reply
from harness.embedded.history import History, LookupRefusedError
from harness.embedded.principals import ACCOUNT_ID
from harness.embedded.wire import Request

LOG_TYPE = "S3_SERVER_ACCESS_LOGS"
MAX_TRAILS = 5
_JSON = (("Content-Type", "application/x-amz-json-1.1"),)
Answer = Callable[[Mapping[str, Any], str], dict[str, Any] | None]
"""Answers a request's parameters in a Region; None leaves it to moto."""


class ServiceRefusedError(Exception):
    """A refusal in the JSON protocol: error code and message."""


class Supplements:
    """Answers what moto does not; all of it speaks JSON.

    Args:
        history: CloudTrail's event history.
    """

    def __init__(self, history: History) -> None:
        self._answers: Mapping[tuple[str, str], Answer] = {
            ("cloudtrail", "LookupEvents"): history.look_up,
            ("cloudtrail", "CreateTrail"): _within_quota,
            ("logs", "DescribeConfigurationTemplates"): _templates,
            ("logs", "PutDeliverySource"): _put_delivery_source,
            ("logs", "DeleteDeliverySource"): _unused_source,
            ("logs", "DeleteDeliveryDestination"): _unused_destination,
        }

    def answer(self, request: Request) -> Reply | None:
        """Return the answer to a request, None where it is moto's."""
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        answer = self._answers.get((request.service, operation))
        if answer is None:
            return None
        try:
            told = answer(json.loads(request.body or b"{}"), request.region)
        except (ServiceRefusedError, LookupRefusedError) as refused:
            code, message = refused.args
            return _refusal(code, message)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return _refusal("ValidationException", f"the request cannot be read: {error}")
        return None if told is None else Reply(200, json.dumps(told).encode(), _JSON)


def _refusal(code: str, message: str) -> Reply:
    return Reply(400, json.dumps({"__type": code, "message": message}).encode(), _JSON)


def _within_quota(_asked: Mapping[str, Any], region: str) -> None:
    """moto knows no quota; a shadow trail counts too (CloudTrail User Guide, quotas)."""
    trails = [t for each in list(cloudtrail_backends[ACCOUNT_ID].values()) for t in each.trails.values()]
    if sum(t.is_multi_region or t.region_name == region for t in trails) >= MAX_TRAILS:
        raise ServiceRefusedError(
            "MaximumNumberOfTrailsExceededException", f"User: {ACCOUNT_ID} already has {MAX_TRAILS} trails in {region}."
        )


def _templates(asked: Mapping[str, Any], _region: str) -> dict[str, Any] | None:
    if asked.get("service") != "s3":
        return None
    template = {
        "service": "s3",
        "logType": LOG_TYPE,
        "resourceType": "bucket",
        "deliveryDestinationType": "CWL",
        "allowedOutputFormats": ["json"],
    }
    wanted = asked.get("logTypes") or [LOG_TYPE]
    return {"configurationTemplates": [template] if LOG_TYPE in wanted else []}


def _put_delivery_source(asked: Mapping[str, Any], region: str) -> dict[str, Any] | None:
    """moto knows no delivery source of S3's."""
    arn = str(asked.get("resourceArn", ""))
    if arn.split(":")[2:3] != ["s3"]:
        return None
    if asked.get("logType") != LOG_TYPE:
        raise ServiceRefusedError("ValidationException", "This service is not allowed for this LogSource.")
    logs, name = logs_backends[ACCOUNT_ID][region], str(asked["name"])
    known = logs.delivery_sources.get(name)
    if known is not None and arn not in known.resource_arns:
        raise ServiceRefusedError("ConflictException", f"The delivery source {name} has another resource.")
    made = DeliverySource(ACCOUNT_ID, region, name, arn, LOG_TYPE, asked.get("tags"))
    logs.delivery_sources[name] = made
    return {"deliverySource": made.to_dict()}


def _unused_source(asked: Mapping[str, Any], region: str) -> None:
    deliveries = list(logs_backends[ACCOUNT_ID][region].deliveries.values())
    if any(each.delivery_source_name == asked.get("name") for each in deliveries):
        raise ServiceRefusedError("ConflictException", "The delivery source still has a delivery.")


def _unused_destination(asked: Mapping[str, Any], region: str) -> None:
    deliveries = list(logs_backends[ACCOUNT_ID][region].deliveries.values())
    arn = f"arn:aws:logs:{region}:{ACCOUNT_ID}:delivery-destination:{asked.get('name')}"
    if any(each.delivery_destination_arn == arn for each in deliveries):
        raise ServiceRefusedError("ConflictException", "The delivery destination still has a delivery.")
