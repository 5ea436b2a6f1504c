"""The documentation site: built strictly, complete, and read without a network."""

import logging
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.commands.browsing import browsing, opened

mkdocs = pytest.importorskip("mkdocs", reason="the site needs pip install '.[docs]'")

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\s*(https?:)?//", re.I)
NOTEBOOK = """# %% [markdown]
# # A first look
# See [installing](../docs/install.md), [another](02_more.ipynb) and [figures](../data.json).

# %%
import msflow_jax  # [no link](../docs/none.md)
"""


class Loads(HTMLParser):
    """What a page loads by itself: all that is no hyperlink."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if tag != "a" and name in ("src", "srcset", "href", "data", "poster", "style"):
                self.found.append(value or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site, in a folder; a warning of any kind is an error, as with ``--strict``."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    folder, before = tmp_path_factory.mktemp("site"), Path.cwd()
    said = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("mkdocs").addHandler(handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        os.chdir(ROOT)  # the paths of mkdocstrings are relative
        try:
            build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
        except Abort:
            pytest.fail("\n".join(said))
        finally:
            os.chdir(before)
            logging.getLogger("mkdocs").removeHandler(handler)
    return folder


def test_every_page_is_there(site):
    names = {p.relative_to(site).as_posix() for p in site.rglob("*.html")}
    for path in (ROOT / "docs").rglob("*.md"):
        assert path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() in names
    assert {"index.html", "changelog.html"} <= names
    for path in (ROOT / "notebooks").glob("[0-9]*.py"):
        assert f"tutorials/{path.stem}.html" in names
    assert (site / "repository/benchmarks/results/pixel_cpu.json").is_file()  # a page links to it
    text = (site / "api/streams.html").read_text(encoding="utf-8")
    assert "conditional optimal-transport path" in text and 'id="msflow_jax.ode.integrate"' in text


def test_nothing_is_loaded_from_outside(site):
    for path in site.rglob("*.html"):
        page = Loads()
        page.feed(path.read_text(encoding="utf-8"))
        assert page.found, path
        assert not [link for link in page.found if OUTSIDE.match(link) or "url(" in link], path
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s;]+)", text)
        assert not [link for link in named if OUTSIDE.match(link)], path


def test_a_browser_loads_nothing_from_outside_and_finds_words(site):
    with browsing() as browser, opened(browser, f"file://{site}/") as page:
        page.goto(f"file://{site}/streams.html")
        page.click("input.md-search__input")
        page.locator("input.md-search__input").press_sequentially("posterior")
        page.wait_for_selector(".md-search-result__item")
        assert "posterior" in page.inner_text(".md-search-result__list").lower()


def test_search_works_in_files(site):
    """A browser starts no worker from a file: index and stand-in for workers are scripts."""
    assert "posterior" in (site / "search/search_index.js").read_text(encoding="utf-8")
    page = (site / "streams.html").read_text(encoding="utf-8")
    assert 'src="assets/iframe-worker.js"' in page
    assert (site / "assets/iframe-worker.js").is_file()


def test_a_notebook_becomes_a_tutorial(tmp_path):
    import docs_site

    folder = tmp_path / "notebooks"
    folder.mkdir()
    first = folder / "01_quickstart.py"
    first.write_text(NOTEBOOK, encoding="utf-8")
    for name in ("01_quickstart.ipynb", "02_more.py", "02_more.ipynb", "helper.py", "../data.json"):
        (folder / name).write_text("", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "install.md").write_text("", encoding="utf-8")
    assert [p.stem for p in docs_site.notebooks(tmp_path)] == ["01_quickstart", "02_more"]
    text, found = docs_site.tutorial(first), []
    assert text.startswith("# A first look\n") and "```python\nimport msflow_jax" in text
    out = docs_site.relinked(text, "notebooks/01_quickstart.py", tmp_path, found.append)
    assert "[installing](../install.md), [another](02_more.md)" in out
    assert "[figures](../repository/data.json)" in out and "# [no link](../docs/none.md)" in out
    assert "[01_quickstart.ipynb](../repository/notebooks/01_quickstart.ipynb)" in out
    assert "data.json" in found and docs_site.source_of("index.md") == "README.md"
