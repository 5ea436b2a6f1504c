"""Scaling of log-probabilities on a validation split: one temperature, or with a bias for each class.

Guo et al. 2017 (arXiv 1706.04599). The draws of a prediction are scaled one by one and then averaged,
and so they are while a scaling is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.evaluation.checks import check_finite, check_labels, check_shape

TEMPERATURE, VECTOR, NONE = METHODS = "temperature", "vector", "none"
_TEMPERATURES = (1e-3, 1e5)  # ends of the range that :func:`fit_temperature` searches
_FOLDS = 5
# Log of how far a temperature is looked for from 1, or from that of the draws' mean.
_AROUND = 4.0


@dataclass(frozen=True)
class Scaling:
    """``log softmax(logs / temperature + bias)``.

    Attributes:
        temperature: of all images, or of each ``[N]``.
        bias: of each class ``[K]``, or of each image's ``[N, K]``; empty for none.
    """

    temperature: Any = 1.0
    bias: Any = ()

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return bool(np.any(np.asarray(self.temperature) != 1) or np.size(self.bias))

    def apply(self, logs: np.ndarray) -> np.ndarray:
        """Scaled log-probabilities, float64, of log-probabilities ``[..., N, K]``.

        Raises:
            ValueError: one that is not finite, or a temperature that is not positive.
        """
        from scipy import special

        temperature = np.asarray(self.temperature, float)
        if not (temperature > 0).all():
            raise ValueError(f"temperature must be positive, got {temperature}.")
        # float64: at a temperature of 0.001 logits are 1e5 nats, where float32 steps by 0.008.
        scaled = check_finite(logs, "logits") / (
            temperature[:, None] if temperature.ndim else temperature
        )
        return special.log_softmax(scaled + self.bias if np.size(self.bias) else scaled, axis=-1)


def pooled(logs: np.ndarray) -> np.ndarray:
    """Log of the mean probability over draws ``[N, K]`` of log-probabilities ``[D, N, K]``."""
    from scipy import special

    return special.logsumexp(logs, axis=0) - np.log(len(logs))


def fit_scaling(
    labels: np.ndarray, logs: np.ndarray, method: str = TEMPERATURE, ratios: bool = False,
    weights: np.ndarray | None = None,
) -> Scaling:  # fmt: skip
    """The scaling that minimises the negative log-likelihood of the pooled draws.

    Labels that are never got wrong have no best temperature and give 1. One image's worth of a normal
    law holds the biases of ``vector`` near 0, so that a class that is not there has one too, and the
    logarithm of the temperature: of few images a low one would make votes of the draws.

    Args:
        labels: int ``[N]`` of the validation split.
        logs: log-probabilities ``[D, N, K]``.
        method: one of ``METHODS``.
        ratios: whether they are of likelihoods, whose ratios are hundreds of nats, so that their
            temperature may be anything.
        weights: how much each image counts ``[N]``, at least 0; None: all alike. The prior is worth
            one of as many images as these amount to.

    Raises:
        ValueError: an unknown method, or what :func:`fit_temperature` refuses.
    """
    from scipy.optimize import minimize, minimize_scalar

    if method not in METHODS:
        raise ValueError(f"unknown calibration {method!r}: choose one of {', '.join(METHODS)}")
    if method == NONE:
        return Scaling()
    log_temperature, bounds = searched(labels, logs, ratios, weights)
    rows, count = np.arange(len(labels)), logs.shape[-1]
    size = len(labels) if weights is None else weights.sum() ** 2 / np.square(weights).sum()

    def loss(scaling: Scaling) -> float:
        return -float(np.average(pooled(scaling.apply(logs))[rows, labels], weights=weights))

    def penalised(log_temperature: float, bias: Any = ()) -> float:
        far = float(np.square(bias).sum()) + (0 if ratios else log_temperature**2)
        return loss(Scaling(float(np.exp(log_temperature)), bias)) + far / (2 * size)

    right = bool((logs.mean(axis=0).argmax(axis=1) == labels).all())
    if (len(logs) > 1 or not ratios) and not right:
        log_temperature = minimize_scalar(penalised, bounds=bounds, method="bounded").x
    if method == TEMPERATURE or right:
        return Scaling(float(np.exp(log_temperature)))
    start = np.r_[log_temperature, np.zeros(count)]
    ends = [bounds, *[(None, None)] * count]
    x = minimize(lambda x: penalised(x[0], x[1:] - x[1:].mean()), start, bounds=ends).x
    return Scaling(float(np.exp(x[0])), tuple(map(float, x[1:] - x[1:].mean())))


def searched(
    labels: np.ndarray, logs: np.ndarray, ratios: bool, weights: np.ndarray | None = None
) -> tuple[float, tuple[float, float]]:
    """Log of the temperature of the draws' mean, and the ends of where :func:`fit_scaling` looks."""
    fitted = float(np.log(fit_temperature(labels, logs.mean(axis=0), weights)))
    least, most = (float(np.log(end)) for end in _TEMPERATURES)
    if not ratios:
        return fitted, (-_AROUND, _AROUND)
    if len(logs) == 1:
        return fitted, (least, most)
    return fitted, (max(fitted - _AROUND, least), fitted + _AROUND)


