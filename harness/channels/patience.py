"""Does what AWS refuses for some seconds, because it does not know everywhere yet what was just made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from harness.environment.site import Site, code_of

_WAIT_SECONDS = 5
_ATTEMPTS = 13
"""A minute in all."""


def once_known(site: Site, refusals: Mapping[str, str], deed: Callable[[], object]) -> None:
    """Do something as soon as AWS lets it be done, on the run's clock.

    Args:
        refusals: What AWS answers until then: error codes, and what is said with them where the code says too little.
        deed: Makes the call.

    Raises:
        ClientError: AWS refused otherwise, or for longer than a minute.
    """

    def not_yet(error: BaseException) -> bool:
        if not isinstance(error, ClientError) or code_of(error) not in refusals:
            return False
        return refusals[code_of(error)] in str(error)

    for attempt in Retrying(
        retry=retry_if_exception(not_yet),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_fixed(_WAIT_SECONDS),
        sleep=site.clock.sleep,
        reraise=True,
    ):
        with attempt:
            deed()
