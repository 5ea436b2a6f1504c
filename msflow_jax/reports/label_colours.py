"""Colours of the classes of label maps, and images with their maps laid over them."""

import colorsys

import numpy as np

from msflow_jax.reports.figures import as_rgb

# Okabe and Ito's, which colour-blind readers tell apart, without black; the two blues, and the two
# oranges, as far from each other as they can be: over a bright image they are alike.
_COLOURS = (
    (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178),
    (230, 159, 0),
)  # fmt: skip
_OPACITY = 0.55
_GOLDEN = 0.618  # of the circle of hues, from one further colour to the next


def label_colours(classes: int) -> np.ndarray:
    """Colours uint8 ``[K, 3]``: black for class 0, those of Okabe and Ito, then further hues."""
    more = max(0, classes - 1 - len(_COLOURS))
    hues = [colorsys.hsv_to_rgb(i * _GOLDEN % 1, 0.75, 0.9) for i in range(more)]
    further = [tuple(round(255 * one) for one in rgb) for rgb in hues]
    return np.array([(0, 0, 0), *_COLOURS, *further][:classes], np.uint8)


def lay_over(images: np.ndarray, maps: np.ndarray, classes: int) -> np.ndarray:
    """Images with the colours of their classes over them; class 0 stays as it is.

    Args:
        images: uint8 ``[N, *space, C]``.
        maps: class numbers ``[N, *space]``.
        classes: number of classes K.

    Returns:
        uint8 ``[N, *space, 3]``.

    Raises:
        ValueError: maps of another shape than the images.
    """
    if images.shape[:-1] != maps.shape:
        raise ValueError(f"maps {maps.shape} do not lie over images {images.shape}")
    flat = as_rgb(images.reshape(1, 1, -1, images.shape[-1])).reshape(*maps.shape, 3)
    alpha = _OPACITY * (maps > 0)[..., None]
    colours = label_colours(classes)[maps]
    return np.rint((1 - alpha) * flat + alpha * colours).astype(np.uint8)


def as_colours(maps: np.ndarray, classes: int) -> np.ndarray:
    """Maps alone in their colours, ``[N, *space]`` to uint8 ``[N, *space, 3]``."""
    return label_colours(classes)[maps]
