"""Who sent a request: access key to IAM identity, read from moto's own IAM and STS state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

ACCOUNT_ID = "123456789012"
"""moto's default account."""
USER_NAME = "s3logjam"
ACCESS_KEY_ID = "AKIAS3LOGJAMEMBEDDED"
SECRET_ACCESS_KEY = "embedded-server-only-not-a-secret"  # noqa: S105
"""The embedded server's one user. Made up, the same for everyone, worth nothing anywhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The requester of one request, in the forms that the two log channels print.

    Attributes:
        arn: None for an anonymous request.
        kind: CloudTrail's ``userIdentity.type``.
    """

    kind: str
    account_id: str
    principal_id: str
    arn: str | None = None
    user_name: str | None = None
    access_key: str | None = None
    issuer: tuple[str, str] | None = None


ANONYMOUS = Principal(kind="AWSAccount", account_id="anonymous", principal_id="")


def canonical_id(account_id: str) -> str:
    """Return the 64 hex digits that stand for an account's canonical user id here."""
    return hashlib.sha256(f"canonical-user:{account_id}".encode()).hexdigest()


def add_default_user() -> None:
    """Create the embedded server's user with its fixed access key in moto's IAM."""
    backend = iam_backends[ACCOUNT_ID]["aws"]
    user = backend.create_user("us-east-1", USER_NAME)
    user.id = "AIDA" + hashlib.sha256(USER_NAME.encode()).hexdigest()[:17].upper()
    key = backend.create_access_key(USER_NAME)
    del backend.access_keys[key.physical_resource_id]
    key.access_key_id, key.secret_access_key = ACCESS_KEY_ID, SECRET_ACCESS_KEY
    backend.access_keys[key.physical_resource_id] = key
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    backend.put_user_policy(USER_NAME, "everything", json.dumps({"Version": "2012-10-17", "Statement": [everything]}))


def add_foreign_role(arn: str) -> None:
    """Create a role in another account with every permission there, that this account may assume."""
    account, name = arn.split(":")[4], arn.rsplit("/", 1)[-1]
    backend = iam_backends[account]["aws"]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}, "Action": "sts:AssumeRole"}
    backend.create_role(
        role_name=name,
        assume_role_policy_document=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        path="/",
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
    )
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    backend.put_role_policy(name, "everything", json.dumps({"Version": "2012-10-17", "Statement": [everything]}))


def principal_of(access_key: str | None) -> Principal:
    """Return who owns an access key that was authenticated; nobody for None."""
    if access_key is None:
        return ANONYMOUS
    for account_id, by_partition in list(sts_backends.items()):
        for backend in by_partition.values():
            for role in getattr(backend, "assumed_roles", ()):
                if role.access_key_id == access_key:
                    return _assumed_role(account_id, role, access_key)
    for account_id, partitions in list(iam_backends.items()):
        for iam in partitions.values():
            for user in iam.users.values():
                if any(key.access_key_id == access_key for key in user.access_keys):
                    return Principal(
                        kind="IAMUser",
                        account_id=account_id,
                        principal_id=user.id,
                        arn=user.arn,
                        user_name=user.name,
                        access_key=access_key,
                    )
    return ANONYMOUS


def _assumed_role(account_id: str, role: Any, access_key: str) -> Principal:
    name = str(role.role_arn).rsplit("/", 1)[-1]
    role_id = str(role.user_id).split(":")[0]
    return Principal(
        kind="AssumedRole",
        account_id=account_id,
        principal_id=f"{role_id}:{role.session_name}",
        arn=f"arn:aws:sts::{account_id}:assumed-role/{name}/{role.session_name}",
        user_name=name,
        access_key=access_key,
        issuer=(role_id, str(role.role_arn)),
    )
