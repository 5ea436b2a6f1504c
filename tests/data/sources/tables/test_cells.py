"""Words for nothing in the cells of tables, as pandas and R write them."""

import warnings

import pytest

from msflow_jax.data.sources.tables.cells import NOTHING, emptied, is_nothing
from tests.data.sources.cohort.cohorts import cohort, load, table
from tests.data.sources.listings.test_files import load as load_files
from tests.data.sources.listings.test_files import save, write_csv

ALL = ("train", "val", "test")
SURE = sorted(NOTHING - {"NA", "None"})  # what no class is called


def test_only_the_exact_words_are_nothing():
    assert all(map(is_nothing, ["", *NOTHING]))
    assert not any(map(is_nothing, ["none", "na", "NONE", "Null", "P1", "0", "nan1", "normal"]))


@pytest.mark.parametrize("word", sorted(NOTHING))
def test_only_columns_with_a_meaning_are_emptied(tmp_path, word):
    lines = [(2, [word, word]), (3, ["P1", word])]
    with pytest.warns(UserWarning, match="t.csv: cells taken as empty: 1 of 'subject'"):
        found = emptied(tmp_path / "t.csv", ("subject", "site"), lines, ("subject",))
    assert found == [(2, ["", word]), (3, ["P1", word])]


def test_the_standard_s_word_needs_no_remark(tmp_path):
    lines = [(2, ["n/a", "n/a"])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = emptied(tmp_path, ("label", "age"), lines, ("label",), label="label", standard=True)
    assert found == [(2, ["", ""])]


@pytest.mark.parametrize("word", SURE)
def test_no_class_of_a_cohort_is_called_nothing(tmp_path, word):
    rows = cohort(tmp_path, ct=None, xray=None)
    rows[3]["label"] = rows[5]["label"] = word
    with pytest.warns(UserWarning) as caught:
        splits = load(table(tmp_path, rows))
    said = [str(warning.message) for warning in caught]
    assert any(f"taken as empty: 2 of 'label' ('{word}')" in line for line in said)
    assert any("2 have no label (row00005, row00007)" in line for line in said)
    assert splits.info.classes == ("grade0", "grade1")


@pytest.mark.parametrize("word", ["NA", "None"])
@pytest.mark.parametrize("source", ["cohort", "manifest"])
def test_a_class_may_be_called_so_and_that_is_said(tmp_path, word, source):
    words = f"taken as a class in the column 'label': '{word}' .6 cells: line 2, 4, 6 and 3 more"
    if source == "cohort":
        rows = cohort(tmp_path, ct=None, xray=None, subject=None)
        for row in rows[::2]:
            row["label"] = word
        with pytest.warns(UserWarning, match=words):
            classes = load(table(tmp_path, rows)).info.classes
    else:
        for i in range(12):
            save(tmp_path / f"{i}.png", seed=i)
        lines = [f"{i}.png,{(word, 'grade1')[i % 2]}" for i in range(12)]
        with pytest.warns(UserWarning, match=words):
            path = write_csv(tmp_path / "t.csv", "path,label", *lines)
            classes = load_files(path, "manifest").info.classes
    assert set(classes) == {word, "grade1"}


@pytest.mark.parametrize("word", ["nan", "NA", "None"])
def test_a_modality_that_is_nothing_is_missing(tmp_path, word):
    rows = cohort(tmp_path)
    without = load(table(tmp_path, rows))
    for row in rows:
        row.setdefault("ct", word)
        row["report"] = word
        row["site"] = word
    with pytest.warns(UserWarning, match="taken as empty: 4 of 'ct' .*, 12 of 'report'"):
        splits = load(table(tmp_path, rows))
    for name in ALL:
        assert (splits[name].present["ct"] == without[name].present["ct"]).all()
        assert set(splits[name].truth["site"]) == {word} and "report" not in splits[name].truth


@pytest.mark.parametrize(("column", "words"), [("subject", "no subject"), ("split", "no split")])
@pytest.mark.parametrize("word", ["nan", "NA", "None", ""])
def test_nobody_is_called_nothing(tmp_path, column, words, word):
    rows = cohort(
        tmp_path, ct=None, xray=None, split=lambda i: ("train", "val", "test")[i // 4 % 3]
    )
    rows[5][column] = word
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=f"line 7: {words}; fill the column .*or"):
            load(table(tmp_path, rows))


@pytest.mark.parametrize(
    ("cells", "words"),
    [("a.png,nan,P1", "no label"), ("a.png,1,NA", "no patient"), ("nan,1,P1", "no path")],
)
def test_manifests_refuse_nothing_where_something_is_needed(tmp_path, cells, words):
    save(tmp_path / "a.png")
    path = write_csv(tmp_path / "t.csv", "path,label,patient", cells)
    with (
        pytest.warns(UserWarning, match="taken as empty: 1 of"),
        pytest.raises(ValueError, match=f"line 2: {words}"),
    ):
        load_files(path, "manifest")
