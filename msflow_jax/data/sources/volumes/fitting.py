"""Volumes of any size to the grid that a model reads, as ``fitting.to_square`` does with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from msflow_jax.data.base import FITS

_SAME = 1e-3  # voxels: an axis that is moved by less stays as it is


@dataclass(frozen=True)
class Placing:
    """Where a volume comes to lie in a grid.

    Attributes:
        size: voxels along each axis that it is scaled to, at most those of the grid.
        low: where the part of it begins that is taken, in its own voxels.
        high: where that part ends.
        spacing: size in mm of the grid's voxels; of voxels of 1 mm where theirs is not known.
    """

    size: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    spacing: tuple[float, ...]

    def keeps(self, axis: int, old: int) -> bool:
        """Whether an axis of ``old`` voxels stays as it is."""
        low, high = self.low[axis], self.high[axis]
        return self.size[axis] == old and abs(low) + abs(high - old) < _SAME


def place(
    old: Sequence[int], space: Sequence[int], fit: str, spacing: Sequence[float] = ()
) -> Placing:
    """Where a volume comes to lie in a grid.

    Args:
        old: size of the volume.
        space: size of the grid.
        fit: ``pad``: all of the volume is there, its longest extent fills the grid; ``crop``: the grid
            is filled, what sticks out is lost on both ends; ``stretch``: each axis by its own factor.
        spacing: size of the volume's voxels, of which ``pad`` and ``crop`` make cubes; empty: they are
            taken for cubes.

    Raises:
        ValueError: another ``fit``.
    """
    if fit not in FITS:
        raise ValueError(f"fit={fit!r}: choose one of {', '.join(FITS)}")
    sizes, grid = np.array(tuple(spacing) or (1.0,) * len(old)), np.array(space, np.float64)
    extent, zeros = np.array(old) * sizes, (0.0,) * len(old)  # mm
    if fit == "stretch":
        return Placing(tuple(space), zeros, tuple(map(float, old)), tuple((extent / grid).tolist()))
    scale = np.argmax if fit == "pad" else np.argmin
    axis = scale(extent / grid)  # the one that is scaled to the whole of the grid
    voxel = (float(extent[axis] / grid[axis]),) * len(old)
    if fit == "crop":
        taken = grid * voxel / sizes
        low = (np.array(old) - taken) / 2
        return Placing(tuple(space), tuple(low.tolist()), tuple((low + taken).tolist()), voxel)
    size = np.maximum(1, np.rint(extent * grid[axis] / extent[axis])).astype(int)
    return Placing(tuple(size.tolist()), zeros, tuple(map(float, old)), voxel)


def bring_volume(
    grey: np.ndarray,
    space: Sequence[int],
    fit: str,
    *,
    spacing: Sequence[float] = (),
    colour: np.ndarray | int = 0,
    nearest: bool = False,
) -> np.ndarray:
    """Resizes a volume to a grid, linear, with antialiasing when shrinking.

    Args:
        grey: uint8 ``[D, H, W, C]``.
        space: size of the grid.
        fit: see :func:`place`.
        spacing: see :func:`place`; a volume of cubic voxels that has the size stays as it is.
        colour: what is filled up with, ``[C]`` or one value.
        nearest: of a map of classes: each voxel is the nearest one's class.

    Returns:
        uint8 ``[*space, C]``.

    Raises:
        ValueError: another ``fit``.
    """
    placing = place(grey.shape[:-1], space, fit, spacing)
    values = grey
    for axis, (size, low, high) in enumerate(
        zip(placing.size, placing.low, placing.high, strict=True)
    ):
        old = grey.shape[axis]
        if placing.keeps(axis, old):
            continue
        if nearest:
            at = np.floor(low + (np.arange(size) + 0.5) * (high - low) / size).astype(int)
            values = values.take(at.clip(0, old - 1), axis)
            continue
        weights = _weights(old, size, low, high)
        brought = np.tensordot(weights, values.astype(np.float32, copy=False), (1, axis))
        values = np.moveaxis(brought, 0, axis)
    if values is not grey and not nearest:
        values = np.rint(values).astype(np.uint8, order="C")
    if placing.size == tuple(space):
        return values
    filled = np.empty((*space, grey.shape[-1]), np.uint8)
    filled[:] = colour
    starts = [(whole - size) // 2 for whole, size in zip(space, placing.size, strict=True)]
    filled[tuple(slice(a, a + n) for a, n in zip(starts, placing.size, strict=True))] = values
    return filled


def _weights(old: int, new: int, low: float, high: float) -> np.ndarray:
    """Shares ``[new, old]`` of the old voxels in the new ones: a triangle as wide as the larger of both.

    This is Pillow's bilinear filter, which pictures are resized with. Where a whole number of voxels
    becomes one, they are averaged: as MedMNIST's volumes are brought to a smaller side.
    """
    step = (high - low) / new
    if step > 1 and step.is_integer() and float(low).is_integer():
        cells = (np.arange(old) - low) // step
        return (cells == np.arange(new)[:, None]).astype(np.float32) / np.float32(step)
    middle = low + (np.arange(new) + 0.5) * step
    apart = np.abs(np.arange(old) + 0.5 - middle[:, None]) / max(step, 1.0)
    weights = np.maximum(1 - apart, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
