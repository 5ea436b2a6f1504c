"""DICOM files that pydicom ships, read as pydicom reads them."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from msflow_jax.data.sources.dicom.reading import is_dicom, read_dicom, read_header
from tests.data.sources.dicom.dicom_objects import (
    WHERE,
    make_dataset,
    mono,
    read,
)

pydicom = pytest.importorskip("pydicom")


def library_files():
    """Every file with pixels of pydicom and pydicom-data; nothing is fetched."""
    from pydicom.data.data_manager import external_data_sources

    own = Path(pydicom.__file__).parent / "data"
    folders = [own / "test_files", own / "charset_files"]
    folders += [
        Path(s.data_path) for s in external_data_sources().values() if hasattr(s, "data_path")
    ]
    return {path.name: path for folder in folders for path in sorted(folder.rglob("*"))}


FILES = library_files()
# Megapixels in JPEG 2000 and 120 colour frames: 17 s; the same decoders read the small ones.
LONG = re.compile(r"color3d_jpeg_baseline|(RG1|RG3|MR2)_J2K.*")
REFUSED = {
    "JPEG-lossy.dcm": "cannot be decoded .JPEG of 12 bits: save it uncompressed",
    "JPGExtended.dcm": "cannot be decoded .JPEG of 12 bits: save it uncompressed",
    "JPEG2000-embedded-sequence-delimiter.dcm": "is damaged: its pixels are 1024 x 3722445056",
    "MR_truncated.dcm": "cannot be decoded .*8130 vs 8192 bytes",
    "badVR.dcm": "is damaged: its NumberOfFrames is no number",
    "meta_missing_tsyntax.dcm": "is damaged: its Rows is missing",
    "nested_priv_SQ.dcm": "is damaged: its Rows is missing",
}
GDCM = ("JPEG-LL.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm", "bad_sequence.dcm", "SC_rgb_jpeg_gdcm.dcm")


def with_pixels():
    for name, path in FILES.items():
        if path.is_file() and is_dicom(path.read_bytes()[:4096]) and not LONG.match(name):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = pydicom.dcmread(path, force=True, defer_size=64)
            if "PixelData" in found:
                yield name


def reference(found):
    """What pydicom makes of a file, brought to what this reader says it gives."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    stored = found.pixel_array
    if found.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(stored, found)
        # Of 16 bits the upper ones; pydicom 3.0 exchanges the bytes of a palette in big endian.
        upper = found.file_meta.TransferSyntaxUID.is_little_endian
        return (colours >> 8 if upper else colours & 255) if colours.dtype == np.uint16 else colours
    values = apply_modality_lut(stored, found)
    if "SharedFunctionalGroupsSequence" in found:  # where pydicom does not look for a rescale
        shared = found.SharedFunctionalGroupsSequence[0]
        for rescale in shared.get("PixelValueTransformationSequence", []):
            values = stored * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept)
            values = values[:, :, ::-1]  # it is stored from the left to the right
    if found.BitsStored == 1:
        return values * 255  # as a PNG of 1 bit
    if found.PhotometricInterpretation == "MONOCHROME1":
        slope, add = float(found.get("RescaleSlope", 1)), float(found.get("RescaleIntercept", 0))
        return ((2**found.BitsStored - 1) * slope + add) + add - values
    return values


@pytest.mark.parametrize("name", list(with_pixels()))
def test_files_of_pydicom(name):
    path = FILES[name]
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]) as caught:
            read_dicom(path, path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
        return
    if name in GDCM:
        pytest.importorskip("gdcm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = read_dicom(path, path)
        header = read_header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(path, force=True)
        if name == "OT-PAL-8-face.dcm":  # says no transfer syntax, which pydicom leaves at that
            found.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            assert any("does not say how it is compressed" in line for line in picture.notes)
        expected = reference(found).reshape(picture.values.shape)
    if picture.values.dtype == np.float32:
        np.testing.assert_allclose(picture.values, expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(picture.values, expected)
    frames = picture.values.shape[0] if picture.dims == 3 else 1
    assert (frames, *picture.values.shape[-3:-1]) == (header.frames, header.rows, header.columns)
    assert (picture.modality, picture.group) == (header.modality, header.group)


def test_big_endian_palettes_are_those_of_little_endian():
    for name in ("OBXXXX1A", "gdcm-US-ALOKA-16"):
        if f"{name}.dcm" not in FILES:
            pytest.skip("pydicom-data is not installed")
        other = next(f"{name}{end}.dcm" for end in ("_expb", "_big") if f"{name}{end}.dcm" in FILES)
        one, two = (read_dicom(FILES[n], WHERE).values for n in (f"{name}.dcm", other))
        np.testing.assert_array_equal(one, two)


def test_facts_of_library_files():
    small = read_dicom(FILES["CT_small.dcm"], WHERE)
    assert (small.unit, small.modality, small.values.dtype) == ("HU", "CT", np.int16)
    assert small.spacing == (0.661468, 0.661468) and small.affine.shape == (4, 4)
    assert small.notes == ()  # a window of CT is not worth a word
    dose = read_dicom(FILES["rtdose.dcm"], WHERE)
    assert dose.spacing == (5, 10, 10) and any(
        "DoseGridScaling is not applied" in n for n in dose.notes
    )
    film = read_dicom(FILES["examples_ybr_color.dcm"], WHERE)
    assert film.affine is None and film.spacing == () and "a film or a loop" in film.notes[0]
    two = read_dicom(FILES["examples_overlay.dcm"], WHERE)
    assert "has 2 windows in its header, not applied" in two.notes[0]


@pytest.mark.parametrize(
    "name, reason",
    [
        ("rtplan.dcm", r"rtplan.dcm has no pixels \(RTPLAN\): leave it out"),
        ("reportsi.dcm", r"has no pixels \(SR"),
        ("DICOMDIR", "is an index of DICOM files"),
        ("no_meta_group_length.dcm", "has no pixels or is cut short: copy it again"),
        ("zipMR.gz", "is no DICOM file: it holds a gzip file"),
    ],
)
def test_without_pixels(name, reason):
    path = FILES[name]
    with pytest.raises(ValueError, match=reason) as caught:
        read_dicom(path, path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=re.escape(f"{path} ")):
        read_header(path)


def test_windows_by_index():
    from pydicom.pixels import apply_windowing

    stored = np.arange(0, 4096, 5, dtype=np.uint16)[None]
    windows = {"WindowCenter": [600, 2000, 900], "WindowWidth": [800, 1, 300], "BitsStored": 12}
    for kind in (None, "LINEAR_EXACT", "SIGMOID"):
        found = mono(stored, HighBit=11, VOILUTFunction=kind, **windows)
        for index in range(3):
            grey = read(found, window=index)
            with np.errstate(over="ignore"):
                expected = apply_windowing(stored, found, index) * (255 / 4095)
            assert grey.values.dtype == np.uint8
            assert np.abs(grey.values[..., 0] - expected).max() < 0.51
    found.PhotometricInterpretation = "MONOCHROME1"  # turned after the window
    np.testing.assert_array_equal(read(found, window=2).values, 255 - grey.values)
    with pytest.raises(ValueError, match="has 3 windows in its header; window 3 is not one"):
        read(found, window=3)
    with pytest.raises(ValueError, match="in colour"):
        read(make_dataset(np.zeros((2, 2, 3), np.uint8), modality="US"), window=0)
    path = FILES.get("vlut_04.dcm")
    if path is not None:
        table = read_dicom(path, path, window=0).values
        assert table.dtype == np.uint8 and table.max() > 200
