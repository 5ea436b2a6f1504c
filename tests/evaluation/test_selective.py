"""Selective prediction against hand-computed curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.evaluation import selective


def test_rejection_curve_by_hand():
    # Certain to uncertain: right, right, wrong, right, then wrong for the rest of twenty.
    correct = np.array([1, 1, 0, 1] + [0] * 16, bool)
    curve = selective.rejection_curve(correct, np.arange(20.0))
    assert curve["rejected"] == [i / 20 for i in range(20)]
    assert curve["kept"] == list(range(20, 0, -1))
    assert curve["accuracy"][0] == 3 / 20
    assert curve["accuracy"][16] == 3 / 4
    assert curve["accuracy"][17] == 2 / 3
    assert curve["accuracy"][18:] == [1.0, 1.0]


def test_drops_the_floor_of_r_n():
    curve = selective.rejection_curve(np.ones(7, bool), np.zeros(7))
    assert curve["kept"] == [7 - int(np.floor(i * 7 / 20)) for i in range(20)]
    # 0.55 * 20 is 11.000000000000002 in floating point and 0.15 * 20 exactly 3.
    assert selective.rejection_curve(np.ones(20, bool), np.zeros(20))["kept"][11] == 9


def test_ties_are_dropped_in_their_given_order():
    order = selective.rejection_order(np.array([1.0, 3.0, 3.0, 2.0, 3.0]))
    assert order.tolist() == [1, 2, 4, 3, 0]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=30), st.integers()
)
def test_ties_count_with_their_mean_whatever_the_order_of_the_files(images, seed):
    correct, uncertainty = (np.array(column) for column in zip(*images, strict=True))
    mixed = np.random.default_rng(abs(seed)).permutation(len(correct))
    found = selective.evaluate_uncertainty(correct, uncertainty)
    other = selective.evaluate_uncertainty(correct[mixed], uncertainty[mixed])
    np.testing.assert_allclose(found["accuracy"], other["accuracy"], atol=1e-12)
    assert found["coverage_at_accuracy"] == other["coverage_at_accuracy"]
    for row in found["coverage_at_accuracy"]:
        if row["threshold"] is not None:  # what the threshold keeps is what is said
            kept = uncertainty <= row["threshold"]
            assert row["coverage"] == pytest.approx(kept.mean())
            assert correct[kept].mean() >= row["accuracy"] - 1e-9


def test_kept_by_class_by_hand():
    labels, predictions = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    found = selective.kept_by_class(labels, predictions, np.arange(5.0), 2.0, ["a", "b", "c"])
    assert found["kept"] == 3 / 5 and found["accuracy"] == 2 / 3 and found["threshold"] == 2
    assert found["classes"] == [
        {"name": "a", "images": 2, "kept": 1.0, "accuracy": 0.5},
        {"name": "b", "images": 3, "kept": 1 / 3, "accuracy": 1.0},
        {"name": "c", "images": 0, "kept": None, "accuracy": None},
    ]


def test_aurc_by_hand():
    correct = np.array([True, False, True, False])
    # Risk among the n most certain: 0, 1/2, 1/3, 2/4.
    assert selective.aurc(correct, np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(
        (0 + 1 / 2 + 1 / 3 + 2 / 4) / 4
    )
    # Best order: 0, 0, 1/3, 2/4.
    assert selective.optimal_aurc(correct) == pytest.approx((1 / 3 + 2 / 4) / 4)


@settings(max_examples=25)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 1000))
def test_excess_is_never_negative_and_zero_for_the_best_order(correct, seed):
    correct = np.array(correct)
    uncertainty = np.random.default_rng(seed).random(len(correct))
    assert selective.excess_aurc(correct, uncertainty) >= -1e-12
    assert selective.excess_aurc(correct, 1.0 - correct) == pytest.approx(0, abs=1e-12)


def test_coverage_at_accuracy():
    correct = np.array([True, True, False, True, False])
    uncertainty = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = selective.coverage_at_accuracy(correct, uncertainty, 0.75)
    assert found == {"accuracy": 0.75, "coverage": 0.8, "threshold": 4.0}
    never = selective.coverage_at_accuracy(~correct, uncertainty, 0.9)
    assert never == {"accuracy": 0.9, "coverage": 0.0, "threshold": None}


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="non-finite"):
        selective.aurc(np.array([True]), np.array([np.nan]))
    with pytest.raises(ValueError, match="shape"):
        selective.aurc(np.array([True]), np.zeros(2))
    with pytest.raises(ValueError, match="non-empty"):
        selective.aurc(np.zeros(0, bool), np.zeros(0))
