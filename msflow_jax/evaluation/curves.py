"""ROC and precision-recall curves of each class against the rest, by scikit-learn."""

import numpy as np

_POINTS = 200  # of a curve that are kept


def one_vs_rest_curves(labels: np.ndarray, probability: np.ndarray) -> dict[str, np.ndarray]:
    """Curves of every class that the labels hold, beside others.

    Args:
        labels: int ``[N]`` in 0..K-1.
        probability: ``[N, K]``.

    Returns:
        ``roc_k``: float32 ``[M, 2]``, false and true positive rate, rising; ``pr_k``: recall and
        precision, recall falling; at most 200 points each. None of either for a class without an image,
        or of all images.
    """
    from sklearn import metrics

    found = {}
    for k in range(probability.shape[1]):
        positive = labels == k
        if positive.all() or not positive.any():
            continue
        false, true, _ = metrics.roc_curve(positive, probability[:, k])
        precision, recall, _ = metrics.precision_recall_curve(
            positive, probability[:, k], drop_intermediate=True
        )
        found[f"roc_{k}"] = _thin(np.stack([false, true], axis=1))
        found[f"pr_{k}"] = _thin(np.stack([recall, precision], axis=1))
    return found


def average_precision(labels: np.ndarray, probability: np.ndarray) -> list[float | None]:
    """Average precision of each class against the rest; None for a class without an image.

    Args:
        labels: int ``[N]`` in 0..K-1.
        probability: ``[N, K]``.
    """
    from sklearn import metrics

    return [
        float(metrics.average_precision_score(labels == k, probability[:, k]))
        if (labels == k).any()
        else None
        for k in range(probability.shape[1])
    ]


def _thin(points: np.ndarray) -> np.ndarray:
    """At most 200 of the points ``[M, 2]``, the first and the last among them."""
    kept = np.unique(np.linspace(0, len(points) - 1, min(_POINTS, len(points))).round().astype(int))
    return points[kept].astype(np.float32)
