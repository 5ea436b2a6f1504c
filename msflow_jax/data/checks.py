"""What arrays of images must look like, said before anything is computed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ROUNDING = 1e-4  # that float images may lie outside their range


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


def refuse_outside(low: float, high: float) -> None:
    """Raises a ValueError where the least or the largest value of images leaves [-1, 1]."""
    if not (-1 - ROUNDING <= low <= high <= 1 + ROUNDING):
        hint = ": of 0..255 give x / 127.5 - 1" if low >= 0 else ""
        raise ValueError(f"float images must lie in [-1, 1], got {low:g} to {high:g}{hint}")


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


def check_images(images: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Images ``[N, *shape]``: uint8 0..255, or floats in [-1, 1].

    Args:
        images: array; the last axis may be missing where it has one entry.
        shape: ``(*space, C)``.

    Raises:
        ValueError: another type, shape or range, or floats that are not finite or lie in [0, 1], which
            is what other libraries call normalised and here would be bright images without dark parts.
    """
    images = np.asarray(images)
    expected = f"uint8 [N, {', '.join(map(str, shape))}], or floats of that shape in [-1, 1]"
    if images.shape[1:] == shape[:-1] and shape[-1] == 1:
        images = images[..., None]
    if images.shape[1:] != shape or not len(images):
        hint = layout_hint(images, shape)
        raise ValueError(f"images must be {expected}, got {images.dtype} {images.shape}{hint}")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"images must be {expected}, got {images.dtype}: scale them to 0..255 and make them uint8"
        )
    low, high = float(images.min()), float(images.max())
    refuse_outside(low, high)
    if low >= -ROUNDING:
        raise ValueError(
            f"float images lie in [-1, 1] here, and these go from {low:g} to {high:g}, which looks like "
            "[0, 1]: give 2 x - 1, or uint8"
        )
    return images.astype(np.float32).clip(-1, 1)
