"""The one-call classifier evaluation: oracles, undefined metrics, plain JSON out."""

import json

import numpy as np
import pytest

from msflow_jax.evaluation import evaluate_classifier
from msflow_jax.evaluation.classification import LIKELIHOOD_CONVENTIONS, draw_agreement
from tests.evaluation.drawn_readings import assert_plain, evaluate, readings, softmax

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("classes", [2, 4])
def test_pooled_metrics_match_sklearn(classes):
    labels, distances, probabilities = readings(classes)
    result = evaluate(labels, distances, probabilities)
    predictions = distances.mean(axis=0).argmin(axis=1)
    assert result["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predictions))
    assert result["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(labels, predictions)
    )
    assert result["confusion"] == metrics.confusion_matrix(labels, predictions).tolist()
    recall = metrics.recall_score(labels, predictions, average=None)
    precision = metrics.precision_score(labels, predictions, average=None)
    assert [row["recall"] for row in result["per_class"]] == pytest.approx(recall)
    assert [row["precision"] for row in result["per_class"]] == pytest.approx(precision)
    f1 = metrics.f1_score(labels, predictions, average=None)
    assert [row["f1"] for row in result["per_class"]] == pytest.approx(f1)
    assert result["macro_f1"] == pytest.approx(f1.mean())
    assert result["macro_precision"] == pytest.approx(precision.mean())
    assert result["cohen_kappa"] == pytest.approx(metrics.cohen_kappa_score(labels, predictions))
    pooled = probabilities.mean(axis=0)
    score = pooled[:, 1] if classes == 2 else pooled
    expected = metrics.roc_auc_score(labels, score, multi_class="ovr")
    assert result["auc_probability"] == pytest.approx(expected)


def test_draw_statistics():
    labels, distances, probabilities = readings(3)
    result = evaluate(labels, distances, probabilities)["draws"]
    accuracies = [float((d.argmin(axis=1) == labels).mean()) for d in distances]
    assert result["count"] == 3
    assert result["accuracy"]["values"] == pytest.approx(accuracies)
    assert result["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert result["accuracy"]["sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert 0 <= result["unanimous"] <= result["agreement"] <= 1


def test_agreement_by_hand():
    predictions = np.array([[0, 1, 2, 2], [0, 1, 2, 0], [0, 1, 0, 1]])
    found = draw_agreement(predictions)
    assert found["agreement"] == pytest.approx((0.75 + 0.5 + 0.5) / 3)
    assert found["unanimous"] == 0.5


def test_draws_of_opposite_noise_are_compared_with_those_of_other_noise_alone():
    predictions = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1]])
    found = draw_agreement(predictions, opposite=True)
    assert found["agreement"] == pytest.approx((0.75 + 0.25 + 0.25 + 0.75) / 4)
    assert found["agreement"] != draw_agreement(predictions)["agreement"]
    assert draw_agreement(predictions[:3], opposite=True)["agreement"] == pytest.approx(0.5)
    two = draw_agreement(predictions[2:], opposite=True)
    assert two["agreement"] is None and two["unanimous"] == 0.5
    assert "opposite signs: draws=4" in two["undefined"]["agreement"]


def test_what_opposite_noise_means_for_deviations_is_said():
    given = readings(3, draws=2)
    apart, paired = (evaluate(*given, opposite=opposite) for opposite in (False, True))
    assert apart["draws"]["opposite"] is False and paired["draws"]["opposite"] is True
    assert "sqrt(D / (D - 1))" in paired["conventions"]["draws"]
    assert "opposite" not in apart["conventions"]["draws"]
    assert paired["draws"]["accuracy"] == apart["draws"]["accuracy"]
    assert paired["draws"]["agreement"] is None is not apart["draws"]["agreement"]


def test_one_draw_has_no_spread_and_says_why():
    result = evaluate(*readings(3, draws=1))
    assert result["draws"]["accuracy"]["sd"] is None
    assert result["draws"]["agreement"] is None
    assert "one draw" in result["draws"]["undefined"]["agreement"]


@pytest.mark.parametrize(("draws", "present"), [(1, [0, 1, 2]), (3, [0, 2]), (2, [1])])
def test_result_is_plain_json_without_nan(draws, present):
    result = evaluate(*readings(3, draws=draws, present=present))
    assert_plain(result)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_absent_class_is_named_and_skipped():
    result = evaluate(*readings(3, present=[0, 2]))
    assert "class 1" in result["notes"][0]
    row = result["per_class"][1]
    assert row["count"] == 0 and row["recall"] is None and "no image" in row["undefined"]["recall"]
    assert result["auc_distance"] is not None and result["undefined"] == {}


@pytest.mark.parametrize("present", [[0, 2], [1, 2, 3]])
def test_averages_over_the_classes_present_match_sklearn(present):
    labels, distances, probabilities = readings(4, present=present, seed=5)
    distances[:, :, 2] += 9  # Class 2 is never predicted.
    result = evaluate(labels, distances, probabilities)
    predictions = distances.mean(axis=0).argmin(axis=1)
    options = {"labels": present, "average": "macro", "zero_division": 0.0}
    for name in ("precision", "f1"):
        expected = getattr(metrics, f"{name}_score")(labels, predictions, **options)
        assert result[f"macro_{name}"] == pytest.approx(expected)
    assert result["cohen_kappa"] == pytest.approx(metrics.cohen_kappa_score(labels, predictions))
    row, absent = result["per_class"][2], result["per_class"][0 if present[0] else 1]
    assert row["precision"] is None and row["f1"] == 0.0 and "undefined" in row
    assert absent["f1"] is None and "no image" in absent["undefined"]["f1"]
    assert "class 2: its precision" in result["notes"][1]


