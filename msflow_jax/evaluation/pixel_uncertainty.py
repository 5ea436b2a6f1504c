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
    inside: np.ndarray | None = None,
    groups: Sequence[Any] | None = None,
    resamples: int = 500,
) -> dict[str, Any]:
    """How well uncertainty tells wrong pixels from right ones, and how errors rise with it.

    Args:
        wrong: bool ``[N, *space]``.
        uncertainty: in [0, 1], ``[N, *space]``.
        inside: bool ``[N, *space]``, of each image somewhere True: the pixels that count, where images
            are padded; None: all.
        groups: subject of each image, or None; see :func:`bootstrap_intervals`.
        resamples: number of bootstrap resamples.

    Returns:
        ``auroc`` of errors by uncertainty over these pixels (ties of 512 levels count half), its
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
    inside = np.ones(wrong.shape, bool) if inside is None else np.asarray(inside, bool)
    if inside.shape != wrong.shape:
        raise ValueError(f"errors {wrong.shape} and the pixels inside {inside.shape} differ")
    images = len(wrong)
    pairs = [(one[at], bad[at]) for one, bad, at in zip(uncertainty, wrong, inside, strict=True)]
    values, error = (np.concatenate(of) for of in zip(*pairs, strict=True))
    kinds = np.array([(bad.any(), not bad.all()) for _, bad in pairs])
    # Most pixels are nearly certain: levels are finer there.
    counts = [_counts(np.cbrt(one), bad, _LEVELS) for one, bad in pairs]
    right, bad = np.array(counts, np.float64).reshape(images, 2, _LEVELS).transpose(1, 0, 2)
    tenths = np.array([_counts(one, bad, _BINS) for one, bad in pairs]).sum(axis=0)
    among = rarest(kinds, groups)
    found = bootstrap_intervals(
        {"auroc": Counted(lambda weights: _areas(weights @ right, weights @ bad), among)}, images,
        groups=groups, resamples=resamples,
    )  # fmt: skip
    area = float(_areas(right.sum(axis=0), bad.sum(axis=0)))
    spearman = _spearman(*(np.array([one.mean() for one in of]) for of in zip(*pairs, strict=True)))
    scores: dict[str, Any] = {
        "auroc": None if np.isnan(area) else area,
        "mean_wrong": float(values[error].mean()) if error.any() else None,
        "mean_right": float(values[~error].mean()) if not error.all() else None,
        "images_spearman": spearman,
    }
    reasons = {name: "no pixel is wrong, or none right" for name in scores if scores[name] is None}
    if spearman is None:
        reasons["images_spearman"] = "fewer than three images, or all of them alike"
    return {
        **scores, "intervals": {"auroc": found["auroc"]}, "bins": _bins(*tenths),
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
