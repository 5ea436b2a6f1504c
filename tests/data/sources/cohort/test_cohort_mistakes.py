"""Tables and settings of a cohort that are wrong, each named in one line."""

import numpy as np
import pytest

from tests.data.sources.cohort.cohorts import cohort, load, save, table, volume


def bad(rows, folder):
    """Rows that are wrong in one thing, by what it is."""
    other = folder.parent / "elsewhere.nii.gz"
    save(other, volume(0))
    save(folder / "wide.nii.gz", volume(1, (5, 8, 9)))
    save(folder / "deep.nii.gz", volume(1, dtype=np.int16))
    (folder / "cut.nii.gz").write_bytes((folder / "t1_3.nii.gz").read_bytes()[:60])
    last = {"subject": "P9"}
    return {
        "absent": [*rows, {**last, "t1w": "gone.nii.gz", "label": "grade0"}],
        "outside": [*rows, {**last, "t1w": f"../{other.name}", "label": "grade0"}],
        "twice": [*rows, {**last, "t1w": "t1_0.nii.gz", "label": "grade0"}],
        "nobody": [*rows, {"t1w": "wide.nii.gz", "label": "grade0"}],
        "grids": [{**rows[0], "ct": "wide.nii.gz"}, *rows[1:]],
        "shapes": [{**rows[0], "t1w": "wide.nii.gz"}, *rows[1:]],
        "bits": [{**rows[0], "t1w": "deep.nii.gz"}, *rows[1:]],
        "broken": [{**rows[0], "t1w": "cut.nii.gz"}, *rows[1:]],
        "unlabelled": [{**row, "label": ""} for row in rows],
        "no files": [{"age": row["age"], "label": row["label"]} for row in rows],
        "taken": [{**row, "slice": "3"} for row in rows],
        "both": [{**row, "patient": "x"} for row in rows],
        "split": [{**row, "split": "dev"} for row in rows],
        "parted": [{**row, "split": "test" if i == 7 else "train"} for i, row in enumerate(rows)],
    }


@pytest.mark.parametrize(
    ("what", "settings", "error", "words"),
    [
        ("absent", {}, FileNotFoundError, "line 14, column 't1w': no file .*gone.nii.gz .*empty cell"),
        ("outside", {}, ValueError, "line 14, column 't1w': .* lies outside .*data.outside=True"),
        ("twice", {}, ValueError, "line 14, column 't1w': .*t1_0.nii.gz is listed before, .*line 2"),
        ("nobody", {}, ValueError, "line 14: no subject"),
        ("grids", {}, ValueError, "t1_0.nii.gz and .*wide.nii.gz are not on one grid: 5 x 8 x 8 and"),
        ("shapes", {"modality": "t1w"}, ValueError, "has 5 x 8 x 8 voxels, .*5 x 8 x 9.*data.side=64"),
        ("bits", {"modality": "t1w"}, ValueError, "t1w: .* has 8 bits .*deep.nii.gz more .int16"),
        ("broken", {"modality": "t1w"}, ValueError, "cut.nii.gz"),
        ("unlabelled", {}, ValueError, "no examination has a label"),
        ("no files", {}, ValueError, "no column holds files that are there"),
        ("taken", {}, ValueError, "a column cannot be called 'slice'"),
        ("both", {}, ValueError, "columns subject and patient both say the subject"),
        ("split", {}, ValueError, "line 2, 3, 4 and 9 more: split 'dev' is not one of"),
        ("parted", {}, ValueError, "line 8 is in train and .*line 9 in test, but both are of one subj"),
    ],
)  # fmt: skip
def test_wrong_tables(tmp_path, what, settings, error, words):
    folder = tmp_path / "cohort"
    folder.mkdir()
    root = table(folder, bad(cohort(folder), folder)[what])
    with pytest.raises(error, match=words):
        load(root, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"modality": "mr"}, "has no such modality; it has t1w, ct, xray"),
        (
            {"modality": "age"},
            "no such modality, but a column of facts, most of whose cells are no files",
        ),
        (
            {"modality": "xray"},
            "x_1.png is a picture, not a volume, as all of xray are: set --config.data.dims=2",
        ),
        ({"slices": {"first": 0.6, "last": 0.5}, "dims": 2}, "slices from 0.6 to 0.5"),
    ],
)
def test_wrong_settings(tmp_path, settings, words):
    with pytest.raises(ValueError, match=words):
        load(table(tmp_path, cohort(tmp_path)), **settings)
