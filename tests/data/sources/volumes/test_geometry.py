"""Grids compared, volumes brought onto another one, to cubic voxels, and to a model's size."""

import dataclasses
import re
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.fitting import bring, to_square
from msflow_jax.data.sources.volumes.fitting import bring_volume, place
from msflow_jax.data.sources.volumes.geometry import (
    check_same_grid,
    differences,
    resample_to,
    to_spacing,
)
from msflow_jax.data.sources.volumes.orientation import (
    PICTURE_AXES,
    axis_codes,
    centred_affine,
    to_picture_axes,
    voxel_size,
)


def turned(degrees, axis=0):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = (i for i in range(3) if i != axis)
    turn = np.eye(4)
    turn[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
    return turn


def volume(space=(8, 10, 12), spacing=(3, 2, 1), *, turn=None, shift=(0, 0, 0), values=None):
    """A volume about the origin; by default of a ramp along x, y and z in mm, which is linear."""
    affine = np.eye(4) if turn is None else turn
    affine = affine @ centred_affine(space, spacing)
    affine[:3, 3] += shift
    if values is None:
        index = np.stack([*np.indices(space), np.ones(space)], -1)
        values = ((index @ affine.T)[..., :3] @ [1.0, 10.0, 100.0]).astype(np.float32)[..., None]
    return Picture(values, affine, voxel_size(affine))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"space": (8, 10, 13)}, ["8 x 10 x 12 and 8 x 10 x 13 voxels"]),
        ({"spacing": (3, 2, 1.1)}, ["voxels of 3 x 2 x 1 and 3 x 2 x 1.1 mm"]),
        ({"turn": turned(2)}, [r"axes turned by 2 degrees \(rows|columns|slices\)"]),
        ({"shift": (0, 0, 5)}, ["first voxels 5 mm apart, at .* and .* mm"]),
        ({"turn": turned(90)}, ["axes turned by 90 degrees"]),
    ],
)
def test_what_differs_is_said(other, words):
    found = differences(volume(), volume(**other))
    for word in words:
        assert any(re.search(word, line) for line in found), found
    with pytest.raises(
        ValueError, match=r"t1\.nii and flair\.nii are not on one grid.*data\.resample=True"
    ):
        check_same_grid(volume(), volume(**other), "t1.nii", "flair.nii")


def test_one_grid():
    a = volume()
    for b in (volume(), volume(shift=(0, 0.01, 0)), volume(spacing=(3.0005, 2, 1))):
        assert differences(a, b) == []
        check_same_grid(a, b, "", "")
    assert differences(a, volume(shift=(0, 0.02, 0)))
    slices = [Picture(p.values[0], p.affine, p.spacing[1:]) for p in (a, volume(spacing=(9, 2, 1)))]
    shifted = dataclasses.replace(slices[1], affine=slices[0].affine)
    assert differences(slices[0], shifted) == []
    assert differences(*slices)  # they lie at another height
    unknown = dataclasses.replace(a, affine=None)
    assert differences(unknown, unknown) == []
    assert differences(unknown, a) == ["only one of them says how it lies in the patient"]
    bare = dataclasses.replace(unknown, spacing=())
    assert differences(bare, bare) == []
    for pair in ((unknown, bare), (bare, unknown)):  # one becomes cubes, the other not
        assert differences(*pair) == ["only one of them says how large its voxels are"]
    assert differences(a, slices[0])


@settings(max_examples=30)
@given(
    st.tuples(*[st.floats(0.8, 1.5)] * 3), st.tuples(*[st.floats(-3, 3)] * 3), st.floats(-30, 30),
    st.integers(0, 2),
)  # fmt: skip
def test_what_is_linear_in_space_stays_it(spacing, shift, degrees, axis):
    """Wherever the other grid lies, a voxel holds what belongs to its place in the patient."""
    source = volume((12, 12, 12), (1.6, 1.6, 1.6))
    like = volume((7, 6, 5), spacing, turn=turned(degrees, axis), shift=shift)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = resample_to(source, like, "a", "b")
    assert differences(got, like) == []
    # Between the middles of its outermost voxels, where there is something on either side.
    place = np.linalg.inv(source.affine) @ like.affine
    index = np.stack([*np.indices(like.space), np.ones(like.space)], -1) @ place.T
    inner = ((index[..., :3] >= 0) & (index[..., :3] <= 11)).all(-1)
    np.testing.assert_allclose(got.values[inner], like.values[inner], atol=0.02)
    assert got.missing is None or not got.missing[inner].any()


