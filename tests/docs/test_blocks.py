"""
Every code block of the documentation runs, and says what its page says that it says.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks, pages
from tests.docs.running import Failed, Stage, playing, spoken_of

#: What cannot run here, by page and reason. A page that needs one more says so in this list, where it is seen.
SKIPPED: dict[tuple[str, str], int] = {
    ("README.md", "installs; the demo has tests of its own"): 1,
    ("README.md", "installs and runs this very suite"): 1,
    ("docs/tutorial.md", "installs from a package index"): 1,
    ("docs/how-to/run-on-redis.md", "installs from a package index"): 1,
    ("docs/how-to/openfeature.md", "installs from a package index"): 1,
    ("docs/how-to/use-the-django-connection.md", "installs from a package index"): 1,
    ("docs/how-to/back-up-and-move.md", "a crontab"): 1,
    ("docs/how-to/back-up-and-move.md", "a pipe is a shell's"): 1,
    ("docs/how-to/run-on-postgresql.md", "needs pg_dump and a server of yours"): 1,
    ("docs/how-to/share-a-cache.md", "installs from a package index"): 1,
    ("docs/how-to/share-a-cache.md", "needs servers of yours"): 1,
    ("docs/how-to/run-on-mariadb.md", "needs mariadb-dump and a server of yours"): 1,
}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, request: pytest.FixtureRequest):
    """
    The blocks of a page run in their order, in one directory and one namespace.
    """
    places = {url: str(request.getfixturevalue(fixture)) for url, fixture in spoken_of(page).items()}
    with playing(tmp_path, places=places) as stage:
        for block in blocks(page):
            if "skip" not in block.words:
                stage.run(block)


def test_only_what_is_listed_does_not_run():
    """
    A block that cannot run has a reason, and is counted here.
    """
    found = Counter(
        (str(block.page.relative_to(ROOT)), block.words["skip"])
        for page in pages()
        for block in blocks(page)
        if "skip" in block.words
    )

    assert found == SKIPPED


# -- the runner itself: a page that lies fails -------------------------------------------------------------------


def block(language: str, text: str, **words: str) -> Block:
    return Block(ROOT / "docs" / "page.md", 1, language, words, text)


@pytest.fixture
def stage(tmp_path):
    with playing(tmp_path) as stage:
        yield stage


@pytest.mark.parametrize(
    "lie",
    [
        [block("python", "print(1)"), block("text", "2", output="")],
        [block("python", "raise ValueError('no')")],
        [block("python", "1", raises="ValueError")],
        [block("python", "raise KeyError('no')", raises="ValueError")],
        [block("bash", "payaid catalog show")],
        [block("bash", "payaid --version", exit="1")],
        [block("bash", "payaid --version\npayaid catalog show\npayaid --version", exit="0")],
        [block("bash", "rm -r .")],
        [block("bash", "curl http://127.0.0.1:8000/")],
        [block("fortran", "PRINT *, 1")],
        [block("text", "1", output="")],
        [block("python", "print('[1]')"), block("json", "[2]", output="")],
        [block("python", "print('{}')"), block("json", '{"a": 1}', output="")],
        [block("python", "print('[1]')"), block("json", "[true]", output="")],
    ],
    ids=lambda lie: " / ".join(each.text.splitlines()[0] for each in lie),
)
def test_a_page_that_lies_fails(stage: Stage, lie: list[Block]):
    *before, last = lie
    for each in before:
        stage.run(each)

    with pytest.raises(Failed):
        stage.run(last)


@pytest.mark.parametrize(
    "truth",
    [
        [block("python", "print('one', 'two', 'three')"), block("text", "one ... three", output="")],
        [block("python", "raise ValueError('no')", raises="ValueError"), block("text", "no", output="")],
        [block("python", """print('{"a": [1, 2]}')"""), block("json", '{"a": [1, "..."]}', output="")],
        [block("bash", "NAME=value payaid --version"), block("text", "0...", output="")],
        [block("python", "x = 1", file="x.py"), block("python", "import x\nprint(x.x)"), block("text", "1", output="")],
    ],
    ids=lambda truth: truth[0].text,
)
def test_a_page_that_tells_the_truth_passes(stage: Stage, truth: list[Block]):
    for each in truth:
        stage.run(each)


def test_an_invalid_catalog_on_a_page_fails(stage: Stage):
    from payaid_entitlements.errors import CatalogInvalid

    with pytest.raises(CatalogInvalid):
        stage.run(block("yaml", "catalog: 2"))


@pytest.mark.parametrize(
    "text",
    ["```\nno language\n```\n", "```python\nno end\n", "```python wrong\n```\n"],
)
def test_a_block_that_cannot_be_read_is_an_error(tmp_path, monkeypatch, text):
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text)

    with pytest.raises(ValueError):
        list(blocks(page))
