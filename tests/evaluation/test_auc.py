"""AUC against scikit-learn, under both conventions, with ties, weights and absent classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.evaluation import auc

metrics = pytest.importorskip("sklearn.metrics")


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 8))
def test_binary_auc_matches_sklearn_with_ties(seed, n, levels):
    rng = np.random.default_rng(seed)
    positive = np.r_[True, False, rng.random(n) < 0.4]
    scores = rng.integers(0, levels, n + 2) / 7
    assert auc.binary_auc(positive, scores) == pytest.approx(
        metrics.roc_auc_score(positive, scores), abs=1e-12
    )


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_weights_equal_repeated_rows(seed):
    rng = np.random.default_rng(seed)
    positive = np.r_[True, False, rng.random(30) < 0.5]
    scores = rng.integers(0, 9, 32) / 3
    counts = np.r_[1, 1, rng.integers(0, 4, 30)]
    value = auc.weighted_auc(positive, scores, np.stack([counts, np.ones(32)]))
    repeated = metrics.roc_auc_score(np.repeat(positive, counts), np.repeat(scores, counts))
    assert value[0] == pytest.approx(repeated, abs=1e-12)
    assert value[1] == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_distance_auc_is_the_mean_over_classes_of_not_k_against_d_k(classes):
    rng = np.random.default_rng(classes)
    labels = np.r_[np.arange(classes), rng.integers(0, classes, 200)]
    distances = rng.random((len(labels), classes)) - 0.3 * np.eye(classes)[labels]
    expected = np.mean(
        [metrics.roc_auc_score(labels != k, distances[:, k]) for k in range(classes)]
    )
    assert auc.distance_auc(labels, distances) == pytest.approx(expected, abs=1e-12)


def test_two_classes_make_the_conventions_differ():
    labels = np.array([0, 0, 1, 1])
    distances = np.array([[0.1, 0.9], [0.5, 0.2], [0.6, 0.3], [0.8, 0.1]])
    probabilities = softmax(-distances)
    one_sided = metrics.roc_auc_score(labels, probabilities[:, 1])
    assert auc.probability_auc(labels, probabilities) == pytest.approx(one_sided)
    # d_0 ranks every image rightly; d_1 puts image 1 before image 2: 3 of 4 pairs.
    assert auc.distance_auc(labels, distances) == pytest.approx((1 + 0.75) / 2)


def test_many_classes_match_sklearn_macro_one_vs_rest():
    rng = np.random.default_rng(1)
    labels = np.r_[np.arange(5), rng.integers(0, 5, 150)]
    probabilities = softmax(rng.normal(size=(155, 5)) + 2 * np.eye(5)[labels])
    expected = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert auc.probability_auc(labels, probabilities) == pytest.approx(expected, abs=1e-12)


def test_absent_class_is_skipped():
    rng = np.random.default_rng(2)
    labels = np.r_[0, 2, rng.choice([0, 2], 40)]
    distances = rng.random((42, 3))
    expected = np.mean([metrics.roc_auc_score(labels != k, distances[:, k]) for k in (0, 2)])
    assert auc.distance_auc(labels, distances) == pytest.approx(expected, abs=1e-12)


def test_one_class_is_undefined():
    labels, scores = np.zeros(5, int), np.random.default_rng(0).random((5, 3))
    assert auc.distance_auc(labels, scores) is None
    assert auc.probability_auc(labels, scores) is None
    assert auc.probability_auc(labels, scores[:, :2]) is None
    assert auc.binary_auc(np.ones(5, bool), scores[:, 0]) is None
