"""Phantoms written as the files of a hospital, read back with plain nibabel, pydicom and Pillow."""

import csv

import numpy as np
import pytest

from msflow_jax import data
from msflow_jax.data.phantoms import cohort, export, volumes
from msflow_jax.data.phantoms.signals import SEQUENCES

SIDE = 8


@pytest.fixture(scope="module")
def written(tmp_path_factory, read_once):
    config = data.default_config("phantom_cohort")
    config.side, config.phantoms.subjects, config.dims = SIDE, 10, 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSFLOW_JAX_PHANTOMS", str(tmp_path_factory.mktemp("kept")))
        folder = tmp_path_factory.mktemp("hospital") / "out"
        table = export.export(config, folder, "dicom")
        other = export.export(config, folder.with_name("again"), "nifti", "dicom")
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        yield rows, table.parent, other.parent, cohort.make(config, stored=True), data.load(config)


def test_a_row_for_each_subject(written):
    rows, folder, _, found, splits = written
    assert len(rows) == 10 and (folder / "cohort.csv").is_file()
    for split in ("train", "val", "test"):
        mine = [row["subject"] for row in rows if row["split"] == split]
        assert sorted(mine) == sorted(splits[split].groups)
    assert [row["report"] for row in rows] == found["truth.report"].tolist()
    assert [row["label"] for row in rows] == [
        splits.info.classes[k] for k in found["label"].tolist()
    ]


def test_mr_is_nifti_in_scanner_units_in_its_place(written):
    nibabel = pytest.importorskip("nibabel")
    rows, folder, _, found, _ = written
    for name in SEQUENCES:
        image = nibabel.load(folder / rows[3][name])
        assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
        assert image.get_data_dtype() == np.int16
        # x to the right, y to the front, z up: columns and rows of ours run the other way.
        ours = np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]
        np.testing.assert_array_equal(ours, found[name][3, ..., 0])
        last = image.affine @ (SIDE - 1, SIDE - 1, 0, 1)
        np.testing.assert_allclose(last, volumes.affine(SIDE) @ (0, 0, 0, 1), atol=1e-4)


def test_each_subject_has_one_gain_in_all_contrasts(written):
    _, _, _, found, splits = written
    gains = []
    for part in (splits.train, splits.val, splits.test):
        for i, number in enumerate(part.truth["subject"]):
            mine = []
            for name in SEQUENCES:
                grey, stored = part.arrays[name][i], found[name][number]
                inside = (grey > 60) & (grey < 255)
                mine.append(0.255 * (stored[inside] / grey[inside]).mean())
            assert np.ptp(mine) < 0.02
            gains.append(mine[0])
    assert 0.5 < min(gains) < 0.9 and 1.1 < max(gains) < 2


def test_ct_is_a_series_in_hounsfield_units(written):
    pydicom = pytest.importorskip("pydicom")
    rows, folder, _, found, _ = written
    files = [pydicom.dcmread(p) for p in sorted((folder / rows[3]["ct"]).iterdir())]
    assert len(files) == SIDE and len({f.SeriesInstanceUID for f in files}) == 1
    assert len({f.SOPInstanceUID for f in files}) == SIDE
    stack = np.stack([pydicom.pixels.apply_rescale(f.pixel_array, f) for f in files])
    np.testing.assert_array_equal(stack, found["ct"][3, ..., 0])
    for k in (0, SIDE - 1):
        x, y, z, _ = volumes.affine(SIDE) @ (k, 0, 0, 1)
        np.testing.assert_allclose(files[k].ImagePositionPatient, (-x, -y, z), atol=1e-6)
    first = files[0]
    assert first.Modality == "CT" and "no patient" in first.SeriesDescription
    assert float(first.SpacingBetweenSlices) == 22.0 and list(first.PixelSpacing) == [29.5, 29.5]
    assert "PatientBirthDate" not in first and "StudyDate" not in first


def test_xray_and_the_other_format(written):
    nibabel = pytest.importorskip("nibabel")
    from PIL import Image

    rows, folder, other, found, _ = written
    np.testing.assert_array_equal(
        np.asarray(Image.open(folder / rows[5]["xray"])), found["xray"][5, ..., 0]
    )
    image = nibabel.load(other / f"{rows[5]['subject']}/ct.nii.gz")
    assert image.get_data_dtype() == np.int16
    ours = np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]
    np.testing.assert_array_equal(ours, found["ct"][5, ..., 0])
    pydicom = pytest.importorskip("pydicom")
    files = [pydicom.dcmread(p) for p in sorted((other / rows[5]["subject"] / "t2w").iterdir())]
    assert {f.Modality for f in files} == {"MR"} and "RescaleSlope" not in files[0]
    np.testing.assert_array_equal(np.stack([f.pixel_array for f in files]), found["t2w"][5, ..., 0])


def test_a_cohort_reads_both_formats_of_mr_by_percentiles(written):
    pytest.importorskip("pydicom")
    _, folder, other, _, _ = written
    splits = []
    for place in (folder, other):
        config = data.default_config("cohort")
        config.update({"root": str(place / "cohort.csv"), "modality": "flair", "dims": 3})
        splits.append(data.load(config))
    first, second = splits
    assert first.info.intensities["image"].kind == "percentiles"
    np.testing.assert_array_equal(first.train.arrays["image"], second.train.arrays["image"])
    assert first.info.intensities["image"].high == second.info.intensities["image"].high > 500


def test_the_same_bytes_every_time(written, tmp_path):
    pytest.importorskip("pydicom")
    _, folder, _, found, _ = written
    export.write_series(tmp_path / "ct", found["ct"][0, ..., 0], SIDE, "subject00000")
    for path in sorted((tmp_path / "ct").iterdir()):
        assert path.read_bytes() == (folder / "subject00000/ct" / path.name).read_bytes()


def test_a_folder_with_something_in_it_is_left_alone(written):
    _, folder, _, _, _ = written
    with pytest.raises(ValueError, match="exists and is not empty"):
        export.export(data.default_config("phantom_cohort"), folder)
