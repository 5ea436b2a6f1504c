"""One call that measures a classifier whose predictions pool several noise draws."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from msflow_jax.evaluation import auc, calibration
from msflow_jax.evaluation.checks import (
    check_finite,
    check_labels,
    check_probabilities,
    check_shape,
)
from msflow_jax.evaluation.confusion import (
    class_notes,
    class_table,
    confusion_matrix,
    headline_scores,
)
from msflow_jax.evaluation.intervals import classifier_intervals
from msflow_jax.evaluation.selective import evaluate_uncertainty

_CONVENTIONS = {
    "prediction": "class of the smallest distance, distances averaged over the noise draws",
    "auc_distance": "mean over classes of the AUC of [label != k] against the distance to code k "
    "(MedSymmFlow's official code; for 2 classes the mean of two one-sided AUCs)",
    "auc_probability": "MedMNIST: for 2 classes the AUC of the probability of class 1, otherwise "
    "the mean one-versus-rest AUC of the probabilities",
    "probability_agreement": "share of images where the most probable class is the prediction",
    "balanced_accuracy": "mean recall over the classes present, which is the macro recall",
    "macro_precision": "mean precision over the classes present; one that is never predicted counts "
    "as 0",
    "macro_f1": "mean over the classes present of F1, the harmonic mean of precision and recall",
    "cohen_kappa": "agreement of predictions and labels beyond chance, (p_o - p_e) / (1 - p_e) with "
    "p_e from the two class frequencies (Cohen 1960): 1 perfect, 0 chance",
    "quadratic_kappa": "the same for ordered classes: a disagreement weighs with the squared distance "
    "of the two grades (Cohen 1968)",
    "recall": "sensitivity: share of the images of a class that are given it",
    "specificity": "share of the images of other classes that are not given this one",
    "precision": "positive predictive value: share of the images given a class that are of it, at the "
    "class frequencies of this split",
    "npv": "negative predictive value: share of the images not given a class that are not of it, at the "
    "class frequencies of this split",
    "auc": "of a class: area under the ROC curve of its probability, this class against all others",
    "average_precision": "of a class: mean precision over the steps of recall of its probability; "
    "chance gives the share of its images",
    "ece": "expected calibration error of the most probable class, equal-width bins",
    "brier": "sum over classes of squared error, mean over images (0 best, 2 worst)",
    "nll": "mean negative log probability of the true class, in nats; probabilities below 1e-12 "
    "count as 1e-12",
    "intervals": "percentile bootstrap over test images: not the spread over trainings or draws; of "
    "shares of 0 or 1, or over fewer than 10 images, the exact binomial interval (Clopper and Pearson "
    "1934)",
    "draws": "spread over inference-noise draws of one trained model; sd is the sample standard "
    "deviation",
}

WEIGHED = "classes weighed as equally frequent, as the probabilities are"
_WEIGHED = f"Calibration error, Brier score and negative log-likelihood: {WEIGHED}."
# Replaces the convention of that name where the subjects of the images are known.
_BY_SUBJECT = {
    "intervals": "percentile bootstrap over the subjects of the test images, all images of a subject "
    "together: not the spread over trainings or draws; of shares of 0 or 1 the exact binomial interval "
    "over subjects (Clopper and Pearson 1934)",
}

# Replaces the convention of that name where draws have opposite noise two and two.
_OPPOSITE = {
    "draws": "spread over inference-noise draws of one trained model, which have opposite noise two and "
    "two; sd is the sample standard deviation, and like the uncertainty spread up to sqrt(D / (D - 1)) "
    "times that of D independent draws (1.41 of two, 1.07 of eight); agreement is of draws of different "
    "noise",
}

# What is worded otherwise for a model that gives likelihoods: ``evaluate_classifier(conventions=...)``.
LIKELIHOOD_CONVENTIONS = {
    "prediction": "class of the largest log-posterior (log-likelihood plus log-prior), averaged over "
    "the dequantisation draws; a distance is a negative log-posterior in nats",
    "auc_distance": "mean over classes of the AUC of [label != k] against the negative log-posterior "
    "of class k; unlike probabilities, log-posteriors do not round to 0 and 1",
    "draws": "spread over dequantisation draws of one trained model; sd is the sample standard "
    "deviation",
}


def evaluate_classifier(
    labels: np.ndarray,
    distances: np.ndarray,
    probabilities: np.ndarray,
    uncertainties: dict[str, np.ndarray],
    classes: Sequence[str],
    *,
    groups: Sequence[Any] | None = None,
    ordered: bool = False,
    resamples: int = 500,
    conventions: Mapping[str, str] | None = None,
    opposite: bool = False,
    weights: np.ndarray | None = None,
) -> dict[str, Any]:
    """All classification metrics of one split, ready for ``json.dump(..., allow_nan=False)``.

    Distances and probabilities are averaged over the draws; the prediction is the argmin of the mean
    distance. ``conventions`` says which AUC is which. Classes without a test image are left out of
    the averages over classes and named in ``notes``.

    Args:
        labels: int ``[N]`` in 0..K-1.
        distances: ``[D, N, K]`` to each class code for D noise draws, smaller = more likely.
        probabilities: ``[D, N, K]``, rows sum to 1.
        uncertainties: name -> ``[N]``, larger = less certain.
        classes: K class names.
        groups: subject of each image ``[N]``, see :func:`bootstrap_intervals`; None if unknown.
        ordered: whether the classes are grades, which have a quadratic kappa.
        resamples: bootstrap resamples of the 95 % intervals; 0 leaves them out.
        conventions: texts that replace those of the same name under ``conventions``, such as
            ``LIKELIHOOD_CONVENTIONS``.
        opposite: whether draws 0 and 1 have opposite noise, 2 and 3 again; see :func:`draw_agreement`.
        weights: how much each image counts ``[N]`` for calibration error, Brier score and log-likelihood
            of probabilities of equal class frequencies; None: all alike.

    Returns:
        A dict of plain Python values; a metric that is undefined is None, with its reason under
        ``undefined``. With weights ``weighed`` is True.

    Raises:
        ValueError: for shapes that disagree, non-finite values, or labels out of range.
    """
    labels, distances, probabilities = _checked(labels, distances, probabilities, classes)
    distance, probability = distances.mean(axis=0), probabilities.mean(axis=0)
    predictions = distance.argmin(axis=1)
    intervals, by_class = classifier_intervals(
        labels, predictions, probability, groups=groups, ordered=ordered, resamples=resamples
    )
    table = class_table(labels, predictions, classes, probability, by_class)
    special = ({} if groups is None else _BY_SUBJECT) | (_OPPOSITE if opposite else {})
    return {
        "images": len(labels),
        "classes": [str(name) for name in classes],
        **_pooled(labels, distance, probability, ordered, weights),
        "intervals": intervals,
        "confusion": confusion_matrix(labels, predictions, len(classes)).tolist(),
        "per_class": table,
        "draws": _draws(labels, distances, probabilities, opposite),
        "rejection": _rejection(predictions == labels, uncertainties),
        "conventions": {**_CONVENTIONS, **special, **(conventions or {})},
        "notes": [*class_notes(table), *([] if weights is None else [_WEIGHED])],
        **({} if weights is None else {"weighed": True}),
    }


def draw_agreement(predictions: np.ndarray, opposite: bool = False) -> dict[str, Any]:
    """How far the draws agree on the class.

    Args:
        predictions: int ``[D, N]``.
        opposite: whether draws 0 and 1 have opposite noise, 2 and 3 again. Such two agree less than two
            that were drawn apart, so that only pairs of draws of different noise are compared.

    Returns:
        ``agreement`` (mean over pairs of draws of the share of images that both give the same class)
        and ``unanimous`` (share of images that all draws give the same class); None with one draw, the
        first also without a pair, with the reason under ``undefined``.
    """
    if len(predictions) < 2:
        reason = "one draw only: draws=2 or more shows how far the noise changes the prediction"
        return {"agreement": None, "unanimous": None, "undefined": {"agreement": reason}}
    pairs = [
        float((predictions[i] == predictions[j]).mean())
        for i, j in combinations(range(len(predictions)), 2)
        if not opposite or i // 2 != j // 2
    ]
    unanimous = float((predictions == predictions[:1]).all(axis=0).mean())
    if not pairs:
        reason = "both draws have the same noise with opposite signs: draws=4 or more have others"
        return {"agreement": None, "unanimous": unanimous, "undefined": {"agreement": reason}}
    return {"agreement": float(np.mean(pairs)), "unanimous": unanimous}


def _checked(
    labels: np.ndarray, distances: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if len(classes) < 2:
        raise ValueError(f"classes must name at least 2 classes, got {list(classes)}.")
    labels = check_labels(labels, len(classes))
    distances = check_finite(distances, "distances")
    if distances.ndim != 3 or distances.shape[0] == 0:
        raise ValueError(f"distances must be [draws, N, K], got shape {distances.shape}.")
    shape = (distances.shape[0], len(labels), len(classes))
    check_shape(distances, shape, "distances")
    probabilities = check_shape(np.asarray(probabilities), shape, "probabilities")
    return labels, distances, check_probabilities(probabilities)


def _pooled(
    labels: np.ndarray, distance: np.ndarray, probability: np.ndarray, ordered: bool,
    weights: np.ndarray | None,
) -> dict[str, Any]:  # fmt: skip
    """Metrics of the prediction pooled over the draws: distance and probability ``[N, K]``."""
    predictions = distance.argmin(axis=1)
    reliability = calibration.reliability_table(labels, probability, weights=weights)
    metrics = {
        **headline_scores(labels, predictions, distance.shape[1], ordered),
        "auc_distance": auc.distance_auc(labels, distance),
        "auc_probability": auc.probability_auc(labels, probability),
        "ece": calibration.ece_of_table(reliability),
        "brier": calibration.brier(labels, probability, weights),
        "nll": calibration.negative_log_likelihood(labels, probability, weights),
        "probability_agreement": float((probability.argmax(axis=1) == predictions).mean()),
    }
    reason = "the labels hold only one class, so there is nothing to tell apart"
    undefined = {name: reason for name, value in metrics.items() if value is None}
    return {**metrics, "reliability": reliability, "undefined": undefined}


def _draws(
    labels: np.ndarray, distances: np.ndarray, probabilities: np.ndarray, opposite: bool
) -> dict[str, Any]:
    predictions = distances.argmin(axis=2)
    per_draw: dict[str, list[float | None]] = {
        "accuracy": [float((p == labels).mean()) for p in predictions],
        "auc_distance": [auc.distance_auc(labels, d) for d in distances],
        "auc_probability": [auc.probability_auc(labels, p) for p in probabilities],
    }
    out: dict[str, Any] = {"count": len(distances), "opposite": opposite}
    out |= draw_agreement(predictions, opposite)
    for name, values in per_draw.items():
        known = [v for v in values if v is not None]
        out[name] = {
            "values": values,
            "mean": float(np.mean(known)) if known else None,
            "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        }
    return out


def _rejection(correct: np.ndarray, uncertainties: dict[str, np.ndarray]) -> dict[str, Any]:
    """:func:`evaluate_uncertainty` of every uncertainty ``[N]``."""
    return {
        name: evaluate_uncertainty(correct, check_shape(np.asarray(values), correct.shape, name))
        for name, values in uncertainties.items()
    }
