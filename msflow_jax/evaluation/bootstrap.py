"""Percentile bootstrap over test images (Efron 1979), by counts instead of copied rows."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def resample_counts(
    images: int, resamples: int, seed: int, chunk: int = 50
) -> Iterator[np.ndarray]:
    """Yields `[<=chunk, images]` float counts: how often each image is in each resample."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(0, images, size=(rows, images))
        flat = (drawn + images * np.arange(rows)[:, None]).ravel()
        yield np.bincount(flat, minlength=rows * images).reshape(rows, images).astype(np.float64)


def bootstrap_intervals(
    metrics: dict[str, Callable[[np.ndarray], np.ndarray]],
    images: int,
    *,
    resamples: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Any]:
    """Percentile intervals of metrics that are functions of case weights.

    Args:
        metrics: name -> function from weights `[R, images]` to values `[R]`, NaN where undefined.
        images: number of test images.
        resamples: bootstrap resamples.
        seed: of the resampling.
        level: mass inside the interval.

    Returns:
        name -> [low, high] or None where no resample defined it, and level, resamples, seed.
    """
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for counts in resample_counts(images, resamples, seed):
        for name, metric in metrics.items():
            values[name].append(metric(counts))
    tail = 100 * (1 - level) / 2
    out: dict[str, Any] = {"level": level, "resamples": resamples, "seed": seed}
    for name, chunks in values.items():
        drawn = np.concatenate(chunks) if chunks else np.zeros(0)
        drawn = drawn[~np.isnan(drawn)]
        out[name] = (
            [float(v) for v in np.percentile(drawn, [tail, 100 - tail])] if drawn.size else None
        )
    return out
