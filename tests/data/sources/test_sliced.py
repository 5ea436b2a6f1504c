"""Volumes for a model of slices: cut along its axis, and put back where they lay."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from msflow_jax import data
from msflow_jax.data.base import own_info
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.slices import AXES, Slices
from msflow_jax.data.sources.nifti.reading import read_nifti
from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.sources.volumes.orientation import centred_affine
from tests.data.sources.dicom.dicom_objects import make_series

SIDE = 12


def info(side=SIDE, fit="pad", **volumes):
    shape = (side, side, 1)
    made = own_info(("a", "b"), shape, name="folder", licence="", md5="", source="")
    return replace(made, fit=fit, volumes={"slices": {"axis": "axial"}, **volumes})


def smooth(space, seed=0):
    """A volume without sharp edges: what is resized and resized back hardly changes."""
    grid = np.meshgrid(*(np.linspace(0, 1, n) for n in space), indexing="ij")
    phase = np.random.default_rng(seed).uniform(0, 1, 3)
    waves = sum(np.cos(2 * (x + p)) for x, p in zip(grid, phase, strict=True))
    return np.rint(127.5 + 40 * waves).astype(np.uint8)


def turned(space, spacing):
    """An affine that lies about a corner, ten degrees off."""
    turn = np.eye(4)
    c, s = np.cos(0.17), np.sin(0.17)
    turn[:2, :2] = [[c, -s], [s, c]]
    affine = turn @ centred_affine(space, spacing)
    affine[:3, 3] += (5, -20, 33)
    return affine.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("axis", AXES)
def test_slices_of_the_models_size_come_back_value_by_value(tmp_path, axis):
    space = [SIDE] * 3
    space[AXES[axis]] = 5
    values = smooth(space)
    values[..., 3] += np.arange(values.shape[1], dtype=np.uint8)  # nothing is symmetrical
    affine = turned(space, (2.0, 2.0, 2.0))
    write_nifti(tmp_path / "a.nii.gz", values, affine=affine)
    (one,) = data.read_volumes(tmp_path / "a.nii.gz", info(), Slices(axis))
    assert one.slices.shape == (5, SIDE, SIDE, 1) and one.name == "a.nii.gz"
    joined = one.join(one.slices)
    np.testing.assert_array_equal(joined.values[..., 0], values)
    np.testing.assert_allclose(joined.affine, affine, atol=1e-5)
    with pytest.raises(ValueError, match=r"a.nii.gz: 4 images of 5 slices"):
        one.join(one.slices[:4])


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize(
    ("space", "spacing"), [((4, 30, 24), (3.0, 1.0, 1.0)), ((4, 18, 24), (3.0, 2.0, 1.0))]
)
def test_slices_of_another_size_come_back_to_their_place(tmp_path, fit, space, spacing):
    values, affine = smooth(space), turned(space, spacing)
    write_nifti(tmp_path / "a.nii", values, affine=affine)
    with pytest.raises(ValueError, match="--resize"):
        data.read_volumes(tmp_path, info(fit=fit), Slices())
    (one,) = data.read_volumes(tmp_path, info(fit=fit), Slices(), resize=True)
    joined = one.join(one.slices.astype(np.float32))
    assert joined.space == tuple(space)
    np.testing.assert_allclose(joined.affine, affine, atol=1e-4)
    lost = np.zeros(space, bool) if joined.missing is None else joined.missing
    assert lost.any() == (fit == "crop") and (joined.values[lost] == 0).all()
    inside = ~lost
    inside[:, [0, -1]] = inside[:, :, [0, -1]] = False  # edges are averaged with what is beyond
    away = np.abs(joined.values[..., 0] - values)[inside]
    assert away.mean() < 3 and away.max() < 12


def test_voxels_of_the_size_trained_on_come_back_to_those_of_the_file(tmp_path):
    space, spacing = (5, 10, 10), (4.0, 2.4, 2.4)
    values, affine = smooth(space), turned(space, spacing)
    write_nifti(tmp_path / "a.nii", values, affine=affine)
    (one,) = data.read_volumes(tmp_path, info(spacing=2.0), Slices(), resize=True)
    assert one.slices.shape == (10, SIDE, SIDE, 1)  # 20 mm by 2, and 24 mm
    joined = one.join(one.slices.astype(np.float32))
    assert joined.space == space
    away = np.abs(joined.values[..., 0] - values)[:, 1:-1, 1:-1]
    assert away.mean() < 3


def test_a_dicom_series_is_a_volume_too(tmp_path):
    pytest.importorskip("pydicom")
    values = (smooth((4, SIDE, SIDE)).astype(np.int16) - 100) * 4
    make_series(tmp_path / "s", values + 1024, spacing=(3.0, 1.0, 1.0), origin=(7, -3, 20))
    map_ = Intensity("window", -1024.0, 1016.0, "HU", "CT")
    of_ct = replace(info(), intensities={"image": map_})
    (one,) = data.read_volumes(tmp_path / "s", of_ct, Slices("axial"))
    assert one.slices.shape == (4, SIDE, SIDE, 1)
    joined = one.join(map_.to_values(one.slices))
    assert np.abs(joined.values[..., 0] - values).max() <= 4.1  # half a grey level of 8 HU
    np.testing.assert_allclose(np.abs(joined.affine[:3, :3]).max(axis=0), (3, 1, 1))


def test_unknown_places_pictures_and_slices_that_were_never_trained_on(tmp_path):
    values = smooth((3, SIDE, SIDE))
    Image.fromarray(values[0]).save(tmp_path / "a.png")
    assert data.read_volumes(tmp_path, info(), Slices()) == ()
    assert data.read_volumes(tmp_path / "a.png", info(), Slices()) == ()
    assert data.read_volumes(tmp_path / "nowhere", info(), Slices()) == ()
    pages = [Image.fromarray(one) for one in values]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(UserWarning, match="outside of 0.5 to 1 of the axis were never trained"):
        (one,) = data.read_volumes(tmp_path / "b.tif", info(), Slices(first=0.5))
    joined = one.join(one.slices)
    np.testing.assert_array_equal(joined.values[..., 0], values)
    path = write_nifti(tmp_path / "c.nii", joined.values, affine=joined.affine)
    assert read_nifti(path).space == (3, SIDE, SIDE)
