"""One page for each evaluation: which of them stands, and none of those that are no longer there."""

import json

import pytest

from msflow_jax.reports import build_report
from tests.reports.test_page import Page


@pytest.fixture
def workdir(tmp_path):
    for name in ("test", "test-b"):
        folder = tmp_path / "evaluations" / name
        folder.mkdir(parents=True)
        content = {"split": "test", "sections": [], "settings": {"step": 4}}
        (folder / "evaluation.json").write_text(json.dumps(content))
    return tmp_path


def stand(workdir, name):
    (workdir / "evaluations" / "standing.json").write_text(json.dumps({"name": name}))


def names(workdir):
    return sorted(path.name for path in (workdir / "report").iterdir())


def test_where_none_stands_the_first_page_does_not_say_so(workdir):
    text = Page(build_report(workdir).read_text(encoding="utf-8")).text
    assert "test split" in text and "(stands)" not in text and "None of them stands" in text
    other = Page((workdir / "report" / "test-b.html").read_text(encoding="utf-8"))
    assert "(stands)" not in other.text and "index.html" in other.addresses
    stand(workdir, "test")
    for page in ("index.html", "test-b.html"):
        build_report(workdir)
        text = Page((workdir / "report" / page).read_text(encoding="utf-8")).text
        assert text.count("(stands)") == 1 and "None of them stands" not in text


def test_pages_of_before_go_and_others_stay(workdir):
    stand(workdir, "test")
    page = build_report(workdir)
    (workdir / "report" / "mine.html").write_bytes(page.read_bytes())  # a copy of the first page
    (workdir / "report" / "notes.html").write_text("<p>notes, workdir x</p>")
    assert names(workdir) == ["index.html", "mine.html", "notes.html", "test-b.html"]
    stand(workdir, "test-b")
    build_report(workdir)
    assert names(workdir) == ["index.html", "mine.html", "notes.html", "test.html"]
    (workdir / "evaluations" / "test").rename(workdir / "evaluations" / "test-step4")
    build_report(workdir)
    assert names(workdir) == ["index.html", "mine.html", "notes.html", "test-step4.html"]
