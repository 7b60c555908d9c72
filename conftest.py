"""Fixtures for the whole suite: real runs of the real command, made once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FACTOR = "3600"
"""Compresses four hours of waiting into four seconds; what it does to the resolution is in docs/embedded.md."""
REQUESTER = "arn:aws:iam::999988887777:role/partner"


@pytest.fixture(scope="session")
def command() -> Command:
    """Run ``s3logjam`` as a user would, in a process of its own."""

    def run(*arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "harness", *arguments], capture_output=True, text=True, timeout=timeout, check=False
        )

    return run


@pytest.fixture(scope="session")
def full_run(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a complete run on the embedded target, by a user who holds exactly the printed policy."""
    results = tmp_path_factory.mktemp("full")
    arguments = ["--factor", FACTOR, "--seed", "7", "--results", str(results), "--requester-role", REQUESTER]
    done = command("run", "--least-privilege", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return results / "latest"
