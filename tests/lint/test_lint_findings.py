"""What the lint finds, in every rule language; and that it finds nothing in rules that are right."""

from __future__ import annotations

import csv
import re
from importlib.resources import files
from pathlib import Path

import botocore.session
import pytest
from lint_kit import LANGUAGES, kinds, lint_text, write

from harness import catalogue
from harness.catalogue.names import documented_names
from harness.errors import ExitCode, NothingSelectedError, UsageError
from harness.explain import explain, knowledge
from harness.lint.command import lint
from harness.lint.known import iam_actions, operations_of_others
from harness.lint.model import Kind
from harness.model import CLOUDTRAIL, SERVER_ACCESS
from harness.report.explanation import ready_made
from harness.report.filters import Kind as FilterKind

WRITES = ["PutObject", "CopyObject", "CompleteMultipartUpload"]
PUBLIC = ["PutBucketAcl", "PutBucketPolicy", "PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock"]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No results/latest: documents speak alone unless a test gives a run."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_kind_of_finding_in_each_language(language: str, tmp_path: Path) -> None:
    names = ["PutBucketAccl", "PutPublicAccessBlock", "PutEncryptionConfiguration", "PutObject", "REST.PUT.ACL"]
    result = lint(write(tmp_path, language, names))
    wanted = {
        (Kind.RENAMED, "PutPublicAccessBlock"),
        (Kind.RENAMED, "PutEncryptionConfiguration"),
        (Kind.SIBLING, "PutObject"),
    }
    wanted |= {(Kind.DEAD, "PutBucketAccl")}
    if language != "list":  # which says neither the source nor the log: names are taken for what they look like
        wanted |= {(Kind.OTHER_CHANNEL, "REST.PUT.ACL")}
    assert kinds(result) == wanted
    assert (Kind.DATA_EVENTS, "PutObject") in kinds(result, notes=True)
    assert result.exit_code is ExitCode.DRIFT
    assert not result.unread
    for finding in result.findings:
        assert finding.name in finding.path.read_text("utf-8").split("\n")[finding.line - 1]
    texts = {finding.name: finding.text for finding in result.open}
    assert "did you mean PutBucketAcl?" in texts["PutBucketAccl"]
    assert "PutBucketPublicAccessBlock" in texts["PutPublicAccessBlock"]
    assert "an IAM action" in texts["PutEncryptionConfiguration"]


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "list"])
def test_each_kind_of_finding_in_rules_on_the_access_log(language: str, tmp_path: Path) -> None:
    result = lint(write(tmp_path, language, ["REST.PUT.BUCKTPOLICY", "PutBucketPolicy", "REST.DELETE.OBJECT"], "sal"))
    assert kinds(result) == {
        (Kind.DEAD, "REST.PUT.BUCKTPOLICY"),
        (Kind.OTHER_CHANNEL, "PutBucketPolicy"),
        (Kind.SIBLING, "REST.DELETE.OBJECT"),
    }


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("names", [WRITES, PUBLIC, ["DeleteObject"], ["CopyObject"], ["ListObjects", "GetObject"]])
def test_nothing_is_found_in_rules_that_are_right(language: str, names: list[str], tmp_path: Path) -> None:
    result = lint(write(tmp_path, language, names))
    assert kinds(result) == set()
    assert result.about_s3 == 1
    assert result.exit_code is ExitCode.OK


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_found_in_right_rules_on_the_access_log(language: str, tmp_path: Path) -> None:
    names = ["REST.DELETE.OBJECT", "BATCH.DELETE.OBJECT", "REST.GET.ACL", "S3.EXPIRE.OBJECT", "WEBSITE.GET.OBJECT"]
    result = lint(write(tmp_path, language, names, "sal"))
    assert kinds(result, notes=True) == set()
    assert result.about_s3 == 1


