"""Whether pixels of which a segmentation is uncertain are those that it gets wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.bootstrap import bootstrap_intervals
from msflow_jax.evaluation.ratios import Counted, rarest

_LEVELS, _BINS = 512, 10


def evaluate_uncertainty(
    wrong: np.ndarray,
    uncertainty: np.ndarray,
    *,
    groups: Sequence[Any] | None = None,
    resamples: int = 500,
) -> dict[str, Any]:
    """How well uncertainty tells wrong pixels from right ones, and how errors rise with it.

    Args:
        wrong: bool ``[N, *space]``.
        uncertainty: in [0, 1], ``[N, *space]``.
        groups: subject of each image, or None; see :func:`bootstrap_intervals`.
        resamples: number of bootstrap resamples.

    Returns:
        ``auroc`` of errors by uncertainty over all pixels (ties of 512 levels count half), its
        ``intervals``, ``mean_wrong`` and ``mean_right`` uncertainty, ``images_spearman``: rank
        correlation of the images' mean uncertainty with their share of wrong pixels, and ``bins``:
        ``above``, ``share`` of the pixels and ``error`` among them for each tenth of the range. What is
        not defined is None, with the reason under ``undefined``.

    Raises:
        ValueError: shapes that differ, or an uncertainty outside [0, 1].
    """
    wrong, uncertainty = np.asarray(wrong, bool), np.asarray(uncertainty)
    if wrong.shape != uncertainty.shape:
        raise ValueError(f"errors {wrong.shape} and uncertainties {uncertainty.shape} differ")
    if uncertainty.size and not (uncertainty.min() >= 0 and uncertainty.max() <= 1):
        raise ValueError(
            f"uncertainties lie in [0, 1], got {uncertainty.min():g} to {uncertainty.max():g}"
        )
    images = len(wrong)
    flat, error = uncertainty.reshape(images, -1), wrong.reshape(images, -1)
    pairs = list(zip(flat, error, strict=True))
    # Most pixels are nearly certain: levels are finer there.
    counts = [_counts(np.cbrt(one), bad, _LEVELS) for one, bad in pairs]
    right, bad = np.array(counts, np.float64).reshape(images, 2, _LEVELS).transpose(1, 0, 2)
    tenths = np.array([_counts(one, bad, _BINS) for one, bad in pairs]).sum(axis=0)
    among = rarest(np.stack([error.any(axis=1), ~error.all(axis=1)], axis=1), groups)
    found = bootstrap_intervals(
        {"auroc": Counted(lambda weights: _areas(weights @ right, weights @ bad), among)}, images,
        groups=groups, resamples=resamples,
    )  # fmt: skip
    area = float(_areas(right.sum(axis=0), bad.sum(axis=0)))
    spearman = _spearman(flat.mean(axis=1), error.mean(axis=1))
    values: dict[str, Any] = {
        "auroc": None if np.isnan(area) else area,
        "mean_wrong": float(flat[error].mean()) if error.any() else None,
        "mean_right": float(flat[~error].mean()) if not error.all() else None,
        "images_spearman": spearman,
    }
    reasons = {name: "no pixel is wrong, or none right" for name in values if values[name] is None}
    if spearman is None:
        reasons["images_spearman"] = "fewer than three images, or all of them alike"
    return {
        **values, "intervals": {"auroc": found["auroc"]}, "bins": _bins(*tenths),
        **({"undefined": reasons} if reasons else {}),
    }  # fmt: skip


def _areas(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """AUROC by counts of each level, ``[..., L]``; NaN where there are none of one kind."""
    below = np.cumsum(right, axis=-1) - right
    with np.errstate(invalid="ignore", divide="ignore"):
        return (wrong * (below + right / 2)).sum(axis=-1) / (
            right.sum(axis=-1) * wrong.sum(axis=-1)
        )


def _spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    from scipy.stats import spearmanr

    if len(a) < 3 or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    return float(spearmanr(a, b).statistic)


def _counts(values: np.ndarray, wrong: np.ndarray, levels: int) -> np.ndarray:
    """Right and wrong pixels ``[2, levels]`` by their value in [0, 1], of one image."""
    level = np.minimum((values * levels).astype(int), levels - 1)
    return np.bincount(level + levels * wrong, minlength=2 * levels).reshape(2, levels)


def _bins(right: np.ndarray, wrong: np.ndarray) -> list[dict[str, Any]]:
    """Share and error of the pixels in each tenth of the range of uncertainty."""
    total = right + wrong
    return [
        {
            "above": i / _BINS,
            "share": float(n / max(total.sum(), 1)),
            "error": float(b / n) if n else None,
        }
        for i, (n, b) in enumerate(zip(total, wrong, strict=True))
    ]
