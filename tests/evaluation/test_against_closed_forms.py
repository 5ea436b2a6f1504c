"""Scores that scikit-learn and scipy give, against their closed forms; and a cheap import."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.evaluation import calibration, confusion, scaling


def scores_of_counts(counts):
    """Every score from the confusion matrix ``[K, K]`` by hand."""
    true, predicted, hits = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    total, present = counts.sum(), true > 0
    chance, everything = int(true @ predicted), int(total) ** 2
    agreement = int(hits.sum()) * int(total)
    return {
        "accuracy": hits.sum() / total,
        "balanced_accuracy": (hits[present] / true[present]).mean(),
        "macro_precision": (hits[present] / np.maximum(predicted[present], 1)).mean(),
        "macro_f1": (2 * hits[present] / (true + predicted)[present]).mean(),
        "cohen_kappa": (agreement - chance) / (everything - chance) if present.sum() > 1 else None,
        "majority_accuracy": true.max() / total,
    }


@st.composite
def cases(draw):
    """Labels and predictions, each of only some of the classes, and probabilities of all."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    classes, n = draw(st.integers(2, 6)), draw(st.integers(1, 40))
    some = st.lists(st.integers(0, classes - 1), min_size=1, unique=True)
    labels, predictions = (rng.choice(draw(some), n) for _ in range(2))
    return labels, predictions, rng.dirichlet(np.full(classes, 0.3), n)


@settings(max_examples=60)
@given(cases())
def test_scores_of_predicted_classes(case):
    labels, predictions, probabilities = case
    classes = probabilities.shape[1]
    expected = np.zeros((classes, classes), int)
    np.add.at(expected, (labels, predictions), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = confusion.confusion_matrix(labels, predictions, classes)
        found = confusion.headline_scores(labels, predictions, classes)
        table = confusion.class_table(labels, predictions, list("abcdef")[:classes], probabilities)
    np.testing.assert_array_equal(counts, expected)
    for name, value in scores_of_counts(expected).items():
        assert found[name] == (None if value is None else pytest.approx(value, abs=1e-14)), name
    kappa = float(confusion.kappas(expected))
    assert found["cohen_kappa"] == (None if np.isnan(kappa) else pytest.approx(kappa, abs=1e-12))
    weighted = confusion.weighted_confusion(labels, predictions, classes, np.ones((2, len(labels))))
    np.testing.assert_array_equal(weighted, [expected, expected])
    for k, row in enumerate(table):
        true, predicted, hit = expected[k].sum(), expected[:, k].sum(), expected[k, k]
        assert (row["count"], row["predicted"]) == (true, predicted)
        assert row["recall"] == (pytest.approx(hit / true) if true else None)
        assert row["precision"] == (pytest.approx(hit / predicted) if predicted else None)
        assert row["f1"] == (pytest.approx(2 * hit / (true + predicted)) if true else None)
        assert set(row.get("undefined", {})) == {k for k, v in row.items() if v is None}


@settings(max_examples=60)
@given(cases(), st.sampled_from([np.float64, np.float32]))
def test_scores_of_probabilities(case, dtype):
    labels, _, probabilities = case
    probabilities = probabilities.astype(dtype)
    target = np.eye(probabilities.shape[1])[labels]
    exact = probabilities.astype(np.float64)
    tolerance = {"abs": 1e-12 if dtype is np.float64 else 1e-6}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # rows of float32 do not sum to 1 exactly
        brier = calibration.brier(labels, probabilities)
        nll = calibration.negative_log_likelihood(labels, probabilities)
    assert type(brier) is float and type(nll) is float
    assert brier == pytest.approx(((exact - target) ** 2).sum(axis=1).mean(), **tolerance)
    chosen = np.maximum(exact[np.arange(len(labels)), labels], 1e-12)
    assert nll == pytest.approx(-np.log(chosen).mean(), **tolerance)


def test_certain_probabilities():
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    right, wrong = np.array([0, 1]), np.array([1, 0])
    assert calibration.negative_log_likelihood(right, certain) == pytest.approx(0, abs=1e-15)
    expected = -np.log(1e-12)
    assert calibration.negative_log_likelihood(wrong, certain) == pytest.approx(expected)
    assert calibration.brier(right, certain) == 0 and calibration.brier(wrong, certain) == 2


@pytest.mark.parametrize("shape", [(4,), (7, 3), (2, 5, 3), (2, 2, 2, 4)])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_log_softmax_of_any_rank(shape, scale):
    logits = scale * np.random.default_rng(0).normal(size=shape)
    scaled = logits / 0.7
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    expected = scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(scaling.log_softmax(logits, 0.7), expected, rtol=1e-12)
    np.testing.assert_allclose(scaling.apply_temperature(logits, 0.7).sum(axis=-1), 1)


def test_log_softmax_needs_an_axis():
    with pytest.raises(ValueError, match=r"\[..., K\]"):
        scaling.log_softmax(np.float64(1.0))


def test_the_package_is_cheap_to_import():
    heavy = ("sklearn", "scipy", "jax", "flax", "optax")
    code = f"import sys, msflow_jax.evaluation; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
