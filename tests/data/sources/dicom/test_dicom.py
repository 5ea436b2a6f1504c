"""Single DICOM objects that are not right, and what nobody is told of a patient."""

import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from msflow_jax.data.sources.dicom.reading import is_dicom, read_dicom, read_header
from msflow_jax.storage.content import describe_content
from tests.data.sources.dicom.dicom_objects import (
    RAMP,
    ROOT,
    SECRETS,
    WHERE,
    encoded,
    make_dataset,
    make_object,
    mono,
    read,
    search_secrets,
)
from tests.data.sources.picture_bytes import png

pydicom = pytest.importorskip("pydicom")


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
        "from pathlib import Path; from msflow_jax.data.sources.dicom.reading import read_dicom\n"
        "try: read_dicom(bytes(128) + b'DICM' + bytes(20), Path('a'))\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs the package pydicom: pip install 'msflow_jax[medical]'" in told.stdout


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
