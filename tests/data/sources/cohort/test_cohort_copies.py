"""Copies of one image in training and test are told whatever their files' type, channels and column."""

import dataclasses
import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.begun import load_again
from tests.data.sources.cohort.cohorts import COUNT, load, save, table, volume

SPLITS = ["train"] * 7 + ["val"] * 2 + ["test"] * 3
FIRST = SPLITS.index("test")


def rows_of(column, make):
    """A row per subject; ``make(seed, copied)`` writes a file, the test images being copies."""
    return [
        {
            column: make(i, i % FIRST, i >= FIRST),
            "label": f"g{i % 2}", "subject": f"P{i}", "split": SPLITS[i],
        }
        for i in range(COUNT)
    ]  # fmt: skip


def volumes(folder, spacing=(3, 1, 1)):
    def make(i, seed, copied):
        values = volume(seed, dtype=np.int16, low=0, high=900)
        values = values.astype(np.float32) if copied else values
        return save(folder / f"v{i}.nii.gz", values, spacing=spacing)

    return make


def refused(root, words, **settings):
    """They are refused, or reported where copies are kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that differ
        with pytest.raises(ValueError, match=words):
            load(root, **settings)
    with pytest.warns(UserWarning, match=words):
        load(root, duplicates="keep", **settings)


@pytest.mark.parametrize("spacing", [0.0, 1.5])
def test_a_volume_stored_as_floats_is_a_copy(tmp_path, spacing):
    root = table(tmp_path, rows_of("t1w", volumes(tmp_path)))
    words = r"t1w: equal pictures in two splits: 3 \(v0.nii.gz in train = v9.nii.gz in test"
    refused(root, words, side=8, spacing=spacing)


def test_a_grey_picture_saved_as_colour_is_a_copy(tmp_path):
    def make(i, seed, copied):
        values = volume(seed, (8, 8))
        name = f"x{i}.png"
        if copied:
            from PIL import Image

            Image.fromarray(np.repeat(values[..., None], 3, -1)).save(tmp_path / name)
            return name
        return save(tmp_path / name, values)

    root = table(tmp_path, rows_of("xray", make))
    refused(root, r"xray: equal pictures in two splits: 3 \(x0.png", dims=2, channels=1)


def test_a_volume_under_another_column_is_a_copy(tmp_path):
    rows = rows_of("t1w", lambda i, seed, copied: save(tmp_path / f"t{i}.nii.gz", volume(i)))
    for i, row in enumerate(rows):
        copied = i - FIRST if i >= FIRST else 100 + i
        row["flair"] = save(tmp_path / f"f{i}.nii.gz", volume(copied))
    root = table(tmp_path, rows)
    refused(root, r"two splits: 3 \(t0.nii.gz, t1w in train = t9.nii.gz, flair in test")


def test_colours_that_differ_and_other_shapes_are_no_copies(tmp_path):
    def make(i, seed, copied):
        from PIL import Image

        values = np.repeat(volume(seed, (8, 8))[..., None], 3, -1)
        values[0, 0, 2] ^= copied  # one blue pixel
        Image.fromarray(values).save(tmp_path / f"x{i}.png")
        return f"x{i}.png"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(table(tmp_path, rows_of("photo", make)), dims=2)
    rows = rows_of("t1w", lambda i, seed, copied: save(
        tmp_path / f"t{i}.nii.gz", volume(seed, (4, 8, 8) if copied else (8, 8, 4))))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(table(tmp_path, rows), side=8)


def test_a_run_of_before_that_has_copies_goes_on_with_a_line(tmp_path):
    root = table(tmp_path, rows_of("t1w", volumes(tmp_path)))
    config = data.default_config("cohort")
    config.update({"root": str(root), "dims": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = load(root, duplicates="keep").info
    with pytest.warns(UserWarning, match="two splits: 3"):
        again = load_again(config, begun, tmp_path / "splits.csv")
    assert again.info.identity == begun.identity and config.duplicates == "refuse"
    unknown = dataclasses.replace(begun, identity={})  # its data cannot be compared with
    with pytest.raises(ValueError, match="two splits: 3"):
        load_again(config, unknown, tmp_path / "splits.csv")
