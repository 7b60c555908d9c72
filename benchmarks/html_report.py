"""Size and opening time of report.html at the scale that it is meant for, in headless Chromium.

    python benchmarks/html_report.py                      # 350 rows, 7 channels, 30 repeats
    python benchmarks/html_report.py --rows 691 --opens 9

The run is made up (tests/report/report_kit.py) with records as long as real ones. "usable" is when the matrix can be
filtered and opened, "loaded" the browser's load event, both from the start of navigation; "busy" is the processor time
of the page's main thread until then, which other work on the machine does not change; "charts" is how long the delay
section takes when it is scrolled to. Exit code 1 when the file is not below 10 MB, or is not usable and loaded within
2 s (medians). Needs ``pip install -e '.[test,browser]'`` and Chromium.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / place) for place in ("docs", "tests", "tests/report")]

from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from report_kit import CHANNELS, large_result  # noqa: E402
from report_pictures import launched  # noqa: E402

from harness.report import html  # noqa: E402

LIMIT_BYTES = 10_000_000
LIMIT_SECONDS = 2.0
_TIMES = """() => [performance.getEntriesByName("matrix")[0].startTime,
    performance.getEntriesByType("navigation")[0].loadEventEnd]"""
_CHARTS = """async () => {
    const start = performance.now();
    document.getElementById("delay").scrollIntoView();
    while (document.body.dataset.charts !== "drawn") await new Promise((next) => setTimeout(next, 5));
    return performance.now() - start;
}"""


def opened(browser: Browser, address: str) -> tuple[float, float, float, float]:
    """Return the seconds until a report is usable and is loaded, of processor time for that, and of drawing charts."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        inspector = context.new_cdp_session(page)
        inspector.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(address)
        page.wait_for_function("document.readyState === 'complete' && document.body.dataset.matrix === 'ready'")
        metrics = inspector.send("Performance.getMetrics")["metrics"]
        busy = next(each["value"] for each in metrics if each["name"] == "TaskDuration")
        page.wait_for_timeout(500)
        usable, loaded = page.evaluate(_TIMES)
        return usable / 1000, loaded / 1000, busy, page.evaluate(_CHARTS) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=350)
    parser.add_argument("--channels", type=int, default=len(CHANNELS), choices=range(1, len(CHANNELS) + 1))
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--opens", type=int, default=5, help="how often the file is opened, after once to warm up")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        result = large_result(Path(folder), asked.rows, CHANNELS[: asked.channels], asked.repeats)
        began, cpu = time.perf_counter(), time.process_time()
        (path,) = html.write(result)
        wrote, cpu, size = time.perf_counter() - began, time.process_time() - cpu, path.stat().st_size
        browser = launched(playwright.chromium)
        times = [opened(browser, path.resolve().as_uri()) for _ in range(asked.opens + 1)][1:]
        browser.close()
    print(f"{asked.rows} rows x {asked.channels} channels x {asked.repeats} repeats: {len(result.cells)} cells,")
    print(f"{len(result.calls)} calls, {len(result.paired)} records; load average {os.getloadavg()[0]:.1f}")
    print(f"written in {wrote:.1f} s ({cpu:.1f} s of processor time), {size / 1e6:.2f} MB")
    for name, seconds in zip(("usable", "loaded", "busy", "charts"), zip(*times, strict=True), strict=True):
        print(f"{name:>7}: median {median(seconds):.2f} s, from {min(seconds):.2f} to {max(seconds):.2f} s")
    slow = max(median(usable for usable, *_ in times), median(loaded for _, loaded, *_ in times))
    return int(size >= LIMIT_BYTES or slow >= LIMIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
