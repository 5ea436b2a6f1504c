"""Whom files show where some lack a PatientID, or have it in another form: a study is of one patient."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msflow_jax.data import Info, read_labelled
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.dicom.reading import read_header
from msflow_jax.data.sources.dicom.series import group_series, read_series
from msflow_jax.data.sources.examples import list_items
from msflow_jax.data.sources.identifiers import settled
from msflow_jax.data.sources.items import Wanted
from msflow_jax.data.sources.patients import Patients
from tests.data.sources.cohort.cohorts import load as load_cohort
from tests.data.sources.cohort.cohorts import table
from tests.data.sources.dicom.dicom_objects import make_object, make_series
from tests.data.sources.listings.test_files import load, write_csv

pytest.importorskip("pydicom")
rng = np.random.default_rng(0)
SPLITS = "train", "val", "test"
FORMS = {"blank": "", "zeros": "000{}", "case": " pa-{}", "other": "X{}"}


def xray(path, patient, study, number=0):
    values = rng.integers(0, 4000, (16, 16)).astype(np.uint16)
    return make_object(
        path, values, modality="DX", patient=patient, series=f"{study}.{number}",
        instance=number, StudyInstanceUID=f"1.2.{study}",
    )  # fmt: skip


def pairs(root, forms, studies=1, count=24):
    """Two images of each patient, whose number is written in two ways, in one study or in two."""
    for i in range(count):
        for k, form in enumerate(forms):
            name = f"{'ab'[i % 2]}/p{i:02d}_{k}.dcm"
            xray(root / name, form.format(100 + i), f"{i}.{k % studies}", k)
    return root


def said(call):
    """What a call gives, and its lines on patients."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call()
    return found, [line for line in map(str, (w.message for w in caught)) if "Patient" in line]


def parted(splits):
    """How many patients are in two splits."""
    seen = [{name.rpartition("_")[0] for name in splits[split].names} for split in SPLITS]
    return sum(map(len, seen)) - len(set.union(*seen))


# ---- studies ----


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("own", ["{}", "PA-{}"])
def test_files_of_one_study_are_of_one_patient(tmp_path, form, own):
    splits, lines = said(lambda: load(pairs(tmp_path, (own, FORMS[form]))))
    assert parted(splits) == 0 and len(lines) == 1
    kind = "with and without a PatientID" if form == "blank" else "of several PatientIDs"
    assert f"24 studies hold files {kind}" in lines[0]
    assert "p00_0.dcm" in lines[0] and "p00_1.dcm" in lines[0] and "column patient" in lines[0]
    assert set(splits.train.groups) <= {f"{'ab'[i % 2]}/p{i:02d}_0.dcm" for i in range(24)}


def test_both_faults_are_one_line(tmp_path):
    pairs(tmp_path, ("{}", "", "0{}"), count=12)
    pairs(tmp_path / "a", ("{}", ""), count=1)
    _, lines = said(lambda: load(tmp_path))
    assert len(lines) == 1 and "12 studies hold files of several PatientIDs" in lines[0]


@pytest.mark.parametrize("form", ["{}", ""])
def test_of_headers_that_agree_nothing_is_said(tmp_path, form):
    """All with a number, or all without one; who is cut where has not changed."""
    splits, lines = said(lambda: load(pairs(tmp_path, (form, form))))
    assert parted(splits) == 0 and not lines
    tested = sorted({name.rpartition("_")[0] for name in splits.test.names})
    assert tested == ["a/p00", "a/p06", "a/p12", "b/p07", "b/p19"]


def test_a_chain_of_studies_is_one_patient(tmp_path):
    paths = [
        xray(tmp_path / f"{i}.dcm", who, study, i)
        for i, (who, study) in enumerate([("A", 1), ("", 1), ("a", 1), ("a", 2), ("", 2), ("B", 3)])
    ]
    items, _ = said(lambda: list_items(paths, [path.name for path in paths], Wanted()))[0]
    groups = [item.group for item in items]
    assert len(set(groups)) == 2 and groups.count(groups[-1]) == 1
    assert set(groups) <= {read_header(path).group for path in (paths[0], paths[2], paths[5])}


