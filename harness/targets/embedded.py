"""The embedded target: starts the AWS-like server as a separate process and routes AWS host names to it.

Sessions keep AWS endpoints; a ``before-send`` hook sends every request to the loopback port, so client code is the same
as on AWS (virtual hosts and s3control included) and no request can leave the machine.
"""

from __future__ import annotations

import copy
import http.client
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3

import harness
from harness.clock import Clock, ScaledClock
from harness.embedded.switches import Behaviours, UnknownBehaviourError
from harness.errors import TargetError, TargetGoneError, UsageError
from harness.targets import ACCESS_CONTROL, FIXED_LIMITS, Credentials
from harness.targets.sessions import isolated_session, known_region, route_to

DEFAULT_FACTOR = 600.0
ACCOUNT_ID, USER_NAME = "123456789012", "s3logjam"
ACCESS_KEY_ID = "AKIAS3LOGJAMEMBEDDED"
SECRET_ACCESS_KEY = "embedded-server-only-not-a-secret"  # noqa: S105 - made up, published, worth nothing elsewhere
NOTE = "AWS-like server on this machine: proves the harness, never AWS"
LEDGER = "embedded-ledger.jsonl"
LINGER_SECONDS = 3600.0
"""How long a detached server waits for the next request, in real time, before it ends."""
_START_SECONDS = _ANSWER_SECONDS = 90.0


