"""Makes the README's picture from a real run: ``python docs/picture.py results/latest docs/images/matrix.svg``."""

import io
import sys
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from harness.journal import FILE_NAME, Journal
from harness.report.terminal import show_matrix
from harness.run import analyse

SHOWN = ("*Object", "*Acl", "*ublicAccessBlock", "CreateBucket", "DeleteObjects", "List*Buckets", "PutBucketLifecycle*")


def main() -> None:
    """Show some rows of a run and save the terminal as a picture."""
    folder, picture = Path(sys.argv[1]), Path(sys.argv[2])
    with Journal(folder / FILE_NAME) as journal:
        result = analyse(journal, folder)
    chosen = [c for c in result.cells if any(fnmatchcase(c.operation, pattern) for pattern in SHOWN)]
    console = Console(record=True, width=124, file=io.StringIO(), force_terminal=True)
    show_matrix(console, replace(result, cells=chosen, folder=Path("results/latest")))
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(console.export_svg(title="s3logjam run (some of its rows)", theme=DIMMED_MONOKAI), "utf-8")


if __name__ == "__main__":
    main()
