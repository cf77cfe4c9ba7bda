"""
Links between pages lead somewhere, and every page is found from the index.
"""

import re

import pytest

from tests.docs.pages import ROOT, pages

#: Pages that are linked and come with the figures that they show. Empty this once they are there.
COMING = {ROOT / "docs" / "explanation" / "performance.md"}

_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def links(page):
    """Where the links of *page* lead: a file and an anchor; links to the world are left out."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield target, (page.parent / path).resolve() if path else page, anchor


def anchors(page):
    """The anchors that GitHub gives to the headings of *page*."""
    for heading in re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    dead = [
        target
        for target, path, anchor in links(page)
        if path not in COMING
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path))
    ]

    assert dead == []


def test_every_page_is_found_from_the_index():
    index = ROOT / "docs" / "README.md"
    listed = {path for _, path, _ in links(index)}

    assert {page for page in pages() if page.is_relative_to(ROOT / "docs")} - {index} <= listed


def test_pages_speak_of_the_project_alone():
    """
    Nothing of the machine on which they were written.
    """
    words = re.compile(r"/(?:work|tmp|home)/|localhost:\d")
    found = [str(page.relative_to(ROOT)) for page in pages() if words.search(page.read_text(encoding="utf-8"))]

    assert found == []