def own_page(endpoint: str, name: str) -> Any:
    """Return one of the pages that only the embedded server has: ``clock``, ``ledger`` or ``stop``.

    Raises:
        OSError: Nothing answers there, or something else does.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{endpoint}/_s3logjam/{name}", timeout=_ANSWER_SECONDS) as response:
            return json.load(response)
    except (http.client.HTTPException, ValueError) as error:  # whatever has the port now need not speak HTTP
        raise OSError(f"something else answers at {endpoint}") from error


class EmbeddedServer:
    """The server's process, from start to end.

    Args:
        clock: The clock that both sides share.
        seed: Makes delays and ids repeatable.
        port: 0 for a free one.
        behaviours: ``name=answer`` texts (``embedded/switches.py``).
        detached: Whether it goes on when this process ends, until it is told to stop or nobody asks anything.
        foreign_role: ARN of a role in another account that it makes up.

    Raises:
        TargetError: The server did not come up, for instance because the port is taken.
    """

    def __init__(
        self,
        clock: ScaledClock,
        seed: int,
        port: int = 0,
        behaviours: Sequence[str] = (),
        *,
        detached: bool = False,
        foreign_role: str | None = None,
    ) -> None:
        # -P: nothing in the user's current folder (a moto.py, a folder called harness) may stand in for our modules.
        command = [sys.executable, "-P", "-m", "harness.embedded.server", "--port", str(port), "--seed", str(seed)]
        command += ["--factor", repr(clock.factor), "--anchor", repr(clock.anchor)]
        command += [part for behaviour in behaviours for part in ("--behaviour", behaviour)]
        command += ["--linger", str(LINGER_SECONDS)] if detached else []
        command += ["--foreign-role", foreign_role] if foreign_role else []
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
        environment["MOTO_DISABLE_GLOBAL_CORS"] = "true"
        root = str(Path(harness.__file__).parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
        # A process group of its own: Ctrl+C reaches the harness, which needs the server for its teardown.
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if detached else subprocess.PIPE,
            env=environment,
            start_new_session=True,
            text=True,
        )
        self._errors: list[str] = []
        if not detached:
            threading.Thread(target=self._drain, daemon=True).start()
        assert self.process.stdout is not None
        timer = threading.Timer(_START_SECONDS, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            line = self.process.stdout.readline()
        except BaseException:  # Ctrl+C
            self.close()
            raise
        finally:
            timer.cancel()
        ready = json.loads(line) if line.startswith("{") else {}
        if "port" not in ready:
            self.close()
            why = ready.get("error") or "".join(self._errors[-5:]).strip() or "it ended without a word"
            raise TargetError(f"the embedded server did not start: {why}")
        self.port = int(ready["port"])
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def _drain(self) -> None:
        """Keep the last lines of the server's standard error, so that its pipe never fills."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors.append(line)
            del self._errors[:-50]

    @property
    def errors(self) -> str:
        """The last lines that the server wrote to its standard error."""
        return "".join(self._errors)

    def page(self, name: str) -> Any:
        """Return one of the server's own pages: ``clock`` or ``ledger``."""
        return own_page(self.endpoint, name)

    def close(self) -> None:
        """End the process; safe to call twice."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        if self.process.stdin is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class EmbeddedTarget:
    """The default target: see ``Target`` for what it offers.

    Args:
        seed: Makes delays and ids repeatable.
        factor: How many seconds pass on the run's clock in one second of the machine's.
        port: 0 for a free one.
        behaviours: ``name=answer`` texts: which sides the server takes where AWS's documents contradict each other.
        region: Where the session's clients are; the server serves all.
        detached: Whether the server goes on when this process ends, so that the run can be taken up by another.
        foreign_role: ARN of a role in another account, with every permission there, that the server makes up.
    """

    name = "embedded"
    note = NOTE
    no_logs = ""
    real = False
    repeatable = True
    identity: tuple[str, str] | None = (ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:user/{USER_NAME}")
    capabilities = frozenset({ACCESS_CONTROL, "multi-region"})
    missing: Mapping[str, str] = FIXED_LIMITS | {
        "directory-buckets": "the embedded server has no directory buckets",
        "object-lambda": "the embedded server has no Object Lambda access points",
        "torrent": "the embedded server has no BitTorrent (AWS retired it too)",
        "batch-operations": "the embedded server has no S3 Batch Operations",
    }

    def __init__(
        self,
        seed: int,
        factor: float = DEFAULT_FACTOR,
        port: int = 0,
        behaviours: Sequence[str] = (),
        *,
        region: str = "us-east-1",
        detached: bool = False,
        foreign_role: str | None = None,
    ) -> None:
        try:
            Behaviours.from_texts(list(behaviours))
        except UnknownBehaviourError as error:
            raise UsageError(str(error)) from error
        self.region = known_region(region)
        self.outlives, self._foreign_role = detached, foreign_role
        self._behaviours = behaviours
        self._clock = ScaledClock.starting_now(factor)
        self._seed, self._port = seed, port
        self._who = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        self._endpoint = ""
        self._told = False  # until somebody knows how to reach the server again, nobody can come back to it
        self.clock: Clock = self._clock
        self.server: EmbeddedServer | None = None

    @classmethod
    def reopened(cls, reach: Mapping[str, Any], region: str) -> Self:
        """Return the target of a detached run, whose server is still there.

        Args:
            reach: What ``reach`` returned in the process that started it.
            region: The run's.

        Raises:
            TargetGoneError: The server has ended, and with it everything that was in it.
        """
        made = cls(seed=int(reach["seed"]), factor=float(reach["factor"]), region=region, detached=True)
        made._clock = ScaledClock(float(reach["factor"]), float(reach["anchor"]))
        made.clock, made._endpoint = made._clock, str(reach["endpoint"])
        try:
            there = own_page(made._endpoint, "clock")
        except OSError:
            there = None
        if there != {"factor": made._clock.factor, "anchor": made._clock.anchor}:
            raise TargetGoneError(
                "the embedded server of this run has ended, and everything in it with it; what was journaled can be"
                " shown with `s3logjam report`"
            )
        return made

    def __enter__(self) -> Self:
        if not self._endpoint:
            self.server = EmbeddedServer(
                self._clock,
                self._seed,
                self._port,
                self._behaviours,
                detached=self.outlives,
                foreign_role=self._foreign_role,
            )
            self._endpoint = self.server.endpoint
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.server and not (self.outlives and self._told):
            self.server.close()

    def limited_to(self, policies: Sequence[Mapping[str, Any]]) -> EmbeddedTarget:
        """Return this target as a new user sees it, who holds these IAM policies and nothing else."""
        iam = self.session().client("iam")
        number = len(iam.list_users()["Users"])
        name = f"s3lm-limited-{number}"
        iam.create_user(UserName=name)
        for count, document in enumerate(policies):
            made = iam.create_policy(PolicyName=f"{name}-{count}", PolicyDocument=json.dumps(document))
            iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        other = copy.copy(self)
        other._who, other.server = Credentials(key["AccessKeyId"], key["SecretAccessKey"]), None
        return other

    def reach(self) -> dict[str, Any]:
        """Return port and clock of the server, which tell it from any other."""
        clock = self._clock
        self._told = True
        return {"endpoint": self._endpoint, "seed": self._seed, "factor": clock.factor, "anchor": clock.anchor}

    def keep_evidence(self, folder: Path) -> None:
        """Write the ledger: what the server injected, against which measured delays can be held."""
        lines = [json.dumps(entry) + "\n" for entry in own_page(self._endpoint, "ledger")]
        (folder / LEDGER).write_text("".join(lines), "utf-8")

    def ended_with(self) -> None:
        """End a detached server."""
        if self.outlives:
            with suppress(OSError):  # it has ended by itself
                own_page(self._endpoint, "stop")

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """Return a session of the server's one user, or of other credentials, routed to loopback."""
        if not self._endpoint:
            raise TargetError("the embedded server is not running")
        session = isolated_session(credentials or self._who, self.region)
        route_to(session, self._endpoint)
        return session
