"""Selective prediction: what accuracy is left when the least certain images are rejected.

Rejection curve as in MedSymmFlow's official code; area under the risk-coverage curve and its excess
over the best possible order after Geifman et al. 2019 (arXiv 1805.08206).
"""

from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_finite, check_shape


def rejection_order(uncertainty: np.ndarray) -> np.ndarray:
    """Indices ``[N]`` from the least to the most certain image; ties keep their given order."""
    return np.argsort(-check_finite(uncertainty, "uncertainty"), kind="stable")


def _certain_first(correct: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    correct = np.asarray(correct, dtype=bool)
    if correct.ndim != 1 or correct.size == 0:
        raise ValueError(f"correct must be a non-empty [N] array, got shape {correct.shape}.")
    check_shape(np.asarray(uncertainty), correct.shape, "uncertainty")
    return correct[rejection_order(uncertainty)[::-1]]


def rejection_curve(
    correct: np.ndarray, uncertainty: np.ndarray, steps: int = 20
) -> dict[str, list[Any]]:
    """Accuracy of the images kept after dropping the most uncertain floor(r N).

    Args:
        correct: bool ``[N]``, whether each prediction is right.
        uncertainty: ``[N]``, larger = less certain. Ties are dropped in their given order.
        steps: r = 0, 1/steps, ..., (steps-1)/steps; the default steps by 5 %.

    Returns:
        ``rejected`` (r), ``kept`` (images left) and ``accuracy`` (of those left), lists of equal length.
    """
    certain = _certain_first(correct, uncertainty)
    n = len(certain)
    # Whole-number arithmetic: floor(0.55 * 20) in floating point depends on rounding.
    kept = [n - (i * n) // steps for i in range(steps)]
    return {
        "rejected": [i / steps for i in range(steps)],
        "kept": kept,
        "accuracy": [float(certain[:k].mean()) for k in kept],
    }


def _risk(certain: np.ndarray) -> np.ndarray:
    """Error among the n most certain, for n = 1..N."""
    return np.cumsum(~certain) / np.arange(1, len(certain) + 1)


def aurc(correct: np.ndarray, uncertainty: np.ndarray) -> float:
    """Area under the risk-coverage curve: mean over n = 1..N of the error of the n most certain.

    Args:
        correct: bool ``[N]``.
        uncertainty: ``[N]``, larger = less certain.
    """
    return float(_risk(_certain_first(correct, uncertainty)).mean())


def optimal_aurc(correct: np.ndarray) -> float:
    """The smallest AURC that any order of these predictions can have: every error ranked last."""
    correct = np.asarray(correct, dtype=bool)
    return float(_risk(np.sort(correct)[::-1]).mean())


def excess_aurc(correct: np.ndarray, uncertainty: np.ndarray) -> float:
    """AURC minus the optimal one: 0 when every error is less certain than every hit."""
    return aurc(correct, uncertainty) - optimal_aurc(correct)


def coverage_at_accuracy(
    correct: np.ndarray, uncertainty: np.ndarray, target: float
) -> dict[str, float | None]:
    """The largest share of images that can be kept with at least the target accuracy.

    Args:
        correct: bool ``[N]``.
        uncertainty: ``[N]``, larger = less certain.
        target: required accuracy, in (0, 1].

    Returns:
        ``accuracy`` (the target), ``coverage`` in [0, 1] (0 if no share reaches it) and ``threshold``,
        the largest uncertainty kept (None if none is). Choose a threshold on validation data.
    """
    certain = _certain_first(correct, uncertainty)
    enough = np.flatnonzero(1 - _risk(certain) >= target - 1e-12)
    if not enough.size:
        return {"accuracy": float(target), "coverage": 0.0, "threshold": None}
    last = int(enough[-1])
    ranked = np.sort(np.asarray(uncertainty, dtype=np.float64))
    return {
        "accuracy": float(target),
        "coverage": (last + 1) / len(certain),
        "threshold": float(ranked[last]),
    }


def evaluate_uncertainty(correct: np.ndarray, uncertainty: np.ndarray) -> dict[str, Any]:
    """Rejection curve, AURC, its excess, and the coverage at 90, 95 and 99 % accuracy."""
    return {
        **rejection_curve(correct, uncertainty),
        "aurc": aurc(correct, uncertainty),
        "excess_aurc": excess_aurc(correct, uncertainty),
        "coverage_at_accuracy": [
            coverage_at_accuracy(correct, uncertainty, target) for target in (0.9, 0.95, 0.99)
        ],
    }
