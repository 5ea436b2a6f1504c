"""What a scaling of log-probabilities changes, and whether it means something."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.calibration import brier, classwise_ece, ece
from msflow_jax.evaluation.scaling import Scaling, of_label, searched

_FEW_ERRORS = 5  # on which a temperature should not rest


def evaluate_scaling(
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    scaling: Scaling,
    notes: Sequence[str] = (),
    weights: np.ndarray | None = None,
) -> dict[str, Any]:
    """Calibration of a split before and after a scaling.

    Args:
        labels: int ``[N]``.
        before: log-probabilities pooled over draws ``[N, K]``.
        after: the same, scaled.
        scaling: the one that is kept, fitted on the validation split.
        notes: of :func:`notes_on`.
        weights: how much each image counts ``[N]``, at least 0; None: all alike.

    Returns:
        ``temperature``, ``bias``, ``fitted_on`` ("val"), with weights ``weighed`` (True), and on these
        labels ``ece``, ``classwise_ece``, ``brier`` and ``nll`` with ``_before`` and ``_after``. The
        negative log-likelihood is in nats and, unlike
        :func:`~msflow_jax.evaluation.calibration.negative_log_likelihood`, not clipped.
    """
    report: dict[str, Any] = {
        "temperature": scaling.temperature, "bias": list(scaling.bias), "fitted_on": "val",
    }  # fmt: skip
    for name, logs in (("before", before), ("after", after)):
        p = np.exp(logs)
        report[f"ece_{name}"] = ece(labels, p, weights)
        report[f"classwise_ece_{name}"] = classwise_ece(labels, p, weights=weights)
        report[f"brier_{name}"] = brier(labels, p, weights)
        report[f"nll_{name}"] = 0.0 - float(np.average(of_label(labels, logs), weights=weights))
    report |= {} if weights is None else {"weighed": True}
    return {**report, "notes": list(notes)} if notes else report


def notes_on(
    labels: np.ndarray, logs: np.ndarray, temperature: float, ratios: bool = False,
    weights: np.ndarray | None = None,
) -> list[str]:  # fmt: skip
    """Why a temperature that :func:`fit_scaling` fitted to log-probabilities ``[D, N, K]`` means little.

    Arguments as there.
    """
    right = int((logs.mean(axis=0).argmax(axis=1) == labels).sum())
    low, high = searched(labels, logs, ratios, weights)[1]
    notes = []
    if right == len(labels):
        notes.append("No validation image is misclassified: the temperature fits none.")
    if not low + 0.01 < np.log(temperature) < high - 0.01:
        notes.append(f"The temperature {temperature:g} is an end of the range that is searched.")
    if len(labels) - right < _FEW_ERRORS and right < len(labels):
        notes.append(
            f"The temperature rests on {len(labels) - right} misclassified validation images."
        )
    return notes
