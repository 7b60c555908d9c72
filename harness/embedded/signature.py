"""Whether a request is signed by whom it names: Signature Version 4 in a header, in a presigned URL, in a form post.

Codes and messages are those of the S3 API Reference (Error responses; Authenticating Requests, Signature Version 4;
POST Policy). Not verified: chunk signatures of ``STREAMING-*`` payloads, and the region of the scope.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from harness.embedded.configurations import RefusedError
from harness.embedded.wire import Request

ALGORITHM = "AWS4-HMAC-SHA256"
S3_SCOPES = ("s3", "s3express", "s3-object-lambda")
MAX_SKEW = timedelta(minutes=15)
MAX_EXPIRES_SECONDS = 604_800
_QUERY = tuple(f"X-Amz-{n}" for n in ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires"))
_OLD_QUERY = ("AWSAccessKeyId", "Signature")
_FORM = ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_HASH = "x-amz-content-sha256"
_HEADER_ERROR, _QUERY_ERROR = "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError"
_FORBIDDEN = ("AccessDenied", "InvalidAccessKeyId", "RequestTimeTooSkewed", "SignatureDoesNotMatch")
_MESSAGES = {
    _HEADER_ERROR: "The authorization header is malformed; ",
    _QUERY_ERROR: "Error parsing the X-Amz-Credential parameter; ",
    "InvalidRequest": f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}.",
    "RequestTimeTooSkewed": "The difference between the request time and the current time is too large.",
    "XAmzContentSHA256Mismatch": f"The provided '{_HASH}' header does not match what was computed.",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """What an access key is verified with; a long-term key has neither token nor end (aware UTC)."""

    secret_access_key: str
    session_token: str | None
    expires_at: datetime | None


SecretOf = Callable[[str], Secret | None]


def check(request: Request, secret_of: SecretOf, now: datetime, services: Collection[str] = S3_SCOPES) -> None:
    """Verify who sent a request; an anonymous one passes.

    Args:
        request: As it was received.
        secret_of: Returns what an access key is verified with, None for an unknown one.
        now: Real time, aware UTC: signatures do not follow the server's own clock.
        services: For which it may be signed.

    Raises:
        RefusedError: As S3 refuses it.
    """
    names = {name for name, _ in request.query} & {*_QUERY, *_OLD_QUERY}
    authorization = request.headers.get("authorization")
    if authorization is None and not names:
        return
    if authorization is not None and names:
        raise _refused("InvalidArgument", "Only one auth mechanism allowed")
    if names.intersection(_OLD_QUERY) or (authorization or "").startswith(("AWS ", "AWS4-ECDSA-")):
        raise _refused("InvalidRequest")
    claim = _query_claim(request, now) if authorization is None else _header_claim(request, authorization, now)
    code = _QUERY_ERROR if authorization is None else _HEADER_ERROR
    scope = _scope(claim["Credential"], claim["Date"], code, services)
    if scope[0] != request.access_key:
        raise _refused(code, f"{_MESSAGES[code]}it names more than one access key.")
    signed = claim["SignedHeaders"].split(";")
    # Else a presigned PUT could be made a copy of any object by one more header.
    amz = {name for name in request.headers if name.startswith("x-amz-") and name != _HASH}
    if not amz | {"host"} <= {name.replace("_", "-") for name in signed}:
        raise _refused("AccessDenied", "There were headers present in the request which were not signed")
    path, _, query = request.target.partition("?")
    lines = [request.method, path or "/", _canonical_query(query)]
    # WSGI cannot tell an underscore from a dash, but moto lets both through in x-amz-meta-*.
    values = [request.headers.get(name, request.headers.get(name.replace("_", "-"), "")) for name in signed]
    lines += [f"{name}:{' '.join(value.split())}" for name, value in zip(signed, values, strict=True)]
    payload_hash = claim["Content-Sha256"]
    canonical = "\n".join([*lines, "", ";".join(signed), payload_hash])
    # WSGI's strings are bytes in disguise (PEP 3333): latin-1 brings back what was sent.
    hashed = hashlib.sha256(canonical.encode("latin-1", "replace")).hexdigest()
    text = "\n".join((ALGORITHM, claim["Date"], "/".join(scope[1:]), hashed))
    _verify(scope, claim.get("Security-Token", ""), text, claim["Signature"], secret_of, now)
    if re.fullmatch("[0-9a-fA-F]{64}", payload_hash):
        if payload_hash.lower() != hashlib.sha256(request.body).hexdigest():
            raise _refused("XAmzContentSHA256Mismatch")
    elif payload_hash != "UNSIGNED-PAYLOAD" and not payload_hash.startswith("STREAMING-"):
        raise _refused("InvalidArgument", f"{_HASH} must be UNSIGNED-PAYLOAD, STREAMING-…, or a valid sha256 value.")


def check_form_post(
    fields: Mapping[str, str], secret_of: SecretOf, now: datetime, bucket: str, content_length: int
) -> str | None:
    """Verify a browser's form post: its signature, then everything in the form against its policy.

    Args:
        fields: The form's fields before the file, names in lower case.
        secret_of, now: As for ``check``.
        bucket: The bucket that is posted to, whatever a field of that name says.
        content_length: Size of the file in bytes.

    Returns:
        The access key, or None for an anonymous post.

    Raises:
        RefusedError: As S3 refuses it.
    """
    if "awsaccesskeyid" in fields or fields.get("x-amz-algorithm", ALGORITHM) != ALGORITHM:
        raise _refused("InvalidRequest")
    missing = [name for name in _FORM if name not in fields]
    if len(missing) == len(_FORM):
        return None
    if missing == list(_FORM[1:]):
        raise _refused("AccessDenied", "Access Denied")
    if missing:
        raise _refused("InvalidArgument", f"Bucket POST must contain a field named '{missing[0]}'.")
    scope = _scope(fields["x-amz-credential"], fields["x-amz-date"], _QUERY_ERROR)
    token = fields.get("x-amz-security-token", "")
    _verify(scope, token, fields["policy"], fields["x-amz-signature"], secret_of, now)
    _apply_policy(fields["policy"], {**fields, "bucket": bucket}, now, content_length)
    return scope[0]


def _refused(code: str, message: str | None = None) -> RefusedError:
    return RefusedError(code, message or _MESSAGES[code], 403 if code in _FORBIDDEN else 400)


def _header_claim(request: Request, authorization: str, now: datetime) -> dict[str, str]:
    """Return what the Authorization header and its companions say, by the names that a query has for it."""
    if not authorization.startswith(ALGORITHM):
        raise _refused("InvalidArgument", "Unsupported Authorization Type")
    parts = [part.strip().partition("=")[::2] for part in authorization.removeprefix(f"{ALGORITHM} ").split(",")]
    if sorted(name for name, _ in parts) != ["Credential", "Signature", "SignedHeaders"]:
        raise _refused(_HEADER_ERROR, f"{_MESSAGES[_HEADER_ERROR]}a component is missing, unknown or twice there.")
    date, needs = request.headers.get("x-amz-date", ""), "AWS authentication requires a valid Date or x-amz-date header"
    if abs(now - _time(date, _refused("AccessDenied", needs))) > MAX_SKEW:
        raise _refused("RequestTimeTooSkewed")
    if _HASH not in request.headers:
        raise _refused("InvalidRequest", f"Missing required header for this request: {_HASH}")
    token = request.headers.get("x-amz-security-token", "")
    return dict(parts) | {"Date": date, "Content-Sha256": request.headers[_HASH], "Security-Token": token}


def _query_claim(request: Request, now: datetime) -> dict[str, str]:
    """Return what a presigned URL says, by the names of its parameters without ``X-Amz-``."""
    names = [name for name, _ in request.query]
    if any(names.count(name) != 1 for name in _QUERY) or names.count("X-Amz-Security-Token") > 1:
        raise _refused(_QUERY_ERROR, f"Query-string authentication version 4 requires {', '.join(_QUERY)}, once each")
    claim = {name.removeprefix("X-Amz-"): value for name, value in request.query if name.startswith("X-Amz-")}
    if claim["Algorithm"] != ALGORITHM:
        raise _refused(_QUERY_ERROR, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    signed_at = _time(claim["Date"], _refused(_QUERY_ERROR, "X-Amz-Date must be in the ISO8601 Long Format"))
    if not re.fullmatch("[0-9]{1,9}", claim["Expires"]) or int(claim["Expires"]) > MAX_EXPIRES_SECONDS:
        raise _refused(_QUERY_ERROR, f"X-Amz-Expires should be a number, and not above {MAX_EXPIRES_SECONDS} seconds")
    if signed_at - now > MAX_SKEW:
        raise _refused("AccessDenied", "Request is not yet valid")
    if now - signed_at > timedelta(seconds=int(claim["Expires"])):
        raise _refused("AccessDenied", "Request has expired")
    if _HASH in claim["SignedHeaders"].split(";"):
        claim["Content-Sha256"] = request.headers.get(_HASH, "")
    return {"Content-Sha256": "UNSIGNED-PAYLOAD"} | claim


def _time(timestamp: str, refused: RefusedError) -> datetime:
    try:
        return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise refused from error


def _scope(credential: str, date: str, code: str, services: Collection[str] = S3_SCOPES) -> list[str]:
    """Return access key, date, region, service and terminator of a credential."""
    scope = credential.split("/")
    if len(scope) != 5 or not all(scope) or scope[4] != "aws4_request":
        why = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
    elif scope[3] not in services:
        why = f'incorrect service "{scope[3]}". This endpoint belongs to "s3".'
    elif scope[1] != date[:8]:
        why = f'Invalid credential date "{scope[1]}". This date is not the same as X-Amz-Date: "{date[:8]}".'
    else:
        return scope
    raise _refused(code, _MESSAGES[code] + why)


def _canonical_query(query: str) -> str:
    """Decode and encode anew: what a client signs as ``%20`` it may send as ``+``."""
    pairs = sorted(tuple(map(_encoded, part.partition("=")[::2])) for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in pairs if name != "X-Amz-Signature")


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ").encode("latin-1", "replace")), safe="-_.~")


def _verify(scope: list[str], token: str, text: str, signature: str, secret_of: SecretOf, now: datetime) -> None:
    secret = secret_of(scope[0])
    if secret is None:
        raise _refused("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    if token != (secret.session_token or ""):
        raise _refused("InvalidToken", "The provided token is malformed or otherwise invalid.")
    if secret.expires_at is not None and now >= secret.expires_at:
        raise _refused("ExpiredToken", "The provided token has expired.")
    key = f"AWS4{secret.secret_access_key}".encode()
    for part in (*scope[1:], text):
        key = hmac.digest(key, part.encode("utf-8", "replace"), "sha256")
    # As bytes, because compare_digest takes no other text than ASCII.
    if not hmac.compare_digest(key.hex().encode(), signature.encode("utf-8", "replace")):
        why = "The request signature we calculated does not match the signature you provided."
        raise _refused("SignatureDoesNotMatch", f"{why} Check your key and signing method.")


def _apply_policy(encoded: str, form: Mapping[str, str], now: datetime, content_length: int) -> None:
    """Hold a form against its policy: every condition is met, and every field has one."""
    try:
        policy: Any = json.loads(base64.b64decode(encoded))
        conditions = [_condition(each) for each in policy["conditions"]]
        expired = now >= datetime.fromisoformat(policy["expiration"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused("InvalidPolicyDocument", f"Invalid Policy: {error}") from error
    if expired:
        raise _refused("AccessDenied", "Invalid according to Policy: Policy expired.")
    covered = {"x-amz-signature", "file", "policy"}
    for operator, name, wanted in conditions:
        if operator == "content-length-range":
            if content_length < wanted[0]:
                raise _refused("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
            if content_length > wanted[1]:
                raise _refused("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
            continue
        covered.add(name.lower())
        value = form.get(name.lower())
        if value is None or (value != wanted if operator == "eq" else not value.startswith(wanted)):
            failed = json.dumps([operator, f"${name}", wanted], ensure_ascii=False)
            raise _refused("AccessDenied", f"Invalid according to Policy: Policy Condition failed: {failed}")
    extra = [name for name in form if name not in covered and not name.startswith("x-ignore-")]
    if extra:
        raise _refused("AccessDenied", f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")


def _condition(raw: Any) -> tuple[str, str, Any]:
    """Return operator, field and value of a policy's condition; for a range of lengths, the two bounds as value."""
    match raw:
        case {**single} if len(single) == 1:
            ((name, value),) = single.items()
            return _condition(["eq", f"${name}", value])
        case ["eq" | "starts-with" as operator, str(name), str(value)] if name.startswith("$"):
            return operator, name[1:], value
        case ["content-length-range", int() | str() as low, int() | str() as high]:
            return "content-length-range", "", (int(low), int(high))
    raise ValueError(f"Invalid Condition: {json.dumps(raw)}")
