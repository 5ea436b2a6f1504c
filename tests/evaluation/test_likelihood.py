"""Bits per dimension of sets of images: summaries by hand, AUROC against scikit-learn."""

import json

import numpy as np
import pytest

from msflow_jax.evaluation.likelihood import evaluate_likelihood, typicality

metrics = pytest.importorskip("sklearn.metrics")


def sets(seed=0):
    """Foreign images of three kinds: less likely, more likely (the known failure), and alike."""
    rng = np.random.default_rng(seed)
    return {
        "train": rng.normal(3.0, 0.2, 400),
        "test": rng.normal(3.0, 0.2, 300),
        "noise": rng.normal(8.0, 0.01, 50).astype(np.float32),
        "flat": rng.normal(1.5, 0.1, 60),
        "alike": rng.normal(3.0, 0.2, 300),
    }


def test_typicality_is_the_distance_to_the_mean():
    bits, reference = np.array([1.0, 3.0, 6.0]), np.array([2.0, 4.0])
    np.testing.assert_array_equal(typicality(bits, reference), [2.0, 0.0, 3.0])


def test_summaries_by_hand():
    given = {"a": np.array([1.0, 2.0, 6.0]), "b": np.array([4.0])}
    found = evaluate_likelihood(given, "a", "a", [])
    assert found["sets"] == ["a", "b"] and found["detection"] == []
    first, second = found["per_set"]
    assert first["name"] == "a" and first["count"] == 3
    assert first["mean"] == 3.0 and first["median"] == 2.0
    assert first["sd"] == pytest.approx(np.sqrt(7))
    assert first["p5"] == pytest.approx(1.1) and first["p95"] == pytest.approx(5.6)
    assert second["sd"] is None and "one image" in second["undefined"]["sd"]


def test_detection_matches_sklearn_and_names_the_failure():
    given = sets()
    found = evaluate_likelihood(given, "test", "train", ["noise", "flat", "alike"])
    assert [row["name"] for row in found["detection"]] == found["outside"]
    for row in found["detection"]:
        both = np.r_[given["test"], given[row["name"]]]
        foreign = np.arange(len(both)) >= 300
        scores = np.abs(both - given["train"].mean())
        assert row["auroc_likelihood"] == pytest.approx(metrics.roc_auc_score(foreign, both))
        assert row["auroc_typicality"] == pytest.approx(metrics.roc_auc_score(foreign, scores))
    noise, flat, alike = found["detection"]
    assert noise["auroc_likelihood"] == 1.0 and noise["outside_more_likely"] is False
    assert flat["auroc_likelihood"] == 0.0 and flat["outside_more_likely"] is True
    assert flat["auroc_typicality"] == 1.0
    assert alike["auroc_typicality"] == pytest.approx(0.5, abs=0.06)


def test_result_is_plain_json():
    found = evaluate_likelihood(sets(), "test", "train", ("noise",))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {"auroc_likelihood", "auroc_typicality", "bits"} <= set(found["conventions"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": np.array([1.0, np.inf])}, "bits of test has 1 non-finite"),
        ({"test": np.zeros(0)}, "non-empty"),
        ({"test": np.zeros((3, 2))}, "non-empty"),
    ],
)
def test_bad_bits_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_likelihood({**sets(), **change}, "test", "train", [])


def test_unknown_set_is_named():
    with pytest.raises(ValueError, match="'ct' is none of the sets train, test"):
        evaluate_likelihood(sets(), "test", "train", ["ct"])
