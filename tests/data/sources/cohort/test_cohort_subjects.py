"""Who is who in a cohort: by its table, by headers, and in nothing that is written."""

import dataclasses
import json

import pytest

from msflow_jax.data.identity import split_table
from msflow_jax.data.sources.cohort import reading as cohort_reading
from msflow_jax.data.sources.nifti.reading import read_nifti
from tests.data.sources.cohort.cohorts import (
    COUNT,
    NAMES,
    cohort,
    load,
    number,
    save,
    table,
    volume,
)


def test_subjects_stay_together_and_the_cut_knows_no_salt(tmp_path, monkeypatch):
    """Without a column the headers say who is who; their hashes differ on every machine."""
    root = table(tmp_path, cohort(tmp_path, subject=None, ct=None, xray=None))
    found = []
    for salt in ("a", "b"):
        monkeypatch.setattr(
            cohort_reading,
            "read_picture",
            lambda path, s=salt: headed(path, s, number(path.name) // 2),
        )
        splits = load(root)
        found.append([splits[name].names for name in NAMES])
        pairs = [{number(n) // 2 for n in splits[name].names} for name in NAMES]
        assert sum(map(len, pairs)) == len(set.union(*pairs)) == COUNT // 2
        assert set(splits.train.groups) <= {f"t1_{2 * p}.nii.gz" for p in range(COUNT // 2)}
    assert found[0] == found[1]


def headed(path, salt, who):
    """A volume whose header names a patient."""
    return dataclasses.replace(read_nifti(path), group=f"{salt}{hash((salt, who)):x}")


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (lambda i: 0, "line 2 and .*line 4: .*show one patient, but are of two subjects"),
        (lambda i: i, "line 2 and .*line 3: .*show two patients, but are of one subject"),
    ],
)
def test_headers_that_contradict_the_subjects(tmp_path, monkeypatch, who, words):
    root = table(tmp_path, cohort(tmp_path, ct=None, xray=None))
    monkeypatch.setattr(
        cohort_reading, "read_picture", lambda path: headed(path, "", who(number(path.name)))
    )
    with pytest.raises(ValueError, match=words) as error:
        load(root)
    assert "P0" not in str(error.value)  # who it is


def test_files_of_two_patients_in_one_row(tmp_path, monkeypatch):
    root = table(tmp_path, cohort(tmp_path, xray=None))
    monkeypatch.setattr(cohort_reading, "read_picture", lambda path: headed(path, "", path.name))
    with pytest.raises(
        ValueError, match="line 3: .*t1_1.nii.gz and .*ct_1.nii.gz are of two patients"
    ):
        load(root)


def test_nothing_that_is_written_names_a_subject(tmp_path):
    """Files that are called by their subjects are called by their row; reports stay in memory."""
    rows = cohort(tmp_path, ct=None, xray=None)
    for i, row in enumerate(rows):
        row |= {"subject": f"Doe{i}", "report": f"Mr Doe{i} is well.\nNo lesion."}
        (tmp_path / f"doe{i}").mkdir()
        row["t1w"] = f"doe{i}/" + save(tmp_path / f"doe{i}" / "a.nii.gz", volume(i))
    (tmp_path / "r.txt").write_text("From a file.\n")
    rows[0]["report"] = "r.txt"
    splits = load(table(tmp_path, rows))
    known = {
        name: report
        for split in (splits[name] for name in NAMES)
        for name, report in zip(split.names, split.truth["report"], strict=True)
    }
    assert known["row00002"] == "From a file."
    assert sorted(known.values())[-1].endswith("No lesion.") and len(known) == COUNT
    written = json.dumps([split_table(splits), splits.info.to_dict()])
    assert "doe" not in written.lower() and "lesion" not in written
    assert "Doe3" in {g for name in NAMES for g in splits[name].groups}
