"""Scores of predicted classes against the true ones, by scikit-learn.

Averages over classes are over those that the labels hold: a class without an image has no recall.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import listed


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts ``[K, K]``: row = true class, column = predicted class.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        classes: K.
    """
    from sklearn import metrics  # its import takes a second or two

    return metrics.confusion_matrix(labels, predictions, labels=np.arange(classes))


def headline_scores(
    labels: np.ndarray, predictions: np.ndarray, classes: int
) -> dict[str, float | None]:
    """Accuracy and its relatives.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        classes: K.

    Returns:
        ``accuracy``, ``balanced_accuracy``, ``macro_precision``, ``macro_f1``, ``cohen_kappa`` (None
        where labels and predictions are all of one class) and ``majority_accuracy``.
    """
    from sklearn import metrics

    precision, recall, f1, counts = _by_class(labels, predictions, classes)
    present = counts > 0
    kappa = None  # 0 / 0 where labels and predictions are all of one class
    if len(np.union1d(labels, predictions)) > 1:
        kappa = float(metrics.cohen_kappa_score(labels, predictions, labels=np.arange(classes)))
    return {
        "accuracy": float(metrics.accuracy_score(labels, predictions)),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_precision": float(precision[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "cohen_kappa": kappa,
        # The score of always naming the most frequent class: what accuracy must be read against.
        "majority_accuracy": float(counts.max() / counts.sum()),
    }


def class_table(
    labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Counts and scores of every class.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        classes: K class names.

    Returns:
        One dict per class: name, count, predicted, recall, precision, f1; what is undefined is None,
        with its reason under ``undefined``.
    """
    precision, recall, f1, counts = _by_class(labels, predictions, len(classes))
    predicted = np.bincount(predictions, minlength=len(classes))
    table = []
    for k, name in enumerate(classes):
        row: dict[str, Any] = {
            "name": str(name),
            "count": int(counts[k]),
            "predicted": int(predicted[k]),
            "recall": float(recall[k]) if counts[k] else None,
            "precision": float(precision[k]) if predicted[k] else None,
            "f1": float(f1[k]) if counts[k] else None,
        }
        reasons = {}
        if not counts[k]:
            reasons["recall"] = reasons["f1"] = "no image of this class in the split"
        if not predicted[k]:
            reasons["precision"] = "no image was given this class"
        if reasons:
            row["undefined"] = reasons
        table.append(row)
    return table


def class_notes(table: Sequence[dict[str, Any]]) -> list[str]:
    """What to know of classes without an image or a prediction, from a :func:`class_table`."""
    absent = [row["name"] for row in table if not row["count"]]
    silent = [row["name"] for row in table if row["count"] and not row["predicted"]]
    notes = []
    if absent:
        notes.append(
            f"No image of {listed(absent)} in this split: AUC, balanced accuracy, macro "
            "precision and macro F1 are averaged over the other classes."
        )
    if silent:
        notes.append(
            f"No image was given the class {listed(silent)}: its precision is undefined and counts "
            "as 0 in the macro precision."
        )
    return notes


def _by_class(labels: np.ndarray, predictions: np.ndarray, classes: int) -> tuple[np.ndarray, ...]:
    """Precision, recall, F1 and number of images ``[K]``; 0 / 0 is given as 0."""
    from sklearn import metrics

    return metrics.precision_recall_fscore_support(
        labels, predictions, labels=np.arange(classes), average=None, zero_division=0.0
    )
