"""Images for a segmentation, and maps of them brought back onto the grid of their files."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msflow_jax.data.base import Info
from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.decoding import is_turned, opened
from msflow_jax.data.sources.examples import list_items
from msflow_jax.data.sources.finding import find_images, warn_of_left_out
from msflow_jax.data.sources.fitting import square_size
from msflow_jax.data.sources.grey.levels import to_grey
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.images import read_images, read_items
from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.reading import read_item
from msflow_jax.data.sources.shaping import lies_there
from msflow_jax.data.sources.sliced import SlicedVolume, files_at, grids_of, read_volumes
from msflow_jax.data.sources.turned import to_stored
from msflow_jax.data.sources.volumes.fitting import place
from msflow_jax.data.sources.volumes.geometry import resample_to
from msflow_jax.data.sources.volumes.orientation import voxel_size
from msflow_jax.storage.places import expand, split_archive


@dataclass(frozen=True)
class Restored:
    """Maps on the grid of a file.

    Attributes:
        grey: the image there, uint8 ``[*space, C]``.
        maps: class numbers, uint8 ``[*space]``.
        uncertainty: in [0, 1], float32 ``[*space]``.
        unseen: bool ``[*space]``: what the model was not shown (cut off); class 0, uncertainty 1.
        spacing: size of a pixel or voxel in mm along each axis; empty where not known.
        affine: of a volume, as of a ``Picture``; else None.
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


@dataclass(frozen=True)
class Segmentable:
    """One picture or volume among images that are segmented.

    Attributes:
        name: what tables call it.
        rows: which of the images are its own: several where it was cut into slices.
        restore: maps ``[n, *space]`` and uncertainty of these images onto its grid.
        space: voxels of a volume's grid along its axes; empty of a picture.
    """

    name: str
    rows: slice
    restore: Restore
    space: tuple[int, ...] = ()


def read_segmentable(
    path: str | Path, info: Info, slices: Slices, *, resize: bool = False
) -> tuple[np.ndarray, tuple[Segmentable, ...]]:
    """Reads pictures or volumes; of a model of slices every slice of the volumes.

    Arguments, and what is raised, as of :func:`msflow_jax.data.read_images` and ``read_volumes``.

    Returns:
        Images uint8 ``[N, *space, C]`` as the model takes them, and what they are of.
    """
    if split_archive(str(path)):
        images, names = read_images(path, info, resize=resize)
        found = [
            Segmentable(name, slice(i, i + 1), _of_array(image))
            for i, (name, image) in enumerate(zip(names, images, strict=True))
        ]
        return images, tuple(found)
    if info.dims == 2 and (volumes := read_volumes(path, info, slices, resize=resize)):
        ends = np.cumsum([len(one.slices) for one in volumes]).tolist()
        found = [
            Segmentable(
                one.name, slice(end - len(one.slices), end), _of_slices(one, info), one.stored.space
            )
            for one, end in zip(volumes, ends, strict=True)
        ]
        return np.concatenate([one.slices for one in volumes]), tuple(found)
    files, called = files_at(path)
    if expand(path).is_dir():
        warn_of_left_out(expand(path), find_images(expand(path))[1])
    items, broken = list_items(files, called, Wanted.as_trained(info))
    if not items:
        refuse_broken(broken.values())
        raise FileNotFoundError(f"no image or volume at {path}")
    sound = read_items(items, broken, info, resize)
    refuse_broken(sound.errors)
    make = _of_volume if info.dims == 3 else _of_picture
    found = [
        Segmentable(item.name, slice(i, i + 1), make(item, info), item.space)
        for i, item in enumerate(sound.items)
    ]
    return sound.images, tuple(found)


def _of_array(image: np.ndarray) -> Restore:
    """An image of an array, which has the model's size."""
    return lambda maps, unsure: Restored(image, maps[0], unsure[0], np.zeros(maps[0].shape, bool))


def _of_picture(item: Item, info: Info) -> Restore:
    def restore(maps: np.ndarray, unsure: np.ndarray) -> Restored:
        picture = read_item(item)
        _warn_if_turned(item.paths[0])
        grey = to_grey(picture, info.intensity(), item.place)
        index, seen = nearest_pixels(picture.space, picture.proportions, maps.shape[1:], info.fit)
        back, spacing = to_stored(item, picture.spacing)
        return Restored(
            back(grey), back(np.where(seen, maps[0][index], 0).astype(np.uint8)),
            back(np.where(seen, unsure[0][index], 1).astype(np.float32)), back(~seen), spacing,
            None, item.paths[0],
        )  # fmt: skip

    return restore


def _warn_if_turned(path: Path) -> None:
    with (
        suppress(ValueError, OSError),
        opened(path, path) as image,
    ):  # DICOM and others have no EXIF
        if is_turned(image):
            warnings.warn(
                f"{path.name} is turned by its EXIF orientation: its mask is of the picture as it is "
                "shown, upright; a program that ignores EXIF sees it turned",
                stacklevel=2,
            )


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


def _of_slices(volume: SlicedVolume, info: Info) -> Restore:
    def restore(maps: np.ndarray, unsure: np.ndarray) -> Restored:
        return _restored(
            volume.item, info,
            lambda values, nearest: volume.join(values[..., None], nearest=nearest), maps, unsure,
        )  # fmt: skip

    return restore


def _of_volume(item: Item, info: Info) -> Restore:
    def restore(maps: np.ndarray, unsure: np.ndarray) -> Restored:
        stored, cut = grids_of(item)

        def bring(values: np.ndarray, nearest: bool) -> Picture:
            part, step = _shown(values[0], cut, info)
            affine = cut.affine @ step
            picture = Picture(part[..., None], affine, voxel_size(affine))
            return resample_to(picture, stored, item.name, item.name, nearest=nearest)

        return _restored(item, info, bring, maps, unsure)

    return restore


def _shown(values: np.ndarray, cut: Picture, info: Info) -> tuple[np.ndarray, np.ndarray]:
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


def _restored(
    item: Item,
    info: Info,
    bring: Callable[[np.ndarray, bool], Picture],
    maps: np.ndarray,
    unsure: np.ndarray,
) -> Restored:
    """Maps by the nearest voxel and uncertainty linearly, on the grid of a volume's file."""
    labels = bring(maps, True)
    sure = bring(1 - unsure.astype(np.float32), False)
    stored = read_item(dataclasses.replace(item, spacing=0.0))
    unseen = np.zeros(labels.space, bool) if labels.missing is None else labels.missing
    uncertainty = np.where(unseen, 1, np.clip(1 - sure.values[..., 0], 0, 1)).astype(np.float32)
    return Restored(
        to_grey(stored, info.intensity(), item.place), labels.values[..., 0], uncertainty, unseen,
        stored.spacing, labels.affine, item.paths[0],
    )  # fmt: skip
