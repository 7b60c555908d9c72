"""The matrix as pytest items, in a pytest of its own as users start it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest
from drift_kit import Faults, traffic, write_run

import harness.analyse.delays
import harness.diff
import harness.report.evidence
import harness.verify  # noqa: F401 - pytester forgets what is imported first in a run in this process
from harness.model import CLOUDTRAIL
from harness.report import baseline
from harness.report.snapshots import load

pytest_plugins = ["pytester"]

_INSTALLED = any(each.value == "harness.pytest_plugin" for each in entry_points(group="pytest11"))
PLUGIN = [] if _INSTALLED else ["-p", "harness.pytest_plugin"]
FEW = ("GetBucketAcl", "HeadBucket", "PutBucketAcl", "PutObject", "GetBucketTagging")
KNOWN = """
[[deviation]]
cell = "HeadBucket[*-cloudtrail]"
kind = "category"
reason = "listed as both"
expires = 2999-12-31
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean run, a drifted one, one that lost a record, and the clean one's baseline."""
    made = tmp_path_factory.mktemp("plugin")
    faults = Faults(category={"HeadBucket": "management"}, renamed={("PutBucketAcl", CLOUDTRAIL): "\x1b[31mPutAcl"})
    write_run(made / "clean", traffic(1, operations=FEW), 1)
    write_run(made / "drifted", traffic(2, faults, FEW), 2)
    write_run(made / "lossy", traffic(3, Faults(lost=frozenset({("GetBucketTagging", CLOUDTRAIL)})), FEW), 3)
    baseline.write(load(made / "clean"), made / "baseline.json")
    (made / "known.toml").write_text(KNOWN)
    return made


def run(pytester: pytest.Pytester, *arguments: object) -> pytest.RunResult:
    """Run pytest as users start it."""
    return pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", *map(str, arguments))


def run_here(pytester: pytest.Pytester, *arguments: object) -> pytest.RunResult:
    """Run pytest in this process, which is faster."""
    return pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", *map(str, arguments))


def test_a_clean_run_passes_and_says_what_it_proves(pytester: pytest.Pytester, base: Path) -> None:
    done = run(pytester, "--logjam-run", base / "clean", "-v")
    done.assert_outcomes(passed=10)
    done.stdout.fnmatch_lines(["*matrix.json::PutBucketAcl[[]ok-cloudtrail[]] PASSED*"])
    done.stdout.fnmatch_lines(["s3logjam: *proves the harness, never AWS*"])


def test_only_the_matrix_is_collected_unless_paths_are_given(pytester: pytest.Pytester, base: Path) -> None:
    own = pytester.makepyfile("def test_own():\n    pass\n")
    run_here(pytester, "--logjam-run", base / "clean").assert_outcomes(passed=10)
    run_here(pytester, "--logjam-run", base / "clean", own).assert_outcomes(passed=11)
    one = f"{base / 'clean' / 'matrix.json'}::PutBucketAcl[ok-cloudtrail]"
    run_here(pytester, "--logjam-run", base / "clean", one).assert_outcomes(passed=1)
    run_here(pytester).assert_outcomes(passed=1)


def test_a_lost_record_fails_with_the_evidence_and_no_traceback(pytester: pytest.Pytester, base: Path) -> None:
    done = run_here(pytester, "--logjam-run", base / "lossy")
    done.assert_outcomes(passed=9, failed=1)
    text = done.stdout.str()
    assert "0 records where 1 are declared (not observed)" in text
    assert "Traceback" not in text
    assert "pytest_plugin.py" not in text


def test_drift_from_a_baseline_fails_and_known_deviations_are_expected(pytester: pytest.Pytester, base: Path) -> None:
    arguments = ("--logjam-run", base / "drifted", "--logjam-baseline", base / "baseline.json")
    done = run_here(pytester, *arguments)
    done.assert_outcomes(passed=8, failed=2)
    text = done.stdout.str()
    assert "Data → Management" in text
    assert "s3://drift-logs/" in text
    assert "\x1b" not in text
    assert "x1b[31mPutAcl" in text
    done = run(pytester, *arguments, "--logjam-known", base / "known.toml", "-rx")
    done.assert_outcomes(passed=8, failed=1, xfailed=1)
    assert "listed as both (until 2999-12-31)" in done.stdout.str()


def test_a_known_deviation_that_is_no_longer_true_fails(pytester: pytest.Pytester, base: Path) -> None:
    arguments = ("--logjam-baseline", base / "baseline.json", "--logjam-known", base / "known.toml")
    done = run_here(pytester, "--logjam-run", base / "clean", *arguments)
    done.assert_outcomes(passed=10, failed=1)
    done.stdout.fnmatch_lines(["*is no longer true: nothing matches it: review it*"])


