"""Calibration: hand-made tables, calibrated synthetic data, scikit-learn's Brier score."""

import numpy as np
import pytest

from msflow_jax.evaluation import calibration


def binary(p):
    return np.stack([1 - p, p], axis=1)


def test_calibrated_data_has_small_error_and_overconfident_data_has_not():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    labels = (rng.random(20_000) < p).astype(int)
    assert calibration.ece(labels, binary(p)) < 0.02
    sharp = calibration.apply_temperature(binary(p), 0.3)
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
    sharp = calibration.apply_temperature(p, 0.5)
    assert calibration.fit_temperature(labels, sharp) == pytest.approx(2.0, rel=0.1)
    with pytest.raises(ValueError, match="positive"):
        calibration.apply_temperature(p, 0.0)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [([[0.5, 0.6]], "sum to 1"), ([[-0.1, 1.1]], "non-negative"), ([[np.nan, 1.0]], "non-finite")],
)
def test_bad_probabilities_are_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        calibration.ece(np.array([0]), np.array(probabilities))