def test_given_splits_that_part_a_study_are_refused(tmp_path):
    for split, who in (("train", "P{}"), ("test", "")):
        for i in range(10):
            xray(tmp_path / split / "ab"[i % 2] / f"{i}.dcm", who.format(i), i, split)
    with (
        pytest.warns(UserWarning, match="10 studies hold files with and without"),
        pytest.raises(ValueError, match="of one subject by their headers"),
    ):
        load(tmp_path)


def test_one_study_of_many_patients_is_none(tmp_path):
    """Scripts that write or blank headers may give all files one study; numbers are right there."""
    for i, k in itertools.product(range(24), range(2)):
        xray(tmp_path / f"{'ab'[i % 2]}/p{i:02d}_{k}.dcm", f"P{i}", 1, 2 * i + k)
    splits, lines = said(lambda: load(tmp_path))
    assert parted(splits) == 0 and len(set(splits.train.groups)) > 12
    assert len(lines) == 1 and "1 studies hold files of more than 3 PatientIDs" in lines[0]


def test_a_table_that_names_patients_is_followed(tmp_path):
    pairs(tmp_path, ("{}", ""))
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.dcm"))
    lines = [f"{name},{name[0]},{name.split('_')[0]}" for name in files]
    root = write_csv(tmp_path / "list.csv", "path,label,patient", *lines)
    splits, lines = said(lambda: load(root, "manifest"))
    assert parted(splits) == 0 and not lines
    lines = [f"{name},{name[0]},{name}" for name in files]
    with pytest.warns(UserWarning, match="24 patients of the files' headers have several names"):
        load(write_csv(tmp_path / "list.csv", "path,label,patient", *lines), "manifest")


def test_images_that_are_measured(tmp_path):
    info = Info("x", ("a", "b"), 1, 16, "binary-class", "", "", "", (), value_range=(0, 4000))
    pairs(tmp_path, ("{}", ""), count=4)
    found, lines = said(lambda: read_labelled(tmp_path, info))
    assert len(found.groups) == 8 and len(set(found.groups)) == 4 and len(lines) == 1
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.dcm"))
    root = write_csv(tmp_path / "t.csv", "path,label,patient", *(f"{n},{n[0]},1" for n in files))
    assert not said(lambda: read_labelled(root, info))[1]


# ---- numbers that are written in two ways ----


@pytest.mark.parametrize("form", ["zeros", "case"])
def test_numbers_that_look_alike_are_named_and_never_written(tmp_path, form):
    own = "{}" if form == "zeros" else "PA-{}"
    splits, lines = said(lambda: load(pairs(tmp_path, (own, FORMS[form]), studies=2)))
    assert len({g for split in SPLITS for g in splits[split].groups}) == 48 and len(lines) == 1
    assert "PatientIDs of 24 pairs of patients differ in case, blanks or leading zeros" in lines[0]
    assert "p00_0.dcm" in lines[0] and "p00_1.dcm" in lines[0]
    assert not any(str(100 + i) in lines[0].replace(str(tmp_path), "") for i in range(24))


def test_other_numbers_do_not_look_alike(tmp_path):
    assert not said(lambda: load(pairs(tmp_path, ("{}", "X{}"), studies=2)))[1]


def test_numbers_of_two_hospitals_do_not_look_alike():
    def header(group, alike):
        return Picture(np.zeros((1, 1, 1)), group=group, alike=alike)

    apart = [header("a@1", "a@1"), header("A@2", "a@2")]
    assert not Patients.among(apart).alike
    assert Patients.among([*apart, header("0a", "a")]).alike == ((0, 1), (0, 2))


# ---- series ----


