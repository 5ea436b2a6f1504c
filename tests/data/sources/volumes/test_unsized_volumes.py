"""Volumes that do not say how large their voxels are: taken for cubes, and never without a word."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.base import own_info
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.listings.folders import list_folder
from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.sources.packs.packed import Settings
from msflow_jax.data.sources.packs.packing import pack
from msflow_jax.data.sources.shaping import Grids, Shaping
from tests.data.sources.cohort import cohorts
from tests.data.sources.listings.test_files import load
from tests.data.sources.nifti.nifti_images import rewritten

SIDE = 8
SPACING = (5.0, 1.0, 1.0)
NO_SIZE = {"pixdim": [1, 0, 0, 0, 1, 1, 1, 1], "qform_code": 0, "sform_code": 0}
LATER = "does not say how large its voxels are: taken for "
TRAINING = "do not say how large their voxels are"


def nifti(path, seed=0, known=True, space=(4, 20, 20), spacing=SPACING):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, space).astype(np.uint8)
    write_nifti(path, values, spacing=spacing)
    return path if known else rewritten(path, **NO_SIZE)


def tiff(path, seed=0, known=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (4, 20, 20)).astype(np.uint8)
    first, *others = (Image.fromarray(page) for page in values)
    said = {
        "description": "ImageJ=1.53\nimages=4\nslices=4\nunit=mm\nspacing=5.0\n",
        "x_resolution": 1.0, "y_resolution": 1.0,
    }  # fmt: skip
    first.save(path, save_all=True, append_images=others, **(said if known else {}))
    return path


def info(spacing=(2.5,) * 3, fit="pad", **volumes):
    shape = (SIDE, SIDE, SIDE, 1)
    made = own_info(("a", "b"), shape, name="folder", licence="", md5="", source="", fit=fit)
    return dataclasses.replace(made, spacing=spacing, volumes=volumes)


def lines(read, words):
    """The warnings that say so."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = read()
    return [str(w.message) for w in caught if words in str(w.message)], found


def later(path, facts):
    return lines(lambda: data.read_images(path, facts, resize=True), LATER)[0]


@pytest.mark.parametrize(("write", "end"), [(nifti, "nii"), (tiff, "tif")])
def test_later_it_is_named(tmp_path, write, end):
    file = write(tmp_path / f"a.{end}", known=False)
    for facts, words in (
        (info(scaled=True), "taken for cubes; if they are not, what it shows is squashed"),
        (info((), scaled=True), "taken for cubes; unless those trained on do not say it either"),
        (info(), "taken for cubes; if they are not"),  # it is resized as a scaled one
    ):
        (said,) = later(file, facts)
        assert said.startswith(f"{file} does not say") and words in said
        assert said.endswith("write the size into its file")
    for facts in (info(scaled=True, fit="stretch"), info(())):
        assert not later(file, facts)
    assert not later(write(tmp_path / f"b.{end}", known=True), info(scaled=True))


def test_later_also_where_nothing_is_resized(tmp_path):
    file = nifti(tmp_path / "a.nii", known=False, space=(SIDE,) * 3)
    assert "taken for cubes" in later(file, info(scaled=True))[0]
    assert "taken for voxels of 2.5 x 2.5 x 2.5 mm, as those" in later(file, info())[0]
    assert not later(file, info(()))


def test_later_many_are_one_line(tmp_path):
    for i in range(4):
        nifti(tmp_path / f"{i}.nii", i, known=i == 2)
    (said,) = later(tmp_path, info(scaled=True))
    assert "0.nii does not say" in said and "cubes (and 2 more alike);" in said


def test_later_an_archive_of_the_models_grid_is_what_it_reads(tmp_path):
    for side in (SIDE, 2 * SIDE):
        shape = (2, side, side, side)
        np.savez(tmp_path / f"{side}.npz", images=np.full(shape, 9, np.uint8))
    assert not later(tmp_path / f"{SIDE}.npz", info(scaled=True))
    (said,) = later(tmp_path / f"{2 * SIDE}.npz", info(scaled=True))
    assert "16.npz: images[0] does not say" in said


