"""All seven channels on the real embedded server: one matrix, the same call found everywhere, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from process_kit import PATIENCE_SECONDS

import harness
from harness import scenario
from harness.channels import channels
from harness.environment.site import Site
from harness.events import ChannelSkipped, Event
from harness.execute.recorder import Recorder
from harness.journal import FILE_NAME, Journal
from harness.run import Options, Run
from harness.targets.embedded import EmbeddedTarget

OPERATIONS = (
    "PutObject",
    "CopyObject",
    "DeleteObjects",
    "GetObject",
    "GetBucketLocation",
    "PutBucketAcl",
    "ListBuckets",
)
FACTOR = 3600.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the real command over all channels."""
    results = tmp_path_factory.mktemp("channels")
    command = [sys.executable, "-m", "harness", "run", "--channels", "all", "--variants", "ok", "--factor", str(FACTOR)]
    command += [part for name in OPERATIONS for part in ("--operations", name)]
    done = subprocess.run(
        [*command, "--results", str(results)], check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cloudtrail" in done.stdout
    assert "polling cloudtrail-lookup failed" not in done.stdout + done.stderr
    return results / "latest"


@pytest.fixture(scope="module")
def cells(folder: Path) -> pd.DataFrame:
    return harness.load_run(folder).matrix


def test_one_matrix_has_seven_columns_and_every_cell_is_explained(cells: pd.DataFrame) -> None:
    rows = set(zip(cells["operation"], cells["channel"], strict=True))
    assert rows == {(operation, channel) for operation in OPERATIONS for channel in channels()}
    assert set(cells["verdict"]) == {"logged", "not observed"}
    assert (cells[cells["verdict"] != "logged"]["reason"] != "").all()
    assert (cells["wrong_fields"] == "").all()


def test_each_channel_shows_what_its_kind_shows(cells: pd.DataFrame) -> None:
    logged = cells[cells["verdict"] == "logged"]
    seen = {name: set(logged[logged["channel"] == name]["operation"]) for name in channels()}
    everything, no_bucket = set(OPERATIONS), {"ListBuckets"}
    assert seen == {
        "server-access": everything - no_bucket,
        "server-access-cloudwatch": everything - no_bucket,
        "cloudtrail": everything,
        "cloudtrail-cloudwatch": everything,
        "cloudtrail-lookup": {"GetBucketLocation", "PutBucketAcl", "ListBuckets"},
        "eventbridge": everything,
        "s3-notification": {"PutObject", "CopyObject", "DeleteObjects"},
    }


def test_a_call_is_found_by_its_request_id_in_every_channel_and_else_the_way_is_named(folder: Path) -> None:
    run = harness.load_run(folder)
    records = run.records[run.records["call_role"] == "subject"]
    calls = run.calls.set_index("number")
    ways: dict[str, set[str]] = {}
    for row in records.itertuples():
        own = row.request_id == calls.loc[int(row.call_number)]["request_id"]
        assert own == (row.joined_by == "request-id")
        ways.setdefault(row.channel, set()).add(row.joined_by)
    assert set(ways) == set(channels())
    assert all("request-id" in found for found in ways.values())
    # CloudTrail's read of a copy's source has a request id of its own, wherever it arrives.
    by_host = {name for name, found in ways.items() if "host-id" in found}
    assert by_host == {"cloudtrail", "cloudtrail-cloudwatch", "eventbridge"}


def test_what_looking_for_records_costs_is_told_per_channel(folder: Path) -> None:
    told = json.loads((folder / "matrix.json").read_text("utf-8"))["summary"]["polling"]
    assert set(told) == set(channels())
    assert all(each["polls"] >= 1 and each["looks_an_hour"] > 0 for each in told.values())


def test_everything_that_was_made_is_deleted(folder: Path) -> None:
    with Journal(folder / FILE_NAME) as journal:
        resources = journal.resources()
    assert {state for _, _, state, _ in resources} == {"deleted"}
    assert {kind for kind, *_ in resources} >= {
        "log-group",
        "delivery",
        "delivery-source",
        "queue",
        "rule",
        "role-policy",
    }


@pytest.fixture(scope="module")
def target() -> Iterator[EmbeddedTarget]:
    scenario.load()
    with EmbeddedTarget(seed=5, factor=FACTOR) as made:
        yield made


def do(target: EmbeddedTarget, results: Path, *names: str, seed: int) -> tuple[Run, list[Event]]:
    options = Options(
        operations=("GetBucketLocation",),
        variants=("ok",),
        channels=names,
        results=results,
        seed=seed,
        deadline=timedelta(hours=6),
    )
    run = Run(options, target)
    return run, list(run.events())


def test_what_cannot_be_set_up_is_left_out_with_its_reason_and_the_others_go_on(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    """Five trails are there already, and logs may not be delivered: three channels are left."""
    session = target.session()
    session.client("s3").create_bucket(Bucket="others-trails")
    trails = [f"others-{n}" for n in range(5)]
    for name in trails:
        session.client("cloudtrail").create_trail(Name=name, S3BucketName="others-trails")
    statement = {"Effect": "Deny", "Action": "logs:PutDeliveryDestination", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    session.client("iam").put_user_policy(UserName="s3logjam", PolicyName="deny", PolicyDocument=document)
    run, events = do(target, tmp_path, "all", seed=21)
    skipped = {event.channel: event.reason for event in events if isinstance(event, ChannelSkipped)}
    assert set(skipped) == {"server-access-cloudwatch", "cloudtrail", "cloudtrail-cloudwatch", "eventbridge"}
    assert "not authorized to perform: logs:PutDeliveryDestination" in skipped.pop("server-access-cloudwatch")
    assert all("5 trails" in reason for reason in skipped.values())
    assert run.result is not None
    verdicts = {cell.channel: cell.verdict.value for cell in run.result.cells}
    assert {name for name, verdict in verdicts.items() if verdict == "not run"} == {
        "server-access-cloudwatch",
        *skipped,
    }
    assert {verdicts[name] for name in ("server-access", "cloudtrail-lookup")} == {"logged"}
    assert json.loads((run.folder / "matrix.json").read_text("utf-8"))["run"]["skipped_channels"].keys() >= set(skipped)
    for name in trails:
        session.client("cloudtrail").delete_trail(Name=name)
    session.client("iam").delete_user_policy(UserName="s3logjam", PolicyName="deny")


def test_nothing_of_any_channel_is_left_in_the_account(target: EmbeddedTarget, tmp_path: Path) -> None:
    do(target, tmp_path, "all", seed=22)
    session = target.session()
    logs = session.client("logs")
    assert logs.describe_log_groups()["logGroups"] == []
    assert logs.describe_deliveries()["deliveries"] == []
    assert logs.describe_delivery_sources()["deliverySources"] == []
    assert logs.describe_delivery_destinations()["deliveryDestinations"] == []
    assert session.client("cloudtrail").describe_trails()["trailList"] == []
    assert session.client("events").list_rules()["Rules"] == []
    assert session.client("sqs").list_queues().get("QueueUrls", []) == []
    assert session.client("iam").list_roles()["Roles"] == []


def test_looking_up_stays_within_two_requests_a_second_by_the_servers_own_count(tmp_path: Path) -> None:
    """In real time, where a second is a second: the server counts, and would throttle."""
    with (
        EmbeddedTarget(seed=5, factor=1) as real,
        Journal(tmp_path / FILE_NAME, create=True) as journal,
    ):
        session = real.session()
        recorder = Recorder(journal, real.clock, "0badcafe")
        recorder.attach(session)
        site = Site(session, journal, real.clock, "0badcafe", "123456789012", "us-east-1")
        journal.note("caller_arns", ["arn:aws:iam::123456789012:user/s3logjam"])
        channel = channels()["cloudtrail-lookup"]()
        assert channel.preflight(site) == ""
        for _ in range(2):
            list(channel.poll(site, real.clock.now(), set()))
        assert real.server is not None
        counts = real.server.page("lookups")
    assert counts["requests"] == 7
    assert counts["most_in_a_second"] <= 2
    assert counts["throttled"] == 0


def test_messages_that_take_longer_than_they_are_hidden_are_told_once_and_go(tmp_path: Path) -> None:
    """Two minutes are over in a thirtieth of a second here."""
    with (
        EmbeddedTarget(seed=5, factor=FACTOR) as embedded,
        Journal(tmp_path / FILE_NAME, create=True) as journal,
    ):
        site = Site(embedded.session(), journal, embedded.clock, "0badcafe", "123456789012", "us-east-1")
        channel = channels()["eventbridge"]()
        channel.enable(site)
        sqs = site.client("sqs")
        (url,) = sqs.list_queues()["QueueUrls"]
        for number in range(25):
            sqs.send_message(QueueUrl=url, MessageBody=f"{number}")
        taken = []
        for delivery in channel.poll(site, embedded.clock.now(), set()):
            taken.append(delivery.name)
            embedded.clock.sleep(200)
        embedded.clock.sleep(200)
        assert list(channel.poll(site, embedded.clock.now(), set())) == []
    assert len(taken) == len(set(taken)) == 25
