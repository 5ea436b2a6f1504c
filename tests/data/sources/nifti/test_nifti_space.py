"""Where a NIfTI file says that its voxels lie: two affines, units, sizes, and what is refused."""

import re

import nibabel
import numpy as np
import pytest

from msflow_jax.data.sources.nifti import reading as nifti
from msflow_jax.data.sources.nifti.reading import read_nifti
from tests.data.sources.nifti.nifti_images import (
    OBLIQUE,
    VALUES,
    as_picture,
    image,
    note,
    rewritten,
    saved,
)


def test_sform_before_qform_with_a_note(tmp_path):
    made = image()
    made.set_sform(OBLIQUE, 1)
    made.set_qform(OBLIQUE @ np.diag([-1.0, 1.0, 1.0, 1.0]), 1)
    path = saved(tmp_path / "a.nii", made)
    assert re.search(
        "its sform and qform differ by up to .* mm .axes RAS and LAS.; the sform", note(path)
    )
    np.testing.assert_array_equal(read_nifti(path).values[..., 0], as_picture(VALUES))
    close = OBLIQUE + 5e-4
    close[3] = 0, 0, 0, 1
    made.set_qform(OBLIQUE, 1)
    made.set_sform(close, 1)
    assert read_nifti(saved(path, made)).notes == ()
    made.set_sform(OBLIQUE, 1)
    rewritten(saved(path, made), quatern_b=3.0)
    assert "its qform is broken; its sform is used" in note(path)
    rewritten(path, quatern_b=3.0, sform_code=0)
    with pytest.raises(ValueError, match="its qform is no rotation"):
        read_nifti(path)
    made.set_qform(None, 0)
    rewritten(saved(path, made), pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    assert "voxels are 1 x 1.5 x 3 mm by its sform and 1 x 1 x 1 mm by pixdim" in note(path)


def test_no_orientation_is_said(tmp_path):
    made = image()
    made.set_qform(None, 0)
    made.set_sform(None, 0)
    path = saved(tmp_path / "a.nii", made)
    assert "it does not say how it lies in the patient" in note(path)
    got = read_nifti(path)
    assert got.affine is None and nifti.header(path).affine is None
    np.testing.assert_allclose(got.spacing, (3, 1.5, 1), rtol=1e-6)
    expected = nibabel.as_closest_canonical(nibabel.load(path))  # nibabel's guess
    np.testing.assert_array_equal(got.values[..., 0], as_picture(expected.dataobj))
    rewritten(path, pixdim=[1, 0, 1, 1, 0, 0, 0, 0])
    assert read_nifti(path).spacing == ()


@pytest.mark.parametrize("unit", [("meter", 1000), ("micron", 1e-3), ("unknown", 1), ("mm", 1)])
def test_units_of_length(tmp_path, unit):
    made = image()
    made.header.set_xyzt_units(unit[0])
    if unit[0] == "meter":
        made.set_sform(np.diag([1e-3] * 3 + [1]) @ OBLIQUE, 1)
        unit = (unit[0], 1)
    got = read_nifti(saved(tmp_path / "a.nii", made))
    np.testing.assert_allclose(got.spacing, np.array([3, 1.5, 1]) * unit[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "words"),
    [("micron", "0.003 mm, below 0.04"), ("meter", "3000 mm, above 50")],
)
@pytest.mark.parametrize("placed", ["sform", "qform", "none"])
def test_voxels_of_an_unlikely_size_are_said(tmp_path, unit, words, placed):
    made = image()
    made.set_qform(made.affine, int(placed == "qform"))
    made.set_sform(made.affine, int(placed == "sform"))
    made.header.set_xyzt_units(unit)
    lines = read_nifti(saved(tmp_path / "a.nii", made)).notes
    (line,) = (one for one in lines if "unit of length" in one)
    assert "a.nii: its voxels are" in line and words in line and "xyzt_units" in line


@pytest.mark.parametrize("mm", [999.0, 0.001])
def test_a_single_slice_may_be_as_thick_as_it_likes(tmp_path, mm):
    made = image(VALUES[:, :, :1], affine=np.diag([1.0, 1.0, mm, 1.0]))
    assert read_nifti(saved(tmp_path / "a.nii", made)).notes == ()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"srow_z": [0, 0, 0, 5]}, "its affine is singular"),
        ({"srow_z": [1, 0, 0, 5], "srow_x": [1, 0, 0, 0]}, "its affine is singular"),
        ({"srow_x": [np.nan, 0, 0, 5]}, "its affine holds values that are not finite"),
        ({"srow_x": [0, 0, 0, np.inf]}, "its affine holds values that are not finite"),
        ({"srow_x": [1e6, 0, 0, 5]}, "its affine makes voxels of 1e\\+06"),
        ({"srow_x": [0] * 4, "srow_y": [0] * 4, "srow_z": [0] * 4}, "its affine is singular"),
    ],
)
def test_a_broken_affine_is_refused_by_name(tmp_path, rows, words):
    path = saved(tmp_path / "scan7.nii", image(affine=np.eye(4)))
    with pytest.raises(ValueError, match=rf"scan7\.nii: {words}"):
        read_nifti(rewritten(path, **rows))
    with pytest.raises(ValueError, match=rf"scan7\.nii: {words}"):
        nifti.header(path)


@pytest.mark.parametrize("size", [-2.0, 0.0, np.nan, np.inf])
def test_a_qform_alone_needs_sizes_in_pixdim(tmp_path, size):
    made = image(affine=np.eye(4))
    made.set_sform(None, 0)
    made.set_qform(np.eye(4), 1)
    path = rewritten(saved(tmp_path / "scan7.nii", made), pixdim=[1, 1, size, 1, 0, 0, 0, 0])
    with pytest.raises(ValueError, match=rf"scan7\.nii: its pixdim is 1 x {size:g} x 1.*qform"):
        read_nifti(path)
    rewritten(path, pixdim=[1, 1, 1, 1, 0, 0, 0, 0], quatern_b=2.0)
    with pytest.raises(ValueError, match=r"scan7\.nii: its qform is no rotation .*quatern_b"):
        read_nifti(path)


def test_sheared_and_strongly_oblique_axes_are_said(tmp_path):
    sheared = np.eye(4)
    sheared[1, 2] = np.tan(np.radians(12))
    made = image(affine=sheared)
    made.set_sform(sheared, 1)
    assert "12.0 degrees off right angles" in note(saved(tmp_path / "a.nii", made))
    turned = np.eye(4)
    turned[:2, :2] = np.array([[1, -1], [1, 1.01]]) / np.sqrt(2)
    assert "45 degrees off the patient" in note(saved(tmp_path / "a.nii", image(affine=turned)))
