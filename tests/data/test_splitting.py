"""Cutting into splits: shares, strata, groups, stability."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.splitting import VAL_PATTERN, assign


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=40, max_size=120), st.integers(0, 5))
def test_shares_strata_and_order(labels, seed):
    names = [f"image{i}" for i in range(len(labels))]
    cut = assign(names, labels, seed)
    total = Counter(cut)
    # One lone image a class goes to train beside the pattern, hence the slack of five.
    assert abs(total["test"] - 0.2 * len(labels)) <= 3
    assert abs(total["val"] - 0.1 * len(labels)) <= 2
    for label in set(labels):
        mine = [c for c, k in zip(cut, labels, strict=True) if k == label]
        assert "train" in mine
        assert abs(mine.count("test") - 0.2 * len(mine)) <= 2
    backwards = assign(names[::-1], labels[::-1], seed)
    assert backwards[::-1] == cut


@settings(max_examples=30)
@given(st.integers(30, 60), st.integers(0, 1000))
def test_groups_are_never_cut(patients, seed):
    rng = np.random.default_rng(seed)
    groups = [f"patient{g}" for g in rng.integers(0, patients, 150)]
    cut = assign(groups, rng.integers(0, 3, 150).tolist(), seed=0)
    assert len(set(zip(groups, cut, strict=True))) == len(set(groups))


def test_seed_matters():
    names, labels = [str(i) for i in range(50)], [0] * 50
    assert assign(names, labels, 0) != assign(names, labels, 1)
    assert assign(names, labels, 0) == assign(names, labels, 0)


def test_val_alone():
    cut = assign([str(i) for i in range(80)], [0] * 80, 0, VAL_PATTERN)
    assert Counter(cut) == {"train": 70, "val": 10}


def test_too_few():
    with pytest.raises(ValueError, match=r"too few.*nothing left for val"):
        assign(["a", "b", "c"], [0, 0, 0], 0)


def test_a_group_of_two_classes_alike_is_of_the_lower():
    """Of class 0 it is the only one, which teaches its class; of class 1 it would be dealt."""
    groups = ["x", "x", *map(str, range(20))]
    for seed in range(20):
        assert assign(groups, [1, 0] + [1] * 20, seed)[0] == "train"
