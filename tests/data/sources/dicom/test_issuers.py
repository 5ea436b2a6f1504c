"""Whom files show, where only some say who issued the patient's number, or all say the same series."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.data.sources.dicom.series import read_series
from msflow_jax.data.sources.examples import list_items
from msflow_jax.data.sources.identifiers import settled, without_issuer
from tests.data.sources.dicom.dicom_objects import make_object, make_series
from tests.data.sources.dicom.test_odd_series import HALVES, listed
from tests.data.sources.listings.test_files import load

pytest.importorskip("pydicom")
rng = np.random.default_rng(0)
SPLITS = "train", "val", "test"


def xray(path, patient, number, issuer=""):
    values = rng.integers(0, 4000, (16, 16)).astype(np.uint16)
    more = {"IssuerOfPatientID": issuer} if issuer else {}
    return make_object(
        path, values, modality="DX", patient=patient, series=number,
        StudyInstanceUID=f"1.2.{number}", **more,
    )  # fmt: skip


def test_one_number_with_and_without_an_issuer_is_one_patient(tmp_path):
    """As where an archive adds the issuer to what it exports."""
    for i in range(48):
        number = i // 2
        name = f"{'ab'[number % 2]}/p{number:02d}_{i % 2}.dcm"
        xray(tmp_path / name, f"P{number}", i + 1, "HOSPITAL" if i % 2 else "")
    splits = load(tmp_path)
    seen = [{name.rpartition("_")[0] for name in splits[split].names} for split in SPLITS]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 24


@pytest.mark.parametrize(("blanked", "told"), [(0, False), (9, False), (24, True)])
def test_much_of_one_patient_is_named(tmp_path, blanked, told):
    """De-identified files may all say the same."""
    for i in range(48):
        name = "ANONYMOUS" if i < blanked else f"P{i}"
        xray(tmp_path / f"{'ab'[i % 2]}/{i:02d}.dcm", name, i + 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(tmp_path)
    said = [str(w.message) for w in caught if "of one patient by their headers" in str(w.message)]
    assert len(said) == told and all("24 of 48 images" in one and "00.dcm" in one for one in said)


def test_all_of_one_patient_is_refused_for_what_it_is(tmp_path):
    for i in range(12):
        xray(tmp_path / f"{'ab'[i % 2]}/{i:02d}.dcm", "ANONYMOUS", i + 1)
    with (
        pytest.warns(UserWarning, match="12 of 12 images"),
        pytest.raises(ValueError, match="they are 1 patients by their headers"),
    ):
        load(tmp_path)


@pytest.mark.parametrize("issuer", ["", "HOSPITAL"])
def test_given_splits_that_part_a_patient_are_refused(tmp_path, issuer):
    for split in ("train", "test"):
        for i in range(10):
            name = tmp_path / split / "ab"[i % 2] / f"{split}{i}.dcm"
            xray(name, f"P{i}", i + 1 + 100 * (split == "test"), issuer * (split == "test"))
    with pytest.raises(ValueError, match="of one subject by their headers"):
        load(tmp_path)


def test_numbers_of_two_hospitals_are_two_patients(tmp_path):
    paths = [xray(tmp_path / f"{i}.dcm", "P1", i + 1, f"HOSPITAL {i}") for i in range(2)]
    one, two = (item.group for item in listed(paths)[0])
    assert one != two and without_issuer(one) == without_issuer(two)


def test_two_patients_of_one_series_are_two(tmp_path):
    """De-identified files, or those of a script, may all have one number of a series."""
    volume = rng.integers(0, 2000, (3, 5, 5)).astype(np.int16)
    paths = [p for who in "ab" for p in make_series(tmp_path / who, volume, patient=who)]
    items, broken = list_items(paths, [str(path) for path in paths], HALVES)
    assert not broken
    assert len({item.group for item in items}) == len({item.volume for item in items}) == 2
    with pytest.raises(ValueError, match="are of several patients"):
        read_series(paths)


HASHES = st.sampled_from(["", "a", "b", "a@1", "a@2", "b@1", "c@1"])


@given(st.lists(HASHES))
def test_settled(groups):
    """Nobody is parted, who has no name stays so, and issuers count where all files name one."""
    found = settled(groups)
    assert len(found) == len(groups) and settled(found) == found
    for group, one in zip(groups, found, strict=True):
        assert without_issuer(one) == without_issuer(group)
        assert one == (without_issuer(group) if without_issuer(group) in groups else group)
