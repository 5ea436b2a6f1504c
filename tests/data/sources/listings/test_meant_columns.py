"""Whom an image shows and its split are known however their columns are spelled."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data import Info, read_labelled
from msflow_jax.data.sources.listings.meant_columns import meaning_of, warn_of_meant

PEOPLE, EACH = 10, 4


def table(folder, header, row):
    """Four pictures of each of ten people; ``row(i)`` gives the cells after path and label."""
    rng = np.random.default_rng(0)
    lines = [f"path,label,{header}"]
    for i in range(PEOPLE * EACH):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        # Both classes of everybody, so that classes alone keep nobody together.
        lines.append(f"{i}.png,{'ab'[i % 2]},{row(i)}")
    path = folder / "t.csv"
    path.write_text("\n".join(lines))
    return path


def load(path):
    config = data.default_config("manifest")
    config.root, config.duplicates = str(path), "keep"
    return data.load(config)


def people(splits):
    """The people of each split, by the numbers of their pictures."""
    return {
        name: {int(n.removesuffix(".png")) // EACH for n in splits[name].names}
        for name in ("train", "val", "test")
    }


@pytest.mark.parametrize(
    "spelled",
    ["patient", "PatientID", "patient_id", "Patient", "subject", "Subject ID", "participant_id"],
)  # fmt: skip
def test_nobody_is_in_two_splits(tmp_path, spelled):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = people(load(table(tmp_path, spelled, lambda i: f"P{i // EACH}")))
    assert sum(map(len, found.values())) == PEOPLE and not found["train"] & found["test"]


@pytest.mark.parametrize("spelled", ["split", "Split", "SPLIT"])
def test_a_given_split_is_kept(tmp_path, spelled):
    names = ["train", "val", "test"]
    path = table(tmp_path, f"patient,{spelled}", lambda i: f"P{i // EACH},{names[i // EACH % 3]}")
    found = people(load(path))
    assert all({p % 3 for p in found[name]} == {k} for k, name in enumerate(names))


def test_what_may_say_it_is_named(tmp_path):
    path = table(tmp_path, "mrn,fold", lambda i: f"{i // EACH},{('train', 'test')[i % 2]}")
    with pytest.warns(UserWarning) as caught:
        load(path)
    said = [str(w.message) for w in caught]
    assert any("'mrn' is taken for a fact (10 values in 40 rows)" in one for one in said)
    assert any("'fold' is taken for a fact" in one and "(test, train)" in one for one in said)


@pytest.mark.parametrize(
    "name",
    [
        "patient_hash", "patient_key", "patient_uid", "PatientIdentifier", "patient code", "case-no",
        "anon_patient_id", "pseudo_subject_index", "person_pseudonym", "pseudonym", "EMPI", "study_id",
        "StudyInstanceUID", "accession", "AccessionNumber",
        "patient_nr", "personid", "deidentified_case_id",
        "id", "ID", "record_id", "eid", "Pt", "pat_nr", "patno", "donor", "animal", "animal_no",
        "exam_id",
    ],
)  # fmt: skip
def test_columns_that_number_persons_or_studies_are_named(tmp_path, name):
    words = rf"the column '{name}' is taken for a fact \(10 values in 40 rows\).*call it patient"
    with pytest.warns(UserWarning, match=words):
        load(table(tmp_path, name, lambda i: f"h{i // EACH}"))


@pytest.mark.parametrize("name", ["name", "exam", "study", "Session", "visit"])
def test_columns_that_may_be_of_sites_are_named_where_each_value_has_one_label(tmp_path, name):
    labels, persons = list("ab") * 20, [f"h{i % 8}" for i in range(40)]
    words = rf"the column '{name}' is taken for a fact \(8 values in 40 rows\).*call it patient"
    with pytest.warns(UserWarning, match=words):
        warn_of_meant(Path("t.csv"), {"path": labels, "label": labels, name: persons})
    sites, both = [f"h{i % 2}" for i in range(40)], [f"h{i // 5}" for i in range(40)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for cells in (sites, both, [f"h{i}" for i in range(40)]):
            warn_of_meant(Path("t.csv"), {"label": labels, name: cells})
        warn_of_meant(Path("t.csv"), {"label": labels, name: persons, "PatientID": persons})
        warn_of_meant(Path("t.csv"), {name: persons})


@pytest.mark.parametrize(
    "name", ["age", "sex", "patient_age", "patient_sex", "case_type", "study", "study_date", "hash"]
)
def test_other_facts_of_persons_are_not_named(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load(table(tmp_path, name, lambda i: f"h{i // EACH}"))


@pytest.mark.parametrize(
    "words",
    [
        ("train", "dev", "test"), ("train", "tune", "test"), ("train", "val", "holdout"),
        ("training", "hold-out", "hold-out"), ("training", "validation", "internal test"),
        ("TRAIN", "val", "External"), ("trn", "tst", "tst"), ("train_1", "train_2", "eval"),
        ("train set", "test set", "unknown"),
    ],
)  # fmt: skip
def test_a_column_of_splits_is_named_whatever_other_words_are_in_it(tmp_path, words):
    path = table(tmp_path, "part", lambda i: words[i % 3])
    with pytest.warns(UserWarning, match="'part' is taken for a fact, and its cells are called as"):
        load(path)


@pytest.mark.parametrize(
    "words",
    [
        ("test", "retest", "test"), ("internal", "external", "external"), ("valid", "invalid", ""),
        ("pre-test", "post-test", "test"), ("dev", "prod", "stage"), ("train", "bus", "car"),
        ("a test of the left arm", "after validation at the site", "train"),
        ("trainer", "tester", "validated"),
    ],
)  # fmt: skip
def test_words_that_only_look_like_splits_are_not_named(tmp_path, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load(table(tmp_path, "part", lambda i: words[i % 3]))


def test_paths_below_folders_of_splits_are_no_facts():
    columns = {"path": ["train/a.png", "test/b.png"], "label": ["train", "test"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warn_of_meant(Path("t.csv"), columns)


def test_other_facts_are_not_named(tmp_path):
    """Nor is a number of every row's own, which parts nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load(table(tmp_path, "patient,mrn,sex,fold", lambda i: f"P{i // EACH},{i},f,{i % 5}"))


def test_two_columns_of_one_meaning_are_refused(tmp_path):
    path = table(tmp_path, "patient,SubjectID", lambda i: f"P{i // EACH},{i}")
    with pytest.raises(ValueError, match="columns patient and SubjectID both say the subject"):
        load(path)


def test_images_from_elsewhere_know_whom_they_show(tmp_path):
    path = table(tmp_path, "PatientID,age", lambda i: f"P{i // EACH},{i}")
    info = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())
    found = read_labelled(path, info)
    assert len(set(found.groups)) == PEOPLE and list(found.truth) == ["age"]


@pytest.mark.parametrize("name", ["age", "site", "patients_age", "splitter", "subjective", ""])
def test_other_words_mean_nothing(name):
    assert meaning_of(name) == ""
