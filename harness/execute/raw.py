"""Raw HTTP requests, for what no SDK call makes: presigned URLs, form posts, preflights, websites.

They go through the same session events as boto3's own, so they are journaled and routed like every other call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import boto3
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError
from botocore.hooks import first_non_none_response
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

RAW_CALL = "s3logjam-raw-call"
"""Emitted before the first attempt; botocore's own ``before-call`` has handlers that a raw request has nothing for."""

_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Status, headers (lower-case names) and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def send_raw(
    session: boto3.Session, operation: str, method: str, url: str, headers: Mapping[str, str], body: bytes
) -> RawAnswer:
    """Send one request as it is; redirects are not followed.

    Raises:
        HTTPClientError, ConnectionError: No answer came (botocore's errors); the attempt is journaled.
    """
    told: Any = HeadersDict({"User-Agent": "s3logjam-raw", **headers})
    request = AWSPreparedRequest(method, url, told, body, stream_output=False)
    session.events.emit(RAW_CALL)
    answers = session.events.emit(f"before-send.s3.{operation}", request=request)
    event = f"response-received.s3.{operation}"
    try:
        # Who handles the event may answer in the network's place, as with boto3's own requests.
        response = first_non_none_response(answers) or _connection(session, str(request.url)).send(request)
    except (HTTPClientError, NoConnectionError) as error:
        session.events.emit(event, response_dict=None, parsed_response=None, exception=error)
        raise
    answer = RawAnswer(
        response.status_code, {str(k).lower(): str(v) for k, v in response.headers.items()}, bytes(response.content)
    )
    parsed = {"Error": {"Code": error_code(answer.body)}} if answer.status >= 300 else {}
    seen: dict[str, Any] = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}
    session.events.emit(event, response_dict=seen, parsed_response=parsed, exception=None)
    return answer


def _connection(session: boto3.Session, url: str) -> URLLib3Session:
    """Return what sends as the session's clients do: by its own proxies, else the environment's, and its CA bundle."""
    core = session._session
    own = getattr(core.get_default_client_config(), "proxies", None)
    bundle: Any = core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
    proxies = get_environ_proxies(url) if own is None else own
    return URLLib3Session(verify=bundle, proxies=proxies, timeout=_TIMEOUT_SECONDS)


def error_code(body: bytes) -> str | None:
    """Return the Code of an S3 error document, or None."""
    if b"<Error" not in body or b"<!DOCTYPE" in body:
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - declarations are refused above
    except ET.ParseError:
        return None
    return next((e.text for e in root.iter() if e.tag.rpartition("}")[2] == "Code"), None)
