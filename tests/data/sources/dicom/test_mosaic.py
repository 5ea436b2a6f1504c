"""Pictures of Siemens scanners that hold the slices of a volume as tiles: no slice, and refused so."""

import re

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.base import own_info
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.sources.dicom.reading import read_dicom, read_header
from msflow_jax.data.sources.dicom.series import read_series
from tests.data.sources.cohort import cohorts
from tests.data.sources.dicom.dicom_objects import make_object, make_series, save
from tests.data.sources.dicom.test_enhanced_dicom import enhanced
from tests.data.sources.listings.test_files import load, write_csv

pytest.importorskip("pydicom")
KIND = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
SAID = r"{} holds the slices of a volume as tiles \(a Siemens mosaic\): convert it with dcm2niix"
WHERE = {
    "ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [3, 3],
}  # fmt: skip
OTHERS = {
    "a secondary capture": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    "a montage of the retina": {"modality": "OP"},
    "another word": {"ImageType": [*KIND[:4], "MOSAICS"]},
    "none": {"ImageType": None},
}


def tiles(seed, shape=(16, 16)):
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.uint16)


def mosaic(path, seed=0, **options):
    own = {"modality": "MR", "ImageType": KIND, **WHERE, **options}
    return make_object(path, tiles(seed), series=seed, patient=f"P{seed}", **own)


def by_folder(root):
    return load(root)


def by_manifest(root):
    names = [f"{'ab'[i % 2]}/{i}.dcm" for i in range(10)]
    return load(
        write_csv(root / "t.csv", "path,label", *(f"{n},{n[0]}" for n in names)), "manifest"
    )


def by_cohort(root):
    rows = [{"mr": f"{'ab'[i % 2]}/{i}.dcm", "label": "ab"[i % 2]} for i in range(10)]
    return cohorts.load(cohorts.table(root, rows), dims=2)


def test_it_is_refused_by_name(tmp_path):
    path = mosaic(tmp_path / "epi.dcm")
    for read in (read_header, lambda p: read_dicom(p, p)):
        with pytest.raises(ValueError, match=SAID.format(re.escape(str(path)))):
            read(path)


@pytest.mark.parametrize("read", [by_folder, by_manifest, by_cohort])
def test_training_on_it_is_refused(tmp_path, read):
    for i in range(10):
        kind = KIND if i == 3 else KIND[:4]
        mosaic(tmp_path / "ab"[i % 2] / f"{i}.dcm", i, ImageType=kind)
    with pytest.raises(ValueError, match=SAID.format("3.dcm")):
        read(tmp_path)


def test_in_a_series_it_is_refused(tmp_path):
    paths = make_series(tmp_path, tiles(0, (4, 16, 16)), series=7, patient="P7", modality="MR")
    paths.append(mosaic(tmp_path / "zz.dcm", 7))
    with pytest.raises(ValueError, match=SAID.format("zz.dcm")):
        read_series(paths)


def test_later_it_is_named_and_the_others_are_read(tmp_path):
    for i in range(3):
        mosaic(tmp_path / f"{i}.dcm", i, ImageType=KIND if i == 1 else KIND[:4])
    grey = Intensity("percentiles", 0, 1000, "", "MR")
    info = own_info(
        ("a", "b"), (16, 16, 1), name="folder", licence="", md5="", source="", intensity=grey
    )
    found = data.read_sound_images(tmp_path, info)
    assert found.names == ("0.dcm", "2.dcm")
    assert list(found.broken) == ["1.dcm"]
    with pytest.raises(ValueError, match=SAID.format("1.dcm")):
        data.read_images(tmp_path, info)


@pytest.mark.parametrize("options", OTHERS.values(), ids=list(OTHERS))
def test_others_are_pictures_as_before(tmp_path, options):
    path = mosaic(tmp_path / "x.dcm", **options)
    assert read_dicom(path, path).space == (16, 16) and read_header(path).frames == 1


def test_an_object_of_many_frames_has_its_slices_apart(tmp_path):
    made = enhanced(range(4))
    made.Modality, made.ImageType = "MR", KIND
    path = save(made, tmp_path / "e.dcm")
    assert read_header(path).frames == 4 and read_dicom(path, path).dims == 3
