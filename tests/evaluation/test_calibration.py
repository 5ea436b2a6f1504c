"""Calibration: hand-made tables, calibrated synthetic data, scikit-learn's Brier score."""

import json

import numpy as np
import pytest

from msflow_jax.evaluation import calibration, scaling
from msflow_jax.evaluation.scaled import evaluate_scaling, notes_on
from msflow_jax.evaluation.scaling import Scaling, cross_fit, fit_scaling, pooled


def binary(p):
    return np.stack([1 - p, p], axis=1)


def test_calibrated_data_has_small_error_and_overconfident_data_has_not():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    labels = (rng.random(20_000) < p).astype(int)
    assert calibration.ece(labels, binary(p)) < 0.02
    sharp = scaling.apply_temperature(np.log(binary(p)), 0.3)
    assert calibration.ece(labels, sharp) > 0.1


def test_table_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.0, 1.0]])
    table = calibration.reliability_table(np.array([0, 1, 1, 1]), probabilities, bins=5)
    assert [row["count"] for row in table] == [0, 0, 1, 0, 3]
    assert table[0]["accuracy"] is None and table[0]["confidence"] is None
    assert table[4]["accuracy"] == pytest.approx(2 / 3)
    assert table[4]["confidence"] == pytest.approx(2.8 / 3)
    expected = (1 * 0.4 + 3 * abs(2 / 3 - 2.8 / 3)) / 4
    assert calibration.ece_of_table(table) == pytest.approx(expected)


def test_the_error_of_each_class_by_hand():
    """Class 0: 0.9 twice for one of two, and 0.4 for none; class 1 mirrors it."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.0, 1.0]])
    found = calibration.classwise_ece(np.array([0, 1, 1, 1]), probabilities, bins=5)
    assert found == pytest.approx((abs(1.8 - 1) + 0.4) / 4)


def test_brier_sum_form_and_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    p, labels = rng.random(50), rng.integers(0, 2, 50)
    # The sum form counts both columns, so it is twice the binary score.
    expected = 2 * metrics.brier_score_loss(labels, p)
    assert calibration.brier(labels, binary(p)) == pytest.approx(expected)
    assert calibration.brier(np.array([0]), np.array([[0.0, 1.0]])) == 2.0


def test_negative_log_likelihood_matches_sklearn_and_stays_finite():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet(np.ones(3), 40)
    labels = np.r_[0, 1, 2, rng.integers(0, 3, 37)]
    expected = metrics.log_loss(labels, probabilities)
    assert calibration.negative_log_likelihood(labels, probabilities) == pytest.approx(expected)
    certain_and_wrong = np.array([[1.0, 0.0]])
    assert np.isfinite(calibration.negative_log_likelihood(np.array([1]), certain_and_wrong))


def test_temperature_undoes_a_known_sharpening():
    rng = np.random.default_rng(3)
    p = binary(rng.beta(2, 2, 20_000))
    labels = (rng.random(20_000) < p[:, 1]).astype(int)
    logits = 2 * np.log(p) + rng.normal(size=(20_000, 1))  # Any constant a row.
    assert scaling.fit_temperature(labels, logits) == pytest.approx(2.0, rel=0.05)
    with pytest.raises(ValueError, match="positive"):
        scaling.apply_temperature(logits, 0.0)


def flow_logits(n, seed, scale=300.0):
    """Log-posteriors as of a flow: right on average, and hundreds of nats apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    z = 1.5 * np.eye(3)[labels] + rng.normal(size=(n, 3))
    return labels, scale * 1.5 * z - 30_000.0


def test_temperature_of_ratios_of_hundreds_of_nats_is_found():
    labels, logits = flow_logits(5000, 0)
    # For unit normals the log-posterior is 1.5 z up to a constant, so the scale is the temperature.
    assert scaling.fit_temperature(labels, logits) == pytest.approx(300, rel=0.05)
    np.testing.assert_allclose(
        scaling.apply_temperature(logits, 300), scaling.apply_temperature(logits / 300, 1)
    )
    assert np.isfinite(scaling.log_softmax(logits, 1e-3)).all()


@pytest.mark.parametrize("scale", [1e-2, 1.0, 300.0])
def test_fitted_temperature_is_where_a_search_finds_the_least_loss(scale):
    labels, logits = flow_logits(200, 1, scale)
    rows = np.arange(len(labels))

    def loss(t):
        return -scaling.log_softmax(logits, t)[rows, labels].mean()

    found = scaling.fit_temperature(labels, logits)
    around = found * np.exp(np.linspace(-3, 3, 201))
    assert loss(found) <= min(loss(t) for t in around) + 1e-12


