"""DICOM objects of many frames: sorted as volumes, or a loop in its order."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from msflow_jax.data.sources.dicom.reading import read_dicom, read_header
from tests.data.sources.dicom.dicom_objects import (
    encoded,
    make_dataset,
    save,
)
from tests.data.sources.dicom.test_dicom_series import SPACING, VOLUME

pydicom = pytest.importorskip("pydicom")


def enhanced(order, **spoiled):
    """A multi-frame object whose frames are stored in some order, each with a rescale of its own."""

    def item(**values):
        made = pydicom.Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.7, 0.6], SliceThickness=9)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelValueTransformationSequence=[
            item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
        ],
    )
    frames = []
    for i in order:
        position = spoiled.get("positions", {}).get(i, [0, 0, 2 * i])
        frame = item(PlanePositionSequence=[item(ImagePositionPatient=position)])
        if i == 3:  # the frame's own group comes first
            frame.PixelValueTransformationSequence = [
                item(RescaleSlope=1, RescaleIntercept=-1000, RescaleType="HU")
            ]
        frames.append(frame)
    return make_dataset(
        VOLUME[list(order)], RescaleSlope=None, RescaleIntercept=None,
        SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames,
    )  # fmt: skip


def test_enhanced_frames_are_sorted(tmp_path):
    expected = VOLUME - np.array([1024, 1024, 1024, 1000])[:, None, None]
    for order in list(permutations(range(4)))[::7]:
        path = save(enhanced(order), tmp_path / "a.dcm")
        picture = read_dicom(path, path)
        np.testing.assert_array_equal(picture.values[..., 0], expected)
        np.testing.assert_allclose(picture.spacing, SPACING)
        assert picture.unit == "HU"
        assert "1 of 4 slices with another rescale than the rest (frame" in picture.notes[0]
    assert not read_header(path).placed and read_header(path).frames == 4
    save(enhanced(range(4), positions={2: [0, 0, 2]}), path)
    with pytest.raises(ValueError, match="a.dcm: frame 2 and frame 3 lie at the same place"):
        read_dicom(path, path)
    with pytest.raises(ValueError, match="frame 3 and frame 4 9 mm|is missing"):
        save(enhanced(range(4), positions={3: [0, 0, 13]}), path)
        read_dicom(path, path)


def test_a_loop_keeps_its_order():
    found = make_dataset(VOLUME, modality="US", ImagePositionPatient=[0, 0, 0],
                         ImageOrientationPatient=[1, 0, 0, 0, 1, 0])  # fmt: skip
    picture = read_dicom(encoded(found), Path("loop.dcm"))
    assert picture.affine is None and picture.dims == 3
    np.testing.assert_array_equal(picture.values[..., 0], VOLUME)
    assert "frames without positions" in picture.notes[0]


@pytest.mark.parametrize("step", [2, -2])
def test_frames_of_a_dose_lie_by_their_offsets(step):
    """Along the normal, from the one position that is given; they may fall."""
    found = make_dataset(
        VOLUME, modality="RTDOSE", ImagePositionPatient=[1, 2, 30], PixelSpacing=[0.7, 0.6],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        GridFrameOffsetVector=[5 + step * i for i in range(4)],
    )  # fmt: skip
    picture = read_dicom(encoded(found), Path("dose.dcm"))
    rising = VOLUME if step > 0 else VOLUME[::-1]
    np.testing.assert_array_equal(picture.values[..., 0], rising)
    np.testing.assert_allclose(picture.affine[:3, 3], [-1, -2, 30 if step > 0 else 24])
    np.testing.assert_allclose(picture.spacing, SPACING)