def test_outside_is_missing_and_the_lowest_value():
    source = volume(values=np.full((8, 10, 12, 1), 40, np.int16))
    source.values[0, 0, 0] = -1000
    like = volume((8, 10, 12), shift=(4, 0, 0))
    got = resample_to(source, like, "a", "b")
    assert got.values.dtype == np.int16
    assert got.missing[:, :, :4].all() and not got.missing[:, :, 4:].any()  # columns go to the left
    assert (got.values[:, :, :4] == -1000).all() and (got.values[4:, 4:, 4:] == 40).all()
    padded = dataclasses.replace(source, missing=source.values[..., 0] == -1000)
    got = resample_to(padded, volume(), "a", "b")
    assert got is padded
    got = resample_to(padded, volume(shift=(0.25, 0, 0)), "a", "b")
    assert got.missing.sum() == 1 and (got.values == 40).all()
    with pytest.warns(UserWarning, match=r"a fills only 25% of the grid of b"):
        resample_to(source, volume(shift=(9, 0, 0)), "a", "b")
    with pytest.raises(ValueError, match="a lies wholly outside of b"):
        resample_to(source, volume(shift=(99, 0, 0)), "a", "b")
    unplaced = [dataclasses.replace(p, affine=None) for p in (source, like)]
    for a, b in ((source, unplaced[1]), (unplaced[0], like)):
        with pytest.raises(ValueError, match="[ab] does not say how it lies"):
            resample_to(a, b, "a", "b")


def test_classes_stay_classes():
    rng = np.random.default_rng(0)
    source = volume(values=rng.choice([1, 4, 9], (8, 10, 12, 1)).astype(np.uint8))
    got = resample_to(
        source, volume((10, 16, 16), (2, 1, 0.7), turn=turned(20)), "a", "b", nearest=True
    )
    assert set(np.unique(got.values)) == {0, 1, 4, 9}
    assert (got.values[got.missing] == 0).all() and (got.values[~got.missing] > 0).all()


def test_larger_voxels_average():
    """Stripes of one voxel: without smoothing every other one would be taken."""
    values = np.zeros((8, 8, 64, 1), np.float32)
    values[:, :, ::2] = 100
    source = volume((8, 8, 64), (1, 1, 1), values=values)
    got = resample_to(source, volume((8, 8, 16), (1, 1, 4)), "a", "b")
    np.testing.assert_allclose(got.values[:, :, 1:-1], 50, atol=3)


def test_cubic_voxels():
    source = volume((10, 12, 16), (3.0, 1.0, 0.5))
    got = to_spacing(source, 1.5, "a")
    assert got.space == (20, 8, 5) and got.missing is None
    np.testing.assert_allclose(got.spacing, (1.5, 1.5, 1.5))
    np.testing.assert_allclose(voxel_size(got.affine), (1.5, 1.5, 1.5))
    middle = [got.affine @ [*(np.array(p.space) - 1) / 2, 1] for p in (source, got)[1:]]
    np.testing.assert_allclose(middle[0][:3], 0, atol=1e-9)
    index = np.stack([*np.indices(got.space), np.ones(got.space)], -1) @ got.affine.T
    expected = index[..., :3] @ [1.0, 10.0, 100.0]
    np.testing.assert_allclose(got.values[2:-2, 2:-2, 2:-2, 0], expected[2:-2, 2:-2, 2:-2], atol=2)
    assert to_spacing(got, 1.5, "a") is got
    unplaced = to_spacing(dataclasses.replace(source, affine=None), 1.5, "a")
    assert unplaced.affine is None
    np.testing.assert_array_equal(unplaced.values, got.values)
    with pytest.raises(ValueError, match=r"a does not say how large.*data\.spacing=0"):
        to_spacing(dataclasses.replace(source, spacing=()), 1.5, "a")
    with pytest.raises(ValueError, match="more than 1,073,741,824: choose larger"):
        to_spacing(source, 0.001, "a")


