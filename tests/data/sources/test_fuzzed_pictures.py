"""Mutated pictures: pixels or one line with the file's name, nothing else."""

import io
import warnings
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from msflow_jax.data.sources.decoding import MAX_PIXELS, decode
from tests.data.sources.picture_bytes import big_endian, png, tiff
from tests.fuzzing import fuzz

DEEP = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80


def _by_pillow(array, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def _with_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x011A] = 72.0
    return _by_pillow(DEEP.astype(np.uint8), "JPEG", exif=exif)


RGB = np.repeat(DEEP[..., None], 3, axis=2)
SEEDS = (
    *(
        _by_pillow(DEEP.astype(np.uint8), kind)
        for kind in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
    ),
    _by_pillow(DEEP.astype(np.uint8), "TIFF", compression="tiff_lzw"),
    _by_pillow(RGB.astype(np.uint8), "PPM"),
    _by_pillow(DEEP, "PNG"),
    _with_exif(),
    png([big_endian(row) for row in RGB], 8, depth=16, colour=2),
    tiff(RGB, photometric=2),
    tiff(DEEP.astype(np.float32), endian=">"),
    tiff(DEEP, photometric=0),
    tiff(DEEP.astype(np.int16)),
    b"P5 8 6 4095\n" + big_endian(DEEP),
    b"Pf\n8 6\n-1.0\n" + DEEP.astype("<f4").tobytes(),
)


@st.composite
def mutated(draw):
    """A sound file with some bytes, most of them of its header, replaced, cut out or put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        end = min(len(data), 120) if draw(st.booleans()) else len(data)
        at = draw(st.integers(0, max(0, end - 1)))
        what = draw(st.sampled_from(("set", "set", "set", "cut", "put")))
        if what == "cut":
            del data[at : at + draw(st.integers(1, 500))]
        else:
            new = draw(st.binary(min_size=1, max_size=8))
            data[at : at + len(new) * (what == "set")] = new
    return bytes(data)


def check(data):
    """Pixels, or a ValueError of one line that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = decode(data, Path("some/scan7.x"))
    except ValueError as error:
        assert "scan7.x" in str(error) and "\n" not in str(error), repr(str(error))
        return
    assert got.ndim == 3 and got.shape[2] in (1, 3) and 0 < got.size <= 3 * MAX_PIXELS
    assert got.dtype.name in ("uint8", "uint16", "int16", "int32", "uint32", "float32")
    assert np.isfinite(got.min()) and np.isfinite(got.max())


def test_seeds_are_sound():
    for data in SEEDS:
        assert decode(data, Path("x")).shape[:2] in ((6, 8), (8, 6))


def test_mutated_pictures():
    assert fuzz(check, mutated()) > 100
