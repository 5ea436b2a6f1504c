"""Volumes written as NIfTI and as DICOM series, and read back through a cohort, are the same."""

import numpy as np
import pytest

from msflow_jax.data import read_images
from msflow_jax.data.identity import split_table
from tests.data.sources.cohort.cohorts import SPACE, load, save, table, volume
from tests.data.sources.dicom.dicom_objects import SECRETS, make_series

NAMES = ("train", "val", "test")
COUNT = 10
SPACING = (2.0, 0.5, 0.5)


def hounsfield(i):
    return volume(100 + i, dtype=np.int16, low=-1024, high=1025)


def as_nifti(folder, i):
    """The paths of a subject's MR of 8 bits and CT in Hounsfield units."""
    found = {"mr": volume(i), "ct": hounsfield(i)}
    return {n: save(folder / f"{n}{i}.nii.gz", v, spacing=SPACING) for n, v in found.items()}


def as_dicom(folder, i):
    """The same as two series of a patient whose number the table knows by another word."""
    stored = {"mr": volume(i), "ct": (hounsfield(i) + 1024).astype(np.uint16)}
    for k, (name, values) in enumerate(stored.items()):
        make_series(
            folder / f"s{i}" / name, values, spacing=SPACING, modality=name.upper(),
            series=10 * i + k, patient=f"PID-47Q11-{i}",
        )  # fmt: skip
    return {name: f"s{i}/{name}" for name in stored}


@pytest.mark.parametrize("write", [as_nifti, as_dicom])
@pytest.mark.parametrize("dims", [3, 2])
def test_what_was_written_is_read(tmp_path, write, dims):
    rows = [{**write(tmp_path, i), "label": f"c{i % 2}", "subject": f"P{i}"} for i in range(COUNT)]
    splits = load(table(tmp_path, rows), dims=dims)
    window = splits.info.intensity("ct")
    assert window.unit == "HU" and splits.info.intensity("mr").kind == "full"
    assert splits.info.spacing == (SPACING if dims == 3 else ())
    seen = 0
    for split in (splits[name] for name in NAMES):
        for at, subject in enumerate(split.groups):
            i = int(subject[1:])
            part = slice(None) if dims == 3 else int(split.truth["slice"][at])
            assert (split.arrays["mr"][at, ..., 0] == volume(i)[part]).all()
            grey = split.arrays["ct"][at, ..., 0]
            assert (grey == window.to_grey(hounsfield(i)[part])).all()
            half = (window.high - window.low) / 255 / 2
            assert np.abs(window.to_values(grey) - hounsfield(i)[part]).max() <= half * 1.001
            seen += 1
    assert seen == COUNT * (1 if dims == 3 else SPACE[0])
    if write is as_dicom:  # told by what it is, not by the depth of its values
        with pytest.raises(
            ValueError, match="is CT, in HU, the images trained on have 8 bits and no"
        ):
            read_images(tmp_path / "s0" / "ct", splits.info.of_modality("mr"), resize=True)
    written = f"{split_table(splits)} {splits.info.to_dict()}"
    assert not [secret for secret in SECRETS if secret in written]


def test_patients_of_the_headers_are_the_subjects(tmp_path):
    """Without a column; the same where the salt is another."""
    rows = []
    for i in range(COUNT):
        for k in range(2):
            make_series(
                tmp_path / f"s{i}" / str(k), volume(2 * i + k), modality="MR", series=2 * i + k,
                patient=f"PID-47Q11-{i}",
            )  # fmt: skip
            rows.append({"mr": f"s{i}/{k}", "label": f"c{i % 2}"})
    splits = load(table(tmp_path, rows))
    whom = [{name.split("/")[0] for name in splits[split].names} for split in NAMES]
    assert sum(map(len, whom)) == len(set.union(*whom)) == COUNT
    assert all(len(splits[split]) == 2 * len(who) for split, who in zip(NAMES, whom, strict=True))
