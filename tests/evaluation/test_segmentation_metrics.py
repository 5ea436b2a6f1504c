"""Overlap metrics by hand, and by a slow count."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msflow_jax.evaluation.segmentation import evaluate_segmentation

NAMES = ("air", "bone", "soft", "never")


def test_by_hand():
    truth = np.array([[[0, 0, 1, 1], [2, 2, 2, 2]]])
    found = np.array([[[0, 1, 1, 1], [2, 2, 0, 0]]])
    out = evaluate_segmentation(truth, found, NAMES)
    assert out["accuracy"] == 5 / 8
    expected = {"air": (2 / 5, 1 / 4, 2), "bone": (4 / 5, 2 / 3, 2), "soft": (2 / 3, 1 / 2, 4)}
    for name, (dice, iou, pixels) in expected.items():
        row = out["classes"][name]
        assert row == {"dice": pytest.approx(dice), "iou": pytest.approx(iou), "pixels": pixels}
    assert out["classes"]["never"] == {"dice": None, "iou": None, "pixels": 0}
    assert out["mean_dice"] == pytest.approx((2 / 5 + 4 / 5 + 2 / 3) / 3)  # without "never"
    assert out["mean_iou"] == pytest.approx((1 / 4 + 2 / 3 + 1 / 2) / 3)
    assert json.loads(json.dumps(out, allow_nan=False)) == out


MAPS = hnp.arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 3))


@settings(max_examples=30)
@given(MAPS, MAPS)
def test_against_a_count_of_sets(truth, found):
    out = evaluate_segmentation(truth, found, NAMES)
    assert out["accuracy"] == pytest.approx(np.mean(truth == found))
    for k, name in enumerate(NAMES):
        a, b = (set(np.flatnonzero(m == k)) for m in (truth, found))
        row = out["classes"][name]
        assert row["pixels"] == len(a)
        if a | b:
            assert row["dice"] == pytest.approx(2 * len(a & b) / (len(a) + len(b)))
            assert row["iou"] == pytest.approx(len(a & b) / len(a | b))
        else:
            assert row["dice"] is None and row["iou"] is None


def test_no_image_has_no_numbers_and_a_reason():
    none = np.zeros((0, 4, 4), np.uint8)
    out = evaluate_segmentation(none, none, NAMES)
    assert out["accuracy"] is None and out["mean_dice"] is None and out["undefined"]["mean_iou"]
    assert json.loads(json.dumps(out, allow_nan=False)) == out


def test_a_perfect_map():
    maps = np.random.default_rng(0).integers(0, 4, (2, 8, 8))
    out = evaluate_segmentation(maps, maps, NAMES)
    assert out["accuracy"] == out["mean_dice"] == out["mean_iou"] == 1


@pytest.mark.parametrize(
    "truth, found, message",
    [
        (np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), r"\[N, H, W\].*\(1, 2, 3\)"),
        (np.zeros((2, 2), int), np.zeros((2, 2), int), r"\[N, H, W\]"),
        (np.full((1, 2, 2), 4), np.zeros((1, 2, 2), int), r"truth holds labels outside 0..3: 4..4"),
        (np.zeros((1, 2, 2), int), np.full((1, 2, 2), -1), "predicted holds labels outside"),
    ],
)
def test_wrong_maps_are_refused(truth, found, message):
    with pytest.raises(ValueError, match=message):
        evaluate_segmentation(truth, found, NAMES)
