"""What a coupling flow needs beside its parameters: a foreground mask, if its layout uses one.

The workdir keeps it as ``mask.png``; of a volume the slices stand below one another in it.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data import Info, LazySplit, Split, some
from msflow_jax.data.base import digest
from msflow_jax.data.sources.decoding import decode, encode, opened
from msflow_jax.data.sources.fitting import to_square
from msflow_jax.data.sources.masks.reading import refuse_lossy
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.places import expand
from msflow_jax.training.fitted import Fit, Fitted

FILE = "mask.png"
WORD = "foreground"  # of the layout
_MEASURED = 1000  # training images that the mask is measured on at most
_VOXELS = 1 << 22  # of the volumes that something is measured on at most
_INSIDE = 0.1  # of the brightest: where the mean training image counts as foreground


@dataclass(frozen=True)
class CouplingParts:
    """The foreground mask of a coupling flow; empty where its layout has none.

    Attributes:
        foreground: ``[*space]`` bool: what is True is seen first.
    """

    foreground: np.ndarray | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def fitted(self, folder: Path) -> Fitted:
        """See :class:`msflow_jax.families.Parts`."""
        if self.foreground is None:
            return {}
        found = digest(str(self.foreground.shape).encode(), np.packbits(self.foreground).data)
        return {"model.foreground": {"": Fit(found, str(folder / FILE))}}

    def save(self, folder: Path) -> None:
        """Writes the mask into a workdir."""
        if self.foreground is None:
            return
        rows = self.foreground.reshape(-1, self.foreground.shape[-1], 1)
        write_atomically(folder / FILE, encode(np.where(rows, 255, 0).astype(np.uint8)))


def prepare(config: ConfigDict, info: Info, train: Split | LazySplit) -> CouplingParts:
    """From the user's file, else where the mean training image is not dark.

    Images without a dark background are parted at the median of their mean.

    Args:
        config: part ``model`` of a configuration.
        info: what the data are; a mask that is not square is fitted as the images are.
        train: training images.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the mask of a volume is of another shape, or one that is a JPEG, which has other
            values than 0 in the background.
    """
    if not needs_mask(config):
        if config.foreground:
            warnings.warn(
                f"model.foreground={config.foreground!r} has no effect: no step of model.layout is "
                f"named {WORD}",
                stacklevel=2,
            )
        return CouplingParts()
    if config.foreground:
        path = expand(config.foreground)
        if not path.is_file():
            raise FileNotFoundError(f"no mask {path}: correct model.foreground")
        return CouplingParts(_read(path, info.sides, info.fit))
    mean = some(train, few_enough(_MEASURED, info.shape)).images.mean(axis=(0, -1))
    inside = mean > _INSIDE * mean.max()
    return CouplingParts(mean > np.median(mean) if inside.all() else inside)


def load(config: ConfigDict, sides: tuple[int, ...], folder: Path) -> CouplingParts:
    """The mask of a workdir whose images have these sides.

    Raises:
        FileNotFoundError: the mask is missing.
        ValueError: the mask of a volume is of another shape.
    """
    if not needs_mask(config):
        return CouplingParts()
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"no mask {path}: restore it from a copy")
    return CouplingParts(_read(path, sides, "crop"))  # of that shape already


def needs_mask(config: ConfigDict) -> bool:
    """Whether the layout has steps with the foreground mask."""
    return WORD in config.layout


def few_enough(count: int, shape: tuple[int, ...]) -> int:
    """``count`` images of a shape ``(*space, C)``; of volumes no more than the memory has room for."""
    if len(shape) < 4:
        return count
    return max(1, min(count, _VOXELS // math.prod(shape)))


def _read(path: Path, sides: tuple[int, ...], fit: str) -> np.ndarray:
    """A mask of images of these sides; of volumes a NIfTI file, or a picture as the workdir's."""
    from msflow_jax.data.sources.nifti.reading import has_suffix, read_nifti

    nifti, stacked = has_suffix(path), (math.prod(sides[:-1]), sides[-1])
    if not nifti:
        with opened(path, path) as image:
            refuse_lossy(image, path, "save model.foreground as PNG, 0 where it is background")
    inside = (read_nifti(path).values if nifti else decode(path.read_bytes(), path)).max(-1) > 0
    if len(sides) == 2 and not nifti:
        picture = np.where(inside, 255, 0).astype(np.uint8)[..., None]
        return to_square(picture, sides[0], fit)[..., 0] > 127
    if inside.shape != sides and (nifti or inside.shape != stacked):
        raise ValueError(
            f"{path} is {' x '.join(map(str, inside.shape))}: the mask of images of {sides} is a NIfTI "
            f"file on their grid, or a picture of {stacked[0]} x {stacked[1]}, the slices below one "
            "another"
        )
    return inside.reshape(sides)
