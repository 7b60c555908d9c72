"""The AWS target: the user's own account, by profile, Region and, if wanted, a role to assume."""

from __future__ import annotations

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
from harness.targets import DIRECTORY_ZONES, FIXED_LIMITS, Credentials
from harness.targets.sessions import isolated_session, known_region, session_config

_ATTEMPTS = 6
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
        UsageError: No such profile, no Region, or one that S3 is not in.
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
        try:
            found = region or botocore.session.Session(profile=profile).get_config_variable("region")
        except ProfileNotFound as error:
            raise UsageError(f"{error}; `aws configure list-profiles` shows those that there are") from error
        if not found:
            raise UsageError("no Region is configured: give one with --region")
        self.region = known_region(str(found))
        self.clock: Clock = ScaledClock()
        self.capabilities: frozenset[str] = frozenset()
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
        session = self.session()
        try:
            session.client("sts").get_caller_identity()
        except NoCredentialsError as error:
            raise TargetError(
                "no AWS credentials were found: sign in (`aws sso login`), set a --profile, or export access keys"
            ) from error
        except (ClientError, BotoCoreError) as error:
            raise TargetError(f"AWS does not take the credentials: {error}") from error
        zone = DIRECTORY_ZONES.get(self.region)
        why = f"no zone of {self.region} is known to have directory buckets"
        if zone:
            try:
                session.client("s3").list_directory_buckets(MaxDirectoryBuckets=1)
            except (ClientError, BotoCoreError) as error:
                why = f"the account cannot be asked for them: {error}"
            else:
                self.capabilities = POSSIBLE
        if not self.capabilities:
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
        if self._role_arn:
            source = core.get_credentials()
            if source is None:
                raise TargetError(f"no AWS credentials were found with which {self._role_arn} could be assumed")
            fetcher = AssumeRoleCredentialFetcher(
                client_creator=core.create_client,
                source_credentials=source,
                role_arn=self._role_arn,
                extra_args={"RoleSessionName": "s3logjam"},
            )
            # botocore has no other way to give a session credentials that renew themselves.
            core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # type: ignore[attr-defined]
        return boto3.Session(botocore_session=core, region_name=self.region)
