"""The files of ``verify`` and the Logjam tables: complete, honest in the first line, inert whatever a log says."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from offline import FACTS, HOSTILE, T0, a_call, a_cell, a_delivery, a_record, a_result

from harness import catalogue
from harness.analyse.join import Pair, Way
from harness.analyse.verify import Answer, Check, ClaimVerdict, Evidence
from harness.catalogue.documented import Claim, Confidence, Source
from harness.errors import ExitCode, JournalError, UsageError
from harness.journal import FILE_NAME, Journal
from harness.model import CLOUDTRAIL, SERVER_ACCESS, CellKey, Verdict
from harness.report import Result, logjam_tables, verification
from harness.report.verification import VerifyResult
from harness.verify import verify

HEADLINE = "Target: embedded (proves the harness, never AWS)"


def a_check(verdict: ClaimVerdict = ClaimVerdict.CONFIRMED, why: str = "because", **claim: Any) -> Check:
    values: dict[str, Any] = {
        "id": "t/cloudtrail/PutObject[ok]",
        "channel": CLOUDTRAIL,
        "operation": "PutObject",
        "name": "PutObject",
        "sources": (Source("Guide", "Events", "2026-04"),),
    }
    evidence = (Evidence(call=7, marker="s3lm/x/7", request_id="R", record="PutObject", file="s3://b/f", offset=3),)
    return Check(
        claim=Claim(**(values | claim)), answer=Answer(verdict=verdict, why=why, seen="seen", evidence=evidence)
    )


def a_verification(folder: Path, *checks: Check, **changes: Any) -> VerifyResult:
    values = {"facts": FACTS, "against": "aws-2026", "title": "AWS's pages"} | changes
    return VerifyResult(folder=folder, checks=checks, **values)


def the_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "verification.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_three_files_are_written_and_each_says_what_it_proves(tmp_path: Path) -> None:
    result = a_verification(tmp_path, a_check())
    assert [p.name for p in verification.write(result)] == ["verification.csv", "verification.md", "verification.json"]
    assert (tmp_path / "verification.md").read_text().startswith(f"> {HEADLINE}")
    assert json.loads((tmp_path / "verification.json").read_text())["headline"].startswith(HEADLINE)
    (row,) = the_rows(tmp_path)
    assert (row["target"], row["target_note"], row["clock_factor"]) == ("embedded", FACTS["note"], "600.0")


def test_a_row_holds_statement_verdict_evidence_and_source(tmp_path: Path) -> None:
    verification.write(a_verification(tmp_path, a_check(ClaimVerdict.CONTRADICTED, confidence=Confidence.INFERRED)))
    (row,) = the_rows(tmp_path)
    assert row["verdict"] == "hypothesis contradicted"
    assert row["evidence"] == "call 7 (s3lm/x/7, request id R): PutObject in s3://b/f, offset 3"
    assert (row["document"], row["section"], row["date"]) == ("Guide", "Events", "2026-04")
    assert (row["documented_name"], row["documented_logged"], row["confidence"]) == ("PutObject", "yes", "inferred")
    (check,) = json.loads((tmp_path / "verification.json").read_text())["checks"]
    assert check["verdict"] == "contradicted"
    assert check["evidence"][0] | {"offset": 3, "file": "s3://b/f"} == check["evidence"][0]


def test_contradictions_come_first_for_readers(tmp_path: Path) -> None:
    checks = [a_check(verdict, id=verdict.value) for verdict in ClaimVerdict]
    verification.write(a_verification(tmp_path, *checks))
    text = (tmp_path / "verification.md").read_text()
    assert re.findall(r"^## (\w+)", text, re.MULTILINE) == ["Contradicted", "Undocumented", "Undetermined", "Confirmed"]
    assert [row["id"] for row in the_rows(tmp_path)] == [verdict.value for verdict in ClaimVerdict]


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], ExitCode.OK),
        ([ClaimVerdict.CONFIRMED, ClaimVerdict.UNDETERMINED, ClaimVerdict.UNDOCUMENTED], ExitCode.OK),
        ([ClaimVerdict.CONFIRMED, ClaimVerdict.CONTRADICTED], ExitCode.DRIFT),
    ],
)
def test_the_exit_code_is_1_only_when_something_is_contradicted(
    tmp_path: Path, verdicts: Sequence[ClaimVerdict], code: ExitCode
) -> None:
    assert a_verification(tmp_path, *(a_check(v) for v in verdicts)).exit_code is code


def test_a_refuted_hypothesis_counts_as_a_contradiction(tmp_path: Path) -> None:
    check = a_check(ClaimVerdict.CONTRADICTED, confidence=Confidence.NOT_FOUND)
    assert a_verification(tmp_path, check).exit_code is ExitCode.DRIFT


def test_the_terminal_shows_contradictions_with_evidence_and_counts_the_rest(tmp_path: Path) -> None:
    checks = [
        a_check(ClaimVerdict.CONTRADICTED, "the name is not PutObject"),
        a_check(ClaimVerdict.CONTRADICTED, id="AWS-13", operation="", statement="Both logs name each key"),
        *(a_check(ClaimVerdict.UNDETERMINED, "not run: no such bucket") for _ in range(3)),
        *(a_check(ClaimVerdict.UNDOCUMENTED, id=str(n)) for n in range(25)),
    ]
    text = verification.as_text(a_verification(tmp_path, *checks))
    assert text.startswith(HEADLINE)
    assert "✗ PutObject[ok] is in cloudtrail as PutObject\n    the name is not PutObject; seen\n    call 7" in text
    assert "✗ Both logs name each key (AWS-13)" in text
    assert "– 3 × not run: no such bucket" in text
    assert "Undocumented (25):" in text
    assert "… and 5 more in verification.csv" in text


def test_rows_that_were_not_selected_are_one_reason(tmp_path: Path) -> None:
    outside = [f"{name}[ok] is not part of the run" for name in ("GetObject", "PutObject", "CopyObject")]
    reasons = [*outside, "; ".join(outside), f"0 of 1 was measured ({outside[0]})"]
    result = a_verification(tmp_path, *(a_check(ClaimVerdict.UNDETERMINED, why) for why in reasons))
    assert verification.as_text(result).split("\n")[-2:] == [
        "– 4 × not part of the run",
        "– 1 × 0 of 1 was measured (GetObject[ok] is not part of the run)",
    ]
    verification.write(result)
    assert the_rows(tmp_path)[0]["why"] == outside[0]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_of_logs_and_of_users_tables_is_inert_everywhere(tmp_path: Path, hostile: str) -> None:
    check = a_check(ClaimVerdict.CONTRADICTED, hostile, name=hostile, note=hostile, sources=(Source(hostile),))
    result = a_verification(tmp_path, check, title=hostile)
    verification.write(result)
    for value in the_rows(tmp_path)[0].values():
        assert not value.startswith(("=", "+", "-", "@", "\t", "\r")), value
    table = [row for row in (tmp_path / "verification.md").read_text().splitlines() if row.startswith("| PutObject")]
    assert len(table) == 1
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", table[0])) == 6
    assert "<script>" not in table[0]
    json_text = (tmp_path / "verification.json").read_text()
    assert json_text.isascii()
    assert json.loads(json_text)["checks"][0]["why"] == hostile
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]", verification.as_text(result))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot write the verification"):
        verification.write(a_verification(tmp_path / "none", a_check()))


# --- The command's function.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of which nothing was executed."""
    with Journal(tmp_path / FILE_NAME, create=True) as journal:
        for name, value in {**FACTS, "absence_seconds": {SERVER_ACCESS: 14_400, CLOUDTRAIL: 3_600}}.items():
            journal.note(name, value)
        journal.plan({CellKey(operation="PutObject"): (1, ""), CellKey(operation="GetObjectTorrent"): (0, "retired")})
    return tmp_path


