"""Pictures of any size and channel count to the square ones that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.data.base import FITS, Info
from msflow_jax.data.sources.volumes.fitting import bring_volume


def convert_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Converts uint8 images ``[N, S, S, C]`` to ``channels``: grey repeated, or ITU-R 601 luma of RGB.

    ``channels`` 0 leaves them as they are.

    Raises:
        ValueError: where ``channels`` is not 0, 1 or 3.
    """
    if channels not in (0, 1, 3):
        raise ValueError(f"channels={channels}: only 1 (grey), 3 (RGB) and 0 (as stored)")
    if channels in (0, images.shape[-1]):
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    luma = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(luma).astype(np.uint8)[..., None]


def bring(
    image: np.ndarray, side: int, channels: int, fit: str, spacing: Sequence[float] = ()
) -> np.ndarray:
    """Brings a picture or volume to a side and a channel count; one that has them stays as it is.

    Args:
        image: uint8 ``[H, W, C]`` or ``[D, H, W, C]``.
        side: size along each axis of space.
        channels: 1, 3, or 0: as they are.
        fit: what happens to one that is no square or cube, see :func:`to_square`.
        spacing: size of a volume's voxels, see ``volumes.fitting.place``.

    Returns:
        uint8 ``[side, side, C]`` or ``[side, side, side, C]``.
    """
    colour = fill(image)
    converted = [convert_channels(part[None], channels)[0] for part in (image, colour[None, None])]
    filling = converted[1].reshape(-1)
    if image.ndim == 4:
        return bring_volume(converted[0], (side,) * 3, fit, spacing=spacing, colour=filling)
    return to_square(converted[0], side, fit, filling)


def fill(image: np.ndarray) -> np.ndarray:
    """The colour to pad a picture or volume with, uint8 ``[C]``.

    Grey pictures, of one channel or of three equal ones, are padded with black, as X-rays and slices of
    CT and MR are; colour pictures with the median colour of their edge.
    """
    if image.shape[-1] == 1 or (
        (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
    ):
        return np.zeros(image.shape[-1], np.uint8)
    ends = (np.take(image, (0, -1), axis) for axis in range(image.ndim - 1))
    edge = np.concatenate([part.reshape(-1, image.shape[-1]) for part in ends])
    return np.median(edge, axis=0).astype(np.uint8)


def to_square(
    image: np.ndarray, side: int, fit: str, colour: np.ndarray | int = 0, *, nearest: bool = False
) -> np.ndarray:
    """Resizes uint8 ``[H, W, C]`` to ``[side, side, C]``, bilinear, with antialiasing when shrinking.

    Args:
        image: picture to resize.
        side: rows and columns.
        fit: of a picture that is not square, ``pad``: the longer side is scaled to ``side``, the rest is
            filled up on both ends; ``crop``: the shorter side is scaled to ``side``, and the ends of the
            longer one are lost; ``stretch``: each side is scaled by its own factor.
        colour: what is filled up with, ``[C]`` or one value.
        nearest: of a map of classes: each pixel is the nearest one's class.

    Raises:
        ValueError: another ``fit``.
    """
    from PIL import Image

    if fit not in FITS:
        raise ValueError(f"fit={fit!r}: choose one of {', '.join(FITS)}")
    height, width, channels = image.shape
    if (height, width) == (side, side):
        return image
    box, size = (0.0, 0.0, float(width), float(height)), (side, side)
    if fit == "crop":
        edge = min(height, width)
        top, left = (height - edge) / 2, (width - edge) / 2
        box = (left, top, left + edge, top + edge)
    elif fit == "pad":
        longer = max(height, width)
        size = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    scaled = np.asarray(picture.resize(size, _filter(nearest), box=box))
    if size == (side, side):
        return scaled.reshape(side, side, channels)
    square = np.empty((side, side, channels), np.uint8)
    square[:] = colour
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = scaled.reshape(size[1], size[0], channels)
    return square


def _filter(nearest: bool) -> Any:
    from PIL import Image

    return Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR


def square_pixels(
    image: np.ndarray, pixel: Sequence[float], *, nearest: bool = False
) -> np.ndarray:
    """A picture whose pixels are not square, with square ones of the lesser size.

    Args:
        image: uint8 ``[H, W, C]``.
        pixel: distance of rows and of columns in mm; empty if not known, which leaves it as it is.
        nearest: see :func:`to_square`.

    Returns:
        uint8 ``[H', W', C]``, bilinear; the same array where both differ by less than 1 %.
    """
    from PIL import Image

    height, width = square_size(image.shape[:2], pixel)
    if (height, width) == image.shape[:2]:
        return image
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    scaled = np.asarray(picture.resize((width, height), _filter(nearest)))
    return scaled.reshape(height, width, image.shape[-1])


def square_size(space: Sequence[int], pixel: Sequence[float]) -> tuple[int, ...]:
    """Rows and columns of a picture once its pixels are square, see :func:`square_pixels`."""
    if len(pixel) != 2 or abs(pixel[0] / pixel[1] - 1) < 0.01:
        return tuple(space)
    return tuple(max(1, round(n * mm / min(pixel))) for n, mm in zip(space, pixel, strict=True))


def fit_to_model(image: np.ndarray, name: str, info: Info, change: bool) -> np.ndarray:
    """Brings uint8 ``[H, W, C]`` to the side and channels of ``info``, or refuses it by name.

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
    return bring(image, side, info.channels, info.fit)


def fit_to_first(
    image: np.ndarray,
    name: str,
    first: tuple[int, ...] | None,
    side: int,
    channels: int,
    fit: str,
) -> np.ndarray:
    """Fits an image to the requested side and channels; those that are 0 must be the first image's.

    Args:
        image: uint8 ``[H, W, C]``.
        name: file of the image, for errors.
        first: shape of the first image, or None if this is it.
        side: rows and columns, or 0: the first's, which must be square.
        channels: 1, 3, or 0: the first's.
        fit: what happens to one that is not square, see :func:`to_square`.

    Raises:
        ValueError: if it has another shape than the first, where none is requested.
    """
    if not channels and first is not None and image.shape[-1] != first[-1]:
        raise ValueError(
            f"{name} has {image.shape[-1]} channel(s), the images before it {first[-1]}; "
            "--config.data.channels=1 makes all grey, --config.data.channels=3 all RGB"
        )
    height, width = image.shape[:2]
    expected = (height, height) if first is None else first[:2]
    if not side and (height, width) != expected:
        raise ValueError(
            f"{name} is {height} x {width}, expected {expected[0]} x {expected[1]} (square, and all of "
            "one size); --config.data.side=64 resizes, --config.data.fit=pad, crop or stretch says how"
        )
    return bring(image, side or height, channels, fit)
