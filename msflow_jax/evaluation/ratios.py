"""Metrics that are ratios of sums over images, as functions of case weights, for the bootstrap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Counted:
    """A metric, and the images that say something on it.

    Attributes:
        metric: weights ``[R, images]`` to values ``[R]`` or ``[R, K]``.
        among: bool ``[images]``, or ``[images, K]``, for each value its own.
    """

    metric: Callable[[np.ndarray], np.ndarray]
    among: np.ndarray

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """The values."""
        return self.metric(weights)


def count_units(among: np.ndarray, group: Sequence[Any] | np.ndarray | None) -> int:
    """How many images, or where each has a ``group`` how many of these, are among some ``[images]``."""
    if group is None:
        return int(among.sum())
    return len({str(one) for one, counts in zip(group, among, strict=True) if counts})


def rarest(among: np.ndarray, group: Sequence[Any] | np.ndarray | None) -> np.ndarray:
    """That column ``[images]`` of ``[images, K]`` which the fewest images or groups are among.

    What is a mean over classes stands or falls with it. All images where there is no column.
    """
    if not among.shape[1]:
        return np.ones(len(among), bool)
    return among[:, np.argmin([count_units(one, group) for one in among.T])]


def weighted_ratio(above: np.ndarray, below: np.ndarray) -> Counted:
    """A metric for ``bootstrap.bootstrap_intervals``: a sum over images divided by another.

    Args:
        above: what each image adds to the one sum, ``[images]`` or ``[images, K]``.
        below: to the other sum, of the same shape and not negative.

    Returns:
        From weights ``[R, images]`` to ratios ``[R]`` or ``[R, K]``, NaN where nothing is counted;
        images that add nothing to the sum ``below`` do not count.
    """
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)

    def ratio(weights: np.ndarray) -> np.ndarray:
        total = weights @ below
        out = np.full(np.shape(total), np.nan)
        return np.divide(weights @ above, total, out=out, where=total > 0)

    return Counted(ratio, below > 0)


def weighted_mean(values: np.ndarray) -> Counted:
    """:func:`weighted_ratio` that is the mean of values ``[images]`` or ``[images, K]`` but for NaN."""
    known = ~np.isnan(values)
    return weighted_ratio(np.where(known, values, 0), known)


def number_of(value: float) -> float | None:
    """A number as JSON has it: None of NaN, which a metric is where it is not defined."""
    return None if np.isnan(value) else float(value)


def mean_over(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Mean ``[R]`` over classes of values ``[R, K]``, for ``bootstrap.bootstrap_intervals``.

    Args:
        values: of each resample and class, NaN where the resample lacks the class.
        there: the classes that the whole set has, bool ``[K]``.

    Returns:
        NaN where a resample lacks one of these: a mean over the others would be that of another
        measure, and a class that is never found would leave an interval that reaches 1. NaN too where
        there is no class.
    """
    if not there.any():
        return np.full(len(values), np.nan)
    return np.asarray(values[:, there].mean(axis=1))
