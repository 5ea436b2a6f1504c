"""Images from elsewhere that are a run's own are told by their pixels, else by their names."""

import warnings

import numpy as np
import pytest

from msflow_jax.data import Info, Split, Splits, split_table, table_with_pixels
from msflow_jax.data.own_images import warn_of_copies

INFO = Info("x", ("a", "b"), 1, 8, "binary-class", "", "", "", ())


def images(seed, count=6):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def split(pictures, names, labels=None):
    labels = np.arange(len(pictures)) % 2 if labels is None else np.array(labels)
    return Split.of_images(pictures, labels.astype(np.int32), tuple(names))


def run():
    """The data of a run, named as such."""
    return Splits(*(split(images(s), [f"{s}/{i}" for i in range(6)]) for s in range(3)), INFO)


def told(pictures, names, labels=None, table=None, **named):
    table = table_with_pixels(run()) if table is None else table
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_copies("siteB", split(pictures, names, labels), table, **named)
    return [str(w.message) for w in caught]


def test_images_of_a_runs_own_are_named_whatever_they_are_called():
    mixed = np.concatenate([images(0)[:2], images(2)[:1], images(9)[:3]])
    (line,) = told(mixed, list("abcdef"))
    assert line == (
        "siteB: 3 of 6 images are, pixel by pixel, images of the run's own data (2 in train, 1 in test)"
        ", a for one, 0/0: leave out what the model was trained on"
    )
    assert told(images(9), list("abcdef")) == []


def test_of_a_run_of_before_names_are_all_there_is():
    names = ["0/1", "new", "2/3", "n", "m", "o"]
    for table in (split_table(run()), table_with_pixels(run())):
        (line,) = told(images(9), names, table=table)
        assert (
            "2 of 6 images are called as images of the run's own data are (1 in train, 1 in t"
            in line
        )
        assert told(images(9), names, table=table, named=False) == []
    assert told(images(0), list("abcdef"), table=split_table(run())) == []


def test_blank_slices_are_no_copies():
    blank = np.zeros((6, 8, 8, 1), np.uint8)
    data = Splits(*(split(blank, map(str, range(6))) for _ in range(3)), INFO)
    assert told(blank, list("abcdef"), [0, 1, 0, 1, 0, 1], table_with_pixels(data)) == []


@pytest.mark.parametrize(("labels", "count"), [([0, 1, 0, 1, 0, 1], 1), ([0, 1, 0, 1, 0, 0], 0)])
def test_one_image_under_two_labels_is_named(labels, count):
    pictures = images(9)
    pictures[5] = pictures[0]
    found = told(pictures, list("abcdef"), labels)
    assert len(found) == count and all("equal pictures under two labels: 1 (a" in f for f in found)
