"""Bootstrap over images and over subjects."""

import json

import numpy as np
import pytest

from msflow_jax.evaluation.bootstrap import bootstrap_intervals, resample_counts
from msflow_jax.evaluation.ratios import mean_over, weighted_mean, weighted_ratio

CORRECT = (np.random.default_rng(0).random(120) < 0.7).astype(float)
METRICS = {"accuracy": lambda w: w @ CORRECT / w.sum(axis=-1)}


def test_intervals_over_images_are_the_percentiles_of_the_resamples():
    found = bootstrap_intervals(METRICS, 120, resamples=130, seed=3)
    rng = np.random.default_rng(3)
    values = []
    for rows in (50, 50, 30):
        values += [CORRECT[drawn].mean() for drawn in rng.integers(0, 120, size=(rows, 120))]
    assert found.pop("accuracy") == pytest.approx(np.percentile(values, [2.5, 97.5]).tolist())
    assert found == {"level": 0.95, "resamples": 130, "seed": 3}


def test_subjects_of_one_image_each_give_the_same_interval():
    plain = bootstrap_intervals(METRICS, 120)
    assert plain == bootstrap_intervals(METRICS, 120, seed=0)
    assert plain["accuracy"] != bootstrap_intervals(METRICS, 120, seed=1)["accuracy"]
    names = [f"{i:03d}" for i in range(120)]
    assert bootstrap_intervals(METRICS, 120, groups=names) == {
        **plain,
        "unit": "subject",
        "groups": 120,
    }


def test_whole_subjects_are_resampled():
    groups = np.repeat([7, 3, 9], [1, 2, 3])
    seen = []
    bootstrap_intervals(
        {"seen": lambda w: seen.append(w) or w[:, 0]}, 6, groups=groups, resamples=8
    )
    (weights,) = seen
    (counts,) = resample_counts(3, 8, 0)
    np.testing.assert_array_equal(weights, counts[:, [1, 0, 0, 2, 2, 2]])
    assert (weights[:, 1] == weights[:, 2]).all() and weights.sum(axis=1).max() > 6


def test_alike_images_of_a_subject_widen_the_interval():
    def width(found):
        return found["accuracy"][1] - found["accuracy"][0]

    correct = np.repeat(CORRECT, 10)
    metrics = {"accuracy": lambda w: w @ correct / w.sum(axis=-1)}
    by_image = bootstrap_intervals(metrics, 1200)
    by_subject = bootstrap_intervals(metrics, 1200, groups=np.repeat(np.arange(120), 10))
    assert width(by_subject) == pytest.approx(np.sqrt(10) * width(by_image), rel=0.15)
    assert json.loads(json.dumps(by_subject, allow_nan=False)) == by_subject


def test_one_subject_has_no_interval():
    found = bootstrap_intervals(METRICS, 120, groups=["a"] * 120)
    assert found["accuracy"] is None and found["groups"] == 1


def test_what_few_resamples_define_has_no_interval_and_a_reason():
    of = np.eye(3)[np.repeat([0, 1, 2], [100, 19, 1])]  # the last class is of one image
    right = np.repeat([1.0, 0.0], [110, 10])

    def recalls(weights):
        with np.errstate(invalid="ignore"):
            return (weights * right) @ of / (weights @ of)

    def both(weights):  # of one image alone: together in few resamples
        return np.where(
            (weights[:, 100] > 0) & (weights[:, 101] > 0), recalls(weights)[:, 1], np.nan
        )

    found = bootstrap_intervals({"recalls": recalls, "both": both}, 120)
    assert found["recalls"][1] and found["recalls"][0] is found["recalls"][2] is None
    whole, part, rare = found["undefined"]["recalls"]
    assert "no width" in whole and "no width" in rare and part == ""
    assert found["both"] is None and "fewer than half" in found["undefined"]["both"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_ratios_and_means_under_weights_are_nan_where_nothing_is_counted():
    above, below = (
        np.array([[1.0, 0.0], [2.0, 3.0], [0.0, 0.0]]),
        np.array([[2, 0], [2, 4], [1, 0]]),
    )
    weights = np.array([[1.0, 1.0, 0.0], [3.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    expected = [[3 / 4, 3 / 4], [3 / 7, np.nan], [np.nan, np.nan]]
    np.testing.assert_allclose(weighted_ratio(above, below)(weights), expected)
    mean = weighted_mean(np.array([1.0, np.nan, 4.0]))
    np.testing.assert_allclose(mean(weights), [1, 7 / 4, np.nan])


def test_a_mean_over_classes_is_of_all_that_the_set_has():
    values = np.array([[1.0, 0.0, np.nan], [1.0, np.nan, np.nan]])
    np.testing.assert_array_equal(mean_over(values, np.array([True, True, False])), [0.5, np.nan])
    assert np.isnan(mean_over(values, np.zeros(3, bool))).all()


@pytest.mark.parametrize("groups", [[], ["a"], ["a"] * 121])
def test_groups_must_be_one_per_image(groups):
    with pytest.raises(ValueError, match=f"each of the 120 images, got {len(groups)} names"):
        bootstrap_intervals(METRICS, 120, groups=groups)
