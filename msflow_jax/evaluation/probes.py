"""What frozen features hold: linear probes, and how many directions they take up."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from msflow_jax.evaluation.bootstrap import bootstrap_intervals, proportion_interval
from msflow_jax.evaluation.ratios import Counted, mean_over, rarest, weighted_mean, weighted_ratio

_STEPS = 2000  # of the optimiser at most


def fit_probe(
    features: np.ndarray, labels: np.ndarray, penalty: float = 1.0
) -> Callable[[np.ndarray], np.ndarray]:
    """A logistic regression of labels on standardised features, with an L2 penalty.

    Args:
        features: float ``[N, D]``; a feature that does not vary has no say.
        labels: ``[N]`` of any type.
        penalty: inverse of scikit-learn's C.

    Returns:
        ``predict(features [M, D]) -> labels [M]``; where all labels are equal it is always that one.

    Raises:
        ValueError: features that are not finite, or labels that are not one for each.
    """
    features, labels = _check(features, labels)
    if len(known := np.unique(labels)) == 1:
        return lambda x: np.repeat(known, len(x))
    model, mean, scale = fit_standardised(features, labels, penalty)
    return lambda x: model.predict((x - mean) * scale)


def fit_standardised(
    features: np.ndarray, labels: np.ndarray, penalty: float = 1.0
) -> tuple[Any, np.ndarray, np.ndarray]:
    """scikit-learn's logistic regression of ``(features - mean) * scale``, and these two ``[D]``.

    Arguments as of :func:`fit_probe`, with two labels or more; a feature that does not vary has scale 0.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 1e-12, 1 / np.maximum(deviation, 1e-12), 0.0)
    model = LogisticRegression(C=1 / penalty, max_iter=_STEPS)
    return model.fit((features - mean) * scale, labels), mean, scale


def probe(
    features_train: np.ndarray, y_train: np.ndarray, features_test: np.ndarray, y_test: np.ndarray,
    groups: Sequence[Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """How well labels follow from frozen features, by :func:`fit_probe`.

    Args:
        features_train: float ``[N, D]``.
        y_train: labels ``[N]``.
        features_test: float ``[M, D]``.
        y_test: labels ``[M]``; one that no training example has counts as wrong.
        groups: subject of each test example, for the interval.

    Returns:
        ``accuracy`` and ``balanced_accuracy`` (the mean recall of the labels that the test has) with
        intervals; ``majority``, the accuracy of the most frequent training label; ``classes``.

    Raises:
        ValueError: features that are not finite, of other widths, or without labels.
    """
    features_test, y_test = _check(features_test, y_test)
    if features_test.shape[1] != np.shape(features_train)[-1]:
        raise ValueError(
            f"the test features have {features_test.shape[1]} dimensions, those of the training "
            f"{np.shape(features_train)[-1]}: take both from one encoder"
        )
    predict = fit_probe(features_train, y_train)
    right = predict(features_test) == y_test
    known, numbers = np.unique(y_test, return_inverse=True)
    of = np.eye(len(known))[numbers]  # [M, K]
    recalls, all_of_them = weighted_ratio(right[:, None] * of, of), np.ones(len(known), bool)
    metrics = {
        "accuracy": weighted_mean(right),
        "balanced_accuracy": Counted(
            lambda weights: mean_over(recalls(weights), all_of_them), rarest(of > 0, groups)
        ),
    }
    spans = bootstrap_intervals(metrics, len(right), groups=groups)
    everyone = np.ones(len(right), bool)
    spans["accuracy"], _ = proportion_interval(right, everyone, groups, spans["accuracy"])
    values, counts = np.unique(y_train, return_counts=True)
    ones = np.ones((1, len(right)))
    return {
        **{k: {"value": float(f(ones)[0]), "interval": spans[k]} for k, f in metrics.items()},
        "majority": float((y_test == values[counts.argmax()]).mean()),
        "classes": [str(one) for one in values],
    }


def labels_found(
    train: np.ndarray, known: Mapping[str, np.ndarray], images: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray], groups: Sequence[Any] | None = None,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Which true labels linear classifiers of pixels, fitted to training images, find in other images.

    The penalty is the number of pixels: weights that together give a logit of about one.

    Args:
        train: training images ``[N, D]``, flat.
        known: labels ``[N]`` of each kind, such as a side or a size.
        images: several versions of the same examples ``[M, D]``, such as real and drawn ones.
        truth: true labels of the examples ``[M]`` by kind.
        groups: subject of each example, for the intervals.

    Returns:
        For each version, and for the ``most frequent`` training labels, the share that is right:
        ``{"all": {"value", "interval"}, kind: ...}``.
    """
    right: dict[str, list[np.ndarray]] = {name: [] for name in (*images, "most frequent")}
    for kind, labels in known.items():
        predict = fit_probe(train, labels, penalty=train.shape[1])
        for name, given in images.items():
            right[name].append(predict(given) == truth[kind])
        values, counts = np.unique(labels, return_counts=True)
        right["most frequent"].append(values[counts.argmax()] == truth[kind])

    # [M, 1 + kinds] each: all kinds together, then one by one.
    found = {
        name: np.column_stack([np.mean(columns, axis=0), *columns]).astype(float)
        for name, columns in right.items()
    }
    metrics = {name: weighted_mean(columns) for name, columns in found.items()}
    count = len(next(iter(truth.values())))
    spans = bootstrap_intervals(metrics, count, groups=groups)
    return {
        name: {
            kind: {"value": float(value), "interval": span}
            for kind, value, span in zip(("all", *known), columns.mean(0), spans[name], strict=True)
        }
        for name, columns in found.items()
    }


def effective_rank(features: np.ndarray) -> float:
    """exp of the entropy of the normalised singular values of centred features ``[N, D]``.

    Roy and Vetterli 2007: D of white features (and many examples), 1 of features on a line, and by
    convention 0 of features that do not vary.

    Raises:
        ValueError: features that are not finite.
    """
    features, _ = _check(features, np.zeros(len(features)))
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)
    if values.sum() <= 1e-9 * max(np.abs(features).max(), 1e-300) * len(values):
        return 0.0
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def _check(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if features.ndim != 2 or not len(features) or labels.shape != features.shape[:1]:
        raise ValueError(
            f"need features [N, D] and a label for each, got {features.shape} and {labels.shape}"
        )
    if not np.isfinite(features).all():
        raise ValueError("features that are not finite: the encoder's parameters are damaged")
    return features, labels