def fill(root, unknown, write=nifti, end="nii"):
    for i in range(10):
        write(root / "ab"[i % 2] / f"{i}.{end}", i, known=i not in unknown)
    return root


@pytest.mark.parametrize(("write", "end"), [(nifti, "nii"), (tiff, "tif")])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"side": SIDE}, "they are taken for cubes, so that what they show may be squashed"),
        ({"side": SIDE, "fit": "stretch"}, "they are taken as they are"),
        ({}, "they are taken as they are, so that what they show may have another size"),
    ],
)
def test_in_training_some_among_others_are_named(tmp_path, write, end, settings, words):
    fill(tmp_path, (3, 4, 5), write, end)
    (said,), splits = lines(lambda: load(tmp_path, dims=3, **settings), TRAINING)
    assert said.startswith(f"3 of 10 volumes {TRAINING}, and the others do: ") and words in said
    assert any(f"{'ab'[i % 2]}/{i}.{end} for one" in said for i in (3, 4, 5))
    assert splits.info.spacing == ()


@pytest.mark.parametrize("unknown", [(), range(10)], ids=["all say it", "none does"])
def test_in_training_all_alike_are_not(tmp_path, unknown):
    said, splits = lines(lambda: load(fill(tmp_path, unknown), dims=3, side=SIDE), TRAINING)
    assert not said and bool(splits.info.spacing) == (not unknown)


def test_slices_are_not(tmp_path):
    assert not lines(lambda: load(fill(tmp_path, (3,)), side=SIDE), TRAINING)[0]


def test_one_without_a_size_hides_no_two_sizes():
    grids = Grids(Shaping())
    for k, spacing in enumerate(((), (1.0, 1.0, 1.0), (2.0, 1.0, 1.0))):
        grids.look(Picture(np.zeros((2, 2, 2, 1)), spacing=spacing), f"v{k}")
    with pytest.warns(UserWarning) as caught:
        assert grids.common() == ()
    said = [str(w.message) for w in caught]
    assert said[0].startswith(f"1 of 3 volumes {TRAINING}") and "v0 for one" in said[0]
    assert said[1].startswith("v2 has voxels of 2 x 1 x 1 mm, v1 of 1 x 1 x 1 mm")


@pytest.mark.parametrize("settings", [{"side": SIDE}, {"side": SIDE, "modality": "t2w"}, {}])
def test_in_a_cohort_each_modality_is_looked_at(tmp_path, settings):
    rows = []
    for i in range(12):
        row = {"label": "ab"[i % 2], "subject": f"P{i}"}
        name = "t2w" if i >= 6 else "t1w"
        row[name] = nifti(tmp_path / f"{i}.nii", i, known=i not in (7, 9)).name
        rows.append(row)
    path = cohorts.table(tmp_path, rows)
    (said,), _ = lines(lambda: cohorts.load(path, **settings), TRAINING)
    assert said.startswith("2 of 6 volumes") and "7.nii for one" in said


def test_in_a_pack_the_shards_are_counted_together(tmp_path):
    config = data.default_config("folder")
    config.update({"root": str(fill(tmp_path / "all", (0, 1, 3))), "dims": 3, "side": SIDE})
    settings = Settings(side=SIDE, dims=3, shard_images=2)
    said, path = lines(lambda: pack(list_folder(config), tmp_path / "pack", settings), TRAINING)
    assert len(said) == 1 and said[0].startswith("3 of 10 volumes")
    assert "spacing" not in json.loads(path.read_text())


def test_what_a_call_of_before_left_is_not_counted_and_is_taken():
    grids = Grids(Shaping())
    grids.join([[[1.0, 1.0, 1.0], "a"], [[], "b", 4]])
    assert grids.seen() == [[[1.0, 1.0, 1.0], "a", 1], [[], "b", 4]]
