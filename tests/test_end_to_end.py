"""The real command against the real embedded server: what a user gets, from the command line to the files."""

from __future__ import annotations

import base64
import gzip
import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket

import jsonschema
import pandas as pd
import pytest
from moto.sts.utils import SESSION_TOKEN_PREFIX
from process_kit import interruptible

import harness
from harness import catalogue, scenario
from harness.events import CollectProgress, Event, RunFinished, StageStarted
from harness.execute.clients import WRONG_SECRET
from harness.journal import FILE_NAME, Journal
from harness.model import Role
from harness.run import Run
from harness.selection import Options
from harness.targets import Credentials
from harness.targets.embedded import (
    ACCESS_KEY_ID,
    LEDGER,
    SECRET_ACCESS_KEY,
    EmbeddedTarget,
)
from harness.targets.sessions import isolated_session, route_to

Command = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def cells(full_run: Path) -> pd.DataFrame:
    return harness.load_run(full_run).matrix


@pytest.fixture(scope="module")
def records(full_run: Path) -> pd.DataFrame:
    return harness.load_run(full_run).records


def test_the_matrix_has_a_row_for_every_operation_in_every_channel(cells: pd.DataFrame) -> None:
    ok = cells[cells["variant"] == "ok"]
    rows = set(zip(ok["operation"], ok["channel"], strict=True))
    wanted = {(name, channel) for name in catalogue.rows() for channel in ("server-access", "cloudtrail")}
    assert rows == wanted
    assert not cells.duplicated(["operation", "variant", "channel"]).any()


def test_at_least_105_operations_are_executed_and_the_rest_say_why_not(cells: pd.DataFrame) -> None:
    ok = cells[(cells["variant"] == "ok") & cells["operation"].isin(catalogue.operations())]
    executed = ok[ok["verdict"] != "not run"]["operation"].nunique()
    assert executed >= 105
    assert (cells[cells["verdict"].isin(["not run", "not observed"])]["reason"] != "").all()
    assert not (cells["verdict"] == "pending").any()


def test_only_calls_that_reach_no_logged_bucket_are_missing_from_the_access_log(cells: pd.DataFrame) -> None:
    missing = cells[(cells["verdict"] == "not observed") & (cells["variant"] == "ok")]
    missing = missing[missing["operation"].isin(catalogue.operations())]
    assert set(zip(missing["operation"], missing["channel"], strict=True)) == {
        ("ListBuckets", "server-access"),
        ("CreateBucket", "server-access"),
    }


def test_every_scenario_ends_as_its_variant_says(full_run: Path) -> None:
    with Journal(full_run / FILE_NAME) as journal:
        failed = {str(cell): why for (cell, _), (_, why) in journal.executions().items() if why}
    assert not failed


def test_at_least_320_rows_are_executed_per_channel(cells: pd.DataFrame) -> None:
    executed = cells[cells["verdict"] != "not run"]
    assert (executed.groupby("channel").size() >= 320).all()


def test_every_operation_is_denied_with_403_and_logged_as_documented(cells: pd.DataFrame) -> None:
    denied = cells[(cells["variant"] == "denied") & cells["operation"].isin(catalogue.operations())]
    assert set(denied["operation"]) == set(catalogue.operations())
    assert set(denied["statuses"].str[:3]) == {"403"}
    absent = denied[denied["verdict"] != "logged"]
    directory = {"CreateSession", "ListDirectoryBuckets", "RenameObject"}
    # Requests to no bucket, to one that does not exist yet, to directory buckets and to Object Lambda.
    no_access_log = {"ListBuckets", "CreateBucket", "WriteGetObjectResponse", *directory}
    assert set(absent[absent["channel"] == "server-access"]["operation"]) == no_access_log
    assert set(absent[absent["channel"] == "cloudtrail"]["operation"]) == {"WriteGetObjectResponse"}


