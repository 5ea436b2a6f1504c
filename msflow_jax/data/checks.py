"""What arrays of images must look like, said before anything is computed."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from msflow_jax.storage.content import OfArrays

ROUNDING = 1e-4  # that float images may lie outside their range
_DIM = 16  # of 255: uint8 images of which none reaches it were likely floats


def check_shape(images: jax.Array, shape: tuple[int, ...]) -> None:
    """Raises a ValueError unless the arrays are floats ``[B, *shape]``."""
    wanted = f"floats [B, {', '.join(map(str, shape))}]"
    if images.shape[1:] != shape:
        raise ValueError(f"images must be {wanted}, got {images.shape}{layout_hint(images, shape)}")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"images must be {wanted} in [-1, 1], got {images.dtype}: of uint8 give x / 127.5 - 1"
        )


def check_range(images: jax.Array) -> None:
    """Raises a ValueError where images leave [-1, 1]; inside ``jit`` their values are not known."""
    if isinstance(images, jax.core.Tracer) or not images.size:
        return
    values = np.asarray(images)
    refuse_outside(float(values.min()), float(values.max()))


def refuse_outside(low: float, high: float, name: str = "images") -> None:
    """Raises a ValueError where the least or the largest value of images leaves [-1, 1]."""
    if not (-1 - ROUNDING <= low <= high <= 1 + ROUNDING):
        hint = ": of 0..255 give x / 127.5 - 1" if low >= 0 else ""
        if not np.isfinite((low, high)).all():
            hint = ": fill in first what is NaN or infinite"
        raise ValueError(f"{_floats(name)} must lie in [-1, 1], got {low:g} to {high:g}{hint}")


def _floats(name: str) -> str:
    return "float images" if name == "images" else f"{name}: float images"


def refuse_masked(array: Any, name: str = "images") -> None:
    """Raises a ValueError for a masked array: numbers under a mask would be taken as they are."""
    parts = array if isinstance(array, list | tuple) else [array]
    if any(np.ma.is_masked(part) for part in parts):
        raise ValueError(
            f"{name} are a masked array, and what is masked has a value all the same: fill it first: "
            "images.filled(value)"
        )


def layout_hint(images: Any, shape: tuple[int, ...]) -> str:
    """What to do about images ``[B, C, *space]``, in words; empty for any others."""
    first = tuple(images.shape[1:]) == (shape[-1], *shape[:-1])
    return ": the channels come last here, transpose them" if first else ""


def check_labels(labels: Any, classes: int) -> None:
    """Refuses labels that are no class numbers; inside ``jit`` their values are not known.

    An index out of range would be taken for the nearest class without a word.

    Raises:
        ValueError: labels of another type than an integer's, or outside 0..classes - 1.
    """
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels must be class numbers, got {labels.dtype} {labels.shape}")
    if not isinstance(labels, jax.core.Tracer):
        values = np.asarray(labels)  # operations of jax would be traced
        low, high = values.min(initial=0), values.max(initial=0)
        if low < 0 or high >= classes:
            raise ValueError(f"labels must lie in 0..{classes - 1}, got {low}..{high}")


def check_images(images: Any, shape: tuple[int, ...], name: str = "images") -> np.ndarray:
    """Images ``[N, *shape]``: uint8 0..255, or floats in [-1, 1]. Warns of uint8 that is nearly black.

    Args:
        images: array; the last axis may be missing where it has one entry.
        shape: ``(*space, C)``.
        name: what they are called in errors.

    Returns:
        uint8, or float32.

    Raises:
        ValueError: another type, shape or range, or floats that are not finite or lie in [0, 1], which
            is what other libraries call normalised and here would be bright images without dark parts; a
            masked array.
    """
    refuse_masked(images, name)
    expected = f"uint8 [N, {', '.join(map(str, shape))}], or floats of that shape in [-1, 1]"
    try:
        images = np.asarray(images)
    except ValueError as error:  # arrays of different shapes in a list
        raise ValueError(f"{name} must be {expected}, all of one size: {error}") from error
    if images.shape[1:] == shape[:-1] and shape[-1] == 1:
        images = images[..., None]
    if images.shape[1:] != shape or not len(images):
        hint = layout_hint(images, shape)
        raise ValueError(f"{name} must be {expected}, got {images.dtype} {images.shape}{hint}")
    if images.dtype == np.uint8:
        if all(image.max() < _DIM for image in images):
            warnings.warn(
                f"{name} are uint8 0..255, and none of {len(images)} has a value above {images.max()}: "
                "they look nearly black; of floats in [0, 1] give 2 x - 1",
                OfArrays,
                stacklevel=4,
            )
        return images
    if not jnp.issubdtype(images.dtype, jnp.floating):  # bfloat16 is none for numpy
        raise ValueError(
            f"{name} must be {expected}, got {images.dtype}: scale them to 0..255 and make them uint8"
        )
    low, high = float(images.min()), float(images.max())
    refuse_outside(low, high, name)
    if low >= -ROUNDING:
        raise ValueError(
            f"{_floats(name)} lie in [-1, 1] here, and these go from {low:g} to {high:g}, which looks "
            "like [0, 1]: give 2 x - 1, or uint8"
        )
    return images.astype(np.float32).clip(-1, 1)


def check_tokens(rows: Any, length: int, size: int, name: str = "tokens") -> np.ndarray:
    """Rows of token numbers, int32 ``[N, length]``.

    Args:
        rows: whole numbers in ``0..size - 1``, as the model's tokeniser makes them.
        length: numbers in a row.
        size: how many numbers the tokeniser has.
        name: what they are called in errors.

    Raises:
        ValueError: another type or shape, or a number that the tokeniser has not.
    """
    refuse_masked(rows, name)
    found = np.asarray(rows)
    expected = (
        f"{name} must be int32 [N, {length}], as flow.parts.tokeniser.encode(texts) makes them"
    )
    if (
        found.dtype.kind not in "iu"
        or found.ndim != 2
        or found.shape[1] != length
        or not len(found)
    ):
        raise ValueError(f"{expected}, got {found.dtype} {list(found.shape)}")
    low, high = int(found.min()), int(found.max())
    if low < 0 or high >= size:
        raise ValueError(f"{expected}, of numbers in 0..{size - 1}, got {low} to {high}")
    return found.astype(np.int32)
