"""Runs every scenario against LocalStack from PyPI, a server that no one here wrote, and compares with ``rows.csv``.

    tox -e localstack                                  # all of it, with Python 3.13
    python deploy/localstack/check.py --help           # the same by hand

LocalStack gets a virtual environment and a folder of its own, listens on 127.0.0.1 only, and is ended afterwards. Exit
code 0 when every row ends as ``rows.csv`` says, 1 when one does not, 3 when LocalStack could not be started.
"""

from __future__ import annotations

import argparse
import csv
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.report.safe import markdown_cell

HERE = Path(__file__).resolve().parent
ROWS = HERE / "rows.csv"
PAGE = HERE.parent.parent / "docs" / "localstack.md"
COLUMNS = ("operation", "variant", "ending", "reason", "why")
BEGIN, END = "<!-- differences: check.py --write makes this table -->", "<!-- end of differences -->"
AS_MEANT, NOT_AS_MEANT = "as meant", "not as meant"
START = """
import sys
from localstack.services.s3 import provider
provider.DEFAULT_S3_TMP_DIR = sys.argv[1]
from localstack.runtime.main import main
main()
"""
"""LocalStack keeps objects in one folder below /tmp that no setting moves, and that another LocalStack may be using."""
START_SECONDS = 120
STOP_SECONDS = 30
NEVER_ASKED = "never asked for"
Key = tuple[str, str]


class CheckError(Exception):
    """The check could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one row ended.

    Attributes:
        reason: As executions.csv has it.
        why: What explains it, written by hand; only where it did not end as meant.
    """

    ending: str
    reason: str
    why: str = ""


def main() -> int:
    """Run the check; returns the exit code."""
    options, more = _arguments()
    try:
        _install(options.environment, options.python)
        with tempfile.TemporaryDirectory(prefix="s3logjam-localstack-") as folder:
            with localstack(options.environment, Path(folder)) as endpoint:
                results = options.results or Path(folder) / "results"
                command = [sys.executable, "-m", "harness", "run", "--target", "localstack", "--endpoint-url", endpoint]
                code = subprocess.run([*command, "--results", str(results), *more], check=False).returncode  # noqa: S603
            if code not in (0, 1):
                raise CheckError(f"`s3logjam run` ended with exit code {code}")
            measured = read_run(results / "latest" / "executions.csv")
    except (CheckError, OSError, subprocess.CalledProcessError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 3
    known = read_rows(ROWS) if ROWS.exists() else {}
    if options.write:
        write(measured, known)
        known = read_rows(ROWS)
    differing = [*compare(known, measured, whole=not more), *unexplained(known)]
    ended = sum(1 for row in measured.values() if row.ending == AS_MEANT)
    print(*differing, f"{ended} of {len(measured)} rows ended as their scenarios say.", sep="\n")
    print(f"{len(differing)} rows differ from rows.csv." if differing else "All rows ended as rows.csv says.")
    return 1 if differing else 0


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="Run every scenario against LocalStack from PyPI and compare the outcome with rows.csv.",
        epilog="Further arguments go to `s3logjam run`: --operations '*Acl'.",
    )
    parser.add_argument("--environment", type=Path, default=Path(".localstack"), help="virtual environment to use")
    parser.add_argument("--python", default=sys.executable, help="Python 3.13 to make it with (default: this one)")
    parser.add_argument("--results", type=Path, help="keep the run's folder below this one")
    parser.add_argument("--write", action="store_true", help="write rows.csv and the table in docs/localstack.md anew")
    return parser.parse_known_args()


