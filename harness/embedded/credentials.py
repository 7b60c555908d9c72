"""What an access key of this server is verified with: moto's IAM users and assumed roles, in all accounts."""

from __future__ import annotations

from datetime import UTC

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from harness.embedded.signature import Secret


def secret_of(access_key: str) -> Secret | None:
    """Return the secret of an access key, or None for one that is unknown, deleted or inactive.

    Sessions end in real time, like the signatures made with them. The one key pair that moto's ``GetSessionToken`` and
    ``GetFederationToken`` hand to everybody is unknown here: moto keeps no record of it.
    """
    for _, by_partition in list(sts_backends.items()):
        for sts in list(by_partition.values()):
            for role in list(sts.assumed_roles):
                if role.access_key_id == access_key:
                    return Secret(role.secret_access_key, role.session_token, role.expiration.replace(tzinfo=UTC))
    for _, partitions in list(iam_backends.items()):
        for iam in list(partitions.values()):
            for user in list(iam.users.values()):
                for key in list(user.access_keys):
                    if key.access_key_id == access_key and key.status == "Active":
                        return Secret(key.secret_access_key, None, None)
    return None