def test_temperature_ends_where_the_labels_leave_no_best_one():
    labels, logits = np.array([0, 1]), np.array([[0.0, -5.0], [-5.0, 0.0]])
    assert scaling.fit_temperature(labels, logits) == 1
    assert scaling.fit_temperature(1 - labels, logits) == 1e5


def test_a_scaling_is_reported_before_and_after():
    val, (labels, logits) = flow_logits(2000, 2), flow_logits(3000, 3)
    kept = fit_scaling(val[0], val[1][None], ratios=True)
    assert kept.temperature == scaling.fit_temperature(*val) and kept.bias == ()
    before, after = (pooled(one.apply(logits[None])) for one in (Scaling(), kept))
    found = evaluate_scaling(labels, before, after, kept)
    assert found["fitted_on"] == "val" and found["temperature"] == kept.temperature
    assert found["ece_before"] == calibration.ece(labels, np.exp(before))
    assert found["ece_after"] == calibration.ece(labels, np.exp(after)) < 0.05 < found["ece_before"]
    assert found["classwise_ece_after"] < found["classwise_ece_before"]
    assert found["brier_after"] < found["brier_before"]
    # Unclipped: wrong predictions at hundreds of nats cost as much.
    assert found["nll_before"] > 27.7 > 2 > found["nll_after"]
    expected = calibration.negative_log_likelihood(labels, np.exp(after))
    assert found["nll_after"] == pytest.approx(expected)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def drawn_logs(n, seed, draws=6):
    """Draws of a model that is too timid, and takes the third class for rarer than it is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = 1.5 * (1.5 * np.eye(3)[labels] + rng.normal(size=(n, 3))) - np.array([0, 0, 2.0])
    logs = 0.5 * logits + 0.3 * rng.normal(size=(draws, n, 3))
    return labels, logs - np.log(np.exp(logs).sum(-1, keepdims=True))


def test_draws_are_scaled_before_they_are_averaged():
    labels, logs = drawn_logs(800, 0)
    found = fit_scaling(labels, logs)

    def loss(t):
        return -pooled(Scaling(t).apply(logs))[np.arange(800), labels].mean()

    around = found.temperature * np.exp(np.linspace(-1, 1, 101))
    assert loss(found.temperature) <= min(map(loss, around)) + 1e-4  # one image's worth of a prior
    assert 0.5 < found.temperature < 0.9


def test_few_images_make_no_votes_of_the_draws():
    labels, logs = drawn_logs(8, 3)
    assert fit_scaling(labels, logs).temperature > 0.3
    assert fit_scaling(labels, 300 * logs, ratios=True).temperature > 50


def test_a_bias_for_each_class_helps_where_a_class_is_taken_for_rarer():
    val, (labels, logs) = drawn_logs(800, 0), drawn_logs(4000, 1)
    one, several = (fit_scaling(*val, method) for method in ("temperature", "vector"))
    assert several.bias[2] > 1 > abs(several.bias[0]) and abs(sum(several.bias)) < 1e-9
    losses = [-pooled(s.apply(logs))[np.arange(4000), labels].mean() for s in (one, several)]
    assert losses[1] < losses[0] - 0.05
    assert fit_scaling(*val, "none") == Scaling() and not Scaling().changes
    with pytest.raises(ValueError, match="choose one of temperature, vector, none"):
        fit_scaling(*val, "isotonic")


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_an_image_is_scaled_by_other_subjects_alone(method):
    labels, logs = drawn_logs(60, 0)
    groups = np.arange(60) // 3
    found = cross_fit(labels, logs, groups, method)
    assert found.temperature.shape == (60,) and len(set(found.temperature)) == 5
    for subject in range(20):
        inside = groups == subject
        assert len(set(found.temperature[inside])) == 1
        turned = np.where(inside, (labels + 1) % 3, labels)  # its own labels say nothing
        again = cross_fit(turned, logs, groups, method)
        np.testing.assert_array_equal(again.temperature[inside], found.temperature[inside])
    assert found.apply(logs).shape == logs.shape
    alone = cross_fit(labels, logs, np.zeros(60), method)
    assert set(alone.temperature) == {fit_scaling(labels, logs, method).temperature}


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([0], [[np.nan, 0.0]], "non-finite"),
        ([0], [0.0, 1.0], "N, K"),
        ([0], [[0.0, 1.0]] * 2, "shape"),
        ([2], [[0.0, 1.0]], "0..1"),
    ],
)
def test_bad_logits_are_refused(labels, logits, message):
    with pytest.raises(ValueError, match=message):
        scaling.fit_temperature(np.array(labels), np.array(logits))


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [([[0.5, 0.6]], "sum to 1"), ([[-0.1, 1.1]], "non-negative"), ([[np.nan, 1.0]], "non-finite")],
)
def test_bad_probabilities_are_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        calibration.ece(np.array([0]), np.array(probabilities))


def test_a_temperature_that_means_little_says_so():
    labels = np.array([0, 1] * 10)
    right = 5 * np.eye(2)[labels]
    wrong = right.copy()
    wrong[:2] = wrong[:2, ::-1]

    def notes(logits, labels=labels, draws=1, **options):
        logs = np.repeat(logits[None], draws, axis=0)
        found = fit_scaling(labels, logs, **options)
        options.pop("method", None)
        return notes_on(labels, logs, found.temperature, **options)

    assert "No validation image is misclassified" in notes(right)[0]
    for options in ({}, {"draws": 3}, {"ratios": True}, {"draws": 3, "ratios": True}):
        assert len(notes(right, **options)) == 1
        rests = notes(wrong, **options)
        assert rests == ["The temperature rests on 2 misclassified validation images."]
    many, opposite = np.tile(labels, 500), np.tile(-right, (500, 1))
    for options in ({}, {"draws": 3}, {"draws": 3, "ratios": True}, {"method": "vector"}):
        assert "end of the range" in notes(opposite, many, **options)[0], options
    assert "end of the range" in notes(-right, ratios=True)[0]


def uneven(count, mix, seed=0):
    """Labels of two classes in a mix, and their exact log-posterior at equal frequencies ``[N, 2]``."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(2, count, p=mix)
    x = rng.normal(np.take((0, 2), labels), np.take((1, 3), labels))
    logs = -0.5 * ((x[:, None] - (0, 2)) / (1, 3)) ** 2 - np.log((1, 3))
    return labels, scaling.log_softmax(logs)


