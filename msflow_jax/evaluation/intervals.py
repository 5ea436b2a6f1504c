"""Bootstrap intervals of a classifier's scores, and of each class against the rest."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation import auc
from msflow_jax.evaluation.bootstrap import bootstrap_intervals, proportion_interval
from msflow_jax.evaluation.confusion import kappas, rates, weighted_confusion

RATES = ("recall", "specificity", "precision", "npv")
_NO_WIDTH = "nearly every resample gives the same value, so the bootstrap has no width"


def classifier_intervals(
    labels: np.ndarray,
    predictions: np.ndarray,
    probability: np.ndarray,
    *,
    groups: Sequence[Any] | None = None,
    ordered: bool = False,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Intervals of the scores of all classes, and those of each class against the rest.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        probability: ``[N, K]``.
        groups: subject of each image ``[N]``, or None.
        ordered: whether the classes are grades, which have a quadratic kappa.
        resamples: number of bootstrap resamples.
        seed: seed of the bootstrap.

    Returns:
        What :func:`bootstrap_intervals` says of ``accuracy``, ``balanced_accuracy``, ``cohen_kappa``,
        maybe ``quadratic_kappa``, and ``auc_probability``; and for each class a dict of the intervals of
        ``auc`` and the ``RATES``. What has none is None, with its reason under ``undefined``.
    """
    classes = probability.shape[1]
    correct = (predictions == labels).astype(np.float64)

    def confusions(w: np.ndarray) -> np.ndarray:
        return weighted_confusion(labels, predictions, classes, w)

    def class_rates(w: np.ndarray) -> np.ndarray:
        found = rates(confusions(w))
        return np.concatenate([found[name] for name in RATES], axis=-1)

    metrics: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "accuracy": lambda w: w @ correct / w.sum(axis=-1),
        "balanced_accuracy": lambda w: auc.mean_defined(rates(confusions(w))["recall"].T),
        "cohen_kappa": lambda w: kappas(confusions(w)),
        "auc_probability": lambda w: auc.probability_aucs(labels, probability, w),
        "aucs": lambda w: auc.one_vs_rest_aucs(labels, probability, w).T,
        "rates": class_rates,
    }
    if ordered:
        metrics["quadratic_kappa"] = lambda w: kappas(confusions(w), quadratic=True)
    found = bootstrap_intervals(metrics, len(labels), groups=groups, resamples=resamples, seed=seed)
    aucs, by_rate = found.pop("aucs"), found.pop("rates")
    undefined = found.pop("undefined", {})
    if not resamples:
        return found, [{} for _ in range(classes)]
    everything = np.ones(len(labels), bool)
    found["accuracy"], why = proportion_interval(correct > 0, everything, groups, found["accuracy"])
    none = [name for name in metrics if name in found and found[name] is None]
    reasons = {name: undefined.get(name, _NO_WIDTH) for name in none} | (
        {"accuracy": why} if why else {}
    )
    table = [
        _of_class(
            labels, predictions, k, groups, aucs[k], by_rate[k::classes], undefined.get("aucs")
        )
        for k in range(classes)
    ]
    return found | ({"undefined": reasons} if reasons else {}), table


def _of_class(
    labels: np.ndarray,
    predictions: np.ndarray,
    k: int,
    groups: Sequence[Any] | None,
    area: list[float] | None,
    bootstrapped: Sequence[list[float] | None],
    few: str | None,
) -> dict[str, Any]:
    """Intervals of one class: its AUC and its rates."""
    true, given = labels == k, predictions == k
    parts = {
        "recall": (given, true), "specificity": (~given, ~true),
        "precision": (true, given), "npv": (~true, ~given),
    }  # fmt: skip
    row: dict[str, Any] = {"auc": area}
    reasons = {} if area else {"auc": few or _NO_WIDTH}
    for name, interval in zip(RATES, bootstrapped, strict=True):
        row[name], why = proportion_interval(*parts[name], groups, interval)
        reasons |= {name: why} if why else {}
    return {**row, "undefined": reasons} if reasons else row
