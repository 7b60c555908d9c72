"""The AWS CLI, a client that no one here wrote, against ``s3logjam serve``: the steps of docs/embedded.md."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_kit import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent
Aws = Callable[..., Any]


def _aws() -> str:
    beside = Path(sys.executable).parent / "aws"
    found = str(beside) if beside.exists() else shutil.which("aws")
    assert found, "the AWS CLI is part of the test extra: pip install '.[test]'"
    return found


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """Call the AWS CLI against a served port; returns its JSON answer, or its text."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "serve", "--factor", "7200"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    settings = dict(re.findall(r"(AWS_\w+)=(\S+)", process.stdout.readline() + process.stdout.readline()))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | settings
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_PAGER": ""}

    def call(*arguments: str) -> Any:
        command = [_aws(), *arguments, "--output", "json"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.lstrip().startswith(("{", "[")) else done.stdout

    yield call
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)


def test_the_cli_finds_both_logs_of_what_it_did(aws: Aws, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "embedded.md").read_text("utf-8")
    policy, logging, selectors = re.findall(r"^cat > \S+ <<'EOF'\n(.*?)\nEOF$", guide, re.MULTILINE | re.DOTALL)
    for name, text in (("policy.json", policy), ("logging.json", logging), ("selectors.json", selectors)):
        json.loads(text)
        (tmp_path / name).write_text(text, "utf-8")
    aws("s3", "mb", "s3://photos")
    aws("s3", "mb", "s3://photo-logs")
    aws("s3api", "put-bucket-policy", "--bucket", "photo-logs", "--policy", "file://policy.json")
    aws("s3api", "put-bucket-logging", "--bucket", "photos", "--bucket-logging-status", "file://logging.json")
    aws("cloudtrail", "create-trail", "--name", "guide", "--s3-bucket-name", "photo-logs")
    chosen = ("--trail-name", "guide", "--advanced-event-selectors", "file://selectors.json")
    aws("cloudtrail", "put-event-selectors", *chosen)
    aws("cloudtrail", "start-logging", "--name", "guide")
    (tmp_path / "cat.jpg").write_bytes(b"meow")
    aws("s3", "cp", "cat.jpg", "s3://photos/cat one.jpg")
    aws("s3", "cp", "s3://photos/cat one.jpg", "s3://photos/cat two.jpg")
    aws("s3", "cp", "s3://photos/cat two.jpg", "back.jpg")
    aws("s3", "rm", "s3://photos/cat one.jpg")
    assert (tmp_path / "back.jpg").read_bytes() == b"meow"

    wanted_lines = {"REST.PUT.OBJECT", "REST.COPY.OBJECT", "REST.COPY.OBJECT_GET", "REST.GET.OBJECT"}
    wanted_lines |= {"REST.DELETE.OBJECT", "REST.HEAD.OBJECT"}
    wanted_events = {"PutObject", "CopyObject", "GetObject", "DeleteObject", "HeadObject", "PutBucketLogging"}
    lines: set[str] = set()
    events: set[str] = set()
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and not (lines >= wanted_lines and events >= wanted_events - {"PutBucketLogging"}):
        shutil.rmtree(tmp_path / "logs", ignore_errors=True)
        aws("s3", "cp", "--recursive", "s3://photo-logs/", "logs")
        for path in (tmp_path / "logs").rglob("*"):
            if path.name.endswith(".json.gz"):
                events |= {r["eventName"] for r in json.loads(gzip.decompress(path.read_bytes()))["Records"]}
            elif path.is_file():
                lines |= {line.split(" ")[7] for line in path.read_text("utf-8").splitlines()}
    assert lines >= wanted_lines
    assert events >= wanted_events - {"PutBucketLogging"}
