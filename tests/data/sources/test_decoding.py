"""Every type, depth and polarity that is read, the value that it becomes, and what is refused."""

import io
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from msflow_jax.data.sources.decoding import MAX_PIXELS, decode, is_deep
from msflow_jax.data.sources.grey.values import extent, scale
from tests.data.sources.picture_bytes import big_endian, packed, png, tiff

RAMP = np.array([0, 36, 72, 109, 145, 182, 218, 255], np.uint8)  # 8 levels, black to white
DEEP = RAMP.astype(np.uint16) * 16  # 12 bits in 16, as scanners export them


def pixels(shape=(8, 8), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def of(values, dtype=None, kind="TIFF"):
    """Pillow's own file of one row."""
    return encoded(Image.fromarray(np.asarray(values, dtype)[None]), kind)


def rgb(values):
    return np.repeat(np.asarray(values)[None, :, None], 3, axis=2)


FOUR = np.arange(16, dtype=np.uint8)  # all values of 4 bits
# What a file holds (its values black to white) -> what decode gives of it, as stored.
TABLE = {
    # depth up to 8 bits: the file states its range, which becomes 0..255
    "1 bit PNG": (png([b"\x55"], 8, depth=1, colour=0), [0, 255] * 4, "uint8"),
    "1 bit PBM": (b"P4 8 1\n\xaa", [0, 255] * 4, "uint8"),
    "1 bit TIFF": (tiff(RAMP[None], bits=1, packed=b"\x55"), [0, 255] * 4, "uint8"),
    "1 bit TIFF, white is 0": (
        tiff(RAMP[None], bits=1, packed=b"\xaa", photometric=0), [0, 255] * 4, "uint8",
    ),
    "2 bits PNG": (png([packed([0, 1, 2, 3], 2)], 4, depth=2, colour=0), [0, 85, 170, 255], "uint8"),
    "2 bits TIFF, white is 0": (
        tiff(RAMP[None, :4], bits=2, packed=packed([3, 2, 1, 0], 2), photometric=0),
        [0, 85, 170, 255], "uint8",
    ),
    "4 bits PNG": (png([packed(FOUR, 4)], 16, depth=4, colour=0), FOUR * 17, "uint8"),
    "4 bits TIFF": (tiff(FOUR[None], bits=4, packed=packed(FOUR, 4)), FOUR * 17, "uint8"),
    "8 bits PNG": (of(RAMP, kind="PNG"), RAMP, "uint8"),
    "8 bits BMP": (of(RAMP, kind="BMP"), RAMP, "uint8"),
    "8 bits WebP": (encoded(Image.fromarray(rgb(RAMP)), "WEBP", lossless=True), RAMP, "uint8"),
    "8 bits PGM": (b"P5 8 1 255\n" + RAMP.tobytes(), RAMP, "uint8"),
    "PGM to 15": (b"P5 16 1 15\n" + FOUR.tobytes(), FOUR * 17, "uint8"),
    "8 bits TIFF": (of(RAMP), RAMP, "uint8"),
    "8 bits TIFF, white is 0": (tiff(255 - RAMP[None], photometric=0), RAMP, "uint8"),
    "8 bits TIFF, signed": (
        tiff((RAMP[None].astype(np.int16) - 128).astype(np.int8)), RAMP.astype(int) - 128, "int16",
    ),
    # deeper ones: as stored
    "16 bits PNG": (of(DEEP, kind="PNG"), DEEP, "uint16"),
    "16 bits PGM": (b"P5 8 1 65535\n" + big_endian(DEEP), DEEP, "int32"),
    "PGM to 4080": (b"P5 8 1 4080\n" + big_endian(DEEP), RAMP.astype(int) * 257, "int32"),
    "12 bits TIFF": (
        tiff(DEEP[None], bits=12, packed=packed(DEEP, 12)), DEEP, "uint16",
    ),
    "16 bits TIFF": (of(DEEP), DEEP, "uint16"),
    "16 bits TIFF, big-endian": (tiff(DEEP[None], endian=">"), DEEP, "uint16"),
    "16 bits TIFF, LZW": (
        encoded(Image.fromarray(DEEP[None]), "TIFF", compression="tiff_lzw"), DEEP, "uint16",
    ),
    "16 bits TIFF, white is 0": (
        tiff(4080 - DEEP[None], photometric=0), 65535 - 4080 + DEEP, "uint16",
    ),
    "16 bits TIFF, signed": (
        tiff(DEEP[None].astype(np.int16) - 1024), DEEP.astype(int) - 1024, "int32",
    ),
    "16 bits TIFF, signed, big-endian": (
        tiff(DEEP[None].astype(np.int16) - 1024, endian=">"), DEEP.astype(int) - 1024, "int32",
    ),
    "32 bits TIFF, signed": (tiff(DEEP[None].astype(np.int32) - 4080), DEEP.astype(int) - 4080, "int32"),
    "32 bits TIFF, unsigned": (
        tiff(DEEP[None].astype(np.uint32) << 20), DEEP.astype(np.int64) << 20, "uint32",
    ),
    "float TIFF": (of(RAMP / 255, np.float32), (RAMP / 255).astype(np.float32), "float32"),
    "float TIFF, big-endian": (
        tiff((DEEP[None] - 99.5).astype(np.float32), endian=">"), DEEP - 99.5, "float32",
    ),
    "float TIFF, white is 0": (
        tiff((4080 - DEEP[None]).astype(np.float32), photometric=0),
        DEEP.astype(float) - 4080, "float32",
    ),
    "PFM": (b"Pf\n8 1\n-1.0\n" + DEEP.astype("<f4").tobytes(), DEEP, "float32"),
    # colour
    "16 bits RGB PNG": (png([big_endian(rgb(DEEP))], 8, depth=16, colour=2), rgb(DEEP), "uint16"),
    "16 bits RGB TIFF": (tiff(rgb(DEEP), photometric=2), rgb(DEEP), "uint16"),
    "16 bits RGB TIFF, big-endian": (tiff(rgb(DEEP), photometric=2, endian=">"), rgb(DEEP), "uint16"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLE)
def test_table_of_types_ranges_and_polarities(tmp_path, kind):
    data, expected, dtype = TABLE[kind]
    path = tmp_path / "picture.x"  # the content decides, not the suffix
    path.write_bytes(data)
    got = decode(data, path)
    assert got.dtype == dtype
    expected = np.asarray(expected)
    if "WebP" in kind:  # which knows colour only
        got = got[..., :1]
    np.testing.assert_array_equal(got if expected.ndim == 3 else got[0, :, 0], expected)
    assert is_deep(path) == (dtype != "uint8")
    if dtype != "uint8":  # by their own range all are the same ramp
        low, high = extent(got, "")[1:3]
        shown = scale(got, (low, high), "")
        np.testing.assert_array_equal(shown[0, :, 0], RAMP)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png([big_endian(np.repeat(DEEP, 2))], 8, depth=16, colour=4), "more than 8 bits"),
        (b"P6 8 1 4095\n" + big_endian(rgb(DEEP)), "more than 8 bits"),
        (tiff(rgb(DEEP), photometric=2, planar=2), "deep.x"),
        (of([0.0, np.nan], np.float32), "not finite"),
        (of([0.0, np.inf], np.float32), "not finite"),
        (tiff(RAMP[None].astype(np.float64)), "cannot be read|cannot be decoded|not an image"),
    ],
)
def test_what_cannot_be_read_truly_is_refused(tmp_path, data, words):
    with pytest.raises(ValueError, match=words) as caught:
        decode(data, tmp_path / "deep.x")
    assert "deep.x" in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGBA", 3), ("CMYK", 3)]
)
def test_modes(tmp_path, mode, channels):
    image = Image.fromarray(pixels((8, 8, 3))).convert(mode)
    got = decode(encoded(image, "TIFF" if mode == "CMYK" else "PNG"), tmp_path)
    assert got.shape == (8, 8, channels)
    assert got.dtype == np.uint8


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3)])
def test_lossless_kinds(tmp_path, kind, shape):
    array = pixels(shape)
    got = decode(encoded(Image.fromarray(array), kind), tmp_path)
    np.testing.assert_array_equal(got, array.reshape(8, 6, -1))