def test_no_documented_or_observed_name_is_ever_dead(full_run: Path, tmp_path: Path) -> None:
    known = knowledge(full_run)
    assert known.evidence
    for channel, language in ((CLOUDTRAIL, "insights"), (SERVER_ACCESS, "athena")):
        names = {n for row in catalogue.rows() for n in documented_names(channel, row)}
        names |= known.evidence.observed.by_name(channel).keys()
        files = write(tmp_path, language, sorted(names), channel)
        newest = lint(files, full_run)
        assert not [f for f in newest.open if f.kind in (Kind.DEAD, Kind.OTHER_CHANNEL)]
        # Names that only older documents have are told as such.
        assert all(
            "former name" in f.text or "operation's name" in f.text for f in newest.open if f.kind is Kind.RENAMED
        )


def test_every_filter_that_explain_writes_passes(full_run: Path, tmp_path: Path) -> None:
    suffixes = {FilterKind.SIGMA: "yml", FilterKind.ATHENA: "sql", FilterKind.INSIGHTS: "query"}
    count = 0
    known = knowledge(full_run)
    for name in catalogue.operations():
        for view in (told := explain(name, known)).channels:
            for each in ready_made(told, view):
                if each.kind in suffixes:
                    (tmp_path / f"{name}-{view.channel}-{count}.{suffixes[each.kind]}").write_text(each.text, "utf-8")
                    count += 1
    result = lint([tmp_path], full_run)
    assert result.about_s3 == result.rules == count >= 500
    assert not result.unread
    # What is left is that a filter finds one operation, on purpose.
    assert {f.kind for f in result.open} == {Kind.SIBLING, Kind.DATA_EVENTS}


def test_rules_about_other_services_are_left_alone(tmp_path: Path) -> None:
    query = 'any where event.provider == "iam.amazonaws.com" and event.action == "CreateUsr"'
    result = lint_text(tmp_path, "rule.toml", f"[rule]\nname = 'x'\nlanguage = 'eql'\nquery = '{query}'\n")
    assert (result.rules, result.about_s3, result.findings) == (1, 0, ())
    mixed = (
        "title: x\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n"
        "  s: {eventSource: [s3.amazonaws.com, kms.amazonaws.com], eventName: [PutBucketPolicy, ScheduleKeyDeletion]}\n"
        "  condition: s\n"
    )
    result = lint_text(tmp_path, "mixed.yml", mixed)
    assert (result.about_s3, kinds(result)) == (1, set())
    result = lint_text(tmp_path, "no-source.sql", "SELECT 1 FROM t WHERE eventname IN ('CreateUser', 'RunInstances')")
    assert (result.about_s3, kinds(result)) == (0, set())


def test_a_name_without_a_source_is_judged_only_when_it_is_s3s(tmp_path: Path) -> None:
    result = lint_text(tmp_path, "a.sql", "SELECT 1 FROM t WHERE eventname IN ('CreateUser', 'PutPublicAccessBlock')")
    assert kinds(result) == {(Kind.RENAMED, "PutPublicAccessBlock")}


def test_a_near_miss_without_a_source_is_dead_unless_it_is_another_services_operation(tmp_path: Path) -> None:
    result = lint_text(tmp_path, "y.list", "GetObjct\n")
    assert kinds(result) == {(Kind.DEAD, "GetObjct")}
    assert "did you mean GetObject?" in result.open[0].text
    assert result.exit_code is ExitCode.DRIFT
    assert kinds(lint_text(tmp_path, "a.sql", "SELECT 1 FROM t WHERE eventname = 'GetObjct'")) == kinds(result)
    for name in ("GetBuckets", "ListTableBuckets", "PutBucketAcls*"):  # of Lightsail and S3 Tables; a pattern
        result = lint_text(tmp_path, "y.list", f"{name}\n")
        assert (kinds(result), [each.names for each in result.unjudged]) == (set(), [(name,)])


