"""The user's own images: a folder with one sub-folder per class, or a CSV manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import (
    SPLITS,
    LazySplit,
    Split,
    Splits,
    digest,
    own_info,
)
from msflow_jax.data.intensity import FULL, Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.decoding import decode, read_file
from msflow_jax.data.sources.grey.choice import choose, spread, warn_of_slow_slices
from msflow_jax.data.sources.grey.levels import to_grey
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.grey.written import Meaning, meaning
from msflow_jax.data.sources.items import Contents, Item, Wanted
from msflow_jax.data.sources.listings.folders import Listing, list_folder
from msflow_jax.data.sources.listings.looked import Looked
from msflow_jax.data.sources.listings.manifest import list_manifest
from msflow_jax.data.sources.reading import Reader
from msflow_jax.data.sources.shaping import Shaping
from msflow_jax.progress import track


def load_folder(config: ConfigDict) -> Splits:
    """Loads a folder of images with one sub-folder per class; see ``folders.list_folder``.

    Raises:
        FileNotFoundError: as ``list_folder``.
        ValueError: as ``list_folder``; an unreadable image, or images that differ in size or channels.
    """
    return load_listing(list_folder(config), config)


def load_manifest(config: ConfigDict) -> Splits:
    """Loads the images listed in a CSV; see ``manifest.list_manifest``.

    Raises:
        FileNotFoundError: as ``list_manifest``.
        ValueError: as ``list_manifest``; an unreadable image, or images that differ in size or channels.
    """
    return load_listing(list_manifest(config), config)


@dataclass(frozen=True)
class FileReader:
    """Reads images by index, all to one shape.

    Attributes:
        items: what to read.
        shaping: how it comes to one shape.
        first: shape of the images.
        intensity: how their values become grey levels.
        read: reads an item; each process keeps its own last volumes.
    """

    items: tuple[Item, ...]
    shaping: Shaping
    first: tuple[int, ...]
    intensity: Intensity = FULL
    read: Reader = field(default_factory=Reader)

    def __call__(self, index: int) -> np.ndarray:
        """Returns image ``index``, uint8 ``[*space, C]``."""
        item = self.items[index]
        picture = self.read(item)
        grey = to_grey(picture, self.intensity, item.place)
        return self.shaping(grey, picture.proportions, item.place, self.first)


def load_listing(listing: Listing, config: ConfigDict, *, classes: bool = True) -> Splits:
    """Reads the images of a listing: of train only the first, if the loader is ``grain``.

    ``classes`` says whether their classes are what is learned, not what masks show.

    Raises:
        ValueError: an unreadable image, or images that differ in size or channels.
    """
    lazy = config.loader == "grain"
    items = [row.source for row in listing.rows]
    training = np.flatnonzero(listing.splits == "train").tolist()
    intensity, broken = choose(items, training, config, listing.root)
    shaping = Shaping.of(config)
    wanted = ("val", "test") if lazy else SPLITS
    looked = Looked(shaping, classes=classes)
    read, shape, sums, spacing = _read(listing, shaping, wanted, intensity, broken, looked)
    parts: dict[str, Split | LazySplit] = {}
    contents = {}
    for split in SPLITS:
        index = np.flatnonzero(listing.splits == split)
        names = tuple(listing.rows[i].name for i in index)
        contents[split] = tuple(sums[i] for i in index)
        labels, groups, facts = (
            listing.labels[index], listing.patients(index), listing.facts(index),
        )  # fmt: skip
        if split in read:
            parts[split] = Split.of_images(read[split], labels, names, truth=facts, groups=groups)
        else:
            chosen = tuple(items[i] for i in index)
            warn_of_slow_slices(chosen)
            reader = FileReader(chosen, shaping, shape, intensity)
            parts[split] = LazySplit(reader, labels, names, shape, groups, facts)
    volumes = Wanted.of(config).facts() if any(item.volume for item in items) else {}
    known = meaning(listing.root, Meaning(intensity, volumes, config.fit))
    lines = sorted(f"{row.name} {one}\n" for row, one in zip(listing.rows, sums, strict=True))
    info = own_info(
        listing.classes, shape, name=config.name, licence="unknown: the user's own files",
        md5=digest("".join(lines).encode()), source=str(listing.root),
        intensity=known.intensity, fit=known.fit, spacing=spacing,
    )  # fmt: skip
    # Runs of before that read while training have this as their MD5.
    identity = {"listing": listing.fingerprint()}
    info = dataclasses.replace(info, identity=identity, volumes=known.volumes)
    return Splits(**parts, info=info, contents=contents)  # type: ignore[arg-type]


def _read(
    listing: Listing,
    shaping: Shaping,
    splits: Sequence[str],
    intensity: Intensity,
    broken: Mapping[Path, str],
    looked: Looked,
) -> tuple[dict[str, np.ndarray], tuple[int, ...], list[str], tuple[float, ...]]:
    """Returns the images of these splits, their common shape, the MD5 of each, and the size of voxels.

    The files of other splits are read too, for their MD5: what a run was trained on is known by its
    content, whichever the loader. Some of them, evenly spread, are looked at for what is said of the
    data, and all of them for the size of their voxels where a header says it. All broken files are named
    at once, those known already among them.
    """
    broken = dict(broken)
    images: dict[str, list[np.ndarray]] = {split: [] for split in splits}
    shape: tuple[int, ...] = ()
    sums: list[str] = []
    content, reader = Contents(), Reader()
    fitted = intensity.kind == "percentiles"
    positions = range(len(listing.rows))
    few = set(spread([i for i in positions if str(listing.splits[i]) not in images]))
    for i in track(positions, "Reading images"):
        item, split = listing.rows[i].source, str(listing.splits[i])
        if any(path in broken for path in item.paths):
            continue
        try:
            data = read_file(item.paths[0]) if item.kind == "picture" else None
            sums.append(content(item) if data is None else digest(data))
            if split not in images and i not in few:
                looked.measure(item)
                continue
            picture = reader(item) if data is None else Picture(decode(data, item.paths[0]))
            image = to_grey(picture, intensity, item.place)
        except ValueError as error:
            broken[item.paths[0]] = str(error)
            continue
        if broken:  # only to find the others
            continue
        # Those a map was fitted to were looked at then.
        looked.look(picture, listing.rows[i], shades=split != "train" or not fitted)
        if split not in images:
            continue
        image = shaping(image, picture.proportions, item.place, shape or None)
        shape = image.shape
        images[split].append(image)
    refuse_broken(broken.values())
    looked.warn(intensity, listing.root)
    found = {split: np.stack(pictures) for split, pictures in images.items()}
    return found, shape, sums, looked.spacing()
