"""Memorisation: are generated images nearer to the training images than new real ones are?"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.data.order import FLIPS
from msflow_jax.evaluation.checks import check_images
from msflow_jax.evaluation.counts import in_mix_of

_PAIRS = 16  # nearest pairs that are named
PIXEL_SIDE = 32  # at which images are compared
_COMPARED = (
    *("generated_median", "held_out_median", "threshold"),
    *("share_below_threshold", "expected_below_threshold"),
)


@dataclass(frozen=True)
class NearestTraining:
    """The nearest training image of every generated and every held-out real image.

    Distances are per-pixel root mean square with black = 0 and white = 1; indices point into the
    training array.
    """

    generated_distance: np.ndarray
    generated_index: np.ndarray
    held_out_distance: np.ndarray
    held_out_index: np.ndarray
    repeated: int

    def closest(self, count: int) -> np.ndarray:
        """Indices of the ``count`` generated images nearest to a training image, nearest first."""
        return np.argsort(self.generated_distance, kind="stable")[:count]

    def summary(self, labels: tuple[np.ndarray, np.ndarray] | None = None) -> dict[str, Any]:
        """Plain numbers: medians, the share nearer than the threshold, exact copies, repeats.

        Images of some classes are more alike than those of others. So that medians and shares are of one
        mix of classes, generated images count as ``counts.in_mix_of`` says; all count alike without
        ``labels``, the class numbers of the generated ``[M]`` and of the held-out images ``[N]``. Where
        both have no class in common these are None.
        """
        generated, held_out = self.generated_distance, self.held_out_distance
        weights, counted = np.ones(len(generated)), np.ones(len(held_out), bool)
        if labels is not None:
            weights, counted = in_mix_of(*labels)
        return {
            **_compared(generated, weights, held_out[counted]),
            "generated": len(generated),
            "held_out": len(held_out),
            "generated_least": float(generated.min()),
            "held_out_least": float(held_out.min()),
            "generated_copies": int((generated == 0).sum()),
            "held_out_copies": int((held_out == 0).sum()),
            "generated_repeats": self.repeated,
        }


def _compared(
    generated: np.ndarray, weights: np.ndarray, held_out: np.ndarray
) -> dict[str, float | None]:
    """Medians of the distances, and the share of the generated ones below the threshold."""
    if not len(held_out):
        return dict.fromkeys(_COMPARED)
    threshold, n = float(np.percentile(held_out, 1)), len(held_out)
    # Of n exchangeable distances, a new one lies below the j-th smallest with probability j / (n + 1).
    values = (
        _median(generated, weights), float(np.median(held_out)), threshold,
        float(np.average(generated <= threshold, weights=weights)), (1 + 0.01 * (n - 1)) / (n + 1),
    )  # fmt: skip
    return dict(zip(_COMPARED, values, strict=True))


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """Median of values of which each counts so much; between two of them their mean, as numpy has it."""
    order = np.argsort(values)
    below = weights[order].cumsum()
    middle = [int(np.searchsorted(below, below[-1] / 2, side)) for side in ("left", "right")]
    return float(values[order[middle]].mean())


def check_memorisation(
    fake: np.ndarray,
    real: np.ndarray,
    train: np.ndarray,
    fake_index: np.ndarray,
    flips: Sequence[str],
    labels: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Summary of :func:`nearest_training` at small sides, and the nearest pairs.

    Args:
        fake: generated images, uint8 ``[M, *space, C]``.
        real: real images not trained on, uint8 ``[N, *space, C]``.
        train: images trained on, uint8 ``[T, *space, C]``.
        fake_index: position of each generated image in the caller's array, int ``[M]``.
        flips: see :func:`nearest_training`.
        labels: class numbers of the first two ``[M]`` and ``[N]``, see :meth:`NearestTraining.summary`.
    """
    from msflow_jax.evaluation.features import shrink

    small = [shrink(images, PIXEL_SIDE) for images in (fake, real, train)]
    near = nearest_training(*small, flips=flips)
    closest = near.closest(_PAIRS)
    return {
        **near.summary(labels),
        "class_mix": "as drawn" if labels is None else "held-out",
        "training": len(train),
        "compared_at_side": max(small[0].shape[1:-1]),
        "flips": bool(flips),
        "mirrored": list(flips),
        "nearest": {
            "generated_index": fake_index[closest].tolist(),
            "training_index": near.generated_index[closest].tolist(),
            "distance": near.generated_distance[closest].tolist(),
        },
    }


