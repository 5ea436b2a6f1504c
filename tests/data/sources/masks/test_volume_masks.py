"""Masks of volumes: fitted as their images, or refused where they do not fit."""

import nibabel
import numpy as np
import pytest

from msflow_jax.data.padding import filled_of, inside_of
from msflow_jax.data.pixel_sizes import sizes_of, unsized_of
from tests.data.sources.masks.test_masks import AFFINE, fill, load, save


@pytest.mark.parametrize("dims, spacing", [(2, 0.0), (2, 2.0), (3, 0.0), (3, 2.0)])
def test_masks_of_volumes_are_fitted_as_their_images(tmp_path, dims, spacing):
    root = fill(tmp_path, ".nii.gz", (14, 12, 6))
    (root / "classes.txt").write_text("0 background\n1 organ\n2 lesion\n", encoding="utf-8")
    splits = load(root, dims=dims, spacing=spacing)
    part = splits.train
    assert part.maps.shape == part.images.shape[:-1] and part.maps.ndim == 1 + dims
    shown = np.rint(part.images[..., 0] / part.images.max() * 2)
    assert np.mean(shown != part.maps) < 0.1 and splits.info.map_classes[2] == "lesion"
    sizes = sizes_of(part, splits.info)
    if spacing:
        expected = [2.0] * dims if dims == 3 else [18 / 16] * 2
        np.testing.assert_allclose(sizes[0], expected)
    else:
        np.testing.assert_allclose(sizes[0], [18 / 16] * dims)  # 12 rows of 1.5 mm, 6 slices of 3
    if dims == 2:  # no volume is in two splits
        groups = [set(one.groups) for one in (splits.train, splits.val, splits.test)]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 11


@pytest.mark.parametrize("spacing", [0.0, 2.0])
def test_where_volumes_lie_in_their_cubes_is_kept(tmp_path, spacing):
    root = fill(tmp_path, ".nii.gz", (14, 12, 6))
    part = load(root, dims=3, spacing=spacing).train
    inside = inside_of(part)
    # Whose background is noise, so that a corner of a volume is hardly ever black, and padding always.
    assert not part.images[..., 0][~inside].any() and not inside.all()
    for one, at in zip(part.images[..., 0], inside, strict=True):
        assert all(one[at].reshape(filled_of(at)).take(end, 0).any() for end in (0, -1))


def moved(root):
    path = root / "masks/case03.nii.gz"
    values = np.asarray(nibabel.load(path).dataobj)
    off = AFFINE.copy()
    off[0, 3] += 2
    nibabel.save(nibabel.Nifti1Image(values, off), path)


def unsized(root, of_image=(1, 1.5, 3)):
    """Neither file says where it lies, and the mask alone not how large its voxels are."""
    for folder, sizes in (("images", of_image), ("masks", (0, 0, 0))):
        path = root / folder / "case03.nii.gz"
        image = nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj), None)
        image.header["pixdim"][1:4] = sizes
        image.header["sform_code"] = image.header["qform_code"] = 0
        nibabel.save(image, path)


def test_that_some_files_do_not_say_their_size_is_kept(tmp_path):
    root = fill(tmp_path, ".nii.gz", (8, 8, 4))
    assert unsized_of(load(root).train) is None
    unsized(root, (0, 0, 0))
    splits = load(root)
    parts = [splits[name] for name in ("train", "val", "test")]
    assert sum(unsized_of(part) for part in parts) == 4  # the slices of case03
    assert all(sizes_of(part, splits.info) is None for part in parts)


def probable(root):
    path = root / "masks/case03.nii.gz"
    save(path, np.asarray(nibabel.load(path).dataobj) * np.float32(0.5))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            moved,
            "case03.nii.gz is not on the grid of its image .*first voxels 2 mm apart.*Resample",
        ),
        (unsized, "case03.nii.gz is not on the grid .*only one of them says how large its voxels"),
        (probable, "case03.nii.gz holds 0.5, which is no whole number"),
    ],
)
def test_masks_of_volumes_that_do_not_fit_are_refused(tmp_path, spoil, message):
    root = fill(tmp_path, ".nii.gz", (8, 8, 4))
    spoil(root)
    with pytest.raises(ValueError, match=message):
        load(root)