def test_names_that_may_be_any_services_are_counted(tmp_path: Path) -> None:
    result = lint_text(tmp_path, "y.list", "GetBucketAcl\nCreateUser\nRunInstances\nCreateUser\nFoo*\n")
    (unjudged,) = result.unjudged
    assert (unjudged.line, unjudged.names) == (2, ("CreateUser", "RunInstances", "Foo*"))
    assert (result.about_s3, result.exit_code) == (1, ExitCode.OK)
    assert lint_text(tmp_path, "iam.sql", "SELECT 1 FROM t WHERE eventname = 'CreateUser'").unjudged == ()
    mixed = "SELECT 1 FROM t WHERE eventname IN ('GetBucketAcl', 'CreateUser')"
    assert [each.names for each in lint_text(tmp_path, "mixed.sql", mixed).unjudged] == [("CreateUser",)]


def test_a_list_may_have_patterns(tmp_path: Path) -> None:
    result = lint_text(tmp_path, "y.list", "REST.PUT.*\nPutBucketA*\nREST.PUTT.*\n")
    assert kinds(result) == {(Kind.DEAD, "REST.PUTT.*")}
    assert (result.about_s3, result.unjudged) == (2, ())


def test_operations_of_other_services_are_read_from_botocores_models() -> None:
    model = botocore.session.get_session().get_service_model
    for service in ("iam", "ec2", "lightsail", "s3tables", "mediastore-data"):
        assert set(model(service).operation_names) <= operations_of_others()
    assert "GetBucketAcl" not in operations_of_others()


@pytest.mark.parametrize(
    ("member", "found"),
    [("bucketname", True), ("x-amz-copy-source", True), ("objectKey", True), ("bucketName", False), ("acl", False),
     ("x-amz-acl", False), ("x-amz-grant-read", False), ("AccessControlPolicy.AccessControlList", False),
     ("X-Amz-Expires", False)],
)  # fmt: skip
def test_request_parameters_are_held_against_the_model(member: str, found: bool, tmp_path: Path) -> None:
    query = 'fields @timestamp | filter eventSource = "s3.amazonaws.com" and eventName = "PutBucketAcl"'
    result = lint_text(tmp_path, "a.query", f'{query} and `requestParameters.{member}` = "x"')
    assert kinds(result) == ({(Kind.FIELD, f"requestParameters.{member}")} if found else set())


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["PutBucketAcl", "PutBucketAccl"], True),
        (["PutBucketAccl"], True),
        (["PutPublicAccessBlock"], True),
        (["REST.PUT.ACL"], True),
        (["PutBucketAcl", "SomethingElseThatNobodyKnows"], False),
        (["PutBucketAcl", "PutBucketFoo*"], False),
    ],
)
def test_a_wrong_name_does_not_hide_a_wrong_field(names: list[str], found: bool, tmp_path: Path) -> None:
    asked = " or ".join(f"eventName {'like' if '*' in each else '='} '{each}'" for each in names)
    query = f"fields @timestamp | filter eventSource = 's3.amazonaws.com' and ({asked})"
    result = lint_text(tmp_path, "a.query", f"{query} and requestParameters.buckName = 'x'")
    assert ((Kind.FIELD, "requestParameters.buckName") in kinds(result)) is found


def test_fields_that_no_record_has(tmp_path: Path) -> None:
    rule = (
        "title: x\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n"
        "  s: {eventSource: s3.amazonaws.com, eventName: PutBucketAcl, sourceIpAddress: 1.2.3.4,\n"
        "      userIdentity.user: a, userIdentity.sessionContext.sessionIssuer.arn: b, errorCode: AccessDenied}\n"
        "  condition: s\n"
    )
    result = lint_text(tmp_path, "a.yml", rule)
    assert kinds(result) == {(Kind.FIELD, "sourceIpAddress"), (Kind.FIELD, "userIdentity.user")}
    access = 'fields @timestamp | filter operation = "REST.GET.ACL" and httpstatus = "403"'
    assert kinds(lint_text(tmp_path, "b.query", access)) == {(Kind.FIELD, "httpstatus")}


