"""Scores of subgroups: those of the images alone, in any column of a table."""

import json

import numpy as np
import pytest

from msflow_jax.evaluation.confusion import headline_scores
from msflow_jax.evaluation.subgroups import by_subgroup


def case(n=120, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    probability = rng.dirichlet(np.ones(3), n) + np.eye(3)[labels]
    probability /= probability.sum(1, keepdims=True)
    return labels, np.where(rng.random(n) < 0.7, labels, 0), probability


def test_every_value_has_the_scores_of_its_images():
    labels, predictions, probability = case()
    site = np.where(np.arange(120) % 3 == 0, "A, north", "B")
    found = by_subgroup(labels, predictions, probability, site, ordered=True, resamples=50)
    assert [row["value"] for row in found] == ["A, north", "B"]
    assert [row["images"] for row in found] == [40, 80]
    for row, name in zip(found, ("A, north", "B"), strict=True):
        inside = site == name
        scores = headline_scores(labels[inside], predictions[inside], 3, ordered=True)
        assert row["accuracy"] == scores["accuracy"]
        assert row["quadratic_kappa"] == scores["quadratic_kappa"]
        low, high = row["intervals"]["accuracy"]
        assert low < row["accuracy"] < high
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def names(values):
    labels, predictions, probability = case()
    return [
        (row["value"], row["images"])
        for row in by_subgroup(labels, predictions, probability, values, resamples=0)
    ]


def test_numbers_and_texts_that_are_numbers():
    age = np.linspace(20, 80, 120)
    quarters = [("20 to 35", 30), ("35 to 50", 30), ("50 to 65", 30), ("65 to 80", 30)]
    assert names(age) == quarters and names([str(value) for value in age]) == quarters
    assert names(np.arange(120) % 2) == [("0", 60), ("1", 60)]
    assert names(np.arange(120) % 2 == 0) == [("False", 60), ("True", 60)]
    assert names(np.where(np.arange(120) < 20, np.nan, 1.5)) == [("1.5", 100), ("(not given)", 20)]
    assert names([""] * 30 + ["f"] * 90) == [("(not given)", 30), ("f", 90)]


def test_a_subgroup_of_one_class_has_reasons_and_no_numbers():
    labels, predictions, probability = case()
    row = by_subgroup(labels, predictions, probability, labels == 1, resamples=20)[1]
    assert row["auc_probability"] is None and row["cohen_kappa"] is None
    assert "one class" in row["undefined"]["auc_probability"]


def test_columns_that_are_none():
    with pytest.raises(ValueError, match="site: 3 values for 120 images"):
        by_subgroup(*case(), ["a"] * 3, column="site")
    with pytest.raises(ValueError, match="name has 120 different values"):
        by_subgroup(*case(), [f"n{i}" for i in range(120)], column="name")


def test_quartiles_of_large_numbers_have_names_of_their_own():
    """Dates, say: four digits are the same of all."""
    found = names(np.arange(20240100, 20240220))
    assert [count for _, count in found] == [30] * 4
    assert found[0][0] == "20240100 to 20240130" and len({name for name, _ in found}) == 4
    tiny = names(1 + np.arange(120) * 1e-7)  # nor where they are nearly equal
    assert len({name for name, _ in tiny}) == 4 and tiny[0][0] == "1 to 1.000003"
