"""Copies between splits, and classes of which there is next to nothing."""

import shutil
import warnings

import pytest

from msflow_jax import data
from msflow_jax.data import oddities
from msflow_jax.data.sources.medmnist.table import TABLE
from msflow_jax.data.sources.packs.packing import Settings, pack
from tests.data.sources.listings.test_files import fill, load, save
from tests.data.sources.packs.test_records import listing


@pytest.fixture
def copied(tmp_path):
    """Folders of splits in which a test picture is one of train, under another name."""
    for seed, (split, count) in enumerate((("train", 9), ("val", 3), ("test", 3))):
        fill(tmp_path / split, count=count, seed=1000 * seed)
    shutil.copy(tmp_path / "train" / "ill" / "3.png", tmp_path / "test" / "ill" / "copy.png")
    return tmp_path


@pytest.mark.parametrize("loader", ["device", "grain"])
def test_a_picture_in_two_splits_is_refused(copied, loader):
    words = r"two splits: 1 \(train/ill/3.png = test/ill/copy.png\).*duplicates=keep"
    with pytest.raises(ValueError, match=words):
        load(copied, loader=loader)
    with pytest.raises(ValueError, match=words):
        load(copied, "own:cpu", loader=loader)
    with pytest.warns(UserWarning, match=r"two splits: 1 \(train/ill/3.png"):
        splits = load(copied, loader=loader, duplicates="keep")
    assert len(splits.test) == 7


def test_packing_refuses_copies_before_it_writes(copied, tmp_path_factory):
    pytest.importorskip("array_record")
    packed = tmp_path_factory.mktemp("packed")
    with pytest.raises(ValueError, match="two splits: 1"):
        pack(listing(copied), packed, Settings())
    assert not list(packed.glob("*.arrayrecord"))
    with pytest.warns(UserWarning, match="two splits: 1"):
        pack(listing(copied), packed, Settings(), refuse=False)
    with pytest.raises(ValueError, match="two splits: 1"):
        load(packed, "arrayrecord")


def test_one_picture_under_two_labels_is_named(tmp_path):
    fill(tmp_path, count=20)
    name = load(tmp_path).train.names[0]
    other = next(n for n in load(tmp_path).train.names if n.startswith("well"))
    shutil.copy(tmp_path / name, tmp_path / other)
    with pytest.warns(UserWarning, match=rf"under two labels: 1 \({name} in train = {other} in"):
        load(tmp_path)


def test_rare_classes_are_named(tmp_path):
    fill(tmp_path, count=20)
    save(tmp_path / "rare" / "0.png", seed=999)
    words = r"'rare' has one training image; no image of 'rare' in val; no image of 'rare' in test"
    with pytest.warns(UserWarning, match=words):
        load(tmp_path)


def test_classes_of_nearly_every_image_are_one_short_line(tmp_path):
    """Grades that are measurements: counted, and a few of them named."""
    lines = ["path,label"]
    for i in range(60):
        save(tmp_path / f"{i}.png", seed=i)
        lines.append(f"{i}.png,{i % 29}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.warns(UserWarning) as said:
        load(tmp_path / "t.csv", name="manifest")
    found = [str(one.message) for one in said]
    assert any("29 values for 60 rows: is it the class, or a measurement" in one for one in found)
    (line,) = [one for one in found if "of 29 classes have one training image ('" in one]
    assert len(line) < 300 + len(str(tmp_path)) and " more in test" in line


def test_a_class_of_one_image_that_is_likely_misspelt_is_refused(tmp_path):
    fill(tmp_path, count=20)
    (tmp_path / "ill").rename(tmp_path / "opacity")
    save(tmp_path / "opactiy" / "0.png", seed=999)
    with pytest.raises(ValueError, match=r"'opactiy' is the label of one .*; is 'opacity' meant"):
        load(tmp_path)


def test_a_class_of_one_image_may_differ_from_another_in_its_number(tmp_path):
    fill(tmp_path, count=20)
    (tmp_path / "ill").rename(tmp_path / "grade 4")
    save(tmp_path / "grade 5" / "0.png", seed=999)
    with pytest.warns(UserWarning, match="'grade 5' has one training image"):
        load(tmp_path)


def test_an_unknown_choice_is_refused():
    config = data.default_config("folder")
    config.duplicates = "drop"
    with pytest.raises(
        ValueError, match="unknown data.duplicates 'drop': choose one of refuse, keep"
    ):
        data.check(config)


@pytest.mark.parametrize("mark", ["\u200b", "\u00ad", "\ufeff", "\u200f", "\u00a0"])
def test_names_that_only_marks_unseen_part_are_said(mark):
    with pytest.warns(UserWarning, match="'a' and 'a.*' are taken as two classes"):
        oddities.warn_of_lookalikes(["a", f"a{mark}", "b"], "classes", "x")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        oddities.warn_of_lookalikes([f"a{mark}", "b", "a b", "ab"], "classes", "x")


@pytest.mark.parametrize("names", [("P1", "P01"), ("a-2-b", "a-002-b"), ("p 10", "P 010")])
def test_names_that_only_leading_zeros_part_are_said(names):
    with pytest.warns(
        UserWarning, match=f"'{names[0]}' and '{names[1]}' are taken as two patients"
    ):
        oddities.warn_of_lookalikes(names, "patients", "x")


def test_zeros_within_and_behind_numbers_part_names():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        names = ["P1", "P10", "P100", "P101", "P11", "v1.05", "v1.5", "1.05", "1.5", "P0", "P"]
        oddities.warn_of_lookalikes(names, "patients", "x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tumor", "tumour"), ("Brain Tumour 2", "brain tumor 2"), ("adenoma", "adenomas"),
        ("opacity", "opactiy"), ("anemia", "anaemia"), ("malignant", "malignent"),
        ("melanoma_1", "melenoma_1"),
    ],
)  # fmt: skip
def test_classes_whose_words_differ_in_one_letter_are_said(one, other):
    names = ["healthy", one, other]
    with pytest.warns(UserWarning, match=f"'{one}' and '{other}' are taken as two classes: write"):
        oddities.warn_of_lookalikes(names, "classes", "x", words=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        oddities.warn_of_lookalikes(names, "patients", "x")


def test_words_that_are_two_classes_are_not_said():
    """All class names of the published sets are, too."""
    names = [
        "normal", "abnormal", "typical", "atypical", "symptomatic", "asymptomatic", "grade1", "grade2",
        "type a", "type b", "stage ii", "stage iii", "stage iv", "stage v", "group A", "group B",
        "HER2+", "HER2-", "kidney-left", "kidney-right", "T1 tumour", "T2 tumour", "left", "lefts",
        "class_a", "class_b", "positive", "negative", "male", "female", "hypertension", "hypotension",
        "microadenoma", "macroadenoma", "adduction", "abduction", "infrarenal", "intrarenal",
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        oddities.warn_of_lookalikes(names, "classes", "x", words=True)
        for known in TABLE.values():
            oddities.warn_of_lookalikes(known.classes, "classes", "x", words=True)


def test_classes_of_two_spellings_in_a_table(tmp_path):
    fill(tmp_path, classes=("healthy", "tumor", "tumour"))
    with pytest.warns(UserWarning, match="'tumor' and 'tumour' are taken as two classes"):
        load(tmp_path)
