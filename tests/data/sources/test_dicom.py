"""What is read of single DICOM objects: pydicom's files, and built ones against their facts."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msflow_jax.data.sources.dicom import is_dicom, read_dicom, read_header
from msflow_jax.data.sources.dicom_series import read_series
from msflow_jax.storage.content import describe_content
from tests.data.sources.dicom_objects import (
    ROOT,
    SECRETS,
    encoded,
    make_dataset,
    make_object,
    make_series,
    search_secrets,
)
from tests.data.sources.picture_bytes import png

pydicom = pytest.importorskip("pydicom")

RAMP = np.arange(12, dtype=np.int16).reshape(3, 4) * 100
WHERE = Path("scan.dcm")


def read(found, **options):
    """A data set through a file's bytes."""
    return read_dicom(encoded(found), WHERE, **options)


# ---- the files that pydicom ships ----


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


# ---- values ----


def mono(values, **extra):
    return make_dataset(values, **{"modality": "MR", **extra})


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


@pytest.mark.parametrize("case", CASES)
def test_values(case):
    found, expected, dtype = CASES[case]
    picture = read(found)
    np.testing.assert_allclose(picture.values[..., 0], np.asarray(expected), rtol=1e-6)
    assert picture.values.dtype == dtype


@settings(max_examples=25, deadline=None)
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


def test_colours():
    colours = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(make_dataset(colours, modality="US")).values, colours)
    planar = make_dataset(colours, modality="US", PlanarConfiguration=1)
    planar.PixelData = colours.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(read(planar).values, colours)


# ---- what is not right ----


def jpeg_ls():
    found = mono(np.outer(np.arange(32), np.arange(32)).astype(np.uint16))
    found.compress(pydicom.uid.JPEGLSLossless)
    return found


def framed(**extra):
    return make_dataset(np.zeros((2, 3, 4), np.int16), **extra)


