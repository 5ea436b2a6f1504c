"""Single slices and pictures of an examination are paired where they can show the same place alone."""

import warnings

import numpy as np
import pytest

from msflow_jax.data.sources.reading import upright
from tests.data.sources.cohort.cohorts import load, save, table, volume
from tests.data.sources.dicom.dicom_objects import PLANES, RAMP, make_dataset, read

COUNT = 10


def slice_of(folder, i, name, z=10.0, mm=1.0, **changes):
    """A DICOM MR slice of 16 x 16 pixels about the axis of the scanner."""
    values = (
        np.random.default_rng(i + 100 * len(name)).integers(0, 1000, (16, 16)).astype(np.uint16)
    )
    placed = {
        "ImagePositionPatient": [-8 * mm, -8 * mm, z],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [mm, mm],
    }
    found = make_dataset(values, patient=f"P{i}", modality="MR", **{**placed, **changes})
    found.save_as(folder / f"{name}_{i}.dcm", enforce_file_format=True)
    return f"{name}_{i}.dcm"


def picture(folder, i, name, shape):
    return save(folder / f"{name}_{i}.png", volume(i + 100 * len(name), shape))


def rows(make):
    return [{**make(i), "label": f"g{i % 2}", "subject": f"s{i}"} for i in range(COUNT)]


@pytest.mark.parametrize("resample", [False, True])
@pytest.mark.parametrize(
    "where, words",
    [
        ({"z": 45.0}, "first voxels 35 mm apart"),
        ({"mm": 2.0}, "voxels of 1 x 1 and 2 x 2 mm"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "axes turned by 90 degrees"),
    ],
)
def test_slices_of_other_places_are_refused(tmp_path, where, words, resample):
    """They were paired without a word."""
    root = table(
        tmp_path,
        rows(
            lambda i: {
                "t1w": slice_of(tmp_path, i, "a"),
                "t2w": slice_of(tmp_path, i, "ab", **where),
            }
        ),
    )
    with pytest.raises(
        ValueError, match=rf"a_0.dcm and .*ab_0.dcm are not on one.*{words}"
    ) as told:
        load(root, dims=2, side=16, resample=resample)
    assert "folders of both series" in str(told.value) and "data.resample" not in str(told.value)


def test_slices_of_one_place_are_a_pair(tmp_path):
    root = table(
        tmp_path,
        rows(lambda i: {"t1w": slice_of(tmp_path, i, "a"), "t2w": slice_of(tmp_path, i, "ab")}),
    )
    splits = load(root, dims=2, side=16)
    assert splits.train.arrays["t2w"].shape == splits.train.arrays["t1w"].shape


@pytest.mark.parametrize("dims", [2, 3])
def test_a_slice_is_not_paired_with_every_slice_of_a_volume(tmp_path, dims):
    def make(i):
        whole = save(tmp_path / f"v_{i}.nii.gz", volume(i, (5, 16, 16)), spacing=(3, 1, 1))
        return {"t1w": whole, "t2w": slice_of(tmp_path, i, "ab")}

    with pytest.raises(
        ValueError, match=r"ab_0.dcm is a single slice, and .*v_0.nii.gz a volume of 5"
    ):
        load(table(tmp_path, rows(make)), dims=dims, side=16)


def test_a_projection_is_paired_with_a_volume(tmp_path):
    def make(i):
        whole = save(tmp_path / f"v_{i}.nii.gz", volume(i, (5, 16, 16)), spacing=(3, 1, 1))
        nowhere = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
        return {"ct": whole, "xray": slice_of(tmp_path, i, "ab", **nowhere)}

    splits = load(table(tmp_path, rows(make)), dims=2, side=16)
    assert len(splits.train.arrays["xray"]) == len(splits.train.arrays["ct"])


@pytest.mark.parametrize("shape, told", [((32, 16), True), ((64, 64), False)])
def test_pictures_of_other_proportions_are_named(tmp_path, shape, told):
    """Each is padded to a square by itself."""
    root = table(
        tmp_path,
        rows(lambda i: {
            "t1w": picture(tmp_path, i, "a", (32, 32)), "t2w": picture(tmp_path, i, "ab", shape)
        }),
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        load(root, dims=2, side=16)
    lines = [str(one.message) for one in said if "proportions" in str(one.message)]
    assert len(lines) == told
    if told:
        assert "10 of 10 examinations" in lines[0]
        assert "a_0.png is 32 x 32" in lines[0] and "ab_0.png 32 x 16" in lines[0]


@pytest.mark.parametrize("plane", PLANES)
def test_a_slice_that_is_turned_keeps_its_place(plane):
    place = {
        "ImagePositionPatient": [7, -8, 9],
        "ImageOrientationPatient": list(np.ravel(PLANES[plane])),
        "PixelSpacing": [2, 0.5],
    }
    given = read(make_dataset(RAMP, **place))
    turned = upright(given)
    for value in np.unique(given.values):
        ends = [
            one.affine @ [0, *np.argwhere(one.values[..., 0] == value)[0], 1]
            for one in (given, turned)
        ]
        np.testing.assert_allclose(*ends)
    np.testing.assert_allclose(np.linalg.norm(turned.affine[:3, 1:3], axis=0), turned.spacing)
