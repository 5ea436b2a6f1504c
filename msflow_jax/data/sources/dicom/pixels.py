"""The stored values of a DICOM object: decoded, colours as RGB, with their limits looked at first."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.data.sources.decoding import MAX_BYTES, check_pixels
from msflow_jax.data.sources.dicom.headers import get, meta, number
from msflow_jax.storage.archives import Explained

if TYPE_CHECKING:
    from pydicom import Dataset

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# Where a frame says its size, and whether columns come first: JPEG and JPEG-LS (of 1 or 3 colours),
# JPEG 2000 (without an offset).
_SIZES = (
    (re.compile(rb"\xff[\xc0-\xc3\xf7]\x00[\x0b\x11].(..)(..)", re.S), False),
    (re.compile(rb"\xff\x4f\xff\x51....(....)(....)\x00{8}", re.S), True),
)
_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")  # JPEG, process 14


def size(found: Dataset, path: Path) -> tuple[int, int, int, int]:
    """Frames, rows, columns and colours of an object.

    Raises:
        ValueError: one that is missing, no number, or more than is read.
    """
    counts = [
        number(found, keyword, path, default)
        for keyword, default in
        # an object of one picture need not say so
        (("NumberOfFrames", 1), ("Rows", None), ("Columns", None), ("SamplesPerPixel", 1))
    ]
    keys = ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel")
    for key, count in zip(keys, counts, strict=True):
        if count is None or count < 1 or count != int(count):
            raise Explained(f"{path} is damaged: its {key} is missing or no number above 0")
    frames, rows, columns, colours = (int(count or 0) for count in counts)
    check_pixels(rows * columns, path, f"{rows} x {columns}, ")
    bits = number(found, "BitsAllocated", path, 32) or 0
    whole = int(frames * rows * columns * colours * max(bits, 8)) // 8
    if whole > MAX_BYTES:
        raise Explained(
            f"{path} has {frames} pictures of {rows} x {columns}, {whole:,} bytes, above the limit of "
            f"{MAX_BYTES:,}: shrink it or cut it into parts"
        )
    return frames, rows, columns, colours


def pixels(found: Dataset, path: Path) -> tuple[np.ndarray, str]:
    """Decodes the pixels: grey ones as stored, colours as RGB.

    Returns:
        ``[F, H, W, C]``, native byte order, and what to tell of it, or "".

    Raises:
        ValueError: a compression that is not read or damaged; names ``path`` and the remedy.
    """
    frames, rows, columns, colours = size(found, path)
    kind = str(get(found, "PhotometricInterpretation") or "").strip()
    if kind not in (*_COLOURS, "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"):
        raise Explained(f"{path} has pixels of a kind that is not read (PhotometricInterpretation)")
    if colours != (3 if kind in _COLOURS else 1):
        raise Explained(f"{path} is damaged: {kind} with SamplesPerPixel {colours}")
    syntax, note = _syntax(found, path)
    decoder = _decoder(syntax, path)
    if syntax.is_encapsulated:
        _check_streams(get(found, "PixelData"), rows, columns, path)
    array = _decoded(found, decoder, syntax, path)
    array = array.reshape(frames, rows, columns, -1)
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    return (_looked_up(array, found, path) if kind == "PALETTE COLOR" else array), note


def _syntax(found: Dataset, path: Path) -> tuple[Any, str]:
    """The transfer syntax; where the file does not say, the one by which its header could be read."""
    from pydicom import uid

    if given := meta(found, "TransferSyntaxUID"):
        return given, ""
    implicit, little = found.original_encoding
    plain = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    syntax = plain if little else uid.ExplicitVRBigEndian
    if not hasattr(found, "file_meta"):
        raise Explained(f"{path} is damaged: its header is not understood")
    found.file_meta.TransferSyntaxUID = syntax
    return syntax, "does not say how it is compressed: read as not compressed"


def _decoded(found: Dataset, decoder: Any, syntax: Any, path: Path) -> np.ndarray:
    """What the first decoder makes of it that can."""
    # gdcm ends the whole process where a file is damaged: it is used where there is nothing else.
    names = list(decoder.available_plugins) if syntax.is_encapsulated else [""]
    reason = ""
    for name in names if len(names) == 1 else [n for n in names if n != "gdcm"]:
        try:
            return decoder.as_array(found, decoding_plugin=name, allow_excess_frames=False)[0]
        except Exception as error:  # of pixels, not of a header: nothing in it is of a patient
            reason = " ".join(str(error).split()).split(" - ")[0].rstrip(".")
    if get(found, "BitsStored") == 12 and syntax == "1.2.840.10008.1.2.4.51":
        reason = "JPEG of 12 bits: save it uncompressed"
    elif "all available plugins" in reason:
        reason = f"{syntax.name}, damaged or of a kind that no decoder here reads"
    lacking = " ".join(decoder.missing_dependencies) if syntax.is_encapsulated else ""
    more = "openjpeg" in lacking or "pyjpegls" in lacking
    hint = "; for more decoders pip install 'msflow_jax[medical]'" if more else ""
    raise Explained(f"{path} cannot be decoded ({reason[:200]}){hint}")


def _check_streams(data: bytes, rows: int, columns: int, path: Path) -> None:
    """Refuses compressed pictures that say to be larger than the header, before they are allocated."""
    for pattern, turned in _SIZES:
        for found in pattern.finditer(data):
            sides = [int.from_bytes(part, "big") for part in found.groups()]
            high, wide = reversed(sides) if turned else sides
            if high > rows or wide > columns:
                raise Explained(
                    f"{path} is damaged: its pixels are {high} x {wide}, its header says "
                    f"{rows} x {columns}"
                )


@cache
def _decoder_of(syntax: Any) -> Any:
    from pydicom.pixels import get_decoder

    return get_decoder(syntax)


def _decoder(syntax: Any, path: Path) -> Any:
    name = "an unknown transfer syntax" if syntax.name == str(syntax) else syntax.name
    try:
        decoder = _decoder_of(syntax)
    except NotImplementedError:
        raise Explained(
            f"{path} is stored as {name}, which is not read: save it uncompressed"
        ) from None
    if not decoder.is_available:
        extra = "gdcm" if syntax in _LOSSLESS else "medical"
        raise Explained(
            f"{path} is compressed as {name}, and no decoder of it is installed: pip install "
            f"'msflow_jax[{extra}]'"
        )
    return decoder


def _looked_up(array: np.ndarray, found: Dataset, path: Path) -> np.ndarray:
    """Colours of a palette, in 8 bits: of 16, which state their range, the upper ones."""
    from pydicom.pixels import apply_color_lut

    try:
        if not found.original_encoding[1]:  # big endian, which pydicom 3.0 takes for little there
            for colour in ("Red", "Green", "Blue"):
                if (key := f"{colour}PaletteColorLookupTableData") in found:
                    table = np.frombuffer(found[key].value, np.uint16)
                    found[key].value = table.byteswap().tobytes()
        colours = apply_color_lut(array[..., 0], found)
    except Exception:
        raise Explained(f"{path} is damaged: its palette cannot be read") from None
    if colours.dtype == np.uint8 or colours.max(initial=0) < 256:  # 8 bits that are called 16
        return colours.astype(np.uint8)
    return (colours >> 8).astype(np.uint8)
