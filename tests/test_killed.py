"""A run that is killed at any instant leaves a journal from which another process ends it as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from process_kit import PATIENCE_SECONDS, interruptible

import harness
from harness.journal import FILE_NAME, Journal
from harness.targets import Credentials
from harness.targets.embedded import ACCESS_KEY_ID, SECRET_ACCESS_KEY, EmbeddedTarget
from harness.targets.sessions import isolated_session, route_to

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SELECTION = ("--variants", "ok", "--variants", "denied", "--operations", "*BucketAcl,CopyObject,s3control:*AccessPoint")

# Kills itself with SIGKILL when the answer to the n-th request of a role has come, before the journal hears of it: the
# deed is done and not noted. Everything else is the real command.
VICTIM = """
import os, signal, sys
from harness.cli import main
from harness.execute.recorder import Recorder
role, number = sys.argv[1], int(sys.argv[2])
heard, count = Recorder._response_received, 0
def deaf(self, *args, **kwargs):
    global count
    count += self._open is not None and self._open.role.value == role
    if count == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return heard(self, *args, **kwargs)
Recorder._response_received = deaf
main(sys.argv[3:])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedTarget]:
    """A server that no run has started and that no run ends."""
    with EmbeddedTarget(seed=5, factor=7200) as target:
        yield target


@pytest.fixture(scope="module")
def endpoint(server: EmbeddedTarget) -> str:
    assert server.server is not None
    return server.server.endpoint


def resources(endpoint: str) -> dict[str, list[str]]:
    """List everything that a run makes anywhere in the server."""
    session = isolated_session(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "us-east-1")
    route_to(session, endpoint)
    points = session.client("s3control").list_access_points(AccountId="123456789012")["AccessPointList"]
    return {
        "buckets": [each["Name"] for each in session.client("s3").list_buckets()["Buckets"]],
        "trails": [each["Name"] for each in session.client("cloudtrail").describe_trails()["trailList"]],
        "roles": [each["RoleName"] for each in session.client("iam").list_roles()["Roles"]],
        "access points": [each["Name"] for each in points],
    }


NOTHING: dict[str, list[str]] = {"buckets": [], "trails": [], "roles": [], "access points": []}


def told(folder: Path) -> pd.DataFrame:
    """Return what the matrix says, without what differs from run to run."""
    matrix = harness.load_run(folder).matrix
    return matrix.drop(columns=[name for name in matrix.columns if name.startswith("delay")])


