"""The same scores for the images of each value of a column, such as site, sex or scanner."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from msflow_jax.evaluation import auc
from msflow_jax.evaluation.confusion import headline_scores
from msflow_jax.evaluation.intervals import classifier_intervals

NOT_GIVEN = "(not given)"
_MOST = 20  # values of a column
_SCORES = ("accuracy", "balanced_accuracy", "cohen_kappa", "majority_accuracy")


def by_subgroup(
    labels: np.ndarray,
    predictions: np.ndarray,
    probability: np.ndarray,
    values: Sequence[Any],
    *,
    column: str = "column",
    groups: Sequence[Any] | None = None,
    ordered: bool = False,
    resamples: int = 500,
) -> list[dict[str, Any]]:
    """Scores of each subgroup.

    Args:
        labels: int ``[N]`` in 0..K-1.
        predictions: int ``[N]`` in 0..K-1.
        probability: ``[N, K]``.
        values: the column: numbers or texts ``[N]``. Numbers of more than 20 values are cut at their
            quartiles; empty texts and NaN are a subgroup of their own.
        column: name of the column, for messages.
        groups: subject of each image ``[N]``, or None.
        ordered: whether the classes are grades.
        resamples: number of bootstrap resamples.

    Returns:
        A dict for each value in order: ``value``, ``images``, ``accuracy``, ``balanced_accuracy``,
        ``cohen_kappa``, maybe ``quadratic_kappa``, ``majority_accuracy``, ``auc_probability``, and
        ``intervals``; what is undefined is None, with its reason under ``undefined``.

    Raises:
        ValueError: a column of another length, or texts of more than 20 values.
    """
    if len(values) != len(labels):
        raise ValueError(f"{column}: {len(values)} values for {len(labels)} images")
    names, number = _cut(values, column)
    rows = []
    for i, name in enumerate(names):
        inside = np.flatnonzero(number == i)
        given = labels[inside], predictions[inside]
        scores = headline_scores(*given, probability.shape[1], ordered)
        kept = (*_SCORES, *(("quadratic_kappa",) if ordered else ()))
        intervals, _ = classifier_intervals(
            *given, probability[inside], ordered=ordered, resamples=resamples,
            groups=None if groups is None else [groups[j] for j in inside.tolist()],
        )  # fmt: skip
        row: dict[str, Any] = {
            "value": name,
            "images": len(inside),
            **{key: scores[key] for key in kept},
            "auc_probability": auc.probability_auc(labels[inside], probability[inside]),
            "intervals": intervals,
        }
        reason = "the labels hold only one class, so there is nothing to tell apart"
        undefined = {key: reason for key, value in row.items() if value is None}
        rows.append({**row, "undefined": undefined} if undefined else row)
    return rows


def _cut(values: Sequence[Any], column: str) -> tuple[list[str], np.ndarray]:
    """Names of the subgroups in order, and the number ``[N]`` of each image's."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        texts = [str(value).strip() for value in values]
        numbers = _numbers(texts)
        array = np.array(texts) if numbers is None else numbers
    if array.dtype.kind == "f":
        return _cut_numbers(array)
    known, number = np.unique(array, return_inverse=True)
    if len(known) > _MOST and array.dtype.kind in "iu":
        return _cut_numbers(array.astype(np.float64))
    if len(known) > _MOST:
        raise ValueError(
            f"{column} has {len(known)} different values: a subgroup needs a column of at most {_MOST}, "
            "or of numbers"
        )
    return [str(value) or NOT_GIVEN for value in known.tolist()], number


def _numbers(texts: list[str]) -> np.ndarray | None:
    """Texts that are all numbers, more than 20 of them or with gaps; None for others."""
    try:
        found = np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return None
    return found if len(set(texts)) > _MOST and np.isfinite(found).any() else None


def _cut_numbers(values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Numbers of up to 20 values as they are, of more cut at their quartiles."""
    given = np.isfinite(values)
    known = np.unique(values[given])
    if len(known) <= _MOST:
        names, number = [f"{value:g}" for value in known], np.searchsorted(known, values)
    else:
        edges = np.unique(np.quantile(values[given], [0, 0.25, 0.5, 0.75, 1]))
        number = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
        names = [f"{low} to {high}" for low, high in pairwise(_apart(edges))]
    if not given.all():
        number, names = np.where(given, number, len(names)), [*names, NOT_GIVEN]
    return names, number


def _apart(edges: np.ndarray) -> list[str]:
    """Numbers in as few digits as tell them apart, at least four and all before the point."""
    whole = len(f"{np.abs(edges).max():.0f}")
    for digits in range(max(4, whole if whole < 16 else 4), 18):
        found = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(found)) == len(found):
            break
    return found
