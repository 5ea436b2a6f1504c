"""Which column an image lies in is part of what a cohort is."""

import dataclasses

import pytest

from msflow_jax import data
from tests.data.sources.cohort.cohorts import load, save, table, volume


def rows(folder, exchanged=False):
    """Ten examinations of two modalities of 8 bits, whose maps tell nothing."""
    found = []
    for i in range(10):
        names = [save(folder / f"{k}{i}.nii.gz", volume(10 * k + i, (3, 8, 8))) for k in (1, 2)]
        words = ("t2w", "t1w") if exchanged else ("t1w", "t2w")
        found.append({**dict(zip(words, names, strict=True)), "label": "ab"[i % 2]})
    return found


def test_exchanged_columns_are_other_data(tmp_path):
    then = load(table(tmp_path, rows(tmp_path))).info
    again = load(table(tmp_path, rows(tmp_path)[::-1]))
    assert data.as_trained(again, then).info.identity == then.identity
    other = load(table(tmp_path, rows(tmp_path, exchanged=True)))
    with pytest.raises(ValueError, match="data of this run: images lie in other columns"):
        data.as_trained(other, then)
    before = {key: one for key, one in then.identity.items() if key != "columns"}
    data.as_trained(other, dataclasses.replace(then, identity=before))  # which do not know it
