"""Distances of features among the measures of a prediction, and evaluations that know none."""

import dataclasses

import numpy as np

from msflow_jax.evaluation.familiar import MEASURES, Familiar
from msflow_jax.inference.kinds import outdated, own_measures, with_distances
from tests.inference.test_prediction import prediction

RNG = np.random.default_rng(0)
KNOWN = Familiar.of(RNG.normal(size=(40, 5)), np.arange(40) % 2)


def featured():
    found = prediction(RNG.random((2, 6, 3)))
    return dataclasses.replace(found, features=RNG.normal(size=(1, 6, 5)))


def test_distances_stand_among_the_measures():
    found = with_distances(featured(), KNOWN)
    assert set(MEASURES) <= set(own_measures(found)) and set(MEASURES) <= set(found.uncertainty)
    assert found.uncertainty["mahalanobis"].shape == (6,)
    bare = prediction(RNG.random((2, 6, 3)))
    assert with_distances(bare, KNOWN) is bare
    assert own_measures(with_distances(featured(), None)) == ()


def test_an_evaluation_of_before_is_named():
    line = outdated(featured(), None, "test (step 4)")
    assert "the evaluation test (step 4) knows no features" in line and "--adopt" in line
    assert "--no-features" in line and "of an earlier version" in line
    assert not outdated(featured(), KNOWN, "test (step 4)")
    assert not outdated(featured(), None, "")  # none at all, which is said already
    assert not outdated(prediction(RNG.random((2, 6, 3))), None, "test (step 4)")
