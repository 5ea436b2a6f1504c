"""Masks to the shape of a data set, exactly as their images, by the nearest neighbour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.fitting import square_pixels, square_size, to_square
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.masks.reading import Mask, read_mask
from msflow_jax.data.sources.reading import cut
from msflow_jax.data.sources.shaping import Shaping, centred
from msflow_jax.data.sources.volumes.fitting import bring_volume, place
from msflow_jax.data.sources.volumes.geometry import to_spacing
from msflow_jax.storage.archives import Explained


class MaskReader:
    """Reads the masks of items, of a volume the slice; keeps the last volume.

    Attributes:
        palettes: files whose classes are entries of a palette of colours.
    """

    def __init__(self) -> None:
        self._last: tuple[Path, Mask] | None = None
        self._colours: dict[int, tuple[tuple[int, ...], Path]] = {}
        self.palettes: list[Path] = []

    def __call__(self, item: Item) -> Mask:
        """The mask of an example whose ``paths`` is the file of the mask.

        Raises:
            ValueError: see :func:`read_mask`; or an entry of its palette has another colour than in a
                mask before it.
        """
        path = item.paths[0]
        if self._last is None or self._last[0] != path:
            self._last = path, _brought(read_mask(path), item, path)
            if self._last[1].palette:
                self._compare(self._last[1].palette, path)
                self.palettes.append(path)
        mask = self._last[1]
        if item.part is None:
            return mask
        volume = Picture(mask.values[..., None], mask.affine, mask.spacing)
        one = cut(volume, item.axis, item.part)
        return Mask(one.values[..., 0], None, one.spacing)

    def _compare(self, palette: Mapping[int, tuple[int, ...]], path: Path) -> None:
        for entry, colour in palette.items():
            known, first = self._colours.setdefault(entry, (colour, path))
            if known != colour:
                raise Explained(
                    f"{path}: entry {entry} of its palette is the colour {colour}, in {first} {known}: "
                    "the numbers are not the same classes; save all masks with one palette, or one grey "
                    "value for each class"
                )


def _brought(mask: Mask, item: Item, path: Path) -> Mask:
    """A volume's mask at the voxels that its image is brought to."""
    if not item.spacing or mask.values.ndim < 3:
        return mask
    whole = Picture(mask.values[..., None], mask.affine, mask.spacing)
    found = to_spacing(whole, item.spacing, str(path), nearest=True)
    return Mask(found.values[..., 0], found.affine, found.spacing)


def fit_mask(
    values: np.ndarray, spacing: Sequence[float], shaping: Shaping, dims: int
) -> np.ndarray:
    """A mask in the shape that its image gets, uint8 ``[*space]``; where that is padded, class 0.

    Args:
        values: class numbers, uint8 ``[H, W]`` or ``[D, H, W]``.
        spacing: size of a pixel in mm; empty if not known.
        shaping: how the images come to one shape.
        dims: axes of space of the images.
    """
    side, whole = shaping.side, values[..., None]
    if dims == 2:
        whole = square_pixels(whole, spacing, nearest=True)
        return to_square(whole, side, shaping.fit, nearest=True)[..., 0] if side else whole[..., 0]
    if not side:
        return values
    if not shaping.scaled:
        return centred(whole, (side,) * 3)[..., 0]
    space = (side,) * 3
    return bring_volume(whole, space, shaping.fit, spacing=spacing, nearest=True)[..., 0]


def pixel_size(
    space: Sequence[int], spacing: Sequence[float], fitted: Sequence[int], shaping: Shaping
) -> tuple[float, ...]:
    """Size in mm of the pixels or voxels of a fitted image along each axis; empty if not known."""
    if not spacing or len(space) == 3:
        return shaping.spacing(space, spacing)
    square = square_size(space, spacing)
    mm = [n * size / new for n, size, new in zip(space, spacing, square, strict=True)]
    placing = place(square, fitted, shaping.fit)
    return tuple(a * b for a, b in zip(placing.spacing, mm, strict=True))
