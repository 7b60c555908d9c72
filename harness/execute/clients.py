"""The clients that make the calls under test: the owner's, and those of the variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config

from harness.environment.site import Site
from harness.errors import ScenarioError
from harness.execute.raw import RawAnswer, send_raw
from harness.scenario import Surroundings
from harness.targets import Credentials

UNKNOWN_ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
"""AWS's documentation example: no account has it."""
WRONG_SECRET = "not-the-secret-of-this-access-key"  # noqa: S105 - the point is that it is wrong
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

    def get(self, kind: str = "owner", service: str = "s3") -> Any:
        """Return a client of a kind for a service.

        Raises:
            ScenarioError: There is no such kind.
        """
        if (kind, service) not in self._made:
            self._made[kind, service] = self._make(kind, service)
        return self._made[kind, service]

    def _make(self, kind: str, service: str) -> Any:
        owner: Any = self.site.session
        match kind:
            case "owner":
                return self.site.s3 if service == "s3" else owner.client(service)
            case "path-style":
                return owner.client(service, config=Config(s3={"addressing_style": "path"}))
            case "anonymous":
                return owner.client(service, config=Config(signature_version=UNSIGNED))
            case "denied":
                return self.sessions(self.site.denied_credentials()).client(service, config=Config(s3=_EXPRESS))
            case "bad-signature":
                key = owner.get_credentials().access_key
                return self.sessions(Credentials(key, WRONG_SECRET)).client(service)
            case "unknown-key":
                return self.sessions(Credentials(UNKNOWN_ACCESS_KEY, WRONG_SECRET)).client(service)
            case _:
                raise ScenarioError(f"there is no client of kind {kind!r}")


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