def test_what_cannot_be_compared_is_skipped_with_the_reason(
    pytester: pytest.Pytester, base: Path, tmp_path: Path
) -> None:
    write_run(tmp_path / "part", traffic(4, operations=FEW[:3]), 4)
    done = run_here(pytester, "--logjam-run", tmp_path / "part", "--logjam-baseline", base / "baseline.json", "-rs")
    done.assert_outcomes(passed=6, skipped=4)
    done.stdout.fnmatch_lines(["*not comparable: not in B*"])


def test_it_works_with_k_n_and_junitxml(pytester: pytest.Pytester, base: Path) -> None:
    arguments = ("--logjam-run", base / "lossy", "-k", "cloudtrail and Bucket", "-n", "2", "--junitxml", "out.xml")
    run(pytester, *arguments).assert_outcomes(passed=3, failed=1)
    suite = ElementTree.parse(pytester.path / "out.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.get("tests") == "4"
    failures = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    assert [name for name, failure in failures.items() if failure is not None] == ["GetBucketTagging[ok-cloudtrail]"]
    failure = failures["GetBucketTagging[ok-cloudtrail]"]
    assert failure is not None
    assert "0 records where 1 are declared" in (failure.text or "")


def test_documented_tables_become_items(pytester: pytest.Pytester, base: Path) -> None:
    done = run_here(
        pytester, "--logjam-run", base / "clean", "--logjam-against", "aws-2026", "-k", "PutBucketAcl", "-v"
    )
    done.stdout.fnmatch_lines(["*::PutBucketAcl[[]ok-cloudtrail[]] PASSED*"])
    done = run_here(pytester, "--logjam-run", base / "drifted", "--logjam-against", "aws-2026", "-k", "PutBucketAcl")
    done.stdout.fnmatch_lines(["*said by *"])
    assert done.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--logjam-run", "/no/such/run"], "*there is no run at /no/such/run*"),
        (["--logjam-run", "{base}/clean", "--logjam-target", "embedded"], "*exclude each other*"),
        (["--logjam-run", "{base}/clean", "--logjam-against", "a", "--logjam-baseline", "b"], "*exclude each other*"),
        (["--logjam-run", "{base}/clean", "--logjam-baseline", "absent.json"], "*absent.json*give a run's folder*"),
        (["--logjam-run", "{base}/clean", "--logjam-known", "absent.toml"], "*cannot read the known deviations*"),
        (["--logjam-run", "{base}/clean", "--logjam-against", "aws-1999"], "*there is no table*"),
    ],
)
def test_wrong_use_is_told_without_a_traceback(
    pytester: pytest.Pytester, base: Path, arguments: list[str], message: str
) -> None:
    done = run_here(pytester, *(each.format(base=base) for each in arguments))
    assert done.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    text = done.stdout.str() + done.stderr.str()
    pytest.LineMatcher(text.splitlines()).fnmatch_lines([message])
    assert "Traceback" not in text


def test_a_target_makes_the_run_once_whatever_the_number_of_workers(pytester: pytest.Pytester, base: Path) -> None:
    pytester.makeconftest(
        f"""
        from pathlib import Path
        from harness import pytest_plugin

        def made(config):
            with open("made", "a") as stream:
                stream.write(config.getoption("logjam_target") + " ")
            return Path({str(base / "clean")!r})

        pytest_plugin._run = made
        """
    )
    run(pytester, "--logjam-target", "embedded", "-n", "1").assert_outcomes(passed=10)
    assert (pytester.path / "made").read_text() == "embedded "


def test_the_run_is_made_by_the_command_and_its_end_is_told(
    pytester: pytest.Pytester, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def command(arguments: list[str], **_how: object) -> subprocess.CompletedProcess[str]:
        commands.append(arguments)
        return subprocess.CompletedProcess(arguments, 0 if "--variants" in arguments else 5, "", "Error: no such thing")

    monkeypatch.setattr("subprocess.run", command)
    (pytester.path / "results").mkdir()
    (pytester.path / "results" / "latest").symlink_to(base / "clean")
    target = ("--logjam-target", "embedded", "--logjam-arguments")
    run_here(pytester, *target, "--operations '*Acl' --variants ok").assert_outcomes(passed=10)
    start = [sys.executable, "-m", "harness", "run", "--target", "embedded", "--results"]
    end = ["--no-matrix", "--operations", "*Acl", "--variants", "ok"]
    assert commands == [[*start, str(pytester.path / "results"), *end]]
    done = run_here(pytester, *target, "--operations Nothing")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*the run on the embedded target ended with 5:*", "*Error: no such thing*"])


def test_nothing_is_imported_before_an_option_asks() -> None:
    code = (
        "import sys, harness.pytest_plugin;"
        "heavy = {'botocore', 'boto3', 'numpy', 'pandas', 'rich', 'scipy', 'typer'} & set(sys.modules);"
        "ours = {name for name in sys.modules if name.startswith('harness.')};"
        "assert not heavy, heavy; assert ours == {'harness.pytest_plugin'}, ours"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
