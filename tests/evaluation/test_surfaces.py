"""Hausdorff distances against distances of all pairs of border pixels."""

import itertools

import numpy as np
import pytest

from msflow_jax.evaluation.surfaces import hausdorff


def border(mask):
    """Pixels of a mask with a neighbour along an axis that is not in it, one by one."""
    found = []
    for place in itertools.product(*map(range, mask.shape)):
        if not mask[place]:
            continue
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            near = list(place)
            near[axis] += step
            if not 0 <= near[axis] < mask.shape[axis] or not mask[tuple(near)]:
                found.append(place)
                break
    return np.array(found, float)


def of_all_pairs(a, b, spacing):
    one, other = (border(mask) * np.array(spacing) for mask in (a, b))
    apart = np.linalg.norm(one[:, None] - other[None], axis=-1)
    ways = apart.min(axis=1), apart.min(axis=0)
    return tuple(max(np.percentile(way, share) for way in ways) for share in (100, 95))


@pytest.mark.parametrize("space, spacing", [((13, 11), (1.0, 1.0)), ((6, 8, 7), (2.5, 1.0, 0.4))])
def test_against_all_pairs(space, spacing):
    rng = np.random.default_rng(3)
    for share in (0.02, 0.3, 0.9):
        a, b = (rng.random(space) < share for _ in range(2))
        a.flat[0] = b.flat[-1] = True
        np.testing.assert_allclose(hausdorff(a, b, spacing), of_all_pairs(a, b, spacing))
        np.testing.assert_allclose(hausdorff(b, a, spacing), hausdorff(a, b, spacing))


def test_by_hand():
    a, b = np.zeros((2, 12, 12), bool)
    a[2:6, 2:6] = True
    b[2:6, 5:9] = True
    assert hausdorff(a, b) == (3, 3) and hausdorff(a, b, (1, 2.0)) == (6, 6)
    assert hausdorff(a, a) == (0, 0)
    b[:] = a
    b[11, 11] = True  # one stray pixel of 13
    largest, most = hausdorff(a, b)
    assert largest == pytest.approx(np.hypot(6, 6)) and most < largest


def test_of_nothing_there_is_no_distance():
    a, none = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    for pair in ((a, none), (none, a), (none, none)):
        assert np.isnan(hausdorff(*pair)).all()
    with pytest.raises(ValueError, match="two masks of one shape"):
        hausdorff(a, none[:3])
