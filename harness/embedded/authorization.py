"""Whether a principal may do what it asks: the IAM evaluation of identity policies and a bucket policy.

Not evaluated: permissions boundaries, session policies, ACLs, policy variables (``${…}`` is literal text), principals
other than ``AWS`` (a ``Service`` is nobody here), and condition operators that are not in ``_TESTS`` (see ``_holds``).
"""

from __future__ import annotations

import csv
import fnmatch
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from moto.iam.models import iam_backends

from harness.embedded.principals import ANONYMOUS, Principal

Policy = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """What an operation needs permission for (``actions.csv``).

    Attributes:
        action: The IAM action; what some requests need beside it, or instead, is in ``permissions.py``.
        resource: ``service``, ``bucket`` or ``object``.
    """

    operation: str
    action: str
    resource: str

    def arn(self, bucket: str | None, key: str | None) -> str:
        """Return the ARN of the resource that a request concerns, as policies name it."""
        return arn_of(self.resource, bucket, key)


def arn_of(kind: str, bucket: str | None, key: str | None) -> str:
    """Return the ARN of a ``service``, ``bucket`` or ``object``."""
    path = {"service": "*", "bucket": f"{bucket}", "object": f"{bucket}/{key}"}[kind]
    return f"arn:aws:s3:::{path}"


@cache
def actions() -> Mapping[str, Action]:
    """Return the actions by operation: S3 User Guide, Required permissions for Amazon S3 API operations; botocore."""
    text = resources.files("harness.embedded").joinpath("actions.csv").read_text("utf-8")
    return {row["operation"]: Action(**row) for row in csv.DictReader(text.splitlines())}


def identity_policies(principal: Principal) -> list[dict[str, Any]]:
    """Return the policy documents of a user (with its groups) or an assumed role; none where that is gone."""
    if principal.arn is None:
        return []
    iam = iam_backends[principal.account_id]["aws"]
    if principal.issuer:
        holders: list[Any] = [role for role in list(iam.roles.values()) if role.arn == principal.issuer[1]]
    else:
        holders = [user for user in list(iam.users.values()) if user.name == principal.user_name]
        holders += [group for group in list(iam.groups.values()) if any(user in group.users for user in holders)]
    documents = [text for holder in holders for text in list(holder.policies.values())]
    managed = [policy for holder in holders for policy in list(holder.managed_policies.values())]
    documents += [
        v.document for policy in managed for v in policy.versions if v.version_id == policy.default_version_id
    ]
    return [json.loads(text) for text in documents]


def allowed(
    principal: Principal,
    action: str,
    resource: str,
    policies: Sequence[Policy],
    bucket_policy: Policy | None,
    owner_account: str,
    context: Mapping[str, str],
) -> bool:
    """Evaluate as IAM does: a Deny wins; within an account one Allow is enough; across accounts both sides must allow.

    Args:
        action: E.g. ``s3:GetObject``.
        resource: The ARN that the request concerns.
        policies: The principal's identity policies.
        bucket_policy: The bucket's, if it has one.
        owner_account: The account that owns the bucket; the principal's own for an operation on no bucket.
        context: Condition keys of the request in any case, e.g. ``aws:SourceIp``.
    """
    known = {key.lower(): value for key, value in context.items()}
    by_identity = {e for policy in policies for e, _ in _effects(policy, principal, action, resource, known)}
    by_bucket = set(_effects(bucket_policy or {}, principal, action, resource, known))
    if "Deny" in by_identity or by_bucket & {("Deny", "itself"), ("Deny", "account")}:
        return False
    if principal.arn is None or principal.account_id == owner_account:
        return "Allow" in by_identity or ("Allow", "itself") in by_bucket
    return "Allow" in by_identity and bool(by_bucket & {("Allow", "itself"), ("Allow", "account")})


def denies_everybody(bucket_policy: Policy, action: str, resource: str) -> bool:
    """Tell whether a bucket's policy denies something to everybody, AWS's services included."""
    return ("Deny", "itself") in _effects(bucket_policy, ANONYMOUS, action, resource, {})


