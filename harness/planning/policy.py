"""The least-privilege IAM policy of a run, from what scenarios, fixtures, channels and the run itself declare.

Resource types are those of the Service Authorization Reference (``actions.csv``, November 2026), scoped to the names
that a run gives: ``s3lm-…``. Nothing in it changes the account as a whole, or a trail that a run did not make.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from harness.channels import Channel, Permission
from harness.environment.site import PREFIX
from harness.errors import ScenarioError, UsageError
from harness.scenario import Scenario, all_scenarios, permissions_of
from harness.selection import Options, plan, selected_channels
from harness.targets import Target
from harness.targets.embedded import ACCOUNT_ID, EmbeddedTarget

Document = dict[str, Any]
MANAGED_POLICY_CHARACTERS = 6144
"""Of a managed policy, white space not counted (IAM User Guide, IAM and AWS STS quotas)."""
_LONGEST_REGION = "ap-southeast-1"
ACCOUNT, REGION = "ACCOUNT", "REGION"
"""What stands in a policy where account and Region were not given."""

_S3, _TABLES = "arn:aws:s3", "arn:aws:s3tables:{region}:{account}:bucket"
_RESOURCES = {
    "any": ("*",),
    "bucket": (f"{_S3}:::{PREFIX}-*",),
    "object": (f"{_S3}:::{PREFIX}-*/*",),
    "access-point": (f"{_S3}:{{region}}:{{account}}:accesspoint/{PREFIX}-*",),
    # Named by an alias of S3's own making: nothing narrower than the account's is possible.
    "multi-region-access-point": (f"{_S3}::{{account}}:accesspoint/*",),
    "job": (f"{_S3}:{{region}}:{{account}}:job/*",),
    "directory-bucket": (f"arn:aws:s3express:{{region}}:{{account}}:bucket/{PREFIX}-*",),
    "role": (f"arn:aws:iam::{{account}}:role/{PREFIX}-*",),
    # S3 Metadata keeps its tables in the account's AWS managed table bucket; its first version, in a given one.
    "table-bucket": (f"{_TABLES}/aws-s3", f"{_TABLES}/{PREFIX}-*"),
    "table": (f"{_TABLES}/aws-s3/table/*", f"{_TABLES}/{PREFIX}-*/table/*"),
}
_BY_ACCESS_POINT = {
    "bucket": _RESOURCES["access-point"],
    "object": (f"{_RESOURCES['access-point'][0]}/object/*",),
}
_CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    # Only names that nobody else can ever own (S3 User Guide, Namespaces for general purpose buckets).
    "s3:CreateBucket": {"StringEquals": {"s3:x-amz-bucket-namespace": "account-regional"}},
    "iam:PassRole": {
        "StringEquals": {"iam:PassedToService": ["batchoperations.s3.amazonaws.com", "s3.amazonaws.com"]},
    },
}
_OWN_ACCOUNT = {"StringEqualsIfExists": {"aws:ResourceAccount": "{account}"}}
_NEVER_COMPLIANCE = {
    "Sid": "NeverUndeletable",
    "Effect": "Deny",
    "Action": ["s3:PutObject", "s3:PutObjectRetention"],
    "Resource": "*",
    "Condition": {"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}},
}
_BUCKETS = (
    "s3:CreateBucket",
    "s3:PutBucketTagging",
    "s3:PutLifecycleConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:DeleteBucket",
    "s3:PutObject",
    "s3:DeleteObjectVersion",
)
"""To make a source bucket, write control objects, empty it and delete it."""
_DENIED_ROLE = ("iam:CreateRole", "iam:TagRole", "sts:AssumeRole", "iam:DeleteRole")
"""To make the role whose calls are refused, to be it, and to delete it."""


@cache
def _kinds() -> Mapping[str, Sequence[str]]:
    """Return the resource types of every action that a scenario may name."""
    text = resources.files("harness.planning").joinpath("actions.csv").read_text("utf-8")
    return {row["action"]: row["resources"].split() for row in csv.DictReader(text.splitlines())}


def permission_for(named: str, *, by_access_point: bool = False) -> Permission:
    """Return the permission for an action, on every resource of its type that a run may make.

    Args:
        named: The action; where s3logjam does not know its resource, action and ARN with a blank between.
        by_access_point: Whether it is used through an access point too.

    Raises:
        ScenarioError: The action has no known resource, and none was named.
    """
    action, _, resource = named.partition(" ")
    if resource:
        return Permission(actions=(action,), resources=(resource,))
    if action not in _kinds():
        raise ScenarioError(
            f"no resource is known for the IAM action {action!r}: name one with it, as in"
            " iam=['kms:Decrypt arn:aws:kms:…:key/…']"
        )
    kinds = _kinds()[action]
    arns = [arn for kind in kinds for arn in _RESOURCES[kind]]
    arns += [arn for kind in kinds for arn in _BY_ACCESS_POINT.get(kind, ()) if by_access_point]
    return Permission(actions=(action,), resources=tuple(arns), conditions=_CONDITIONS.get(action, {}))


def permissions_for(options: Options, target: Target) -> list[Permission]:
    """Return what a run with these options needs on a target.

    Raises:
        NothingSelectedError: No operation, or no variant of one, matches.
        UsageError: There is no such channel.
        ScenarioError: A scenario names an action for which no resource is known.
    """
    rows = plan(options.operations, options.variants, target, 1, granted=options.granted)
    known = all_scenarios()
    selected = [known[cell] for cell, (repeats, _) in rows.items() if repeats]
    wanted = permissions(selected, selected_channels(options.channels))
    if options.requester_role and any(each.how.client == "requester" for each in selected):
        wanted.append(Permission(actions=("sts:AssumeRole",), resources=(options.requester_role,)))
    return wanted


def under_policy(target: Target, options: Options) -> Target:
    """Return a target as somebody sees it who holds exactly the policy of a run with these options.

    Raises:
        UsageError: The target cannot be seen so.
    """
    if not isinstance(target, EmbeddedTarget):
        raise UsageError("--least-privilege goes with --target embedded: elsewhere, use a role that has the policy")
    return target.limited_to(documents(statements(permissions_for(options, target), ACCOUNT_ID, target.region)))


def permissions(scenarios: Iterable[Scenario], channels: Iterable[Channel]) -> list[Permission]:
    """Return what a run of these scenarios needs: its buckets and role, what scenarios declare, what channels do.

    Raises:
        ScenarioError: A scenario names an action for which no resource is known.
    """
    found = [permission_for(action) for action in _BUCKETS]
    for each in scenarios:
        if each.how.client == "denied":
            found += [permission_for(action) for action in _DENIED_ROLE]
        try:
            found += [permission_for(a, by_access_point=each.how.by_access_point) for a in sorted(permissions_of(each))]
        except ScenarioError as error:
            raise ScenarioError(f"{each.cell}: {error}") from error
    for channel in channels:
        found += channel.permissions
    return found


def statements(wanted: Iterable[Permission], account: str | None = None, region: str | None = None) -> list[Document]:
    """Return IAM policy statements: what has the same resources and conditions stands together.

    Args:
        wanted: The permissions.
        account: Account id; ``ACCOUNT`` stands for it otherwise.
        region: Region; ``REGION`` stands for it otherwise.
    """
    places: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for each in wanted:
        for action in each.actions:
            conditions = each.conditions or _CONDITIONS.get(action, {})
            places[action, json.dumps(conditions, sort_keys=True)].update(each.resources)
    groups: defaultdict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for (action, conditions_text), arns in places.items():
        groups[tuple(sorted(arns)), conditions_text].append(action)
    made = [_statement(sorted(names), arns, json.loads(text)) for (arns, text), names in sorted(groups.items())]
    if any("s3:PutObjectRetention" in each["Action"] for each in made):
        made.append(_NEVER_COMPLIANCE)
    _number(made)
    text = json.dumps(made).replace("{account}", account or ACCOUNT).replace("{region}", region or REGION)
    filled: list[Document] = json.loads(text)
    return filled


def _statement(actions: list[str], arns: Sequence[str], conditions: Mapping[str, Any]) -> Document:
    named_s3 = all(action.startswith("s3:") for action in actions) and "*" not in arns
    conditions = {**conditions, **(_OWN_ACCOUNT if named_s3 else {})}
    made = {"Sid": _sid(actions, arns), "Effect": "Allow", "Action": actions, "Resource": list(arns)}
    return made | ({"Condition": conditions} if conditions else {})


def _sid(actions: Sequence[str], arns: Sequence[str]) -> str:
    """Return a statement's name: the service, and what it is on, e.g. ``S3AccessPoint``."""
    kinds = [kind for kind, known in {**_RESOURCES, "access-point-object": _BY_ACCESS_POINT["object"]}.items()
             if set(known) <= set(arns)]  # fmt: skip
    words = kinds or dict.fromkeys(part for arn in arns for part in re.split("[:/]", arn)[5:6])
    text = " ".join([actions[0].partition(":")[0], *words])
    return "".join(word.capitalize() for word in re.findall("[A-Za-z0-9]+", text))


