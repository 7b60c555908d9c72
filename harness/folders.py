"""Where a run lands: a folder of its own, and ``latest``, which points at the last one."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from harness.errors import UsageError
from harness.journal import FILE_NAME

LATEST = "latest"
REGIONS_SUFFIX = "-regions"
"""Of a folder in which there is a run for each of several Regions."""


def by_region(path: Path) -> dict[str, Path]:
    """Return the run folders below a folder of several Regions, by Region; empty for anything else."""
    if (path / FILE_NAME).exists() or not path.resolve().name.endswith(REGIONS_SUFFIX):
        return {}
    # Not by ``latest``: a run that was killed early has none, and may have made something.
    journals = sorted(path.resolve().glob(f"*/*/{FILE_NAME}"))
    return {journal.parent.parent.name: journal.parent.resolve() for journal in journals}


def several(path: Path) -> str:
    """Return what is said of a folder of several Regions where one run is wanted; an empty text for anything else."""
    found = [str(folder) for folder in by_region(path).values()]
    return f"{path} is a run in {len(found)} Regions: give one of {', '.join(found)}" if found else ""


def run_folder(path: str | Path) -> Path:
    """Return the folder of a run.

    Args:
        path: The folder itself, or ``results/latest``.

    Raises:
        UsageError: There is no run there, or several.
    """
    folder = Path(path)
    if not (folder / FILE_NAME).is_file():
        none = f"there is no run at {folder}: give the folder of a run, e.g. results/latest"
        raise UsageError(several(folder) or none)
    return folder


def new_folder(results: Path, target: str, run_id: str) -> Path:
    """Make the run's folder.

    Raises:
        UsageError: It cannot be made or written.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        folder = results / f"{stamp}-{target}-{run_id}{f'-{attempt}' if attempt else ''}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            if not results.is_dir():
                raise UsageError(
                    f"cannot write results: {results} is not a folder; choose another with --results"
                ) from error
            continue
        except OSError as error:
            raise UsageError(
                f"cannot write results in {results}: {error}; choose another folder with --results"
            ) from error
        return folder
    raise UsageError(f"cannot make a folder for this run in {results}")


def point_latest(results: Path, folder: Path) -> str:
    """Point ``results/latest`` at a run, atomically; where links are not possible, a text file names it.

    Returns:
        Why it does not point there, if so.
    """
    link, fresh = results / LATEST, results / f".{LATEST}-{os.getpid()}"
    try:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.name, target_is_directory=True)
        if link.is_dir() and not link.is_symlink():
            fresh.unlink()
            return f"{link} is a folder and was left alone: the run is in {folder}"
        fresh.replace(link)
    except OSError:
        (results / f"{LATEST}.txt").write_text(json.dumps(folder.name) + "\n", "utf-8")
        return f"{link} cannot be a link: {LATEST}.txt names the run"
    return ""