def may_assume(
    principal: Principal,
    role: str,
    policies: Sequence[Policy],
    trust: Policy,
    owner_account: str,
    context: Mapping[str, str],
) -> bool:
    """Evaluate a role's trust policy with the caller's own: the trust must name the caller, or the caller's account.

    Args:
        role: Its ARN.
        trust: Its trust policy, whose statements have no resource: it is the role.
        principal, policies, owner_account, context: As for ``allowed``.
    """
    statements = [{**each, "Resource": "*"} for each in _listed(trust.get("Statement")) if isinstance(each, Mapping)]
    whole, action = {"Statement": statements}, "sts:AssumeRole"
    known = {key.lower(): value for key, value in context.items()}
    trusted = any(e == "Allow" and named for e, named in _effects(whole, principal, action, role, known))
    return trusted and allowed(principal, action, role, policies, whole, owner_account, context)


def _effects(
    policy: Policy, principal: Principal, action: str, resource: str, known: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield effect and naming (see ``_named``) of every statement that a request meets."""
    for each in _listed(policy.get("Statement")):
        asked = isinstance(each, Mapping) and _covers(each, "Action", action, str.lower)
        if asked and _covers(each, "Resource", resource) and _holds(each, known):
            yield str(each.get("Effect")), _named(each, principal)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _like(pattern: str, value: str) -> bool:
    """Match IAM's wildcards: ``*`` also matches the line feeds that keys may have, and brackets are literal."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == value  # most of a long policy, and half the time
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _covers(statement: Policy, element: str, value: str, fold: Callable[[str], str] = str) -> bool:
    negated = f"Not{element}" in statement
    patterns = _listed(statement.get(f"Not{element}" if negated else element))
    return any(_like(fold(str(pattern)), fold(value)) for pattern in patterns) != negated


def _named(statement: Policy, principal: Principal, element: str = "Principal") -> str:
    """Tell whether a statement names a principal ``itself``, only its ``account``, or neither.

    An account in an Allow delegates: it lets that account's own policies decide, and grants nothing by itself.
    """
    if "NotPrincipal" in statement and element == "Principal":
        # Of a Deny only: in an Allow it would let in the rest of the world.
        spared = _named(statement, principal, "NotPrincipal") or statement.get("Effect") != "Deny"
        return "" if spared else "itself"
    named = statement.get(element)
    names = _listed(named.get("AWS") if isinstance(named, Mapping) else named)
    if any(name in names for name in ("*", principal.arn, principal.issuer and principal.issuer[1]) if name):
        return "itself"
    account = principal.account_id
    return "account" if account in names or f"arn:aws:iam::{account}:root" in names else ""


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def _holds(statement: Policy, context: Mapping[str, str]) -> bool:
    """Evaluate a statement's conditions, on the safe side.

    What is no condition, and an unknown operator, never lets an Allow match and never keeps a Deny from matching. A key
    that the request lacks satisfies ``…IfExists``, ``Null`` and, in a Deny, the negated operators (in IAM, in an Allow
    too).
    """
    denies, conditions = statement.get("Effect") == "Deny", statement.get("Condition", {})
    if not isinstance(conditions, Mapping) or not all(isinstance(each, Mapping) for each in conditions.values()):
        return denies
    asked = [(operator, *pair) for operator, block in conditions.items() for pair in block.items()]
    return all(_met(operator, _listed(wanted), context.get(key.lower()), denies) for operator, key, wanted in asked)


def _met(operator: str, wanted: list[Any], value: str | None, denies: bool) -> bool:
    name = operator.removesuffix("IfExists")
    negated, test = "Not" in name, _TESTS.get(name.replace("Not", "", 1))
    if name == "Null":
        return [str(each).lower() for each in wanted] == [str(value is None).lower()]
    if test is None:
        return denies
    if value is None:
        return name != operator or (negated and denies)
    return any(test(str(each), value) for each in wanted) != negated
