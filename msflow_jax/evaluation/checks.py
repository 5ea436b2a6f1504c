"""Checks of the arrays that enter an evaluation: shapes, ranges, finiteness."""

from collections.abc import Sequence

import numpy as np


def check_labels(labels: np.ndarray, classes: int, name: str = "labels") -> np.ndarray:
    """Returns ``labels`` as int64 ``[N]``.

    Args:
        labels: integers ``[N]`` in ``0..classes-1``, N at least 1.
        classes: number of classes.
        name: what to call the array in a message.

    Raises:
        ValueError: for an empty or non-integer array, another shape, or a label out of range.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{name} must be a non-empty [N] array, got shape {labels.shape}.")
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be integers, got {labels.dtype}; pass class numbers, not scores."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{name} must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}; "
            "check that the labels and the class names belong to the same data set."
        )
    return labels.astype(np.int64)


def check_finite(array: np.ndarray, name: str) -> np.ndarray:
    """Returns ``array`` as float64 and refuses NaN and infinity, naming the first one.

    Raises:
        ValueError: if an entry is not finite.
    """
    array = np.asarray(array, dtype=np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} has {int(bad.sum())} non-finite values (the first at index {first}); the "
            "model or its ODE solve diverged: look at the training loss and the solver settings."
        )
    return array


def check_shape(array: np.ndarray, shape: Sequence[int], name: str) -> np.ndarray:
    """Returns ``array``, refusing any shape but ``shape``.

    Raises:
        ValueError: naming both shapes.
    """
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(array.shape)}.")
    return array


def check_probabilities(probabilities: np.ndarray, name: str = "probabilities") -> np.ndarray:
    """Returns float64 probabilities ``[..., K]`` whose rows are non-negative and sum to 1.

    Raises:
        ValueError: for a non-finite or negative entry, or a row sum off 1 by more than 1e-3.
    """
    probabilities = check_finite(probabilities, name)
    off = float(np.abs(probabilities.sum(axis=-1) - 1).max(initial=0.0))
    if probabilities.min(initial=0.0) < 0 or off > 1e-3:
        raise ValueError(
            f"{name} must be non-negative with rows that sum to 1; the worst row is off by "
            f"{off:.3g} and the smallest entry is {probabilities.min():.3g}. Normalise them first."
        )
    return probabilities


def check_images(images: np.ndarray, name: str) -> np.ndarray:
    """Returns uint8 images ``[N, H, W, C]``, or volumes ``[N, D, H, W, C]``, unchanged.

    Raises:
        ValueError: for another dtype, rank, or an empty array.
    """
    images = np.asarray(images)
    if images.ndim not in (4, 5) or images.dtype != np.uint8 or len(images) == 0:
        raise ValueError(
            f"{name} must be non-empty uint8 [N, H, W, C] or volumes [N, D, H, W, C], "
            f"got {images.dtype} {images.shape}; "
            "convert with ((x + 1) * 127.5).round().clip(0, 255).astype('uint8')."
        )
    return images