def test_a_series_of_which_files_lack_the_number_is_one_volume(tmp_path):
    """Each half was a volume of its own, of slices at twice the distance."""
    import pydicom

    volume = rng.integers(0, 2000, (6, 5, 5)).astype(np.int16)
    paths = make_series(tmp_path, volume, modality="MR")
    for path in paths[::2]:
        found = pydicom.dcmread(path)
        found.PatientID = ""
        found.save_as(path, enforce_file_format=True)
    names = [path.name for path in paths]
    (items, broken), lines = said(lambda: list_items(paths, names, Wanted(dims=3)))
    assert len(items) == 1 and not broken and len(lines) == 1
    picture = read_series(paths)
    assert picture.space == (6, 5, 5) and picture.group == items[0].group
    assert picture.group == read_header(paths[1]).group != read_header(paths[0]).group
    (series,) = group_series(read_header(path) for path in paths)
    assert series.group == picture.group
    other = make_series(tmp_path / "other", volume, modality="MR", patient="other")
    with pytest.raises(ValueError, match="of several patients"):
        read_series([*paths, *other])


# ---- cohorts ----


def examinations(root, second, *, subject, study=0, count=24):
    """Two examinations of each patient, of which the second is a file with another number."""
    rows = []
    for i, k in itertools.product(range(count), range(2)):
        path = root / f"{i:02d}_{k}.dcm"
        xray(path, f"{100 + i}" if not k else second.format(100 + i), f"{i}.{k * study}", k)
        rows.append({"xray": path.name, "label": "ab"[i % 2]})
        if subject:
            rows[-1]["subject"] = subject.format(i=i, k=k)
    return table(root, rows)


@pytest.mark.parametrize("form", FORMS)
def test_examinations_of_one_study_are_of_one_subject(tmp_path, form):
    root = examinations(tmp_path, FORMS[form], subject="")
    splits, lines = said(lambda: load_cohort(root, dims=2))
    assert len({g for split in SPLITS for g in splits[split].groups}) == 24
    assert sum(len(set(splits[split].groups)) for split in SPLITS) == 24
    assert len(lines) == 1 and "24 studies" in lines[0] and "column subject" in lines[0]


def test_subjects_of_a_table_are_checked_by_studies_too(tmp_path):
    root = examinations(tmp_path, "000{}", subject="S{i}")
    assert not said(lambda: load_cohort(root, dims=2))[1]
    root = examinations(tmp_path, "000{}", subject="S{i}{k}")  # as the numbers say
    assert not said(lambda: load_cohort(root, dims=2))[1]
    root = examinations(tmp_path, "", subject="S{i}{k}")
    with pytest.raises(ValueError, match="show one patient, but are of two subjects"):
        load_cohort(root, dims=2)
    root = examinations(tmp_path, "X{}", subject="S{i}", study=1)
    with pytest.raises(ValueError, match="show two patients, but are of one subject"):
        load_cohort(root, dims=2)


def test_numbers_of_a_cohort_that_look_alike(tmp_path):
    root = examinations(tmp_path, "0{}", subject="", study=1)
    _, lines = said(lambda: load_cohort(root, dims=2))
    assert len(lines) == 1 and "24 pairs of patients" in lines[0] and "column subject" in lines[0]
    assert not any(str(100 + i) in lines[0].replace(str(tmp_path), "") for i in range(24))


# ---- any headers ----


@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b", "a@1", "a@2", "c"]), st.sampled_from("xyz")))
)
def test_nobody_is_parted(told):
    """Who was one stays one; a study of few patients is one; a number names a patient, if any does."""
    none = np.zeros((1, 1, 1))
    files = [Picture(none, group=group or study, study=study) for group, study in told]
    found = Patients.among(files)
    groups = settled([one.group for one in files])
    whom = [found.of[one.group] for one in files]
    numbers = {
        s: {g for g, f in zip(groups, files, strict=True) if f.study == s != g} for s in "xyz"
    }
    for i, k in itertools.combinations(range(len(files)), 2):
        one_study = files[i].study == files[k].study and len(numbers[files[i].study]) <= 3
        if groups[i] == groups[k] or one_study:
            assert whom[i] == whom[k]
    for name, one in zip(whom, files, strict=True):
        assert name in groups
        assert name not in "xyz" or len(numbers[one.study]) in (0, 4)
