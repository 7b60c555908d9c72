"""The resources of one run: every one is journaled before it is made, named after the run, and tagged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.model import OperationModel
from tenacity import Retrying, retry_if_exception, retry_if_exception_type, stop_after_attempt, wait_fixed

from harness.clock import Clock
from harness.errors import CredentialsError, PreflightError, TargetError
from harness.journal import Journal
from harness.targets import DIRECTORY_ZONES, Credentials

PREFIX = "s3lm"
TAG_KEY = "s3lm"
DIRECTORY_SUFFIX = "--x-s3"
"""Of every directory bucket's name, and of no other's (S3 User Guide, Directory bucket naming rules)."""
EXPIRES_DAYS = 30
"""What a run has stored goes by itself after so long, even if nobody ever tears the run down."""
EXPIRY = {
    "Rules": [
        {
            "ID": "s3lm-expiry",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": EXPIRES_DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]
}
_OURS_ALREADY = {
    "BucketAlreadyOwnedByYou",
    "TrailAlreadyExistsException",
    "EntityAlreadyExists",
    "AccessPointAlreadyOwnedByYou",
    "ResourceAlreadyExistsException",
    "ConflictException",
}

NOT_YET = dict.fromkeys(
    (
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "OperationAborted",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    "",
)
"""What S3 may answer where a bucket or its settings were put a moment ago (S3 User Guide, Amazon S3 data consistency
model: bucket configurations are eventually consistent)."""
_Answer = TypeVar("_Answer")

EXPIRED = {
    "CredentialRetrievalError",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "SSOTokenLoadError",
    "TokenRefreshRequired",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}


def code_of(error: Exception) -> str:
    """Return the AWS error code of a ClientError, or the class name of anything else."""
    return (
        str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else type(error).__name__
    )


def settled(clock: Clock, do: Callable[[], _Answer], refusals: Mapping[str, str] = NOT_YET) -> _Answer:
    """Do something again, for about a minute, while AWS answers that it does not know yet what was just made.

    Args:
        clock: Waits.
        do: What may be done twice.
        refusals: What AWS answers then: error codes, and what is said with them where the code says too little. Every
            other error is final.

    Raises:
        ClientError: The last answer.
    """

    def too_early(error: BaseException) -> bool:
        if not isinstance(error, ClientError) or code_of(error) not in refusals:
            return False
        return refusals[code_of(error)] in str(error)

    return Retrying(
        retry=retry_if_exception(too_early),
        stop=stop_after_attempt(13),
        wait=wait_fixed(5),
        sleep=clock.sleep,
        reraise=True,
    )(do)


def _sent_again(error: ClientError) -> bool:
    """Tell whether an error answers a repetition: the attempt before may have done it, and its answer been lost.

    Nobody else can have: names carry the run id, and buckets are in the account's own namespace.
    """
    return error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0


def refuse_expired(error: Exception) -> None:
    """Raise CredentialsError when an error of AWS's says that the credentials have expired."""
    if code_of(error) in EXPIRED:
        raise CredentialsError from error