def _install(environment: Path, python: str) -> None:
    """Make the virtual environment, unless it has these versions already."""
    requirements = HERE / "requirements.txt"
    done = environment / "installed.txt"
    if done.exists() and done.read_text("utf-8") == requirements.read_text("utf-8"):
        return
    told = subprocess.run(  # noqa: S603
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    if tuple(map(int, told.stdout.split())) < (3, 13):
        raise CheckError(f"localstack-core 2026.3.0 starts with Python 3.13 only, {python} is older: give --python")
    print(f"Installing LocalStack into {environment} …", flush=True)
    subprocess.run([python, "-m", "venv", "--clear", str(environment)], check=True)  # noqa: S603
    # tox constrains pip to the project's own versions, which are not LocalStack's.
    plain = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    install = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--requirement", str(requirements)], check=True, env=plain)  # noqa: S603
    done.write_text(requirements.read_text("utf-8"), "utf-8")


@contextmanager
def localstack(environment: Path, folder: Path) -> Iterator[str]:
    """Start LocalStack, yield its endpoint, end it.

    Raises:
        CheckError: It did not come up.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint, log = f"http://127.0.0.1:{port}", folder / "localstack.log"
    settings = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        # The default server, twisted, binds every interface whatever GATEWAY_LISTEN says; this one does as it is told.
        "GATEWAY_SERVER": "hypercorn",
        "DNS_ADDRESS": "0",
        "SERVICES": "s3,s3control,sts,iam",
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        # Else it takes a machine that is a container itself for its own, and writes below /var/lib and /etc.
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(folder / "filesystem"),
        "TMPDIR": str(folder),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOCALSTACK_"))}
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(  # noqa: S603
            [str(environment.resolve() / "bin" / "python"), "-c", START, str(folder / "objects")],
            env=inherited | settings,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            if not _answers(endpoint, process):
                raise CheckError(f"LocalStack did not start:\n{log.read_text('utf-8')[-2000:]}")
            yield endpoint
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(endpoint: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the server answers; False when it has ended, or takes too long."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    last = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < last:
        try:
            direct.open(f"{endpoint}/_localstack/health", timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return True
    return False


def read_run(path: Path) -> dict[Key, Row]:
    """Return the rows of a run's executions.csv."""
    with path.open(encoding="utf-8", newline="") as stream:
        return {(r["operation"], r["variant"]): Row(r["ending"], r["reason"]) for r in csv.DictReader(stream)}


def read_rows(path: Path) -> dict[Key, Row]:
    """Return the rows of rows.csv."""
    with path.open(encoding="utf-8", newline="") as stream:
        return {(r["operation"], r["variant"]): Row(r["ending"], r["reason"], r["why"]) for r in csv.DictReader(stream)}


def compare(known: Mapping[Key, Row], measured: Mapping[Key, Row], *, whole: bool = True) -> Iterator[str]:
    """Say which rows ended otherwise than is known.

    Args:
        known: From rows.csv.
        measured: From a run.
        whole: Whether the run was of all rows.
    """
    nothing = Row(NEVER_ASKED, "")
    for key in {**measured, **(known if whole else {})}:
        before, now = known.get(key, nothing), measured.get(key, nothing)
        if (before.ending, before.reason) != (now.ending, now.reason):
            yield f"{key[0]}[{key[1]}]: {_told(now)}; rows.csv has {_told(before)}"


def unexplained(known: Mapping[Key, Row]) -> Iterator[str]:
    """Say which rows did not end as meant and have no explanation."""
    for key, row in known.items():
        if row.ending == NOT_AS_MEANT and not row.why:
            yield f"{key[0]}[{key[1]}]: {_told(row)}, and the column `why` of rows.csv does not explain it"


def _told(row: Row) -> str:
    return f"{row.ending} ({row.reason})" if row.reason else row.ending


def write(measured: Mapping[Key, Row], known: Mapping[Key, Row]) -> None:
    """Write rows.csv and the table of the page; explanations of rows that ended in the same way stay."""
    with ROWS.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for key, row in measured.items():
            before = known.get(key)
            same = before is not None and (before.ending, before.reason) == (row.ending, row.reason)
            writer.writerow((*key, row.ending, row.reason, before.why if before and same else ""))
    before_it, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after_it = rest.partition(END)[2]
    PAGE.write_text(f"{before_it}{BEGIN}\n{table(read_rows(ROWS))}{END}{after_it}", "utf-8")


def table(rows: Mapping[Key, Row]) -> str:
    """Return the differences as a Markdown table, one line for rows that ended alike for the same cause."""
    groups: dict[tuple[str, str], list[str]] = {}
    for (operation, variant), row in rows.items():
        if row.ending == NOT_AS_MEANT:
            groups.setdefault((row.why, row.reason), []).append(f"`{operation}[{variant}]`")
    lines = ["| rows | what came | why |", "|---|---|---|"]
    for (why, reason), names in sorted(groups.items()):
        lines.append(f"| {', '.join(sorted(names))} | {markdown_cell(reason)} | {markdown_cell(why)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
