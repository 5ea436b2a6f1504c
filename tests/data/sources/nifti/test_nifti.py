"""NIfTI files of every type and orientation, nibabel's own among them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel import orientations
from nibabel.testing import data_path

from msflow_jax.data.sources.nifti import reading as nifti
from msflow_jax.data.sources.nifti.reading import is_nifti, read_nifti, split_volume
from tests.data.sources.nifti.nifti_images import (
    OBLIQUE,
    SHAPE,
    VALUES,
    as_picture,
    image,
    rewritten,
    saved,
)

FORTY_EIGHT = [
    np.stack([axes, flips], axis=1)
    for axes in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
    for flips in np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).reshape(3, -1).T
]


@pytest.mark.parametrize("placed", ["sform", "qform", "both"])
def test_48_orientations_give_one_array(tmp_path, placed):
    found = []
    for turn in FORTY_EIGHT:
        made = image().as_reoriented(turn)
        made.set_qform(made.affine, 0 if placed == "sform" else 1)
        made.set_sform(made.affine, 0 if placed == "qform" else 2)
        found.append(read_nifti(saved(tmp_path / "a.nii", made)))
        assert found[-1].notes == ()
    first = found[0]
    np.testing.assert_array_equal(first.values[..., 0], as_picture(VALUES))
    assert first.values.dtype == np.int16
    np.testing.assert_allclose(first.spacing, (3.0, 1.5, 1.0), rtol=1e-6)
    # The first voxel is the lowest, the most frontal and the rightmost one.
    np.testing.assert_allclose(first.affine @ [0, 0, 0, 1], OBLIQUE @ [4, 3, 0, 1], atol=1e-5)
    assert orientations.aff2axcodes(first.affine) == ("S", "P", "L")
    for other in found[1:]:
        np.testing.assert_array_equal(other.values, first.values)
        # A quaternion of 32 bits is the less exact the closer it is to half a turn.
        np.testing.assert_allclose(other.affine, first.affine, atol=1e-4)
        np.testing.assert_allclose(other.spacing, first.spacing, rtol=1e-6)


# name: volumes, type of the values
SHIPPED = {
    "anatomical.nii": (1, "int16"),
    "functional.nii": (20, "float32"),  # scl_slope 0.0754, scl_inter 3100.76
    "example4d.nii.gz": (2, "int16"),
    "example_nifti2.nii.gz": (2, "int16"),
    "reoriented_anat_moved.nii": (1, "float32"),
    "standard.nii.gz": (1, "uint8"),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_nibabels_own_files(name):
    path = Path(data_path) / name
    volumes, dtype = SHIPPED[name]
    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    expected = np.asanyarray(canonical.dataobj).reshape(*canonical.shape[:3], -1)
    assert is_nifti(path.read_bytes()[: nifti.HEAD_BYTES])
    for volume in range(volumes):
        got = read_nifti(path, volume=volume if volumes > 1 else None)
        np.testing.assert_array_equal(
            got.values[..., 0], as_picture(expected[..., volume].astype(dtype))
        )
        assert got.notes == ()
    head = nifti.header(path)
    assert (head.shape, head.volumes) == (got.values.shape, volumes)
    assert head.dtype == got.values.dtype == dtype
    assert head.spacing == got.spacing
    np.testing.assert_allclose(got.spacing, canonical.header.get_zooms()[2::-1], rtol=1e-5)
    corner = [canonical.shape[0] - 1, canonical.shape[1] - 1, 0, 1]
    np.testing.assert_allclose(got.affine[:, 3], canonical.affine @ corner, atol=1e-4)


STORED = {
    "<u1": "uint8", "<i1": "int16", ">i2": "int16", "<u2": "uint16", ">i4": "int32", "<u4": "uint32",
    "<i8": "int32", ">u8": "uint32", "<f4": "float32", ">f4": "float32", "<f8": "float32",
}  # fmt: skip


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_types_and_byte_orders(tmp_path, stored, kind):
    values = np.arange(60).reshape(SHAPE).astype(stored)
    header = kind.header_class(endianness=stored[0])
    header.set_data_dtype(stored)
    made = kind(values, OBLIQUE, header)
    for name in ("a.nii", "a.nii.gz"):
        got = read_nifti(saved(tmp_path / name, made))
        assert got.values.dtype == STORED[stored] and got.values.dtype.isnative
        np.testing.assert_array_equal(got.values[..., 0], as_picture(values))
        assert nifti.header(tmp_path / name).dtype == got.values.dtype


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.125, 3.0), (-2.0, 0.0)])
@pytest.mark.parametrize("order", "<>")
def test_scaling(tmp_path, slope, intercept, order):
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(order + "i2")
    made = nibabel.Nifti1Image(VALUES, OBLIQUE, header)
    made.header.set_slope_inter(slope, intercept)
    path = saved(tmp_path / "a.nii.gz", made)
    stored = np.asanyarray(nibabel.load(path).dataobj)
    got = read_nifti(path)
    assert got.values.dtype == nifti.header(path).dtype == np.float32
    np.testing.assert_array_equal(got.values[..., 0], as_picture(stored.astype(np.float32)))


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_no_slope_is_no_scaling(tmp_path, slope):
    path = rewritten(saved(tmp_path / "a.nii", image()), scl_slope=slope, scl_inter=-7.0)
    got = read_nifti(path).values
    assert got.dtype == np.int16
    np.testing.assert_array_equal(got[..., 0], as_picture(VALUES))


def test_colours(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (*SHAPE, 4), dtype=np.uint8)
    names = ("R", "G", "B", "A")
    for channels in (3, 4):
        dtype = np.dtype([(n, "u1") for n in names[:channels]])
        made = nibabel.Nifti1Image(np.empty(SHAPE, dtype), OBLIQUE)
        for i, name in enumerate(names[:channels]):
            np.asanyarray(made.dataobj)[name] = rgb[..., i]
        got = read_nifti(saved(tmp_path / "a.nii", made)).values
        assert nifti.header(tmp_path / "a.nii").shape == got.shape == (3, 4, 5, 3)
        for i in range(3):
            np.testing.assert_array_equal(got[..., i], as_picture(rgb[..., i]))


def test_four_axes_need_a_volume(tmp_path):
    several = np.stack([VALUES, VALUES + 100], axis=-1)
    path = saved(tmp_path / "a.nii.gz", image(several))
    assert nifti.header(path).volumes == 2
    with pytest.raises(ValueError, match=r"a\.nii\.gz holds 2 volumes; name one.*a\.nii\.gz#0"):
        read_nifti(path)
    np.testing.assert_array_equal(
        read_nifti(path, volume=1).values[..., 0], as_picture(VALUES) + 100
    )
    with pytest.raises(ValueError, match="no volume 2: it holds 2"):
        read_nifti(path, volume=2)
    one = saved(tmp_path / "one.nii", image(VALUES[..., None]))
    np.testing.assert_array_equal(read_nifti(one).values[..., 0], as_picture(VALUES))
    with pytest.raises(ValueError, match="5 x 4 x 3 x 1 x 2"):
        read_nifti(saved(tmp_path / "five.nii", image(several[:, :, :, None])))
    assert split_volume("b/A.NII.gz#12") == ("b/A.NII.gz", 12)
    assert split_volume("b/a#1.nii") == ("b/a#1.nii", None)