@pytest.mark.parametrize("second", [[0.0, 1.0], [1.0, 0.0]])
def test_kappa_is_undefined_where_the_labels_are_of_one_class(second):
    """Whatever is predicted: 0 would read as no better than chance."""
    labels, distances = np.zeros(4, int), np.array([[[0.0, 1.0]] * 3 + [second]])
    result = evaluate(labels, distances, softmax(-distances))
    assert result["cohen_kappa"] is None and "one class" in result["undefined"]["cohen_kappa"]


def test_ordered_classes_have_a_quadratic_kappa_with_its_interval():
    labels, distances, probabilities = readings(4)
    predictions = distances.mean(axis=0).argmin(axis=1)
    result = evaluate(labels, distances, probabilities, ordered=True)
    expected = metrics.cohen_kappa_score(labels, predictions, weights="quadratic")
    assert result["quadratic_kappa"] == pytest.approx(expected)
    low, high = result["intervals"]["quadratic_kappa"]
    assert low < expected < high
    assert "quadratic_kappa" not in evaluate(labels, distances, probabilities)
    alone = evaluate(*readings(3, present=[1]), ordered=True)
    assert alone["quadratic_kappa"] is None and "one class" in alone["undefined"]["quadratic_kappa"]


def test_each_class_against_the_rest_matches_sklearn():
    labels, distances, probabilities = readings(3)
    distances[:, :30] = distances[:, :30, ::-1]  # some errors
    pooled, predictions = probabilities.mean(axis=0), distances.mean(axis=0).argmin(axis=1)
    table = evaluate(labels, distances, probabilities, resamples=200)["per_class"]
    for k, row in enumerate(table):
        true, given = labels == k, predictions == k
        assert row["auc"] == pytest.approx(metrics.roc_auc_score(true, pooled[:, k]))
        ap = metrics.average_precision_score(true, pooled[:, k])
        assert row["average_precision"] == pytest.approx(ap)
        assert row["specificity"] == pytest.approx(metrics.recall_score(~true, ~given))
        assert row["npv"] == pytest.approx(metrics.precision_score(~true, ~given))
        for name in ("recall", "specificity", "precision", "npv", "auc"):
            low, high = row["intervals"][name]
            assert low <= row[name] <= high and 0 < high - low < 0.6, name


def test_conventions_can_be_worded_for_a_likelihood():
    names = ["a", "b", "c"]
    plain, worded = (
        evaluate_classifier(*readings(3), {}, names, resamples=0, conventions=c)["conventions"]
        for c in (None, LIKELIHOOD_CONVENTIONS)
    )
    assert "noise" in plain["prediction"] and "macro recall" in plain["balanced_accuracy"]
    assert set(worded) == set(plain) and worded["ece"] == plain["ece"]
    assert not any("noise" in text or "code" in text for text in worded.values())


def test_an_uncertainty_of_one_value_orders_nothing_and_says_so():
    labels, distances, probabilities = readings(2)
    found = evaluate_classifier(
        labels, distances, probabilities, {"flat": np.zeros(120)}, ["a", "b"], resamples=0
    )
    flat = found["rejection"]["flat"]
    assert flat["aurc"] is None and "same uncertainty" in flat["undefined"]["aurc"]
    np.testing.assert_allclose(flat["accuracy"], found["accuracy"])


def test_a_name_with_a_comma_is_one_class():
    names = ["a", "b, c", "d"]
    labels, distances, probabilities = readings(3, present=[0, 2])
    found = evaluate_classifier(labels, distances, probabilities, {}, names, resamples=0)
    assert "No image of “b, c” in this split" in found["notes"][0]


def test_single_class_makes_auc_undefined_with_a_reason():
    result = evaluate(*readings(3, present=[1]))
    assert result["auc_distance"] is None and result["auc_probability"] is None
    assert {"auc_distance", "auc_probability"} <= set(result["undefined"])
    assert result["intervals"]["auc_probability"] is None


def test_rejection_per_uncertainty():
    labels, distances, probabilities = readings(2)
    wrong = (distances.mean(axis=0).argmin(axis=1) != labels).astype(float)
    result = evaluate_classifier(
        labels, distances, probabilities, {"oracle": wrong}, ["a", "b"], resamples=0
    )
    assert result["rejection"]["oracle"]["excess_aurc"] == pytest.approx(0, abs=1e-12)
    assert result["rejection"]["oracle"]["accuracy"][-1] == 1.0
    assert result["intervals"]["accuracy"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, d, p: (y + 5, d, p), "0..2"),
        (lambda y, d, p: (y.astype(float), d, p), "integers"),
        (lambda y, d, p: (y[:-1], d, p), "shape"),
        (lambda y, d, p: (y, d[0], p), "draws, N, K"),
        (lambda y, d, p: (y, np.where(d > 1.9, np.nan, d), p), "non-finite"),
        (lambda y, d, p: (y, d, 2 * p), "sum to 1"),
    ],
)
def test_bad_input_is_refused(change, message):
    labels, distances, probabilities = change(*readings(3))
    with pytest.raises(ValueError, match=message):
        evaluate_classifier(labels, distances, probabilities, {}, ["a", "b", "c"])
