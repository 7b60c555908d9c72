"""The first screen: the sentence and the figures count what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from offline import FACTS, a_call, a_cell, a_result

from harness.analyse.verify import Answer, Check, ClaimVerdict
from harness.catalogue.documented import Claim
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Cell, Role, Verdict
from harness.report.html_summary import channel_lines, facts, figures, sentence

LOGGED, PARTLY, ABSENT, PENDING, NOT_RUN = Verdict


def row(operation: str, *verdicts: Verdict) -> list[Cell]:
    channels = (SERVER_ACCESS, CLOUDTRAIL, "eventbridge")
    return [a_cell(operation, channel=c, verdict=v) for c, v in zip(channels, verdicts, strict=False)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(LOGGED, LOGGED)], "Of 1 executed rows (operation × variant), 1 are logged in every channel, 0 in some"),
        ([(LOGGED, ABSENT)], "0 are logged in every channel, 1 in some channels or in part, 0 in none."),
        ([(PARTLY, PARTLY)], "0 are logged in every channel, 1 in some channels or in part, 0 in none."),
        ([(ABSENT, ABSENT)], "0 in some channels or in part, 1 in none."),
        ([(LOGGED, PENDING), (ABSENT, PENDING)], "0 in none, 2 still pending."),
        ([(LOGGED, LOGGED), (NOT_RUN, NOT_RUN)], "Of 1 executed rows"),
        ([(ABSENT, NOT_RUN)], "0 in none, 1 otherwise."),
        ([(NOT_RUN, NOT_RUN)], "None of the 1 rows was executed, so nothing was measured."),
        ([(LOGGED, LOGGED, LOGGED), (LOGGED, LOGGED, ABSENT)], "1 are logged in every channel, 1 in some"),
    ],
)
def test_the_sentence_counts_rows_by_their_channels(rows: list[tuple[Verdict, ...]], told: str) -> None:
    assert told in sentence([cell for n, verdicts in enumerate(rows) for cell in row(f"Op{n}", *verdicts)])


def test_every_executed_row_is_counted_once() -> None:
    every = [(a, b) for a in Verdict for b in Verdict]
    told = sentence([cell for n, verdicts in enumerate(every) for cell in row(f"Op{n}", *verdicts)])
    numbers = [int(word) for word in told.replace(",", " ").split() if word.isdigit()]
    assert numbers[0] == sum(numbers[1:]) == len(every) - 1


def check(verdict: ClaimVerdict) -> Check:
    return Check(claim=Claim(id="x", channel=CLOUDTRAIL), answer=Answer(verdict=verdict))


def test_there_are_five_figures(tmp_path: Path) -> None:
    cells = [
        *row("A", LOGGED, LOGGED),
        *row("B", LOGGED, ABSENT),
        *row("C", NOT_RUN, PENDING),
        *row("D", NOT_RUN, NOT_RUN),
    ]
    checks = [check(ClaimVerdict.CONTRADICTED), check(ClaimVerdict.CONFIRMED), check(ClaimVerdict.CONFIRMED)]
    found = figures(a_result(tmp_path, cells), [], checks)
    assert [(each.value, each.note) for each in found] == [
        ("3 of 4", "3 of 4 rows"),
        ("75 %", "3 of 4 cells with a verdict"),
        ("1", "0 partly logged, 1 pending, 3 not run"),
        ("–", "no number: too few calls or records"),
        ("1", "of 3: 2 confirmed, 0 undetermined, 0 undocumented"),
    ]


def test_without_a_verdict_no_share_is_told(tmp_path: Path) -> None:
    assert figures(a_result(tmp_path, row("A", PENDING)), [], [])[1].value == "–"


def test_facts_name_date_region_versions_and_n(tmp_path: Path) -> None:
    told = {
        **FACTS,
        "started_at": "2026-11-23T03:20:27+00:00",
        "region": "eu-west-1",
        "repeats": 30,
        "s3logjam": "0.1.0",
    }
    calls = [a_call(1), a_call(2, role=Role.SETUP)]
    found = facts(a_result(tmp_path, row("A", LOGGED, LOGGED), facts=told, calls=calls))
    assert found["Date"] == "2026-11-23 03:20 UTC"
    assert found["Region"] == "eu-west-1"
    assert found["Versions"] == "s3logjam 0.1.0, botocore 1.44.5"
    assert found["n"] == "1 calls under test, 30 of each row"
    assert found["Channels"] == "server-access, cloudtrail"


def test_a_channel_has_its_verdicts_files_and_rejects(tmp_path: Path) -> None:
    counts = {SERVER_ACCESS: {"deliveries": 7, "rejects": 2}}
    first, second = channel_lines(a_result(tmp_path, row("A", LOGGED, ABSENT), deliveries=counts))
    assert (first["verdicts"], first["files"], first["rejects"]) == ([1, 0, 0, 0, 0], 7, 2)
    assert (second["verdicts"], second["files"], second["median"]) == ([0, 0, 1, 0, 0], 0, "–")
