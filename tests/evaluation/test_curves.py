"""ROC and precision-recall curves: their areas are those of scikit-learn, thinned or not."""

import numpy as np
import pytest
from sklearn import metrics

from msflow_jax.evaluation.curves import average_precision, one_vs_rest_curves


def test_curves_have_the_areas_and_few_points():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    scores = rng.random((3000, 4)) + 0.4 * np.eye(4)[labels]
    found = one_vs_rest_curves(labels, scores)
    assert set(found) == {f"{kind}_{k}" for kind in ("roc", "pr") for k in range(3)}
    for k in range(3):
        roc, pr = found[f"roc_{k}"], found[f"pr_{k}"]
        assert len(roc) <= 200 and len(pr) <= 200 and roc[0].tolist() == [0, 0]
        expected = metrics.roc_auc_score(labels == k, scores[:, k])
        assert metrics.auc(roc[:, 0], roc[:, 1]) == pytest.approx(expected, abs=2e-3)
        average = average_precision(labels, scores)[k]
        assert metrics.auc(pr[:, 0], pr[:, 1]) == pytest.approx(average, abs=5e-3)
    assert average_precision(labels, scores)[3] is None


def test_a_class_alone_has_no_curve():
    assert one_vs_rest_curves(np.zeros(5, int), np.random.default_rng(0).random((5, 2))) == {}
