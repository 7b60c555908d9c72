"""Runs in several Regions, side by side: one process each, and one matrix with a Region column over all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pandas as pd

from harness.errors import ExitCode, UsageError
from harness.folders import REGIONS_SUFFIX, by_region, point_latest
from harness.report import unwritten
from harness.report.regions import write
from harness.results import load_run

_WORST_FIRST = (
    ExitCode.INTERNAL,
    ExitCode.USAGE,
    ExitCode.INTERRUPTED,
    ExitCode.NOTHING_SELECTED,
    ExitCode.PENDING,
    ExitCode.DRIFT,
)


def run(
    arguments: Sequence[str], regions: Sequence[str], results: Path, target: str, *, as_json: bool = False
) -> ExitCode:
    """Run the same command in every Region and compare what came of it.

    Args:
        arguments: Of the command line, without Regions and results.
        regions: At least two.
        results: Where the common folder is made.
        target: Part of its name.
        as_json: Whether the command writes a document for programs: then there is one of all Regions.

    Returns:
        The worst exit code of all.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    folder = results / f"{stamp}-{target}{REGIONS_SUFFIX}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot write results in {results}: {error}; choose another folder with --results") from error
    commands = {
        region: [*arguments, "--region", region, "--results", str(folder / region)] for region in dict.fromkeys(regions)
    }
    code = _told(commands, as_json=as_json)
    point_latest(results, folder)
    compare(folder)
    return code


def on_each(command: str, path: Path, options: Sequence[str] = (), *, as_json: bool = False) -> ExitCode | None:
    """Do a command on the run of every Region below a folder, side by side.

    Returns:
        The worst exit code; None where the folder is not one of several Regions.
    """
    found = by_region(path)
    if not found:
        return None
    commands = {region: [command, str(folder), *options] for region, folder in found.items()}
    code = _told(commands, as_json=as_json)
    if command != "status":  # it reads, and may do so where nothing can be written
        compare(path.resolve())
    return code


def _told(commands: Mapping[str, Sequence[str]], *, as_json: bool) -> ExitCode:
    """Do commands side by side and print what they print, or one document of their documents by Region."""
    if not as_json:
        return side_by_side(commands, print)
    documents: dict[str, Any] = {}
    code = side_by_side(commands, lambda line: print(line, file=sys.stderr), documents)
    print(json.dumps({"exit_code": int(code), "regions": {name: documents.get(name) for name in commands}}, indent=1))
    return code


def compare(folder: Path) -> None:
    """Write the matrix of all Regions, and what differs between them.

    Raises:
        JournalError: A file cannot be written.
    """
    tables = {}
    for region, run_folder in by_region(folder).items():
        try:
            tables[region] = load_run(run_folder)
            if tables[region].matrix.empty:  # it had no channels
                del tables[region]
        except UsageError:  # it ended before it had a matrix
            del tables[region]
    if not tables:
        return
    try:
        write(folder, pd.concat([each.matrix for each in tables.values()]), next(iter(tables.values())).headline)
    except OSError as error:
        raise unwritten(f"what differs between the Regions in {folder}", error) from error


def side_by_side(
    commands: Mapping[str, Sequence[str]], tell: Callable[[str], object], documents: dict[str, Any] | None = None
) -> ExitCode:
    """Run several s3logjam commands at once; every line of theirs is told with the name of its command.

    An interruption is passed on to all of them, and each ends in its own good order.
    Where ``documents`` is given, it takes what each writes to standard output, which is JSON.
    """
    width = max(map(len, commands))
    processes = {
        name: subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "harness", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if documents is None else subprocess.PIPE,
            start_new_session=True,  # Ctrl+C and a signal to this process alone come to them in one way, once
            text=True,
        )
        for name, command in commands.items()
    }

    def repeat(name: str, stream: IO[str] | None) -> None:
        for line in stream or ():
            # Where nobody reads on, the command must still find a reader: it may have made something.
            with suppress(BrokenPipeError):
                tell(f"{name:{width}} | {line.rstrip()}")

    def keep(name: str, process: subprocess.Popen[str]) -> None:
        text = process.stdout.read() if process.stdout else ""
        # A command that fails says why on standard error, and writes none; one that is killed, half of one.
        with suppress(json.JSONDecodeError):
            found = json.loads(text)
            if documents is not None:
                documents[name] = found

    readers = [
        threading.Thread(
            target=repeat, args=(name, process.stdout if documents is None else process.stderr), daemon=True
        )
        for name, process in processes.items()
    ]
    if documents is not None:
        readers += [threading.Thread(target=keep, args=each, daemon=True) for each in processes.items()]
    for reader in readers:
        reader.start()
    while any(process.poll() is None for process in processes.values()):
        try:
            for process in processes.values():
                process.wait()
        except KeyboardInterrupt:
            tell("Interrupted: every Region ends in good order …")
            for process in processes.values():
                process.terminate()
    for reader in readers:
        reader.join()
    codes = {process.returncode for process in processes.values()}
    # A process that a signal ended has a negative code: it was broken off.
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.INTERRUPTED if any(codes) else ExitCode.OK)


def without(arguments: Sequence[str], *options: str) -> list[str]:
    """Return command-line arguments without some options and their values."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in options:
            skip = True
        elif argument.partition("=")[0] not in options:
            kept.append(argument)
    return kept
