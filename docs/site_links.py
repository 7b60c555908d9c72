"""A hook of MkDocs: pages link to READMEs outside of docs/, as in the repository; the site has them as pages."""

from __future__ import annotations

from typing import Any

PAGES = {"../results/README.md": "files.md", "../deploy/README.md": "deploy.md"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point the links of a page to the site's own pages."""
    for outside, inside in PAGES.items():
        markdown = markdown.replace(f"]({outside}", f"]({inside}")
    return markdown