def test_what_a_rule_rules_out_is_not_caught(tmp_path: Path) -> None:
    rule = (
        "title: x\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n"
        "  s: {eventSource: s3.amazonaws.com, eventName: [PutBucketAcl, PutObject]}\n"
        "  f: {eventName: PutObject}\n  condition: s and not f\n"
    )
    assert kinds(lint_text(tmp_path, "a.yml", rule), notes=True) == set()
    for query in (
        'event.dataset: aws.cloudtrail and event.provider: "s3.amazonaws.com" and '
        'event.action: (Put* and not "PutObject")',
        'event.dataset: aws.cloudtrail and event.provider: "s3.amazonaws.com" and event.action: Put* and not '
        'event.action: ("PutObject" or "PutObjectTagging")',
    ):
        text = f"[rule]\nname = 'x'\nquery = '''{query}'''\n"
        assert (Kind.DATA_EVENTS, "PutObject") not in kinds(lint_text(tmp_path, "a.toml", text), notes=True)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("eventname LIKE 'PutBucket%'", set()),
        ("eventname LIKE 'PutBuckets%'", {(Kind.DEAD, "PutBuckets%")}),
        ("regexp_like(eventname, '^(Put|Delete)Bucket')", set()),
        ("regexp_like(eventname, '^Puut')", {(Kind.DEAD, "^Puut")}),
        ("lower(eventname) = 'putbucketacl'", set()),
        ("eventname = 'putbucketacl'", {(Kind.DEAD, "putbucketacl")}),
        ("'PutBucketAcl' = eventname", set()),
        ("NOT (eventname <> 'PutBucketAcl')", set()),
        ("json_extract_scalar(requestparameters, '$.bucketname') = 'x' AND eventname = 'PutBucketAcl'",
         {(Kind.FIELD, "requestParameters.bucketname")}),
    ],
)  # fmt: skip
def test_sql_patterns(condition: str, found: set[tuple[Kind, str]], tmp_path: Path) -> None:
    query = f"SELECT * FROM cloudtrail_logs WHERE eventsource = 's3.amazonaws.com' AND {condition}"
    result = lint_text(tmp_path, "a.sql", query)
    assert kinds(result) == found
    assert result.about_s3 == 1


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('    return event["eventName"] == "PutBucketAccl"', {(Kind.DEAD, "PutBucketAccl")}),
        ('    if event.get("eventName") not in {"PutBucketAccl"}:\n        return False\n    return True',
         {(Kind.DEAD, "PutBucketAccl")}),
        ('    name = event.get("eventName", "")\n    return name.startswith("PutBucketAccl")',
         {(Kind.DEAD, "PutBucketAccl")}),
        ('    return helper(event)\n\ndef helper(e):\n    return deep_get(e, "eventName") in ONE + TWO',
         {(Kind.DEAD, "PutBucketAccl")}),
        ('    match event.get("eventName"):\n        case "PutBucketAcl" | "PutBucketAccl":\n            return True\n'
         '    return False', {(Kind.DEAD, "PutBucketAccl")}),
        ('    return event.get("eventName") == "PutBucketAcl" and event.deep_get("requestParameters", "bucket") == "x"',
         {(Kind.FIELD, "requestParameters.bucket")}),
        ('    return event.get("eventName", "").lower() == "putbucketacl"', set()),
        ('    return pattern_match(event.get("eventName"), "PutBucketA*")', set()),
        ('    return "Bucket" in event.get("eventName")', set()),
        ('    return event.get("eventName") == "PutObject" and event.deep_get("userIdentity", "typo")',
         {(Kind.FIELD, "userIdentity.typo"), (Kind.SIBLING, "PutObject")}),
    ],
)  # fmt: skip
def test_panther_python_is_understood(body: str, found: set[tuple[Kind, str]], tmp_path: Path) -> None:
    code = (
        'ONE = ("PutBucketAcl",)\nTWO = ("PutBucketAccl",)\n\n\ndef rule(event):\n'
        '    if event.get("eventSource") != "s3.amazonaws.com":\n        return False\n'
    )
    result = lint_text(tmp_path, "rule.py", f"{code}{body}\n")
    assert kinds(result) == found
    assert result.about_s3 == 1


