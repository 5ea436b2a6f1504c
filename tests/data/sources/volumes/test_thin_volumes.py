"""Volumes of one slice: read in their own plane, and refused where they would be cut across."""

import dataclasses

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.slices import AXES, Slices
from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.sources.restoring import read_segmentable
from tests.data.sources.cohort import cohorts
from tests.data.sources.listings.test_files import load, write_csv
from tests.data.sources.test_sliced import info

SIDE, COUNT = 12, 10
SAID = (
    r"{} is one {} slice, which data\.slices\.axis={} would cut into 12 lines of one voxel: "
    r"data\.slices\.axis={} in training reads such slices"
)


def thin(path, plane, seed=0):
    """One slice of a plane, as thick as five of its pixels."""
    space, spacing = [SIDE] * 3, [1.0] * 3
    space[AXES[plane]], spacing[AXES[plane]] = 1, 5.0
    values = np.random.default_rng(seed).integers(1, 256, space).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, values, spacing=spacing)
    return values


def fill(root, plane, folder="{}"):
    names = [f"{folder.format('ab'[i % 2])}/{i}.nii.gz" for i in range(COUNT)]
    return {name: thin(root / name, plane, i) for i, name in enumerate(names)}


def by_folder(root, plane, **settings):
    fill(root, plane)
    return load(root, **settings)


def by_manifest(root, plane, **settings):
    lines = [f"{name},{name[0]}" for name in fill(root, plane)]
    return load(write_csv(root / "t.csv", "path,label", *lines), "manifest", **settings)


def by_cohort(root, plane, **settings):
    rows = [{"mr": name, "label": name[0]} for name in fill(root, plane)]
    return cohorts.load(cohorts.table(root, rows), dims=2, **settings)


def by_masks(root, plane, **settings):
    fill(root, plane, "images")
    for i in range(COUNT):
        path = root / "masks" / f"{i}.nii.gz"
        values = thin(path, plane, i) % 2
        sizes = [5.0 if n == 1 else 1.0 for n in values.shape]
        write_nifti(path, values, spacing=sizes)
    (root / "classes.txt").write_text("0 background\n1 organ\n", encoding="utf-8")
    return load(root, "masks", **settings)


@pytest.mark.parametrize("spacing", [0.0, 1.0], ids=["as stored", "of 1 mm"])
@pytest.mark.parametrize("read", [by_folder, by_manifest, by_cohort, by_masks])
@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_every_source_refuses_one_that_lies_across(tmp_path, read, plane, spacing):
    said = SAID.format(r"\d\.nii\.gz", plane, "axial", plane)
    with pytest.raises(ValueError, match=said):
        read(tmp_path, plane, spacing=spacing)


@pytest.mark.parametrize("read", [by_folder, by_manifest, by_cohort, by_masks])
@pytest.mark.parametrize("plane", AXES)
def test_the_setting_that_is_named_reads_it(tmp_path, read, plane):
    splits = read(tmp_path, plane, slices={"axis": plane})
    parts = [splits[name] for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == COUNT
    for part in parts:
        for name, image in zip(part.names, part.images, strict=True):
            seed = int(name.removesuffix("/000").removesuffix(".nii.gz").rpartition("/")[2])
            whole = thin(tmp_path / "again.nii.gz", plane, seed)[..., None]
            np.testing.assert_array_equal(image, Slices(plane).take(whole, 0))


READERS = {
    "classify": lambda path, facts: data.read_images(path, facts),
    "translate": lambda path, facts: data.read_volumes(path, facts, Slices()),
    "segment": lambda path, facts: read_segmentable(path, facts, Slices()),
}


@pytest.mark.parametrize("read", READERS.values(), ids=list(READERS))
def test_later_it_is_refused_by_name(tmp_path, read):
    for i in range(2):
        thin(tmp_path / f"{i}.nii.gz", "axial", i)
    assert len(read(tmp_path, info(SIDE))) == 2
    thin(tmp_path / "b.nii.gz", "sagittal")
    with pytest.raises(ValueError, match=SAID.format("b.nii.gz", "sagittal", "axial", "sagittal")):
        read(tmp_path, info(SIDE))


def test_later_the_others_are_read(tmp_path):
    thin(tmp_path / "a.nii.gz", "axial")
    thin(tmp_path / "b.nii.gz", "coronal")
    found = data.read_sound_images(tmp_path, info(SIDE))
    assert found.names == ("a.nii.gz/000",) and list(found.broken) == ["b.nii.gz"]


def test_whole_volumes_and_lines_are_no_matter_of_planes(tmp_path):
    thin(tmp_path / "a.nii.gz", "sagittal")
    facts = dataclasses.replace(info(SIDE), space=(SIDE, SIDE, SIDE), volumes={"scaled": True})
    facts = dataclasses.replace(facts, modalities={})
    assert data.read_images(tmp_path, facts, resize=True)[0].shape == (1, SIDE, SIDE, SIDE, 1)
    for space in ((1, 1, 9), (9, 1, 1), (1, 1, 1), (4, 5, 6), (1, 5, 6)):
        Slices().check_across(space, "x")