def test_weights_count_an_image_so_many_times():
    labels, logs = uneven(300, (0.8, 0.2))
    counts = np.random.default_rng(1).integers(1, 5, 300)
    p, again = np.exp(logs), (labels.repeat(counts), np.exp(logs).repeat(counts, axis=0))
    for measure in (
        calibration.ece, calibration.brier, calibration.negative_log_likelihood,
        lambda *given, weights=None: calibration.classwise_ece(*given, weights=weights),
        lambda labels, p, weights=None: scaling.fit_temperature(labels, np.log(p), weights),
    ):  # fmt: skip
        assert measure(labels, p, weights=counts) == pytest.approx(measure(*again))
        assert measure(labels, p, weights=np.ones(300)) == pytest.approx(measure(labels, p))
        assert measure(labels, p) != pytest.approx(measure(*again), rel=1e-3)


@pytest.mark.parametrize("mix", [(0.9, 0.1), (0.1, 0.9), (0.74, 0.26)])
def test_probabilities_of_equal_frequencies_that_are_right_stay_so_in_any_mix(mix):
    labels, logs = uneven(4000, mix)
    weights = len(labels) / (2 * np.bincount(labels)[labels])
    assert abs(np.log(fit_scaling(labels, logs[None]).temperature)) > 0.3
    found = fit_scaling(labels, logs[None], weights=weights)
    assert found.temperature == pytest.approx(1, abs=0.1)
    several = cross_fit(labels, logs[None], None, weights=weights)
    np.testing.assert_allclose(several.temperature, found.temperature, rtol=0.1)
    made = evaluate_scaling(labels, logs, found.apply(logs), found, weights=weights)
    plain = evaluate_scaling(labels, logs, found.apply(logs), found)
    assert made["ece_before"] < 0.03 < 0.06 < plain["ece_before"]
    assert made["weighed"] and "weighed" not in plain


def test_one_image_of_a_rare_class_makes_no_temperature():
    """Weighed up to half of all it still is one image, which a prior of one holds."""
    labels = np.r_[np.zeros(99, int), 1]
    logs = scaling.log_softmax(np.repeat([[2.0, -2.0]], 100, axis=0))
    weights = 50 / np.bincount(labels)[labels]
    assert 1 < fit_scaling(labels, logs[None], weights=weights).temperature < 5
