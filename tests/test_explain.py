"""``explain`` on a whole run: every generated filter finds its operation's records and nobody else's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import filter_kit
import pytest
from filter_kit import Athena

from harness import catalogue
from harness.analyse.explanation import ChannelView
from harness.errors import NothingSelectedError, UsageError
from harness.explain import NO_RUN, Explanation, Known, explain, knowledge, stands_for
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Record
from harness.report.explanation import name_as_text, operation_as_json, operation_as_text, ready_made
from harness.report.filters import Kind, ddl

Command = Callable[..., "subprocess.CompletedProcess[str]"]
MATCHERS: Mapping[Kind, Callable[[str], filter_kit.Matcher]] = {
    Kind.EVENTBRIDGE: filter_kit.eventbridge,
    Kind.INSIGHTS: filter_kit.insights,
    Kind.METRIC_FILTER: filter_kit.metric_filter,
    Kind.SIGMA: filter_kit.sigma,
}


@pytest.fixture(scope="module")
def known(full_run: Path) -> Known:
    return knowledge(full_run)


@pytest.fixture(scope="module")
def samples(known: Known) -> list[tuple[str, bool, Record]]:
    """Every record of a call under test, with its operation and whether it is of something inside the call."""
    assert known.evidence
    return [
        (operation, inside, pair.record)
        for channel in (CLOUDTRAIL, SERVER_ACCESS)
        for (operation, inside), pairs in known.evidence.observed.of_channel(channel).items()
        for pair in pairs
    ]


@pytest.fixture(scope="module")
def athena(samples: list[tuple[str, bool, Record]]) -> Athena:
    tables = {channel: ddl(channel) for channel in (CLOUDTRAIL, SERVER_ACCESS)}
    return Athena(tables, [record for _, _, record in samples])


@pytest.fixture(scope="module")
def explained(known: Known) -> list[Explanation]:
    return [explain(name, known) for name in catalogue.operations()]


def _views(explained: list[Explanation]) -> list[tuple[Explanation, ChannelView]]:
    return [(told, view) for told in explained for view in told.channels if view.selection]


def _is_expected(
    told: Explanation, view: ChannelView, samples: list[tuple[str, bool, Record]], found: set[str]
) -> None:
    """All own records and none of anybody else's, but of those that the explanation names."""
    assert view.selection
    named = {*view.selection.twins, *view.selection.alike}
    name = told.operation.name
    of_channel = [each for each in samples if each[2].channel == view.channel]
    own = {record.identity for operation, inside, record in of_channel if operation == name and not inside}
    assert own <= found
    writers = {operation for operation, inside, record in of_channel if record.identity in found - own}
    assert writers <= named
    # What S3 writes inside another call is not the operation's.
    assert not found & {record.identity for _, inside, record in of_channel if inside}


def test_every_executed_operation_has_filters_for_every_channel_that_it_was_seen_in(known: Known) -> None:
    assert known.evidence
    for name in catalogue.operations():
        for view in explain(name, known).channels:
            assert (view.selection is not None) >= bool(known.evidence.observed.own(view.channel, name))
            assert (view.selection is None) == bool(view.no_filter)


@pytest.mark.parametrize("kind", MATCHERS)
def test_filters_find_their_operation_and_nobody_else(
    kind: Kind, explained: list[Explanation], samples: list[tuple[str, bool, Record]]
) -> None:
    events = [(record.channel, record.identity, filter_kit.event(record)) for _, _, record in samples]
    tried = 0
    for told, view in _views(explained):
        for each in ready_made(told, view):
            if each.kind is kind:
                matches = MATCHERS[kind](each.text)
                found = {identity for channel, identity, event in events if channel == view.channel and matches(event)}
                _is_expected(told, view, samples, found)
                tried += 1
    assert tried >= 105


def test_athena_queries_find_their_operation_and_nobody_else(
    explained: list[Explanation], samples: list[tuple[str, bool, Record]], athena: Athena
) -> None:
    tried = 0
    for told, view in _views(explained):
        query = next(each for each in ready_made(told, view) if each.kind is Kind.ATHENA)
        _is_expected(told, view, samples, athena.found(query.text))
        tried += 1
    assert tried >= 215


def test_the_access_log_table_reads_every_line_as_the_parser_does(samples: list[tuple[str, bool, Record]]) -> None:
    table = ddl(SERVER_ACCESS)
    lines = [record for _, _, record in samples if record.channel == SERVER_ACCESS]
    assert len(lines) > 400
    for record in lines:
        groups = filter_kit.access_log_groups(table, record.raw)
        assert groups is not None
        values = [value for name, value in record.fields.items() if name != "field_count"]
        assert [None if group == "-" else group for group in groups] == [v if v is None else str(v) for v in values]


def test_two_operations_of_one_channel_are_told_apart_unless_they_are_twins(explained: list[Explanation]) -> None:
    alike = {(v.channel, t.operation.name): set(v.selection.alike) for t, v in _views(explained) if v.selection}
    # What remains are request forms that botocore has no name for, and s3control.
    assert not any(names & catalogue.operations().keys() for names in alike.values())
    assert alike[CLOUDTRAIL, "PutObject"] == {"BrowserPost", "ReplicationPut"}
    assert alike[SERVER_ACCESS, "CreateBucket"] == {"UnknownSubresource"}
    assert not alike[SERVER_ACCESS, "GetObjectAcl"]


