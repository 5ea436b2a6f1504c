"""Classes that the making of files tells apart are named, and such that are made alike are not."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.listings.shortcuts import Shortcuts
from tests.data.sources.cohort.cohorts import cohort, table, volume
from tests.data.sources.cohort.cohorts import load as load_cohort
from tests.data.sources.cohort.cohorts import save as save_volume
from tests.data.sources.dicom.dicom_objects import make_object

COUNT = 12


def fill(root, make, classes=("ill", "well"), count=COUNT):
    """``make(label, i)`` gives the file's ending and its pixels."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(classes):
        for i in range(count):
            suffix, shape = make(k, i)
            path = root / name / f"{i}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)
    return root


def said(root, name="folder", **settings):
    """The lines on shortcuts that reading gives."""
    config = data.default_config(name)
    config.update({"root": str(root), "side": 16, "duplicates": "keep", **settings})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.load(config)
    return [str(one.message) for one in caught if "can be told apart by" in str(one.message)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda k, i: (".png", (20 + 40 * k, 20 + 40 * k)),
         "size (ill 20 x 20: ill/0.png; well 60 x 60: well/0.png), with no value"),
        (lambda k, i: (".png", (20 + i, (20 + i) * (1 + k))), "by proportions (ill 1.00: ill/0.png"),
        (lambda k, i: (".png", (20 + 20 * k, 20 if k else 20 + i % 9)), "size (ill 20 x 20"),
        (lambda k, i: (".png" if k else ".jpg", (20, 20)), "file format (ill .jpg: ill/0.jpg; well .p"),
        (lambda k, i: (".png", (20, 20, 3) if k else (20, 20)), "channels (ill 1: ill/0.png; well 3"),
    ],
)  # fmt: skip
def test_what_tells_classes_apart_is_named(tmp_path, make, words):
    (line,) = said(fill(tmp_path, make), channels=1)
    assert words in line and "in place of the disease" in line


def test_one_class_of_three_from_elsewhere_is_named(tmp_path):
    root = fill(tmp_path, lambda k, i: (".png", (20 + 4 * (k > 1), 20)), ("a", "b", "c"))
    assert all("size (c 24 x 20: c/0.png; b 20 x 20: b/0.png)" in line for line in said(root))
    assert len(said(root)) == len(said(root, loader="grain")) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda k, i: (".png", (20, 20)),
        lambda k, i: (".jpeg" if k else ".jpg", (20, 20)),
        lambda k, i: (".png" if k or not i else ".jpg", (20, 20)),
        # Sizes of their own, of which no two are equal.
        lambda k, i: (".png", (20 + i, 30 + 2 * i + k)),
        lambda k, i: (".png", (20 + 20 * k * (i > 0), 20)),
    ],
)
def test_classes_made_alike_are_not_named(tmp_path, make):
    assert said(fill(tmp_path, make)) == []


def test_a_few_images_say_nothing(tmp_path):
    assert said(fill(tmp_path, lambda k, i: (".png", (20 + 40 * k, 20)), count=6)) == []


def test_images_of_one_patient_count_once(tmp_path):
    fill(tmp_path, lambda k, i: (".png", (20 + 40 * k, 20)))
    for each, told in ((1, True), (4, False)):
        lines = [
            f"{name}/{i}.png,{name},{name}{i // each}"
            for name in ("ill", "well")
            for i in range(COUNT)
        ]
        path = tmp_path / "t.csv"
        path.write_text("\n".join(["path,label,patient", *lines]))
        assert len(said(path, "manifest")) == told


def test_negatives_of_one_class_are_named(tmp_path):
    pytest.importorskip("pydicom")
    rng = np.random.default_rng(0)
    for i in range(2 * COUNT):
        kind = ("MONOCHROME1", "MONOCHROME2")[i % 2]
        path = tmp_path / "ab"[i % 2] / f"{i}.dcm"
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        make_object(path, pixels, modality="DX", patient=f"P{i}", series=i, BitsStored=8,
                    PhotometricInterpretation=kind)  # fmt: skip
    (line,) = said(tmp_path)
    assert "apart by PhotometricInterpretation (a MONOCHROME1: a/0.dcm; b MONOCHROME2: b/1" in line


def test_modalities_are_named_where_all_files_say_one():
    found = Shortcuts()
    for i in range(20):
        picture = Picture(np.zeros((8, 8, 1)), modality=("CT", "MR")[i % 2])
        found.look(picture, Path(f"{i}"), label="ab"[i % 2], name=f"{i}", whom=f"{i}")
    with pytest.warns(UserWarning, match=r"x: .* apart by modality \(a CT: 0; b MR: 1\), with no"):
        found.warn("x")


def test_volumes_of_a_cohort(tmp_path):
    rows = cohort(tmp_path, 24, subject=None, ct=None, xray=None)
    for i, row in enumerate(rows):
        row["t1w"] = save_volume(tmp_path / f"s{i}.nii.gz", volume(i, (5, 8, 8 + i % 2)))
    with pytest.warns(UserWarning, match=r"t1w: .* by size \(grade0 5 x 8 x 8: .*grade1 5 x 8 x 9"):
        load_cohort(table(tmp_path, rows), side=8)
