"""Calibration: does a stated probability of 0.8 come true four times in five?

Expected calibration error after Guo et al. 2017 (arXiv 1706.04599), equal-width bins, top label;
Brier score in Brier's multi-class sum form (0 best, 2 worst).
"""

from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_labels, check_probabilities


def reliability_table(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> list[dict[str, Any]]:
    """Groups the images by their top probability.

    Args:
        labels: int `[N]`.
        probabilities: `[N, K]`, rows sum to 1.
        bins: number of equal-width bins of (0, 1].

    Returns:
        One dict a bin: lower, upper, count, and the mean confidence and accuracy (None if empty).
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
        count = int(inside.sum())
        table.append(
            {
                "lower": b / bins,
                "upper": (b + 1) / bins,
                "count": count,
                "confidence": float(confidence[inside].mean()) if count else None,
                "accuracy": float(correct[inside].mean()) if count else None,
            }
        )
    return table


def ece_of_table(table: list[dict[str, Any]]) -> float:
    """Count-weighted mean gap between confidence and accuracy of a `reliability_table`."""
    filled = [row for row in table if row["count"]]
    total = sum(row["count"] for row in filled)
    gaps = (row["count"] * abs(row["confidence"] - row["accuracy"]) for row in filled)
    return float(sum(gaps) / total)


def ece(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top label, in [0, 1].

    Args:
        labels: int `[N]`.
        probabilities: `[N, K]`.
        bins: number of equal-width bins.
    """
    return ece_of_table(reliability_table(labels, probabilities, bins))


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over images of sum over classes of (p_k - [label = k])^2, in [0, 2]."""
    probabilities = check_probabilities(probabilities)
    labels = check_labels(labels, probabilities.shape[1])
    target = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - target) ** 2).sum(axis=1).mean())


def negative_log_likelihood(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -log p(label) in nats; probabilities below 1e-12 count as 1e-12."""
    probabilities = check_probabilities(probabilities)
    labels = check_labels(labels, probabilities.shape[1])
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T) of probabilities `[N, K]`: T > 1 softens, T < 1 sharpens.

    Raises:
        ValueError: if the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    logits = np.log(np.maximum(check_probabilities(probabilities), 1e-12)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature in [0.01, 100] that minimises the negative log-likelihood.

    Fit it on validation data: fitted on the test split, it flatters its own report.

    Args:
        labels: int `[N]` of the validation split.
        probabilities: `[N, K]`.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = apply_temperature(probabilities, float(np.exp(log_temperature)))
        return negative_log_likelihood(labels, scaled)

    limit = float(np.log(100.0))
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x))
