"""What tests of real processes share: how long they are waited for, and a command that Ctrl+C reaches."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 300.0
"""Never waited for unless something hangs: machines of CI are slow."""

# Tests that run in the background of a shell inherit SIGINT as ignored, and Python then leaves it so.
_RESTORED = "import signal as s; s.signal(s.SIGINT, s.default_int_handler); import harness.cli as c; c.main()"


@contextmanager
def interruptible(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``s3logjam`` with all that it says on its standard output; killed if it has not ended after a while."""
    with subprocess.Popen(
        [sys.executable, "-c", _RESTORED, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)
        watchdog.start()
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            watchdog.cancel()
