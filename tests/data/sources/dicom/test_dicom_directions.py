"""Radiographs that are mirrored, or upside down, as their PatientOrientation says."""

import json
import warnings

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data import Info
from msflow_jax.data.sources.dicom.directions import warn_of_directions
from tests.data.sources.dicom.dicom_objects import make_object, mono, read
from tests.data.sources.dicom.test_intents import READ

pytest.importorskip("pydicom")


def fill(root, ways, **extra):
    """X-rays of two classes, each of another patient."""
    for i, way in enumerate(ways):
        values = np.random.default_rng(i).integers(0, 4096, (8, 8), np.uint16)
        options = {"modality": "CR", "PatientOrientation": way} | extra
        make_object(root / "ab"[i % 2] / f"{i}.dcm", values, patient=f"P{i}", series=i, **options)
    return root


def lines(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if "PatientOrientation" in str(one.message)]


@pytest.mark.parametrize("load", READ)
def test_mirrored_pictures_are_named(tmp_path, load):
    fill(tmp_path, [["R" if i < 4 else "L", "F"] for i in range(12)])
    (line,) = lines(lambda: load(tmp_path))
    assert (
        line.startswith("4 pictures have PatientOrientation R\\F (") and "/a/0.dcm for one" in line
    )
    assert "8 have L\\F (" in line and "their rows run in opposite directions" in line


@pytest.mark.parametrize("load", READ)
def test_pictures_that_agree_say_nothing(tmp_path, load):
    ways = [["L", "F"], ["LA", "F"], ["A", "F"], None, ["SECRET NAME", "F"], ["L"]]
    fill(tmp_path, [ways[i % 6] for i in range(12)])
    assert lines(lambda: load(tmp_path)) == []


def test_what_is_classified_and_what_faces_each_other_by_custom(tmp_path):
    info = READ[0](fill(tmp_path / "train", [["L", "F"]] * 12)).info
    mixed = [["P", "H"], ["P", "F"]]
    line, turned = lines(lambda: data.read_images(fill(tmp_path / "new", mixed), info))
    assert "their columns run" in line and "1 of 2 pictures have PatientOrientation P\\H" in turned
    fill(tmp_path / "breasts", [["P", "L"], ["A", "R"]] * 6, modality="MG")
    assert lines(lambda: READ[0](tmp_path / "breasts")) == []


@pytest.mark.parametrize("load", READ)
def test_a_model_knows_how_what_it_was_trained_on_lay(tmp_path, load):
    """Also one that is stored; of a set that is all mirrored nothing else tells."""
    info = load(fill(tmp_path / "train", [["L", "F"]] * 12)).info
    info = Info.from_dict(json.loads(json.dumps(info.to_dict())))
    for way, count in ((["L", "F"], 0), (["A", "F"], 0), (None, 0), (["R", "F"], 1)):
        folder = fill(tmp_path / str(way), [way] * 3)
        found = lines(lambda folder=folder: data.read_images(folder, info))
        assert len(found) == count
        assert all("3 of 3 pictures have PatientOrientation R\\F, those tr" in one for one in found)


def test_slices_that_are_brought_upright_are_not_compared():
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    values = np.zeros((4, 4), np.uint8)
    assert read(mono(values, PatientOrientation=["L", "P"], **place)).directions == ""
    assert read(mono(values, PatientOrientation=["L", "P"])).directions == "L\\P"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warn_of_directions([("a", "L\\F"), ("b", "F\\L"), ("c", "")])
