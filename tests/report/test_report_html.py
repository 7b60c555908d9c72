"""report.html: the honesty note first, one file without a request, log text inert in its bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import unicodedata
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from offline import FACTS, HOSTILE, a_call, a_cell, a_delivery, a_record, a_result
from report_kit import MARKUP, hostile_result, large_result

from harness.analyse.cases import DiffResult
from harness.analyse.findings import Evidence, Finding, Kind
from harness.analyse.join import Joiner
from harness.analyse.known import Deviation
from harness.analyse.snapshot import CellId, Snapshot
from harness.errors import JournalError
from harness.model import CLOUDTRAIL, SERVER_ACCESS, CellKey, Reject, Verdict
from harness.report import Result, html

ROOT = Path(__file__).parents[2]
LIMIT_BYTES = 10_000_000


class Page(HTMLParser):
    """A page as a browser's parser takes it apart: elements in order, with their attributes and own text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(bare(text))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.texts.append((self.elements[-1][0], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(data for tag, data in self.texts if tag not in ("script", "style"))


def bare(text: str) -> str:
    """Return a page without its packed texts, which have no character but base64's."""
    return re.sub(r"(x-gzip-base64\" id=\"\w+\">)[A-Za-z0-9+/=]+(</script>)", r"\1\2", text)


def written(result: Result, drift: DiffResult | None = None) -> tuple[str, Page]:
    (path,) = html.write(result, drift)
    assert path.name == "report.html"
    text = path.read_text("utf-8")
    return text, Page(text)


def data_of(text: str) -> dict[str, Any]:
    packed = re.search(r'id="data">([A-Za-z0-9+/=]+)</script>', text)
    assert packed
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


def test_what_the_target_proves_is_the_first_thing_on_the_page(tmp_path: Path) -> None:
    text, page = written(a_result(tmp_path, [a_cell()]))
    body = page.text[page.text.index("s3logjam: ") :]
    assert body.index("proves the harness, never AWS") < body.index("S3 logging coverage")
    assert "proves the harness, never AWS" in text[text.index("<body>") : text.index("<header>")]
    assert "clock x600" in text[text.index("<body>") : text.index("<header>")]


def test_the_page_asks_nobody_for_anything_and_forbids_it(tmp_path: Path) -> None:
    text, page = written(a_result(tmp_path, [a_cell()]))
    assert not page.all("link")
    assert not page.all("img")
    assert not [a for _, a in page.elements if {"src", "srcset", "action", "background"} & a.keys()]
    assert {a["href"] for a in page.all("a")} <= {"#matrix", "#delay", "#documents", "#drift", "#run"}
    assert not re.search(r"@import|url\(", "".join(data for tag, data in page.texts if tag == "style"))
    (policy,) = [a["content"] or "" for a in page.all("meta") if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    script = text[text.rindex("<script>") + len("<script>") : text.rindex("</script>")]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    result = large_result(tmp_path, rows=3, repeats=2)
    assert html.page(result) == html.page(result)


def test_every_cell_is_in_the_table_with_its_symbol_name_and_verdict(tmp_path: Path) -> None:
    result = large_result(tmp_path, rows=40, repeats=2)
    _, page = written(result)
    cells = [a for a in page.all("td") if "data-n" in a]
    assert sorted(int(a["data-n"] or -1) for a in cells) == list(range(len(result.cells)))
    for attributes in cells:
        cell = result.cells[int(attributes["data-n"] or -1)]
        assert attributes["data-verdict"] == cell.verdict.value.replace(" ", "-")
        assert (attributes["title"] or "").startswith(cell.verdict.value)


def test_evidence_of_a_cell_is_bounded_and_what_is_cut_is_said(tmp_path: Path) -> None:
    text, _ = written(large_result(tmp_path, rows=2, repeats=9))
    cells = data_of(text)["cells"]
    logged = [cell for cell in cells if cell["verdict"] == "logged"]
    assert logged
    for cell in logged:
        assert len(cell["records"]) == 1
        assert cell["cut"].startswith("Shown: 1 of 9 records, 1 of 9 calls; records.parquet")


def test_a_run_of_350_rows_7_channels_and_30_repeats_stays_below_ten_megabytes(tmp_path: Path) -> None:
    # One repeat leaves as many records per cell in the page as thirty: one for each name and status.
    # benchmarks/html_report.py has all thirty.
    text, _ = written(large_result(tmp_path, rows=350, repeats=1))
    assert len(data_of(text)["cells"]) == 350 * 7
    assert len(text.encode()) < LIMIT_BYTES


def test_hostile_text_makes_no_element_no_attribute_and_no_invisible_character(tmp_path: Path) -> None:
    quiet = Page(html.page(hostile_result(tmp_path, ["quiet"] * len([*HOSTILE, *MARKUP]))))
    text, page = written(hostile_result(tmp_path, [*HOSTILE, *MARKUP]))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in quiet.elements]
    assert [sorted(a) for _, a in page.elements] == [sorted(a) for _, a in quiet.elements]
    assert not invisible(bare(text))
    for value in texts(data_of(text)):
        assert not invisible(value)


