"""Conformal sets: their guarantee on exchangeable images, by hand, and against crepes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.evaluation import conformal
from msflow_jax.evaluation.conformal import APS, LAC, METHODS, RAPS
from msflow_jax.inference.sets import counted

CLASSES = ("a", "b", "c")


def images(count, seed, sharpness=1.5):
    """Labels, and probabilities of a model that is right now and then, and knows what is rare."""
    rng, prior = np.random.default_rng(seed), np.array([0.6, 0.3, 0.1])
    labels = rng.choice(3, count, p=prior)
    logits = sharpness * np.eye(3)[labels] + rng.normal(size=(count, 3)) + np.log(prior)
    p = np.exp(logits)
    return labels, p / p.sum(1, keepdims=True), rng.random(count)


def of_true(labels, p, uniform, method):
    scores = conformal.class_scores(p, method, uniform)
    return [scores[labels == k, k] for k in range(3)]


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_sets_hold_the_true_class_at_the_stated_rate(method, by_class):
    rates = []
    for seed in range(40):
        thresholds, few = conformal.thresholds_of(
            of_true(*images(400, seed), method), 0.9, by_class
        )
        labels, p, uniform = images(1000, 1000 + seed)
        chosen = conformal.sets(conformal.class_scores(p, method, uniform), thresholds)
        found = conformal.evaluate_sets(labels, chosen, CLASSES, 0.9, 400)
        rates.append([found["coverage"], *(row["coverage"] for row in found["classes"])])
        assert not few
    # Over calibration sets the mean is 0.9 to 0.9 + 1/(n + 1); the classes have 40 cases at least.
    mean = np.mean(rates, axis=0)
    assert 0.89 < mean[0] < 0.93
    assert (mean[1:] > 0.88).all() == by_class


def test_by_hand():
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    uniform = np.array([0.5, 0.0])
    np.testing.assert_allclose(conformal.class_scores(p, LAC, uniform), 1 - p)
    wanted = [[0.25, 0.65, 0.9], [0.8, 0.9, 0.0]]  # of equals the first in order
    np.testing.assert_allclose(conformal.class_scores(p, APS, uniform), wanted)
    wanted = [[0.25, 0.65, 1.0], [0.8, 1.0, 0.0]]
    np.testing.assert_allclose(conformal.class_scores(p, RAPS, uniform), wanted)
    assert conformal.threshold(np.arange(1, 10), 0.9) == 9
    assert conformal.threshold(np.arange(1, 9), 0.9) == np.inf
    assert conformal.needed(0.9) == 9 and conformal.needed(0.95) == 19


@settings(max_examples=30)
@given(count=st.integers(1, 60), coverage=st.floats(0.5, 0.99), seed=st.integers(0, 99))
def test_a_higher_rate_never_makes_a_smaller_set(count, coverage, seed):
    scores = np.random.default_rng(seed).random(count)
    low, high = (conformal.threshold(scores, c) for c in (coverage / 2, coverage))
    assert low <= high and np.isfinite(high) == (count >= conformal.needed(coverage))


def test_a_class_with_too_few_cases_is_named_and_in_every_set():
    cases = [np.linspace(0, 1, 50), np.linspace(0, 1, 3), np.zeros(0)]
    thresholds, few = conformal.thresholds_of(cases, 0.9, by_class=True)
    assert few == [1, 2] and np.isfinite(thresholds).tolist() == [True, False, False]
    assert conformal.sets(np.full((1, 3), 2.0), thresholds).tolist() == [[False, True, True]]
    assert conformal.thresholds_of(cases, 0.9, by_class=False)[1] == []
    assert conformal.thresholds_of([np.ones(2)] * 3, 0.9, by_class=False)[1] == [0, 1, 2]


def test_the_band_is_that_of_the_beta_law():
    chosen = np.ones((2000, 3), bool)
    found = conformal.evaluate_sets(np.zeros(2000, int), chosen, CLASSES, 0.9, 100)
    low, high = found["band"]
    assert low == pytest.approx(0.835, abs=0.01) and high == pytest.approx(0.95, abs=0.01)
    assert found["size"] == 3 and found["single"] == 0 and found["classes"][1]["coverage"] is None
    few = conformal.evaluate_sets(np.zeros(5, int), chosen[:5], CLASSES, 0.9, 5)
    assert few["band"] is None


def test_images_of_one_subject_count_once_for_the_band():
    """Of 25 subjects with 20 images each, whose images are all in their set or none."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        cut = np.sort(rng.random(99))[89]  # a threshold of 99 cases, each a subject
        held = np.repeat(rng.random(25) <= cut, 20)
        labels, chosen = np.zeros(500, int), np.stack([held, held], 1)
        one = conformal.evaluate_sets(labels, chosen, CLASSES[:2], 0.9, 99, subjects=25)
        inside += one["band"][0] <= one["coverage"] <= one["band"][1]
    wrong = conformal.evaluate_sets(labels, chosen, CLASSES[:2], 0.9, 99)
    assert inside >= 280 and np.diff(wrong["band"]) < np.diff(one["band"]) - 0.05


