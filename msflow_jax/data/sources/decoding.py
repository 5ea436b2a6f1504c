"""Bytes of a picture to an array, as it is stored, or one line that says what is wrong.

Only the formats of ``FORMATS`` are opened, and which one it is the content decides: of Pillow's other
readers some start programs. The size is read from the header before anything is allocated.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.storage.archives import Explained
from msflow_jax.storage.content import FOREIGN, describe_content, describe_file

if TYPE_CHECKING:
    from PIL import Image

_TEXTS = (".csv", ".tsv", ".txt", ".json", ".xml")  # not to be saved as a picture
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
MAX_PIXELS = 89_478_485  # where Pillow begins to warn of decompression bombs
MAX_BYTES = 1 << 30  # of a file; what so many pixels take with 16 bits and four colours
_DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_DEEP_COLOUR = re.compile(r"RGB[AX]?;16[BLN]")  # of which the most significant bytes come first
# Numbers of tags of TIFF and EXIF.
_BITS, _PHOTOMETRIC, _ORIENTATION, _PLANAR, _SAMPLE_FORMAT = 258, 262, 274, 284, 339


def decode(data: bytes, path: Path) -> np.ndarray:
    """Decodes one picture, with black below white and upright as the camera noted.

    Grey stays grey; every other mode becomes RGB: palettes are looked up, transparency is dropped. TIFF
    pictures stored with white as 0 are inverted.

    Args:
        data: content of the file.
        path: where it came from, for errors.

    Returns:
        ``[H, W, 1]`` or ``[H, W, 3]``: uint8 of pictures that state their range (1 to 8 bits), else the
        values as stored, uint16, int16, int32, uint32 or float32, which only ``grey.values`` can read.

    Raises:
        ValueError: if the bytes are no readable image of one picture; names ``path``.
    """
    with opened(io.BytesIO(data), path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # MPO: a camera's JPEG with its preview
            raise Explained(f"{path} holds {frames} pictures; save each as a file of its own")
        return values_of(image, data, path)


def values_of(image: Image.Image, data: bytes, path: Path) -> np.ndarray:
    """The values of a picture that is :func:`opened`, of several pages those of the one it is at.

    Returns, raises and takes the other arguments as :func:`decode`.
    """
    page = image.tell()
    deep_colour = _is_deep_colour(image)
    image.load()  # a TIFF is turned upright here, any other below
    if image.mode in _DEEP_GREY:
        pixels = _deep_grey(image, path)
    elif deep_colour:
        pixels = _deep_colours(image, data, path, page)
    else:
        pixels = _plain(image)
    return _upright(pixels, image.getexif().get(_ORIENTATION, 1))


def is_turned(image: Image.Image) -> bool:
    """Whether EXIF says that a picture is shown otherwise than its pixels are stored."""
    return image.getexif().get(_ORIENTATION, 1) not in (0, 1)


def encode(image: np.ndarray) -> bytes:
    """The bytes of a PNG: uint8 ``[H, W, 1]`` or ``[H, W, 3]``; :func:`decode` gives it back."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(out, "PNG")
    return out.getvalue()


def read_file(path: Path) -> bytes:
    """The content of a picture's file.

    Raises:
        ValueError: if it cannot be read, or is longer than any picture that is decoded.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(
                f"{path} has {size:,} bytes, above the limit of {MAX_BYTES:,}: shrink it"
            )
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from error


def is_deep(path: Path) -> bool:
    """Whether a picture has more than 8 bits for each value; only its header is read.

    Raises:
        ValueError: as :func:`decode`, where the header shows it.
    """
    with opened(path, path) as image:
        signed = image.format == "TIFF" and _first(image, _SAMPLE_FORMAT, 1) == 2
        return image.mode in _DEEP_GREY or _is_deep_colour(image) or signed


@contextmanager
def opened(source: Path | io.BytesIO, path: Path) -> Iterator[Image.Image]:
    """A picture of which the header is read; whatever goes wrong with it is a line with its name."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source, formats=FORMATS) as image:
            check_pixels(image.width * image.height, path, f"{image.width} x {image.height}, ")
            yield image
    except Explained:
        raise
    except UnidentifiedImageError as error:
        held = source.getvalue()[:4096] if isinstance(source, io.BytesIO) else None
        kind = describe_file(path) if held is None else describe_content(held)
        raise ValueError(
            f"{path} is not an image that can be read (it holds {kind}); remove it{_again(path, kind)}"
        ) from error
    except Image.DecompressionBombError as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        check_pixels(int(found[1]) if found else MAX_PIXELS + 1, path)
    except Exception as error:  # whatever a damaged file raises in Pillow, struct.error too
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be decoded ({reason}); remove it{_again(path)}") from error


