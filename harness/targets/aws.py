"""The AWS target: the user's own account, by profile, Region and, if wanted, a role to assume."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from harness.clock import Clock, ScaledClock
from harness.errors import TargetError, UsageError
from harness.targets import ACCESS_CONTROL, DIRECTORY_ZONES, FIXED_LIMITS, Credentials
from harness.targets.sessions import isolated_session, known_region, session_config

_ATTEMPTS = 6
_ROLE_ARN = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+")
POSSIBLE = frozenset({"directory-buckets"})
"""Capabilities that an account and a Region may have; whether they do is asked."""


def aws_config() -> Any:
    """Return the client configuration for AWS: as the others', and patient where AWS throttles."""
    return session_config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS})


class AwsTarget:
    """A real account: see ``Target`` for what it offers.

    Args:
        profile: Of the AWS CLI's configuration; the default chain of credentials without one.
        region: The profile's, or the environment's, without one.
        role_arn: A role to assume with those credentials.

    Raises:
        UsageError: No such profile, no Region, one that S3 is not in, or no ARN of a role.
    """

    name = "aws"
    note = ""
    no_logs = ""
    outlives = True
    real = True
    repeatable = False
    identity: tuple[str, str] | None = None

    def __init__(self, profile: str | None = None, region: str | None = None, role_arn: str | None = None) -> None:
        self._profile, self._role_arn = profile, role_arn
        self._credentials: Any = None
        if role_arn and not _ROLE_ARN.fullmatch(role_arn):
            raise UsageError(f"{role_arn!r} is no ARN of a role: write arn:aws:iam::111122223333:role/name")
        try:
            # Asked even where --region makes it needless: a profile that is not there is told here.
            configured = botocore.session.Session(profile=profile).get_config_variable("region")
        except ProfileNotFound as error:
            raise UsageError(f"{error}; `aws configure list-profiles` shows those that there are") from error
        except BotoCoreError as error:
            raise UsageError(f"the AWS configuration cannot be read: {error}") from error
        found = region or configured
        if not found:
            raise UsageError("no Region is configured: give one with --region")
        self.region = known_region(str(found))
        self.clock: Clock = ScaledClock()
        self.capabilities = frozenset({ACCESS_CONTROL})
        self.missing: Mapping[str, str] = FIXED_LIMITS | {
            "object-lambda": "it needs a Lambda function of the account's own",
            "batch-operations": "it needs a role that S3 Batch Operations assumes, and its jobs cost by the job",
            "multi-region": "making and deleting a Multi-Region Access Point takes up to a day each",
        }

    def __enter__(self) -> Self:
        """Ask what the account and the Region can serve.

        Raises:
            TargetError: There are no credentials, or AWS does not take them.
        """
        try:
            session = self.session()
            session.client("sts").get_caller_identity()
        except NoCredentialsError as error:
            raise TargetError(
                "no AWS credentials were found: sign in (`aws sso login`), set a --profile, or export access keys"
            ) from error
        except (ClientError, BotoCoreError) as error:
            refused = isinstance(error, ClientError) and error.operation_name == "AssumeRole"
            what = "a role cannot be assumed" if refused else "AWS does not take the credentials"
            raise TargetError(f"{what}: {error}") from error
        zone = DIRECTORY_ZONES.get(self.region)
        why = f"no zone of {self.region} is known to have directory buckets"
        if zone:
            try:
                session.client("s3").list_directory_buckets(MaxDirectoryBuckets=1)
            except (ClientError, BotoCoreError) as error:
                why = f"the account cannot be asked for them: {error}"
            else:
                self.capabilities |= POSSIBLE
        if not self.capabilities & POSSIBLE:
            self.missing = {**self.missing, "directory-buckets": why}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave everything as it is: a run's resources go with its teardown."""

    def reach(self) -> dict[str, Any]:
        """Return profile and role by name."""
        return {"profile": self._profile, "role_arn": self._role_arn}

    def keep_evidence(self, folder: Path) -> None:
        """Keep nothing: AWS says nothing more of a run than its logs do."""

    def ended_with(self) -> None:
        """Do nothing: AWS goes on."""

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """Return a session of the user, or of other credentials."""
        if credentials:
            return isolated_session(credentials, self.region, aws_config())
        core = botocore.session.Session(profile=self._profile)
        core.set_default_client_config(aws_config())
        core.set_config_variable("region", self.region)
        if self._credentials is None:
            self._credentials = self._owner(core)
        # botocore has no other way to give a session credentials that renew themselves. All sessions share them: a
        # second AssumeRole would ask for a second code of the user's MFA device.
        core._credentials = self._credentials  # type: ignore[attr-defined]
        return boto3.Session(botocore_session=core, region_name=self.region)

    def _owner(self, core: botocore.session.Session) -> Any:
        """Return the user's credentials, or those of the role, which renew themselves."""
        found = core.get_credentials()
        if not self._role_arn:
            return found
        if found is None:
            raise TargetError(f"no AWS credentials were found with which {self._role_arn} could be assumed")
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=core.create_client,
            source_credentials=found,
            role_arn=self._role_arn,
            extra_args={"RoleSessionName": "s3logjam"},
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
