"""Who may ask other services than S3: a request is authenticated and authorized here before moto sees it.

The identity policies of the caller decide, and the trust policy of a role that is to be assumed; other resource
policies (queues, keys) are not evaluated.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from moto.iam.models import iam_backends

from harness.embedded import signature
from harness.embedded.authorization import allowed, identity_policies, may_assume
from harness.embedded.configurations import RefusedError, Reply
from harness.embedded.credentials import secret_of
from harness.embedded.permissions import Need, of_service
from harness.embedded.principals import ACCOUNT_ID, Principal, principal_of
from harness.embedded.wire import Request

_HASH = "x-amz-content-sha256"


def refusal_of(request: Request, now: datetime) -> Reply | None:
    """Return the answer to a request that is refused, None for one that moto may serve.

    Args:
        request: Signed for another service than S3.
        now: Real time, aware UTC, as for ``signature.check``.
    """
    try:
        # Only S3's clients name the hash of the body in a header; in the signature it stands everywhere.
        named = {_HASH: hashlib.sha256(request.body).hexdigest()} | dict(request.headers)
        signature.check(replace(request, headers=named), secret_of, now, services=(request.service,))
    except RefusedError as refused:
        code = "InvalidClientTokenId" if refused.code == "InvalidAccessKeyId" else refused.code
        return _answer(request, code, refused.message)
    principal = principal_of(request.access_key)
    _, needs = of_service(request)
    for need in needs:
        if not _is_allowed(principal, need):
            why = f"User: {principal.arn} is not authorized to perform: {need.action} on resource: {need.resource}"
            return _answer(request, "AccessDenied", why)
    return None


def _is_allowed(principal: Principal, need: Need) -> bool:
    policies = identity_policies(principal)
    context = {"aws:SecureTransport": "true", **need.context}
    account = need.resource.split(":")[4] if need.resource.count(":") >= 5 else ""
    if need.action != "sts:AssumeRole" or account != ACCOUNT_ID:
        # Roles of other accounts are made up, and trust everybody.
        return allowed(principal, need.action, need.resource, policies, None, principal.account_id, context)
    role = _role(need.resource)
    if role is None:
        return False
    trust = json.loads(role.assume_role_policy_document)
    return may_assume(principal, need.resource, policies, trust, ACCOUNT_ID, context)


def _role(arn: str) -> Any:
    roles = list(iam_backends[ACCOUNT_ID]["aws"].roles.values())
    return next((role for role in roles if role.arn == arn), None)


def _answer(request: Request, code: str, message: str) -> Reply:
    """Return an error in the form of the service: JSON protocols with 400, query protocols with 403."""
    if "x-amz-target" in request.headers:
        name = {"AccessDenied": "AccessDeniedException", "InvalidClientTokenId": "UnrecognizedClientException"}
        told = {"__type": name.get(code, code), "message": message, "Message": message}
        return Reply(400, json.dumps(told).encode(), (("Content-Type", "application/x-amz-json-1.1"),))
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Reply(403, f"<ErrorResponse>{error}</ErrorResponse>".encode(), (("Content-Type", "text/xml"),))
