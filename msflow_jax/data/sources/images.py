"""Reads what is to be classified: a file, a folder or an .npz to uint8 ``[N, *space, C]``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msflow_jax.data.base import Info
from msflow_jax.data.intensity import FULL
from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import NO_SLICE
from msflow_jax.data.sources.arrays import check_layout, key_of, stored_array
from msflow_jax.data.sources.examples import list_items
from msflow_jax.data.sources.finding import SUFFIXES, find_images, in_words, warn_of_left_out
from msflow_jax.data.sources.grey.choice import Notes
from msflow_jax.data.sources.grey.levels import Oddities, to_grey
from msflow_jax.data.sources.grey.values import by_volume, refuse_all, refuse_broken
from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.nifti.reading import split_volume
from msflow_jax.data.sources.npz_headers import npz_layouts
from msflow_jax.data.sources.piling import Pile
from msflow_jax.data.sources.reading import Reader
from msflow_jax.data.sources.shaping import shape_to_model, tell_changed
from msflow_jax.data.sources.unsized import Unsized, spacing_on_grid
from msflow_jax.progress import track
from msflow_jax.storage.places import expand, split_archive

_TABLES = (".csv", ".tsv", ".xlsx", ".ods")


@dataclass(frozen=True)
class Sound:
    """Images that can be read, and what is known of them.

    Attributes:
        images: uint8 ``[N, *space, C]``; where they are many, a map of a file that can only be read.
        items: what each is.
        broken: the error of each other one by its name.
        errors: the same, of slices of one volume that have one fault a single line.
        spacings: size in mm of each one's voxels as they lie in ``images``; empty where not known.
    """

    images: np.ndarray
    items: tuple[Item, ...]
    broken: dict[str, str]
    errors: tuple[str, ...] = ()
    spacings: tuple[tuple[float, ...], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What tables call them."""
        return tuple(item.name for item in self.items)

    @property
    def series(self) -> tuple[str, ...]:
        """The volume or series that each is a slice of; empty of what is none."""
        return tuple(item.volume if item.number != NO_SLICE else "" for item in self.items)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whom each shows, as a salted hash; empty where its file does not say."""
        return tuple(item.group for item in self.items)


def read_images(
    path: str | Path, info: Info, *, resize: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads images to be classified by a model that was trained on data with these facts.

    Args:
        path: an image or volume file; a folder (searched at any depth; DICOM files of one series are one
            volume); ``FILE.nii.gz#3`` for one volume of a NIfTI file of four axes; an .npz with the key
            ``images``; or ``FILE.npz:test`` for its key ``test_images``.
        info: facts of the training data: the side, the channels and the map of values to fit to, and how
            volumes were cut.
        resize: whether images of another side or channel count are fitted to ``info``'s (by its ``fit``,
            grey repeated or RGB turned grey) or refused.

    Returns:
        uint8 images ``[N, *space, C]``, and N names: paths relative to the folder (of a slice with its
            number), or ``key/index``.

    Raises:
        FileNotFoundError: if there is nothing at ``path``, or no image in the folder.
        ValueError: for unreadable files, or ones of another size, channel count or range of values;
            counts them, and names some of each reason.
    """
    found = read_sized_images(path, info, resize=resize)
    return found.images, found.names


def read_sized_images(path: str | Path, info: Info, *, resize: bool = False) -> Sound:
    """As :func:`read_images`, which says what is raised, with what is known of each image."""
    found = read_sound_images(path, info, resize=resize)
    refuse_broken(found.errors)
    return found


def read_sound_images(path: str | Path, info: Info, *, resize: bool = False) -> Sound:
    """As :func:`read_images`, but what cannot be read is returned instead of raised.

    Returns:
        Those that can be read, and the error of each other one by its name.

    Raises:
        FileNotFoundError: as :func:`read_images`.
        ValueError: if none can be read (``values.NoneSound``, which has the errors), or the archive
            cannot.
    """
    if archive := split_archive(str(path)):
        return read_archive(*archive, info, resize)[0]
    path = expand(path)
    file, _ = split_volume(str(path))
    if path.is_dir():
        (files, left), root = find_images(path), path
        if not files:
            others = f" ({in_words(left)})" if left else ""
            raise FileNotFoundError(
                f"no image in {path}{others}; read are: {', '.join(sorted(SUFFIXES))}"
            )
        warn_of_left_out(path, left)
    elif path.is_file() and path.suffix.lower() in _TABLES:
        raise ValueError(
            f"{path} is a table, of images to train on or, with labels, to evaluate: what is classified "
            "is an image or volume file, a folder of them, or an .npz"
        )
    elif path.is_file() or Path(file).is_file():
        files, root = [path], path.parent
    else:
        raise FileNotFoundError(f"no image, folder or .npz at {path}")
    names = [file.relative_to(root).as_posix() for file in files]
    items, broken = list_items(files, names, Wanted.as_trained(info))
    return read_items(items, broken, info, resize)