def test_failed_authentication_is_in_the_access_log_and_not_in_cloudtrail(cells: pd.DataFrame) -> None:
    failed = cells[
        cells["variant"].isin(["bad-signature", "unknown-key", "expired", "presigned-tampered", "clock-skew"])
    ]
    trail = failed[failed["channel"] == "cloudtrail"]
    access = failed[(failed["channel"] == "server-access") & (failed["operation"] != "ListBuckets")]
    assert set(trail["verdict"]) == {"not observed"}
    assert set(access["verdict"]) == {"logged"}


def test_hostile_keys_are_read_back_from_both_channels_as_they_were_sent(full_run: Path) -> None:
    run = harness.load_run(full_run)
    calls = run.calls.set_index("number")
    found = run.records[run.records["variant"].fillna("").str.startswith("key-")]
    found = found[(found["call_role"] == "subject") & (found["operation"] != "DeleteObjects")]
    assert found["variant"].nunique() >= 9
    compared = 0
    for row in found.itertuples():
        if row.name in ("REST.COPY.OBJECT_GET", "GetObject") and row.operation == "CopyObject":
            continue  # the source's key
        assert row.key == calls.loc[int(row.call_number)]["key"]
        compared += 1
    assert compared >= 50


def test_no_value_contradicts_its_call(cells: pd.DataFrame) -> None:
    assert set(cells["wrong_fields"]) == {""}


def test_server_access_logs_carry_no_configuration_and_cloudtrail_does(cells: pd.DataFrame) -> None:
    put = cells[(cells["operation"] == "PutBucketPolicy") & (cells["variant"] == "ok")].set_index("channel")
    assert put.loc["server-access", "payload_recovered"] == 0
    assert put.loc["cloudtrail", "payload_recovered"] == put.loc["cloudtrail", "payload_sent"] > 5


def test_every_joined_record_is_the_one_of_that_very_call(full_run: Path) -> None:
    with Journal(full_run / FILE_NAME) as journal:
        calls = {call.number: call for call in journal.calls()}
    found = harness.load_run(full_run).records
    found = found[found["call_role"] == "subject"]
    assert len(found) > 200
    for row in found.itertuples():
        call = calls[int(row.call_number)]
        if row.joined_by == "request-id":
            assert row.request_id == call.request_id
        else:
            # Only CloudTrail's read of a copy source has a request id of its own; the host id is the call's.
            assert (row.channel, row.name, row.joined_by) == ("cloudtrail", "GetObject", "host-id")
            assert row.host_id == call.host_id


@pytest.mark.parametrize(
    ("operation", "channel", "names"),
    [
        ("CopyObject", "server-access", ["REST.COPY.OBJECT", "REST.COPY.OBJECT_GET"]),
        ("UploadPartCopy", "server-access", ["REST.COPY.PART", "REST.COPY.PART_GET"]),
        ("DeleteObjects", "server-access", ["BATCH.DELETE.OBJECT"] * 3 + ["REST.POST.MULTI_OBJECT_DELETE"]),
        ("CopyObject", "cloudtrail", ["CopyObject", "GetObject"]),
        ("DeleteObjects", "cloudtrail", ["DeleteObject"] * 3 + ["DeleteObjects"]),
    ],
)
def test_calls_with_several_records_have_exactly_those(
    records: pd.DataFrame, operation: str, channel: str, names: list[str]
) -> None:
    chosen = records[(records["operation"] == operation) & (records["channel"] == channel)]
    chosen = chosen[(chosen["variant"] == "ok") & (chosen["call_role"] == "subject")]
    assert sorted(chosen["name"]) == names


def test_every_executed_call_has_as_many_records_as_declared(cells: pd.DataFrame) -> None:
    executed = cells[cells["verdict"] != "not run"]
    assert (executed["records"] == executed["expected_records"]).all()
    assert (executed["duplicates"] == 0).all()


