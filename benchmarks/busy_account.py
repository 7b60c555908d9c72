"""What other people's events cost: 100,000 foreign events of a trail, read around 500 of ours, several times.

    python benchmarks/busy_account.py
    python benchmarks/busy_account.py --times 9

The events come in files as a trail writes them (tests/collect/busy_account_kit.py) and go through the real poll loop,
parser, join and journal. "without" is the same with our 500 alone. Processor time of this process, which other work on
the machine changes little; median and range. Exit code 1 when one of ours is not joined.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / place) for place in ("tests", "tests/collect")]

from busy_account_kit import FILES, FOREIGN, OURS, read  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="how often (default: 5)")
    options = parser.parse_args()
    lost = 0
    print(f"{OURS} events of ours in {FILES} files, {options.times} times")
    for title, foreign in (("with", FOREIGN), ("without", 0)):
        took = []
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as folder:
                began = time.process_time()
                done = read(Path(folder), foreign)
                took.append(time.process_time() - began)
                lost += OURS - done.joined
        spread = f"{median(took):.2f} s ({min(took):.2f} to {max(took):.2f})"
        print(f"{title:8} {foreign:>7} foreign events: {spread}, journal {done.journal_bytes / 2**20:.1f} MiB")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
