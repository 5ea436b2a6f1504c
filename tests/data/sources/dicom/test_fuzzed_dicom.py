"""Mutated DICOM: a picture or one line with the name of the file, and nothing of the patient."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from msflow_jax.data.sources.decoding import MAX_PIXELS
from msflow_jax.data.sources.dicom.reading import read_dicom
from tests.data.sources.dicom.dicom_objects import SECRETS, encoded, make_dataset
from tests.fuzzing import fuzz

pydicom = pytest.importorskip("pydicom")
RAMP = np.arange(64, dtype=np.int16).reshape(8, 8)


def seeds():
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    small = {"StudyDescription": None, "InstitutionName": None}
    plain = make_dataset(RAMP, PixelSpacing=[1, 1], **place, **small)
    plain.add_new("PixelPaddingValue", "SS", 7)
    packed = make_dataset(RAMP.view(np.uint16), modality="MR", WindowCenter=[3, 4], **small)
    packed.compress(pydicom.uid.JPEGLSLossless)
    run = make_dataset(RAMP.view(np.uint16), modality="US", **small)
    run.compress(pydicom.uid.RLELossless)
    colours = make_dataset(np.zeros((2, 4, 4, 3), np.uint8), modality="US", **small)
    own = [Path(pydicom.__file__).parent / "data" / "test_files" / n for n in
           ("MR_small_jp2klossless.dcm", "SC_rgb_small_odd_jpeg.dcm",
            "image_dfl.dcm", "rtdose.dcm", "liver_1frame.dcm")]  # fmt: skip
    return (*map(encoded, (plain, packed, run, colours)), *(path.read_bytes() for path in own))


SEEDS = seeds()


@st.composite
def mutated(draw):
    """A sound file with some bytes, most of them of its header, replaced, cut out or put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        begin, end = (128, min(len(data), 1500)) if draw(st.booleans()) else (0, len(data))
        at = draw(st.integers(begin, max(begin, end - 1)))
        what = draw(st.sampled_from(("set", "set", "set", "cut", "put")))
        if what == "cut":
            del data[at : at + draw(st.integers(1, 500))]
        elif what == "put":
            data[at:at] = draw(st.binary(min_size=1, max_size=12))
        else:
            new = draw(st.binary(min_size=1, max_size=4) | st.sampled_from((b"\xff" * 4, bytes(4))))
            data[at : at + len(new)] = new
    return bytes(data)


def check(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            picture = read_dicom(data, Path("scan.dcm"))
        except ValueError as error:
            told = str(error)
            assert told.startswith("scan.dcm") and "\n" not in told and error.__cause__ is None
        else:
            told = " ".join(picture.notes)
            assert picture.values.ndim in (3, 4) and picture.values.shape[-1] in (1, 3)
            assert picture.values.size < 3 * MAX_PIXELS and not np.isnan(picture.values.max())
            assert picture.missing is None or picture.missing.shape == picture.space
    assert not any(secret in told for secret in SECRETS)


def test_mutated_objects():
    assert fuzz(check, mutated(), share=0.1) > 20
