"""Membership inference and nearest neighbours: chance where nothing leaks, told where it does."""

import numpy as np
import pytest

from msflow_jax.evaluation.privacy import membership, neighbour_ratios, rows_in_mix, too_few


def test_losses_alike_tell_nothing():
    rng = np.random.default_rng(0)
    found = membership(rng.random(400), rng.random(300))
    assert found["auroc"]["interval"][0] < 0.5 < found["auroc"]["interval"][1]
    assert found["expected_tpr"] == pytest.approx(4 / 301)
    assert found["tpr"]["value"] < 0.05
    assert (found["members"], found["others"], found["fpr"]) == (400, 300, 0.01)


def test_lower_losses_of_members_are_told():
    rng = np.random.default_rng(1)
    found = membership(rng.random(200) * 0.5, 0.25 + rng.random(200) * 0.5)
    assert found["auroc"]["interval"][0] > 0.8
    assert 0.4 < found["tpr"]["value"] < 0.6  # those below all that a hundredth of the others has
    whole = membership(np.zeros(20), np.ones(20))
    assert whole["auroc"]["value"] == whole["tpr"]["value"] == 1.0
    turned = membership(np.ones(20), np.zeros(20))
    assert turned["auroc"]["value"] == turned["tpr"]["value"] == 0.0


def test_few_subjects_have_no_interval():
    rng = np.random.default_rng(3)
    groups = [*np.arange(100) // 25, *range(100, 200)]  # four subjects were trained on
    found = membership(rng.random(100), rng.random(100), groups)
    assert found["auroc"]["interval"] is found["tpr"]["interval"] is None
    assert "4 subjects: a bootstrap needs 10" in found["undefined"]["auroc"]
    whole = membership(np.zeros(20), np.ones(20))
    assert whole["auroc"]["interval"] is None and "no width" in whole["undefined"]["auroc"]


def test_the_interval_is_over_subjects():
    rng = np.random.default_rng(2)
    losses = np.repeat(rng.random(20), 10)  # ten images of each subject, all alike
    alone = membership(losses[:100], losses[100:])
    together = membership(losses[:100], losses[100:], groups=np.repeat(np.arange(20), 10).tolist())
    width = [np.ptp(found["auroc"]["interval"]) for found in (alone, together)]
    assert width[1] > 2 * width[0]


def images(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), np.uint8)


def test_chance_is_of_whole_subjects():
    """Slices of one subject are alike, so that few subjects are the nearest of many drawn images."""
    rng, outside = np.random.default_rng(0), [0, 0]
    for _ in range(40):
        heads = rng.integers(0, 256, (24, 8, 8, 1))
        slices = np.clip(np.repeat(heads, 8, axis=0) + rng.integers(-3, 4, (192, 8, 8, 1)), 0, 255)
        train, val = np.split(slices.astype(np.uint8), 2)
        of = np.repeat(np.arange(12), 8)
        fresh = rng.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
        for i, groups in enumerate([(), (of, 100 + of)]):
            found = neighbour_ratios(fresh, train, val, groups=groups)["nearer"]
            outside[i] += not found["chance"][0] <= found["value"] <= found["chance"][1]
    assert outside[1] <= 5 < outside[0]


def test_drawn_images_that_copy_are_nearer():
    train, val = images(60, 0), images(40, 1)
    copied = neighbour_ratios(train[:30] // 2 * 2, train[:40], val)
    assert copied["nearer"]["value"] == 1.0 > copied["nearer"]["chance"][1]
    assert copied["ratio"]["median"] < 0.1
    fresh = neighbour_ratios(images(200, 4), train, val)
    assert fresh["compared"] == 40 and fresh["generated"] == 200
    low, high = fresh["nearer"]["chance"]  # wide: in noise a few images are the nearest of many
    assert low < fresh["nearer"]["value"] < high and low < 0.45 < 0.55 < high
    assert 0.9 < fresh["ratio"]["median"] < 1.1
    mirrored = neighbour_ratios(train[:30, :, ::-1], train[:40], val, flips=("horizontal",))
    assert mirrored["nearer"]["value"] == 1.0
    same = neighbour_ratios(images(10, 3), val, val)
    assert same["nearer"]["value"] == 0.5  # ties


def test_training_images_are_chosen_in_the_held_out_mix():
    train, held_out = np.repeat([0, 1, 2], [300, 90, 60]), np.repeat([0, 1, 2], [10, 20, 50])
    rows, others, short = rows_in_mix(train, held_out, 40, 0)
    assert np.bincount(train[rows]).tolist() == [5, 10, 25] and (np.diff(rows) > 0).all()
    assert others.tolist() == list(range(80)) and short == {}
    again, _, _ = rows_in_mix(train, held_out, 40, 0)
    assert rows.tolist() == again.tolist() != rows_in_mix(train, held_out, 40, 1)[0].tolist()
    rows, _, _ = rows_in_mix(train, held_out, 33, 0)
    assert len(rows) == 33 and np.bincount(train[rows]).tolist() == [4, 8, 21]


def test_a_class_of_too_few_training_images_leaves_held_out_ones_out_and_says_so():
    train, held_out = np.repeat([0, 1], [100, 6]), np.repeat([0, 1, 2], [20, 18, 2])
    rows, others, short = rows_in_mix(train, held_out, 256, 0)
    assert np.bincount(train[rows]).tolist() == [20, 6]
    assert np.bincount(held_out[others]).tolist() == [20, 6] and short == {1: (6, 18), 2: (0, 2)}
    (text,) = too_few(short, ["none", "mild, b", "severe"])
    assert "“mild, b (6 of 18)”, severe (0 of 2)" in text and too_few({}, []) == []
    rows, others, short = rows_in_mix(np.zeros(9, int), np.ones(5, int), 4, 0)  # nothing in common
    assert len(rows) == 4 and others.tolist() == list(range(5)) and short == {1: (0, 4)}


def test_another_mix_of_classes_is_no_leak():
    rng = np.random.default_rng(0)
    train, held_out = np.repeat([0, 1], [300, 100]), np.repeat([0, 1], [60, 140])
    losses = [rng.normal(labels, 0.3) for labels in (train, held_out)]  # nobody is a member
    heads = rng.integers(0, 256, (2, 1, 8, 8, 1))
    pictures = [
        np.clip(heads[labels, 0] + rng.integers(-9, 10, (len(labels), 8, 8, 1)), 0, 255)
        for labels in (train, held_out, np.arange(60) % 2)
    ]
    known, others, drawn = (one.astype(np.uint8) for one in pictures)
    rows, kept, _ = rows_in_mix(train, held_out, 256, 0)
    assert membership(*losses)["auroc"]["interval"][0] > 0.6  # as it was
    low, high = membership(losses[0][rows], losses[1][kept])["auroc"]["interval"]
    assert low < 0.5 < high
    near = neighbour_ratios(drawn, known[rows], others[kept])["nearer"]
    assert near["chance"][0] <= near["value"] <= near["chance"][1]