BAD = {
    "cut in the pixels": (lambda: encoded(mono(RAMP))[:-6], "cannot be decoded .The number of bytes"),
    "cut in the header": (lambda: encoded(mono(RAMP))[:400], "scan.dcm (has no pixels|is cut short)"),
    "no DICOM": (lambda: b"hello world, this is text", "is no DICOM file: it holds text"),
    "empty": (lambda: b"", "is no DICOM file: it holds nothing"),
    "a slope of 0": (lambda: encoded(mono(RAMP, RescaleSlope=0)), "RescaleSlope of 0.*correct it"),
    "CT with half a rescale": (
        lambda: encoded(make_dataset(RAMP, RescaleIntercept=None)), "only one of.*correct it",
    ),
    "no rows": (lambda: encoded(mono(RAMP, Rows=None)), "its Rows is missing"),
    "frames of a number": (lambda: encoded(mono(RAMP, NumberOfFrames=-1)), "its NumberOfFrames"),
    "huge": (lambda: encoded(mono(RAMP, Rows=60000, Columns=60000)), "3,600,000,000 pixels, above"),
    "many": (lambda: encoded(mono(RAMP, NumberOfFrames=10**9)), "above the limit of 1,073,741,824"),
    "not finite": (lambda: encoded(mono(np.float32([[0, np.nan]]))), "not finite"),
    "colours of one": (
        lambda: encoded(mono(RAMP, PhotometricInterpretation="RGB")), "RGB with SamplesPerPixel 1",
    ),
    "an unknown kind": (
        lambda: encoded(mono(RAMP, PhotometricInterpretation="HSV")), "PhotometricInterpretation",
    ),
    "high bits": (
        lambda: encoded(mono(RAMP.view(np.uint16), BitsStored=12, HighBit=15)), "12 bits below bit 15",
    ),
    "compressed pixels of another size": (
        lambda: encoded(jpeg_ls()).replace(b"\x00\x20\x00\x20", b"\xff\xff\xff\xff"),
        "its pixels are 65535 x 65535, its header says 32 x 32",
    ),
    "cut in compressed pixels": (lambda: encoded(jpeg_ls())[:-40], "or is cut short: copy it again"),
    "damaged compression": (
        lambda: encoded(jpeg_ls()).replace(b"\xff\xda", b"\x00\x00"), "cannot be decoded .JPEG-LS",
    ),
    "a palette without a table": (
        lambda: encoded(mono(RAMP.astype(np.uint8), PhotometricInterpretation="PALETTE COLOR")),
        "palette cannot be read",
    ),
    "deflated without end": (
        lambda: encoded(mono(RAMP)).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.1.99"),
        "is deflated|cut short or damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_one_line_for_what_is_wrong(case):
    content, reason = BAD[case]
    with pytest.raises(ValueError, match=reason) as caught:
        read_dicom(content(), WHERE)
    told = str(caught.value)
    assert told.startswith("scan.dcm") and "\n" not in told
    assert not any(secret in told for secret in SECRETS)
    cause = caught.value.__cause__
    assert cause is None  # what pydicom says of a header may quote it


def test_no_meta_header(tmp_path):
    import io

    for implicit in (True, False):
        found, buffer = make_dataset(RAMP), io.BytesIO()
        del found.file_meta
        found.save_as(buffer, implicit_vr=implicit, little_endian=True)
        content = buffer.getvalue()
        assert is_dicom(content) and content[128:132] != b"DICM"
        picture = read_dicom(content, WHERE)
        np.testing.assert_array_equal(picture.values[..., 0], RAMP - 1024)
        assert "read as not compressed" in picture.notes[0]


def test_is_dicom():
    assert describe_content(encoded(mono(RAMP))[:4096]) == "a DICOM file"
    assert not is_dicom(b"") and not is_dicom(b"\x08\x00")
    assert not is_dicom(png([b"\x55"], 8, depth=1, colour=0).ljust(200, b"\0"))
    rng = np.random.default_rng(0)
    assert not any(is_dicom(rng.bytes(200)) for _ in range(500))
    assert not any(is_dicom(text * 50) for text in (b"UI,CS\n", b"\x5c\x01\x00\x00", b"\x00" * 20))


PLUGINS = {"JPEG": ("JPEGBaseline8Bit", "medical"), "J2K": ("JPEG2000Lossless", "medical"),
           "lossless": ("JPEGLosslessSV1", "gdcm")}  # fmt: skip


@pytest.mark.parametrize("case", PLUGINS)
def test_a_compression_without_its_decoder(case, monkeypatch):
    from pydicom.pixels import get_decoder

    name, extra = PLUGINS[case]
    syntax = getattr(pydicom.uid, name)
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    found = jpeg_ls()
    found.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(ValueError, match=rf"pip install 'msflow_jax\[{extra}\]'") as caught:
        read(found)
    assert f"compressed as {syntax.name}" in str(caught.value) and "libjpeg" not in str(
        caught.value
    )


def test_a_decoder_that_could_do_it_is_named(monkeypatch):
    from pydicom.pixels import get_decoder

    decoder = get_decoder(pydicom.uid.JPEG2000Lossless)
    broken = {"pillow": lambda *_: 1 / 0}
    monkeypatch.setattr(decoder, "_available", broken)
    monkeypatch.setattr(decoder, "_unavailable", {"pylibjpeg": ("pylibjpeg-openjpeg>=2.0",)})
    found = jpeg_ls()
    found.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    with pytest.raises(ValueError, match=r"cannot be decoded .*for more .*msflow_jax\[medical\]"):
        read(found)


def test_an_unknown_syntax():
    unknown = b"1.2.826.0.1.3680043.99"
    content = encoded(jpeg_ls()).replace(b"1.2.840.10008.1.2.4.80", unknown)
    with pytest.raises(ValueError, match="an unknown transfer syntax.*not read: save it uncompr"):
        read_dicom(content, WHERE)


def test_without_pydicom():
    code = (
        "import sys; sys.modules['pydicom'] = None\n"
        "from pathlib import Path; from msflow_jax.data.sources.dicom import read_dicom\n"
        "try: read_dicom(bytes(128) + b'DICM' + bytes(20), Path('a'))\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs the package pydicom: pip install 'msflow_jax[medical]'" in told.stdout


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


# ---- privacy ----


def test_nothing_identifies_a_patient(tmp_path, capfd, recwarn):
    path = make_object(tmp_path / "scan.dcm", RAMP, PatientComments="Zacharias")
    picture, header = read_dicom(path, path), read_header(path)
    told = f"{picture!r} {header!r} {picture.notes}"
    assert picture.group == header.group and re.fullmatch("[0-9a-f]{16}", picture.group)
    assert re.fullmatch("[0-9a-f]{16}", header.series)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "told.txt").write_text(told)
    np.savez_compressed(tmp_path / "out" / "a.npz", values=picture.values)
    assert search_secrets(tmp_path / "out") == []
    assert len(search_secrets(tmp_path)) >= 8  # what is searched for is found in the object
    assert not recwarn.list and capfd.readouterr().err == ""


def test_groups():
    groups = [
        read(make_dataset(RAMP, **extra)).group
        for extra in (
            {},
            {"instance": 5, "series": 9},
            {"patient": "OTHER"},
            {"IssuerOfPatientID": "Hospital A"},
            {"patient": " ", "series": 3},
            {"patient": None, "series": 4},
            {"patient": None, "StudyInstanceUID": None},
        )
    ]
    assert groups[0] == groups[1] and groups[4] == groups[5]  # by patient; by study
    assert len(set(groups)) == 5 and all(groups)
    nobody = make_dataset(RAMP, patient=None, StudyInstanceUID=None, SeriesInstanceUID=None)
    assert read(nobody).group == ""


def test_pydicom_keeps_its_warnings_to_itself(caplog):
    """Its texts quote the header; outside of the reader it may say what it wants."""
    found = mono(RAMP, RescaleSlope=2, RescaleIntercept=0)
    content = encoded(found).replace(b"2 ", b"x ")
    content = content.replace(f"{ROOT}.2.1".encode(), f"{ROOT}.2.é"[:-2].encode() + b"\xe9.")
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            read_dicom(content, WHERE)
        except ValueError as error:
            assert not any(secret in str(error) for secret in SECRETS)
    assert told == [] and caplog.records == [] and warnings.filters == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="threads are enough elsewhere")
def test_threads_read_at_once():
    from concurrent.futures import ThreadPoolExecutor

    content, before = encoded(make_dataset(RAMP)), list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for picture in pool.map(lambda _: read_dicom(content, WHERE), range(32)):
            np.testing.assert_array_equal(picture.values[..., 0], RAMP - 1024)
    assert warnings.filters == before