def nearest_training(
    generated: np.ndarray,
    held_out: np.ndarray,
    train: np.ndarray,
    *,
    flips: Sequence[str] = (),
    chunk: int = 512,
) -> NearestTraining:
    """Memorisation check: are generated images nearer to the training set than new real ones are?

    A generator that does not copy leaves about 1 % of its images at or below the 1st percentile of
    the held-out distances. Exact copies (distance 0) count, also where the real sets share images.

    Args:
        generated: uint8 ``[M, *space, C]``.
        held_out: uint8 ``[N, *space, C]``, real images not trained on.
        train: uint8 ``[T, *space, C]``, all images trained on.
        flips: also compare with the query mirrored along any of these axes, as ``data.order.FLIPS``
            names them, and keep the smallest distance.
        chunk: training images handled at once.

    Raises:
        ValueError: for another dtype or shape.
    """
    arrays = {"generated": generated, "held_out": held_out, "train": train}
    generated, held_out, train = (check_images(a, name) for name, a in arrays.items())
    if len({a.shape[1:] for a in (generated, held_out, train)}) > 1:
        shapes = {name: a.shape[1:] for name, a in arrays.items()}
        raise ValueError(f"generated, held_out and train must share [*space, C], got {shapes}.")
    generated_distance, generated_index = nearest(generated, train, flips, chunk)
    held_out_distance, held_out_index = nearest(held_out, train, flips, chunk)
    distinct = np.unique(generated.reshape(len(generated), -1), axis=0)
    return NearestTraining(
        generated_distance,
        generated_index,
        held_out_distance,
        held_out_index,
        len(generated) - len(distinct),
    )


def nearest(
    queries: np.ndarray, train: np.ndarray, flips: Sequence[str], chunk: int = 512
) -> tuple[np.ndarray, np.ndarray]:
    """Distance and index of the nearest training image, over queries mirrored in every way too."""
    names = FLIPS[-(queries.ndim - 2) :]
    axes = [1 + names.index(name) for name in flips]
    distance, index = _nearest_unflipped(queries, train, chunk)
    for count in range(1, len(axes) + 1):
        for some in itertools.combinations(axes, count):
            mirrored, other = _nearest_unflipped(np.flip(queries, some), train, chunk)
            index = np.where(mirrored < distance, other, index)
            distance = np.minimum(distance, mirrored)
    return distance, index


def _nearest_unflipped(
    queries: np.ndarray, train: np.ndarray, chunk: int
) -> tuple[np.ndarray, np.ndarray]:
    # A matrix product finds the neighbour; its rounding is then removed by an exact distance.
    flat = queries.reshape(len(queries), -1).astype(np.float32) - 127.5
    best = np.full(len(queries), np.inf, dtype=np.float32)
    index = np.zeros(len(queries), dtype=np.int64)
    for i in range(0, len(train), chunk):
        rows = train[i : i + chunk].reshape(len(train[i : i + chunk]), -1)
        rows = rows.astype(np.float32) - 127.5
        # |q - t|^2 up to the query's own norm, which does not change the order.
        score = (rows**2).sum(axis=1) - 2 * flat @ rows.T
        nearest = score.argmin(axis=1)
        value = score[np.arange(len(flat)), nearest]
        index = np.where(value < best, nearest + i, index)
        best = np.minimum(best, value)
    return _exact_rms(queries, train, index), index


def _exact_rms(queries: np.ndarray, train: np.ndarray, index: np.ndarray) -> np.ndarray:
    gaps = [
        np.sqrt(np.mean((q.astype(np.float64) - train[i]) ** 2)) / 255
        for q, i in zip(queries, index, strict=True)
    ]
    return np.asarray(gaps)
