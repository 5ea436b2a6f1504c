"""Volumes for a model of slices: cut as it was trained, and what it makes of them put back in place."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msflow_jax.data.base import Info
from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import AXES, Slices
from msflow_jax.data.sources.examples import list_items
from msflow_jax.data.sources.finding import PLAIN, find_images, suffix_of
from msflow_jax.data.sources.fitting import square_size
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.images import read_items
from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.nifti.reading import split_volume
from msflow_jax.data.sources.reading import cut, read_item
from msflow_jax.data.sources.restored import located
from msflow_jax.data.sources.volumes.fitting import place
from msflow_jax.data.sources.volumes.geometry import resample_to
from msflow_jax.data.sources.volumes.orientation import voxel_size
from msflow_jax.progress import track
from msflow_jax.storage.places import expand, split_archive


@dataclass(frozen=True)
class SlicedVolume:
    """All slices of a volume as a model reads them, and where the volume lies.

    Attributes:
        item: the volume, which has the name of its file or series.
        slices: uint8 ``[N, S, S, C]``.
        axis: along which they were cut, one of ``AXES``.
        stored: the grid of the file, without affine where that is not known; its values are not kept.
        cut: the grid that the slices were cut from: that of the file, or of the voxels trained on.
        fit: how slices came to their side.
    """

    item: Item
    slices: np.ndarray
    axis: str
    stored: Picture
    cut: Picture
    fit: str

    @property
    def name(self) -> str:
        """Of its file, or of its series."""
        return self.item.name

    @property
    def file(self) -> Path | None:
        """The NIfTI file that it is, whose order of axes files of its maps have; None of a series."""
        return self.item.paths[0] if self.item.kind == "nifti" else None

    def join(self, images: np.ndarray, *, nearest: bool = False) -> Picture:
        """One image for each slice as a volume on the grid of the file.

        Slices of the model's own size are stacked, value by value; others are brought back by where
        they lie, linearly. What a slice lost when it was cut to a square is 0, and ``missing`` of the
        picture says where. Its affine and spacing are those of the file, or not known.

        Args:
            images: ``[N, S, S, C]``.
            nearest: of maps of classes: each voxel is the nearest one's class.

        Raises:
            ValueError: another number of images than of slices.
        """
        across = AXES[self.axis]
        if len(images) != (count := self.cut.space[across]):
            raise ValueError(f"{self.name}: {len(images)} images of {count} slices")
        inside = [axis for axis in range(3) if axis != across]
        old = [self.cut.space[axis] for axis in inside]
        sizes = cut(self.cut, self.axis, 0).proportions
        # As ``fitting.square_pixels`` and ``fitting.to_square`` brought them there.
        square = square_size(old, sizes)
        placing = place(square, images.shape[1:3], self.fit)
        starts = [(n - m) // 2 for n, m in zip(images.shape[1:3], placing.size, strict=True)]
        rows, columns = (slice(a, a + n) for a, n in zip(starts, placing.size, strict=True))
        stacked = Slices(self.axis).stack(images[:, rows, columns])
        step = np.eye(4)
        for k, axis in enumerate(inside):
            whole = old[k] / square[k]
            size = (placing.high[k] - placing.low[k]) / placing.size[k]
            step[axis, axis] = size * whole
            step[axis, 3] = (placing.low[k] + size / 2) * whole - 0.5
        affine = located(self.cut).affine @ step  # type: ignore[operator]
        drawn = Picture(stacked, affine, voxel_size(affine))
        found = resample_to(drawn, located(self.stored), self.name, self.name, nearest=nearest)
        if found.missing is not None:
            found.values[found.missing] = 0
        if self.stored.affine is None:
            return dataclasses.replace(found, affine=None, spacing=self.stored.spacing)
        return found


def read_volumes(
    path: str | Path, info: Info, slices: Slices, *, resize: bool = False
) -> tuple[SlicedVolume, ...]:
    """Reads volumes slice by slice for a model of slices; none where there are only pictures.

    All slices along the axis are read, also those that training left out, with a warning.

    Args:
        path: a file, or a folder, as :func:`msflow_jax.data.read_images` takes it.
        info: facts of the training data.
        slices: which slices the model was trained on.
        resize: whether slices of another size are brought to the model's.

    Raises:
        ValueError: unreadable files, or ones of another size, channel count or range of values; or one
            slice of another plane than those trained on.
    """
    wanted = dataclasses.replace(Wanted.as_trained(info), dims=3)
    files, names = files_at(path)
    if all(suffix_of(file) in PLAIN for file in files):
        return ()
    items, broken = list_items(files, names, wanted)
    if not items:
        return ()
    refuse_broken(broken.values())
    grids = [grids_of(item) for item in track(items, "Looking at volumes")]
    refuse_broken(_across(items, grids, slices))
    counts = [cut.space[AXES[slices.axis]] for _, cut in grids]
    parts = [
        dataclasses.replace(
            item, name=f"{item.name}/{n:03d}", part=n, number=n, axis=slices.axis, volume=item.name
        )
        for item, count in zip(items, counts, strict=True)
        for n in range(count)
    ]
    found = read_items(parts, {}, info, resize)
    refuse_broken(found.errors)
    if (slices.first, slices.last) != (0, 1):
        warnings.warn(
            f"all {slices.axis} slices are drawn, and those outside of {slices.first:g} to "
            f"{slices.last:g} of the axis were never trained on (data.slices): look at them with care",
            stacklevel=2,
        )
    ends = np.cumsum(counts)
    return tuple(
        SlicedVolume(item, found.images[end - count : end], slices.axis, *grid, info.fit)
        for item, grid, count, end in zip(items, grids, counts, ends, strict=True)
    )


def _across(
    items: Sequence[Item], grids: Sequence[tuple[Picture, Picture]], slices: Slices
) -> list[str]:
    """What is said of each volume that is one slice of another plane."""
    found = []
    for item, (stored, _) in zip(items, grids, strict=True):
        try:
            slices.check_across(stored.space, item.place)
        except ValueError as error:
            found.append(str(error))
    return found


def files_at(path: str | Path) -> tuple[list[Path], list[str]]:
    """The files that may be volumes, and their names; none of an archive, or where nothing is."""
    if split_archive(str(path)):
        return [], []
    path = expand(path)
    if path.is_dir():
        files, _ = find_images(path)
        return files, [file.relative_to(path).as_posix() for file in files]
    there = path.is_file() or Path(split_volume(str(path))[0]).is_file()
    return ([path], [path.name]) if there else ([], [])


def grids_of(item: Item) -> tuple[Picture, Picture]:
    """The grid of a volume as stored, and as its slices are cut; without values."""
    stored = read_item(dataclasses.replace(item, spacing=0.0))
    wanted = read_item(item) if item.spacing else stored
    return tuple(  # type: ignore[return-value]
        Picture(
            np.broadcast_to(np.uint8(0), one.values.shape),
            one.affine,
            one.spacing,
            aspect=one.aspect,
        )
        for one in (stored, wanted)
    )
