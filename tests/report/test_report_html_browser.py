"""report.html in a real browser: filters, evidence, keyboard, themes, phone, print; nothing hostile, no request.

Skipped where Chromium or Playwright is missing: ``apt-get install chromium``, ``pip install -e '.[browser]'``.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from offline import HOSTILE
from report_kit import MARKUP, VARIANTS, hostile_result, large_result

from harness.model import Verdict
from harness.report import Result, html

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e '.[browser]'")
ROOT = Path(__file__).parents[2]
WAIT_MS = 120_000
"""Never waited for unless something is wrong; machines of CI are slow."""
ROWS = 120
VERDICTS = [verdict.value.replace(" ", "-") for verdict in Verdict]


def _pictures() -> Any:
    spec = importlib.util.spec_from_file_location("report_pictures", ROOT / "docs" / "report_pictures.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


pictures = _pictures()
pytestmark = pytest.mark.skipif(pictures.chromium() is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = pictures.launched(playwright.chromium)
        yield started
        started.close()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return large_result(tmp_path_factory.mktemp("report"), rows=ROWS, repeats=3)


@pytest.fixture(scope="module")
def address(result: Result) -> str:
    return html.write(result)[0].resolve().as_uri()


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Open]:
    """Open a report in a context of its own; afterwards nothing may have been complained of or asked for."""
    said: list[str] = []
    contexts = []

    def go(where: str = address, **settings: Any) -> Any:
        context = browser.new_context(viewport=settings.pop("viewport", {"width": 1280, "height": 800}), **settings)
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: said.extend(_foreign(request.url, where)))
        page.goto(where)
        if settings.get("java_script_enabled", True):
            page.wait_for_selector("body[data-matrix=ready]")
        return page

    yield go
    for context in contexts:
        context.close()
    assert not said


def _foreign(url: str, where: str) -> list[str]:
    return [] if url == where.partition("#")[0] else [f"request: {url}"]


def rows(page: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        """() => [...document.querySelectorAll("#grid tr.row:not([hidden])")].map((row) => ({
            operation: row.querySelector(".op .name").textContent,
            variant: row.dataset.variant, level: row.dataset.level,
            verdicts: [...row.querySelectorAll(".cell:not([hidden])")].map((cell) => cell.dataset.verdict)}))"""
    )
    return found


def focused(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        """() => { const at = document.activeElement, row = at.closest("tr.row");
            return { tag: at.tagName, id: at.id, n: at.dataset.n,
                operation: row?.querySelector(".op .name").textContent,
                column: row ? [...row.children].indexOf(at) : null }; }"""
    )
    return found


def test_it_opens_with_one_row_for_each_operation_and_asks_for_nothing(opened: Open, result: Result) -> None:
    page = opened()
    assert len(rows(page)) == len({cell.operation for cell in result.cells})
    assert page.locator("#count").inner_text() == f"{len(rows(page))} of {ROWS} rows shown."
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_the_text_filter_finds_operations_and_names_in_every_variant(opened: Open) -> None:
    page = opened()
    page.fill("#text", "putbucketacl")
    assert [row["operation"] for row in rows(page)] == ["PutBucketAcl"] * 4
    page.fill("#text", "rest.put.listbuckets")
    assert {row["operation"] for row in rows(page)} == {"ListBuckets"}
    page.fill("#text", "no such thing")
    assert not rows(page)
    assert page.locator("#grid tbody:visible").count() == 0
    page.click("button[type=reset]")
    assert len(rows(page)) == ROWS // 4


def test_the_level_and_the_variant_filter_choose_rows(opened: Open) -> None:
    page = opened()
    page.select_option("#level", "object")
    assert {row["level"] for row in rows(page)} == {"object"}
    page.select_option("#level", "")
    page.select_option("#variant", "denied")
    assert {row["variant"] for row in rows(page)} == {"denied"}
    page.select_option("#variant", "*")
    assert len(rows(page)) == ROWS


def test_the_verdict_filter_keeps_rows_that_have_one_in_any_variant(opened: Open, result: Result) -> None:
    page = opened()
    for verdict in VERDICTS:
        if verdict != "not-observed":
            page.uncheck(f"input[name=verdict][value={verdict}]")
    wanted = {(c.operation, c.variant) for c in result.cells if c.verdict is Verdict.NOT_OBSERVED}
    assert {(row["operation"], row["variant"]) for row in rows(page)} == wanted
    assert page.locator("#grid .cell.logged:visible:not(.dim)").count() == 0


def test_the_channel_filter_hides_columns_and_what_only_they_show(opened: Open, result: Result) -> None:
    page = opened()
    page.select_option("#variant", "*")
    for n in range(1, 7):
        page.uncheck(f"input[name=channel][value='{n}']")
    assert page.locator("#grid thead th.channel:visible").all_inner_texts() == [result.cells[0].channel]
    assert {len(row["verdicts"]) for row in rows(page)} == {1}
    for verdict in VERDICTS[1:]:
        page.uncheck(f"input[name=verdict][value={verdict}]")
    assert {verdict for row in rows(page) for verdict in row["verdicts"]} == {"logged"}


def test_an_operation_unfolds_into_its_variants(opened: Open) -> None:
    page = opened()
    before = len(rows(page))
    head = page.locator("#grid .op[aria-expanded=false]:visible").first
    name = head.locator(".name").inner_text()
    head.click()
    assert len(rows(page)) == before + 3
    assert [row["variant"] for row in rows(page) if row["operation"] == name] == list(VARIANTS)
    page.locator("#grid .op[aria-expanded=true]").first.click()
    assert len(rows(page)) == before


def test_a_click_opens_the_evidence_of_a_cell(opened: Open, result: Result) -> None:
    page = opened()
    wanted = ("GetBucketAcl", "ok", "cloudtrail")
    number = next(n for n, c in enumerate(result.cells) if (c.operation, c.variant, c.channel) == wanted)
    assert result.cells[number].verdict is Verdict.LOGGED
    page.click(f".cell[data-n='{number}']")
    page.wait_for_selector("dialog[open]")
    text = page.locator("#cell-body").inner_text()
    assert "GetBucketAcl [ok] in cloudtrail: logged" in text
    for part in ("Names", "Delay", "Numbers", "Records", "Call", "Fields", "Documented"):
        assert part in page.locator("#cell-body h3").all_inner_texts()
    raw = page.locator("pre.raw").first.inner_text()
    assert raw.startswith('{\n  "eventVersion": "1.11",\n  "userIdentity": {\n')
    assert "Shown: 1 of 3 records, 1 of 3 calls" in text
    assert "s3lm/0badcafe/" in text
    assert "GetBucketAcl[ok] is in cloudtrail as GetBucketAcl" in text
    assert "Amazon S3 User Guide" in text
    fields = page.locator("#cell-body tr", has=page.locator("code", has_text="requestParameters.bucketName"))
    assert "equal: equal to the call" in fields.inner_text()
    page.click(".tabs button >> nth=0")
    assert "in server-access" in page.locator("#cell-title").inner_text()
    assert "REST.PUT.GETBUCKETACL" in page.locator("pre.raw").first.inner_text()
    page.click(".close")
    assert page.locator("dialog[open]").count() == 0


def test_a_cell_that_was_not_observed_says_why_and_shows_its_calls(opened: Open, result: Result) -> None:
    page = opened()
    number = next(n for n, c in enumerate(result.cells) if c.verdict is Verdict.NOT_OBSERVED and c.variant == "ok")
    page.click(f".cell[data-n='{number}']")
    text = page.locator("#cell-body").inner_text()
    assert "0 of 3 within 4:00:00" in text
    assert "No record, so no name." in text
    assert "request id" in text


def test_the_address_names_the_cell_and_opens_it_again(opened: Open, address: str) -> None:
    page = opened()
    page.locator("#grid .cell[data-n]:visible").nth(3).click()
    page.wait_for_selector("dialog[open]")
    title, where = page.locator("#cell-title").inner_text(), page.url
    assert "#cell=" in where
    again = opened(where)
    again.wait_for_selector("dialog[open]")
    assert again.locator("#cell-title").inner_text() == title
    lost = opened(f"{address}#cell={quote('%<x>')}/ok/none")
    assert lost.locator("dialog[open]").count() == 0
    assert opened(f"{address}#cell=%E0%A4%A").locator("dialog[open]").count() == 0


def test_the_matrix_is_one_tab_stop_that_arrows_move_within(opened: Open) -> None:
    page = opened()
    assert page.locator("#grid [tabindex='0']").count() == 1
    page.focus("button[type=reset]")
    page.keyboard.press("Tab")
    start = focused(page)
    assert (start["tag"], start["column"]) == ("TD", 2)
    page.keyboard.press("ArrowDown")
    assert focused(page)["operation"] == rows(page)[1]["operation"]
    page.keyboard.press("ArrowRight")
    assert focused(page)["column"] == 3
    page.keyboard.press("Home")
    assert focused(page)["tag"] == "TH"
    page.keyboard.press("End")
    assert focused(page)["column"] == 8
    page.keyboard.press("Control+End")
    assert focused(page)["operation"] == rows(page)[-1]["operation"]
    page.keyboard.press("ArrowDown")
    assert focused(page)["operation"] == rows(page)[-1]["operation"]
    page.keyboard.press("Control+Home")
    assert focused(page)["operation"] == rows(page)[0]["operation"]
    page.keyboard.press("PageDown")
    assert focused(page)["operation"] == rows(page)[10]["operation"]
    assert page.locator("#grid [tabindex='0']").count() == 1


def test_what_has_the_focus_is_not_covered_by_the_sticky_head(opened: Open) -> None:
    page = opened()
    page.locator("#grid .cell[data-n]:visible").first.focus()
    for key in (
        "Control+End",
        "ArrowUp",
        "PageUp",
        "PageUp",
        "PageUp",
        "Home",
        "ArrowRight",
        "PageUp",
        "PageUp",
        "PageUp",
    ):
        page.keyboard.press(key)
        covered = page.evaluate(
            """() => { const at = document.activeElement.getBoundingClientRect();
                const there = document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2);
                return !document.activeElement.contains(there) && there?.tagName; }"""
        )
        assert not covered, key


def test_enter_opens_a_cell_and_escape_goes_back_to_it(opened: Open) -> None:
    page = opened()
    page.locator("#grid [tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    where = focused(page)
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("Escape")
    assert focused(page) == where
    page.keyboard.press("Home")
    before = len(rows(page))
    page.keyboard.press("Enter")
    assert len(rows(page)) == before + 3
    assert focused(page)["tag"] == "TH"


@pytest.mark.parametrize("shade", ["verdict", "delay"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_themes(opened: Open, scheme: str, shade: str) -> None:
    page = opened(color_scheme=scheme)
    page.select_option("#shade", shade)
    worst = page.evaluate((Path(__file__).parent / "contrast.js").read_text("utf-8"))
    assert len(worst) > 10
    assert {kind: ratio for kind, ratio in worst.items() if ratio < 4.5} == {}


def test_the_theme_follows_the_system_until_it_is_chosen(opened: Open) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert opened(color_scheme="light").evaluate(ground) == "rgb(255, 255, 255)"
    page = opened(color_scheme="dark")
    assert page.evaluate(ground) == "rgb(15, 20, 25)"
    page.click("#theme")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.reload()
    page.wait_for_selector("body[data-matrix=ready]")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"


def test_verdicts_differ_by_symbol_and_pattern_too(opened: Open) -> None:
    page = opened()
    seen = page.evaluate(
        """() => [...document.querySelectorAll("#filters .chip")].map((chip) =>
            [chip.textContent, getComputedStyle(chip).backgroundImage.replace(/rgba?\\([^)]*\\)/g, "colour")])"""
    )
    assert len({sign for sign, _ in seen}) == len(VERDICTS)
    assert len({pattern for _, pattern in seen}) >= 4


def test_delays_are_drawn_when_they_come_near_and_follow_their_form(opened: Open, result: Result) -> None:
    page = opened()
    assert page.evaluate("typeof Plotly") == "undefined"
    page.locator("#delay").scroll_into_view_if_needed()
    page.wait_for_selector("body[data-charts=drawn]")
    traces = "document.getElementById('curves').data.filter((t) => t.showlegend !== false)"
    names = page.evaluate(f"{traces}.map((t) => t.name)")
    channels = list(dict.fromkeys(cell.channel for cell in result.cells))
    assert [name.split(" (n = ")[0] for name in names] == channels
    assert len(set(page.evaluate(f"{traces}.map((t) => t.line.dash)"))) == len(channels)
    arrived = page.evaluate(f"{traces}[0].y")
    assert arrived == sorted(arrived)
    assert page.evaluate("document.querySelectorAll('#curves .fills path').length") >= len(channels)
    assert page.evaluate(
        "document.getElementById('curves').data.some((t) => t.marker?.symbol === 'line-ns-open' && t.x.length)"
    )
    page.select_option("#kind", "missing")
    assert page.evaluate(f"{traces}[0].y") == pytest.approx([100 - share for share in arrived])
    page.select_option("#axis", "linear")
    assert page.evaluate("document.getElementById('curves').layout.xaxis.type") == "linear"
    page.select_option("#class", "management")
    assert page.evaluate(f"{traces}.length")
    bars = page.evaluate("document.getElementById('timeline').data.map((t) => t.y.reduce((a, b) => a + b, 0))")
    assert bars == [
        len(result.calls),
        *(sum(r.channel == channel for r, _, _ in result.paired) for channel in channels),
    ]
    page.click("#theme")
    assert page.evaluate("document.getElementById('curves').layout.paper_bgcolor") == "#0f1419"
    assert page.locator("#delay-table tbody tr").count() >= len(channels)


def test_documented_statements_are_filtered_and_lead_to_their_cell(opened: Open) -> None:
    page = opened()
    shown = "#checks tbody tr:not([hidden])"
    assert page.locator(f"{shown}[data-verdict=confirmed]").count() == 0
    page.check("form[data-filters] input[value=confirmed]")
    page.fill("form[data-filters] input[type=search]", "PutBucketAcl[ok]")
    assert page.locator(shown).count() >= 2
    page.locator(f"{shown} a").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.locator("#cell-title").inner_text().startswith("PutBucketAcl [ok]")


def test_on_a_phone_nothing_is_wider_than_the_screen(opened: Open) -> None:
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 390
    assert page.locator(".figure").count() == 5
    page.locator("#grid .cell[data-n]:visible").first.tap()
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= 390
    page.locator(".close").tap()
    page.locator("#delay").scroll_into_view_if_needed()
    page.wait_for_selector("body[data-charts=drawn]")
    assert page.evaluate(width) <= 390


def test_it_prints_with_its_charts_in_light_colours_and_without_controls(opened: Open) -> None:
    page = opened(color_scheme="dark")
    page.evaluate("chartsReady")
    page.emulate_media(media="print")
    assert page.locator("form:visible, button:visible, nav:visible").count() == 0
    assert page.locator("#provenance").is_visible()
    page.emulate_media(media="screen")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    # The charts had not come near: printing draws them, and puts the theme back.
    assert page.evaluate("document.body.dataset.charts") == "drawn"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_without_javascript_the_matrix_and_the_tables_are_there(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#grid tr.row:visible").count() == ROWS // 4
    assert page.locator("noscript p").is_visible()
    assert page.locator("#delay-table tbody tr").count() > 7


def test_hostile_text_is_shown_as_text_and_never_runs(opened: Open, tmp_path: Path) -> None:
    nasty = [*HOSTILE, *MARKUP]
    page = opened(html.write(hostile_result(tmp_path, nasty))[0].resolve().as_uri())
    page.evaluate("() => { window.pwned = () => { window.ran = true; }; }")
    page.locator("#delay").scroll_into_view_if_needed()
    page.wait_for_selector("body[data-charts=drawn]")
    for number in range(2 * len(nasty)):
        page.evaluate(f"openCell({number})")
        shown = page.evaluate("document.querySelector('#cell-body').textContent")
        assert not any(c in shown for c in "\x1b\u202e\u2066\x00\x07\x9b")
        for mark in ("<script>", "onerror=", "javascript:", "<svg"):
            assert (mark in shown) is (mark in nasty[number // 2])
        assert page.locator("dialog :is(img, svg, script, a, iframe)").count() == 0
    page.keyboard.press("Escape")
    page.select_option("#variant", "*")
    assert len(rows(page)) == len(nasty)
    for choice in page.locator("#class option").all():
        page.select_option("#class", choice.get_attribute("value"))
    assert page.evaluate("window.ran") is None
    assert page.evaluate("() => { window.pwned(); return window.ran; }")  # it would have told
    assert page.locator("img, iframe, object, embed, [onload], [onerror]").count() == 0
    assert page.locator("script").count() == 4
    assert page.evaluate(
        "[...document.querySelectorAll('main a')].every((a) => a.matches('[href^=\"#\"], .modebar *'))"
    )


def test_the_pictures_of_the_documents_are_taken_and_small(browser: Any, address: str, tmp_path: Path) -> None:
    taken = pictures.take(browser, address, tmp_path)
    assert all(0 < picture.stat().st_size < 300_000 for picture in taken)
    page = (ROOT / "docs" / "reading-the-report.md").read_text("utf-8")
    for picture in taken:
        assert f"images/{picture.name}" in page
        assert (ROOT / "docs" / "images" / picture.name).stat().st_size < 300_000
