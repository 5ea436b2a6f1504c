"""How a volume becomes examples: whole, or cut into slices."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.volumes.orientation import space_at
from msflow_jax.storage.archives import Explained


class NoVolume(Explained):
    """A picture where volumes are read.

    Args:
        path: where it lies.
    """

    def __init__(self, path: Path):
        super().__init__(
            f"{path} is a picture, not a volume, and the model or data set is of volumes (data.dims=3): "
            "name a volume or the folder of a series; pictures need a model trained with data.dims=2"
        )


def cut(item: Item, space: Sequence[int], spacing: Sequence[float], wanted: Wanted) -> list[Item]:
    """A volume as it is, or its slices.

    Raises:
        ValueError: it is one slice of another plane, or slices cannot be chosen; names the file.
    """
    # Of DICOM volumes that stay whole only the headers of slices were looked at.
    known = () if item.kind == "dicom" and wanted.dims == 3 else tuple(space)
    item = dataclasses.replace(item, volume=item.name, spacing=wanted.spacing, space=known)
    if wanted.dims == 3:
        return [item]
    wanted.slices.check_across(space, item.place)  # before voxels are brought to a size in mm
    if wanted.spacing and spacing:  # as ``volumes.geometry.to_spacing`` makes it
        space = space_at(space, spacing, wanted.spacing, str(item.paths[0]))
        spacing = (wanted.spacing,) * 3
    axis = wanted.slices.axis
    return [
        dataclasses.replace(item, name=f"{item.name}/{n:03d}", part=n, number=n, axis=axis)
        for n in wanted.slices.numbers(space, spacing, item.place).tolist()
    ]


def warn_of_slices(found: Sequence[Item], wanted: Wanted) -> None:
    """One line where volumes become slices."""
    cut = [item for item in found if item.part is not None]
    if cut:
        count = len({item.volume for item in cut})
        warnings.warn(
            f"{count} volume{'s' * (count > 1)} read as {len(cut)} {wanted.slices.axis} slices (which, "
            f"data.slices says; data.dims=3 reads volumes whole): {cut[0].volume} for one",
            stacklevel=4,
        )
