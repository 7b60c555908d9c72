"""Drift between two runs: nothing where nothing changed, and each kind of change where there is one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from itertools import combinations, islice
from pathlib import Path

import pytest
from drift_kit import BUCKET, SOME, USER, Faults, measured, traffic, write_run
from offline import ACCOUNT, REGION

from harness.analyse.cases import Case, DiffResult, Outcome, cases_of_diff, cases_of_run, excuse
from harness.analyse.curve import Observation
from harness.analyse.drift import compare, incomparable
from harness.analyse.findings import SEVERITY, Finding, Kind
from harness.analyse.known import parse, sort_out
from harness.analyse.moved import Limits, delay_moved, incomparable_delays, share_moved
from harness.analyse.snapshot import CellId, CellShot, DelayClass, Delays, Presence, Snapshot
from harness.analyse.survival import estimate
from harness.diff import diff
from harness.errors import ExitCode, UsageError
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Verdict
from harness.report import baseline
from harness.report.snapshots import load

TODAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def clean() -> Snapshot:
    return measured(traffic(seed=1), 1)


def found(clean: Snapshot, **faults: object) -> list[Finding]:
    """What is found when the second run, of another seed, has these faults."""
    return compare(clean, measured(traffic(seed=2, faults=Faults(**faults)), 2))  # type: ignore[arg-type]


def told(findings: list[Finding]) -> list[tuple[Kind, str, str]]:
    return [(finding.kind, str(finding.cell), finding.subject) for finding in findings]


def test_two_clean_runs_with_different_seeds_have_no_findings_in_100_repetitions() -> None:
    runs = [measured(traffic(seed, operations=()), seed) for seed in range(15)]
    pairs = list(islice(combinations(runs, 2), 100))
    assert len(pairs) == 100
    for a, b in pairs:
        assert not compare(a, b), (a.source, b.source)
        assert not incomparable(a, b)
    # The comparison had something to say: there were enough delays in both channels.
    compared = runs[0].delays.keys() - incomparable_delays(runs[0], runs[1])
    assert {each.channel for each in compared} == {SERVER_ACCESS, CLOUDTRAIL}


def test_a_renamed_operation_is_found(clean: Snapshot) -> None:
    findings = found(clean, renamed={("PutBucketAcl", SERVER_ACCESS): "REST.PUT.ACLS"})
    assert told(findings) == [(Kind.RENAMED, "PutBucketAcl[ok-server-access]", "REST.PUT.ACL → REST.PUT.ACLS")]
    assert "PutBucketAcl" in findings[0].title
    assert [e.records for e in findings[0].evidence] == [("REST.PUT.ACL",), ("REST.PUT.ACLS",)]


def test_a_dropped_field_is_one_finding_of_the_channel(clean: Snapshot) -> None:
    findings = found(clean, dropped=frozenset({"recipientAccountId"}))
    assert told(findings) == [(Kind.FIELD_MISSING, "*[*-cloudtrail]", "recipientAccountId")]
    assert len(findings[0].cells) == len(SOME)
    assert f"{len(SOME)} of {len(SOME)} cells" in findings[0].title


def test_a_dropped_volatile_field_is_found_too(clean: Snapshot) -> None:
    assert told(found(clean, dropped=frozenset({"eventID"}))) == [(Kind.FIELD_MISSING, "*[*-cloudtrail]", "eventID")]


def test_an_added_28th_field_is_found_as_a_field_and_as_a_count(clean: Snapshot) -> None:
    assert told(found(clean, added=True)) == [
        (Kind.FIELD_COUNT, "*[*-server-access]", "27 → 28"),
        (Kind.FIELD_NEW, "*[*-server-access]", "extra_28"),
    ]


def test_the_lost_record_of_one_operation_is_found(clean: Snapshot) -> None:
    findings = found(clean, lost=frozenset({("GetBucketTagging", CLOUDTRAIL)}))
    assert told(findings) == [(Kind.VANISHED, "GetBucketTagging[ok-cloudtrail]", "")]


def test_a_lost_second_record_of_a_copy_is_found(clean: Snapshot) -> None:
    findings = found(clean, lost_related=frozenset({("CopyObject", SERVER_ACCESS)}))
    assert told(findings) == [(Kind.RECORD_LOST, "CopyObject[ok-server-access]", "REST.COPY.OBJECT_GET")]
    assert "2 records of 1 calls before, 1 of 1 now" in findings[0].title


def test_an_operation_that_appears_is_found(clean: Snapshot) -> None:
    without = measured(traffic(seed=2, faults=Faults(lost=frozenset({("GetBucketTagging", CLOUDTRAIL)}))), 2)
    assert told(compare(without, clean)) == [(Kind.APPEARED, "GetBucketTagging[ok-cloudtrail]", "")]


def test_an_event_that_moves_from_management_to_data_is_found(clean: Snapshot) -> None:
    findings = found(clean, category={"PutBucketAcl": "data"})
    assert told(findings) == [(Kind.CATEGORY, "PutBucketAcl[ok-cloudtrail]", "Management → Data")]


def test_a_doubled_delay_is_found_once_for_the_channel(clean: Snapshot) -> None:
    findings = found(clean, slower={SERVER_ACCESS: 2})
    assert told(findings) == [(Kind.DELAY, "*[*-server-access]", "all calls")]
    assert "p = " in str(findings[0].evidence[1])
    assert told(compare(clean, _slower(clean, CLOUDTRAIL, 2))) == [(Kind.DELAY, "*[*-cloudtrail]", "all calls")]


def _slower(run: Snapshot, channel: str, factor: float) -> Snapshot:
    """The run as if every delay that was seen in a channel had been longer."""
    return replace(
        run,
        delays={
            name: Delays(tuple((low * factor, high * factor) for low, high in each.bounds))
            if name.channel == channel
            else each
            for name, each in run.delays.items()
        },
    )


def test_a_delay_that_moved_in_one_class_only_is_found_for_that_class(clean: Snapshot) -> None:
    few, many = DelayClass(SERVER_ACCESS, "r", "data", "read"), DelayClass(SERVER_ACCESS, "r", "data", "write")
    delays = Delays(tuple((3000.0 + n, 3000.0 + n) for n in range(20)))
    before = replace(clean, delays={few: delays, many: Delays(delays.bounds * 10)})
    slower = replace(before, delays={few: _slower(before, SERVER_ACCESS, 2).delays[few], many: before.delays[many]})
    assert told(compare(before, slower)) == [(Kind.DELAY, "*[*-server-access]", "r data read calls")]


def test_records_that_have_not_come_count_as_censored_and_not_as_fast_ones() -> None:
    seen = Delays(tuple((100.0 + n, 100.0 + n) for n in range(40)))
    # Half has come as fast as before, the other half was waited for in vain.
    waiting = Delays((*seen.bounds[:19], *((1000.0, math.inf) for _ in range(21))))
    moved = delay_moved(seen, waiting, 0.001, 1.5)
    assert moved is not None
    assert moved.medians[1] is None
    assert moved.ratio > 1.5
    only_early_ones = Delays(seen.bounds[:19])
    assert delay_moved(seen, only_early_ones, 0.001, 1.5) is None


def test_a_channel_in_which_nothing_has_come_is_judged_by_how_long_was_waited() -> None:
    seen = Delays(tuple((3000.0 + n, 3000.0 + n) for n in range(40)))
    assert delay_moved(seen, Delays(((60.0, math.inf),) * 40), 0.001, 1.5) is None
    moved = delay_moved(seen, Delays(((20_000.0, math.inf),) * 40), 0.001, 1.5)
    assert moved is not None
    assert "beyond the waiting" in str(moved)
    back = delay_moved(Delays(((20_000.0, math.inf),) * 40), seen, 0.001, 1.5)
    assert back is not None
    assert back.ratio < 1


def test_medians_of_few_calls_count_although_they_are_told_as_intervals_only() -> None:
    few = Delays(tuple((50.0 * n, 50.0 * n) for n in range(1, 31)))
    slow = Delays(tuple((4 * low, 4 * high) for low, high in few.bounds))
    found = estimate([Observation(*bounds) for bounds in few.bounds])
    assert found is not None
    assert 0.5 in found.not_told
    moved = delay_moved(few, slow, 0.001, 1.5)
    assert moved is not None
    assert moved.medians == pytest.approx((775, 3100))
    assert moved.ratio == pytest.approx(4)


def test_significance_without_size_is_no_finding_and_neither_is_size_without_significance() -> None:
    many = Delays(tuple((100.0 + n / 50, 100.0 + n / 50) for n in range(2000)))
    later = Delays(tuple((low * 1.2, high * 1.2) for low, high in many.bounds))
    assert delay_moved(many, later, 0.001, 1.5) is None
    assert delay_moved(many, later, 0.001, 1.1) is not None
    few, slow = Delays(((10.0, 10.0), (11.0, 11.0))), Delays(((30.0, 30.0), (31.0, 31.0)))
    assert delay_moved(few, slow, 0.001, 1.5) is None


def test_shares_are_compared_exactly() -> None:
    assert not share_moved((10, 10), (9, 10))
    assert share_moved((100, 100), (70, 100))
    assert not share_moved((100, 100), (70, 100), Limits(alpha=1e-12))


def test_pending_and_not_run_are_counted_and_are_no_findings(clean: Snapshot) -> None:
    cells = dict(clean.cells)
    first, second, third = sorted(cells)[:3]
    for cell, verdict in ((first, Verdict.PENDING), (second, Verdict.NOT_RUN)):
        cells[cell] = CellShot(verdict=verdict)
    del cells[third]
    assert not compare(clean, replace(clean, cells=cells))
    assert incomparable(clean, replace(clean, cells=cells)) == {
        first: "pending in B",
        second: "not run in B",
        third: "not in B",
    }


def test_a_call_that_was_throttled_is_not_comparable_and_one_that_was_refused_is_told(clean: Snapshot) -> None:
    cell = CellId("GetObject", "ok", CLOUDTRAIL)
    throttled = replace(clean.cells[cell], statuses=("503 SlowDown",))
    assert not compare(clean, replace(clean, cells={**clean.cells, cell: throttled}))
    assert cell in incomparable(clean, replace(clean, cells={**clean.cells, cell: throttled}))
    findings = found(clean, denied=frozenset({"GetObject"}))
    assert told(findings) == [(Kind.OUTCOME, "GetObject[ok-*]", "200 → 403 AccessDenied")]
    assert len(findings[0].cells) == 2


def test_a_success_with_another_status_does_not_hide_other_changes(clean: Snapshot) -> None:
    cell = CellId("GetObject", "ok", CLOUDTRAIL)
    shot = replace(clean.cells[cell], statuses=("204",), names=("FetchObject",))
    findings = compare(clean, replace(clean, cells={**clean.cells, cell: shot}))
    assert {finding.kind for finding in findings} == {Kind.RENAMED, Kind.OUTCOME}


def test_a_value_that_is_gone_is_told_once(clean: Snapshot) -> None:
    cell = CellId("GetObject", "ok", SERVER_ACCESS)
    shot = clean.cells[cell]
    present = {**shot.fields, "acl_required": Presence("format", 1)}
    before = replace(shot, fields=present, values={**shot.values, "acl_required": ("Yes",)})
    findings = compare(replace(clean, cells={**clean.cells, cell: before}), clean)
    assert told(findings) == [(Kind.FIELD_MISSING, str(cell), "acl_required")]


def test_wrong_values_are_found_when_they_are_new_and_when_they_are_gone(clean: Snapshot) -> None:
    cell = CellId("GetObject", "ok", SERVER_ACCESS)
    wrong = replace(clean.cells[cell], wrong={"http_status": "call 7: expected '200', seen 404"})
    other = replace(clean, cells={**clean.cells, cell: wrong})
    findings = compare(clean, other)
    assert told(findings) == [(Kind.WRONG, str(cell), "http_status")]
    assert "seen 404" in str(findings[0].evidence[1])
    assert told(compare(other, clean)) == [(Kind.RIGHT, str(cell), "http_status")]


def test_a_field_in_another_class_and_one_without_values_are_found(clean: Snapshot) -> None:
    cell = CellId("GetObject", "ok", SERVER_ACCESS)
    shot = clean.cells[cell]
    fields = {**shot.fields, "tls_version": Presence("format", 0), "cipher_suite": Presence("volatile", 1)}
    findings = compare(clean, replace(clean, cells={**clean.cells, cell: replace(shot, fields=fields)}))
    assert told(findings) == [
        (Kind.FIELD_MISSING, str(cell), "tls_version"),
        (Kind.FIELD_CLASS, str(cell), "cipher_suite: format → volatile"),
    ]


def test_a_value_that_says_how_is_logged_is_compared(clean: Snapshot) -> None:
    cells = {
        cell: replace(shot, values={**shot.values, "eventVersion": ("1.12",)})
        if "eventVersion" in shot.values
        else shot
        for cell, shot in clean.cells.items()
    }
    findings = compare(clean, replace(clean, cells=cells))
    assert told(findings) == [(Kind.VALUE, "*[*-cloudtrail]", "eventVersion: 1.11 → 1.12")]


def test_a_field_that_is_there_now_and_then_is_no_finding_until_the_shares_differ_beyond_chance() -> None:
    def run(present: int, of: int) -> Snapshot:
        shot = CellShot(
            verdict=Verdict.LOGGED,
            calls=of,
            logged=of,
            records=of,
            examined=of,
            names=("X",),
            statuses=("200",),
            fields={"maybe": Presence("format", present)},
        )
        return Snapshot(source="x", headline="x", target="x", cells={CellId("X", "ok", CLOUDTRAIL): shot})

    assert not compare(run(5, 10), run(9, 10))
    assert not compare(run(3, 10), run(0, 1))
    assert told(compare(run(50, 100), run(5, 100))) == [(Kind.FIELD_MISSING, "X[ok-cloudtrail]", "maybe")]


def test_a_change_of_all_variants_of_an_operation_is_one_finding(clean: Snapshot) -> None:
    def twice(run: Snapshot) -> Snapshot:
        denied = {CellId(cell.operation, "denied", cell.channel): shot for cell, shot in run.cells.items()}
        return replace(run, cells={**run.cells, **denied})

    renamed = measured(traffic(seed=2, faults=Faults(renamed={("PutBucketAcl", CLOUDTRAIL): "PutAcl"})), 2)
    findings = compare(twice(clean), twice(renamed))
    assert told(findings) == [(Kind.RENAMED, "PutBucketAcl[*-cloudtrail]", "PutBucketAcl → PutAcl")]
    assert {e.cell for e in findings[0].evidence} == {"PutBucketAcl[denied-cloudtrail]", "PutBucketAcl[ok-cloudtrail]"}
    only_one = replace(twice(clean), cells={**twice(clean).cells, **renamed.cells})
    assert told(compare(twice(clean), only_one))[0][1] == "PutBucketAcl[ok-cloudtrail]"


def test_ids_are_the_same_in_every_run_and_differ_between_findings(clean: Snapshot) -> None:
    fault = {"renamed": {("PutBucketAcl", SERVER_ACCESS): "A"}, "category": {"HeadBucket": "management"}}
    one = found(clean, **fault)
    other = compare(measured(traffic(seed=5), 5), measured(traffic(seed=6, faults=Faults(**fault)), 6))  # type: ignore[arg-type]
    assert [finding.id for finding in one] == [finding.id for finding in other]
    assert len({finding.id for finding in one}) == len(one) == 2
    assert one[0].id == "19a688edbb38"


def test_every_kind_has_a_severity() -> None:
    assert set(SEVERITY) == set(Kind)


def test_delays_are_compared_only_where_both_sides_are_alike(clean: Snapshot) -> None:
    other = replace(clean, target="aws")
    assert set(incomparable_delays(clean, other).values()) == {"A ran on embedded, B on aws"}
    assert not compare(clean, _slower(other, SERVER_ACCESS, 5))
    few = DelayClass(CLOUDTRAIL, REGION, "data", "read")
    assert (
        incomparable_delays(replace(clean, delays={few: Delays(((1, 1),))}), clean)[few] == "only 1 calls on one side"
    )


# Known deviations


HEAD_BUCKET = """
[[deviation]]
cell = "HeadBucket[*-cloudtrail]"
kind = "category"
reason = "the S3 User Guide lists it as both"
expires = 2026-12-31
"""


def test_a_known_deviation_is_excused_until_it_expires(clean: Snapshot) -> None:
    findings = found(clean, category={"HeadBucket": "management"})
    entries = parse(HEAD_BUCKET, "known.toml")
    left, excused = sort_out(findings, entries, clean.cells, TODAY, "known.toml")
    assert not left
    assert [entry.reason for _, entry in excused] == ["the S3 User Guide lists it as both"]
    left, excused = sort_out(findings, entries, clean.cells, date(2027, 1, 1), "known.toml")
    assert [finding.kind for finding in left] == [Kind.CATEGORY, Kind.KNOWN_EXPIRED]
    assert not excused


def test_a_known_deviation_may_be_named_by_the_id_of_its_finding(clean: Snapshot) -> None:
    findings = found(clean, category={"HeadBucket": "management"})
    entry = f'[[deviation]]\nid = "{findings[0].id}"\nreason = "why"\nexpires = 2026-12-31\n'
    left, excused = sort_out(findings, parse(entry, "k"), clean.cells, TODAY, "k")
    assert (left, len(excused)) == ([], 1)


def test_an_entry_that_is_no_longer_true_is_a_finding(clean: Snapshot) -> None:
    left, _ = sort_out([], parse(HEAD_BUCKET, "k"), clean.cells, TODAY, "k")
    assert [finding.kind for finding in left] == [Kind.KNOWN_STALE]
    assert "HeadBucket" in left[0].title
    # Of a run that says nothing about the cell, nothing follows.
    others = [cell for cell in clean.cells if cell.operation != "HeadBucket"]
    assert sort_out([], parse(HEAD_BUCKET, "k"), others, TODAY, "k") == ([], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[deviation", "not TOML"),
        ("deviation = 3", "write each entry"),
        ('[[deviaton]]\ncell = "x"\nreason = "y"\nexpires = 2026-12-31', "deviaton is unknown"),
        ('[[deviation]]\ncell = "x"\nexpires = 2026-12-31', "a reason"),
        ('[[deviation]]\nreason = "x"\nexpires = 2026-12-31', "an id, a cell or a kind"),
        ('[[deviation]]\ncell = "x"\nreason = "y"', "expires"),
        ('[[deviation]]\ncell = "x"\nreason = "y"\nexpires = "2026-12-31"', "without quotes"),
        ('[[deviation]]\ncell = "x"\nreason = "y"\nexpires = 2026-12-31\nuntil = 1', "until"),
        ('[[deviation]]\ncell = 3\nreason = "y"\nexpires = 2026-12-31', "are texts"),
    ],
)
def test_an_incomplete_entry_is_told_with_an_example(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text, "known.toml")


def test_brackets_in_a_pattern_mean_themselves() -> None:
    (entry,) = parse(HEAD_BUCKET, "k")
    assert entry.covers(CellId("HeadBucket", "denied", CLOUDTRAIL))
    assert not entry.covers(CellId("HeadBuckets", "denied", CLOUDTRAIL))


# Cases


def test_a_cell_is_confirmed_contradicted_known_or_undetermined(clean: Snapshot) -> None:
    cells = dict(clean.cells)
    cells[CellId("GetObject", "ok", CLOUDTRAIL)] = CellShot(verdict=Verdict.PENDING)
    b = measured(
        traffic(seed=2, faults=Faults(category={"HeadBucket": "management", "PutBucketAcl": "data"}, added=True))
    )
    a = replace(clean, cells=cells)
    left, excused = sort_out(compare(a, b), parse(HEAD_BUCKET, "k"), clean.cells, TODAY, "k")
    result = DiffResult(
        a=a, b=b, findings=tuple(left), excused=tuple(excused), incomparable=incomparable(a, b), incomparable_delays={}
    )
    cases = {case.name: case for case in cases_of_diff(result)}
    assert cases["PutBucketAcl[ok-cloudtrail]"].outcome is Outcome.CONTRADICTED
    assert "Management → Data" in cases["PutBucketAcl[ok-cloudtrail]"].text
    assert cases["HeadBucket[ok-cloudtrail]"].known == "the S3 User Guide lists it as both (until 2026-12-31)"
    assert cases["GetObject[ok-cloudtrail]"].outcome is Outcome.UNDETERMINED
    assert cases["PutObject[ok-cloudtrail]"].outcome is Outcome.CONFIRMED
    # What concerns the whole channel fails once, and not in each of its cells.
    assert cases["new-field[extra_28-server-access]"].outcome is Outcome.CONTRADICTED
    assert cases["PutObject[ok-server-access]"].outcome is Outcome.CONFIRMED
    assert result.exit_code is ExitCode.DRIFT


def test_a_comparison_of_nothing_is_no_clean_one(clean: Snapshot) -> None:
    empty = replace(clean, cells={})
    result = DiffResult(a=clean, b=empty, incomparable=incomparable(clean, empty), incomparable_delays={})
    assert result.exit_code is ExitCode.NOTHING_SELECTED


def test_a_run_alone_is_held_against_its_own_declarations() -> None:
    lost = Faults(lost=frozenset({("GetBucketTagging", CLOUDTRAIL)}))
    cases = {case.name: case for case in cases_of_run(measured(traffic(faults=lost)))}
    assert cases["GetBucketTagging[ok-cloudtrail]"].outcome is Outcome.CONTRADICTED
    assert "0 records where 1 are declared" in cases["GetBucketTagging[ok-cloudtrail]"].text
    assert sum(case.outcome is Outcome.CONTRADICTED for case in cases.values()) == 1


def test_statements_that_are_known_to_be_contradicted_are_excused_by_id_or_cell() -> None:
    text = '[[deviation]]\nid = "NS-02"\nreason = "27 fields by now"\nexpires = 2026-12-31\n'
    cases = [Case("NS-02", Outcome.CONTRADICTED, "x", id="NS-02"), Case("A[ok-x]", Outcome.CONFIRMED)]
    excused = {case.name: case for case in excuse(cases, parse(text, "k"), TODAY)}
    assert excused["NS-02"].outcome is Outcome.KNOWN
    expired = {case.name: case.outcome for case in excuse(cases, parse(text, "k"), date(2027, 1, 1))}
    assert expired == {**{c.name: c.outcome for c in cases}, "expired-deviation[NS-02]": Outcome.CONTRADICTED}
    stale = parse('[[deviation]]\ncell = "A[*]"\nreason = "y"\nexpires = 2026-12-31\n', "k")
    assert "stale-deviation[A[*]]" in {case.name for case in excuse(cases, stale, TODAY)}


# Files


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("runs")
    faults = Faults(category={"HeadBucket": "management"})
    return write_run(base / "a", traffic(1), 1), write_run(base / "b", traffic(2, faults), 2)


def test_a_run_a_matrix_and_a_baseline_say_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run = load(folders[0])
    stored = load(baseline.write(run, tmp_path / "sub" / "baseline.json"))
    for a in (run, stored, load(folders[0] / "matrix.json")):
        assert not compare(a, run)
        slower = _slower(run, SERVER_ACCESS, 2)
        assert told(compare(a, slower)) == [(Kind.DELAY, "*[*-server-access]", "all calls")]
        findings = compare(a, load(folders[1]))
        assert told(findings) == [(Kind.CATEGORY, "HeadBucket[ok-cloudtrail]", "Data → Management")]
    assert {name: sorted(each.bounds) for name, each in stored.delays.items()} == {
        name: sorted((round(low, 1), round(high, 1)) for low, high in each.bounds) for name, each in run.delays.items()
    }


def test_the_evidence_of_a_run_names_calls_records_and_files(folders: tuple[Path, Path]) -> None:
    (finding,) = diff(*folders).findings
    for evidence, folder in zip(finding.evidence, folders, strict=True):
        assert evidence.source == str(folder)
        assert evidence.records == ("HeadBucket",)
        assert len(evidence.calls) == 1
        assert evidence.files[0].startswith(f"s3://drift-logs/{ACCOUNT}/cloudtrail/{evidence.calls[0]}-")


def test_a_baseline_holds_no_volatile_value_and_no_account(folders: tuple[Path, Path], tmp_path: Path) -> None:
    text = baseline.write(load(folders[0]), tmp_path / "baseline.json").read_text("utf-8")
    for secret in (ACCOUNT, BUCKET, USER, "10.20.30.40", "s3lm/", "AIDA"):
        assert secret not in text
    again = baseline.write(load(folders[0]), tmp_path / "again.json").read_text("utf-8")
    assert again == text
    without_delays = json.loads(text) | {"delays": {}, "run": {}}
    other = json.loads(
        baseline.write(load(write_run(tmp_path / "r", traffic(9), 9)), tmp_path / "o").read_text("utf-8")
    )
    assert other | {"delays": {}, "run": {}} == without_delays


def test_an_interrupted_run_is_no_baseline(clean: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="interrupted"):
        baseline.write(replace(clean, run={"interrupted": "collect"}), tmp_path / "baseline.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": 3}', '{"baseline_version": 99}', "\x00"])
def test_a_file_that_is_neither_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UsageError, match=r"x\.json"):
        load(tmp_path / "x.json")
    with pytest.raises(UsageError, match="give a run's folder"):
        load(tmp_path / "absent")


def test_repeated_calls_have_no_single_delays_in_a_matrix_alone(folders: tuple[Path, Path], tmp_path: Path) -> None:
    document = json.loads((folders[0] / "matrix.json").read_text("utf-8"))
    next(cell for cell in document["cells"] if cell["delay"])["delay"]["n"] = 2
    (tmp_path / "matrix.json").write_text(json.dumps(document))
    alone = load(tmp_path / "matrix.json")
    assert not alone.delays
    assert set(incomparable_delays(alone, load(folders[0])).values()) == {alone.no_delays}


def test_the_diff_of_two_runs_takes_known_deviations_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    known.write_text(HEAD_BUCKET.replace("2026-12-31", "2999-12-31"))
    assert diff(*folders).exit_code is ExitCode.DRIFT
    result = diff(*folders, known)
    assert result.exit_code is ExitCode.OK
    assert len(result.excused) == 1
    assert diff(folders[0], folders[0], known).exit_code is ExitCode.DRIFT
    with pytest.raises(UsageError, match="cannot read"):
        diff(*folders, tmp_path / "absent.toml")
