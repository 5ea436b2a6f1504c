"""Overlap of predicted and true label maps, and how far their borders lie apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.bootstrap import bootstrap_intervals
from msflow_jax.evaluation.ratios import Counted, mean_over, rarest, weighted_mean, weighted_ratio
from msflow_jax.evaluation.surfaces import hausdorff

FOREGROUND = "mean_dice_foreground"


def evaluate_segmentation(
    truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Dice, intersection over union and pixel accuracy, over all pixels of all images together.

    Args:
        truth: int ``[N, *space]`` in 0..K-1.
        predicted: int ``[N, *space]`` in 0..K-1.
        classes: K class names.

    Returns:
        ``accuracy``, ``mean_dice`` and ``mean_iou`` over the classes present in either map,
        ``mean_dice_foreground`` over those without class 0, which is the background, and ``classes``
        with ``dice``, ``iou`` and ``pixels`` (of the truth) for each; None where a class is nowhere.
        A mean over none is None, with the reason under ``undefined``; without a pixel all are.

    Raises:
        ValueError: for shapes that disagree or labels out of range.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    k = len(classes)
    if truth.shape != predicted.shape or truth.ndim not in (3, 4):
        raise ValueError(
            f"need two arrays [N, H, W] or [N, D, H, W], got {truth.shape} and {predicted.shape}"
        )
    for name, values in (("truth", truth), ("predicted", predicted)):
        if values.size and not 0 <= values.min() <= values.max() < k:
            raise ValueError(
                f"{name} holds labels outside 0..{k - 1}: {values.min()}..{values.max()}"
            )
    pairs = truth.astype(np.int64).ravel() * k + predicted.ravel()
    confusion = np.bincount(pairs, minlength=k * k).reshape(k, k)
    both, true, predicted_count = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    rows, dice, iou, foreground = {}, [], [], []
    for i, name in enumerate(classes):
        present = true[i] + predicted_count[i] > 0
        d = float(2 * both[i] / (true[i] + predicted_count[i])) if present else None
        j = float(both[i] / (true[i] + predicted_count[i] - both[i])) if present else None
        rows[name] = {"dice": d, "iou": j, "pixels": int(true[i])}
        if d is not None and j is not None:
            dice.append(d)
            iou.append(j)
            foreground.extend([d] if i else [])
    found = {
        "accuracy": float(both.sum() / truth.size) if truth.size else None,
        "mean_dice": float(np.mean(dice)) if dice else None,
        "mean_iou": float(np.mean(iou)) if iou else None,
        FOREGROUND: float(np.mean(foreground)) if foreground else None,
        "classes": rows,
    }
    why = f"no pixel but of {classes[0]}" if truth.size else "no pixel"
    undefined = {name: why for name, value in found.items() if value is None}
    return found | ({"undefined": undefined} if undefined else {})


def evaluate_images(
    truth: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    *,
    sizes: np.ndarray | None = None,
    groups: Sequence[Any] | None = None,
    resamples: int = 500,
) -> dict[str, Any]:
    """What :func:`evaluate_segmentation` gives, and scores of each image with their intervals.

    An image that has a class neither in truth nor in the prediction says nothing on it: its Dice is left
    out, and ``absent`` counts it. Where only one of both has it the Dice is 0 and there is no distance:
    ``missed`` counts those of the truth, ``invented`` those of the prediction.

    Args:
        truth: int ``[N, *space]`` in 0..K-1.
        predicted: int ``[N, *space]`` in 0..K-1.
        classes: K class names.
        sizes: mm of the pixels of each image along each axis ``[N, dims]``; None: distances in pixels.
        groups: subject of each image, or None; see :func:`bootstrap_intervals`.
        resamples: number of bootstrap resamples.

    Returns:
        With each class also ``image_dice``, ``hd`` and ``hd95`` (means over images, None where there is
        none), ``intervals`` of these and of ``dice``, and the counts; ``unit`` of the distances; and
        ``intervals`` of both mean Dice, of which ``undefined`` says why there is none.

    Raises:
        ValueError: see :func:`evaluate_segmentation`.
    """
    found = evaluate_segmentation(truth, predicted, classes)
    k, images = len(classes), len(truth)
    if not images:
        return found
    counts = np.stack([_counts(*pair, k) for pair in zip(truth, predicted, strict=True)])
    both, true, made = counts.astype(np.float64).transpose(1, 0, 2)  # [N, K] each
    with np.errstate(invalid="ignore"):
        dice = 2 * both / (true + made)
    far = _distances(truth, predicted, k, sizes)
    means = {"image_dice": dice, "hd": far[..., 0], "hd95": far[..., 1]}
    overlap = weighted_ratio(2 * both, true + made)
    metrics: dict[str, Any] = {name: weighted_mean(values) for name, values in means.items()}
    metrics["dice"] = overlap
    there = (true + made).sum(axis=0) > 0
    metrics["mean_dice"] = _mean_of(overlap, there, groups)
    metrics[FOREGROUND] = _mean_of(overlap, there & (np.arange(k) > 0), groups)
    spans = bootstrap_intervals(metrics, images, groups=groups, resamples=resamples)
    for i, row in enumerate(found["classes"].values()):
        row |= {name: _mean(values[:, i]) for name, values in means.items()}
        row["intervals"] = {name: spans[name][i] for name in ("dice", *means)}
        row |= {
            "images": int((true[:, i] > 0).sum()),
            "missed": int(((true[:, i] > 0) & (made[:, i] == 0)).sum()),
            "invented": int(((true[:, i] == 0) & (made[:, i] > 0)).sum()),
            "absent": int(((true[:, i] == 0) & (made[:, i] == 0)).sum()),
        }
    intervals: dict[str, Any] = {name: spans[name] for name in ("mean_dice", FOREGROUND)}
    intervals |= {key: spans[key] for key in ("unit", "groups") if key in spans}
    reasons = {k: why for k, why in spans.get("undefined", {}).items() if isinstance(why, str)}
    intervals |= {"undefined": reasons} if reasons else {}
    return {**found, "unit": "pixels" if sizes is None else "mm", "intervals": intervals}


def _mean_of(overlap: Counted, there: np.ndarray, groups: Sequence[Any] | None) -> Counted:
    """The mean of ratios over the classes that are there, bool ``[K]``."""
    return Counted(
        lambda weights: mean_over(overlap(weights), there), rarest(overlap.among[:, there], groups)
    )


def _counts(truth: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """Pixels of each class in both maps, in the first and in the second, ``[3, K]``."""
    pairs = truth.astype(np.int64).ravel() * k + predicted.ravel()
    table = np.bincount(pairs, minlength=k * k).reshape(k, k)
    return np.stack([np.diag(table), table.sum(axis=1), table.sum(axis=0)])


def _distances(
    truth: np.ndarray, predicted: np.ndarray, k: int, sizes: np.ndarray | None
) -> np.ndarray:
    """Hausdorff distance and its 95 % version of each image and class, ``[N, K, 2]``."""
    out = np.full((len(truth), k, 2), np.nan)
    for i, pair in enumerate(zip(truth, predicted, strict=True)):
        spacing = () if sizes is None else sizes[i].tolist()
        for c in range(k):
            a, b = (one == c for one in pair)
            if a.any() and b.any():
                out[i, c] = hausdorff(a, b, spacing)
    return out


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
