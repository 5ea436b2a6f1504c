"""A look at the user's own images before anything is trained: what there is, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import Splits
from msflow_jax.data.sources.listings.folders import list_folder
from msflow_jax.data.sources.listings.loading import load_folder, load_manifest
from msflow_jax.data.sources.listings.manifest import list_manifest
from msflow_jax.data.sources.reading import Reader
from msflow_jax.storage.places import expand
from msflow_jax.storage.text import first_of

NAME = "own"
# What is said of the settings that are chosen.
SHOWN = (
    "data.side", "data.channels", "data.loader", "model.net.width", "train.batch", "train.epochs",
    "train.steps",
)  # fmt: skip
_CLASSES = 12  # that a line counts the images of
_LOOKED_AT = 200  # images that are decoded, evenly spread over the listing


@dataclass(frozen=True)
class Facts:
    """What own images are.

    Attributes:
        source: the data source that reads them: ``folder`` or ``manifest``.
        root: where they lie.
        classes: class names.
        counts: images of each class, in all splits.
        training: training images.
        looked_at: images that were decoded for what follows.
        sides: the smallest, the middle and the largest of their shorter sides, in pixels.
        square: whether all of them are square.
        channels: 1 where none of them has colour, else 3.
    """

    source: str
    root: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    training: int
    looked_at: int
    sides: tuple[int, int, int]
    square: bool
    channels: int

    def describe(self) -> str:
        """One line on the images that were found."""
        low, _, high = self.sides
        sides = f"{low}" if low == high else f"{low} to {high}"
        shape = f"{'square' if self.square else 'not all square'}, shorter side {sides} pixels"
        each = [f"{c} {n}" for c, n in zip(self.classes, self.counts, strict=True)]
        classes = first_of(each, _CLASSES)
        colour = "grey" if self.channels == 1 else "colour"
        return (
            f"{self.root}: {sum(self.counts)} images, {self.training} for training ({colour}, {shape}; "
            f"{self.looked_at} were looked at), {len(self.classes)} classes: {classes}"
        )


def is_own(name: str) -> bool:
    """Whether a data source is ``own``, or ``own:`` with the size that is chosen for it."""
    return name.partition(":")[0] == NAME


def look(config: ConfigDict) -> Facts:
    """Looks at a folder of class folders or a CSV; reads a few images of it.

    Args:
        config: the data config, of which ``root`` and ``seed`` are used.

    Raises:
        FileNotFoundError: if there is nothing of the expected layout.
        ValueError: for data of another layout, or if none of the images can be read.
    """
    named = _named(config)
    listing = (list_folder if named.name == "folder" else list_manifest)(named)
    rows = listing.rows
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).astype(int))
    found, error, read = [], None, Reader()
    for i in chosen:
        try:
            found.append(read(rows[i].source).values)
        except ValueError as broken:  # training names every one of them
            error = broken
    if not found:
        raise error or ValueError(f"no image in {listing.root}")
    sides = np.array([min(image.shape[:-1]) for image in found])
    counts = np.bincount(listing.labels, minlength=len(listing.classes))
    return Facts(
        source=named.name,
        root=str(listing.root),
        classes=listing.classes,
        counts=tuple(counts.tolist()),
        training=int((np.asarray(listing.splits) == "train").sum()),
        looked_at=len(found),
        sides=(int(sides.min()), int(np.median(sides)), int(sides.max())),
        square=all(len(set(image.shape[:-1])) == 1 for image in found),
        channels=3 if any(_has_colour(image) for image in found) else 1,
    )


def load(config: ConfigDict) -> Splits:
    """Loads what ``root`` is: a folder or a CSV."""
    named = _named(config)
    return (load_folder if named.name == "folder" else load_manifest)(named)


def _named(config: ConfigDict) -> ConfigDict:
    """The data config with the source that reads what is there."""
    if not config.root:
        raise ValueError(
            "say where your images lie: --config.data.root=FOLDER (a sub-folder of each class) or "
            "--config.data.root=FILE.csv (path,label)"
        )
    source = "manifest" if expand(config.root).is_file() else "folder"
    return ConfigDict({**config.to_dict(), "name": source})


def _has_colour(image: np.ndarray) -> bool:
    """Whether the three channels of an image differ anywhere."""
    return image.shape[-1] == 3 and bool((image != image[..., :1]).any())


def describe_choice(facts: Facts, chosen: Mapping[str, Any], machine: str) -> str:
    """Lines on what is chosen for images, and what is lost of them.

    Args:
        facts: what the images are.
        chosen: settings by dotted key.
        machine: words on the machine that they are chosen for.
    """
    unused = "train.epochs" if chosen.get("train.steps") else "train.steps"  # one of them counts
    shown = [key for key in SHOWN if key in chosen and key != unused]
    words = ", ".join(f"{key}={chosen[key]}" for key in shown)
    lines = f"for {machine}: {words} (--config.KEY=VALUE changes any of them)"
    stored, side = facts.sides[1], chosen["data.side"]
    if 0 < side < stored:
        lines += (
            f"\n{stored} pixels become {side}: details smaller than {-(-stored // side)} pixels are "
            "lost. A larger data.side takes longer; latent_* of msflow configs are for large images"
        )
    return lines
