"""Single DICOM slices, which are turned before a model sees them: what lies over them turned back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.dicom.reading import read_header
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.reading import upright

Back = Callable[[np.ndarray], np.ndarray]


def to_stored(item: Item, spacing: tuple[float, ...]) -> tuple[Back, tuple[float, ...]]:
    """From a picture ``[H, W, ...]`` as it was read to the rows and columns of its file.

    A slice alone is read as its series would be cut (:func:`reading.upright`), which turns that of a
    patient who lies prone, say. Programs that read the file alone do not.

    Args:
        item: what was read.
        spacing: size of its pixels as it was read.

    Returns:
        The map, and the size of the pixels there.
    """
    header = read_header(item.paths[0]) if item.kind == "dicom" and item.part is None else None
    if header is None or header.frames > 1 or header.plane is None or not header.placed:
        return lambda values: values, spacing
    shape = header.rows, header.columns
    stored = np.arange(header.rows * header.columns).reshape(*shape, 1)
    order = np.argsort(upright(Picture(stored, header.plane.affine())).values, axis=None)

    def back(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, *values.shape[2:])[order].reshape(*shape, *values.shape[2:])

    return back, header.plane.spacing or spacing
