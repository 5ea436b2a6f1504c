"""Images of several modalities, one by one."""

import dataclasses

import numpy as np
import pytest

from msflow_jax.data import Split
from msflow_jax.data.singles import one_by_one


def two(shape=(2, 2, 1), **more):
    ct, t1w = (np.full((3, *one), k, np.uint8) for k, one in enumerate(((2, 2, 1), shape)))
    label = np.array([0, 1, 2], np.int32)
    return Split(
        {"ct": ct, "t1w": t1w, "label": label, **more}, ("a", "b", "c"), ("s", "s", "t"),
        {"age": np.array([1, 2, 3])}, {"ct": "image", "t1w": "image"},
        {"t1w": np.array([True, False, True])},
    )  # fmt: skip


def test_images_with_a_class_each():
    found = one_by_one(two(), ("ct", "t1w", "report"))
    assert found.images[:, 0, 0, 0].tolist() == [0, 0, 0, 1, 1]
    assert found.labels.tolist() == [0, 1, 2, 0, 2]
    assert found.names == ("a ct", "b ct", "c ct", "a t1w", "c t1w")
    assert found.groups == ("s", "s", "t", "s", "t")
    assert found.truth["age"].tolist() == [1, 2, 3, 1, 3]
    assert found.truth["modality"].tolist() == ["ct"] * 3 + ["t1w"] * 2


def test_refused():
    with pytest.raises(ValueError, match=r"one shape, got .*ct.*\(2, 2, 1\)"):
        one_by_one(two((4, 4, 1)), ("ct", "t1w"))
    with pytest.raises(ValueError, match="of ct, t1w, label none is an image"):
        one_by_one(two(), ("report",))


def test_a_column_of_that_name_stays():
    split = two()
    split = dataclasses.replace(split, truth={"modality": np.array(["x", "y", "z"])})
    assert one_by_one(split, ("ct",)).truth["modality"].tolist() == ["x", "y", "z"]
