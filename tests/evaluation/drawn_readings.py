"""Readings of a classifier drawn at random, and their evaluation."""

import numpy as np

from msflow_jax.evaluation import evaluate_classifier


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def readings(classes, n=120, draws=3, seed=0, present=None):
    rng = np.random.default_rng(seed)
    present = np.arange(classes) if present is None else np.asarray(present)
    labels = np.r_[present, rng.choice(present, n - len(present))]
    distances = 1 + rng.random((draws, n, classes)) - 0.5 * np.eye(classes)[labels]
    return labels, distances, softmax(-4 * distances)


def assert_plain(value):
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        [assert_plain(v) for v in value.values()]
    elif isinstance(value, list):
        [assert_plain(v) for v in value]
    else:
        assert type(value) in (int, float, str, bool, type(None)), type(value)


def evaluate(labels, distances, probabilities, **options):
    names = [f"class {k}" for k in range(distances.shape[2])]
    uncertainties = {"distance": distances.mean(axis=0).min(axis=1)}
    options = {"resamples": 40, **options}
    return evaluate_classifier(labels, distances, probabilities, uncertainties, names, **options)
