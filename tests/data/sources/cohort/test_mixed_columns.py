"""Exchanged cells and slipped columns of a cohort's table are told by the names of its files."""

import warnings

import pytest

from msflow_jax.data.sources.cohort.table import list_table
from tests.data.sources.cohort.cohorts import cohort, table

COUNT = 10
FORMS = ("s{i:02}_{m}.nii.gz", "{m}/s{i:02}.nii.gz", "s{i:02}/{m}.nii.gz", "S{i:02}-{m}-axial.nii")


def listing(folder, names):
    """A table of these names, one dict for each row; all files are there."""
    for name in {name for row in names for name in row.values()}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return table(folder, [{**row, "label": "ab"[i % 2]} for i, row in enumerate(names)])


def rows(form, *modalities):
    return [{m: form.format(m=m, i=i) for m in modalities} for i in range(COUNT)]


def told(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list_table(path, outside=False)
    lines = [str(w.message) for w in caught]
    assert all(line.startswith(f"{path}: ") for line in lines)
    return lines


@pytest.mark.parametrize("form", FORMS)
def test_cells_of_two_modalities_that_are_exchanged_are_named(tmp_path, form):
    found = rows(form, "t1w", "t2w")
    assert told(listing(tmp_path, found)) == []
    for i in (1, 4):
        found[i] = {"t1w": found[i]["t2w"], "t2w": found[i]["t1w"]}
    (line,) = told(listing(tmp_path, found))
    assert f"(line 3, column 't1w': {found[1]['t1w']}, line 6, column 't1w'" in line
    assert "and 1 more), others there by its own: are cells exchanged?" in line


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("start", [0, 3, 8])
@pytest.mark.parametrize("by", [1, -1])
def test_a_column_that_slipped_by_a_row_is_named(tmp_path, form, start, by):
    found = rows(form, "t1w", "t2w")
    moved = [row["t2w"] for row in found[start:]]
    moved = moved[by:] + moved[:by]
    for row, name in zip(found[start:], moved, strict=True):
        row["t2w"] = name
    (line,) = told(listing(tmp_path, found))
    first = f"(line {start + 2}: {found[start]['t1w']} and {found[start]['t2w']}"
    assert first in line and line.endswith("has a column slipped?")


def test_names_that_say_nothing_or_differ_for_good_reasons_are_left_alone(tmp_path):
    dated = rows("s{i:02}_{m}.nii.gz", "t1w", "t2w")
    for i in (2, 5):
        dated[i]["t2w"] = f"s{i:02}_run2_t2w.nii.gz"
    assert told(listing(tmp_path, dated)) == []
    numbered = [{"t1w": f"{2 * i}.nii.gz", "t2w": f"{2 * i + 2}.nii"} for i in range(COUNT)]
    assert told(listing(tmp_path, numbered)) == []
    sparse = rows("ct_study/s{i:02}_{m}.nii.gz", "ct", "seg_a", "seg")
    for i in (0, 3, 4):
        del sparse[i]["ct"]
    sparse[6]["seg"] = "ct_study/s06_outline.nii.gz"
    assert told(listing(tmp_path, sparse)) == []
    whole = tmp_path / "whole"
    assert told(table(whole, cohort(whole))) == []
