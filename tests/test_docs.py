"""The documents keep up with the code: nothing that a user meets is undocumented, and no link leads nowhere."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from markdown_it import MarkdownIt

from harness import catalogue
from harness.channels import channels
from harness.cli import app
from harness.errors import ExitCode

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
READ_TOO = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "results/README.md", ROOT / "deploy/README.md"]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
_SECTION = re.compile(r"^## ", re.MULTILINE)


def reference() -> ModuleType:
    """Import docs/reference.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(command: str) -> str:
    """Return what docs/cli.md says of a command."""
    found = [part for part in _SECTION.split((DOCS / "cli.md").read_text("utf-8")) if part.startswith(f"{command}\n")]
    assert len(found) == 1, f"docs/cli.md has no section {command}"
    return found[0]


def test_the_command_reference_is_what_the_help_says() -> None:
    written = (DOCS / "cli.md").read_text("utf-8")
    assert written.strip() == reference().page().strip(), "run: python docs/reference.py > docs/cli.md"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_and_argument_of_every_command_is_documented(name: str) -> None:
    told = section(name)
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert re.search(rf"`[^`]*{re.escape(option)}\b", told), option
        else:
            assert f"`{parameter.metavar or parameter.name}".replace("...", "") in told


def test_every_exit_code_is_documented_with_its_meaning() -> None:
    told = (DOCS / "cli.md").read_text("utf-8")
    meanings = reference().exit_codes()
    assert set(meanings) == set(ExitCode)
    for code, meaning in meanings.items():
        assert f"| {code.value} | `{code.name}` | {meaning} |" in told
        assert f"{code.value} " in (ROOT / "README.md").read_text("utf-8").partition("Exit codes:")[2]


def test_every_operation_is_documented() -> None:
    rows = {line.split(" | ")[0].removeprefix("| ") for line in (DOCS / "rows.md").read_text("utf-8").splitlines()}
    assert set(catalogue.operations()) <= rows


def test_every_channel_is_documented() -> None:
    told = (DOCS / "channels.md").read_text("utf-8")
    assert all(f"| `{name}` |" in told for name in channels())


def test_every_page_is_in_the_navigation_and_every_entry_of_it_is_a_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")

    def entries(nav: Any) -> Iterator[str]:
        if isinstance(nav, str):
            yield nav
        else:
            for each in nav.values() if isinstance(nav, dict) else nav:
                yield from entries(each)

    found = list(entries(yaml.safe_load(text)["nav"]))
    assert sorted(found) == [page.name for page in PAGES], "put the page into nav of mkdocs.yml"


def tokens(text: str) -> Iterator[Any]:
    """Yield the tokens of a Markdown text, inner ones too."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def anchors(text: str) -> set[str]:
    """Return the anchors that the headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *READ_TOO], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_of_a_page_leads_nowhere(page: Path) -> None:
    targets = [t.attrs.get("href") or t.attrs.get("src") for t in tokens(page.read_text("utf-8")) if t.attrs]
    for target in filter(None, map(str, filter(None, targets))):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        place, _, anchor = target.partition("#")
        there = (page.parent / place).resolve() if place else page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text("utf-8")), target


def test_links_are_found_to_be_broken_where_they_are(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for broken in ("[x](nowhere.md)", "![x](no.png)", "| a |\n|---|\n| [x](nowhere.md) |", "# One\n[x](#two)"):
        page.write_text(broken, "utf-8")
        with pytest.raises(AssertionError):
            test_no_link_of_a_page_leads_nowhere(page)


_MENTIONED = re.compile(r"(\S*)\s\(?docs/([a-z-]+\.md)")


def test_every_page_that_a_help_text_or_a_message_names_is_there() -> None:
    for file in sorted((ROOT / "harness").rglob("*.py")):
        for before, name in _MENTIONED.findall(file.read_text("utf-8")):
            of_another_project = "/" in before
            assert of_another_project or (DOCS / name).is_file(), f"{file.relative_to(ROOT)} names docs/{name}"


def commands_in(page: Path) -> list[list[str]]:
    """Return the s3logjam commands of a page's shell examples, as arguments."""
    blocks = [t.content for t in tokens(page.read_text("utf-8")) if t.type == "fence" and t.info.startswith("bash")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [line.partition("s3logjam ")[2] for line in lines if re.match(r"(\S*/)?s3logjam ", line.strip())]
    words = [re.findall(r"'[^']*'|\"[^\"]*\"|[^\s>|&#]+|[>|&#]", line) for line in found]
    until = [next((n for n, word in enumerate(line) if word in "#>|&"), len(line)) for line in words]
    return [[word.strip("'\"") for word in line[:n]] for line, n in zip(words, until, strict=True)]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_command_that_a_page_shows_can_be_given(page: Path) -> None:
    for name, *arguments in commands_in(page):
        if name.startswith("-"):
            continue
        assert name in COMMANDS, name
        # Reading the arguments refuses unknown options and values, and does nothing.
        COMMANDS[name].make_context(name, arguments)


def test_the_tutorial_shows_commands_at_all() -> None:
    assert len(commands_in(DOCS / "tutorial.md")) >= 10
