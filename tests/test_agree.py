"""Nothing is created in a real account before the plan was shown and agreed to."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import pytest
from offline import ACCOUNT, FakeTarget

from harness import cli
from harness.planning.fake_aws import FakeAws

ARGUMENTS = ["run", "--target", "aws", "--region", "us-east-1", "--operations", "PutBucketAcl", "--variants", "ok"]


class RealTarget(FakeTarget):
    """A target that belongs to somebody."""

    name = "aws"
    real = True

    def __enter__(self) -> Self:
        return self


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    target = RealTarget()
    monkeypatch.setattr(cli.running, "target_for", lambda _wanted: target)
    return target.aws


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([*ARGUMENTS, *arguments])
    return int(ended.value.code or 0)


def changed(aws: FakeAws) -> list[str]:
    return [name for name in aws.operations() if not name.startswith(("Get", "List", "Describe"))]


def test_without_an_account_nothing_is_even_asked(
    aws: FakeAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--results", str(tmp_path)) == 4
    assert "--account" in capsys.readouterr().err
    assert aws.operations() == []


def test_where_there_is_nobody_to_ask_the_plan_is_shown_and_nothing_created(
    aws: FakeAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--account", ACCOUNT, "--results", str(tmp_path)) == 4
    told = capsys.readouterr()
    assert "--yes" in told.err
    assert "PutBucketAcl" in told.out
    assert "Cost" in told.out
    assert changed(aws) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", [True, False])
def test_who_is_asked_decides(
    answer: bool, aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda _question, **_: answer)
    monkeypatch.setattr("harness.attend.attend", lambda *_args, **_: begun.append("run") or 0)
    assert run("--account", ACCOUNT, "--results", str(tmp_path)) == (0 if answer else 2)
    assert begun == (["run"] if answer else [])
    assert ("Nothing was created." in capsys.readouterr().out) is not answer
    assert changed(aws) == []


def test_another_account_than_the_named_one_is_refused_before_anything_is_created(
    aws: FakeAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--account", "999999999999", "--yes", "--results", str(tmp_path)) == 4
    assert "999999999999" in capsys.readouterr().err
    assert changed(aws) == []
