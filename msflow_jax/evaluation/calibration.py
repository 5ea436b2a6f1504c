"""Calibration: does a stated probability of 0.8 come true four times in five?

Expected calibration error after Guo et al. 2017 (arXiv 1706.04599), equal-width bins, top label;
Brier score in Brier's multi-class sum form (0 best, 2 worst).
"""

from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import (
    check_finite,
    check_labels,
    check_probabilities,
    check_shape,
)

_TEMPERATURES = (1e-3, 1e5)  # ends of the range that is searched
_FEW_ERRORS = 5  # on which a temperature should not rest
_MIN_PROBABILITY = 1e-12  # so that one certain and wrong prediction does not cost infinitely much


def reliability_table(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> list[dict[str, Any]]:
    """Groups the images by their top probability.

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``, rows sum to 1.
        bins: number of equal-width bins of (0, 1].

    Returns:
        One dict per bin: lower, upper, count, and the mean confidence and accuracy (None if empty).
    """
    probabilities = check_probabilities(probabilities)
    labels = check_labels(labels, probabilities.shape[1])
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    # Bins are open below and closed above, so that a confidence of 1 falls in the last one.
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    table = []
    for b in range(bins):
        inside = index == b
        count = int(inside.sum())
        table.append(
            {
                "lower": b / bins,
                "upper": (b + 1) / bins,
                "count": count,
                "confidence": float(confidence[inside].mean()) if count else None,
                "accuracy": float(correct[inside].mean()) if count else None,
            }
        )
    return table


def ece_of_table(table: list[dict[str, Any]]) -> float:
    """Count-weighted mean gap between confidence and accuracy of a ``reliability_table``."""
    filled = [row for row in table if row["count"]]
    total = sum(row["count"] for row in filled)
    gaps = (row["count"] * abs(row["confidence"] - row["accuracy"]) for row in filled)
    return float(sum(gaps) / total)


def ece(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top label, in [0, 1].

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``.
        bins: number of equal-width bins.
    """
    return ece_of_table(reliability_table(labels, probabilities, bins))


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over images of sum over classes of (p_k - [label = k])^2, in [0, 2].

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``, rows sum to 1.
    """
    from sklearn.metrics import brier_score_loss  # its import takes a second or two

    probabilities = _normalised(probabilities)
    classes = np.arange(probabilities.shape[1])
    labels = check_labels(labels, len(classes))
    return brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False)


def negative_log_likelihood(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -log p(label) in nats; probabilities below 1e-12 count as 1e-12.

    Args:
        labels: int ``[N]``.
        probabilities: ``[N, K]``, rows sum to 1.
    """
    from sklearn.metrics import log_loss

    probabilities = np.maximum(_normalised(probabilities), _MIN_PROBABILITY)
    classes = np.arange(probabilities.shape[1])
    return log_loss(check_labels(labels, len(classes)), probabilities, labels=classes)


def log_softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Log-probabilities at a temperature, exact for logits of any size.

    Args:
        logits: ``[..., K]`` log-probabilities or log-posteriors in nats; any constant may be added to
            a row.
        temperature: T > 1 softens, T < 1 sharpens.

    Returns:
        float64 ``[..., K]``: log softmax(logits / T) over the last axis.

    Raises:
        ValueError: if a logit is not finite, there is no axis, or the temperature is not positive.
    """
    from scipy import special

    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}.")
    logits = check_finite(logits, "logits")
    if logits.ndim == 0:
        raise ValueError("logits must be [..., K], got a single number.")
    return special.log_softmax(logits / temperature, axis=-1)


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities softmax(logits / T) ``[..., K]``; arguments and errors as ``log_softmax``."""
    return np.exp(log_softmax(logits, temperature))


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature in [1e-3, 1e5] that minimises the negative log-likelihood (Guo et al. 2017).

    Fit it on validation data: fitted on the test split, it flatters its own report. The likelihood
    ratios of a flow are hundreds of nats, hence the wide range. Labels that the logits never get
    wrong have no best temperature and give 1; logits worse than chance give the upper end.

    Args:
        labels: int ``[N]`` of the validation split.
        logits: ``[N, K]`` as for ``log_softmax``.

    Raises:
        ValueError: for non-finite logits or labels that do not fit them.
    """
    from scipy.optimize import brentq

    logits = _logits(logits)
    gaps = logits - _of_label(labels, logits)[:, None]

    def slope(log_temperature: float) -> float:
        """Derivative of the negative log-likelihood by 1/T, which rises with 1/T: it is convex."""
        weights = apply_temperature(gaps, float(np.exp(log_temperature)))
        return float((weights * gaps).sum(axis=1).mean())

    # In float64 throughout: the slope is a difference of sums over logits of hundreds of nats.
    low, high = (float(np.log(limit)) for limit in _TEMPERATURES)
    if slope(low) <= 0:
        return 1.0
    if slope(high) >= 0:
        return _TEMPERATURES[1]
    return float(np.exp(brentq(slope, low, high)))


def evaluate_calibration(
    labels_val: np.ndarray,
    logits_val: np.ndarray,
    labels: np.ndarray,
    logits: np.ndarray,
    temperature: float | None = None,
) -> dict[str, Any]:
    """Calibration before and after a temperature fitted on the validation split.

    Args:
        labels_val: int ``[M]`` of the validation split.
        logits_val: ``[M, K]`` as for ``log_softmax``.
        labels: int ``[N]`` of the split that is reported.
        logits: ``[N, K]``.
        temperature: what :func:`fit_temperature` gave for the validation split, if it is known already.

    Returns:
        ``temperature``, ``fitted_on`` ("val"), and ``ece_before``, ``ece_after``, ``nll_before`` and
        ``nll_after`` on (labels, logits); the negative log-likelihood is in nats and, unlike
        :func:`negative_log_likelihood`, not clipped; ``notes`` where the temperature means little.

    Raises:
        ValueError: for non-finite logits or labels that do not fit them.
    """
    if temperature is None:
        temperature = fit_temperature(labels_val, logits_val)
    report: dict[str, Any] = {"temperature": temperature, "fitted_on": "val"}
    for name, value in (("before", 1.0), ("after", temperature)):
        logs = log_softmax(logits, value)
        report[f"ece_{name}"] = ece(labels, np.exp(logs))
        report[f"nll_{name}"] = 0.0 - float(_of_label(labels, logs).mean())
    notes = _notes(labels_val, _logits(logits_val), temperature)
    return {**report, "notes": notes} if notes else report


def _notes(labels: np.ndarray, logits: np.ndarray, temperature: float) -> list[str]:
    """Why a fitted temperature means little."""
    right = int((logits.argmax(axis=1) == labels).sum())
    notes = []
    if right == len(labels):
        notes.append("No validation image is misclassified: the temperature fits none.")
    if not _TEMPERATURES[0] * 1.01 < temperature < _TEMPERATURES[1] * 0.99:
        notes.append(f"The temperature {temperature:g} is an end of the range that is searched.")
    if len(labels) - right < _FEW_ERRORS and right < len(labels):
        notes.append(
            f"The temperature rests on {len(labels) - right} misclassified validation images."
        )
    return notes


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    """Rows that sum to 1 to 1e-8, as scikit-learn expects; those of float32 are 1e-7 off."""
    probabilities = check_probabilities(probabilities)
    return probabilities / probabilities.sum(axis=-1, keepdims=True)


def _logits(logits: np.ndarray) -> np.ndarray:
    logits = check_finite(logits, "logits")
    if logits.ndim != 2:
        raise ValueError(f"logits must be [N, K], got shape {logits.shape}.")
    return logits


def _of_label(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The entry ``[N]`` of each row ``[N, K]`` that belongs to its label."""
    labels = check_labels(labels, logits.shape[1])
    check_shape(logits, (len(labels), logits.shape[1]), "logits")
    return logits[np.arange(len(labels)), labels]
