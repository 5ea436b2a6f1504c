"""What is read of single DICOM objects: built ones against their facts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.sources.dicom.series import read_series
from tests.data.sources.dicom.dicom_objects import (
    RAMP,
    make_dataset,
    make_series,
    mono,
    read,
)

pydicom = pytest.importorskip("pydicom")

CASES = {
    # name: (data set, values, type)
    "as stored": (mono(RAMP), RAMP, "int16"),
    "8 bits": (mono(RAMP.astype(np.uint8)), RAMP.astype(np.uint8), "uint8"),
    "8 signed bits": (mono(np.int8([[-128, 127]])), [[-128, 127]], "int16"),
    "4 bits state their range": (
        mono(np.uint8([[0, 5, 15]]), BitsStored=4, HighBit=3), [[0, 85, 255]], "uint8",
    ),
    "12 bits": (mono(np.uint16([[0, 4095]]), BitsStored=12, HighBit=11), [[0, 4095]], "uint16"),
    "32 bits": (mono(np.uint32([[0, 2**32 - 1]])), [[0, 2**32 - 1]], "uint32"),
    "float": (mono(np.float32([[0.25, -2]])), [[0.25, -2]], "float32"),
    "rescale": (make_dataset(RAMP), RAMP - 1024, "int16"),
    "a slope that is no integer": (
        mono(RAMP, RescaleSlope=0.4, RescaleIntercept=-3), RAMP * 0.4 - 3, "float32",
    ),
    "beyond 16 bits": (
        mono(np.uint16([[0, 65535]]), RescaleSlope=1, RescaleIntercept=-1024),
        [[-1024, 64511]], "int32",
    ),
    "only a slope": (mono(RAMP, RescaleSlope=2), RAMP * 2, "int16"),
    "MONOCHROME1": (
        mono(np.uint8([[0, 255, 3]]), PhotometricInterpretation="MONOCHROME1"),
        [[255, 0, 252]], "uint8",
    ),
    "MONOCHROME1 of 4 bits": (
        mono(np.uint8([[0, 5, 15]]), BitsStored=4, HighBit=3, PhotometricInterpretation="MONOCHROME1"),
        [[255, 170, 0]], "uint8",
    ),
    "MONOCHROME1 of 12 bits": (
        mono(np.uint16([[0, 4095]]), BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1"),
        [[4095, 0]], "uint16",
    ),
    "MONOCHROME1 after rescale": (
        mono(np.uint8([[0, 255, 1]]), RescaleSlope=2, RescaleIntercept=10,
             PhotometricInterpretation="MONOCHROME1"),
        [[520, 10, 518]], "int16",
    ),
    "MONOCHROME1, turned beyond 16 bits": (
        mono(np.uint16([[0, 9]]), RescaleSlope=1, RescaleIntercept=-1,
             PhotometricInterpretation="MONOCHROME1"),
        [[65534, 65525]], "int32",
    ),
    "Hounsfield units stay what they are": (
        make_dataset(RAMP, PhotometricInterpretation="MONOCHROME1"), RAMP - 1024, "int16",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind, shape, odd",
    [
        ("MONOCHROME2", "INVERSE", True), ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "IDENTITY", False), ("MONOCHROME1", "INVERSE", False),
        ("MONOCHROME2", "", False),
    ],
)  # fmt: skip
def test_two_words_on_black_that_contradict_each_other_are_told(kind, shape, odd):
    found = mono(
        np.uint8([[0, 255, 3]]), PhotometricInterpretation=kind, PresentationLUTShape=shape
    )
    picture = read(found)
    assert picture.values[0, 1, 0] == (255 if kind == "MONOCHROME2" else 0)
    assert any(f"PresentationLUTShape {shape}" in note for note in picture.notes) == odd


@pytest.mark.parametrize("case", CASES)
def test_values(case):
    found, expected, dtype = CASES[case]
    picture = read(found)
    np.testing.assert_allclose(picture.values[..., 0], np.asarray(expected), rtol=1e-6)
    assert picture.values.dtype == dtype


@settings(max_examples=25)
@given(
    st.integers(-3000, 3000).filter(bool) | st.floats(0.001, 1000).map(lambda v: round(v, 4)),
    st.integers(-40000, 40000) | st.floats(-100, 100).map(lambda v: round(v, 3)),
    st.booleans(),
)
def test_rescale_is_that_of_pydicom(slope, intercept, signed):
    from pydicom.pixels import apply_modality_lut

    stored = np.array([[0, 1, 77, 32767]], np.int16 if signed else np.uint16)
    found = mono(stored, RescaleSlope=str(slope), RescaleIntercept=str(intercept))
    values = read(found).values[..., 0]
    expected = apply_modality_lut(stored, found)
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-5)
    if isinstance(slope, int) and isinstance(intercept, int):
        assert values.dtype.kind == "i" and np.array_equal(values, expected)


def test_padding_is_found_on_stored_values():
    stored = np.int16([[-2000, -1500, -1400, 5]])
    plain = read(make_dataset(stored))
    assert plain.missing is None
    found = make_dataset(stored)
    found.add_new("PixelPaddingValue", "SS", -2000)
    one = read(found)
    assert one.missing.tolist() == [[True, False, False, False]]
    np.testing.assert_array_equal(one.values, plain.values)
    found.add_new("PixelPaddingRangeLimit", "SS", -1500)
    assert read(found).missing.tolist() == [[True, True, False, False]]
    unsigned = make_dataset(stored)
    unsigned.add_new("PixelPaddingValue", "US", 65536 - 2000)  # the same bits by another name
    assert read(unsigned).missing.tolist() == [[True, False, False, False]]
    absent = make_dataset(stored)
    absent.add_new("PixelPaddingValue", "SS", 77)
    assert read(absent).missing is None


UNITS = {
    "CT": ({}, "HU", None),
    "named": ({"RescaleType": "HU"}, "HU", None),
    "another unit": ({"RescaleType": "US"}, "", "no Hounsfield units by its RescaleType"),
    "no rescale": ({"RescaleSlope": None, "RescaleIntercept": None}, "", "is CT without rescale"),
}


@pytest.mark.parametrize("case", UNITS)
def test_units(case):
    extra, unit, note = UNITS[case]
    picture = read(make_dataset(RAMP, **extra))
    assert picture.unit == unit
    assert (note is None and not picture.notes) or note in picture.notes[0]


def test_one_of_two_missing_is_told():
    assert "only one of RescaleSlope and" in read(mono(RAMP, RescaleSlope=2)).notes[0]


def test_colours():
    colours = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(make_dataset(colours, modality="US")).values, colours)
    planar = make_dataset(colours, modality="US", PlanarConfiguration=1)
    planar.PixelData = colours.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(read(planar).values, colours)


# ---- geometry of single objects ----


def test_where_a_single_slice_lies():
    place = {"ImagePositionPatient": [-10, 20, 30], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
    picture = read(make_dataset(RAMP, PixelSpacing=[2, 3], **place))
    assert picture.spacing == (2, 3) and picture.dims == 2
    # row 1, column 2 of a coronal slice: 2 mm down, 6 mm to the left
    np.testing.assert_allclose(picture.affine @ [0, 1, 2, 1], [10 - 6, -20, 28, 1])
    assert read(make_dataset(RAMP, PixelSpacing=[2, 3])).affine is None
    broken = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [0] * 6}
    odd = read(make_dataset(RAMP, PixelSpacing=[0, 0], **broken))
    assert odd.affine is None and odd.spacing == () and len(odd.notes) == 2


@pytest.mark.parametrize(("mm", "words"), [(9000, "above 50 mm"), (0.007, "below 0.04 mm")])
def test_pixels_of_an_unlikely_size_are_said(tmp_path, mm, words):
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    for extra in (place, {}):
        (line,) = read(make_dataset(RAMP, PixelSpacing=[mm, mm], **extra)).notes
        assert f"its pixels are {mm:g} x {mm:g} mm, {words}" in line and "correct" in line
    paths = make_series(tmp_path, np.stack([RAMP, RAMP]), spacing=(2.0, mm, mm))
    (line,) = read_series(paths).notes
    assert f"its voxels are 2 x {mm:g} x {mm:g} mm, {words}" in line
    assert read(make_dataset(RAMP, PixelSpacing=[0.044, 0.044])).notes == ()  # of a mammogram