@pytest.fixture(scope="module")
def reference(command: Command, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    results = tmp_path_factory.mktemp("reference")
    where = ("--target", "localstack", "--endpoint-url", endpoint)
    done = command("run", *where, *SELECTION, "--results", str(results))
    assert done.returncode == 0, done.stdout + done.stderr
    assert resources(endpoint) == NOTHING
    return told(results / "latest")


def kill(role: str, number: int, endpoint: str, results: Path) -> Path:
    """Start a run that is killed at the n-th request of a role; returns its folder."""
    where = ("--target", "localstack", "--endpoint-url", endpoint, "--results", str(results))
    command = [sys.executable, "-c", VICTIM, role, str(number), "run", *where, *SELECTION]
    died = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    (folder,) = [path for path in results.iterdir() if not path.is_symlink()]
    return folder


@pytest.mark.parametrize(
    ("role", "number"),
    [("setup", 4), ("setup", 16), ("setup", 30), ("subject", 4), ("poll", 9), ("teardown", 3)],
    ids=["creating a bucket", "making the trail", "in a fixture", "under test", "collecting", "tearing down"],
)
def test_a_killed_run_is_resumed_to_the_same_matrix_and_leaves_nothing(
    role: str, number: int, command: Command, endpoint: str, reference: pd.DataFrame, tmp_path: Path
) -> None:
    folder = kill(role, number, endpoint, tmp_path)
    resumed = command("resume", str(folder))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    pd.testing.assert_frame_equal(told(folder), reference)
    assert resources(endpoint) == NOTHING


@pytest.mark.parametrize(("role", "number"), [("setup", 16), ("subject", 4), ("teardown", 3)])
def test_a_killed_run_is_torn_down_from_its_journal(
    role: str, number: int, command: Command, endpoint: str, tmp_path: Path
) -> None:
    folder = kill(role, number, endpoint, tmp_path)
    assert resources(endpoint) != NOTHING
    for _ in range(2):
        done = command("teardown", str(folder))
        assert done.returncode == 0, done.stdout + done.stderr
        assert resources(endpoint) == NOTHING
    with Journal(folder / FILE_NAME) as journal:
        assert {state for *_, state, _ in journal.resources()} == {"deleted"}


def test_two_processes_do_not_work_on_one_run(command: Command, endpoint: str, tmp_path: Path) -> None:
    where = ("--target", "localstack", "--endpoint-url", endpoint, "--results", str(tmp_path))
    # So slow that it goes on executing, whatever the other commands take.
    with interruptible("run", *where, *SELECTION, "--rate", "0.0001") as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("Executing"):
                break
        (folder,) = [path for path in tmp_path.iterdir() if not path.is_symlink()]
        status = command("status", str(folder), "--output", "json")
        second = command("teardown", str(folder))
        first.send_signal(signal.SIGINT)
        rest = first.stdout.read()
        assert first.wait() == 2, rest
    assert json.loads(status.stdout)["stage"] == "execute"
    assert second.returncode == 4
    assert "another process" in second.stderr
    assert f"s3logjam resume {folder}" in rest.replace("\n", "")
    assert command("teardown", str(folder)).returncode == 0
    assert resources(endpoint) == NOTHING


def test_a_run_whose_embedded_server_died_with_it_says_so(command: Command, tmp_path: Path) -> None:
    done = command("run", *SELECTION, "--factor", "7200", "--results", str(tmp_path), "--detach")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = (tmp_path / "latest").resolve()
    with Journal(folder / FILE_NAME) as journal:
        facts: dict[str, Any] = journal.facts()
    finished = command("resume", str(folder))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    again = command("resume", str(folder))
    assert (again.returncode, "is finished" in again.stderr) == (4, True)
    with Journal(folder / FILE_NAME) as journal:
        journal.note("finished_at", None)
        assert journal.facts()["reach"] == facts["reach"]
    gone = command("resume", str(folder))
    assert (gone.returncode, "has ended" in gone.stderr) == (4, True), gone.stdout + gone.stderr


def test_a_run_whose_embedded_server_died_has_nothing_left_to_delete(command: Command, tmp_path: Path) -> None:
    options = (*SELECTION, "--factor", "7200", "--results", str(tmp_path))
    victim = [sys.executable, "-c", VICTIM, "subject", "2", "run", *options]
    died = subprocess.run(victim, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    (folder,) = [path for path in tmp_path.iterdir() if path.name != "latest"]
    for _ in range(2):
        done = command("teardown", str(folder))
        assert (done.returncode, "has ended" in done.stdout) == (0, True), done.stdout + done.stderr
        assert "Nothing is left to delete" in " ".join(done.stdout.split())
    told = json.loads(command("status", str(folder), "--output", "json").stdout)
    assert (told["resources"], told["resumable"]) == ([], False)
    again = command("resume", str(folder))
    assert (again.returncode, "is torn down" in again.stderr) == (4, True)


def test_a_lost_journal_is_swept_from_the_command_line(command: Command, endpoint: str, tmp_path: Path) -> None:
    where = ("--target", "localstack", "--endpoint-url", endpoint)
    folder = kill("subject", 4, endpoint, tmp_path)
    run_id = folder.name.rpartition("-")[2]
    (folder / FILE_NAME).unlink()
    listed = command("teardown", "--sweep", *where)
    assert (listed.returncode, "--yes" in listed.stderr) == (4, True)
    assert f"run {run_id}" in listed.stdout
    assert resources(endpoint) != NOTHING
    young = command("teardown", "--sweep", *where, "--older-than", "3650d", "--yes")
    assert young.returncode == 0
    assert resources(endpoint) != NOTHING
    swept = command("teardown", "--sweep", *where, "--run-id", run_id, "--yes")
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert resources(endpoint) == NOTHING


@pytest.fixture(autouse=True)
def _no_endpoint_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "LOCALSTACK_"))]:
        monkeypatch.delenv(name)
