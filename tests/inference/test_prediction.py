"""Predictions: draws are pooled once, and a temperature keeps their order."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ml_collections import ConfigDict
from scipy.special import log_softmax

from msflow_jax.data import Info
from msflow_jax.evaluation.scaling import Scaling
from msflow_jax.inference.prediction import Prediction, class_numbers, uncertainties
from msflow_jax.inference.settings import prior_weights

LOGITS = arrays(np.float64, (2, 5, 3), elements=st.floats(-300, 300))


def prediction(distances, log_prob=None):
    probabilities = np.exp(-distances)
    ones = np.ones(distances.shape[:2])
    return Prediction(
        distances, probabilities, distances.argmin(-1), ones, ones > 0, log_prob, ("a", "b", "c")
    )


def test_draws_are_pooled_once():
    rng = np.random.default_rng(0)
    distances, log_prob = rng.random((4, 6, 3)), rng.normal(size=(4, 6))
    found = prediction(distances, log_prob)
    np.testing.assert_array_equal(found.prediction, distances.mean(0).argmin(1))
    np.testing.assert_array_equal(found.probability, np.exp(-distances).mean(0))
    np.testing.assert_array_equal(found.log_likelihood, log_prob.mean(0))
    assert found.names == tuple("abc"[k] for k in found.prediction)
    np.testing.assert_array_equal(found.uncertainty["evidence"], -log_prob.mean(0))
    assert prediction(distances).log_likelihood is None


@given(LOGITS, st.floats(0.01, 100))
def test_a_temperature_gives_probabilities_and_keeps_the_class_of_a_draw(logits, temperature):
    given = dataclasses.replace(prediction(-log_softmax(logits, axis=-1)), in_nats=True)
    found = given.scaled(Scaling(temperature))
    np.testing.assert_allclose(found.probabilities.sum(-1), 1, rtol=1e-9)
    np.testing.assert_allclose(np.exp(-found.distances), found.probabilities, rtol=1e-12)
    first = np.take_along_axis(found.distances, given.distances.argmin(-1)[..., None], -1)
    np.testing.assert_allclose(first[..., 0], found.distances.min(-1), rtol=1e-9, atol=1e-9)


def test_temperature_one_changes_nothing():
    given = prediction(np.random.default_rng(0).random((1, 2, 3)))
    assert given.scaled(Scaling()) is given


def test_distances_to_codes_stay_unless_classes_have_a_bias():
    given = prediction(np.random.default_rng(0).random((2, 5, 3)))
    found = given.scaled(Scaling(0.5))
    np.testing.assert_array_equal(found.distances, given.distances)
    wanted = given.probabilities**2
    np.testing.assert_allclose(found.probabilities, wanted / wanted.sum(-1, keepdims=True))
    biased = given.scaled(Scaling(0.5, (0.0, 9.0, 0.0)))
    assert set(biased.prediction) == {1}
    # What calibration is measured by is what is reported, and not the distances that follow it.
    np.testing.assert_allclose(np.exp(biased.log_probabilities), biased.probabilities)
    np.testing.assert_allclose(np.exp(-biased.distance), biased.probability)
    assert (biased.prediction == biased.probability.argmax(axis=1)).all()


def test_uncertainties():
    distances = np.array([[[0.1, 1.0], [0.5, 0.6]], [[0.3, 1.0], [0.7, 0.6]]])
    p = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.8, 0.2], [0.4, 0.6]]])
    found = uncertainties(distances, p)
    np.testing.assert_allclose(found["distance"], [0.2, 0.6])
    np.testing.assert_allclose(found["margin"], [-0.8, 0.0])
    np.testing.assert_allclose(found["posterior"], [0.15, 0.45])
    assert found["entropy"][1] > found["entropy"][0]
    np.testing.assert_allclose(found["spread"], np.std([0.9, 0.8], ddof=1), rtol=1e-6)
    assert "spread" not in uncertainties(distances[:1], p[:1])
    with pytest.raises(ValueError, match="D, N, K"):
        uncertainties(distances[0], p[0])


@pytest.mark.parametrize(
    ("classes", "labels", "expected"),
    [
        (("ill", "well"), ["1", 0, "ill", "0"], [1, 0, 0, 0]),
        (("ill", "1"), ["1", 0, "ill"], [1, 0, 0]),  # a name before a number
        (("1", "2", "10"), [1, "1", np.int64(2), "10", "2"], [1, 0, 2, 2, 1]),
    ],
)
def test_an_int_is_a_number_and_a_string_a_name_first(classes, labels, expected):
    assert class_numbers(classes, labels).tolist() == expected


@pytest.mark.parametrize("classes", [("1", "2", "10"), ("ill", "1"), ("2", "3")])
def test_where_classes_are_numbers_no_other_number_is_one(classes):
    """``--label=0`` drew the class called 1, without a word."""
    with pytest.raises(ValueError, match="unknown class '0': this model knows 0 = "):
        class_numbers(classes, ["0"])


@pytest.mark.parametrize("label", ["x", 2, -1, 1.0, True, None, "2"])
def test_what_is_no_class(label):
    with pytest.raises(ValueError, match=r"unknown class .*: this model knows 0 = ill, 1 = well"):
        class_numbers(("ill", "well"), ["ill", label])


@pytest.mark.parametrize("density", [True, False])
def test_a_prior_that_was_learned_is_not_corrected_twice(density):
    """Batches of equally many of each class teach a posterior equal frequencies; a density none."""
    info = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", (), counts=(90, 10))
    model = SimpleNamespace(**({"class_prior": (0.9, 0.1)} if density else {}))
    for balanced in (False, True):
        config = ConfigDict(dict(train=dict(balanced=balanced)))
        flow = SimpleNamespace(info=info, config=config, model=model)
        wanted = None if balanced and not density else pytest.approx((100 / 180, 5.0))
        assert prior_weights(flow, "uniform") == wanted and prior_weights(flow, "natural") is None
        with pytest.raises(ValueError, match="unknown class prior"):
            prior_weights(flow, "equal")
