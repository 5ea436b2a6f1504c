"""Volumes on another grid, by hand: what is averaged, what is cut, and what stays in the middle."""

import numpy as np
import pytest

from msflow_jax.data.sources.shaping import centred
from msflow_jax.data.sources.volumes.fitting import bring_volume, place
from msflow_jax.data.sources.volumes.geometry import resample_to
from tests.data.sources.volumes.test_geometry import turned, volume


@pytest.mark.parametrize(
    ("space", "spacing", "turn"),
    [((9, 9, 21), (1, 1, 3), None), ((21, 9, 9), (3, 1, 1), turned(90, 1))],
)
def test_larger_voxels_average_whichever_way_they_lie(space, spacing, turn):
    """Stripes of one voxel, of which every third has its middle in that of a new one."""
    values = np.zeros((9, 9, 63, 1), np.float32)
    values[:, :, ::2] = 100
    source = volume((9, 9, 63), (1, 1, 1), values=values)
    got = resample_to(source, volume(space, spacing, turn=turn), "a", "b").values[..., 0]
    inner = got[:, :, 2:-2] if turn is None else got[2:-2]
    np.testing.assert_allclose(inner, 50, atol=3)


def test_a_whole_number_of_voxels_is_averaged_from_where_a_crop_begins():
    grey = np.broadcast_to(10 * np.arange(12, dtype=np.uint8)[:, None, None, None], (12, 8, 8, 1))
    assert place((12, 8, 8), (4, 4, 4), "crop").low == (2, 0, 0)
    got = bring_volume(grey, (4, 4, 4), "crop")
    assert (got == got[:, :1, :1]).all()
    assert got[:, 0, 0, 0].tolist() == [25, 45, 65, 85]


def test_the_class_of_a_larger_voxel_is_that_of_its_middle():
    classes = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 6, 6, 1))
    got = bring_volume(classes, (2, 2, 2), "stretch", nearest=True)
    assert got[:, 0, 0, 0].tolist() == [1, 4] and (got == got[:, :1, :1]).all()


def test_what_is_cut_and_padded_keeps_its_middle():
    grey = (np.arange(1, 6)[:, None, None] + 10 * np.arange(1, 4)[:, None]).astype(np.uint8)
    grey = grey[..., None]  # 5 x 3 x 1
    got = centred(grey, (3, 5, 1))
    np.testing.assert_array_equal(got[:, 1:4], grey[1:4])
    assert not got[:, [0, 4]].any()
