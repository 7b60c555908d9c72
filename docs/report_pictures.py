"""Makes the pictures of docs/reading-the-report.md from a run: ``python docs/report_pictures.py results/latest``.

Needs Chromium and Playwright (``pip install -e '.[browser]'``). The browser tests take the same pictures.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

FOLDER = Path(__file__).parent / "images"
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Return where the browser is, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def launched(kind: BrowserType) -> Browser:
    """Start the browser; root, as in containers, has no sandbox."""
    return kind.launch(executable_path=chromium(), args=["--no-sandbox"] if os.geteuid() == 0 else [])


def take(browser: Browser, address: str, folder: Path) -> list[Path]:
    """Take every picture of a report.

    Args:
        browser: Chromium.
        address: Of a ``report.html``, as ``file://…``.
        folder: Where the pictures go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    with browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light") as context:
        page = context.new_page()

        def keep(name: str) -> None:
            taken.append(folder / f"report-{name}.png")
            page.screenshot(path=taken[-1])

        page.goto(address)
        page.wait_for_selector("body[data-matrix=ready]")
        keep("first-screen")
        _show(page, "matrix-title")
        keep("matrix")
        _show(page, "delay-title")
        page.wait_for_selector("body[data-charts=drawn]")
        page.wait_for_timeout(200)  # plotly.js measures its labels once more
        keep("delay")
        page.locator("tr.row:not([hidden]) .cell.logged").last.click()
        page.wait_for_selector("dialog[open]")
        keep("cell")
        page.keyboard.press("Escape")
        page.click("#theme")
        _show(page, "documents-title")
        keep("documents-dark")
        page.set_viewport_size({"width": 390, "height": 844})
        page.evaluate("scrollTo(0, 0)")
        keep("phone")
    return taken


def _show(page: Page, title: str) -> None:
    page.evaluate("id => document.getElementById(id).scrollIntoView()", title)


def main() -> None:
    """Take the pictures of one run."""
    report = Path(sys.argv[1], "report.html").resolve()
    with sync_playwright() as playwright:
        for picture in take(launched(playwright.chromium), report.as_uri(), FOLDER):
            print(f"{picture}: {picture.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
