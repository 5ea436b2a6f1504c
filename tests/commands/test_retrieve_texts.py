"""Reports among which partners are looked for: whole, and called by their line; how a pair is called."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from msflow_jax import workdir
from msflow_jax.commands import retrieve
from msflow_jax.commands.retrieve import read_texts
from tests.diffusers import tiny


def test_reports_of_a_table(tmp_path):
    table = tmp_path / "r.csv"
    table.write_text('id,report\n1,"Lesion, left.\nNo effusion."\n\n2,Normal.\n', encoding="utf-8")
    assert read_texts(table) == {"line 2": "Lesion, left.\nNo effusion.", "line 5": "Normal."}


@pytest.mark.parametrize(
    "rows, words",
    [
        (
            "id,report\n1,Normal.\n2,Small lesion, left, of 5 mm\n",
            "line 3: 4 cells, but the header",
        ),
        ('id,report\n1,"Lesion of 5 mm.\n2,Severe atrophy.\n', "a quote is not closed"),
        ("id,text\n1,Normal.\n", "the header must have report"),
        ("id,report\n", "lists nothing below its header"),
    ],
)
def test_torn_tables_are_refused(tmp_path, rows, words):
    table = tmp_path / "r.csv"
    table.write_text(rows, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_texts(table)


def test_a_folder_of_texts(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("One.", encoding="utf-8")
    assert read_texts(tmp_path) == {"deep/a.txt": "One."}


def test_endings_in_any_case_and_a_mark_of_the_order_of_bytes(tmp_path):
    (tmp_path / "a.txt").write_text("One.", encoding="utf-8-sig")
    (tmp_path / "b.TXT").write_text("Two.", encoding="utf-8")
    assert read_texts(tmp_path) == {"a.txt": "One.", "b.TXT": "Two."}


@pytest.mark.parametrize(
    "content, words", [(b"\xff\xfeO\x00", "no text in UTF-8"), (b" \n", "is empty")]
)
def test_a_text_that_is_none_is_named(tmp_path, content, words):
    (tmp_path / "a.txt").write_bytes(b"One.")
    (tmp_path / "b.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"b\.txt .*{words}|b\.txt {words}"):
        read_texts(tmp_path)


@pytest.mark.parametrize(
    "source, target, word",
    [("xray", "t1w", "emergent"), ("ct", "t1w", "trained"), ("xray", "report", "emergent")],
)
def test_a_pair_of_one_link_that_was_never_aligned_is_emergent(
    monkeypatch, tmp_path, source, target, word
):
    """As the section *retrieval* of an evaluation has it: both ends of a link were called trained."""
    flow = SimpleNamespace(
        model=tiny.model(links=("ct-report", "xray+t1w-ct"))[0], resizes=bool,
        require=lambda verb: None, embed=lambda name, x: np.eye(2),
    )  # fmt: skip
    monkeypatch.setattr(workdir, "open_workdir", lambda path: flow)
    monkeypatch.setattr(retrieve, "read", lambda *given: (None, ("a", "b"), None))
    output = tmp_path / "f.csv"
    retrieve.retrieve(tmp_path / "w", "x", source, "y", target, output)
    with output.open(encoding="utf-8") as file:
        assert {row["route"] for row in csv.DictReader(file)} == {word}
