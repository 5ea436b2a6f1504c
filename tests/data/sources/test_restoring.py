"""Maps brought back onto the grid of the files that they are of."""

import dataclasses

import nibabel
import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.masks.fitting import fit_mask
from msflow_jax.data.sources.nifti.writing import write_nifti_like
from msflow_jax.data.sources.restored import nearest_pixels
from msflow_jax.data.sources.restoring import read_segmentable
from msflow_jax.data.sources.shaping import Shaping
from msflow_jax.inference.segmented import _measured
from tests.data.sources.masks.test_masks import AFFINE, draw, fill, load

TILTED = np.array([[0.2, -1.0, 0, 9], [1.3, 0.15, 0, -7], [0, 0, -2, 3], [0, 0, 0, 1]])


def overlap(a, b):
    return 2 * np.sum((a == b) & (a > 0)) / (np.sum(a > 0) + np.sum(b > 0))


@pytest.mark.parametrize("space", [(24, 16), (15, 40), (9, 9)])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("spacing", [(), (1.0, 1.6)])
def test_a_mask_comes_back_to_its_picture(space, fit, spacing):
    mask = draw(np.random.default_rng(1), space)
    small = fit_mask(mask, spacing, Shaping(64, 1, fit), 2)
    index, seen = nearest_pixels(space, spacing, small.shape, fit)
    back = np.where(seen, small[index], 0)
    assert back.shape == space
    if fit == "crop":
        assert seen.any() and seen.all() == (space == (9, 9) and not spacing)
    else:
        assert seen.all()
    assert (back == mask)[seen].mean() > 0.97  # sides of 64 keep every pixel of these
    same = fit_mask(mask, (), Shaping(9, 1, fit), 2) if space == (9, 9) else None
    if same is not None and not spacing:
        np.testing.assert_array_equal(same, mask)


@pytest.mark.parametrize(
    "dims, spacing, space",
    [
        *((dims, spacing, (16, 14, 7)) for dims in (2, 3) for spacing in (0.0, 1.25)),
        (3, 0.0, (24, 24, 24)),  # as many voxels as the model reads, but no cubes
    ],
)
def test_volumes_come_back_onto_the_grid_of_their_files(tmp_path, dims, spacing, space):
    root = fill(tmp_path, ".nii.gz", space)
    splits = load(root, side=24, dims=dims, spacing=spacing)
    path = root / "images/case04.nii.gz"
    images, given = read_segmentable(path, splits.info, Slices(), resize=True)
    assert len(given) == 1 and given[0].rows == slice(0, len(images))
    # The masks of training for what a model would find.
    config = data.default_config("masks")
    whole = {
        name: one
        for part in (splits.train, splits.val, splits.test)
        for name, one in zip(part.names, part.maps, strict=True)
    }
    maps = np.stack([one for name, one in sorted(whole.items()) if "case04" in name])
    assert config.name == "masks" and maps.shape == images.shape[:-1]
    own = given[0].restore(maps, np.full(maps.shape, 0.25, np.float32))
    written = nibabel.load(write_nifti_like(tmp_path / "out.nii.gz", own.maps, own.file))
    truth = nibabel.load(root / "masks/case04.nii.gz")
    np.testing.assert_array_equal(written.affine, truth.affine)
    assert written.shape == truth.shape and written.get_data_dtype() == np.uint8
    coarser = space == (24, 24, 24)  # by up to three voxels in one
    least = 0.75 if coarser else 0.85
    assert overlap(np.asarray(written.dataobj), np.asarray(truth.dataobj)) > least
    assert own.grey.shape == (*own.maps.shape, 1) and own.uncertainty.dtype == np.float32
    np.testing.assert_allclose(own.uncertainty[~own.unseen], 0.25, atol=1e-3)
    assert (own.uncertainty[own.unseen] == 1).all() and own.unseen.mean() < 0.1
    hidden = dataclasses.replace(own, unseen=own.maps == 0)  # it is in no class's count
    table = _measured(hidden, ("none", *map(str, range(1, own.maps.max() + 1))))
    assert table["none (pixels)"] == 0 and table["none (uncertainty)"] == ""
    assert table["1 (pixels)"] == (own.maps == 1).sum()


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("suffix, space", [(".png", (24, 16)), (".nii.gz", (16, 14, 7))])
def test_maps_of_arrays_have_their_size(tmp_path, fit, suffix, space):
    """They were those of the model's grid, padding and all."""
    splits = load(fill(tmp_path, suffix, space), side=24, dims=len(space))
    info = dataclasses.replace(splits.info, fit=fit, intensities={})
    rng = np.random.default_rng(3)
    masks = np.stack([draw(rng, space) for _ in range(2)])
    np.savez(tmp_path / "a.npz", images=100 * masks)
    images, given = read_segmentable(f"{tmp_path}/a.npz", info, Slices(), resize=True)
    maps = np.rint(images[..., 0] / 100).astype(np.uint8)  # what a perfect model finds
    for one, mask in zip(given, masks, strict=True):
        unsure = np.full(maps[one.rows].shape, 0.25, np.float32)
        own = one.restore(maps[one.rows], unsure)
        assert own.maps.shape == own.uncertainty.shape == own.unseen.shape == space
        np.testing.assert_array_equal(own.grey[..., 0], 100 * mask)
        assert own.unseen.any() == (fit == "crop") and (own.uncertainty[own.unseen] == 1).all()
        np.testing.assert_allclose(own.uncertainty[~own.unseen], 0.25, atol=1e-3)
        assert (own.maps == mask)[~own.unseen].mean() > 0.9
        if fit == "pad":
            table = _measured(own, ("none", "1", "2"))
            assert sum(table[f"{name} (pixels)"] for name in ("none", "1", "2")) == mask.size
    assert (given[0].space == space) == (len(space) == 3)


@pytest.mark.parametrize("affine", [AFFINE, TILTED, np.diag([1, 1, 1.0, 1])])
def test_a_volume_is_written_in_the_order_of_another_file(tmp_path, affine):
    from msflow_jax.data.sources.nifti.reading import read_nifti

    values = np.random.default_rng(0).integers(0, 9, (5, 6, 4)).astype(np.uint8)
    image = nibabel.Nifti1Image(values, affine)
    image.header["descrip"] = b"Doe^Jane"
    nibabel.save(image, tmp_path / "given.nii.gz")
    read = read_nifti(tmp_path / "given.nii.gz").values[..., 0]
    out = nibabel.load(write_nifti_like(tmp_path / "out.nii", read, tmp_path / "given.nii.gz"))
    np.testing.assert_array_equal(np.asarray(out.dataobj), values)
    np.testing.assert_array_equal(out.affine, nibabel.load(tmp_path / "given.nii.gz").affine)
    assert b"Doe" not in (tmp_path / "out.nii").read_bytes()
    with pytest.raises(ValueError, match="is to be written like"):
        write_nifti_like(tmp_path / "out.nii", read[:-1], tmp_path / "given.nii.gz")


def test_nothing_to_segment_is_refused(tmp_path):
    info = load(fill(tmp_path)).info
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image or volume at .*empty"):
        read_segmentable(tmp_path / "empty", info, Slices())
    with pytest.raises(ValueError, match=r"is 24 x 16, the model reads 16 x 16 images; --resize"):
        read_segmentable(tmp_path / "images", info, Slices())
