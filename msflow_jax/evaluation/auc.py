"""Area under the ROC curve, with ties, weights, and classes that may be absent.

Two conventions for K classes are kept apart by name, as they differ for K = 2:

* ``auc_distance`` (MedSymmFlow's): mean over classes of the binary AUC of [label != k] against the
  distance d_k to the code of class k. For K = 2 it averages two one-sided AUCs.
* ``auc_probability`` (MedMNIST's, Yang et al. 2023): for K = 2 the AUC of the probability of class 1,
  for K > 2 the mean of the K one-versus-rest AUCs of the probabilities.
"""

import numpy as np


def weighted_auc(
    positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Binary AUC under one or many sets of case weights, by one sort (Mann-Whitney, ties half).

    Args:
        positive: bool ``[N]``.
        scores: ``[N]``, larger = more likely positive.
        weights: ``[..., N]`` non-negative, such as bootstrap counts; None means ones.

    Returns:
        ``[...]`` AUCs; NaN where one side has no weight.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    weights = weights[..., order]
    is_positive = positive[order]
    # One column per distinct score, so that ties count one half in a single pass.
    ups = np.add.reduceat(weights * is_positive, starts, axis=-1)
    downs = np.add.reduceat(weights * ~is_positive, starts, axis=-1)
    below = np.cumsum(downs, axis=-1) - downs / 2
    pairs = ups.sum(axis=-1) * downs.sum(axis=-1)
    wins = (ups * below).sum(axis=-1)
    return np.divide(wins, pairs, out=np.full(np.shape(wins), np.nan), where=pairs > 0)


def binary_auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    """AUC of one binary problem; None when only one side is present.

    Args:
        positive: bool ``[N]``.
        scores: ``[N]``, larger = more likely positive.
    """
    value = float(weighted_auc(np.asarray(positive, bool), np.asarray(scores, np.float64)))
    return None if np.isnan(value) else value


def one_vs_rest_aucs(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """One-versus-rest AUC of every class.

    Args:
        labels: int ``[N]``.
        scores: ``[N, K]``, larger = more likely that class.
        weights: ``[..., N]`` or None.

    Returns:
        ``[K, ...]``, NaN for a class that is absent (or alone).
    """
    return np.stack(
        [weighted_auc(labels == k, scores[:, k], weights) for k in range(scores.shape[1])]
    )


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of the entries that are not NaN; NaN where there is none."""
    count = np.sum(~np.isnan(values), axis=0)
    total = np.nansum(values, axis=0)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def distance_aucs(
    labels: np.ndarray, distances: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """``auc_distance`` under each set of weights: ``[...]``, absent classes skipped."""
    return mean_defined(one_vs_rest_aucs(labels, -distances, weights))


def probability_aucs(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """``auc_probability`` under each set of weights: ``[...]``, absent classes skipped."""
    if probabilities.shape[1] == 2:
        return weighted_auc(labels == 1, probabilities[:, 1], weights)
    return mean_defined(one_vs_rest_aucs(labels, probabilities, weights))


def distance_auc(labels: np.ndarray, distances: np.ndarray) -> float | None:
    """Mean over classes of the AUC of [label != k] against d_k (MedSymmFlow's official code).

    Args:
        labels: int ``[N]``.
        distances: ``[N, K]`` to each class code, smaller = more likely.

    Returns:
        The AUC in [0, 1] over the classes present, or None if no class can be told from another.
    """
    value = float(distance_aucs(labels, np.asarray(distances, np.float64)))
    return None if np.isnan(value) else value


def probability_auc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """MedMNIST's AUC: of class 1 for K = 2, mean one-versus-rest for K > 2.

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``.

    Returns:
        The AUC in [0, 1] over the classes present, or None if only one class is.
    """
    value = float(probability_aucs(labels, np.asarray(probabilities, np.float64)))
    return None if np.isnan(value) else value
