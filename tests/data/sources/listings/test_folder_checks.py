"""Folders that seem to say what is not read: patients below classes, splits below classes."""

import re
import warnings

import numpy as np
import pytest

from msflow_jax.data.sources.listings.folder_checks import warn_of_split_classes
from msflow_jax.data.sources.nifti.writing import write_nifti
from tests.data.sources.dicom.dicom_objects import make_object
from tests.data.sources.listings.test_files import load, save, write_csv

STRANGERS = "whom images show is not known"


def fill(root, names):
    """Pictures that all differ."""
    for i, name in enumerate(names):
        save(root / name, seed=i)
    return root


def of_patients(images=2, above=""):
    return [
        f"{above}{k}/p{k}{i:02d}/{n}.png" for k in ("ill", "well") for i in range(10)
        for n in range(images)
    ]  # fmt: skip


def lines(call):
    """Warnings on folders that come of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    found = [str(one.message) for one in caught]
    return [line for line in found if STRANGERS in line or "called as a split" in line]


@pytest.mark.parametrize(("header", "told"), [("path,label,patient", True), ("name,age", False)])
def test_a_table_of_images_beside_class_folders_is_named(tmp_path, header, told):
    fill(tmp_path, [f"{k}/{i}.png" for k in ("ill", "well") for i in range(10)])
    (tmp_path / "labels.csv").write_text(f"{header}\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(tmp_path)
    said = [str(w.message) for w in caught if "class folders are read" in str(w.message)]
    assert len(said) == told and all("labels.csv" in line for line in said)


def listed(root, names, *, label=lambda name: name.split("/")[0], columns="path,label", more=""):
    return write_csv(root / "t.csv", columns, *(f"{name},{label(name)}{more}" for name in names))


def test_folders_of_patients_are_told(tmp_path):
    fill(tmp_path, names := of_patients())
    words = (
        r"20 folders hold several images each, such as ill/pill00 \(2\): if these .* two splits; say "
        r"whom: list the images in a CSV \(--config\.data\.name=manifest\) with a column patient$"
    )
    with pytest.warns(UserWarning, match=f"{STRANGERS}, and {words}"):
        load(tmp_path)
    table = listed(tmp_path, names)
    with pytest.warns(UserWarning, match=r"20 folders .*ill/pill00 \(2\).*; add a column patient$"):
        load(table, "manifest")


def test_folders_of_studies_count_where_patients_have_several(tmp_path):
    names = [name.replace("/1.png", "/study/1.png") for name in of_patients()]
    (line,) = lines(lambda: load(fill(tmp_path, names)))
    assert "20 folders" in line and "ill/pill00 (2)" in line


def test_one_patient_of_two_labels_in_a_table(tmp_path):
    """As where each image is labelled, not each patient."""
    names = [f"p{i:02d}/{n}.png" for i in range(12) for n in "ab"]
    fill(tmp_path, names)
    (line,) = lines(lambda: load(listed(tmp_path, names, label=lambda name: name[-5]), "manifest"))
    assert "12 folders" in line and "p00 (2)" in line


def test_given_splits_that_lack_val_are_cut_too(tmp_path):
    names = [*of_patients(above="train/"), *(f"test/{k}/x.png" for k in ("ill", "well"))]
    (line,) = lines(lambda: load(fill(tmp_path, names)))
    assert "train/ill/pill00 (2)" in line
    fill(tmp_path / "val", ["ill/y.png", "well/y.png"])
    assert lines(lambda: load(tmp_path, duplicates="keep")) == []


def test_usual_layouts_say_nothing(tmp_path):
    flat = [f"{k}/{i}.png" for k in ("ill", "well") for i in range(20)]
    deep = [f"{k}/images/{i}.png" for k in ("ill", "well") for i in range(20)]
    layouts = {
        "flat": flat, "all of a class in one folder": deep,
        "one image for each patient": of_patients(1),
    }  # fmt: skip
    for what, names in layouts.items():
        assert lines(lambda: load(fill(tmp_path / what, names))) == []  # noqa: B023
        table = listed(tmp_path / what, names)
        assert lines(lambda: load(table, "manifest")) == []  # noqa: B023
    one = [f"images/{i}.png" for i in range(20)]
    table = listed(fill(tmp_path / "one", one), one, label=lambda name: int(name[7:-4]) % 2)
    assert lines(lambda: load(table, "manifest")) == []


def test_a_column_patient_or_headers_that_name_them_say_nothing(tmp_path):
    fill(tmp_path / "a", names := of_patients())
    rows = [f"{name},{name.split('/')[0]},{name.split('/')[1]}" for name in names]
    table = write_csv(tmp_path / "a" / "t.csv", "path,label,patient", *rows)
    assert lines(lambda: load(table, "manifest")) == []
    pytest.importorskip("pydicom")
    rng = np.random.default_rng(0)
    for i, name in enumerate(names):
        values = rng.integers(0, 256, (8, 8), np.uint8)
        path = tmp_path / "b" / name.replace("png", "dcm")
        make_object(path, values, modality="DX", patient=f"P{i // 2}", series=i, BitsStored=8)
    assert lines(lambda: load(tmp_path / "b")) == []


def test_volumes_in_folders_of_patients(tmp_path):
    """Each is one, however many slices it has."""
    for i, name in enumerate(of_patients()):
        path = tmp_path / name.replace("png", "nii")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(path, np.random.default_rng(i).integers(0, 256, (3, 6, 6)).astype(np.uint8))
    (line,) = lines(lambda: load(tmp_path))
    assert "20 folders" in line and "ill/pill00 (2)" in line


def test_splits_within_classes_are_refused(tmp_path):
    names = [
        f"{k}/{split}/{split}{k}{i}.png" for k in ("ill", "well") for split in ("Train", "test")
        for i in range(6)
    ]  # fmt: skip
    words = r"ill/Train lies in the folder of a class \(4 folders .*train/CLASS.*column split"
    with pytest.raises(ValueError, match=words):
        load(fill(tmp_path / "both", names))
    tests = [name for name in names if "/test/" in name]
    loose = [f"{k}/{i}.png" for k in ("ill", "well") for i in range(10)]
    with pytest.raises(ValueError, match=r"ill/test lies in the folder of a class \(2 folders"):
        load(fill(tmp_path / "two", loose + tests))
    one = [name for name in names if name.startswith("ill")]
    with pytest.raises(ValueError, match=r"ill/Train lies in the folder of a class \(2 folders"):
        load(fill(tmp_path / "one", loose + one))


def test_one_folder_called_as_a_split_is_told(tmp_path):
    names = [f"{k}/{i}.png" for k in ("ill", "well") for i in range(10)] + ["ill/test/a.png"]
    (line,) = lines(lambda: load(fill(tmp_path, names)))
    assert "ill/test is called as a split" in line and "column split" in line


@pytest.mark.parametrize(
    "called", [("Training Set", "Test Set"), ("train_set", "test_set"), ("train", "testset")]
)
def test_folders_called_as_sets_are_splits(tmp_path, called):
    """They were the two classes of a model that told training images from test images."""
    fill(
        tmp_path, [f"{s}/{k}/{s}{i}.png" for s in called for k in ("ill", "well") for i in range(8)]
    )
    splits = load(tmp_path)
    assert splits.info.classes == ("ill", "well") and len(splits.test) == 16
    assert {name.split("/")[0] for name in splits.test.names} == {called[1]}


@pytest.mark.parametrize(
    ("called", "told"),
    [(("1_train", "2_test"), True), (("train_set", "holdout"), True), (("test", "retest"), False),
     (("internal", "external"), False)],
)  # fmt: skip
def test_classes_called_as_splits_are_named(tmp_path, called, told):
    folders = [tmp_path / name for name in called]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_split_classes(folders, tmp_path)
    said = [str(one.message) for one in caught]
    assert len(said) == told and all("are called as splits and are taken for" in s for s in said)
    if told:
        fill(tmp_path, [f"{name}/{i}.png" for name in called for i in range(20)])
        with pytest.warns(
            UserWarning, match=f"folders {', '.join(sorted(called))} are called as splits"
        ):
            load(tmp_path)


@pytest.mark.parametrize(
    ("pictures", "drawn", "end"),
    [("images", "masks", ""), ("Images", "labels", "_seg"), ("img", "Segmentations", "_mask")],
)
@pytest.mark.parametrize("name", ["folder", "own:cpu"])
def test_images_and_their_masks_are_no_two_classes(tmp_path, pictures, drawn, end, name):
    """A classifier learned to tell pictures from masks."""
    files = [f"{pictures}/c{i}.png" for i in range(12)] + [
        f"{drawn}/c{i}{end}.png" for i in range(11)
    ]
    words = rf"{drawn}/c0{end}.png has the name of {pictures}/c0.png, .* 11 of 11 files .*own_masks"
    with pytest.raises(ValueError, match=words):
        load(fill(tmp_path / "a", files), name)
    given = [f"{split}/{file}" for split in ("train", "test") for file in files]
    with pytest.raises(ValueError, match="own_masks"):
        load(fill(tmp_path / "b", given), name)


@pytest.mark.parametrize(
    ("classes", "start"),
    [(("mask", "no mask"), ""), (("images", "masks"), "m"), (("scans", "photographs"), "")],
)
def test_classes_that_only_are_called_as_masks_are_read(tmp_path, classes, start):
    names = [f"{k}/{start * j}{i}.png" for j, k in enumerate(classes) for i in range(20)]
    assert len(load(fill(tmp_path, names)).info.classes) == 2


def series(kind="P{:02d}_{}", images=4, above=""):
    """Pictures of twelve persons, of whom file names alone tell."""
    return [
        f"{above}{'ab'[p % 2]}/{kind.format(p + 10, n)}.png" for p in range(12) for n in range(images)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        "P{:02d}_{}",
        "CNV-10160{}-{}",
        "person{}_virus_{}",
        "P{} ({})",
        "v{}_frame{:05d}",
        "p{}_{}_left",
    ],
)
def test_names_that_seem_to_say_whom_images_show_are_told(tmp_path, kind):
    fill(tmp_path, names := series(kind))
    first, second = (re.escape(name) for name in names[:2])
    words = (
        rf"12 names belong to several images each .*, such as {first} and {second}: if these are of"
    )
    with pytest.warns(UserWarning, match=f"{STRANGERS}, and {words}.* column patient$"):
        load(tmp_path)
    flat = [name.split("/")[1] for name in names]
    table = listed(
        fill(tmp_path / "flat", flat), flat, label=lambda n: "ab"[flat.index(n) // 4 % 2]
    )
    with pytest.warns(UserWarning, match=r"12 names belong .*; add a column patient$"):
        load(table, "manifest")


def test_names_that_given_splits_part_are_told(tmp_path):
    parts = {"train": "01", "val": "2", "test": "3"}
    names = [f"{s}/{n}" for n in series() for s, of in parts.items() if n[-5] in of]
    (line,) = lines(lambda: load(fill(tmp_path / "a", names)))
    assert "12 names of images are in two of the given splits" in line
    assert "test/a/P10_3.png and train/a/P10_0.png" in line and "was seen in training" in line
    kept = [f"{s}/{n}" for i, s in enumerate(parts) for n in series() if int(n[3:5]) % 6 // 2 == i]
    assert lines(lambda: load(fill(tmp_path / "b", kept))) == []


@pytest.mark.parametrize(
    "kinds",
    [
        ("img_{:03d}",), ("{:03d}",), ("benign ({})", "malignant ({})"), ("a1_{}", "b1_{}"),
        ("site1_{}", "site2_{}"), ("2020-01-02_10{:02d}33",), ("MSH_{}", "UCL_{}", "X_{}"),
        ("0{:x}c1434d8d7",), ("550e8400-e29b-41d4-a716-44{}5440000",), ("y{}", "Y1 {}"),
    ],
)  # fmt: skip
def test_counters_and_numbers_of_their_own_say_nothing(tmp_path, kinds):
    names = [
        f"{k}/{kinds[i % len(kinds)].format(10 + i)}.png"
        for i in range(20)
        for k in ("ill", "well")
    ]
    assert lines(lambda: load(fill(tmp_path, names))) == []
    called = [f"{k}/grade{j}_{i}.png" for j, k in enumerate("abcdef") for i in range(10)]
    assert lines(lambda: load(fill(tmp_path / "classes", called))) == []
