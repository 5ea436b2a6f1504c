"""Images and subjects of splits, and when there are too few for a distance."""

import numpy as np
import pytest

from msflow_jax.evaluation.counts import count_splits, too_few


def test_images_and_subjects_of_every_split_and_class():
    splits = {
        "train": (np.array([0, 0, 1, 1]), ("a", "a", "a", "b")),
        "test": (np.array([0, 0]), None),
    }
    train, test = count_splits(splits, ["x", "y"])
    assert train == {
        "split": "train", "images": 4, "subjects": 2,
        "classes": [
            {"name": "x", "images": 2, "subjects": 1}, {"name": "y", "images": 2, "subjects": 2},
        ],
    }  # fmt: skip
    assert test["subjects"] is None and test["classes"][1] == {
        "name": "y", "images": 0, "subjects": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match="labels of train"):
        count_splits({"train": (np.array([7]), None)}, ["x", "y"])


def test_a_name_with_a_comma_is_one_class():
    matched = np.repeat([0, 1], [90, 3])
    few = " ".join(too_few(["a", "b, c", "d"], matched))
    assert "93 per set" in few and "of “b, c” are compared" in few and "No picture of d is" in few
    assert too_few(["a", "b"], np.repeat([0, 1], 60)) == []