def cross_fit(
    labels: np.ndarray, logs: np.ndarray, groups: Sequence[Any] | None, method: str = TEMPERATURE,
    ratios: bool = False, weights: np.ndarray | None = None,
) -> Scaling:  # fmt: skip
    """A scaling for each image, fitted on the others' subjects: what the split itself is reported by.

    Arguments as of :func:`fit_scaling`; ``groups`` names the subject of each image, None: all differ.
    With fewer than two subjects there are no others, and all images have the one that is fitted on them.
    """
    names, group = np.unique(
        np.arange(len(labels)) if groups is None else np.asarray(groups), return_inverse=True
    )
    fold = np.random.default_rng(0).permutation(len(names))[group] % min(_FOLDS, len(names))
    temperature, bias = np.ones(len(labels)), np.zeros((len(labels), logs.shape[-1]))
    for one in np.unique(fold):
        inside = fold == one
        others = inside if inside.all() else ~inside
        counted = None if weights is None else weights[others]
        found = fit_scaling(labels[others], logs[:, others], method, ratios, counted)
        temperature[inside] = found.temperature
        bias[inside] = found.bias or 0.0
    return Scaling(temperature, bias if method == VECTOR else ())


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
    if np.ndim(logits) == 0:
        raise ValueError("logits must be [..., K], got a single number.")
    return Scaling(temperature).apply(logits)


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities softmax(logits / T) ``[..., K]``; arguments and errors as ``log_softmax``."""
    return np.exp(log_softmax(logits, temperature))


def fit_temperature(
    labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """The temperature in [1e-3, 1e5] that minimises the negative log-likelihood (Guo et al. 2017).

    The likelihood ratios of a flow are hundreds of nats, hence the wide range. Labels that are never
    got wrong have no best temperature and give 1; logits worse than chance give the upper end.

    Args:
        labels: int ``[N]`` of the validation split.
        logits: ``[N, K]`` as for ``log_softmax``.
        weights: how much each image counts ``[N]``, at least 0; None: all alike.

    Raises:
        ValueError: for non-finite logits or labels that do not fit them.
    """
    from scipy.optimize import brentq

    logits = _logits(logits)
    gaps = logits - of_label(labels, logits)[:, None]

    def slope(log_temperature: float) -> float:
        """Derivative of the negative log-likelihood by 1/T, which rises with 1/T: it is convex."""
        shares = apply_temperature(gaps, float(np.exp(log_temperature)))
        return float(np.average((shares * gaps).sum(axis=1), weights=weights))

    # In float64 throughout: the slope is a difference of sums over logits of hundreds of nats.
    low, high = (float(np.log(limit)) for limit in _TEMPERATURES)
    if slope(low) <= 0:
        return 1.0
    if slope(high) >= 0:
        return _TEMPERATURES[1]
    return float(np.exp(brentq(slope, low, high)))


def _logits(logits: np.ndarray) -> np.ndarray:
    logits = check_finite(logits, "logits")
    if logits.ndim != 2:
        raise ValueError(f"logits must be [N, K], got shape {logits.shape}.")
    return logits


def of_label(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The entry ``[N]`` of each row ``[N, K]`` that belongs to its label."""
    labels = check_labels(labels, logits.shape[1])
    check_shape(logits, (len(labels), logits.shape[1]), "logits")
    return logits[np.arange(len(labels)), labels]