def test_a_run_is_held_against_a_table_and_its_files_are_written(folder: Path) -> None:
    result = verify(folder)
    assert (result.against, result.exit_code) == ("aws-2026", ExitCode.OK)
    assert result.counts == {"undetermined": len(result.checks)}
    whys = {check.claim.operation: check.answer.why for check in result.checks}
    assert whys["GetObjectTorrent"] == "not run: retired"
    assert whys["PutObject"] == "not run: no call was made"
    assert whys["GetObject"] == "GetObject[ok] is not part of the run"
    assert len(the_rows(folder)) == len(result.checks)


def test_claims_and_the_article_are_lines_too(folder: Path) -> None:
    assert len(verify(folder, "claims").checks) == 58
    ids = [check.claim.id for check in verify(folder, "netskope-2019").checks]
    assert sum(name.startswith("NS-") for name in ids) == 24


def test_a_users_own_table_works(folder: Path) -> None:
    table = folder / "mine.csv"
    table.write_text("channel,operation,name\ncloudtrail,PutObject,PutObject\n")
    result = verify(folder, table)
    assert [check.claim.id for check in result.checks] == ["mine.csv/cloudtrail/PutObject[ok]"]
    assert result.title == str(table)


@pytest.mark.parametrize("against", ["aws-2020", "no/such.csv", ""])
def test_an_unknown_table_is_told_with_what_there_is(folder: Path, against: str) -> None:
    with pytest.raises(UsageError, match="give aws-2019, aws-2023, aws-2026, netskope-2019, claims, or the path"):
        verify(folder, against)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run at"):
        verify(tmp_path / "nothing")


