"""Calibration: does a stated probability of 0.8 come true four times in five?

Expected calibration error after Guo et al. 2017 (arXiv 1706.04599), equal-width bins, top label;
Brier score in Brier's multi-class sum form (0 best, 2 worst).
"""

from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_labels, check_probabilities

_MIN_PROBABILITY = 1e-12  # so that one certain and wrong prediction does not cost infinitely much


def reliability_table(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15, weights: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """Groups the images by their top probability.

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``, rows sum to 1.
        bins: number of equal-width bins of (0, 1].
        weights: how much each image counts ``[N]``, at least 0; None: all alike.

    Returns:
        One dict per bin: lower, upper, count, and the mean confidence and accuracy (None if empty);
        with weights also their sum ``weight``.
    """
    probabilities = check_probabilities(probabilities)
    labels = check_labels(labels, probabilities.shape[1])
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    # Bins are open below and closed above, so that a confidence of 1 falls in the last one.
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    table = []
    for b in range(bins):
        inside = index == b
        count, counted = int(inside.sum()), None if weights is None else weights[inside]
        means = [
            float(np.average(values[inside], weights=counted)) if count else None
            for values in (confidence, correct)
        ]
        row = {
            "lower": b / bins, "upper": (b + 1) / bins, "count": count,
            "confidence": means[0], "accuracy": means[1],
        }  # fmt: skip
        table.append(row if counted is None else {**row, "weight": float(counted.sum())})
    return table


def ece_of_table(table: list[dict[str, Any]]) -> float:
    """Mean gap between confidence and accuracy of a ``reliability_table``, by its counts or weights."""
    filled = [(row.get("weight", row["count"]), row) for row in table if row["count"]]
    total = sum(size for size, _ in filled)
    gaps = (size * abs(row["confidence"] - row["accuracy"]) for size, row in filled)
    return float(sum(gaps) / total)


def ece(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Expected calibration error of the top label in 15 bins of equal width, in [0, 1].

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``.
        weights: how much each image counts ``[N]``, at least 0; None: all alike.
    """
    return ece_of_table(reliability_table(labels, probabilities, weights=weights))


def classwise_ece(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15, weights: np.ndarray | None = None
) -> float:
    """Mean over classes of the calibration error of that class's probability, whether on top or not.

    Kull et al. 2019 (arXiv 1910.12656). Arguments as of :func:`reliability_table`.
    """
    probabilities = check_probabilities(probabilities)
    labels = check_labels(labels, probabilities.shape[1])
    index = np.clip(np.ceil(probabilities * bins).astype(int) - 1, 0, bins - 1)
    hit = labels[:, None] == np.arange(probabilities.shape[1])[None]
    counted = 1.0 if weights is None else (weights / weights.mean())[:, None]
    gaps = [
        np.abs((counted * (probabilities - hit) * (index == b)).sum(axis=0)) for b in range(bins)
    ]  # of a bin, times its count
    return float(np.sum(gaps) / probabilities.size)


def brier(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Mean over images of sum over classes of (p_k - [label = k])^2, in [0, 2].

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``, rows sum to 1.
        weights: how much each image counts ``[N]``, at least 0; None: all alike.
    """
    from sklearn.metrics import brier_score_loss  # its import takes a second or two

    probabilities = _normalised(probabilities)
    classes = np.arange(probabilities.shape[1])
    labels = check_labels(labels, len(classes))
    return brier_score_loss(
        labels, probabilities, sample_weight=weights, labels=classes, scale_by_half=False
    )


def negative_log_likelihood(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Mean of -log p(label) in nats; probabilities below 1e-12 count as 1e-12.

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``, rows sum to 1.
        weights: how much each image counts ``[N]``, at least 0; None: all alike.
    """
    from sklearn.metrics import log_loss

    probabilities = np.maximum(_normalised(probabilities), _MIN_PROBABILITY)
    classes = np.arange(probabilities.shape[1])
    labels = check_labels(labels, len(classes))
    return log_loss(labels, probabilities, sample_weight=weights, labels=classes)


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    """Rows that sum to 1 to 1e-8, as scikit-learn expects; those of float32 are 1e-7 off."""
    probabilities = check_probabilities(probabilities)
    return probabilities / probabilities.sum(axis=-1, keepdims=True)
