"""Hausdorff distances between the borders of two masks."""

from collections.abc import Sequence

import numpy as np

QUANTILE = 95  # of the distances, for what one stray pixel does not decide


def hausdorff(a: np.ndarray, b: np.ndarray, spacing: Sequence[float] = ()) -> tuple[float, float]:
    """The Hausdorff distance of two masks' borders, and its 95 % version.

    The border is every pixel of which a neighbour along an axis is outside of the mask or the image.
    Each border's distances to the other one are taken; the first number is the largest of all, the
    second the larger of the two 95th percentiles.

    Args:
        a: bool ``[*space]``.
        b: bool ``[*space]``.
        spacing: size of a pixel along each axis of space, such as mm; empty: distances in pixels.

    Returns:
        Both distances; NaN where one mask is empty, or both are.

    Raises:
        ValueError: masks of different shapes.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    a, b = np.asarray(a, bool), np.asarray(b, bool)
    if a.shape != b.shape:
        raise ValueError(f"two masks of one shape are compared, got {a.shape} and {b.shape}")
    if not (a.any() and b.any()):
        return float("nan"), float("nan")
    both = a | b
    box = []  # all borders lie in it, and distances are the same
    for axis in range(a.ndim):
        there = np.flatnonzero(both.any(axis=tuple(i for i in range(a.ndim) if i != axis)))
        box.append(slice(there[0], there[-1] + 1))
    borders = [one & ~binary_erosion(one) for one in (a[tuple(box)], b[tuple(box)])]
    sampling = tuple(spacing) or None
    apart = [
        distance_transform_edt(~other, sampling=sampling)[one]
        for one, other in (borders, borders[::-1])
    ]
    largest, most = (
        max(float(np.percentile(distances, share)) for distances in apart)
        for share in (100, QUANTILE)
    )
    return largest, most
