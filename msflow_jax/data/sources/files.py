"""The user's own images: a folder with one sub-folder per class, or a CSV manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import (
    SPLITS,
    LazySplit,
    Split,
    Splits,
    convert_channels,
    digest,
    own_info,
)
from msflow_jax.data.sources.images import decode, to_square
from msflow_jax.data.sources.listing import Listing, list_folder
from msflow_jax.data.sources.manifest import list_manifest
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
        first: shape of the images.
    """

    paths: tuple[Path, ...]
    side: int
    channels: int
    first: tuple[int, ...]

    def __call__(self, index: int) -> np.ndarray:
        """Returns image ``index``, uint8 ``[S, S, C]``."""
        path = self.paths[index]
        image = decode(path.read_bytes(), path)
        return fit_to_first(image, path, self.first, self.side, self.channels)


def _load(listing: Listing, config: ConfigDict) -> Splits:
    """Reads the images of a listing: of train only the first, if the loader is ``grain``."""
    lazy = config.loader == "grain"
    read, shape, sums = _read(listing, config, ("val", "test") if lazy else SPLITS)
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
            reader = FileReader(paths, config.side, config.channels, shape)
            parts[split] = LazySplit(reader, labels, names, shape, groups)
    lines = sorted(f"{row.name} {one}\n" for row, one in zip(listing.rows, sums, strict=True))
    info = own_info(
        listing.classes, shape, name=config.name, licence="unknown: the user's own files",
        md5=digest("".join(lines).encode()), source=str(listing.root),
    )  # fmt: skip
    # Runs of before that read while training have this as their MD5.
    info = dataclasses.replace(info, identity={"listing": listing.fingerprint()})
    return Splits(**parts, info=info, contents=contents)  # type: ignore[arg-type]


def _read(
    listing: Listing, config: ConfigDict, splits: Sequence[str]
) -> tuple[dict[str, np.ndarray], tuple[int, ...], list[str]]:
    """Returns the images of these splits, their common shape, and the MD5 of every file.

    The files of other splits are read too, for their MD5 alone: what a run was trained on is known by
    its content, whichever the loader.
    """
    images: dict[str, list[np.ndarray]] = {split: [] for split in splits}
    shape: tuple[int, ...] = ()
    sums: list[str] = []
    positions = range(len(listing.rows))
    for i in track(positions, "Reading images"):
        row, split = listing.rows[i], str(listing.splits[i])
        data = row.path.read_bytes()
        sums.append(digest(data))
        if split not in images:
            continue
        image = decode(data, row.path)
        image = fit_to_first(image, row.path, shape or None, config.side, config.channels)
        shape = image.shape
        images[split].append(image)
    return {split: np.stack(found) for split, found in images.items()}, shape, sums


def fit_to_first(
    image: np.ndarray, path: Path, first: tuple[int, ...] | None, side: int, channels: int
) -> np.ndarray:
    """Fits an image to the requested side and channels; those that are 0 must be the first image's.

    Args:
        image: uint8 ``[H, W, C]``.
        path: file of the image, for errors.
        first: shape of the first image, or None if this is it.
        side: rows and columns, or 0: the first's, which must be square.
        channels: 1, 3, or 0: the first's.

    Raises:
        ValueError: if it has another shape than the first, where none is requested.
    """
    if channels:
        image = convert_channels(image[None], channels)[0]
    elif first is not None and image.shape[-1] != first[-1]:
        raise ValueError(
            f"{path} has {image.shape[-1]} channel(s), the images before it {first[-1]}; "
            "--config.data.channels=1 makes all grey, --config.data.channels=3 all RGB"
        )
    if side:
        return to_square(image, side)
    height, width = image.shape[:2]
    expected = (height, height) if first is None else first[:2]
    if (height, width) != expected:
        raise ValueError(
            f"{path} is {height} x {width}, expected {expected[0]} x {expected[1]} (square, and all of "
            "one size); --config.data.side=64 resizes"
        )
    return image
