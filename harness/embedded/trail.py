"""Writes CloudTrail events and applies a trail's selectors (CloudTrail User Guide, record contents and filtering)."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from harness.embedded.configurations import RefusedError, local_name, parse_body
from harness.embedded.exchange import Exchange
from harness.embedded.lifecycle import Action
from harness.embedded.principals import ACCOUNT_ID
from harness.embedded.switches import Behaviours

_READ_PREFIXES = ("Get", "List", "Head", "Select")
_NO_BODY = ("DeleteObjects", "CompleteMultipartUpload", "PutObjectAnnotation")
_PARAMETERS_LIMIT_BYTES = 100 * 1024
_TEXT_LIMIT = 1024
Event = dict[str, Any]


def events_of(exchange: Exchange, ids: random.Random, switches: Behaviours) -> list[Event]:
    """Return the events of one exchange: its own, then the copy source's read or one per deleted key."""
    if exchange.status == 301 or not exchange.behaviour.event_name:
        return []
    own = _event(exchange, ids)
    if exchange.failed_authentication:
        if switches["failed-authentication"] == "not-delivered":
            return []
        name = f"Authenticate{exchange.error_code}"
        data = {"eventCategory": "Data", "managementEvent": False, "resources": _as_data(own["resources"])}
        return [own | data | {"eventName": name, "eventSource": "s3-authn-errors.amazonaws.com"}]
    events = [own]
    if exchange.copy_source and exchange.status < 300:
        bucket, key, size = exchange.copy_source
        events.append(_copy_read(own, bucket, key, size, ids))
    events += [_member_delete(own, exchange, key, version, ids) for key, version in exchange.members]
    return events


def action_event(action: Action, identifier: str, ids: random.Random) -> Event:
    """Return the event of a lifecycle action, as the CloudTrail User Guide has it; its event names are assumed."""
    arn = f"arn:aws:s3:::{action.bucket}"
    name = {"S3.EXPIRE.OBJECT": "LifecycleExpiration", "S3.CREATE.DELETEMARKER": "LifecycleDeleteMarker"}
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AWSService", "invokedBy": "s3lifecycle.amazonaws.com"},
        "eventTime": f"{action.at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "s3lifecycle.amazonaws.com",
        "eventName": name.get(action.operation, "LifecycleTransition"),
        "awsRegion": action.region,
        "sourceIPAddress": "s3lifecycle.amazonaws.com",
        "userAgent": "s3lifecycle.amazonaws.com",
        "requestParameters": {"bucketName": action.bucket, "key": action.key},
        "responseElements": None,
        "additionalEventData": {},
        "requestID": identifier,
        "eventID": _uuid(ids),
        "readOnly": False,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"{arn}/{action.key}"},
            {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": arn},
        ],
        "eventType": "AwsServiceEvent",
        "managementEvent": False,
        "recipientAccountId": "123456789012",
        "eventCategory": "Data",
    }


