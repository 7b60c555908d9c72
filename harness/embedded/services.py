"""What the server answers itself for services beside S3; the rest is moto's: logs, events, queues, trails, roles.

A principal's policies are evaluated before either, by action alone: resources of an Allow are not compared, and who
is unknown to IAM is let through, because signatures are checked for S3 only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from moto.cloudtrail.models import cloudtrail_backends
from moto.logs.models import DeliverySource, logs_backends

from harness.embedded.authorization import allowed, identity_policies
from harness.embedded.configurations import Reply
from harness.embedded.history import History, LookupRefusedError
from harness.embedded.principals import ACCOUNT_ID, principal_of
from harness.embedded.wire import Request

LOG_TYPE = "S3_SERVER_ACCESS_LOGS"
MAX_TRAILS = 5
_CHECKED = ("cloudtrail", "logs", "events", "sqs", "iam")
Answer = Callable[[Mapping[str, Any], str], dict[str, Any] | None]
"""Answers a request's parameters in a Region; None leaves it to moto."""


class ServiceRefusedError(Exception):
    """A refusal in the JSON protocol: error code and message."""


class Services:
    """Answers what moto does not, or does otherwise than AWS.

    Args:
        history: CloudTrail's event history.
    """

    def __init__(self, history: History) -> None:
        self._answers: Mapping[tuple[str, str], Answer] = {
            ("cloudtrail", "LookupEvents"): lambda asked, _region: history.look_up(asked),
            ("cloudtrail", "CreateTrail"): _within_quota,
            ("logs", "DescribeConfigurationTemplates"): _templates,
            ("logs", "PutDeliverySource"): _put_delivery_source,
            ("logs", "DeleteDeliverySource"): _unused_source,
            ("logs", "DeleteDeliveryDestination"): _unused_destination,
        }

    def answer(self, request: Request) -> Reply | None:
        """Return the answer to a request, None where it is moto's."""
        operation = _operation(request)
        principal = principal_of(request.access_key)
        if request.service in _CHECKED and principal.arn and not _may(principal, f"{request.service}:{operation}"):
            message = f"User: {principal.arn} is not authorized to perform: {request.service}:{operation}"
            return _refusal("AccessDenied" if request.service == "iam" else "AccessDeniedException", message, request)
        answer = self._answers.get((request.service, operation))
        if answer is None:
            return None
        try:
            told = answer(json.loads(request.body or b"{}"), request.region)
        except (ServiceRefusedError, LookupRefusedError) as refused:
            code, message = refused.args
            return _refusal(code, message, request)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return _refusal("ValidationException", f"the request cannot be read: {error}", request)
        return None if told is None else Reply(200, json.dumps(told).encode(), _JSON)


_JSON = (("Content-Type", "application/x-amz-json-1.1"),)


def _operation(request: Request) -> str:
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    return parse_qs(request.body.decode("utf-8", "replace")).get("Action", [""])[0]


def _may(principal: Any, action: str) -> bool:
    policies = []
    for policy in identity_policies(principal):
        statements = policy.get("Statement", [])
        listed = statements if isinstance(statements, list) else [statements]
        policies.append({"Statement": [_anywhere(each) for each in listed]})
    return allowed(principal, action, "*", policies, None, principal.account_id, {})


def _anywhere(statement: Any) -> Any:
    """Return an Allow without its resources; a Deny keeps them."""
    is_allow = isinstance(statement, Mapping) and statement.get("Effect") == "Allow"
    return {k: v for k, v in statement.items() if k != "NotResource"} | {"Resource": "*"} if is_allow else statement


def _refusal(code: str, message: str, request: Request) -> Reply:
    if request.service == "iam":
        inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return Reply(403, f"<ErrorResponse>{inner}</ErrorResponse>".encode(), (("Content-Type", "text/xml"),))
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
