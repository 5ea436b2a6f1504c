"""One page for each evaluation: which of them stands, and none of those that are no longer there."""

import json

import pytest

from msflow_jax.reports import build_report
from msflow_jax.storage.parameters import Parameters
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


@pytest.mark.parametrize("now", [(6, ""), (4, "b" * 16)])
def test_an_evaluation_of_other_parameters_is_not_said_to_be_applied(workdir, now):
    """A run was trained longer, or again, and another split is measured."""
    stand(workdir, "test")
    content = {"split": "test", "sections": [], "settings": {"step": 4, "parameters": "a" * 16}}
    newer = {**content, "settings": {"step": now[0], "parameters": now[1]}}
    stage = {**content, "settings": {"step": 1, "stage": "first"}}
    for name, found in (("test", content), ("test-b", newer), ("test-c", stage)):
        (workdir / "evaluations" / name).mkdir(exist_ok=True)
        (workdir / "evaluations" / name / "evaluation.json").write_text(json.dumps(found))
    page = build_report(workdir, Parameters(*now))
    text = " ".join(Page(page.read_text(encoding="utf-8")).text.split())
    words = Parameters(4, "a" * 16).difference(Parameters(*now))
    assert f"The figures are {words}: nothing of this evaluation is applied." in text
    assert f"(stands, but is {words}: not applied)" in text
    assert f"The evaluation that stands is {words}: images" in text
    assert "Images are classified by the evaluation that stands" not in text
    for name in ("test-b", "test-c"):
        other = Page((workdir / "report" / f"{name}.html").read_text(encoding="utf-8")).text
        assert "The figures are" not in other and "not applied" in other
    for same in (Parameters(4, "a" * 16), Parameters(4), Parameters()):
        text = Page(build_report(workdir, same).read_text(encoding="utf-8")).text
        assert "The figures are" not in text and "(stands)" in text
        assert "Images are classified by the evaluation that stands" in text


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
