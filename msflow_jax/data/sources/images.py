"""Reads images from a file, a folder or an .npz to uint8 ``[N, S, S, C]``, or says what is wrong."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msflow_jax.data.base import Info, convert_channels
from msflow_jax.data.sources.archives import read_npz
from msflow_jax.progress import track
from msflow_jax.storage.places import expand

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm", ".pnm")
)
DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def find_images(folder: Path) -> list[Path]:
    """Lists the image files under ``folder``, at any depth, by suffix; hidden ones are left out."""
    found = (
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    return [p for p in found if not any(q.startswith(".") for q in p.relative_to(folder).parts)]


def decode(data: bytes, path: Path) -> np.ndarray:
    """Decodes one image to uint8 ``[H, W, 1]`` or ``[H, W, 3]``.

    Grey stays grey (16 bits are scaled to 8 by 1/257), every other mode becomes RGB: palettes are
    looked up, transparency is dropped. The orientation noted by cameras is applied.

    Raises:
        ValueError: if the bytes are no readable image of one picture; names ``path``.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # MPO: a camera's JPEG with its preview
                raise ValueError(f"{path} holds {frames} pictures; save each as a file of its own")
            return _pixels(ImageOps.exif_transpose(image), path)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is not an image that can be read; remove it or save it as PNG"
        ) from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be decoded ({error}); remove it or save it again as PNG"
        ) from error


def _pixels(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in DEEP_GREY:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(
                f"{path} has grey values from {values.min()} to {values.max()}, outside 16 bits; "
                "scale it to 8 or 16 bits"
            )
        return np.rint(values / 257).astype(np.uint8)[..., None]
    if image.mode == "F":
        raise ValueError(f"{path} holds floating-point values; scale it to 8 or 16 bits")
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def to_square(image: np.ndarray, side: int) -> np.ndarray:
    """Resizes and crops uint8 ``[H, W, C]`` to ``[side, side, C]``.

    The shorter side is scaled to ``side`` (bilinear, with antialiasing when shrinking), then the
    middle is cut out: nothing is stretched, and the ends of the longer side are lost.
    """
    from PIL import Image

    height, width, channels = image.shape
    if (height, width) == (side, side):
        return image
    edge = min(height, width)
    top, left = (height - edge) / 2, (width - edge) / 2
    box = (left, top, left + edge, top + edge)
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    scaled = picture.resize((side, side), Image.Resampling.BILINEAR, box=box)
    return np.asarray(scaled).reshape(side, side, channels)


def read_images(
    path: str | Path, info: Info, *, resize: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads images to be classified by a model that was trained on data with these facts.

    Args:
        path: an image file; a folder (searched at any depth); an .npz with the key ``images``; or
            ``FILE.npz:test`` for its key ``test_images``.
        info: facts of the training data: the side and the channels to fit to.
        resize: whether images of another side or channel count are fitted to ``info``'s (shorter
            side scaled, middle cut out, grey repeated or RGB turned grey) or refused.

    Returns:
        uint8 images ``[N, S, S, C]``, and N names: paths relative to the folder, or ``key/index``.

    Raises:
        FileNotFoundError: if there is nothing at ``path``, or no image in the folder.
        ValueError: for an unreadable file, or one of another size or channel count.
    """
    archive = re.fullmatch(r"(.*\.npz)(?::(\w+))?", str(path))
    if archive:
        return _read_archive(expand(archive[1]), archive[2], info, resize)
    path = expand(path)
    if path.is_dir():
        files, root = find_images(path), path
        if not files:
            raise FileNotFoundError(f"no image in {path}; read are: {', '.join(sorted(SUFFIXES))}")
    elif path.is_file():
        files, root = [path], path.parent
    else:
        raise FileNotFoundError(f"no image, folder or .npz at {path}")
    images = [
        fit(decode(file.read_bytes(), file), str(file), info, resize)
        for file in track(files, "Reading images")
    ]
    return np.stack(images), tuple(f.relative_to(root).as_posix() for f in files)


def fit(image: np.ndarray, name: str, info: Info, change: bool) -> np.ndarray:
    """Fits uint8 ``[H, W, C]`` to the side and channels of ``info``, or refuses it by name.

    Raises:
        ValueError: if it has another side or channel count and ``change`` is False.
    """
    height, width, channels = image.shape
    side = info.side
    if (height, width) != (side, side) and not change:
        raise ValueError(
            f"{name} is {height} x {width}, the model reads {side} x {side} images; "
            "--resize brings it there"
        )
    if channels != info.channels and not change:
        raise ValueError(
            f"{name} has {channels} channel(s), the model reads {info.channels}; "
            "--resize converts it as well"
        )
    return convert_channels(to_square(image, side)[None], info.channels)[0]


def _read_archive(
    path: Path, split: str | None, info: Info, change: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    if not path.is_file():
        raise FileNotFoundError(f"no .npz file at {path}")
    key = f"{split}_images" if split else "images"
    hint = "name a split as FILE.npz:test, or fetch the file again"
    images = read_npz(path, [key], hint)[key]
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"{path}: {key} is {images.dtype} {images.shape}, expected uint8 [N, S, S], "
            "[N, S, S, 1] or [N, S, S, 3]"
        )
    if not len(images):
        raise ValueError(f"{path}: {key} holds no image")
    fitted = [fit(image, f"{path}: {key}", info, change) for image in images]
    return np.stack(fitted), tuple(f"{split or 'images'}/{i:05d}" for i in range(len(images)))
