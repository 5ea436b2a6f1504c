"""Drawn images as files: read back they are what was drawn, on the training grid, of nobody."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from msflow_jax.commands.generate import GRID, PLANES, RECORD, write, written_before
from msflow_jax.data.base import own_info
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.sources.dicom.reading import read_dicom
from msflow_jax.data.sources.nifti.reading import read_nifti
from msflow_jax.inference import images as written

SHAPE = (4, 6, 5, 1)
PLAIN = own_info(("ill", "well/good"), SHAPE, name="folder", licence="", md5="", source="")
INFO = replace(PLAIN, spacing=(2.5, 1.0, 1.0))
CT = replace(INFO, intensities={"image": Intensity("window", -160.0, 240.0, "HU")})
MR = replace(INFO, intensities={"image": Intensity("percentiles", 3.5, 812.25)})
VOLUMES = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)


@pytest.mark.parametrize(
    ("info", "dtype"), [(INFO, "uint8"), (CT, "int16"), (MR, "float32"), (PLAIN, "uint8")]
)
def test_a_volume_comes_back_from_nifti_with_its_values_and_voxels(tmp_path, info, dtype):
    path = written.write_image(tmp_path / "a", VOLUMES[0], info, "nifti", "")
    found = read_nifti(path)
    assert path.name == "a.nii.gz" and found.values.dtype == dtype
    assert found.spacing == (info.spacing or (1.0, 1.0, 1.0))
    map_ = info.intensity()
    if map_.kind == "full":
        np.testing.assert_array_equal(found.values, VOLUMES[0])
    else:  # within half a unit where Hounsfield units were rounded
        np.testing.assert_allclose(found.values, map_.to_values(VOLUMES[0]), atol=0.5)
    again = map_.to_grey(found.values).astype(int) - VOLUMES[0]
    assert np.abs(again).max() <= (1 if info is CT else 0)  # 1.57 HU to a level


def test_a_capture_says_that_it_is_synthetic_and_of_nobody(tmp_path):
    path = written.write_image(tmp_path / "a", VOLUMES[0], INFO, "dicom", "ill, by msflow_jax")
    found = read_dicom(path.read_bytes(), path)
    np.testing.assert_array_equal(found.values, VOLUMES[0])
    assert found.spacing == INFO.spacing
    assert b"SYNTHETIC" in path.read_bytes() and b"ill, by msflow_jax" in path.read_bytes()


def test_a_png_of_a_volume_has_its_three_planes(tmp_path):
    path = written.write_image(tmp_path / "a", VOLUMES[0], PLAIN, "png", "")
    pixels = np.asarray(Image.open(path))
    assert pixels.shape == (6, 5 + 1 + 5 + 1 + 6)
    np.testing.assert_array_equal(pixels[:, :5], VOLUMES[0][2, :, :, 0])


@pytest.mark.parametrize(
    ("requested", "dims", "found"), [("", 2, "png"), ("", 3, "nifti"), ("dicom", 2, "dicom")]
)
def test_the_usual_format(requested, dims, found):
    assert written.choose_format(requested, dims) == found


def test_a_format_that_cannot_be_written_is_refused_before_the_work(monkeypatch):
    with pytest.raises(ValueError, match="NIfTI is for volumes.*png or dicom"):
        written.choose_format("nifti", 2)
    with pytest.raises(ValueError, match="unknown format 'tiff': choose one of png, nifti, dicom"):
        written.choose_format("tiff", 3)
    monkeypatch.setattr(written, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs nibabel.*msflow_jax\[medical\]"):
        written.choose_format("", 3)
    assert written.choose_format("", 2) == "png"


@pytest.mark.parametrize(("kind", "suffix"), [("nifti", ".nii.gz"), ("png", ".png")])
def test_the_folder_of_generated_volumes(tmp_path, kind, suffix):
    record = {"seed": 1, **written.describe_files(CT, kind)}
    write(tmp_path, VOLUMES, np.array([0, 1, 1, 1]), CT, record)  # one was not drawn: Ctrl-C
    names = [f"0_ill_00000{suffix}", f"1_well-good_00001{suffix}", f"1_well-good_00002{suffix}"]
    planes = {PLANES} if kind == "nifti" else set()  # the volumes to look at
    assert {p.name for p in tmp_path.iterdir()} == {*names, GRID, RECORD, *planes}
    assert len(list((tmp_path / PLANES).glob("*.png"))) == (3 if planes else 0)
    found = json.loads((tmp_path / RECORD).read_text())
    assert [entry["file"] for entry in found["images"]] == names
    assert found["format"] == kind and found["spacing"] == [2.5, 1.0, 1.0]
    assert found["intensity"] == CT.intensity().to_dict()
    said = {"nifti": ("values", "HU"), "png": ("grey levels", "")}[kind]
    assert (found["values"], found["unit"]) == said
    assert set(written_before(tmp_path)) >= {*names, GRID, RECORD, *planes}
