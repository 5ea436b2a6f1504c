"""Selective prediction: what accuracy is left when the least certain images are rejected.

Rejection curve as in MedSymmFlow's official code; area under the risk-coverage curve and its excess
over the best possible order after Geifman et al. 2019 (arXiv 1805.08206).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_finite, check_shape

_AREAS = ("aurc", "excess_aurc")


def rejection_order(uncertainty: np.ndarray) -> np.ndarray:
    """Indices ``[N]`` from the least to the most certain image; ties keep their given order.

    What is measured of an order does not depend on that of the ties, see :func:`rejection_curve`.
    """
    return np.argsort(-check_finite(uncertainty, "uncertainty"), kind="stable")


def _certain_first(correct: np.ndarray, uncertainty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correctness ``[N]`` from the most to the least certain image, and the last of each run of ties.

    Images of one uncertainty have no order: each counts with the mean of all of them, which is what
    dropping them in random order gives on average. The order of the files must not matter.
    """
    correct = np.asarray(correct, dtype=bool)
    if correct.ndim != 1 or correct.size == 0:
        raise ValueError(f"correct must be a non-empty [N] array, got shape {correct.shape}.")
    check_shape(np.asarray(uncertainty), correct.shape, "uncertainty")
    order = rejection_order(uncertainty)[::-1]
    _, run, count = np.unique(
        np.asarray(uncertainty)[order], return_inverse=True, return_counts=True
    )
    mean = np.bincount(run, weights=correct[order]) / count
    return mean[run], np.cumsum(count) - 1


def rejection_curve(
    correct: np.ndarray, uncertainty: np.ndarray, steps: int = 20
) -> dict[str, list[Any]]:
    """Accuracy of the images kept after dropping the most uncertain floor(r N).

    Args:
        correct: bool ``[N]``, whether each prediction is right.
        uncertainty: ``[N]``, larger = less certain. Of ties the expected accuracy is given, as if they
            were dropped in random order.
        steps: r = 0, 1/steps, ..., (steps-1)/steps; the default steps by 5 %.

    Returns:
        ``rejected`` (r), ``kept`` (images left) and ``accuracy`` (of those left), lists of equal length.
    """
    certain, _ = _certain_first(correct, uncertainty)
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
    return np.cumsum(1 - certain) / np.arange(1, len(certain) + 1)


def aurc(correct: np.ndarray, uncertainty: np.ndarray) -> float:
    """Area under the risk-coverage curve: mean over n = 1..N of the error of the n most certain.

    Args:
        correct: bool ``[N]``.
        uncertainty: ``[N]``, larger = less certain.
    """
    return float(_risk(_certain_first(correct, uncertainty)[0]).mean())


def optimal_aurc(correct: np.ndarray) -> float:
    """The smallest AURC that any order of these predictions can have: every error ranked last."""
    correct = np.asarray(correct, dtype=np.float64)
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
        the largest uncertainty kept (None if none is). Ties are kept together, as a threshold does.
        Choose a threshold on validation data.
    """
    certain, ends = _certain_first(correct, uncertainty)
    enough = ends[1 - _risk(certain)[ends] >= target - 1e-12]
    if not enough.size:
        return {"accuracy": float(target), "coverage": 0.0, "threshold": None}
    last = int(enough[-1])
    ranked = np.sort(np.asarray(uncertainty, dtype=np.float64))
    return {
        "accuracy": float(target),
        "coverage": (last + 1) / len(certain),
        "threshold": float(ranked[last]),
    }


def kept_by_class(
    labels: np.ndarray,
    predictions: np.ndarray,
    uncertainty: np.ndarray,
    threshold: float,
    classes: Sequence[str],
) -> dict[str, Any]:
    """What a threshold keeps of each true class: a model may abstain from one class alone.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        uncertainty: ``[N]``, larger = less certain.
        threshold: largest uncertainty that is kept.
        classes: K class names.

    Returns:
        ``threshold``, ``kept`` (share of all images), ``accuracy`` (of those kept), and ``classes``, a
        dict each of ``name``, ``images``, ``kept``, ``accuracy``; None where there is no image.
    """
    keep = check_finite(uncertainty, "uncertainty") <= threshold
    right = np.asarray(predictions) == labels

    def share(of: np.ndarray, among: np.ndarray) -> float | None:
        return float(of[among].mean()) if among.any() else None

    everything = np.ones(len(keep), bool)
    return {
        "threshold": float(threshold),
        "kept": share(keep, everything),
        "accuracy": share(right, keep),
        "classes": [
            {
                "name": str(name),
                "images": int((labels == k).sum()),
                "kept": share(keep, labels == k),
                "accuracy": share(right, keep & (labels == k)),
            }
            for k, name in enumerate(classes)
        ],
    }


def evaluate_uncertainty(correct: np.ndarray, uncertainty: np.ndarray) -> dict[str, Any]:
    """Rejection curve, AURC, its excess, and the coverage at 90, 95 and 99 % accuracy.

    An uncertainty that is the same for all images orders nothing: ``aurc`` and its excess are None then,
    with the reason under ``undefined``.
    """
    found = _of_order(correct, uncertainty)
    if len(correct) > 1 and np.ptp(uncertainty) == 0:
        reason = "all images have the same uncertainty, which orders nothing"
        return {**found, **dict.fromkeys(_AREAS), "undefined": dict.fromkeys(_AREAS, reason)}
    return found


def _of_order(correct: np.ndarray, uncertainty: np.ndarray) -> dict[str, Any]:
    return {
        **rejection_curve(correct, uncertainty),
        "aurc": aurc(correct, uncertainty),
        "excess_aurc": excess_aurc(correct, uncertainty),
        "coverage_at_accuracy": [
            coverage_at_accuracy(correct, uncertainty, target) for target in (0.9, 0.95, 0.99)
        ],
    }