@contextmanager
def refusing_expired() -> Iterator[None]:
    """Raise CredentialsError instead of an error of AWS's that says that the credentials have expired."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        refuse_expired(error)
        raise


def caller(session: boto3.Session, target_name: str, wanted: str | None) -> tuple[str, str]:
    """Return account and ARN of who asks.

    Args:
        session: Of the target.
        target_name: For the message.
        wanted: The only account in which anything may be done; None for whichever it is.

    Raises:
        PreflightError: It is another account.
        TargetError: The target does not answer, or does not take the credentials.
        CredentialsError: They have expired.
    """
    try:
        with refusing_expired():
            told = session.client("sts").get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        raise TargetError(f"the {target_name} target does not answer: {error}") from error
    account, arn = str(told["Account"]), str(told["Arn"])
    if wanted and account != wanted:
        raise PreflightError(f"these credentials are of account {account}, the run is for {wanted}: nothing was done")
    return account, arn


def expect_owner(session: boto3.Session, account_id: str) -> None:
    """Have every S3 call of a session that can say so demand that the bucket belongs to an account.

    What names a bucket in an account-regional namespace cannot meet a stranger's; this makes it certain.
    """

    def demand(model: OperationModel, params: dict[str, Any], **_kwargs: Any) -> None:
        if _EXPRESS in urlsplit(params["url"]).netloc:
            return  # refused with 501 for directory buckets (S3 API Reference, DeleteBucket and others)
        members = model.input_shape.members if model.input_shape else {}
        for member, header in _OWNER_HEADERS.items():
            if member in members:
                params["headers"].setdefault(header, account_id)

    session.events.register("before-call.s3", demand)


_EXPRESS = "s3express"
_OWNER_HEADERS = {
    "ExpectedBucketOwner": "x-amz-expected-bucket-owner",
    "ExpectedSourceBucketOwner": "x-amz-source-expected-bucket-owner",
}


@dataclass(slots=True)
class Site:
    """Names, clients and journal of one run's resources.

    Args:
        session: A session that reaches the target, with the recorder attached.
        run_id: Part of every name.
        requester_role: ARN of the role in another account that calls across accounts are made by.
        resumed: Whether an earlier process may have made something and been killed before it could note it.
    """

    session: boto3.Session
    journal: Journal
    clock: Clock
    run_id: str
    account_id: str
    region: str
    on_created: Callable[[str, str], None] = lambda _kind, _name: None
    resumed: bool = False
    requester_role: str | None = None
    s3: Any = field(init=False)
    cloudtrail: Any = field(init=False)
    iam: Any = field(init=False)
    s3control: Any = field(init=False)
    _clients: dict[tuple[str, int], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Without it, botocore presigns with Signature Version 2 in us-east-1.
        self.s3 = self.session.client("s3", config=Config(signature_version="s3v4"))
        self.cloudtrail = self.session.client("cloudtrail")
        self.iam = self.session.client("iam")
        self.s3control = self.session.client("s3control")

    def client(self, service: str, attempts: int = 0) -> Any:
        """Return a client of a further service, made once.

        Args:
            service: botocore's name of it.
            attempts: How often a request is sent at most, the first time included; 0 for the session's own number.
        """
        if (service, attempts) not in self._clients:
            config = Config(retries={"total_max_attempts": attempts}) if attempts else None
            make: Any = self.session.client  # the stubs know no name that is not written out
            self._clients[service, attempts] = make(service, config=config)
        return self._clients[service, attempts]

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the run's account and Region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def source_buckets(self) -> list[str]:
        """Return the source buckets that were made and are still there, as far as it is known."""
        made = ((kind, name) for kind, name, state, _ in self.journal.resources() if state == "created")
        return [name for kind, name in made if kind == "bucket" and name.startswith(self.source_prefix)]

    def bucket_name(self, kind: str) -> str:
        """Return a bucket name in the account's own namespace: no stranger can ever own it, before or after the run."""
        return f"{PREFIX}-{self.run_id}-{kind}-{self.account_id}-{self.region}-an"

    @property
    def source_prefix(self) -> str:
        """What the names of all source buckets begin with, and no log bucket's."""
        return f"{PREFIX}-{self.run_id}-src"

    @property
    def bucket(self) -> str:
        """The main source bucket."""
        return self.bucket_name("src")

    @property
    def log_bucket(self) -> str:
        """Where server access logs arrive."""
        return self.bucket_name("log")

    @property
    def trail_bucket(self) -> str:
        """Where the trail's files arrive."""
        return self.bucket_name("ct")

    @property
    def trail_name(self) -> str:
        """The run's trail."""
        return f"{PREFIX}-{self.run_id}"

    @property
    def denied_role(self) -> str:
        """The role without any permission, whose calls are refused."""
        return f"{PREFIX}-{self.run_id}-denied"

    @property
    def denied_session(self) -> str:
        """The session name under which the denied role is assumed, which its events carry."""
        return f"{PREFIX}-{self.run_id}"

    @property
    def access_point(self) -> str:
        """The access point of the main source bucket."""
        return f"{PREFIX}-{self.run_id}-ap"

    def make_denied_role(self) -> None:
        """Create a role without any policy that this account's principals may assume."""
        principal = {"AWS": f"arn:aws:iam::{self.account_id}:root"}
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        tags = [{"Key": TAG_KEY, "Value": self.run_id}]
        name = self.denied_role
        self.make("role", name, lambda: self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tags))

    def denied_credentials(self) -> Credentials:
        """Assume the denied role.

        Raises:
            ClientError, BotoCoreError: It cannot be assumed.
            CredentialsError: Those that should assume it have expired.
        """
        return self._assume(f"arn:aws:iam::{self.account_id}:role/{self.denied_role}")

    def requester_credentials(self) -> Credentials:
        """Assume the role in the other account.

        Raises:
            ClientError, BotoCoreError: It cannot be assumed.
        """
        assert self.requester_role is not None
        return self._assume(self.requester_role)

    def _assume(self, arn: str) -> Credentials:
        """Assume a role; a new one may take some seconds until it can be, and the network may fail meanwhile."""
        sts = self.session.client("sts")
        for attempt in Retrying(
            retry=retry_if_exception_type((ClientError, HTTPClientError, NoConnectionError)),
            stop=stop_after_attempt(10),
            wait=wait_fixed(3),
            sleep=self.clock.sleep,
            reraise=True,
        ):
            with attempt, refusing_expired():
                answer = sts.assume_role(RoleArn=arn, RoleSessionName=self.denied_session)["Credentials"]
        secrets = answer["SecretAccessKey"], answer["SessionToken"]
        return Credentials(answer["AccessKeyId"], *secrets, expires_at=answer["Expiration"])

    def make_access_point(self) -> tuple[str, str]:
        """Create the access point; returns its ARN and alias."""
        name, account = self.access_point, self.account_id

        def create() -> None:
            self.s3control.create_access_point(AccountId=account, Name=name, Bucket=self.bucket)

        self.make("access-point", name, create)
        alias = self.s3control.get_access_point(AccountId=account, Name=name)["Alias"]
        return f"arn:aws:s3:{self.region}:{account}:accesspoint/{name}", str(alias)

    def make_directory_bucket(self) -> str:
        """Create a directory bucket in the Region's first zone that has them; returns its name."""
        zone = DIRECTORY_ZONES.get(self.region, "use1-az4")
        name = f"{PREFIX}-{self.run_id}-{len(self.journal.resources())}--{zone}{DIRECTORY_SUFFIX}"
        configuration = {
            "Location": {"Type": "AvailabilityZone", "Name": zone},
            "Bucket": {"Type": "Directory", "DataRedundancy": "SingleAvailabilityZone"},
            "Tags": [{"Key": TAG_KEY, "Value": self.run_id}],
        }

        def create() -> None:
            self.s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)

        def finish() -> None:
            self.s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=EXPIRY)

        self.make("bucket", name, create, finish)
        return name

    def make(
        self,
        kind: str,
        name: str,
        create: Callable[[], Any],
        finish: Callable[[], Any] = lambda: None,
        **detail: Any,
    ) -> Any:
        """Make a resource: journal the intent, do it, journal the deed. One that is made already is left as it is.

        Args:
            kind: As ``teardown.KINDS`` has it.
            name: Of the resource.
            create: Makes it.
            finish: What may be done twice, after it.
            detail: What teardown needs to know of it.

        Returns:
            What ``create`` returns; None where it was made already.

        Raises:
            PreflightError: AWS refused; the message names the call and its error.
            CredentialsError: The credentials have expired.
        """
        before = self.journal.resource_state(kind, name)
        if before == "created":
            return None
        self.journal.resource(kind, name, "intended", self.clock.now(), **detail)
        try:
            made = None
            try:
                made = create()
            except ClientError as error:
                if code_of(error) not in _OURS_ALREADY:
                    raise
                if not (_sent_again(error) or (self.resumed and before == "intended")):
                    # It was there before the run: the teardown must not take it for the run's.
                    self.journal.resource(kind, name, "deleted", self.clock.now())
                    raise
            settled(self.clock, finish)
        except (ClientError, BotoCoreError) as error:
            refuse_expired(error)
            raise PreflightError(f"cannot create {kind} {name}: {error}") from error
        self.journal.resource(kind, name, "created", self.clock.now(), **detail)
        self.on_created(kind, name)
        return made

    @property
    def bucket_parameters(self) -> dict[str, Any]:
        """What CreateBucket takes beside a name that ``bucket_name`` made: without its namespace it is refused."""
        parameters: dict[str, Any] = {"BucketNamespace": "account-regional"}
        if self.region != "us-east-1":
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": self.region}
        return parameters

    def make_bucket(self, name: str, *, for_logs: bool = False, **parameters: Any) -> str:
        """Create a bucket in the account-regional namespace, tagged, its content expiring; returns its name."""

        def create() -> None:
            self.s3.create_bucket(Bucket=name, **self.bucket_parameters, **parameters)

        def finish() -> None:
            self.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": TAG_KEY, "Value": self.run_id}]})
            self.s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=EXPIRY)

        self.make("bucket", name, create, finish, logs=for_logs)
        return name

    def make_log_bucket(self, name: str, policy: str) -> str:
        """Create a bucket that logs are delivered to: private, SSE-S3, expiring, and never logged itself."""
        self.make_bucket(name, for_logs=True, ObjectOwnership="BucketOwnerEnforced")
        blocked = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        )
        encrypted = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}

        def finish() -> None:
            self.s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocked)
            self.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=encrypted)
            self.s3.put_bucket_policy(Bucket=name, Policy=policy)

        settled(self.clock, finish)
        return name