def test_measured_delays_agree_with_the_injected_ones(full_run: Path, records: pd.DataFrame) -> None:
    entries = [json.loads(line) for line in (full_run / LEDGER).read_text("utf-8").splitlines()]
    injected: dict[tuple[str, str], list[float]] = {}
    for entry in entries:
        if entry["delivered_at"]:
            # Log objects' LastModified has whole seconds.
            delay = int(entry["delivered_at"]) - entry["completed_at"]
            injected.setdefault((entry["channel"], entry["request_id"]), []).append(delay)
    calls = harness.load_run(full_run).calls.set_index("number")
    compared = 0
    chosen = records[(records["call_role"] == "subject") & (records["joined_by"] == "request-id")]
    for (channel, request_id), measured in chosen.groupby(["channel", "request_id"]):
        call = calls.loc[int(measured["call_number"].iloc[0])]
        resolution = (call["received_at"] - call["sent_at"]).total_seconds()
        truths = sorted(injected[channel, request_id])
        for value in measured["delay_seconds"]:
            # Client completion is later than the server's by at most the call's duration.
            assert min(abs(value - truth) for truth in truths) <= resolution
            compared += 1
    assert compared > 200


def _comparable(folder: Path) -> list[dict[str, object]]:
    """The cells without what may differ between two runs: delays (compared by the ledger) and volatile values."""
    found = harness.load_run(folder).cells
    return [
        {name: value for name, value in cell.items() if name != "delay"}
        | {"fields": {k: v for k, v in cell["fields"].items() if v["class"] != "volatile"}}
        for cell in found
    ]


def _drawn(folder: Path) -> dict[tuple[str, int], tuple[str, float]]:
    entries = [json.loads(line) for line in (folder / LEDGER).read_text("utf-8").splitlines()]
    return {(e["source"], e["ordinal"]): (e["operation"], e["drawn_delay_seconds"]) for e in entries}


def test_the_same_seed_gives_the_same_matrix_and_another_one_other_delays(command: Command, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "other")]
    for results in runs:
        chosen = ("--variants", "ok,version,presigned,plain-http")  # those carry ids and times of their own
        done = command("run", "--factor", "3600", "--seed", "7", *chosen, "--results", str(results))
        assert done.returncode == 0, done.stdout + done.stderr
    for one, other in zip(*(_comparable(results / "latest") for results in runs), strict=True):
        assert one == other
    drawn, drawn_again = (_drawn(results / "latest") for results in runs)
    common = drawn.keys() & drawn_again.keys()
    assert len(common) > 400
    assert all(drawn[key] == drawn_again[key] for key in common)
    arguments = ("--factor", "7200", "--operations", "GetBucket*", "--variants", "ok", "--channels", "cloudtrail")
    for seed in ("7", "8"):
        assert command("run", *arguments, "--seed", seed, "--results", str(tmp_path / seed)).returncode == 0
    delays = [sorted(delay for _, delay in _drawn(tmp_path / seed / "latest").values()) for seed in ("7", "8")]
    assert delays[0] != delays[1]


def test_every_output_says_what_the_target_proves(full_run: Path, command: Command) -> None:
    sentence = "proves the harness, never AWS"
    assert sentence in (full_run / "matrix.md").read_text("utf-8").splitlines()[0]
    assert sentence in (full_run / "matrix.csv").read_text("utf-8").splitlines()[1]
    document = json.loads((full_run / "matrix.json").read_text("utf-8"))
    assert sentence in document["headline"]
    assert document["clock_factor"] == 3600
    shown = command("report", str(full_run)).stdout
    assert sentence in shown
    assert "x3600" in shown