def test_subjects_are_counted_where_they_have_several_images():
    groups = ("a", "a", "b", "c")
    assert counted(groups, np.arange(4)) == 3 and counted(None, np.arange(4)) == 0
    assert counted(groups, np.array([False, False, True, True])) == 0
    assert counted(groups, np.zeros(4, bool)) == 3  # of all, for want of any held back


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_same_sets_as_crepes(method, by_class):
    crepes = pytest.importorskip("crepes")
    labels, p, uniform = images(300, 0)
    own = conformal.class_scores(p, method, uniform)[np.arange(300), labels]
    _, test, random = images(200, 1)
    scores = conformal.class_scores(test, method, random)
    oracle = crepes.ConformalClassifier()
    if by_class:
        oracle.fit(own, bins=labels)
        wanted = np.stack([
            oracle.predict_set(scores, bins=np.full(200, k), confidence=0.9, smoothing=False)[:, k]
            for k in range(3)
        ], axis=1)  # fmt: skip
    else:
        wanted = oracle.fit(own).predict_set(scores, confidence=0.9, smoothing=False)
    thresholds, _ = conformal.thresholds_of(of_true(labels, p, uniform, method), 0.9, by_class)
    np.testing.assert_array_equal(conformal.sets(scores, thresholds), wanted.astype(bool))


def test_what_is_refused():
    with pytest.raises(ValueError, match="choose one of lac, aps, raps"):
        conformal.class_scores(np.full((1, 2), 0.5), "top", np.zeros(1))
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\), got 1"):
        conformal.threshold(np.zeros(3), 1)


def test_the_random_part_is_by_content_alone():
    index = np.array([5, 7, 5], np.uint32)
    found = conformal.uniform_of(index, 0)
    assert found[0] == found[2] != found[1]
    many = conformal.uniform_of(np.arange(2000, dtype=np.uint32), 1)
    assert many.min() >= 0 and many.max() < 1 and abs(many.mean() - 0.5) < 0.03


def test_what_is_said_of_sets_by_hand():
    chosen = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]], bool)
    found = conformal.evaluate_sets(np.array([0, 2, 1, 1]), chosen, CLASSES, 0.9, 20)
    assert found["coverage"] == 0.5 and found["size"] == 1.25
    assert found["single"] == 0.25 and found["empty"] == 0.25
    assert found["by_size"] == [
        {"size": 0, "count": 1, "coverage": 0.0},
        {"size": 1, "count": 1, "coverage": 1.0},
        {"size": 2, "count": 2, "coverage": 0.5},
    ]
    assert [row["coverage"] for row in found["classes"]] == [1.0, 0.5, 0.0]


def test_another_seed_gives_another_random_part():
    index = np.arange(5, dtype=np.uint32)
    assert (conformal.uniform_of(index, 0) != conformal.uniform_of(index, 1)).all()