def test_several_pictures_are_refused(tmp_path):
    pages = [Image.fromarray(pixels(seed=i)) for i in range(2)]
    body = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"stack\.tif holds 2 pictures"):
        decode(body, tmp_path / "stack.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("array", [pixels((4, 6)), pixels((4, 6)).astype(np.uint16) * 99])
def test_camera_orientation(tmp_path, orientation, array):
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
    image = Image.fromarray(array)
    upright = image if back is None else image.transpose(Image.Transpose(back))
    for kind in ("PNG", "TIFF"):
        got = decode(encoded(image, kind, exif=exif), tmp_path)
        np.testing.assert_array_equal(got[..., 0], np.asarray(upright))


def test_broken_exif_of_a_sound_picture(tmp_path):
    """``XResolution`` -72/1 as an unsigned fraction ended runs with struct.error."""
    entries = struct.pack(">HHII", 0x0112, 3, 1, 6 << 16) + struct.pack(">HHII", 0x011A, 10, 1, 38)
    exif = (
        b"Exif\0\0MM\0*"
        + struct.pack(">IH", 8, 2)
        + entries
        + bytes(4)
        + struct.pack(">ii", -72, 1)
    )
    array = pixels((8, 16))
    body = encoded(Image.fromarray(array), "JPEG", exif=exif, quality=100)
    got = decode(body, tmp_path)
    assert got.shape == (16, 8, 1)
    plain = decode(encoded(Image.fromarray(array), "JPEG", quality=100), tmp_path)
    np.testing.assert_array_equal(got[..., 0], np.rot90(plain[..., 0], -1))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_cut_files_are_named(tmp_path, share, kind):
    body = encoded(Image.fromarray(pixels((32, 32, 3))), kind)
    with pytest.raises(ValueError, match=r"scan7\.x"):
        decode(body[: int(share * len(body))], tmp_path / "scan7.x")


@pytest.mark.parametrize("side", [10_000, 40_000])
def test_a_picture_above_the_limit_is_not_decoded(tmp_path, side):
    body = png([b""], side, depth=16, colour=0)
    huge = body[:20] + struct.pack(">I", side) + body[24:]
    header = huge[12:29]
    huge = huge[:29] + struct.pack(">I", zlib.crc32(header)) + huge[33:]
    with pytest.raises(
        ValueError, match=rf"huge\.png has .*{side * side:,} pixels.*{MAX_PIXELS:,}"
    ):
        decode(huge, tmp_path / "huge.png")


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n",
        b'/* XPM */\nstatic char *a[] = {\n"1 1 1 1",\n"a c #000000",\n"a"\n};\n',
        encoded(Image.fromarray(pixels()), "TGA"),
        encoded(Image.fromarray(pixels()), "PCX"),
        encoded(Image.fromarray(pixels((8, 8, 3))), "PDF"),
        encoded(Image.fromarray(pixels()), "EPS"),
    ],
)
def test_no_reader_but_those_of_the_list_is_started(tmp_path, data, monkeypatch):
    """Of Pillow's more than 40 readers, that of EPS starts Ghostscript."""
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: pytest.fail("a program started"))
    for suffix, remedy in (("png", "copy it again$"), ("eps", "save it as PNG$")):
        with pytest.raises(ValueError, match=rf"a\.{suffix} is not an image .*holds .*{remedy}"):
            decode(data, tmp_path / f"a.{suffix}")


def test_pictures_are_opened_in_one_place():
    """A second place would have to list the formats again."""
    from tests.conftest import ROOT

    for folder in ("msflow_jax", "experiments", "tools", "configs", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            if "Image.open(" in path.read_text().replace("formats=FORMATS", ""):
                opened = [line for line in path.read_text().splitlines() if "Image.open(" in line]
                assert all("formats=FORMATS" in line for line in opened), path


@pytest.mark.parametrize(
    ("name", "content", "held"),
    [
        ("a.jp2", encoded(Image.fromarray(pixels()), "JPEG2000"), "a JPEG 2000 image"),
        ("a.png", encoded(Image.fromarray(pixels()), "JPEG2000"), "a JPEG 2000 image"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIF image"),
    ],
)
def test_pictures_of_formats_that_are_not_read_say_which(tmp_path, name, content, held):
    path = tmp_path / name
    path.write_bytes(content)
    words = rf"{name} is not an image .*it holds {held}.; remove it or save it as PNG$"
    with pytest.raises(ValueError, match=words):
        decode(content, path)
    with pytest.raises(ValueError, match=words):
        is_deep(path)
