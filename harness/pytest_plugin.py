"""The coverage matrix as pytest items: ``pytest --logjam-run results/latest``. Without its options it does nothing.

Every pytest session of the environment loads this module, so nothing but pytest is imported before an option asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.analyse.cases import Case

_MATRIX = "matrix.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("s3logjam", "S3 logging coverage (s3logjam)")
    group.addoption("--logjam-run", metavar="PATH", help="Turn the matrix of this run into test items.")
    group.addoption(
        "--logjam-target", choices=["embedded"], help="Make a run on this target first, and turn its matrix into items."
    )
    group.addoption(
        "--logjam-arguments", metavar="TEXT", default="", help="More arguments for that run: '--operations *Acl'."
    )
    group.addoption("--logjam-against", metavar="TABLE", help="Documented expectation: aws-2026, …, or a CSV file.")
    group.addoption("--logjam-baseline", metavar="FILE", help="Expectation: a baseline.json or an earlier run.")
    group.addoption("--logjam-known", metavar="FILE", help="Known deviations (TOML): strict xfail.")


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the session only where a run or a target is given."""
    run, target = config.getoption("logjam_run"), config.getoption("logjam_target")
    made = getattr(config, "workerinput", {}).get("logjam_run")  # xdist: by the session that started this worker
    if run and target:
        raise pytest.UsageError("--logjam-run and --logjam-target exclude each other")
    if config.getoption("logjam_against") and config.getoption("logjam_baseline"):
        raise pytest.UsageError("--logjam-against and --logjam-baseline exclude each other")
    if run or target:
        plugin = _Matrix(config)
        config.pluginmanager.register(plugin, "s3logjam-matrix")
        if made or run:
            plugin.use(Path(made or run))


class _Matrix:
    """The hooks of a session that has a matrix."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._file: Path | None = None
        self._cases: list[Case] | None = None

    def use(self, run: Path) -> None:
        """Collect the run's matrix: beside the paths that were given, and instead of the default ones."""
        self._file = Path(run if run.is_absolute() else self._config.invocation_params.dir / run) / _MATRIX
        if not self._file.is_file():
            raise pytest.UsageError(f"there is no run at {run}: give the folder of a run, e.g. results/latest")
        given = self._config.args_source is pytest.Config.ArgsSource.ARGS
        others = [each for each in self._config.args if _MATRIX not in each] if given else []
        chosen = [each for each in self._config.args if _MATRIX in each] or [str(self._file)]
        self._config.args[:] = [*others, *chosen]

    def pytest_sessionstart(self) -> None:
        """Make the run, once: xdist's workers start after this."""
        if self._file is None:
            self.use(_run(self._config))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give the run's folder to a worker of xdist."""
        if self._file is not None:
            node.workerinput["logjam_run"] = str(self._file.parent)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect the matrix."""
        if self._file is None or file_path.name != _MATRIX or file_path.resolve() != self._file.resolve():
            return None
        return MatrixFile.from_parent(parent, path=file_path, matrix=self)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the matrix comes from, and what that proves."""
        from harness.errors import LogjamError  # noqa: PLC0415
        from harness.report.snapshots import headline  # noqa: PLC0415

        baseline = self._config.getoption("logjam_baseline")
        sides = [self._config.invocation_params.dir / baseline] if baseline else []
        for side in [*sides, self._file.parent] if self._file else []:
            with suppress(LogjamError):  # collection has told it
                terminalreporter.write_line(f"s3logjam: {_inert(headline(side))}")

    def cases(self) -> list[Case]:
        """Return the cases, made once."""
        if self._cases is None and self._file is not None:
            self._cases = _cases(self._config, self._file.parent)
        return self._cases or []


class MatrixFile(pytest.File):
    """The collector of a run's ``matrix.json``."""

    def __init__(self, *, matrix: _Matrix, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._matrix = matrix

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each cell, and one for each finding about a whole channel."""
        from harness.errors import LogjamError  # noqa: PLC0415

        try:
            cases = self._matrix.cases()
        except LogjamError as error:
            raise self.CollectError(str(error)) from error
        for case in cases:
            yield CaseItem.from_parent(self, name=_inert(case.name), case=case)


class CaseItem(pytest.Item):
    """One cell: passes when confirmed, fails when contradicted, is skipped when undetermined."""

    def __init__(self, *, case: Case, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._case = case
        if case.known:
            self.add_marker(pytest.mark.xfail(reason=_inert(case.known), strict=True, raises=Contradiction))

    def runtest(self) -> None:
        """Tell the outcome."""
        from harness.analyse.cases import Outcome  # noqa: PLC0415

        if self._case.outcome is Outcome.UNDETERMINED:
            pytest.skip(_inert(self._case.text))
        if self._case.outcome is not Outcome.CONFIRMED:
            raise Contradiction("\n".join(map(_inert, self._case.text.splitlines())))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_arguments: Any) -> Any:
        """Show the evidence, and no traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, Contradiction) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the cell in headings."""
        return self.path, None, self.name


class Contradiction(AssertionError):
    """What was measured is not what was expected; the text is the evidence."""


def _cases(config: pytest.Config, run: Path) -> list[Case]:
    """Hold the run against what was asked for; without that, against what its own scenarios declare."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from harness.analyse import cases  # noqa: PLC0415
    from harness.diff import diff, read_known  # noqa: PLC0415

    base = config.invocation_params.dir
    against, baseline = config.getoption("logjam_against"), config.getoption("logjam_baseline")
    known = base / config.getoption("logjam_known") if config.getoption("logjam_known") else None
    if baseline:
        return cases.cases_of_diff(diff(base / baseline, run, known))
    if against:
        from harness.verify import verify  # noqa: PLC0415

        # A table's name, or a file beside which pytest was started.
        found = verify(run, base / against if (base / against).is_file() else against)
        made = cases.cases_of_checks(found.checks)
    else:
        from harness.report.snapshots import load  # noqa: PLC0415

        made = cases.cases_of_run(load(run, with_delays=False))
    return cases.excuse(made, read_known(known), datetime.now(UTC).date())


def _run(config: pytest.Config) -> Path:
    """Make a run in a process of its own, as the command would, and return its folder."""
    import shlex  # noqa: PLC0415
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    results = config.invocation_params.dir / "results"
    target = config.getoption("logjam_target")
    command = [sys.executable, "-m", "harness", "run", "--target", target, "--results", str(results), "--no-matrix"]
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [*command, *shlex.split(config.getoption("logjam_arguments"))],
        capture_output=True,
        text=True,
        check=False,
        cwd=config.invocation_params.dir,
    )
    if done.returncode not in (0, 6):  # with records still pending there is a matrix all the same
        raise pytest.UsageError(f"the run on the {target} target ended with {done.returncode}:\n{done.stderr}")
    return (results / "latest").resolve()


def _inert(text: str) -> str:
    from harness.report.safe import visible  # noqa: PLC0415

    return visible(text)
