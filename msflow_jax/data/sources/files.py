"""The user's own images: a folder with one sub-folder per class, or a CSV manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from msflow_jax.data.sources.decoding import decode, read_file
from msflow_jax.data.sources.fitting import fit_to_first
from msflow_jax.data.sources.listing import Listing, list_folder
from msflow_jax.data.sources.manifest import list_manifest
from msflow_jax.data.sources.values import Range, refuse_broken, scale, survey
from msflow_jax.progress import track


def load_folder(config: ConfigDict) -> Splits:
    """Loads a folder of images with one sub-folder per class; see ``listing.list_folder``.

    Raises:
        FileNotFoundError: as ``list_folder``.
        ValueError: as ``list_folder``; an unreadable image, or images that differ in size or channels.
    """
    return _load(list_folder(config), config)


def load_manifest(config: ConfigDict) -> Splits:
    """Loads the images listed in a CSV; see ``manifest.list_manifest``.

    Raises:
        FileNotFoundError: as ``list_manifest``.
        ValueError: as ``list_manifest``; an unreadable image, or images that differ in size or channels.
    """
    return _load(list_manifest(config), config)


@dataclass(frozen=True)
class FileReader:
    """Reads image files by index, all to one shape.

    Attributes:
        paths: image files to read.
        side: rows and columns of the images, see :func:`fit_to_first`.
        channels: channels of the images, see :func:`fit_to_first`.
        fit: what happens to those that are not square, see :func:`fit_to_first`.
        first: shape of the images.
        value_range: what becomes 0 and 255 in pictures of more than 8 bits, see ``values.scale``.
    """

    paths: tuple[Path, ...]
    side: int
    channels: int
    fit: str
    first: tuple[int, ...]
    value_range: Range = ()

    def __call__(self, index: int) -> np.ndarray:
        """Returns image ``index``, uint8 ``[S, S, C]``."""
        path = self.paths[index]
        image = scale(decode(read_file(path), path), self.value_range, str(path))
        return fit_to_first(image, str(path), self.first, self.side, self.channels, self.fit)


def _load(listing: Listing, config: ConfigDict) -> Splits:
    """Reads the images of a listing: of train only the first, if the loader is ``grain``."""
    lazy = config.loader == "grain"
    value_range, broken = survey([row.path for row in listing.rows])
    read, shape, sums = _read(
        listing, config, ("val", "test") if lazy else SPLITS, value_range, broken
    )
    parts: dict[str, Split | LazySplit] = {}
    contents = {}
    for split in SPLITS:
        index = np.flatnonzero(listing.splits == split)
        names = tuple(listing.rows[i].name for i in index)
        contents[split] = tuple(sums[i] for i in index)
        labels, groups = listing.labels[index], listing.patients(index)
        if split in read:
            facts = listing.facts(index)
            parts[split] = Split.of_images(read[split], labels, names, truth=facts, groups=groups)
        else:
            paths = tuple(listing.rows[i].path for i in index)
            reader = FileReader(paths, config.side, config.channels, config.fit, shape, value_range)
            parts[split] = LazySplit(reader, labels, names, shape, groups)
    lines = sorted(f"{row.name} {one}\n" for row, one in zip(listing.rows, sums, strict=True))
    info = own_info(
        listing.classes, shape, name=config.name, licence="unknown: the user's own files",
        md5=digest("".join(lines).encode()), source=str(listing.root),
        value_range=value_range, fit=config.fit,
    )  # fmt: skip
    # Runs of before that read while training have this as their MD5.
    info = dataclasses.replace(info, identity={"listing": listing.fingerprint()})
    return Splits(**parts, info=info, contents=contents)  # type: ignore[arg-type]


def _read(
    listing: Listing,
    config: ConfigDict,
    splits: Sequence[str],
    value_range: Range,
    broken: Mapping[Path, str],
) -> tuple[dict[str, np.ndarray], tuple[int, ...], list[str]]:
    """Returns the images of these splits, their common shape, and the MD5 of every file.

    The files of other splits are read too, for their MD5 alone: what a run was trained on is known by
    its content, whichever the loader. All broken files are named at once, those known already
    among them.
    """
    broken = dict(broken)
    images: dict[str, list[np.ndarray]] = {split: [] for split in splits}
    shape: tuple[int, ...] = ()
    sums: list[str] = []
    positions = range(len(listing.rows))
    for i in track(positions, "Reading images"):
        row, split = listing.rows[i], str(listing.splits[i])
        if row.path in broken:
            continue
        try:
            data = read_file(row.path)
            sums.append(digest(data))
            if split not in images:
                continue
            image = scale(decode(data, row.path), value_range, str(row.path))
        except ValueError as error:
            broken[row.path] = str(error)
            continue
        if broken:  # only to find the others
            continue
        image = fit_to_first(
            image, str(row.path), shape or None, config.side, config.channels, config.fit
        )
        shape = image.shape
        images[split].append(image)
    refuse_broken(broken.values())
    return {split: np.stack(found) for split, found in images.items()}, shape, sums