def selects(event: Event, basic: Sequence[Mapping[str, Any]], advanced: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a trail with these selectors records an event; with none at all it takes management events."""
    if advanced:
        return any(_advanced(event, selector) for selector in advanced)
    if not basic:
        return bool(event["managementEvent"])
    return any(_basic(event, selector) for selector in basic)


def _basic(event: Event, selector: Mapping[str, Any]) -> bool:
    wanted = selector.get("ReadWriteType", "All")
    if wanted != "All" and (wanted == "ReadOnly") != event["readOnly"]:
        return False
    if event["managementEvent"]:
        included = selector.get("IncludeManagementEvents", True) in (True, "true")
        return included and event["eventSource"] not in selector.get("ExcludeManagementEventSources", ())
    arns = _arns(event)
    for resource in selector.get("DataResources", ()):
        if resource.get("Type") == "AWS::S3::Object":
            for value in resource.get("Values", ()):
                everything = value in ("arn:aws:s3", "arn:aws:s3:::")
                if everything or any(arn.startswith(value) for arn in arns):
                    return True
    return False


def _arns(event: Event) -> list[str]:
    wanted = ("AWS::S3::Object", "AWS::S3Express::Object")
    return [r.get("ARN") or r.get("ARNPrefix", "") for r in event["resources"] if r["type"] in wanted]


def _advanced(event: Event, selector: Mapping[str, Any]) -> bool:
    values: dict[str, list[str]] = {
        "eventCategory": [event["eventCategory"]],
        "eventName": [event["eventName"]],
        "eventSource": [event["eventSource"]],
        "eventType": [event["eventType"]],
        "readOnly": [str(event["readOnly"]).lower()],
        "resources.type": [r["type"] for r in event["resources"] if r["type"] != "AWS::S3::Bucket"],
        "resources.ARN": _arns(event),
        "userIdentity.arn": [event["userIdentity"].get("arn", "")],
    }
    return all(_field(values.get(f["Field"], []), f) for f in selector.get("FieldSelectors", ()))


def _field(values: Sequence[str], condition: Mapping[str, Any]) -> bool:
    """One field selector: select operators are joined by OR, deselect operators by AND."""
    tests: dict[str, Callable[[str, str], bool]] = {
        "Equals": str.__eq__,
        "StartsWith": str.startswith,
        "EndsWith": str.endswith,
    }
    selecting = [(t, condition[n]) for n, t in tests.items() if condition.get(n)]
    if selecting and not any(test(v, wanted) for test, wants in selecting for wanted in wants for v in values):
        return False
    refusing = [(t, condition["Not" + n]) for n, t in tests.items() if condition.get("Not" + n)]
    return not any(test(v, unwanted) for test, unwants in refusing for unwanted in unwants for v in values)


def _event(exchange: Exchange, ids: random.Random) -> Event:
    request, principal = exchange.request, exchange.principal
    name = exchange.behaviour.event_name
    management = exchange.behaviour.event_category == "management"
    identity: Event = {
        "type": principal.kind,
        "principalId": principal.principal_id,
        "arn": principal.arn,
        "accountId": principal.account_id,
        "accessKeyId": principal.access_key,
    }
    if principal.issuer:
        issuer = {"type": "Role", "principalId": principal.issuer[0], "arn": principal.issuer[1]}
        identity["sessionContext"] = {"sessionIssuer": issuer | {"userName": principal.user_name}}
    elif principal.user_name:
        identity["userName"] = principal.user_name
    foreign = principal.arn is not None and principal.account_id != ACCOUNT_ID
    if foreign:
        # The owner's copy names the account only (S3 User Guide, CloudTrail events, cross-account).
        identity = {"type": "AWSAccount", "principalId": principal.principal_id, "accountId": principal.account_id}
    additional: Event = {}
    if request.access_key:
        additional["SignatureVersion"] = "SigV4"
        additional["AuthenticationMethod"] = "QueryString" if request.query_authentication else "AuthHeader"
    additional |= {
        "bytesTransferredIn": 0 if name == "DeleteObjects" else request.payload_bytes,
        "bytesTransferredOut": 0 if name == "DeleteObjects" else exchange.response_bytes,
        "startTime": _milliseconds(exchange.received_at.timestamp()),
        "endTime": _milliseconds(exchange.completed_at.timestamp()),
        "httpStatusCode": exchange.status,
        "x-amz-id-2": exchange.host_id,
    }
    if exchange.acl_required:
        additional["aclRequired"] = "Yes"
    if exchange.object_size is not None and not management:
        additional["objectSize"] = exchange.object_size
    event: Event = {
        "eventVersion": "1.11",
        "userIdentity": {k: v for k, v in identity.items() if v is not None},
        "eventTime": f"{exchange.completed_at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": exchange.behaviour.event_source,
        "eventName": name,
        "awsRegion": exchange.region,
        "sourceIPAddress": request.remote_ip,
        "userAgent": f"[{request.headers.get('user-agent', '')[:_TEXT_LIMIT]}]",
        "requestParameters": _parameters(exchange),
        "responseElements": _response_elements(exchange, name),
        "additionalEventData": additional,
        "requestID": exchange.request_id,
        "eventID": _uuid(ids),
        "readOnly": name.startswith(_READ_PREFIXES),
        "resources": _resources(exchange, name),
        "eventType": "AwsApiCall",
        "managementEvent": management,
        "recipientAccountId": ACCOUNT_ID,
        "eventCategory": "Management" if management else "Data",
    }
    if foreign:
        event["sharedEventID"] = _uuid(ids)
    if exchange.error_code:
        event["errorCode"] = exchange.error_code[:_TEXT_LIMIT]
        event["errorMessage"] = (exchange.error_message or exchange.error_code)[:_TEXT_LIMIT]
    return event


def _parameters(exchange: Exchange) -> Event | None:
    """Requested parameters: bucket, key, query, the x-amz-* headers that ask for something, the body."""
    request = exchange.request
    parameters: Event = {"Host": request.host}
    if request.bucket:
        parameters["bucketName"] = request.bucket
    if request.key:
        parameters["key"] = request.key
    for name, value in request.query:
        if name not in ("X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Credential", "Signature", "x-id"):
            parameters[name] = value
    shown = ("x-amz-acl", "x-amz-copy-source", "x-amz-storage-class", "x-amz-tagging", "x-amz-object-attributes")
    prefixes = ("x-amz-grant-", "x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-object-ownership")
    for name, value in request.headers.items():
        if name in shown or (name.startswith(prefixes) and "customer-key" not in name):
            parameters[name] = value
    body = _body(exchange)
    if body is not None:
        parameters[body[0]] = body[1]
    return parameters if len(json.dumps(parameters)) <= _PARAMETERS_LIMIT_BYTES else None


def _body(exchange: Exchange) -> tuple[str, Any] | None:
    request, operation = exchange.request, exchange.behaviour.operation
    if request.method not in ("PUT", "POST") or operation in _NO_BODY or not request.body:
        return None
    if operation == "PutBucketPolicy":
        try:
            return "bucketPolicy", json.loads(request.body)
        except ValueError:
            return None
    if request.body.lstrip()[:1] != b"<" or operation in ("PutObject", "UploadPart"):
        return None
    try:
        root = parse_body(request.body)
    except RefusedError:
        return None
    value = _xml_to_json(root)
    if isinstance(value, dict) and root.tag.startswith("{"):
        value["xmlns"] = root.tag[1:].partition("}")[0]
    return local_name(root), value


def _xml_to_json(element: ET.Element) -> Any:
    """An element as JSON the way native records show it: a single child is an object, repeated ones an array."""
    if not len(element):
        return element.text or ""
    result: Event = {}
    for child in element:
        name, value = local_name(child), _xml_to_json(child)
        if name not in result:
            result[name] = value
        elif isinstance(result[name], list):
            result[name].append(value)
        else:
            result[name] = [result[name], value]
    return result


def _response_elements(exchange: Exchange, name: str) -> Event | None:
    if name.startswith(_READ_PREFIXES) or exchange.error_code:
        return None
    prefixes = ("x-amz-server-side-encryption", "x-amz-version-id", "x-amz-expiration", "x-amz-delete-marker")
    shown = {k: v for k, v in exchange.response_headers.items() if k.startswith(prefixes)}
    return shown or None


def _resources(exchange: Exchange, name: str) -> list[Event]:
    request = exchange.request
    if not request.bucket:
        return []
    if exchange.behaviour.event_source == "s3express.amazonaws.com":
        arn = f"arn:aws:s3express:{exchange.region}:{ACCOUNT_ID}:bucket/{request.bucket}"
        key = f"/{request.key}" if request.key else ""
        return [
            {"type": "AWS::S3Express::Object", "ARN": f"{arn}{key}"},
            {"accountId": ACCOUNT_ID, "type": "AWS::S3Express::DirectoryBucket", "ARN": arn},
        ]
    arn = f"arn:aws:s3:::{request.bucket}"
    point = [{"accountId": "123456789012", "type": "AWS::S3::AccessPoint", "ARN": exchange.access_point}]
    through = point if exchange.access_point else []
    bucket = {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": arn}
    if request.key:
        return [{"type": "AWS::S3::Object", "ARN": f"{arn}/{request.key}"}, bucket, *through]
    if exchange.behaviour.event_category == "data":
        prefix = (request.param("prefix") or "") if name.startswith("List") else ""
        return [{"type": "AWS::S3::Object", "ARNPrefix": f"{arn}/{prefix}"}, bucket, *through]
    return [bucket]


def _as_data(resources: list[Event]) -> list[Event]:
    """Return resources with an object among them, which data events are selected by."""
    if any(r["type"] == "AWS::S3::Object" for r in resources):
        return resources
    prefixes = [{"type": "AWS::S3::Object", "ARNPrefix": f"{r['ARN']}/"} for r in resources]
    return [*prefixes, *resources]


def _copy_read(own: Event, bucket: str, key: str, size: int | None, ids: random.Random) -> Event:
    """The read of a copy's source: a request id of its own, the same x-amz-id-2, AWS Internal as the client."""
    arn = f"arn:aws:s3:::{bucket}"
    additional = {k: v for k, v in own["additionalEventData"].items() if not k.startswith("bytesTransferred")}
    additional |= {"bytesTransferredIn": 0, "bytesTransferredOut": 0}
    if size is not None:
        additional["objectSize"] = size
    return own | {
        "eventName": "GetObject",
        "eventID": _uuid(ids),
        "requestID": request_id(ids),
        "readOnly": True,
        "sourceIPAddress": "AWS Internal",
        "userAgent": "AWS Internal",
        "userIdentity": own["userIdentity"] | {"invokedBy": "AWS Internal"},
        "requestParameters": {"bucketName": bucket, "key": key, "Host": own["requestParameters"]["Host"]},
        "responseElements": None,
        "additionalEventData": additional,
        "managementEvent": False,
        "eventCategory": "Data",
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"{arn}/{key}"},
            {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": arn},
        ],
    }


def _member_delete(own: Event, exchange: Exchange, key: str, version: str | None, ids: random.Random) -> Event:
    """One deleted key of a batch: an AwsServiceEvent (CloudTrail document history, 9 June 2025)."""
    arn = f"arn:aws:s3:::{exchange.request.bucket}"
    parameters = {"bucketName": exchange.request.bucket, "key": key, "Host": exchange.request.host}
    return own | {
        "eventName": "DeleteObject",
        "eventType": "AwsServiceEvent",
        "eventID": _uuid(ids),
        "requestParameters": parameters | ({"versionId": version} if version else {}),
        "responseElements": None,
        "additionalEventData": own["additionalEventData"] | {"httpStatusCode": 204},
        "resources": [{"type": "AWS::S3::Object", "ARN": f"{arn}/{key}"}, own["resources"][-1]],
    }


def request_id(ids: random.Random) -> str:
    """Return 16 upper-case letters and digits, as AWS's request ids."""
    return "".join(ids.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=16))


def _uuid(ids: random.Random) -> str:
    return str(uuid.UUID(int=ids.getrandbits(128), version=4))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
