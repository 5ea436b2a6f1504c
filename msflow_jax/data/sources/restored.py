"""Where a picture or volume lies in the grid that a model was shown of it, and maps of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msflow_jax.data.base import Info
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.fitting import square_size
from msflow_jax.data.sources.shaping import lies_there
from msflow_jax.data.sources.volumes.fitting import place
from msflow_jax.data.sources.volumes.orientation import centred_affine


@dataclass(frozen=True)
class Restored:
    """Maps on the grid of a file.

    Attributes:
        grey: the image there, uint8 ``[*space, C]``.
        maps: class numbers, uint8 ``[*space]``.
        uncertainty: in [0, 1], float32 ``[*space]``.
        unseen: bool ``[*space]``: what the model was not shown (cut off); class 0, uncertainty 1.
        spacing: size of a pixel or voxel in mm along each axis; empty where not known.
        affine: of a volume, as of a ``Picture``: None where its file does not say; else None.
        file: its file; None of an array.
    """

    grey: np.ndarray
    maps: np.ndarray
    uncertainty: np.ndarray
    unseen: np.ndarray
    spacing: tuple[float, ...] = ()
    affine: np.ndarray | None = None
    file: Path | None = None


Restore = Callable[[np.ndarray, np.ndarray], Restored]


def nearest_pixels(
    space: Sequence[int], spacing: Sequence[float], grid: Sequence[int], fit: str
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """For every pixel of a picture the nearest one of the square that a model was shown of it.

    Args:
        space: rows and columns of the picture.
        spacing: size of its pixels in mm; empty if not known.
        grid: rows and columns of the square.
        fit: how the picture came to it, see ``fitting.to_square``.

    Returns:
        Indices into the square, one array for each axis, as numpy takes them; and where the picture was
        in the square at all, bool ``[*space]``.
    """
    square = square_size(space, spacing)
    placing = place(square, grid, fit)
    index, seen = [], []
    for axis, (old, new) in enumerate(zip(space, grid, strict=True)):
        low, high, size = placing.low[axis], placing.high[axis], placing.size[axis]
        middle = (np.arange(old) + 0.5) * square[axis] / old
        at = np.floor((middle - low) / (high - low) * size).astype(int)
        seen.append((at >= 0) & (at < size))
        index.append((new - size) // 2 + at.clip(0, size - 1))
    return np.ix_(*index), np.logical_and.outer(*seen)


def located(picture: Picture) -> Picture:
    """A volume that lies somewhere: straight about the origin where its file does not say."""
    if picture.affine is not None:
        return picture
    return dataclasses.replace(picture, affine=centred_affine(picture.space, picture.spacing))


def shown_part(values: np.ndarray, cut: Picture, info: Info) -> tuple[np.ndarray, np.ndarray]:
    """What a model's grid shows of a volume, and the affine from its index to the volume's."""
    step = np.eye(4)
    if lies_there(cut.space, cut.spacing, info):
        return values, step
    taken = []
    if info.volumes.get("spacing"):  # cut and padded about the middle, see ``shaping.centred``
        for axis, (old, new) in enumerate(zip(cut.space, info.sides, strict=True)):
            size = min(old, new)
            taken.append(slice((new - size) // 2, (new - size) // 2 + size))
            step[axis, 3] = (old - size) // 2
        return values[tuple(taken)], step
    placing = place(cut.space, info.sides, info.fit, cut.spacing)
    for axis, (size, new) in enumerate(zip(placing.size, info.sides, strict=True)):
        taken.append(slice((new - size) // 2, (new - size) // 2 + size))
        scale = (placing.high[axis] - placing.low[axis]) / size
        step[axis, axis], step[axis, 3] = scale, placing.low[axis] + scale / 2 - 0.5
    return values[tuple(taken)], step
