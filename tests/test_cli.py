"""The command line: what its options promise, and the exit codes that CI jobs depend on."""

from __future__ import annotations

import errno
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import FACTS, T0, a_call, a_delivery, a_record

import harness
from harness import catalogue, scenario
from harness.cli import app, duration, main
from harness.errors import (
    ExitCode,
    JournalError,
    LogjamError,
    NothingSelectedError,
    PreflightError,
    ScenarioError,
    TargetError,
    UsageError,
)
from harness.journal import FILE_NAME, Journal
from harness.model import CellKey, Level, Operation, Parsed

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return " ".join((self.out + self.err).split())


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Run the command in this process; SIGTERM is handled as before afterwards."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        shown = capsys.readouterr()
        return Done(int(caught.value.code or 0), shown.out, shown.err)

    yield run
    signal.signal(signal.SIGTERM, before)


Command = Callable[..., Done]


def test_the_version_is_told_with_that_of_botocore(command: Command) -> None:
    done = command("--version")
    assert done.code == 0
    assert done.out.split() == ["s3logjam", harness.__version__, "(botocore", f"{catalogue.botocore_version()})"]


def test_the_help_names_every_command_and_every_exit_code(command: Command) -> None:
    done = command("--help")
    assert done.code == 0
    assert all(name in done.text for name in COMMANDS)
    assert all(f"{code.value} " in done.text for code in ExitCode)
    assert "never AWS" in done.text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_says_what_it_does_and_explains_every_option(name: str, command: Command) -> None:
    done = command(name, "--help")
    assert done.code == 0
    group: Any = typer.main.get_command(app)
    subcommand = group.commands[name]
    assert len((subcommand.help or "").split()) > 5
    for parameter in subcommand.params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"{name} {parameter.opts}"
            assert parameter.opts[0] in done.out