def test_the_explanation_itself_says_what_its_filters_select(explained: list[Explanation]) -> None:
    for _, view in _views(explained):
        if view.names:
            assert view.tried and view.selection
            assert view.tried.found == view.tried.own > 0
            assert set(view.tried.taken) <= {*view.selection.twins, *view.selection.alike}


def test_without_a_run_filters_come_from_documents_and_find_nobody_else(
    samples: list[tuple[str, bool, Record]], known: Known
) -> None:
    generated = 0
    for name in catalogue.operations():
        told = explain(name, Known())
        for view in told.channels:
            if view.selection is None:
                assert view.no_filter
                continue
            generated += 1
            selected = [s for s in samples if s[2].channel == view.channel and view.selection.matches(s[2])]
            names = {name, *view.selection.twins, *view.selection.alike}
            assert {operation for operation, _, _ in selected} <= names | {"UnknownSubresource"}
    assert generated >= 190


def test_no_run_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known = knowledge()
    told = explain("putbucketacl", known)
    assert operation_as_text(told).startswith(f"{NO_RUN}\nPutBucketAcl ")
    document = json.loads(operation_as_json(told))
    assert document["headline"] == document["target_note"] == NO_RUN
    assert document["target"] is None
    assert document["channels"][0]["filters"][0]["kind"] == "EventBridge pattern"
    assert document["channels"][0]["sample"] is None


def test_a_run_that_is_not_there_is_an_error_when_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run at"):
        knowledge(tmp_path)


def test_names_lead_back_to_operations(known: Known) -> None:
    told = stands_for(SERVER_ACCESS, "rest.put.acl", known)
    assert {each.operation for each in told.readings} == {"PutBucketAcl", "PutObjectAcl"}
    assert all(each.observed for each in told.readings)
    batch = stands_for(CLOUDTRAIL, "DeleteObject", known).readings
    assert {(each.operation, each.inside) for each in batch} == {("DeleteObject", False), ("DeleteObjects", True)}
    renamed = stands_for(CLOUDTRAIL, "PutBucketPublicAccessBlock", Known()).readings
    assert [each.operation for each in renamed] == ["PutPublicAccessBlock"]


def test_a_naming_rule_speaks_only_where_nothing_else_does(known: Known) -> None:
    by_rule = stands_for(SERVER_ACCESS, "REST.GET.METADATA_CONFIGURATION", Known()).readings
    assert by_rule and all(each.by_rule for each in by_rule)
    seen = stands_for(SERVER_ACCESS, "REST.GET.ACL", known).readings
    assert not any(each.by_rule for each in seen)
    assert "by the naming rule REST.GET.*" in name_as_text(stands_for(SERVER_ACCESS, "REST.GET.NEW", Known()))


def test_unknown_names_lead_to_the_nearest() -> None:
    with pytest.raises(NothingSelectedError, match=r"did you mean PutBucketAcl"):
        explain("PutBucketAccl", Known())
    with pytest.raises(NothingSelectedError, match=r"did you mean .*PutBucketAcl"):
        stands_for(CLOUDTRAIL, "PutBucketACLs", Known())
    with pytest.raises(UsageError, match="empty"):
        stands_for(SERVER_ACCESS, " ", Known())


def test_a_name_that_only_the_control_plane_has_needs_no_prefix() -> None:
    assert explain("createaccesspoint", Known()).operation.name == "s3control:CreateAccessPoint"
    assert explain("GetPublicAccessBlock", Known()).operation.service == "s3"


def test_documents_and_observation_are_held_against_each_other(known: Known) -> None:
    lines = operation_as_text(explain("GetBucketMetricsConfiguration", known)).split("\n")
    agreed = "  ✓ GetBucketMetricsConfiguration[ok] is in cloudtrail as GetBucketMetricsConfiguration, management event"
    assert any(line.startswith(f"{agreed} (aws-2026") for line in lines)
    at = lines.index("  ✗ GetBucketMetricsConfiguration[ok] is not in cloudtrail (netskope-2019)")
    assert "contradicted: 1 of 1 calls are logged" in lines[at + 1]
    assert "request id" in lines[at + 2]


def test_explain_from_the_command_line(command: Command, full_run: Path) -> None:
    done = command("explain", "GetObject", "--run", str(full_run))
    assert done.returncode == 0
    assert done.stdout.startswith("Target: embedded (AWS-like server on this machine: proves the harness, never AWS)")
    assert "without the records that S3 writes inside CopyObject, UploadPartCopy" in done.stdout
    assert not [c for c in done.stdout if ord(c) < 32 and c != "\n"]
    done = command("explain", "--sal", "REST.PUT.ACL", "--run", str(full_run), "--output", "json")
    document = json.loads(done.stdout)
    assert document["target"] == "embedded"
    assert {each["operation"] for each in document["operations"]} == {"PutBucketAcl", "PutObjectAcl"}
    assert command("explain", "NoSuchCall").returncode == 5
    assert command("explain").returncode == 4
    assert command("explain", "PutObject", "--sal", "REST.PUT.OBJECT").returncode == 4
    assert command("explain", "PutObject", "--run", "no-such-run").returncode == 4