def invisible(text: str) -> set[str]:
    return {c for c in set(text) if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c != "\n"}


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *(text for each in value.values() for text in texts(each))]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else []


def test_drift_stands_in_its_table_and_in_its_cell(tmp_path: Path) -> None:
    cell = CellId("PutObject", "ok", SERVER_ACCESS)
    finding = Finding(
        kind=Kind.RENAMED,
        cell=cell,
        subject="A → B",
        title="PutObject is logged under another name: A → B",
        cells=(cell,),
        evidence=(Evidence(side="A", cell=str(cell), source="before"),),
    )
    known = Deviation(id="", cell="*", kind="*", subject="*", reason="ticket 7", expires=date(2030, 1, 1), number=1)
    one = Snapshot(source="before", headline="Target: embedded (old)", target="embedded")
    drift = DiffResult(
        a=one, b=one, findings=(finding,), excused=((finding, known),), incomparable={}, incomparable_delays={}
    )
    text, page = written(a_result(tmp_path, [a_cell(names={"B": 1})]), drift)
    assert "Against the baseline: 1 findings." in page.text
    assert f"{finding.id}renamed" in re.sub(r"\s+", "", page.text)
    assert "ticket 7" in page.text
    assert "Target: embedded (old)" in page.text
    (told,) = data_of(text)["cells"][0]["drift"]
    assert (told["severity"], told["kind"], told["evidence"]) == (
        "high",
        "renamed",
        ["A PutObject[ok-server-access]; in before"],
    )


def test_without_a_baseline_the_page_says_how_to_give_one(tmp_path: Path) -> None:
    assert "report RUN --html --baseline" in written(a_result(tmp_path, [a_cell()]))[1].text


def test_rejected_lines_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    rejects = [(Reject(channel=SERVER_ACCESS, reason=f"why {n}", raw="x", offset=n), "s3://f") for n in range(60)]
    page = written(a_result(tmp_path, [a_cell()], rejects=rejects))[1]
    assert "60 pieces of logs could not be read" in re.sub(r"\s+", " ", page.text)
    assert "why 49" in page.text
    assert "why 50" not in page.text


def test_documented_statements_are_held_against_the_run(tmp_path: Path) -> None:
    call = a_call(cell=CellKey(operation="PutBucketAcl"), operation="PutBucketAcl")
    fields = {"eventCategory": "Management", "managementEvent": True}
    record = a_record(call, CLOUDTRAIL, name="PutBucketAcl", fields=fields)
    joiner = Joiner([call])
    delivery = a_delivery(channel=CLOUDTRAIL)
    cell = a_cell("PutBucketAcl", channel=CLOUDTRAIL, calls=1, logged=1, names={"PutBucketAcl": 1})
    text, page = written(
        a_result(tmp_path, [cell], calls=[call], paired=[(record, delivery, joiner.add(record, delivery))])
    )
    claims = data_of(text)["cells"][0]["claims"]
    assert {claim["verdict"] for claim in claims} >= {"confirmed"}
    assert all(claim["sources"] for claim in claims if claim["verdict"] == "confirmed")
    assert "PutBucketAcl[ok] is in cloudtrail as PutBucketAcl, management event" in page.text
    verdicts = [a["data-verdict"] for a in page.all("tr") if "data-verdict" in a]
    assert verdicts.index("undetermined") < verdicts.index("confirmed")


def test_a_run_in_which_nothing_was_executed_has_a_page(tmp_path: Path) -> None:
    page = written(a_result(tmp_path, [a_cell(verdict=Verdict.NOT_RUN, reason="refused")]))[1]
    assert "None of the 1 rows was executed" in page.text
    assert "No call was made whose record is expected" in page.text


def test_a_run_without_cells_has_a_page(tmp_path: Path) -> None:
    assert "None of the 0 rows" in written(a_result(tmp_path))[1].text


def test_an_interrupted_run_says_so_first(tmp_path: Path) -> None:
    text, _ = written(a_result(tmp_path, [a_cell()], facts={**FACTS, "interrupted": "collect"}))
    assert "interrupted in collect" in text[text.index("<body>") : text.index("<header>")]


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"cannot write .*report\.html"):
        html.write(a_result(tmp_path / "missing", [a_cell()]))


def test_the_files_of_the_page_cannot_end_their_elements() -> None:
    templates = ROOT / "harness" / "report" / "templates"
    assert "</" not in (templates / "report.css").read_text("utf-8")
    assert "</script" not in (templates / "report.js").read_text("utf-8").lower()
    assert "innerHTML" not in (templates / "report.js").read_text("utf-8")
