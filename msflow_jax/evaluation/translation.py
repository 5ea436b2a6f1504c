"""How near translated images are to the true ones, and whether their spread says where not."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from msflow_jax.evaluation.auc import binary_auc
from msflow_jax.evaluation.bootstrap import bootstrap_intervals
from msflow_jax.evaluation.paired import decibels, ms_ssim, ssim_map
from msflow_jax.evaluation.ratios import number_of, weighted_mean

LEVELS = (0.5, 0.8, 0.9)  # of the intervals whose coverage is counted
LARGE = 0.9  # quantile of the errors from which on one is large
_PIXELS = 200_000  # for the AUROC, drawn at random


def scores(truth: np.ndarray, predicted: np.ndarray, inside: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of every image, ``[N]`` each.

    Args:
        truth: ``[N, *space, C]`` in [0, 1].
        predicted: the same shape.
        inside: foreground, bool ``[N, *space]``.

    Returns:
        ``psnr`` in dB (range 1), ``ssim``, ``ms_ssim``, ``mae``, and with ``_inside`` those of the
        foreground alone. NaN of an image without foreground: air that is drawn as air would count as
        perfect, 100 dB, and outweigh all others in a mean.
    """
    axes = tuple(range(1, truth.ndim))
    error = np.abs(truth.astype(np.float64) - predicted)
    weight = inside[..., None].astype(np.float64)
    count = weight.sum(axes) * truth.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        inner = np.where(count > 0, (error * weight).sum(axes) / count, np.nan)
        inner_square = np.where(count > 0, (error**2 * weight).sum(axes) / count, np.nan)
    likeness = _likeness(truth, predicted)
    with np.errstate(invalid="ignore", divide="ignore"):
        inner_likeness = np.where(count > 0, (likeness * weight).sum(axes) / count, np.nan)
    whole = {
        "psnr": np.asarray(decibels((error**2).mean(axes)), np.float64),
        "ssim": likeness.mean(axes),
        "ms_ssim": _multiscale(truth, predicted),
        "mae": error.mean(axes),
    }
    return {
        **{name: np.where(count > 0, values, np.nan) for name, values in whole.items()},
        "psnr_inside": np.asarray(decibels(inner_square), np.float64),
        "ssim_inside": inner_likeness,
        "mae_inside": inner,
    }


def blank(inside: np.ndarray) -> int:
    """How many images have no foreground, of bool ``[N, *space]``."""
    return int((~inside.reshape(len(inside), -1).any(axis=1)).sum())


def _planes(images: np.ndarray) -> np.ndarray:
    """``[M, H, W, C]``: volumes by their axial slices."""
    return images.reshape(-1, *images.shape[-3:])


def _likeness(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """SSIM of every pixel, of volumes slice by slice, ``[N, *space, C]``, see ``paired.ssim``."""
    a, b = (jnp.asarray(2 * _planes(x) - 1, jnp.float32) for x in (truth, predicted))
    return np.asarray(ssim_map(a, b), np.float64).reshape(truth.shape)


def _multiscale(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    a, b = (jnp.asarray(2 * _planes(x) - 1, jnp.float32) for x in (truth, predicted))
    return np.asarray(ms_ssim(a, b), np.float64).reshape(len(truth), -1).mean(axis=1)


def summary(measured: Mapping[str, np.ndarray], groups: Sequence[Any] | None) -> dict[str, Any]:
    """Means over images with intervals over subjects: ``{name: {"value", "interval"}}``."""
    count = len(next(iter(measured.values())))
    functions = {name: weighted_mean(values) for name, values in measured.items()}
    intervals = bootstrap_intervals(functions, count, groups=groups)
    ones = np.ones((1, count))
    return {
        name: {"value": number_of(function(ones)[0]), "interval": intervals[name]}
        for name, function in functions.items()
    }


def spread(truth: np.ndarray, draws: np.ndarray, inside: np.ndarray) -> dict[str, Any]:
    """Whether the draws' spread is that of the errors, over foreground pixels.

    Args:
        truth: ``[N, *space, C]`` in [0, 1].
        draws: ``[K, N, *space, C]``, K at least 2.
        inside: foreground, bool ``[N, *space]``.

    Returns:
        ``coverage``: by the level of a central interval of the draws, the share of the true values in
        it (of K draws no interval is wider than from the least to the largest, whose level is
        (K - 1) / (K + 1)); ``coverage_normal``: the same of mean and deviation as of a normal
        distribution; ``crps``; ``auroc``: of the deviation as a finder of the largest tenth of errors.
    """
    where = np.broadcast_to(inside[..., None], truth.shape)
    y, x = truth[where].astype(np.float64), np.sort(draws[:, where].astype(np.float64), axis=0)
    if not y.size or len(x) < 2:
        return {}
    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    found: dict[str, Any] = {"draws": len(x), "crps": float(crps(y, x).mean())}
    found["coverage"] = {f"{level:g}": _covered(y, x, level) for level in LEVELS}
    # The predictive deviation of K draws of unknown mean: wider than theirs.
    wide = deviation * np.sqrt(1 + 1 / len(x))
    found["coverage_normal"] = {
        f"{level:g}": float((np.abs(y - mean) <= _quantile(level, len(x)) * wide).mean())
        for level in LEVELS
    }
    error = np.abs(y - mean)
    chosen = np.random.default_rng(0).permutation(len(y))[:_PIXELS]
    large = error[chosen] > np.quantile(error[chosen], LARGE)
    found["auroc"] = binary_auc(large, deviation[chosen])
    return found


def crps(y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of draws ``[K, M]`` for values ``[M]``; the fair estimate.

    Ferro 2014: ``mean |x_i - y| - sum_{i, j} |x_i - x_j| / (2 K (K - 1))``, whose mean does not depend
    on the number of draws.
    """
    count = len(draws)
    ordered = np.sort(draws, axis=0)
    ranks = 2 * np.arange(1, count + 1) - count - 1
    between = (ranks.reshape(-1, *(1,) * y.ndim) * ordered).sum(axis=0) / (count * (count - 1))
    return np.abs(ordered - y).mean(axis=0) - between


def _covered(y: np.ndarray, ordered: np.ndarray, level: float) -> float | None:
    """Share of values within the central interval of draws of this level; None where K is too few."""
    count = len(ordered)
    # Order statistics i and K + 1 - i of K draws hold the next one with (K + 1 - 2 i) / (K + 1).
    # It may be a whole number that floats miss by a hair.
    rank = round((count + 1) * (1 - level) / 2, 9)
    if rank < 1:
        return None
    low, part = int(rank), rank - int(rank)
    below = ordered[low - 1] * (1 - part) + ordered[low] * part
    above = ordered[count - low] * (1 - part) + ordered[count - low - 1] * part
    return float(((below <= y) & (y <= above)).mean())


def _quantile(level: float, count: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, count - 1))


def mean_image(targets: np.ndarray) -> np.ndarray:
    """The mean of training images ``[N, *space, C]``: what one knows without a source."""
    return targets.astype(np.float64).mean(axis=0)


def tone_curve(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The best curve of 256 grey levels by least squares: the mean target of each, ``[256]``.

    Levels that no training pixel has are interpolated.

    Args:
        sources: uint8 ``[N, ...]``.
        targets: uint8, the same shape.
    """
    counts = np.bincount(sources.ravel(), minlength=256)
    totals = np.bincount(sources.ravel(), targets.ravel().astype(np.float64), minlength=256)
    known = np.flatnonzero(counts)
    return np.interp(np.arange(256), known, totals[known] / counts[known]) / 255
