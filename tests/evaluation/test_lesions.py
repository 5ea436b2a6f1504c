"""Dice and lesions by hand and by laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from msflow_jax.evaluation.lesions import count_lesions, lesion_scores, overlap

NAMES = ("background", "grey", "lesion", "never")


def masks(*rows):
    return np.array([[[char == "#" for char in line] for line in rows]])


def test_dice_by_hand_with_intervals_over_subjects():
    truth = np.tile(np.array([[[0, 1, 1, 1], [2, 2, 0, 0]]]), (24, 1, 1))
    found = np.tile(np.array([[[0, 1, 1, 0], [2, 0, 0, 0]]]), (24, 1, 1))
    found[::4] = 1  # of some subjects all is wrong
    scores = overlap(truth, found, NAMES, groups=[str(i // 2) for i in range(24)])
    grey = (18 * 2 * 2 + 6 * 2 * 3) / (18 * 5 + 6 * 11)
    lesion = 18 * 2 / (18 * 3 + 6 * 2)
    assert scores["grey"]["value"] == pytest.approx(grey)
    assert scores["lesion"]["value"] == pytest.approx(lesion)
    assert scores["mean"]["value"] == pytest.approx((grey + lesion) / 2)  # of those that are there
    low, high = scores["lesion"]["interval"]
    assert low < lesion < high
    assert scores["never"] == {"value": None, "interval": None}
    same = overlap(truth, truth, NAMES)
    assert same["mean"]["value"] == same["grey"]["value"] == 1


@pytest.mark.parametrize("invented", [0, 1])
def test_a_lesion_that_is_never_found_bounds_the_mean(invented):
    truth = np.zeros((24, 4, 4), int)
    truth[:, :2] = 1
    found = truth.copy()
    truth[0, 3, 3] = 2
    found[1, 3, :invented] = 2  # where it is not
    mean = overlap(truth, found, NAMES)["mean"]
    assert 0.49 < mean["value"] <= 0.5
    assert mean["interval"] is None or max(mean["interval"]) <= 0.5


def test_what_is_lost_and_added():
    truth = masks("##....#", "##.....", "......#")
    found = masks("#......", "....#..", "....#..")
    counts = count_lesions(truth, found)
    assert {k: v.tolist() for k, v in counts.items()} == {"found": [1], "lost": [2], "added": [1]}
    # Corners join: these are one.
    corners = count_lesions(masks("#..", ".#.", "..#"), masks("...", ".#.", "..."))
    assert [corners[k][0] for k in ("found", "lost", "added")] == [1, 0, 0]


def test_a_prediction_of_lesion_everywhere_finds_one():
    truth = masks("#.#.#", ".....", "#.#.#")
    everywhere = count_lesions(truth, np.ones_like(truth))
    assert [everywhere[k][0] for k in ("found", "lost", "added")] == [1, 5, 0]
    broken = count_lesions(masks("#####"), masks("#.#.#"))
    assert [broken[k][0] for k in ("found", "lost", "added")] == [1, 0, 2]


MASKS = hnp.arrays(bool, (3, 5, 6))


@settings(max_examples=40)
@given(MASKS, MASKS, st.booleans())
def test_laws_of_counting(truth, found, volumes):
    if volumes:
        truth, found = truth[None], found[None]
    there, back = count_lesions(truth, found), count_lesions(found, truth)
    np.testing.assert_array_equal(there["found"], back["found"])
    np.testing.assert_array_equal(there["lost"], back["added"])
    itself = count_lesions(truth, truth)
    assert not itself["lost"].any() and not itself["added"].any()
    np.testing.assert_array_equal(itself["found"], there["found"] + there["lost"])


def test_scores_of_many_cases_and_of_none():
    truth = np.zeros((30, 4, 4), bool)
    truth[:20, 0, 0] = True
    found = np.zeros_like(truth)
    found[:15, 0, 0] = True
    found[25:, 2, 2] = True
    scores = lesion_scores(truth, found, groups=list(range(30)))
    assert (scores["found"], scores["lost"], scores["added"]) == (15, 5, 5)
    assert scores["recall"]["value"] == scores["precision"]["value"] == 0.75
    low, high = scores["recall"]["interval"]
    assert 0.4 < low < 0.75 < high < 1
    nothing = lesion_scores(np.zeros_like(truth), np.zeros_like(truth))
    assert nothing["recall"] == {"value": None, "interval": None} and nothing["added"] == 0


@pytest.mark.parametrize(
    "truth, found, message",
    [
        (np.zeros((2, 3, 3), int), np.zeros((2, 3, 4), int), "need two arrays"),
        (np.zeros((0, 3, 3), int), np.zeros((0, 3, 3), int), "need two arrays"),
        (np.zeros((2, 3, 3), int), np.full((2, 3, 3), 4), "prediction holds labels outside 0..3"),
    ],
)
def test_what_is_refused(truth, found, message):
    with pytest.raises(ValueError, match=message):
        overlap(truth, found, NAMES)
