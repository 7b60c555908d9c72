"""Sets channels up one by one: one that cannot be set up is left out with its reason, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError

from harness.channels import Channel
from harness.environment.site import Site, refuse_expired, settled
from harness.errors import PreflightError

Deed = Callable[[Channel], str | None]
"""Does something with a channel; returns why it cannot be done, if so."""


def switch_on(channel: Channel, site: Site, missing: Mapping[str, str]) -> str:
    """Ask whether a channel can be set up, and do it.

    Args:
        missing: What the target lacks, channels by name among it, and why.

    Returns:
        Why it cannot be, or an empty text.
    """
    reason = missing.get(channel.name) or channel.preflight(site)
    if not reason:
        channel.enable(site)
    return reason


def those_that_can(channels: Sequence[Channel], deed: Deed, site: Site, skipped: dict[str, str]) -> list[Channel]:
    """Return the channels for which something could be done; the reasons of the others are added to ``skipped``.

    What one of these switched on before it failed is switched off again; the teardown deletes what it made.
    """
    able = []
    for channel in channels:
        try:
            reason = deed(channel)
        except (PreflightError, ClientError, BotoCoreError) as error:
            refuse_expired(error)
            reason = str(error)
            with suppress(ClientError, BotoCoreError):
                channel.disable(site)
        if reason:
            skipped[channel.name] = reason
        else:
            able.append(channel)
    return able


def watch(channel: Channel, site: Site, bucket: str) -> None:
    """Have a source bucket logged, as soon as S3 knows it."""
    settled(site.clock, lambda: channel.watch(site, bucket))
