"""Bootstrap intervals of a classifier's scores, and of each class against the rest."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation import auc
from msflow_jax.evaluation.bootstrap import bootstrap_intervals, proportion_interval
from msflow_jax.evaluation.confusion import kappas, rates, weighted_confusion
from msflow_jax.evaluation.ratios import Counted, mean_over, rarest

RATES = ("recall", "specificity", "precision", "npv")


def classifier_intervals(
    labels: np.ndarray,
    predictions: np.ndarray,
    probability: np.ndarray,
    *,
    groups: Sequence[Any] | None = None,
    ordered: bool = False,
    resamples: int = 500,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Intervals of the scores of all classes, and those of each class against the rest.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        probability: ``[N, K]``.
        groups: subject of each image ``[N]``, or None.
        ordered: whether the classes are grades, which have a quadratic kappa.
        resamples: number of bootstrap resamples.

    Returns:
        What :func:`bootstrap_intervals` says of ``accuracy``, ``balanced_accuracy``, ``cohen_kappa``,
        maybe ``quadratic_kappa``, and ``auc_probability``; and for each class a dict of the intervals of
        ``auc`` and the ``RATES``. What has none is None, with its reason under ``undefined``.
    """
    classes = probability.shape[1]
    correct = predictions == labels
    names = ["accuracy", "balanced_accuracy", "cohen_kappa", "auc_probability"]
    names += ["quadratic_kappa"] if ordered else []
    members = labels[:, None] == np.arange(classes)  # [N, K]
    present = members.any(axis=0)
    apart = present & ~members.all(axis=0)

    def scores(weights: np.ndarray) -> np.ndarray:
        """``[R, M]``: the scores of these names, the AUC of every class, each rate of every class."""
        counts = weighted_confusion(labels, predictions, classes, weights)
        areas = auc.one_vs_rest_aucs(labels, probability, weights)
        found = rates(counts)
        whole = {
            "accuracy": weights @ correct / weights.sum(axis=-1),
            "balanced_accuracy": mean_over(found["recall"], present),
            "cohen_kappa": kappas(counts),
            "auc_probability": areas[1] if classes == 2 else mean_over(areas.T, apart),
            "quadratic_kappa": kappas(counts, quadratic=True),
        }
        columns = [
            *(whole[name][None] for name in names),
            areas,
            *(found[name].T for name in RATES),
        ]
        return np.concatenate(columns).T

    among = _counting(members, names, groups)
    metrics = {"scores": Counted(scores, among)}
    facts = bootstrap_intervals(metrics, len(labels), groups=groups, resamples=resamples)
    spans = facts.pop("scores")
    given: Any = facts.pop("undefined", {}).get("scores", "")
    if not resamples:
        return facts | dict.fromkeys(names), [{} for _ in range(classes)]
    found = dict(zip(names, spans, strict=False))
    everything = np.ones(len(labels), bool)
    found["accuracy"], why = proportion_interval(correct, everything, groups, found["accuracy"])
    every = [given] * len(spans) if isinstance(given, str) else given
    reasons = {name: one for name, one in zip(names, every, strict=False) if found[name] is None}
    reasons |= {"accuracy": why} if why else {}
    areas, by_rate = spans[len(names) : len(names) + classes], spans[len(names) + classes :]
    table = [
        _of_class(
            labels, predictions, k, groups, areas[k], by_rate[k::classes], every[len(names) + k]
        )
        for k in range(classes)
    ]
    return facts | found | ({"undefined": reasons} if reasons else {}), table


def _counting(
    members: np.ndarray, names: Sequence[str], groups: Sequence[Any] | None
) -> np.ndarray:
    """The images that count for each score, bool ``[N, M]``: of a class against the rest the fewer."""
    present = members.any(axis=0)
    areas = [rarest(np.stack([one, ~one], axis=1), groups) for one in members.T]
    everything = np.ones(len(members), bool)
    apart = np.stack(areas, axis=1)[:, present]
    of = {
        "balanced_accuracy": rarest(members[:, present], groups),
        "auc_probability": rarest(apart, groups),
    }
    whole = [of.get(name, everything) for name in names]
    # The rates of a class have exact intervals where few images count, see `proportion_interval`.
    rest = [everything] * (members.shape[1] * len(RATES))
    return np.stack([*whole, *areas, *rest], axis=1)


def _of_class(
    labels: np.ndarray,
    predictions: np.ndarray,
    k: int,
    groups: Sequence[Any] | None,
    area: list[float] | None,
    bootstrapped: Sequence[list[float] | None],
    no_area: str,
) -> dict[str, Any]:
    """Intervals of one class: its AUC, of which ``no_area`` says why it has none, and its rates."""
    true, given = labels == k, predictions == k
    parts = {
        "recall": (given, true), "specificity": (~given, ~true),
        "precision": (true, given), "npv": (~true, ~given),
    }  # fmt: skip
    row: dict[str, Any] = {"auc": area}
    reasons = {} if area else {"auc": no_area}
    for name, interval in zip(RATES, bootstrapped, strict=True):
        row[name], why = proportion_interval(*parts[name], groups, interval)
        reasons |= {name: why} if why else {}
    return {**row, "undefined": reasons} if reasons else row
