"""The embedded server's process: ``python -m harness.embedded.server``; only ``targets/embedded.py`` starts it.

It prints one line of JSON when it serves, and ends when its standard input closes, so it cannot outlive its parent.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import Any

import moto.s3.models
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from harness.clock import ScaledClock
from harness.embedded.guard import Guard
from harness.embedded.principals import add_default_user
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


def serve(port: int, clock: ScaledClock, seed: int, switches: Behaviours) -> None:
    """Serve on loopback until standard input closes.

    Args:
        port: 0 for a free one.
        clock: The clock shared with the harness.
        seed: Makes delays and ids repeatable.
        switches: Which sides are taken where AWS's documents leave a choice.
    """
    vars(moto.s3.models)["utcnow"] = lambda: clock.now().replace(tzinfo=None)
    # moto writes an access log of its own, and a wrong one (embedded-server notes in docs/architecture.md).
    setattr(moto.s3.models.S3Backend, "log_incoming_request", lambda *_args: None)  # noqa: B010
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
    sys.stdin.read()
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
    options = parser.parse_args()
    anchor = time.time() if options.anchor is None else options.anchor
    serve(options.port, ScaledClock(options.factor, anchor), options.seed, Behaviours.from_texts(options.behaviour))


if __name__ == "__main__":
    main()