def test_the_matrix_json_follows_its_schema(full_run: Path) -> None:
    schema = json.loads((ROOT / "harness" / "report" / "matrix.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((full_run / "matrix.json").read_text("utf-8")), schema)


def test_the_results_readme_explains_every_file_and_column(full_run: Path) -> None:
    text = (ROOT / "results" / "README.md").read_text("utf-8")
    files = {p.name for p in full_run.iterdir() if not p.name.endswith(("-wal", "-shm"))}
    run = harness.load_run(full_run)
    columns = {*run.matrix.columns, *run.calls.columns, *run.records.columns}
    unexplained = {name for name in files | columns if f"`{name}`" not in text}
    assert not unexplained


def contents(path: Path) -> Iterator[bytes]:
    """Yield what a file holds, unpacked: a secret would not stand in packed bytes."""
    if path.suffix == ".parquet":
        yield pd.read_parquet(path).to_csv().encode()
        return
    content = path.read_bytes()
    yield content
    for packed in re.findall(rb"x-gzip-base64\" id=\"\w+\">([A-Za-z0-9+/=]+)<", content):
        yield gzip.decompress(base64.b64decode(packed))


def test_no_secret_reaches_the_files(full_run: Path) -> None:
    names = rb"(?:x-amz-signature|signature|x-amz-security-token|x-amz-s3session-token|sessiontoken|secretaccesskey)"
    named = re.compile(
        rb"(?i)(?<![a-z0-9-])" + names + rb"(?:\\?\"\s*:\s*\[?\s*\\?\"|=|%3d|\\u003d)(?!\*\*\*)[a-z0-9/+%]"
    )
    # The embedded server draws session tokens at random, each behind the same beginning.
    values = (SECRET_ACCESS_KEY, WRONG_SECRET, SESSION_TOKEN_PREFIX)
    files = [path for path in full_run.rglob("*") if path.is_file()]
    assert {FILE_NAME, LEDGER, "report.html", "records.parquet"} <= {path.name for path in files}
    for path in files:
        for content in contents(path):
            assert not [value for value in values if value.encode() in content], path.name
            found = named.search(content)
            assert found is None, (path.name, content[found.start() - 80 : found.end() + 80])


def test_report_rebuilds_the_same_files_from_the_journal(full_run: Path, command: Command) -> None:
    before = (full_run / "matrix.csv").read_bytes()
    (full_run / "matrix.csv").unlink()
    done = command("report", str(full_run), "--no-matrix")
    assert done.returncode == 0
    assert (full_run / "matrix.csv").read_bytes() == before
    assert "rows executed" in done.stdout


def test_nothing_is_left_in_the_account(full_run: Path) -> None:
    with Journal(full_run / FILE_NAME) as journal:
        states = {state for _, _, state, _ in journal.resources()}
    assert states == {"deleted"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "--operations", "NoSuch*"], 5, "s3logjam list"),
        (["run", "--channels", "smoke-signals"], 4, "there are server-access, "),
        (["run", "--deadline", "soon"], 4, "is not a duration"),
        (["run", "--repeats", "0"], 4, "--repeats"),
        (["run", "--no-such-option"], 4, "--no-such-option"),
        (["report", "/no/such/run"], 4, "results/latest"),
    ],
)
def test_wrong_use_gets_a_message_and_its_exit_code(
    command: Command, arguments: list[str], code: int, message: str
) -> None:
    done = command(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_results_folder_that_cannot_be_written_is_told_before_anything_is_made(
    command: Command, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    done = command("run", "--results", str(in_the_way))
    assert done.returncode == 4
    assert "--results" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_told(command: Command) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command("serve", "--port", str(port))
    assert done.returncode == 4
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_deadline_before_the_records_leaves_them_pending(command: Command, tmp_path: Path) -> None:
    # Real time: no record takes less than some ten seconds, however slow this machine is.
    brief = ("--factor", "1", "--deadline", "1s", "--results", str(tmp_path))
    done = command("run", "--operations", "PutObject", "--variants", "ok", *brief)
    assert done.returncode == 6
    assert "pending" in done.stdout
    matrix = harness.load_run(tmp_path / "latest").matrix
    assert set(matrix["verdict"]) == {"pending"}


def test_ctrl_c_keeps_what_was_journaled_and_cleans_up(command: Command, tmp_path: Path) -> None:
    selection = ("--operations", "GetBucketAcl,GetBucketLocation", "--variants", "ok")
    with interruptible("run", "--factor", "60", *selection, "--results", str(tmp_path)) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "Waiting for records" in line and len([each for each in seen if each == line]) == 1:
                process.send_signal(signal.SIGINT)
        code = process.wait()
    text = "".join(seen)
    assert code == 2, text
    assert "Interrupted" in text
    assert "Traceback" not in text
    with Journal(tmp_path / "latest" / FILE_NAME) as journal:
        subjects = {call.operation for call in journal.calls() if call.role is Role.SUBJECT}
        assert subjects == {"GetBucketAcl", "GetBucketLocation"}
        assert {state for _, _, state, _ in journal.resources()} == {"deleted"}
    again = command("report", str(tmp_path / "latest"), "--no-matrix")
    assert again.returncode == 0
    assert "interrupted in collect" in again.stdout
    resumed = command("resume", str(tmp_path / "latest"))
    assert resumed.returncode == 4
    assert "was interrupted in collect and has ended with its embedded server" in resumed.stderr
    assert "Stage: interrupted in collect\n" in command("status", str(tmp_path / "latest")).stdout


def _run_with_bad_log_objects(target: EmbeddedTarget, results: Path) -> Iterator[Event]:
    """Run, and put objects that no parser can read whole among the logs while they are being collected."""
    options = Options(results=results, operations=("PutObject", "GetBucketAcl"), variants=("ok",))
    run = Run(options, target)
    assert target.server is not None
    session = isolated_session(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "us-east-1")
    route_to(session, target.server.endpoint)
    s3 = session.client("s3")
    for event in run.events():
        yield event
        if isinstance(event, StageStarted) and event.stage == "collect":
            now = target.clock.now()
            name = "s3lm-00000001-{}-123456789012-us-east-1-an"
            whole = gzip.compress(json.dumps({"Records": [{"eventName": "GetObject", "eventID": "e1"}] * 50}).encode())
            folder = f"AWSLogs/123456789012/CloudTrail/us-east-1/{now:%Y/%m/%d}/123456789012_CloudTrail_us-east-1_"
            s3.put_object(Bucket=name.format("ct"), Key=f"{folder}{now:%Y%m%dT%H%MZ}_cut.json.gz", Body=whole[:-20])
            half = b'0123 bucket [01/Jan/2026:00:00:00 +0000] 192.0.2.1 - ABC REST.GET.OBJECT key "GET /k'
            s3.put_object(Bucket=name.format("log"), Key=f"sal/{now:%Y-%m-%d-%H-%M-%S}-HALF", Body=half)


def test_broken_log_files_are_kept_as_rejects_and_the_run_goes_on(tmp_path: Path) -> None:
    scenario.load()
    with EmbeddedTarget(seed=1, factor=3600) as target:
        events = list(_run_with_bad_log_objects(target, tmp_path))
    assert isinstance(events[-1], RunFinished)
    assert events[-1].verdicts["logged"] == 4
    assert any(isinstance(e, CollectProgress) and e.rejects.get("cloudtrail") for e in events)
    document = json.loads((tmp_path / "latest" / "matrix.json").read_text("utf-8"))
    reasons = {reject["channel"]: reject for reject in document["rejects"]}
    assert "truncated" in reasons["cloudtrail"]["reason"]
    assert reasons["cloudtrail"]["file"].endswith("_cut.json.gz")
    assert reasons["server-access"]["file"].endswith("-HALF")
    assert reasons["server-access"]["offset"] == 0


def test_repeats_are_counted_per_cell(command: Command, tmp_path: Path) -> None:
    arguments = (
        "--operations",
        "CopyObject",
        "--variants",
        "ok",
        "--repeats",
        "5",
        "--factor",
        "3600",
        "--results",
        str(tmp_path),
    )
    done = command("run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    matrix = harness.load_run(tmp_path / "latest").matrix
    assert list(matrix["calls"]) == [5, 5]
    assert list(matrix["records"]) == [10, 10]
    assert list(matrix["delay_n"]) == [5, 5]