def _number(made: list[Document]) -> None:
    """Make names unique, as IAM demands: the second of a name gets 2."""
    seen: defaultdict[str, int] = defaultdict(int)
    for each in made:
        seen[each["Sid"]] += 1
        if seen[each["Sid"]] > 1:
            each["Sid"] += str(seen[each["Sid"]])


def documents(made: Sequence[Document]) -> list[Document]:
    """Return policy documents that IAM takes: as few as hold the statements, none above the limit of a managed policy.

    Raises:
        ScenarioError: One statement alone is above it.
    """
    found: list[list[Document]] = []
    for statement in made:
        if size(_document([statement])) > MANAGED_POLICY_CHARACTERS:
            raise ScenarioError(f"statement {statement['Sid']} alone is larger than an IAM managed policy may be")
        place = next((p for p in found if size(_document([*p, statement])) <= MANAGED_POLICY_CHARACTERS), None)
        if place is None:
            found.append([statement])
        else:
            place.append(statement)
    return [_document(each) for each in found]


def _document(made: list[Document]) -> Document:
    return {"Version": "2012-10-17", "Statement": made}


def size(document: Document) -> int:
    """Return the size of a policy in characters, as IAM counts; what is not filled in yet is as long as it can get."""
    text = json.dumps(document, separators=(",", ":"))
    return len(text.replace(f":{ACCOUNT}:", f":{'0' * 12}:").replace(f":{REGION}:", f":{_LONGEST_REGION}:"))
