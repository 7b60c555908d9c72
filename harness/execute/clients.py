"""The clients that make the calls under test: the owner's, and those of the variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from harness.environment.site import Site, code_of
from harness.errors import ScenarioError
from harness.execute.raw import RawAnswer, send_raw
from harness.scenario import Surroundings
from harness.targets import Credentials

UNKNOWN_ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
"""AWS's documentation example: no account has it."""
WRONG_SECRET = "not-the-secret-of-this-access-key"  # noqa: S105 - the point is that it is wrong
_RENEWED_BEFORE = timedelta(minutes=10)
_REFUSED = {"AccessDenied", "AccessDeniedException", "RegionDisabledException", "ValidationError"}
"""What STS answers where a role cannot be assumed, however often it is asked."""
_EXPRESS: Any = {"disable_s3_express_session_auth": True}


@dataclass(slots=True)
class Clients:
    """Makes clients by kind and service, each once.

    Args:
        site: The run's resources; knows the denied role's credentials.
        sessions: Makes a session from credentials, with recorder and routing attached.
    """

    site: Site
    sessions: Callable[[Credentials | None], Any]
    _made: dict[tuple[str, str], Any] = field(default_factory=dict)
    _renew_at: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def get(self, kind: str = "owner", service: str = "s3") -> Any:
        """Return a client of a kind for a service.

        Raises:
            ScenarioError: There is no such kind.
            ClientError, BotoCoreError: Its role cannot be assumed.
        """
        renew_at = self._renew_at.get((kind, service))
        if (kind, service) not in self._made or (renew_at and datetime.now(UTC) >= renew_at):
            try:
                self._made[kind, service] = self._make(kind, service)
            except ClientError as error:
                if code_of(error) not in _REFUSED:
                    raise
                # Told once and again, but waited for only once.
                self._made[kind, service] = error
        made = self._made[kind, service]
        if isinstance(made, Exception):
            raise made
        return made

    def _make(self, kind: str, service: str) -> Any:
        owner: Any = self.site.session
        if kind == "owner":
            return self.site.s3 if service == "s3" else owner.client(service)
        settings: dict[str, Any] = {
            "path-style": {"s3": {"addressing_style": "path"}, "signature_version": "s3v4"},
            "signature-version-2": {"signature_version": "s3"},
            "anonymous": {"signature_version": UNSIGNED},
        }
        if kind in settings:
            return owner.client(service, config=Config(**settings[kind]))
        who: dict[str, Callable[[], Credentials]] = {
            "denied": self.site.denied_credentials,
            "requester": self.site.requester_credentials,
            "bad-signature": lambda: Credentials(owner.get_credentials().access_key, WRONG_SECRET),
            "unknown-key": lambda: Credentials(UNKNOWN_ACCESS_KEY, WRONG_SECRET),
        }
        if kind in who:
            credentials = who[kind]()
            if credentials.expires_at:
                # A run may be longer than an assumed role's hour; what expires is told in real time.
                self._renew_at[kind, service] = credentials.expires_at - _RENEWED_BEFORE
            # The call itself is under test, not the session that botocore would make first for a directory bucket.
            return self.sessions(credentials).client(service, config=Config(s3=_EXPRESS))
        raise ScenarioError(f"there is no client of kind {kind!r}; there are owner, {', '.join([*settings, *who])}")


@dataclass(slots=True)
class CallMaker:
    """What a variant may use to make its call: see ``harness.scenario.How``."""

    operation: str
    surroundings: Surroundings
    clients: Clients

    def client(self, kind: str = "owner") -> Any:
        """Return an S3 client of a kind."""
        return self.clients.get(kind)

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> RawAnswer:
        """Send a raw HTTP request."""
        return send_raw(self.clients.site.session, self.operation, method, url, headers or {}, body)
