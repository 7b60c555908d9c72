"""What the real command shows on a real terminal, and the documents that it prints for programs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from process_kit import PATIENCE_SECONDS
from rich.cells import cell_len

from harness.cli import main
from harness.errors import ExitCode

Command = Callable[..., "subprocess.CompletedProcess[str]"]
COLUMNS = 72
# So that records are still waited for when a slow machine looks for them first.
FACTOR = 1200
ONE = ("--operations", "PutBucketAcl", "--variants", "ok", "--factor", str(FACTOR))
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-9]|4[0-9]|9[0-7]|10[0-7])\b[0-9;]*m")
NOTE = "AWS-like server on this machine: proves the harness, never AWS"


@dataclass(frozen=True)
class Seen:
    """What a terminal got, and the run's folder."""

    raw: str
    folder: Path

    @property
    def lines(self) -> list[str]:
        return [line for line in re.split(r"[\r\n]+", ANSI.sub("", self.raw)) if line.strip()]


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """Run the command on a pseudo-terminal of ``COLUMNS`` columns and return all that it wrote there."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env=inherited | {"TERM": "xterm-256color"} | environment,
        close_fds=True,
    )
    os.close(its)
    chunks = []
    try:
        while chunk := os.read(ours, 65_536):
            chunks.append(chunk)
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=PATIENCE_SECONDS) == 0, b"".join(chunks).decode()
    return b"".join(chunks).decode()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """A small run on a terminal whose user wants no colours."""
    results = tmp_path_factory.mktemp("terminal")
    return Seen(on_a_terminal("run", *ONE, "--results", str(results), NO_COLOR="1"), results / "latest")


def test_a_terminal_shows_what_goes_on_while_it_goes_on(seen: Seen) -> None:
    text = " ".join(seen.lines)
    assert "calls made" in text
    assert re.search(r"server-access\s+\d+ of \d+\s+\d+\s", text)
    assert "delay so far" in text
    assert re.search(r"cloudtrail +3 of 3 +0 +\d+ [smh]", text)
    assert "waiting for server-access: records of" in text
    assert re.search(r"done in about .* here\) · deadline in .* here\)", text)


def test_what_went_on_is_gone_afterwards_and_the_matrix_stays(seen: Seen) -> None:
    last_drawing = seen.raw.rindex("deadline in")
    assert "\x1b[2K" in seen.raw[last_drawing:]
    assert any(line.split()[:1] == ["PutBucketAcl"] for line in seen.lines[-30:])


def test_nothing_is_wider_than_the_terminal(seen: Seen) -> None:
    wide = [line for line in seen.lines if cell_len(line) > COLUMNS]
    assert all(len(line.split()) == 1 for line in wide), "only a path may be wider, so that it can be copied"


def test_no_color_is_honoured(seen: Seen) -> None:
    assert not COLOUR.search(seen.raw)


def test_there_are_colours_otherwise() -> None:
    assert COLOUR.search(on_a_terminal("--help"))


@pytest.fixture
def document(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a command in this process with ``--output json``; return the one document that it printed."""

    def run(*arguments: str) -> dict[str, Any]:
        with pytest.raises(SystemExit) as caught:
            main([*arguments, "--output", "json"])
        shown = capsys.readouterr()
        assert not caught.value.code, shown.err
        assert shown.out.isascii()
        found: dict[str, Any] = json.loads(shown.out)
        return found

    return run


Document = Callable[..., dict[str, Any]]


