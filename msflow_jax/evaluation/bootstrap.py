"""Percentile bootstrap over test images or subjects (Efron 1979), by counts instead of copied rows."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


def resample_counts(units: int, resamples: int, seed: int, chunk: int = 50) -> Iterator[np.ndarray]:
    """Yields ``[<=chunk, units]`` float counts: how often each unit is in each resample.

    Args:
        units: number of images or subjects.
        resamples: number of resamples.
        seed: seed of the resampling.
        chunk: resamples held at once.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        chosen = rng.integers(0, units, size=(rows, units))
        flat = (chosen + units * np.arange(rows)[:, None]).ravel()
        yield np.bincount(flat, minlength=rows * units).reshape(rows, units).astype(np.float64)


def bootstrap_intervals(
    metrics: dict[str, Callable[[np.ndarray], np.ndarray]],
    images: int,
    *,
    groups: Sequence[Any] | None = None,
    resamples: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Any]:
    """Percentile intervals of metrics that are functions of case weights.

    Images of one subject resemble each other: where a subject has several, resampling whole subjects
    gives the wider interval that holds.

    Args:
        metrics: name -> function from weights ``[R, images]`` to values ``[R]``, NaN where undefined.
        images: number of test images.
        groups: subject of each image, names or numbers ``[images]``; whole subjects are resampled
            then. None resamples images.
        resamples: number of bootstrap resamples.
        seed: seed of the resampling.
        level: mass inside the interval.

    Returns:
        name -> [low, high], or None where no resample defined it or there is one subject only; and
        level, resamples, seed. With ``groups`` also ``unit`` ("subject") and ``groups`` (how many).

    Raises:
        ValueError: the groups are not one per image.
    """
    facts: dict[str, Any] = {"level": level, "resamples": resamples, "seed": seed}
    units, unit_of_image = images, None
    if groups is not None:
        unit_of_image = _number_groups(groups, images)
        units = int(unit_of_image.max()) + 1
        facts |= {"unit": "subject", "groups": units}
        if units < 2:
            return facts | dict.fromkeys(metrics)
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for counts in resample_counts(units, resamples, seed):
        weights = counts if unit_of_image is None else counts[:, unit_of_image]
        for name, metric in metrics.items():
            values[name].append(metric(weights))
    return facts | {name: _interval(chunks, level) for name, chunks in values.items()}


def _number_groups(groups: Sequence[Any], images: int) -> np.ndarray:
    """The number of each image's group, int ``[images]`` from 0."""
    names = [str(group) for group in groups]
    if len(names) != images or not names:
        raise ValueError(
            f"groups must name the subject of each of the {images} images, got {len(names)} names."
        )
    return np.unique(names, return_inverse=True)[1]


def _interval(chunks: list[np.ndarray], level: float) -> list[float] | None:
    values = np.concatenate(chunks) if chunks else np.zeros(0)
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    tail = 100 * (1 - level) / 2
    return [float(v) for v in np.percentile(values, [tail, 100 - tail])]