def test_the_help_of_run_has_examples(command: Command) -> None:
    text = command("run", "--help").text
    assert text.partition("Examples:")[2].count("s3logjam run") >= 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nope",),
        ("no-such-command",),
        ("run", "--nope"),
        ("run", "--repeats", "0"),
        ("run", "--repeats", "many"),
        ("run", "--factor", "0.5"),
        ("run", "--target", "the-moon"),
        ("run", "surplus"),
        ("serve", "--port", "70000"),
        ("report", "a", "b"),
        ("run", "--channels", "none,cloudtrail"),
        ("run", "--account", "111122223333"),
    ],
    ids=" ".join,
)
def test_wrong_use_has_exit_code_4(
    arguments: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert list(tmp_path.iterdir()) == []
    assert done.code == ExitCode.USAGE
    assert "Error" in done.err or "Invalid" in done.err
    assert "Traceback" not in done.text


@pytest.mark.parametrize("deadline", ["", "soon", "-5m", "1h30", "5 parsecs", "1.2.3h", "h", "1e3s"])
def test_a_deadline_that_is_none_is_wrong_use_with_examples(deadline: str, command: Command) -> None:
    done = command("run", "--deadline", deadline, "--operations", "NoSuchOperation")
    assert done.code == ExitCode.USAGE
    assert "90s, 45m, 6h, 2d or 1h30m" in done.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("45m", timedelta(minutes=45)),
        ("6h", timedelta(hours=6)),
        ("2d", timedelta(days=2)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        (" 1 d 2 h ", timedelta(hours=26)),
        ("0s", timedelta(0)),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@given(st.lists(st.tuples(st.integers(0, 900), st.sampled_from("smhd")), min_size=1, max_size=4))
@settings(max_examples=50)
def test_a_sum_of_units_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{n}{unit}" for n, unit in parts)
    assert duration(text) == sum((duration(f"{n}{unit}") for n, unit in parts), timedelta())


@given(st.text(max_size=12))
@settings(max_examples=100)
def test_any_other_text_is_wrong_use_and_nothing_worse(text: str) -> None:
    try:
        assert duration(text) >= timedelta(0)
    except UsageError as error:
        assert "is not a duration" in str(error)


@pytest.mark.parametrize("text", ["9999999999d", "9" * 400 + "s", "99999999h", "3651d"])
def test_a_duration_beyond_all_measure_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError):
        duration(text)


def test_an_unknown_operation_has_exit_code_5(command: Command) -> None:
    done = command("list", "--operations", "NoSuch*")
    assert done.code == ExitCode.NOTHING_SELECTED
    assert "no operation matches NoSuch*" in done.err


def test_list_shows_operations_and_why_some_are_not_run(command: Command) -> None:
    done = command("list", "--operations", "PutBucketLifecycle*,GetObjectTorrent")
    assert done.code == 0
    assert "same wire form as" in done.text
    assert "BitTorrent" in done.text
    assert "no scenario yet" not in done.text


def test_list_writes_names_whole_where_there_is_no_terminal_so_that_grep_finds_them(command: Command) -> None:
    done = command("list", "--operations", "*LifecycleConfiguration")
    for name in ("PutBucketLifecycleConfiguration", "GetBucketLifecycleConfiguration"):
        assert any(line.split()[:1] == [name] for line in done.out.splitlines())


def test_list_warns_of_operations_that_no_scenario_knows(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    hologram = Operation(name="PutObjectHologram", method="PUT", uri="/{Bucket}/{Key+}?hologram", level=Level.OBJECT)
    known = {**catalogue.operations(), "PutObjectHologram": hologram}
    monkeypatch.setattr(catalogue, "operations", lambda: known)
    done = command("list", "--operations", "PutObject*")
    assert done.code == 0
    assert "not run: no scenario yet" in done.text
    assert "Warning: no scenario yet for PutObjectHologram" in done.text
    assert catalogue.LOCKED_BOTOCORE in done.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no"), 4),
        (PreflightError("no"), 4),
        (TargetError("no"), 4),
        (JournalError("no"), 4),
        (ScenarioError("no"), 4),
        (LogjamError("no"), 4),
        (NothingSelectedError("no"), 5),
        (KeyboardInterrupt(), 2),
        (RuntimeError("boom"), 3),
        (sqlite3.OperationalError("boom"), 3),
    ],
)
def test_every_error_has_its_exit_code_and_one_message(
    error: BaseException, code: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(scenario, "load", fail)
    done = command("list")
    assert done.code == code
    assert "Traceback" not in done.text
    assert done.err
    if code == ExitCode.INTERNAL:
        assert "report" in done.err
        assert type(error).__name__ in done.err


def test_every_error_class_tells_the_user_what_to_do() -> None:
    classes = {LogjamError, *LogjamError.__subclasses__()}
    assert len(classes) >= 7
    assert all((each.__doc__ or "").strip() for each in classes)
    assert len({code.value for code in ExitCode}) == len(ExitCode) == 7


def a_journal(folder: Path) -> Path:
    call = a_call(1)
    with Journal(folder / FILE_NAME, create=True) as journal:
        for name, value in {**FACTS, "absence_seconds": {"server-access": 60}, "started_at": T0.isoformat()}.items():
            journal.note(name, value)
        journal.plan({CellKey(operation="PutObject"): (1, "")})
        journal.intend(call)
        journal.complete(call)
        journal.deliver(a_delivery(arrived_at=call.sent_at), Parsed((a_record(call),)))
    return folder


def test_report_builds_the_files_again_from_the_journal_alone(command: Command, tmp_path: Path) -> None:
    done = command("report", str(a_journal(tmp_path)))
    assert done.code == 0
    assert "proves the harness, never AWS" in done.text
    assert "REST.PUT.OBJECT" in done.text
    assert "REST.PUT.OBJECT" in (tmp_path / "matrix.md").read_text("utf-8")
    assert len(harness.load_run(tmp_path).matrix) == 1


def test_report_of_no_run_is_wrong_use(command: Command, tmp_path: Path) -> None:
    done = command("report", str(tmp_path / "nothing"))
    assert done.code == ExitCode.USAGE
    assert "there is no run at" in done.err


def test_report_of_a_run_that_was_killed_before_its_plan_is_told_as_such(command: Command, tmp_path: Path) -> None:
    Journal(tmp_path / FILE_NAME, create=True).close()
    assert command("report", str(tmp_path)).code == ExitCode.USAGE


def test_report_of_a_file_that_is_no_journal_is_wrong_use(command: Command, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("Dear diary, today I am no database. " * 50)
    done = command("report", str(tmp_path))
    assert done.code == ExitCode.USAGE
    assert FILE_NAME in done.err


BASELINE = "results/baselines/embedded.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--baseline", "absent.json"), "absent.json"),
        (("--baseline", "README.md"), "README.md"),
        (("--baseline", BASELINE, "--known", "absent.toml"), "absent.toml"),
        (("--known", "absent.toml"), "--known goes with --baseline"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("place", [(), ("--region", "us-east-1,eu-west-1")], ids=["one", "two Regions"])
def test_what_a_run_is_held_against_is_read_before_anything_is_made(
    arguments: tuple[str, ...], message: str, place: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    done = command("run", *arguments, *place, "--operations", "PutObject", "--results", str(tmp_path))
    assert done.code == ExitCode.USAGE
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [(), ("--html",)])
def test_a_report_takes_known_deviations_with_a_baseline_only(
    how: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    done = command("report", str(a_journal(tmp_path)), *how, "--known", "absent.toml")
    assert done.code == ExitCode.USAGE
    assert "--known goes with --baseline" in done.err


@pytest.mark.parametrize("text", ["foo", "", "arn:aws:iam::12:role/x", "arn:aws:iam::444455556666:user/x", "x\x1b[31m"])
@pytest.mark.parametrize(
    "arguments",
    [("run", "--requester-role"), ("plan", "--requester-role"), ("policy", "--requester-role"), ("run", "--role")],
    ids=" ".join,
)
def test_a_role_that_is_none_is_wrong_use_with_an_example(
    arguments: tuple[str, ...], text: str, command: Command
) -> None:
    done = command(*arguments, text)
    assert done.code == ExitCode.USAGE
    assert "is no role ARN: arn:aws:iam::444455556666:role/name" in done.err
    assert "\x1b" not in done.err


def overwritten(path: Path) -> None:
    body = path.read_bytes()
    path.write_bytes(body[:4096] + bytes(255 - each for each in body[4096:]))


@pytest.mark.parametrize("damage", [overwritten, lambda path: path.write_bytes(b"")], ids=["overwritten", "empty"])
@pytest.mark.parametrize("name", ["teardown", "resume", "status", "report"])
def test_a_damaged_journal_is_told_with_the_next_step(
    name: str, damage: Callable[[Path], object], command: Command, tmp_path: Path
) -> None:
    damage(a_journal(tmp_path) / FILE_NAME)
    done = command(name, str(tmp_path))
    assert done.code == ExitCode.USAGE
    assert "is not an s3logjam journal, or damaged" in done.err
    assert ("s3logjam teardown --sweep" in done.err) is (name in ("teardown", "resume"))


def test_reports_that_cannot_be_written_say_what_to_do(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *_arguments: object, **_more: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    folder = a_journal(tmp_path)
    monkeypatch.setattr(Path, "write_text", refused)
    monkeypatch.setattr(Path, "open", refused)
    done = command("report", str(folder))
    assert done.code == ExitCode.USAGE
    assert "copy the run's folder to where you may write" in done.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# Title", "is no JSON"),
        ("[]", "is neither a matrix.json nor"),
        ("{}", "it has no 'cells'"),
        ('{"cells": 3}', "something in it is of another kind"),
    ],
)
def test_what_cannot_be_compared_is_told_in_plain_words_with_what_can(
    content: str, message: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text(content)
    done = command("diff", str(tmp_path / "x"), str(tmp_path / "x"))
    assert done.code == ExitCode.USAGE
    assert message in done.err
    assert "give a run's folder, a matrix.json or a baseline.json" in done.err
    assert not [word for word in ("KeyError", "TypeError", "ValueError", "AttributeError") if word in done.err]
