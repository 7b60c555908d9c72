"""The embedded server's process: ``python -m harness.embedded.server``; only ``targets/embedded.py`` starts it.

It prints one line of JSON when it serves, and ends when its standard input closes, so it cannot outlive its parent;
with ``--linger`` it outlives it on purpose, for a detached run, and ends when nobody asks anything any more.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from harness.clock import ScaledClock
from harness.embedded.adjusted import adjust
from harness.embedded.guard import Guard
from harness.embedded.principals import add_default_user, add_foreign_role
from harness.embedded.switches import Behaviours

HOST = "127.0.0.1"


class _QuietHandler(MotoRequestHandler):
    """HTTP/1.1 with keep-alive, no access log on the terminal, our own Date and Server headers only."""

    protocol_version = "HTTP/1.1"

    def make_environ(self) -> dict[str, Any]:
        """Keep the request target as it was sent: the base class drops a leading slash of a key."""
        environ: dict[str, Any] = super().make_environ()
        environ["RAW_URI"] = environ["REQUEST_URI"] = self.requestline.split(" ")[1]
        return environ

    def send_response(self, code: int, message: str | None = None) -> None:
        """Send the status line alone: the base class would add a second Date and a second Server header."""
        self.send_response_only(code, message)

    def log(self, type: str, message: str, *args: object) -> None:
        """Drop werkzeug's access log: what is worth logging is delivered as records."""


class _Dispatcher(DomainDispatcherApplication):
    """moto's dispatcher, but an S3 request goes to S3 whatever its key looks like (favicon.ico, moto-api/, latest/)."""

    def get_application(self, environ: dict[str, Any]) -> Any:
        """Return moto's application for a request."""
        if not environ.get("s3logjam.s3"):
            return super().get_application(environ)
        with self.lock:
            if "s3" not in self.app_instances:
                self.app_instances["s3"] = self.create_app("s3")
            return self.app_instances["s3"]


def serve(port: int, clock: ScaledClock, seed: int, switches: Behaviours, linger_seconds: float | None = None) -> None:
    """Serve on loopback until standard input closes, or, if it lingers, until it is told to stop or forgotten.

    Args:
        port: 0 for a free one.
        clock: The clock shared with the harness.
        seed: Makes delays and ids repeatable.
        switches: Which sides are taken where AWS's documents leave a choice.
        linger_seconds: How long to go on without any request, in real time; None to end with standard input.
    """
    adjust(clock)
    add_default_user()
    guard = Guard(_Dispatcher(create_backend_app), clock, seed, switches)
    try:
        server = make_server(HOST, port, guard, threaded=True, request_handler=_QuietHandler)
    except (OSError, SystemExit) as error:
        # werkzeug turns the reason into an exit code.
        why = "the port is in use, or not allowed" if isinstance(error, SystemExit) else error
        print(json.dumps({"error": f"cannot listen on {HOST}:{port}: {why}"}), flush=True)
        sys.exit(1)
    stop = threading.Event()
    for name, work in (("delivery", guard.delivery.run), ("lifecycle", guard.lifecycle.run)):
        threading.Thread(target=work, args=(stop,), name=name, daemon=True).start()
    threading.Thread(target=server.serve_forever, args=(0.05,), name="server", daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    if linger_seconds is None:
        sys.stdin.read()
    else:
        sys.stdout.close()  # the process that reads it may be gone any time
        while not guard.stop_asked.wait(min(1.0, linger_seconds)):
            if time.monotonic() - guard.asked_at > linger_seconds:
                break
    stop.set()
    server.shutdown()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="AWS-like S3 and CloudTrail on loopback (use `s3logjam serve`).")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--factor", type=float, default=1.0)
    parser.add_argument("--anchor", type=float, default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--behaviour", action="append", default=[])
    parser.add_argument("--foreign-role", default=None)
    parser.add_argument("--linger", type=float, default=None)
    options = parser.parse_args()
    anchor = time.time() if options.anchor is None else options.anchor
    if options.foreign_role:
        add_foreign_role(options.foreign_role)
    clock, switches = ScaledClock(options.factor, anchor), Behaviours.from_texts(options.behaviour)
    serve(options.port, clock, options.seed, switches, options.linger)


if __name__ == "__main__":
    main()
