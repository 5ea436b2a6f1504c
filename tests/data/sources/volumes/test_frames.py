"""Volumes of one NIfTI file of four axes show one patient, unless a table says otherwise."""

import nibabel
import numpy as np
import pytest

from msflow_jax.data import read_labelled
from tests.data.sources.cohort import cohorts
from tests.data.sources.listings.test_files import load, write_csv

NAMES = ("train", "val", "test")
SPACE = (3, 6, 6)
pytestmark = pytest.mark.filterwarnings("ignore:.*(volumes? read as|has one training image)")


def four(folder, count=10, frames=3):
    """Files of several volumes each, and a line of a table for every volume."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(count):
        values = np.random.default_rng(i).integers(0, 256, (*SPACE[::-1], frames), np.uint8)
        nibabel.Nifti1Image(values, np.diag([-1.0, -1, 1, 1])).to_filename(folder / f"{i}.nii")
        lines += [f"{i}.nii#{k},{'ab'[i % 2]}" for k in range(frames)]
    return lines


def subjects(splits):
    """Of each file the subjects that its volumes are, and the splits that they are in."""
    found = {}
    for split in NAMES:
        part = splits[split]
        for name, group in zip(part.names, part.groups, strict=True):
            found.setdefault(name.partition("#")[0], set()).add((group, split))
    return found


@pytest.mark.parametrize("dims", [2, 3])
def test_volumes_of_one_file_are_one_subject(tmp_path, dims):
    table = write_csv(tmp_path / "t.csv", "path,label", *four(tmp_path))
    with pytest.warns(
        UserWarning, match=r"volumes of one file.*0\.nii for one of 10 files.*patient"
    ):
        found = subjects(load(table, "manifest", dims=dims))
    assert len(found) == 10 and all(len(one) == 1 for one in found.values())
    assert len({group for one in found.values() for group, _ in one}) == 10


def test_one_volume_of_each_file_is_cut_as_ever(tmp_path):
    """By its name, which is that of the volume."""
    four(tmp_path)
    table = write_csv(
        tmp_path / "t.csv", "path,label", *(f"{i}.nii#1,{'ab'[i % 2]}" for i in range(10))
    )
    found = subjects(load(table, "manifest", dims=3))
    assert {group for one in found.values() for group, _ in one} == {
        f"{i}.nii#1" for i in range(10)
    }


def test_a_column_patient_says_otherwise(tmp_path):
    lines = [f"{line},P{i}" for i, line in enumerate(four(tmp_path))]
    table = write_csv(tmp_path / "t.csv", "path,label,patient", *lines)
    found = subjects(load(table, "manifest", dims=3))
    assert all(len(one) == 3 for one in found.values())


def test_given_splits_do_not_part_a_file(tmp_path):
    lines = [f"{line},{NAMES[i % 3]}" for i, line in enumerate(four(tmp_path))]
    table = write_csv(tmp_path / "t.csv", "path,label,split", *lines)
    words = r"0\.nii#0 in train and 0\.nii#1 in val are of one file.*column patient"
    with pytest.raises(ValueError, match=words), pytest.warns(UserWarning, match="one patient"):
        load(table, "manifest", dims=3)


def test_rows_of_a_cohort_without_subjects(tmp_path):
    rows = [{"t1w": name, "label": label} for name, label in (x.split(",") for x in four(tmp_path))]
    with pytest.warns(UserWarning, match="volumes of one file are taken to show one patient"):
        found = subjects(cohorts.load(cohorts.table(tmp_path, rows)))
    assert len(found) == 10 and all(len(one) == 1 for one in found.values())


def test_images_from_elsewhere_are_counted_by_file(tmp_path):
    lines = four(tmp_path)
    info = load(write_csv(tmp_path / "t.csv", "path,label", *lines), "manifest", dims=3).info
    groups = read_labelled(tmp_path / "t.csv", info).groups
    assert len(groups) == 30 and len(set(groups)) == 10