def test_a_run_prints_one_document_and_its_progress_elsewhere(command: Command, seen: Seen, tmp_path: Path) -> None:
    where = ("--baseline", str(seen.folder), "--keep", "--results", str(tmp_path))
    done = command("run", *ONE, *where, "--output", "json")
    found = json.loads(done.stdout)
    assert done.returncode == found["exit_code"] == found["drift"]["exit_code"], done.stderr
    assert (found["target_note"], found["clock_factor"]) == (NOTE, FACTOR)
    assert found["rows"] == {"planned": 1, "executed": 1, "not_as_meant": 0}
    assert {(c["channel"], c["verdict"], *c["names"]) for c in found["cells"]} == {
        ("server-access", "logged", "REST.PUT.ACL"),
        ("cloudtrail", "logged", "PutBucketAcl"),
    }
    assert (Path(found["folder"]) / "matrix.json").is_file()
    assert "matrix.json" in found["files"]
    assert len(found["drift"]["headlines"]) == 2
    assert "Executing scenarios" in done.stderr

    torn_down = command("teardown", str(tmp_path / "latest"), "--output", "json")
    found = json.loads(torn_down.stdout)
    assert torn_down.returncode == found["exit_code"] == 0
    assert found["deleted"] >= 3
    assert found["left"] == []


def test_report_prints_what_the_run_printed(document: Document, seen: Seen) -> None:
    found = document("report", str(seen.folder))
    assert found["channels"]["cloudtrail"]["verdicts"]["logged"] == 1
    assert len(found["cells"]) == 2
    assert "cells" not in document("report", str(seen.folder), "--no-matrix")


def test_list_prints_every_row(document: Document) -> None:
    found = document("list", "--operations", "PutBucketLifecycle,GetObjectTorrent", "--variants", "ok")
    assert found["target_note"] == NOTE
    runs = {row["operation"]: (row["runs"], row["twins"]) for row in found["rows"]}
    assert runs["PutBucketLifecycle"] == (True, ["PutBucketLifecycleConfiguration"])
    assert not runs["GetObjectTorrent"][0]
    assert all(row["runs"] or row["reason"] for row in found["rows"])


def test_baseline_and_corpus_say_what_they_wrote(document: Document, seen: Seen, tmp_path: Path) -> None:
    baseline = document("baseline", str(seen.folder), "--out", str(tmp_path / "b.json"))
    assert (baseline["file"], baseline["cells"]) == (str(tmp_path / "b.json"), 2)
    corpus = document("corpus", str(seen.folder), "--out", str(tmp_path / "c.jsonl"))
    assert corpus["written"] + corpus["withheld"] == 2
    assert NOTE in baseline["headline"]
    assert corpus["target_note"] == NOTE


@pytest.mark.parametrize(
    "command",
    [
        ("status", "RUN"),
        ("report", "RUN"),
        ("report", "RUN", "--html"),
        ("diff", "RUN", "RUN"),
        ("baseline", "RUN", "--out", "OUT"),
        ("corpus", "RUN", "--out", "OUT"),
        ("explain", "PutBucketAcl", "--run", "RUN"),
        ("explain", "--sal", "REST.PUT.ACL", "--run", "RUN"),
        ("plan", "--recount", "RUN"),
        ("plan", "--operations", "PutBucketAcl", "--variants", "ok", "--factor", "1200"),
    ],
    ids=" ".join,
)
def test_every_document_names_its_target_and_the_exit_code(
    command: tuple[str, ...], document: Document, seen: Seen, tmp_path: Path
) -> None:
    places = {"RUN": str(seen.folder), "OUT": str(tmp_path / "out")}
    found = document(*(places.get(each, each) for each in command))
    told = {name: found[name] for name in ("target", "target_note", "clock_factor", "exit_code")}
    assert told == {"target": "embedded", "target_note": NOTE, "clock_factor": 1200, "exit_code": 0}


def test_what_cannot_be_done_is_no_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["report", str(tmp_path), "--output", "json"])
    shown = capsys.readouterr()
    assert caught.value.code == ExitCode.USAGE
    assert shown.out == ""
    assert "there is no run at" in shown.err


@pytest.mark.parametrize("command", [("list",), ("list", "--output", "json"), ("report", "RUN"), ("status", "RUN")])
def test_a_reader_who_has_seen_enough_is_no_drift_and_no_defect(command: tuple[str, ...], seen: Seen) -> None:
    arguments = [str(seen.folder) if each == "RUN" else each for each in command]
    ours, its = os.pipe()
    os.close(ours)
    with os.fdopen(its, "wb") as pipe:
        line = [sys.executable, "-m", "harness", *arguments]
        done = subprocess.run(line, stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 141
    assert done.stderr == b""