@pytest.mark.parametrize("mm", [0.002, 2.0])
def test_voxels_too_large_leave_an_axis_with_one(mm):
    source = volume((8, 10, 1), (mm,) * 3)
    with pytest.raises(
        ValueError, match=r"a has 8 x 10 x 1 voxels of .* mm; with data\.spacing=2.* become 1 x "
    ):
        to_spacing(source, 1000 * mm, "a")
    assert to_spacing(source, 2 * mm, "a").space == (4, 5, 1)  # one voxel stays one


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=40)
@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 12),
    st.sampled_from(["pad", "crop", "stretch"]), st.sampled_from([1, 3]),
)  # fmt: skip
def test_slices_are_brought_as_pictures_are(height, width, side, fit, channels):
    """Pillow rounds after each of two passes, this once at the end. Whole numbers are averaged here."""
    image = noise(height, width, channels)
    expected = to_square(image, side, fit)
    # Axes of slices that limit nothing: much room to pad, much to lose by a crop.
    count, depth = {"pad": (1, 64), "crop": (64, 1), "stretch": (2, 2)}[fit]
    placing = place((count, height, width), (depth, side, side), fit)
    steps = (np.array(placing.high) - placing.low) / placing.size
    assume(not any(step > 1 and step.is_integer() for step in steps[1:]))
    got = bring_volume(np.stack([image] * count), (depth, side, side), fit)
    size = placing.size[0]
    assert np.abs(got[(depth - size) // 2].astype(int) - expected).max() <= 2


def test_proportions_of_voxels_are_kept():
    thick = noise(30, 64, 64, 1)  # 150 x 64 x 64 mm
    assert place(thick.shape[:3], (32,) * 3, "pad", (5, 1, 1)).size == (32, 14, 14)
    assert place(thick.shape[:3], (32,) * 3, "pad").size == (15, 32, 32)
    cropped = place(thick.shape[:3], (32,) * 3, "crop", (5, 1, 1))
    assert cropped.spacing == (2, 2, 2) and cropped.size == (32, 32, 32)
    np.testing.assert_allclose((cropped.low[0], cropped.high[0]), (8.6, 21.4))
    assert place(thick.shape[:3], (32,) * 3, "stretch", (5, 1, 1)).spacing == (4.6875, 2, 2)
    padded = bring_volume(thick, (32,) * 3, "pad", spacing=(5, 1, 1), colour=7)
    assert padded.shape == (32, 32, 32, 1) and padded.flags.c_contiguous
    assert (
        (padded[:, :9] == 7).all() and (padded[:, 23:] == 7).all() and (padded[:, 10:22] != 7).any()
    )
    with pytest.raises(ValueError, match="choose one of"):
        place((4, 4, 4), (4, 4, 4), "cut")


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_a_volume_that_fits_stays(fit):
    cube = noise(9, 9, 9, 1)
    assert bring_volume(cube, (9, 9, 9), fit) is cube
    assert bring_volume(cube, (9, 9, 9), fit, spacing=(0.7,) * 3) is cube
    shared = bring_volume(noise(18, 18, 18, 3), (9, 9, 9), fit)
    assert bring_volume(np.full((7, 11, 5, 1), 93, np.uint8), (6, 6, 6), fit, colour=93).min() == 93
    assert shared.std() < noise(18, 18, 18, 3).std() / 2  # antialiased: each is of many


def test_bring_takes_volumes():
    grey = noise(4, 6, 6, 1)
    assert bring(grey, 6, 3, "pad").shape == (6, 6, 6, 3)
    assert (bring(grey, 6, 0, "pad")[0] == 0).all()
    colours = np.broadcast_to(np.array([200, 10, 30], np.uint8), (2, 6, 6, 3))
    assert (bring(colours, 6, 0, "pad") == colours[0]).all()  # filled with the colour of the edge


def test_the_filter_is_pillows():
    image = noise(1, 64, 48, 1)
    ours = bring_volume(image, (1, 20, 31), "stretch")[0, ..., 0]
    theirs = Image.fromarray(image[0, ..., 0]).resize((31, 20), Image.Resampling.BILINEAR)
    assert np.abs(ours.astype(int) - np.asarray(theirs)).max() <= 1


@pytest.mark.parametrize("across", [0, 1, 2])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_a_volume_turned_by_45_degrees_has_the_same_axes_whatever_is_rounded(across, order):
    """Brought to those of a picture, it is written with them."""
    found = []
    for rounded in (-1e-6, 0.0, 1e-6):
        affine = turned(45 + np.degrees(rounded), across)[:, [*order, 3]]
        values, new = to_picture_axes(np.zeros((2, 3, 4)), affine)
        assert tuple(axis_codes(new)) == PICTURE_AXES
        found.append(values.shape)
    assert len(set(found)) == 1