def read_listed(
    files: Sequence[Path], names: Sequence[str], info: Info, *, resize: bool = False,
    named: bool = False,
) -> tuple[Sound, list[int]]:  # fmt: skip
    """Reads image files in their order, as :func:`read_images` does, and which file each is of.

    ``named`` says whether a list says whom they show, as of ``list_items``.
    """
    items, broken = list_items(files, names, Wanted.as_trained(info), named=named)
    refuse_broken(broken.values())
    found = read_items(items, {}, info, resize)
    refuse_broken(found.errors)
    return found, [item.given for item in items]


def read_items(items: Sequence[Item], broken: dict[str, str], info: Info, resize: bool) -> Sound:
    """Reads examples in their order; ``broken`` has the errors of those that are not among them."""
    read, notes = Reader(), Notes()

    def reader(item: Item) -> Callable[[], Picture]:
        def call() -> Picture:
            picture = read(item)
            notes.look_at(picture, item)
            return picture

        return call

    pictures = (reader(item) for item in track(items, "Reading images"))
    found = _collect(items, [item.place for item in items], pictures, info, resize, broken)
    notes.warn()
    _warn_of_planes(found.items, info)
    return found


def _warn_of_planes(items: Sequence[Item], info: Info) -> None:
    """A line where a model of slices is given single ones of another plane, or localisers."""
    if "slices" not in info.volumes:
        return
    axis = Wanted.as_trained(info).slices.axis
    others = [item for item in items if item.lies not in ("", axis)]
    if others:
        warnings.warn(
            f"{len(others)} of {len(items)} pictures are no {axis} slices, as those trained on are: "
            f"{others[0].place} ({others[0].lies}) for one; leave them out, what is said of them means "
            "nothing",
            stacklevel=4,
        )


def _collect(
    items: Sequence[Item], places: Iterable[str], pictures: Iterable[Callable[[], Picture]],
    info: Info, change: bool, broken: dict[str, str],
) -> Sound:  # fmt: skip
    """Scales and fits pictures; ``places`` are their names in errors."""
    images, sound, spacings = Pile(), [], []
    slices: dict[str, tuple[str, str]] = {}
    broken, shapes = dict(broken), dict[str, tuple[int, ...]]()
    oddities, unsized = Oddities(intensity := info.intensity()), Unsized(info)
    for item, place, read in zip(items, places, pictures, strict=True):
        try:
            picture = read()
            grey = to_grey(picture, intensity, place)
            images.add(shape_to_model(grey, picture.proportions, place, info, change))
        except ValueError as error:
            broken[item.name] = str(error)
            if item.volume:
                slices[item.name] = item.volume, place
            continue
        sound.append(item)
        spacings.append(spacing_on_grid(picture.space, picture.spacing, info))
        shapes[item.name] = grey.shape
        oddities.look(picture, item.name, item.volume)
        unsized.look(picture.space, picture.spacing, place, item.kind == "picture")
    errors = by_volume(broken, slices)
    if not len(images):
        refuse_all(errors, broken)
    oddities.warn()
    unsized.warn()
    tell_changed(shapes, info)
    return Sound(images.array(), tuple(sound), broken, tuple(errors), tuple(spacings))


def read_archive(path: Path, split: str, info: Info, resize: bool) -> tuple[Sound, np.ndarray]:
    """Images of an archive as :func:`read_sound_images` gives them, and as they are stored there.

    Arguments as of ``arrays.stored_array`` and :func:`read_images`, which say what is raised.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no .npz file at {path}")
    key = key_of(split)
    place = f"{path}: {key}"
    for layout in npz_layouts(path, [key]).values():
        shape = check_layout(layout, place, info.dims)
        if not resize:  # what will be refused is not read
            shape_to_model(np.broadcast_to(np.uint8(0), shape), (), place, info, resize)
    images = stored_array(path, split, info)
    if (images.dtype == np.uint8) != (info.intensity() == FULL):
        to_grey(Picture(images.reshape(1, -1, 1)), info.intensity(), place)  # refused as a whole
    items = [Item(f"{split or 'images'}/{i:05d}", (path,)) for i in range(len(images))]
    places = (f"{place}[{i}]" for i in range(len(images)))
    return _collect(items, places, (_value(image) for image in images), info, resize, {}), images


def _value(image: np.ndarray) -> Callable[[], Picture]:
    return lambda: Picture(image)
