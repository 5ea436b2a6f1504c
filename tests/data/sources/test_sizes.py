"""Volumes that are much smaller than the others of their data set."""

import warnings

import numpy as np
import pytest

from msflow_jax.data.sources.sizes import small
from tests.data.sources.cohort import cohorts
from tests.data.sources.dicom.dicom_objects import make_series
from tests.data.sources.listings.test_files import load, write_csv

WHOLE = (16, 16, 16)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([(16, 16, 16)] * 4, []),
        ([(16, 16, 16)] * 4 + [(1, 1, 1)], [4]),
        ([(16, 16, 16)] * 4 + [(16, 1, 16)], [4]),
        ([(16, 16, 16)] * 4 + [(4, 16, 16)], []),
        ([(16, 16, 16)] * 4 + [(3, 64, 64)], [4]),
        ([(512, 512, 30), (30, 512, 512), (512, 30, 512)], []),  # other axes, no other sizes
        ([(16,)] * 5 + [(3,), (4,), (1,)], [5, 7]),
        ([(16, 8, 8)] * 4 + [(3, 8, 8)], [4]),
        ([(60, 8, 8)] * 4 + [(8, 8, 60)], []),
        ([(1, 8, 8)] * 3, []),
    ],
)
def test_below_a_quarter_of_the_median(sizes, expected):
    found = small({str(i): size for i, size in enumerate(sizes)})
    assert list(found) == [str(i) for i in expected]


def said(load, *args, **settings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(*args, **settings)
    return [str(w.message) for w in caught if "much smaller" in str(w.message)]


def rows_of(folder, small_ones):
    """A cohort of cubes, of which some are smaller."""
    rows = cohorts.cohort(folder, ct=None, xray=None)
    for i in range(len(rows)):
        space = small_ones.get(i, WHOLE)
        cohorts.save(folder / f"t1_{i}.nii.gz", cohorts.volume(i, space))
    return rows


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("source", ["cohort", "manifest"])
def test_cohorts_and_lists_name_them(tmp_path, dims, source):
    for small_ones in ({}, {3: (1, 16, 16), 7: (1, 1, 1)}):
        rows = rows_of(tmp_path, small_ones)
        if source == "cohort":
            lines = said(
                cohorts.load, cohorts.table(tmp_path, rows), dims=dims, side=8, duplicates="keep"
            )
        else:
            lines = [f"{row['t1w']},{row['label']}" for row in rows]
            path = write_csv(tmp_path / "list.csv", "path,label", *lines)
            lines = said(load, path, "manifest", dims=dims, side=8, duplicates="keep")
        assert len(lines) == (1 if small_ones else 0)
        for line in lines:
            assert "2 of 12 volumes are much smaller" in line and "t1_3.nii.gz has" in line
            assert "t1_7.nii.gz has 1 x 1 x 1 voxels" in line and "16 x 16 x 16 voxels; are" in line


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("source", ["cohort", "manifest", "folder"])
def test_series_that_lack_most_slices_are_named(tmp_path, dims, source):
    rows = []
    for i in range(12):
        name = f"c{i % 2}/s{i}" if source == "folder" else f"s{i}"
        values = cohorts.volume(i, (3 if i == 4 else 16, 8, 8), np.int16, 0, 2000)
        make_series(tmp_path / name, values, series=i, patient=f"P{i}")
        rows.append({"path": name, "label": f"c{i % 2}"})
    path = tmp_path if source == "folder" else cohorts.table(tmp_path, rows)
    lines = said(
        cohorts.load if source == "cohort" else lambda p, **k: load(p, source, **k),
        path, dims=dims, side=8, duplicates="keep",
    )  # fmt: skip
    assert len(lines) == 1 and "1 of 12 volumes" in lines[0] and "s4 has 3" in lines[0], lines
