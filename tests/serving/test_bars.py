"""A bar in the name of a class, where the classes of a set are joined by bars."""

import numpy as np
import pytest

from msflow_jax.inference.sets import Found
from msflow_jax.inference.tables import joined, parted, with_sets
from msflow_jax.serving.service import as_json
from msflow_jax.storage.text import csv_bytes

BARRED = ("grade 1|2", "b", "c\\")


@pytest.mark.parametrize(
    "classes", [BARRED, ("a|", "|a", "\\|"), ("a", "b\\", "\\c"), ("a\n", "|")]
)
def test_what_is_joined_is_parted(classes):
    for bits in range(2 ** len(classes)):
        names = [name for k, name in enumerate(classes) if bits >> k & 1]
        assert parted(joined(names, classes), classes) == names


def test_the_answer_has_the_names_of_classes():
    chosen = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 0]], bool)
    rows = with_sets([{"name": n} for n in "xyz"], Found(chosen, 9, (), False), BARRED)
    assert [as_json(row, BARRED)["set"] for row in rows] == [["grade 1|2"], [*BARRED], []]
    assert [row["set_size"] for row in rows] == [1, 3, 0]
    assert csv_bytes(rows).decode().splitlines()[1:] == [
        "x,grade 1\\|2,1", "y,grade 1\\|2|b|c\\\\,3", "z,,0",
    ]  # fmt: skip


def test_other_names_are_joined_as_ever():
    assert joined(["a", "b\\"], ["a", "b\\", "c"]) == "a|b\\"
