"""Scores of predicted classes against the true ones, by scikit-learn.

Averages over classes are over those that the labels hold: a class without an image has no recall.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.auc import one_vs_rest_aucs
from msflow_jax.evaluation.curves import average_precision
from msflow_jax.storage.text import listed


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts ``[K, K]``: row = true class, column = predicted class.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        classes: K.
    """
    from sklearn import metrics  # its import takes a second or two

    return metrics.confusion_matrix(labels, predictions, labels=np.arange(classes))


def weighted_confusion(
    labels: np.ndarray, predictions: np.ndarray, classes: int, weights: np.ndarray
) -> np.ndarray:
    """Confusion matrices ``[R, K, K]`` under case weights ``[R, N]``, such as bootstrap counts."""
    from scipy.sparse import csr_array

    cell = labels * classes + predictions
    rows = np.arange(len(cell))
    one_hot = csr_array((np.ones(len(cell)), (rows, cell)), shape=(len(cell), classes**2))
    return (one_hot.T @ weights.T).T.reshape(len(weights), classes, classes)


def rates(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Each class against the rest.

    Args:
        confusion: counts or weights ``[..., K, K]``, row = true class.

    Returns:
        ``recall`` (sensitivity), ``specificity``, ``precision`` (positive predictive value) and ``npv``
        (negative predictive value), each ``[..., K]``, NaN where nothing is counted.
    """
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, given = confusion.sum(-1), confusion.sum(-2)
    total = true.sum(-1, keepdims=True)
    rejected = total - true - given + hit  # neither true nor predicted
    parts = {
        "recall": (hit, true), "specificity": (rejected, total - true),
        "precision": (hit, given), "npv": (rejected, total - given),
    }  # fmt: skip
    return {
        name: np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)
        for name, (a, b) in parts.items()
    }


def kappas(confusion: np.ndarray, *, quadratic: bool = False) -> np.ndarray:
    """Cohen's kappa ``[...]`` of confusion matrices ``[..., K, K]``.

    Args:
        confusion: counts or weights, row = true class.
        quadratic: whether a disagreement weighs with the squared distance of the classes, for ordered
            ones (Cohen 1968).

    Returns:
        Kappa, NaN where the labels hold one class only: there is nothing to agree on.
    """
    true, given = confusion.sum(-1), confusion.sum(-2)
    steps = np.arange(confusion.shape[-1])
    gap = np.abs(steps[:, None] - steps)
    weights = gap**2 if quadratic else gap > 0
    seen = (weights * confusion).sum((-2, -1))
    expected = (weights * true[..., :, None] * given[..., None, :]).sum((-2, -1))
    total = true.sum(-1)
    several = ((true > 0).sum(-1) > 1) & (expected > 0)
    out = np.full(np.shape(seen), np.nan)
    return 1 - np.divide(seen * total, expected, out=out, where=several)


def headline_scores(
    labels: np.ndarray, predictions: np.ndarray, classes: int, ordered: bool = False
) -> dict[str, float | None]:
    """Accuracy and its relatives.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        classes: K.
        ordered: whether the classes are grades.

    Returns:
        ``accuracy``, ``balanced_accuracy``, ``macro_precision``, ``macro_f1``, ``cohen_kappa`` (None
        where the labels are all of one class), of ordered classes ``quadratic_kappa``, and
        ``majority_accuracy``.
    """
    from sklearn import metrics

    precision, recall, f1, counts = _by_class(labels, predictions, classes)
    present = counts > 0
    found: dict[str, float | None] = {"cohen_kappa": None}
    found |= {"quadratic_kappa": None} if ordered else {}
    if present.sum() > 1:  # else there is nothing to agree on
        for name, weights in (("cohen_kappa", None), ("quadratic_kappa", "quadratic")):
            if name in found:
                value = metrics.cohen_kappa_score(
                    labels, predictions, labels=np.arange(classes), weights=weights
                )
                found[name] = float(value)
    return {
        "accuracy": float(metrics.accuracy_score(labels, predictions)),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_precision": float(precision[present].mean()),
        "macro_f1": float(f1[present].mean()),
        **found,
        # The score of always naming the most frequent class: what accuracy must be read against.
        "majority_accuracy": float(counts.max() / counts.sum()),
    }


def class_table(
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: Sequence[str],
    probability: np.ndarray,
    intervals: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Counts and scores of every class against the rest.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        classes: K class names.
        probability: ``[N, K]``.
        intervals: those of each class, or none.

    Returns:
        One dict per class: name, count, predicted, recall, precision, f1, specificity, npv, auc,
        average_precision, maybe intervals; what is undefined is None, its reason under ``undefined``.
    """
    f1, counts = _by_class(labels, predictions, len(classes))[2:]
    predicted = np.bincount(predictions, minlength=len(classes))
    against_rest = rates(confusion_matrix(labels, predictions, len(classes)))
    areas = one_vs_rest_aucs(labels, np.asarray(probability, np.float64))
    precisions = average_precision(labels, probability)
    table = []
    for k, name in enumerate(classes):
        row: dict[str, Any] = {
            "name": str(name),
            "count": int(counts[k]),
            "predicted": int(predicted[k]),
            **{key: None if np.isnan(v[k]) else float(v[k]) for key, v in against_rest.items()},
            "f1": float(f1[k]) if counts[k] else None,
            "auc": None if np.isnan(areas[k]) else float(areas[k]),
            "average_precision": precisions[k],
        }
        undefined = {key: _reason(key, int(counts[k])) for key in row if row[key] is None}
        if intervals and intervals[k]:
            row["intervals"] = dict(intervals[k])
        table.append({**row, "undefined": undefined} if undefined else row)
    return table


def _reason(score: str, count: int) -> str:
    """Why a score of a class of this many images is undefined."""
    if score == "precision":
        return "no image was given this class"
    if score == "npv":
        return "every image was given this class"
    return "every image is of this class" if count else "no image of this class in the split"


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
