"""Mammograms and X-rays made for processing among those made for presentation."""

import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.sources.dicom.reading import read_header
from tests.data.sources.cohort import cohorts
from tests.data.sources.dicom.dicom_objects import make_object
from tests.data.sources.listings.test_files import load, write_csv

pytest.importorskip("pydicom")
RAW, SHOWN = "FOR PROCESSING", "FOR PRESENTATION"
LINE = (
    r"^3 of 12 pictures are FOR PROCESSING \(.*/b/1\.dcm for one\), the others FOR PRESENTATION "
    r"\(.*/a/0\.dcm\).*"
    "keep one kind$"
)


def fill(root, intents):
    """X-rays of twelve bits, of two classes, each of another patient."""
    for i, intent in enumerate(intents):
        values = np.random.default_rng(i).integers(0, 4096, (8, 8), np.uint16)
        make_object(
            root / "ab"[i % 2] / f"{i}.dcm", values, modality="MG", patient=f"P{i}", series=i,
            PresentationIntentType=intent,
        )  # fmt: skip
    return root


def lines(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if RAW in str(one.message)]


def by_folder(root):
    return load(root)


def by_table(root):
    names = [f"{'ab'[i % 2]}/{i}.dcm" for i in range(12)]
    table = write_csv(root / "t.csv", "path,label", *(f"{name},{name[0]}" for name in names))
    return load(table, "manifest")


def by_cohort(root):
    rows = [{"mg": f"{'ab'[i % 2]}/{i}.dcm", "label": "ab"[i % 2]} for i in range(12)]
    return cohorts.load(cohorts.table(root, rows), dims=2)


READ = (by_folder, by_table, by_cohort)


@pytest.mark.parametrize("read", READ)
def test_both_kinds_are_named(tmp_path, read):
    fill(tmp_path, [RAW if i in (1, 3, 5) else SHOWN for i in range(12)])
    with pytest.warns(UserWarning, match=LINE):
        read(tmp_path)
    assert len(lines(lambda: read(tmp_path))) == 1


@pytest.mark.parametrize("read", READ)
def test_one_kind_says_nothing(tmp_path, read):
    fill(tmp_path, [(SHOWN, None, "", "SECRET NAME")[i % 4] for i in range(12)])
    assert lines(lambda: read(tmp_path)) == []
    assert {read_header(tmp_path / "b" / f"{i}.dcm").made.intent for i in (1, 3, 5)} == {""}


def test_what_is_classified(tmp_path):
    info = load(fill(tmp_path / "train", [SHOWN] * 12)).info
    fill(tmp_path / "new", [SHOWN, RAW])
    found = lines(lambda: data.read_images(tmp_path / "new", info))
    assert len(found) == 2  # beside each other, and beside those trained on
    for line in found:
        assert line.startswith("1 of 2 pictures are FOR PROCESSING") and "b/1.dcm" in line


@pytest.mark.parametrize("load_all", READ)
def test_a_model_knows_what_its_training_images_were_made_for(tmp_path, load_all):
    info = load_all(fill(tmp_path / "train", [SHOWN] * 12)).info
    for made_for, count in ((SHOWN, 0), ("", 0), (RAW, 1)):
        folder = fill(tmp_path / f"new{made_for}", [made_for] * 3)
        found = lines(lambda folder=folder: data.read_images(folder, info))
        assert len(found) == count
        assert all("3 of 3 pictures are FOR PROCESSING, those trained on FOR P" in x for x in found)
