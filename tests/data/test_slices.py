"""Which slices of a volume are taken, how they lie, and which are neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.data.slices import NO_SLICE, SLICE, VOLUME, Slices, neighbours
from msflow_jax.data.split import Split

SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(count=st.integers(1, 300), mm=st.floats(0.2, 9), shares=SHARES, spacing=st.floats(0, 30))
def test_slices_rise_within_their_shares(count, mm, shares, spacing):
    first, last = shares
    space, sizes = (count, 4, 4), (mm, 1.0, 1.0)
    if 1 < count <= max(spacing / mm, 1) + 0.5:  # of the whole axis one slice would be left
        with pytest.raises(ValueError, match=r"x has \d+ axial slices .*data\.slices\.spacing"):
            Slices("axial", first, last, spacing).numbers(space, sizes, "x")
        return
    found = Slices("axial", first, last, spacing).numbers(space, sizes, "x")
    every = Slices("axial", first, last).numbers(space, (), "x")
    assert len(found) and set(found) <= set(every) and (np.diff(found) > 0).all()
    assert found[0] == every[0] == round(first * (count - 1))
    if spacing > mm:  # as far apart as asked for, to the nearest slice
        assert np.abs(np.diff(found) * mm - spacing).max(initial=0) <= mm * 1.001
        assert (every[-1] - found[-1]) * mm <= spacing + mm
    else:
        assert (found == every).all()


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_slices_stacked_are_the_volume(axis):
    volume = np.arange(3 * 4 * 5 * 2).reshape(3, 4, 5, 2)
    slices = Slices(axis)
    every = [slices.take(volume, n) for n in slices.numbers(volume.shape[:3], (), "x")]
    np.testing.assert_array_equal(slices.stack(np.stack(every)), volume)


def test_slices_some_mm_apart_need_the_size_of_voxels():
    with pytest.raises(ValueError, match=r"x.nii does not say .*slices 5 mm apart"):
        Slices(spacing=5.0).numbers((9, 9, 9), (), "x.nii")
    for wrong in ({"axis": "oblique"}, {"first": 0.7, "last": 0.2}):
        with pytest.raises(ValueError, match=r"slices"):
            Slices(**wrong)


@given(numbers=st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 9)), min_size=1, max_size=20))
def test_neighbours_are_of_the_same_volume_and_mutual(numbers):
    volume, slice_ = (np.array(column) for column in zip(*numbers, strict=True))
    split = Split(
        {"label": np.zeros(len(numbers), np.int32)}, tuple(map(str, range(len(numbers)))),
        truth={VOLUME: volume, SLICE: slice_},
    )  # fmt: skip
    for i in range(len(numbers)):
        if slice_[i] == NO_SLICE:
            with pytest.raises(ValueError, match="no slices"):
                neighbours(split, i, 2)
            continue
        near = neighbours(split, i, 3, nearest=2)
        assert i not in near and (np.diff(slice_[near]) >= 0).all()
        for other in near:
            assert volume[other] == volume[i] and 2 <= abs(slice_[other] - slice_[i]) <= 3
            assert i in neighbours(split, other, 3, nearest=2)