# --- The Logjam tables.


def a_run(folder: Path, **names: str) -> Result:
    """A result in which some operations were logged under some names, in both channels."""
    cells, paired = [], []
    for number, (operation, name) in enumerate(names.items(), 1):
        for channel in (SERVER_ACCESS, CLOUDTRAIL):
            key = CellKey(operation=operation)
            call = a_call(number, cell=key, operation=operation)
            record = a_record(call, channel, name=name, identity=f"{number}{channel}")
            delivery = a_delivery(f"s3://logs/{number}", T0, channel=channel)
            paired.append((record, delivery, Pair(call, record, Way.REQUEST_ID, (delivery,))))
            cells.append(a_cell(operation, channel=channel, calls=1, logged=1, records=1))
    return a_result(folder, cells, paired=paired)


def the_text(result: Result) -> str:
    (path,) = logjam_tables.write(result)
    assert path.name == "logjam-tables.md"
    return path.read_text("utf-8")


def cells_of(text: str, sdk: str) -> list[str]:
    (found,) = (row for row in text.splitlines() if f"| `{sdk}` |" in row)
    return [cell.strip() for cell in found.strip("|").split(" | ")]


def test_the_tables_begin_with_what_they_prove_and_what_is_lost(tmp_path: Path) -> None:
    text = the_text(a_run(tmp_path))
    assert text.startswith(f"> {HEADLINE}")
    assert "No copy of the article's own" in text.split("## Table 3")[0]


def test_every_operation_has_a_row_with_rest_action_method_and_command(tmp_path: Path) -> None:
    text = the_text(a_run(tmp_path, PutBucketAcl="PutBucketAcl"))
    assert cells_of(text, "put_bucket_acl") == [
        "PUT Bucket acl",
        "`put_bucket_acl`",
        "`aws s3api put-bucket-acl`",
        "`PutBucketAcl`",
        "`PutBucketAcl`",
        "",
    ]
    assert text.count("`aws s3api ") == len(catalogue.operations())
    assert cells_of(text, "list_objects_v2")[:3] == [
        "GET Bucket list-type=2",
        "`list_objects_v2`",
        "`aws s3api list-objects-v2`",
    ]
    assert cells_of(text, "get_object")[3:5] == ["–", "–"]
    for name in catalogue.forms():
        assert f"| {name}: " in text


def test_commands_of_the_control_service_are_its_own() -> None:
    operation = catalogue.control_operations()["s3control:GetAccessPoint"]
    assert logjam_tables.cli_command(operation) == "aws s3control get-access-point"
    assert logjam_tables.sdk_method(operation) == "get_access_point"


def test_rows_carry_the_notes_that_hold_for_them(tmp_path: Path) -> None:
    result = a_run(
        tmp_path,
        ListBucketMetricsConfigurations="REST.GET.METRICS",
        GetBucketMetricsConfiguration="REST.GET.METRICS",
        GetBucketLifecycle="GetBucketLifecycle",
    )
    absent = a_cell("GetObject", channel=CLOUDTRAIL, verdict=Verdict.NOT_OBSERVED, calls=1)
    text = the_text(a_result(tmp_path, [*result.cells, absent], paired=result.paired))
    assert cells_of(text, "list_bucket_metrics_configurations")[5] == "3, 5"
    assert cells_of(text, "get_bucket_metrics_configuration")[5] == "5"
    assert cells_of(text, "get_object")[3:6:2] == ["not observed", "6"]
    assert cells_of(text, "get_bucket_lifecycle")[5] == "same wire form as GetBucketLifecycleConfiguration"


def test_all_seven_notes_and_all_claims_of_the_article_have_a_verdict(tmp_path: Path) -> None:
    text = the_text(a_run(tmp_path, GetObject="GetObject"))
    notes = re.findall(r"^\| (\d) \| (.+?) \| (\w+) \|", text, re.MULTILINE)
    assert [int(number) for number, _, _ in notes] == [1, 2, 3, 4, 5, 6, 7]
    assert [int(n) for n, statement, _ in notes if statement.startswith("not preserved")] == [1, 2, 4, 7]
    assert {verdict for n, _, verdict in notes if n in "1247"} == {"undetermined"}
    assert len(re.findall(r"^\| NS-\d\d \| .+ \| (?:confirmed|contradicted|undetermined) \|", text, re.MULTILINE)) == 24


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_name_from_a_log_is_inert_in_the_tables(tmp_path: Path, hostile: str) -> None:
    text = the_text(a_run(tmp_path, PutObject=hostile))
    (row,) = (line for line in text.splitlines() if "| `put_object` |" in line)
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 7
    assert row.count("`") == 8
    assert "<script>" not in row
