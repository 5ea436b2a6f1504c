"""An answer for each series beside those for its slices."""

import numpy as np
import pytest

from msflow_jax.inference.prediction import Prediction
from msflow_jax.inference.tables import series_rows


def predict(p):
    """One draw whose distances are minus the logarithms of these probabilities ``[B, K]``."""
    p = np.asarray(p)[None]
    return Prediction(-np.log(p), p, p.argmax(-1), 1, np.ones(1, bool), classes=("a", "b"))


def test_probabilities_of_a_series_are_the_mean_of_its_slices():
    found = predict([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.2, 0.8]])
    rows = series_rows(found, ("x", "x", "", "y"), ("h1", "h1", "", "h2"), "test (step 4)")
    assert [row["name"] for row in rows] == ["x", "y"]
    x, y = rows
    assert (x["label"], x["class"], x["slices"], x["subject"]) == (0, "a", 2, "h1")
    assert float(x["p_a"]) == pytest.approx(0.65) and float(x["p_b"]) == pytest.approx(0.35)
    assert float(x["spread"]) == pytest.approx(0.25) and float(x["agree"]) == 0.5
    assert (y["class"], y["slices"], y["spread"], float(y["agree"])) == ("b", 1, "", 1.0)
    assert series_rows(found, ("", "", "", ""), ("",) * 4, "") == []


def test_a_series_says_which_share_of_its_slices_is_rejected():
    found = predict([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.2, 0.8]])
    whom = ("x", "x", "", "y"), ("",) * 4, "test (step 4)"
    unsure, unlike = np.array([[1, 0, 1, 1], [1, 0, 0, 0]], bool)
    rows = series_rows(found, *whom, {"too uncertain": unsure, "unlike": unlike})
    assert [float(row["abstained"]) for row in rows] == [0.5, 1]
    assert [row["abstained"] for row in series_rows(found, *whom)] == ["", ""]


def test_one_certain_slice_does_not_outvote_the_others():
    (row,) = series_rows(predict([[0.4, 0.6]] * 3 + [[1 - 1e-9, 1e-9]]), ("x",) * 4, ("",) * 4, "")
    assert row["class"] == "a" and float(row["p_a"]) == pytest.approx(0.55)
    (row,) = series_rows(
        predict([[0.4, 0.6]] * 9 + [[1 - 1e-9, 1e-9]]), ("x",) * 10, ("",) * 10, ""
    )
    assert row["class"] == "b"  # a product of probabilities would say "a", whatever the others say
