"""Sessions that all targets make: with settings of their own where the machine's must not count."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

from harness.errors import UsageError
from harness.targets import Credentials

PARTITION = "aws"
_NOBODY: dict[str, Any] = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def session_config(**changes: Any) -> Config:
    """Return the client configuration common to all targets; further settings replace those of the same name."""
    settings: dict[str, Any] = {
        # AWS_ENDPOINT_URL and the like are for --target localstack; elsewhere they would lead a run astray.
        "ignore_configured_endpoint_urls": True,
        "connect_timeout": 5,
        "read_timeout": 60,
        "retries": {"mode": "standard", "total_max_attempts": 3},
        "s3": {"us_east_1_regional_endpoint": "regional", "addressing_style": "virtual"},
    }
    return Config(**(settings | changes))


def loopback_config() -> Config:
    """Return the configuration of sessions that must not follow the machine's settings in anything."""
    return session_config(proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False)


@cache
def _loader() -> Any:
    """Return what reads botocore's models: once for all sessions, because that is most of what a client costs."""
    return botocore.session.Session(session_vars=_NOBODY).get_component("data_loader")


def isolated_session(who: Credentials, region: str, config: Config | None = None) -> boto3.Session:
    """Return a session that reads no profile, no config file and no credentials of the machine's user."""
    core = botocore.session.Session(session_vars=_NOBODY)
    core.register_component("data_loader", _loader())
    core.set_credentials(who.access_key, who.secret_key, who.token)
    core.set_default_client_config(config or loopback_config())
    return boto3.Session(botocore_session=core, region_name=region)


def route_to(session: boto3.Session, endpoint: str, host: Callable[[str], str] = str) -> None:
    """Send every request of a session's clients to an endpoint, with the AWS host name kept as ``Host``.

    Client code is the same as on AWS that way (virtual hosts and s3control included), and no request goes elsewhere.

    Args:
        session: Whose clients.
        endpoint: ``http://host:port``.
        host: Makes another ``Host`` of the AWS host name, where the endpoint would not understand it.
    """
    place = urlsplit(endpoint)

    def reroute(request: AWSPreparedRequest, **_kwargs: Any) -> None:
        parts = urlsplit(request.url)
        request.headers["Host"] = host(parts.netloc)
        request.url = urlunsplit((place.scheme, place.netloc, parts.path or "/", parts.query, ""))

    session.events.register_last("before-send", reroute)


def known_region(region: str) -> str:
    """Return a Region that S3 has, in the partition of the public ones.

    Raises:
        UsageError: There is none of that name.
    """
    regions = botocore.session.Session(session_vars=_NOBODY).get_available_regions("s3", PARTITION)
    if region not in regions:
        raise UsageError(f"there is no Region {region!r}; S3 is in {', '.join(regions)}")
    return region