def _again(path: Path, kind: str = "") -> str:
    if path.suffix.lower() == ".png" and not kind.endswith(FOREIGN):  # whatever its name
        return " or copy it again"
    return "" if path.suffix.lower() in _TEXTS else " or save it as PNG"


def check_pixels(count: int, path: Path | str, shape: str = "") -> None:
    """Refuses a picture of more pixels than are decoded; ``shape`` is for the message."""
    if count > MAX_PIXELS:
        raise Explained(
            f"{path} has {shape}{count:,} pixels, above the limit of {MAX_PIXELS:,}: shrink it or "
            "cut it into parts"
        )


def _first(image: Image.Image, tag: int, default: int) -> int:
    """The first value of a TIFF's tag."""
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return value[0] if isinstance(value, tuple) else value


def _plain(image: Image.Image) -> np.ndarray:
    """A picture whose values Pillow holds in 8 bits."""
    if image.mode not in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("RGB"))
    pixels = np.asarray(image.convert("L"))[..., None]
    if image.format == "TIFF" and _first(image, _SAMPLE_FORMAT, 1) == 2:  # Pillow takes no sign
        return pixels.view(np.int8).astype(np.int16)
    return pixels


def _deep_grey(image: Image.Image, path: Path) -> np.ndarray:
    pixels = np.asarray(image)[..., None]
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if image.format == "TIFF":
        if image.mode == "I" and _first(image, _BITS, 0) == 32:
            # Pillow takes unsigned values for signed ones.
            unsigned = _first(image, _SAMPLE_FORMAT, 1) == 1
            pixels = pixels.view(np.uint32) if unsigned else pixels
        if _first(image, _PHOTOMETRIC, 0) == 0:  # white is 0; Pillow inverts 1 to 8 bits, not these
            pixels = np.iinfo(pixels.dtype).max - pixels if pixels.dtype.kind == "u" else -pixels
    if not (np.isfinite(pixels.min()) and np.isfinite(pixels.max())):
        raise Explained(f"{path} holds values that are not finite (NaN or infinite): replace them")
    return pixels


def rawmodes(image: Any) -> list[str]:
    """How the picture's parts are stored, in Pillow's words."""
    given = [(tile[3],) if isinstance(tile[3], str) else tile[3] or () for tile in image.tile]
    return [a for arguments in given for a in arguments if isinstance(a, str)]


def _is_deep_colour(image: Any) -> bool:
    """Whether Pillow would take the upper 8 bits of what is stored with more, from the header."""
    if image.mode in _DEEP_GREY:
        return False
    if image.format == "PPM" and image.mode == "RGB":
        return any(isinstance(a, int) and a > 255 for tile in image.tile for a in tile[3] or ())
    deep_bits = image.format == "TIFF" and _first(image, _BITS, 8) > 8
    return deep_bits or any(re.search(";16[BLN]", mode) for mode in rawmodes(image))


def _deep_colours(image: Image.Image, data: bytes, path: Path, page: int) -> np.ndarray:
    """Colours of 16 bits, of which Pillow reads 8 at a time: the bytes exchanged give the others."""
    from PIL import Image

    high = image
    with Image.open(io.BytesIO(data), formats=FORMATS) as low:
        low.seek(page)
        modes = set(rawmodes(low))
        if (
            len(modes) != 1
            or not _DEEP_COLOUR.fullmatch(mode := modes.pop())
            or _first(low, _PLANAR, 1) != 1
        ):
            raise Explained(
                f"{path} has more than 8 bits for each colour, stored in a way that is not read: save "
                "it as an RGB PNG of 8 or 16 bits, or grey"
            )
        # Read with the other order of bytes, what was the least significant comes first.
        other = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}[mode[-1]]
        swapped = mode[:-1] + other
        low.tile = [_with_rawmode(tile, mode, swapped) for tile in low.tile]
        parts = [np.asarray(part)[..., :3].astype(np.uint16) for part in (high, low)]
    return (parts[0] << 8) | parts[1]


def _with_rawmode(tile: Any, old: str, new: str) -> Any:
    """One of Pillow's tiles (a plain tuple in its older versions) with another way of storing."""
    arguments = tile[3]
    exchanged = (
        new if isinstance(arguments, str) else tuple(new if a == old else a for a in arguments)
    )
    parts = (*tile[:3], exchanged)
    return type(tile)(*parts) if hasattr(tile, "_fields") else parts


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns ``[H, W, C]`` as EXIF's orientation says, without the rest of EXIF, which may be broken."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }
    turn = turns.get(orientation)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))