def test_a_run_speaks_before_documents(full_run: Path, tmp_path: Path) -> None:
    # Documents have only a naming rule for it; the run saw its name.
    files = write(tmp_path, "athena", ["REST.GET.OBJECT_ANNOTATION", "REST.GET.OBJECTANNOTATIONS"], SERVER_ACCESS)
    assert kinds(lint(files, full_run)) == {(Kind.DEAD, "REST.GET.OBJECTANNOTATIONS")}
    result = lint(files, full_run)
    assert result.measured.headline.startswith("Target: embedded")


def test_a_reason_suppresses_and_nothing_else_does(tmp_path: Path) -> None:
    query = "SELECT 1 FROM cloudtrail_logs WHERE eventsource = 's3.amazonaws.com' AND eventname = 'PutObject'\n"
    reason = "-- s3logjam: ignore[misses sibling: PutObject] copies are denied by policy\n"
    result = lint_text(tmp_path, "a.sql", reason + query)
    assert (kinds(result), result.exit_code) == (set(), ExitCode.OK)
    assert {f.suppressed for f in result.findings if f.kind is Kind.SIBLING} == {"copies are denied by policy"}
    result = lint_text(tmp_path, "a.sql", "-- s3logjam: ignore[misses-sibling]\n" + query)
    assert kinds(result) == {(Kind.SIBLING, "PutObject")}
    assert "without a reason" in result.unread[0].reason
    result = lint_text(tmp_path, "a.sql", "-- s3logjam: ignore[dead name: PutObject] other kind\n" + query)
    assert kinds(result) == {(Kind.SIBLING, "PutObject")}
    result = lint_text(tmp_path, "a.sql", "-- s3logjam: ignore[everything] please\n" + query)
    assert "unknown kind 'everything'" in result.unread[0].reason


def test_notes_do_not_fail_and_go_away_when_the_trail_has_data_events(tmp_path: Path) -> None:
    files = write(tmp_path, "sigma", ["GetObject"])
    assert kinds(lint(files), notes=True) == {(Kind.DATA_EVENTS, "GetObject")}
    assert lint(files).exit_code is ExitCode.OK
    assert lint(files, data_events=True).findings == ()


def test_a_folder_is_searched_and_nothing_in_it_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "sigma", ["PutBucketAccl"])
    (tmp_path / "README.txt").write_text("Our rules.\n", "utf-8")
    (tmp_path / "pyproject.toml").write_text("[project]\n", "utf-8")
    result = lint([tmp_path])
    assert (result.files, len(result.open)) == (1, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingSelectedError, match="no rule in"):
        lint([tmp_path / "empty"])
    with pytest.raises(UsageError, match="there is no"):
        lint([tmp_path / "missing"])


@pytest.mark.parametrize(
    ("action", "event"),
    [
        ("PutEncryptionConfiguration", "PutBucketEncryption"),
        ("PutLifecycleConfiguration", "PutBucketLifecycle"),
        ("PutReplicationConfiguration", "PutBucketReplication"),
        ("ListBucket", "ListObjects"),
        ("GetObjectVersion", "GetObject"),
        ("DeleteObjectVersion", "DeleteObject"),
    ],
)
def test_an_iam_action_leads_to_the_events_that_it_permits(action: str, event: str, tmp_path: Path) -> None:
    found = lint(write(tmp_path, "sigma", [action])).open
    assert [(each.kind, each.name) for each in found] == [(Kind.RENAMED, action)]
    assert event in found[0].text


def test_iam_actions_and_siblings_name_operations_of_the_catalogue() -> None:
    assert len(iam_actions()) > 20
    for action, operations in iam_actions().items():
        assert action not in catalogue.operations()
        assert set(operations) <= catalogue.operations().keys()
    rows = csv.DictReader((files("harness.lint") / "siblings.csv").read_text("utf-8").splitlines())
    named = {each for row in rows for each in re.split("[ /]", row["operations"].replace("+inside", ""))}
    assert named <= catalogue.rows().keys()
