"""What is drawn is written as DICOM that nobody can take for a patient's."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from msflow_jax.data.sources.dicom.reading import read_dicom
from msflow_jax.data.sources.dicom.writing import write_capture

pydicom = pytest.importorskip("pydicom")


@pytest.mark.parametrize(
    "shape, spacing",
    [
        ((5, 7, 1), (0.3, 1 / 3)),
        ((5, 7, 3), ()),
        ((4, 5, 7, 1), (2.5, 0.3, 0.123456789012)),
        ((3, 5, 7, 1), ()),
        ((2, 5, 7, 3), (1, 1, 1)),
    ],
)
def test_it_is_read_back(shape, spacing, tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = write_capture(tmp_path / "new" / "a.dcm", grey, spacing=spacing, description="class 2")
    picture = read_dicom(path, path)
    np.testing.assert_array_equal(picture.values, grey)
    assert picture.values.dtype == np.uint8
    np.testing.assert_allclose(picture.spacing, spacing, rtol=1e-8)
    if len(spacing) == 3:
        np.testing.assert_allclose(
            picture.affine[:3, :3], np.diag(spacing)[::-1] * [[-1], [-1], [1]]
        )


def test_it_is_marked(tmp_path):
    grey = np.zeros((2, 4, 4, 1), np.uint8)
    paths = [
        write_capture(tmp_path / f"{i}.dcm", grey, description="drawn by W, “naïve”") for i in "ab"
    ]
    one, two = (pydicom.dcmread(path) for path in paths)
    assert list(one.ImageType[:2]) == ["DERIVED", "SECONDARY"] and one.ConversionType == "SYN"
    assert one.BurnedInAnnotation == "NO" and one.PatientIdentityRemoved == "YES"
    assert "SYNTHETIC" in one.SeriesDescription and one.ImageComments.endswith("by W, “naïve”")
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
        assert not one[keyword].value
    uids = [x[k].value for x in (one, two) for k in
            ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")]  # fmt: skip
    assert len(set(uids)) == 6 and all(uid.is_valid for uid in uids)
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    header = paths[0].read_bytes().split(b"DICM")[1][:200]
    # No date in a UID: its random digits may look like one, so today's is looked for.
    today = datetime.now(UTC)
    dates = [f"{today + timedelta(days=days):%Y%m%d}".encode() for days in (-1, 0, 1)]
    assert not re.search(rb"\d{8}\.\d{6}|" + b"|".join(dates), header)


@pytest.mark.parametrize(
    "grey, options, reason",
    [
        (np.zeros((4, 4, 1), np.float32), {}, "uint8 .H, W, C."),
        (np.zeros((4, 4), np.uint8), {}, "uint8 .H, W, C."),
        (np.zeros((4, 4, 2), np.uint8), {}, "1 or 3 colours"),
        (np.zeros((0, 4, 1), np.uint8), {}, "1 to 65535"),
        (np.zeros((4, 4, 1), np.uint8), {"spacing": (1, 1, 1)}, "2 positive numbers"),
        (np.zeros((4, 4, 1), np.uint8), {"spacing": (1, 0)}, "2 positive numbers"),
    ],
)
def test_what_is_not_written(grey, options, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        write_capture(tmp_path / "a.dcm", grey, description="", **options)
    assert not (tmp_path / "a.dcm").exists()
