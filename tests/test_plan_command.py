"""``plan`` and ``policy`` on the command line: they tell all, create nothing, and need no server."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from offline import FACTS, T0, a_call

from harness.cli import main
from harness.environment.site import Site
from harness.journal import FILE_NAME, Journal
from harness.model import Role
from harness.planning.plan import plan_of
from harness.report import planned
from harness.selection import Options
from harness.targets.aws import AwsTarget
from harness.testing import FakeChannel

Command = Callable[..., tuple[int, str, str]]
FEW = ("--operations", "GetBucketCors", "--variants", "ok,denied")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Run the command in this process, where nobody has credentials and no request may be sent."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a request was sent")

    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", never)
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    yield run
    signal.signal(signal.SIGTERM, before)


def test_a_plan_tells_everything_before_anything_is_created(command: Command) -> None:
    code, text, _ = command("plan", *FEW, "--repeats", "3")
    assert code == 0
    assert text.startswith("Target: embedded (AWS-like server on this machine: proves the harness, never AWS)")
    for told in (
        "Account     123456789012 in us-east-1",
        "Principal   arn:aws:iam::123456789012:user/s3logjam",
        "2 rows x 3 = 6 scenario executions",
        "s3lm-00000001-src-123456789012-us-east-1-an",
        "s3lm-00000001-denied",
        "about 4.0 h, 6.0 h",
        "S3 PUT, COPY, POST and LIST requests",
        "`s3logjam policy` prints it",
        "Left after  nothing",
    ):
        assert told in text, told
    (row,) = [line.split() for line in text.splitlines() if line.split()[:2] == ["s3", "GetBucketCors"]]
    assert row == ["s3", "GetBucketCors", "6"]


def test_a_plan_for_programs_has_the_policy_and_where_prices_are_from(command: Command) -> None:
    _, text, _ = command("plan", *FEW, "--output", "json", "--keep")
    told = json.loads(text)
    assert (told["target"], told["exit_code"]) == ("embedded", 0)
    assert told["target_note"].endswith("never AWS")
    assert {"service": "s3", "operation": "GetBucketCors", "role": "subject", "times": 2} in told["calls"]
    (document,) = told["policies"]
    assert any("s3:GetBucketCORS" in each["Action"] for each in document["Statement"])
    assert all(item["price_source"] and item["price_read"] for item in told["cost"]["items"])
    assert told["cost"]["total_usd"] == pytest.approx(sum(item["usd"] for item in told["cost"]["items"]))
    assert "everything, until `s3logjam teardown`" in told["left"][0]


def test_without_credentials_a_plan_for_aws_says_that_it_has_not_asked(command: Command) -> None:
    code, text, _ = command("plan", "--target", "aws", "--region", "eu-west-1", "--operations", "GetBucketCors")
    assert code == 0
    assert "Account     not asked in eu-west-1" in text
    assert "s3lm-RUN-src-ACCOUNT-eu-west-1-an" in text
    assert "until every channel delivers: about 60 min, 6.0 h" in text
    assert "prices are those of us-east-1" in text


def test_several_regions_are_planned_apart_and_summed(command: Command) -> None:
    _, text, _ = command("plan", *FEW, "--region", "eu-west-1,us-east-1")
    assert text.count("Executes") == 2
    assert "All 2 Regions: $" in text
    _, text, _ = command("plan", *FEW, "--region", "eu-west-1,us-east-1", "--output", "json")
    told = json.loads(text)
    assert told["exit_code"] == 0
    assert {name: each["region"] for name, each in told["regions"].items()} == {
        name: name for name in ("eu-west-1", "us-east-1")
    }


def test_a_run_is_priced_from_its_journal(command: Command, tmp_path: Path) -> None:
    with Journal(tmp_path / FILE_NAME, create=True) as journal:
        for name, value in {**FACTS, "channels": ["cloudtrail"]}.items():
            journal.note(name, value)
        for number in range(1, 1001):
            journal.intend(a_call(number, sent_at=T0))
    _, text, _ = command("plan", "--recount", str(tmp_path))
    assert "Cost        $0.0060" in text
    _, text, _ = command("plan", "--recount", str(tmp_path), "--output", "json")
    assert {i["item"]: i["quantity"] for i in json.loads(text)["cost"]["items"]}["cloudtrail-data"] == 1000


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("plan", "--operations", "Nope"), 5, "no operation matches"),
        (("plan", "--operations", "CreateSession", "--variants", "ok"), 5, "no directory buckets"),
        (("plan", "--account", "12"), 4, "twelve digits"),
        (("plan", "--channels", "nope"), 4, "unknown channel"),
        (("plan", "--recount", "/nowhere"), 4, "/nowhere"),
        (("policy", "--operations", "Nope"), 5, "no operation matches"),
        (("policy", "--account", "12"), 4, "twelve digits"),
        (("policy", "--region", "mars-1"), 4, "mars-1"),
        (("run", "--least-privilege", "--channels", "nope"), 4, "unknown channel"),
    ],
)
def test_what_cannot_be_planned_is_told(command: Command, arguments: tuple[str, ...], code: int, message: str) -> None:
    got, _, text = command(*arguments)
    assert (got, message in text) == (code, True), text


def test_a_policy_is_printed_for_a_selection(command: Command) -> None:
    code, text, _ = command("policy", *FEW, "--account", "111122223333", "--region", "eu-west-1")
    assert code == 0
    arns = [arn for each in json.loads(text)["Statement"] for arn in each["Resource"]]
    assert "arn:aws:iam::111122223333:role/s3lm-*" in arns
    assert "arn:aws:cloudtrail:eu-west-1:111122223333:trail/s3lm-*" in arns


def test_a_plan_that_would_need_too_many_buckets_or_repeats_says_so() -> None:
    target = AwsTarget(region="us-east-1")
    plan = plan_of(Options(operations=("DeleteBucket",), variants=("ok",), repeats=10_001, canary=False), target)
    assert plan.resource_totals["bucket"] == 3 + 10_001
    assert any("10,004 buckets" in text for text in plan.warnings)
    (deleted,) = [c for c in plan.calls if (c.operation, c.role) == ("DeleteBucket", Role.SUBJECT)]
    assert deleted.times == 10_001


def test_hostile_names_do_not_reach_the_terminal() -> None:
    target = AwsTarget(region="us-east-1")
    plan = plan_of(Options(operations=("PutObject",), variants=("ok",)), target)
    text = planned.as_text([replace(plan, warnings=["\x1b[31mred"], resources=[("bucket", "\x9b1m")])])
    assert not {"\x1b", "\x9b"} & set(text)


class _Broken(FakeChannel):
    def enable(self, site: Site) -> None:
        raise KeyError("what nobody made up")


def test_a_plan_of_what_cannot_even_be_provisioned_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.planning.plan.selected_channels", lambda _names: [_Broken()])
    plan = plan_of(Options(operations=("PutObject",), variants=("ok",)), AwsTarget(region="us-east-1"))
    assert any("KeyError: 'what nobody made up'" in text for text in plan.warnings)
