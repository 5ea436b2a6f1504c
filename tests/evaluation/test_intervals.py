"""Intervals of the classifier evaluation: seeded, over images or subjects, and where there is none."""

import numpy as np
import pytest

from tests.evaluation.drawn_readings import assert_plain, evaluate, readings, softmax


def test_intervals_are_seeded_hold_the_estimate_and_have_the_right_width():
    labels, distances, probabilities = readings(2, n=400)
    first = evaluate(labels, distances, probabilities, resamples=500)
    low, high = first["intervals"]["accuracy"]
    p = first["accuracy"]
    assert low <= p <= high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 400), rel=0.2)
    low, high = first["intervals"]["auc_probability"]
    assert low < first["auc_probability"] < high
    assert (
        first["intervals"] == evaluate(labels, distances, probabilities, resamples=500)["intervals"]
    )


def test_intervals_over_subjects_say_so_and_change_nothing_else():
    labels, distances, probabilities = readings(3)
    plain = evaluate(labels, distances, probabilities)
    grouped = evaluate(labels, distances, probabilities, groups=np.arange(120) // 4)
    assert grouped["intervals"]["unit"] == "subject" and grouped["intervals"]["groups"] == 30
    assert "subjects" in grouped["conventions"]["intervals"]
    assert set(plain["intervals"]) == {
        "level", "resamples", "seed", "accuracy", "auc_probability", "balanced_accuracy", "cohen_kappa"
    }  # fmt: skip
    assert_plain(grouped)
    for found in (grouped, plain):
        del found["intervals"], found["conventions"]
        for row in found["per_class"]:
            del row["intervals"]
    assert grouped == plain


def test_a_perfect_score_has_an_interval_with_a_width_or_none():
    """A bootstrap of images that are all right says [1, 1], whether there are three or thousands."""
    labels = np.repeat([0, 1], [3, 40])
    distances = 1.0 - np.eye(2)[labels][None]
    result = evaluate(labels, distances, softmax(-9 * distances))
    low, high = result["intervals"]["accuracy"]
    assert low == pytest.approx(0.025 ** (1 / 43)) and high == 1
    rare = result["per_class"][0]["intervals"]
    assert rare["recall"] == [pytest.approx(0.025 ** (1 / 3)), 1.0]
    assert rare["auc"] is None and "no width" in rare["undefined"]["auc"]
    assert result["intervals"]["auc_probability"] is None
    assert "no width" in result["intervals"]["undefined"]["auc_probability"]


@pytest.mark.parametrize("rare", [1, 9, 10])
def test_a_class_that_is_never_found_bounds_the_means_over_classes(rare):
    """Of one image: a third of the resamples lacks it, and has the mean over the others."""
    labels = np.repeat([0, 1, 2], [60, 59, rare])
    distances = 1.0 - np.eye(3)[labels][None]
    distances[:, :4] = distances[:, :4, [1, 0, 2]]
    distances[:, -rare:] = [0.0, 0.5, 2.0]  # taken for anything before its own class
    found = evaluate(labels, distances, softmax(-distances), resamples=500)
    for name in ("balanced_accuracy", "auc_probability"):
        span = found["intervals"][name]
        if rare >= 10:
            assert span[0] <= found[name] <= span[1] < 0.68, name
        else:
            assert span is None and found["intervals"]["undefined"][name].startswith(f"{rare} im")


@pytest.mark.parametrize("by_subject", [False, True])
def test_an_area_has_an_interval_where_ten_of_both_sides_are_there(by_subject):
    """One image that is always the same one says nothing of how others of its class would be judged."""
    labels = np.repeat([0, 1, 2, 0], [200, 12, 4, 4])
    groups = np.r_[np.arange(200), np.repeat(200 + np.arange(6), 2), 300 + np.arange(8)]
    probabilities = softmax(np.random.default_rng(0).normal(size=(1, 220, 3)) + np.eye(3)[labels])
    found = evaluate(
        labels, 1 - probabilities, probabilities, groups=groups if by_subject else None
    )
    healthy, ill, rare = (row["intervals"] for row in found["per_class"])
    assert healthy["auc"] and rare["auc"] is None
    unit = "subject" if by_subject else "image"
    assert rare["undefined"]["auc"] == f"4 {unit}s: a bootstrap needs 10 or more"
    assert (ill["auc"] is None) == by_subject
    for name in ("auc_probability", "balanced_accuracy"):
        assert found["intervals"]["undefined"][name].startswith(f"4 {unit}s")
    assert found["intervals"]["cohen_kappa"] and found["intervals"]["accuracy"]


def test_means_over_classes_that_few_resamples_hold_say_so():
    labels = np.r_[np.repeat([0, 1], 60), np.arange(2, 8)]
    distances = 1.0 - np.eye(8)[labels][None]
    distances[:, :4] = distances[:, :4, [1, 0, *range(2, 8)]]
    found = evaluate(labels, distances, softmax(-distances), resamples=500)["intervals"]
    for name in ("balanced_accuracy", "auc_probability"):
        assert found[name] is None and "fewer than half" in found["undefined"][name]
    assert found["cohen_kappa"] and "cohen_kappa" not in found["undefined"]


def test_few_images_or_subjects_have_no_bootstrap_and_a_reason():
    labels, distances, probabilities = readings(2, n=8)
    distances[:, :3] = distances[:, :3, ::-1]
    found = evaluate(labels, distances, probabilities)["intervals"]
    low, high = found["accuracy"]  # exact, of 8 images
    assert low < 5 / 8 < high and high - low > 0.5
    assert found["cohen_kappa"] is None and "8 images" in found["undefined"]["cohen_kappa"]
    labels, distances, probabilities = readings(2, n=40)
    distances[:, :9] = distances[:, :9, ::-1]
    found = evaluate(labels, distances, probabilities, groups=np.arange(40) // 8)
    assert found["intervals"]["accuracy"] is None
    assert "5 subjects" in found["intervals"]["undefined"]["accuracy"]
    row = found["per_class"][0]["intervals"]
    assert row["recall"] is None and "subjects" in row["undefined"]["recall"]


def test_a_rate_without_an_error_has_its_exact_interval_by_the_images_it_counts():
    """One of three of class 0 is missed, nothing else is given it."""
    labels = np.repeat([0, 1], [3, 40])
    distances = 1.0 - np.eye(2)[labels][None]
    distances[:, 0] = distances[:, 0, ::-1]
    rare, common = evaluate(labels, distances, softmax(-9 * distances))["per_class"]
    of_rare = {"specificity": 40, "precision": 2}  # images of the other, and those given it
    for name, count in of_rare.items():
        assert rare["intervals"][name] == [pytest.approx(0.025 ** (1 / count)), 1.0], name
    for name, count in {"recall": 40, "npv": 2}.items():
        assert common["intervals"][name] == [pytest.approx(0.025 ** (1 / count)), 1.0], name
