"""Rule files are untrusted: nothing of them is executed, nothing stalls, what cannot be read is kept with its place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lint_kit import LANGUAGES, kinds, lint_text, write

from harness.errors import ExitCode, LogjamError, UsageError
from harness.lint import documents, needs
from harness.lint.command import lint
from harness.report.lint import as_json, as_sarif, as_text

SIGMA = (
    "title: x\nlogsource: {{product: aws, service: cloudtrail}}\n"
    "detection:\n  s: {{eventSource: s3.amazonaws.com, {0}}}\n  condition: s\n"
)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_python_is_never_executed(tmp_path: Path) -> None:
    code = (
        "import pathlib\npathlib.Path('executed').touch()\n\n\n@__import__('os').system('touch executed')\n"
        "def rule(event):\n    pathlib.Path('executed').touch()\n    return event.get('eventName') == 'PutBucketAcl'\n"
    )
    result = lint_text(tmp_path, "rule.py", code)
    assert result.about_s3 == 1
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("a.yml", "title: x\nlogsource: &a {product: aws}\ndetection: *a\n", 3, "YAML aliases are not read"),
        ("a.yml", "title: x\n  bad: [\n", 2, "no YAML: "),
        ("a.yml", "a: !!python/object/apply:os.system ['touch executed']\n", 1, "no YAML: could not determine"),
        ("a.yml", "a: " + "[" * 5000 + "\n", 1, "nested too deeply"),
        ("a.yml", SIGMA.format("eventName: x").replace("condition: s", "condition: t"), 5, "no Sigma rule: "),
        ("a.yml", SIGMA.format("eventName|re: '(a'"), 4, "no Sigma rule: "),
        ("a.yml", SIGMA.format("eventName: " + "x" * 2000), 4, "a name of more than 1000 characters"),
        (
            "a.yml",
            "AnalysisType: rule\nLogTypes: [AWS.CloudTrail]\nFilename: ../../etc/passwd\n",
            3,
            "no file beside it",
        ),
        ("a.yml", "AnalysisType: rule\nLogTypes: [AWS.CloudTrail]\nFilename: gone.py\n", 1, "cannot be read"),
        ("a.toml", "[rule]\nname = 'x\n", 2, "no TOML: "),
        ("a.toml", "[project]\nname = 'x'\n", 1, "no Elastic rule"),
        ("a.toml", "[rule]\nname = 'x'\nquery = '''\nevent.action: \"PutObject'''\n", 4, "a quote is never closed"),
        ("a.py", "def rule(event:\n", 1, "no Python: "),
        ("a.py", "x = 1\n", 1, "there is no function rule(event)"),
        ("a.py", "def rule(event):\n    return " + "(" * 3000 + "1" + ")" * 3000 + "\n", 2, "no Python: "),
        ("a.sql", "SELECT FROM WHERE\n", 1, "no SQL: "),
        ("a.sql", "SELECT 1 WHERE regexp_like(eventname, '(Put') AND eventsource = 's3.amazonaws.com'", 1, "RE2"),
        ("a.query", "nothing\n", 1, "neither SQL nor a Logs Insights query"),
        ("a.list", "PutObject\ntwo words\n", 2, "no rule, query or list of names"),
        ("a.list", "Put\0Object\n", 1, "it holds a null character"),
    ],
)
def test_what_cannot_be_read_is_kept_with_its_place(
    name: str, text: str, line: int, reason: str, tmp_path: Path
) -> None:
    result = lint_text(tmp_path, name, text)
    assert [(each.path.name, each.line) for each in result.unread] == [(name, line)]
    assert reason in result.unread[0].reason
    assert result.exit_code is ExitCode.DRIFT
    assert f"{name}:{line}: unread: " in as_text(result)
    assert not (tmp_path / "executed").exists()


def test_large_and_binary_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "large.yml").write_bytes(b"#" * (documents.MAX_BYTES + 1))
    (tmp_path / "latin.list").write_bytes(b"Put\xffObject\n")
    reasons = {each.path.name: each.reason for each in lint([tmp_path]).unread}
    assert reasons == {
        "large.yml": f"larger than {documents.MAX_BYTES} bytes",
        "latin.list": "no UTF-8 text: invalid start byte at byte 3",
    }


def test_one_bad_rule_does_not_hide_the_others_of_its_file(tmp_path: Path) -> None:
    good, bad = SIGMA.format("eventName: PutBucketAccl"), SIGMA.format("eventName: x").replace("condition: s", "")
    result = lint_text(tmp_path, "a.yml", f"{bad}---\n{good}")
    assert len(result.unread) == len(result.open) == 1
    assert result.open[0].line > 5


def test_links_in_a_folder_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "rules"
    outside.mkdir()
    inside.mkdir()
    (inside / "link.yml").symlink_to(write(outside, "sigma", ["PutBucketAccl"])[0])
    write(inside, "list", ["PutBucketAcl"])
    assert lint([inside]).findings == ()


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(Put|Put)*X", "((((((((((.*)*)*)*)*)*)*)*)*)*)*!"],
)
def test_no_pattern_of_a_rule_stalls_the_lint(pattern: str, tmp_path: Path) -> None:
    query = (
        f"SELECT 1 FROM cloudtrail_logs WHERE eventsource = 's3.amazonaws.com' AND regexp_like(eventname, '{pattern}')"
    )
    began = time.perf_counter()
    lint_text(tmp_path, "a.sql", query)
    lint_text(tmp_path, "a.list", "*" * 200 + "x\n")
    # Where it backtracks, this takes years; otherwise seconds, however slow the machine is.
    assert time.perf_counter() - began < 120


def test_hostile_titles_and_names_are_inert_in_every_output(tmp_path: Path) -> None:
    name = "Put\u202eBucket\x1b[31mAcl"
    test = f"event.get('eventSource') == 's3.amazonaws.com' and event['eventName'] == {name!r}"
    code = f"def rule(event):\n    return {test}\n"
    (tmp_path / "rule.py").write_text(code, "utf-8")
    yml = 'AnalysisType: rule\nFilename: rule.py\nDisplayName: "\\e[2J\\u202E<script>"\nLogTypes: [AWS.CloudTrail]\n'
    result = lint_text(tmp_path, "rule.yml", yml)
    assert len(result.open) == 1
    for text in (as_text(result), as_json(result), as_sarif(result)):
        assert "\x1b" not in text and "\u202e" not in text
        assert text.isprintable() or set(text) - {"\n"} == {c for c in text if c.isprintable()}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    language=st.sampled_from(LANGUAGES),
    at=st.floats(0, 1),
    junk=st.text(max_size=12)
    | st.sampled_from(['"', "'", "(", ")]", "not ", "|", "\\", ": *a", "{{", "`", "/*", "--"]),
    cut=st.integers(0, 30),
)
def test_no_damaged_rule_ends_in_a_traceback(language: str, at: float, junk: str, cut: int, tmp_path: Path) -> None:
    path = write(tmp_path, language, ["PutObject", "PutBucketAcl"])[0]
    path = tmp_path / "rule.py" if language == "panther" and cut % 2 else path
    text = path.read_text("utf-8")
    place = int(at * len(text))
    path.write_bytes((text[:place] + junk + text[place + cut :]).encode("utf-8", "surrogatepass"))
    try:
        as_sarif(lint([path]))
    except LogjamError:
        pass
    finally:
        for each in tmp_path.glob("rule.*"):
            each.unlink()


def test_a_missing_parser_is_said_with_the_way_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(needs, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 's3logjam\[rules\]'"):
        lint_text(tmp_path, "a.yml", "a: b\n")
    assert kinds(lint_text(tmp_path, "a.list", "PutBucketAcl\n")) == set()
