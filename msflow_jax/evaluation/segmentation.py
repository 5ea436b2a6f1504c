"""Overlap of predicted and true label maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def evaluate_segmentation(
    truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Dice, intersection over union and pixel accuracy, over all pixels of all images together.

    Args:
        truth: int ``[N, *space]`` in 0..K-1.
        predicted: int ``[N, *space]`` in 0..K-1.
        classes: K class names.

    Returns:
        ``accuracy``, ``mean_dice`` and ``mean_iou`` over the classes present in either map, and
        ``classes`` with ``dice``, ``iou`` and ``pixels`` (of the truth) for each; None where a class is
        nowhere. Without a pixel all are None, with the reason under ``undefined``.

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
    rows, dice, iou = {}, [], []
    for i, name in enumerate(classes):
        present = true[i] + predicted_count[i] > 0
        d = float(2 * both[i] / (true[i] + predicted_count[i])) if present else None
        j = float(both[i] / (true[i] + predicted_count[i] - both[i])) if present else None
        rows[name] = {"dice": d, "iou": j, "pixels": int(true[i])}
        if d is not None and j is not None:
            dice.append(d)
            iou.append(j)
    found = {
        "accuracy": float(both.sum() / truth.size) if truth.size else None,
        "mean_dice": float(np.mean(dice)) if dice else None,
        "mean_iou": float(np.mean(iou)) if iou else None,
        "classes": rows,
    }
    if truth.size:
        return found
    return {**found, "undefined": dict.fromkeys(("accuracy", "mean_dice", "mean_iou"), "no pixel")}
