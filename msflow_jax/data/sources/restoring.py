"""Images for a segmentation, and maps of them brought back onto the grid of their files."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
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
from msflow_jax.data.sources.grey.levels import to_grey
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.images import read_archive, read_items
from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.reading import read_item
from msflow_jax.data.sources.restored import Restore, Restored, located, nearest_pixels, shown_part
from msflow_jax.data.sources.sliced import SlicedVolume, files_at, grids_of, read_volumes
from msflow_jax.data.sources.turned import to_stored
from msflow_jax.data.sources.volumes.geometry import resample_to
from msflow_jax.data.sources.volumes.orientation import voxel_size
from msflow_jax.storage.places import expand, split_archive

Bring = Callable[[np.ndarray, bool], Picture]  # values, and whether they are classes


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
    if archive := split_archive(str(path)):
        sound, stored = read_archive(*archive, info, resize)
        refuse_broken(sound.errors)
        space = stored.shape[1:-1] if info.dims == 3 else ()
        found = [
            Segmentable(name, slice(i, i + 1), _of_array(Picture(image), name, info), space)
            for i, (name, image) in enumerate(zip(sound.names, stored, strict=True))
        ]
        return sound.images, tuple(found)
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


def _of_array(picture: Picture, name: str, info: Info) -> Restore:
    """An image of an array, which may have been brought to the model's size."""

    def restore(maps: np.ndarray, unsure: np.ndarray) -> Restored:
        grey = to_grey(picture, info.intensity(), name)
        if info.dims == 3:
            bring = _onto(picture, picture, name, info)
            whole, uncertainty, unseen = _brought(bring, maps, unsure)
            return Restored(grey, whole.values[..., 0], uncertainty, unseen)
        index, seen = nearest_pixels(picture.space, (), maps.shape[1:], info.fit)
        labels = np.where(seen, maps[0][index], 0).astype(np.uint8)
        return Restored(grey, labels, np.where(seen, unsure[0][index], 1).astype(np.float32), ~seen)

    return restore


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


def _of_slices(volume: SlicedVolume, info: Info) -> Restore:
    def restore(maps: np.ndarray, unsure: np.ndarray) -> Restored:
        return _restored(
            volume.item, info,
            lambda values, nearest: volume.join(values[..., None], nearest=nearest), maps, unsure,
        )  # fmt: skip

    return restore


def _of_volume(item: Item, info: Info) -> Restore:
    def restore(maps: np.ndarray, unsure: np.ndarray) -> Restored:
        return _restored(item, info, _onto(*grids_of(item), item.name, info), maps, unsure)

    return restore


def _onto(stored: Picture, cut: Picture, name: str, info: Info) -> Bring:
    """Brings the one map of a volume, which was cut from one grid, onto another one."""
    stored, cut = located(stored), located(cut)

    def bring(values: np.ndarray, nearest: bool) -> Picture:
        part, step = shown_part(values[0], cut, info)
        affine = cut.affine @ step
        picture = Picture(part[..., None], affine, voxel_size(affine))
        return resample_to(picture, stored, name, name, nearest=nearest)

    return bring


def _restored(
    item: Item,
    info: Info,
    bring: Bring,
    maps: np.ndarray,
    unsure: np.ndarray,
) -> Restored:
    """Maps and uncertainty on the grid of a volume's file."""
    labels, uncertainty, unseen = _brought(bring, maps, unsure)
    stored = read_item(dataclasses.replace(item, spacing=0.0))
    return Restored(
        to_grey(stored, info.intensity(), item.place), labels.values[..., 0], uncertainty, unseen,
        stored.spacing, stored.affine, item.paths[0],
    )  # fmt: skip


def _brought(
    bring: Bring, maps: np.ndarray, unsure: np.ndarray
) -> tuple[Picture, np.ndarray, np.ndarray]:
    """Maps by the nearest voxel, uncertainty linearly, and where the model was shown nothing."""
    labels = bring(maps, True)
    sure = bring(1 - unsure.astype(np.float32), False)
    unseen = np.zeros(labels.space, bool) if labels.missing is None else labels.missing
    uncertainty = np.where(unseen, 1, np.clip(1 - sure.values[..., 0], 0, 1)).astype(np.float32)
    return labels, uncertainty, unseen
