"""What a pack of images is made of: its settings, its records, and the facts on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from msflow_jax.data.intensity import FULL, WINDOW, Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.decoding import check_pixels, decode, encode, read_file
from msflow_jax.data.sources.grey.levels import to_grey
from msflow_jax.data.sources.grey.written import Meaning
from msflow_jax.data.sources.items import Item, Wanted, are_scaled
from msflow_jax.data.sources.reading import Reader
from msflow_jax.data.sources.shaping import Grids, Shaping

Entry = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How images are packed.

    Attributes:
        side: rows and columns, of volumes also slices; 0: as stored (square, and all of one size).
        channels: 1, 3, or 0: as stored.
        shard_images: images per shard, at most.
        seed: seed of the order of the training images in the shards.
        name: what the data set is called.
        licence: licence of the images.
        fit: what happens to images that are not square, see ``fitting.to_square``.
        dims: 3: volumes; 2: pictures, and slices of volumes.
        spacing: mm that the voxels of volumes were brought to, see ``items.Wanted``.
        slices: which slices of volumes are packed.
        window: what becomes 0 and 255 of CT, in Hounsfield units.
    """

    side: int = 0
    channels: int = 0
    shard_images: int = 4096
    seed: int = 0
    name: str = "arrayrecord"
    licence: str = "unknown: the user's own files"
    fit: str = "pad"
    dims: int = 2
    spacing: float = 0.0
    slices: Slices = field(default_factory=Slices)
    window: tuple[float, float] = WINDOW

    def facts(self) -> dict[str, Any]:
        """What a pack is identified by: those of volumes only where they are others than of pictures."""
        found, usual = asdict(self), asdict(Settings())
        apart = ("dims", "spacing", "slices", "window")
        return {k: v for k, v in found.items() if k not in apart or v != usual[k]}


def facts_of(records: Records, spacing: Sequence[float], settings: Settings) -> Entry:
    """What a manifest says of values and volumes; nothing of pictures of 8 bits."""
    found: Entry = {}
    intensity, volumes = records.meaning.intensity, records.meaning.volumes
    if intensity.kind == "range":
        found["value_range"] = [intensity.low, intensity.high]
    if intensity.clips:
        found["intensity"] = intensity.to_dict()
    if volumes:
        found["volumes"] = dict(volumes)
    return {**found, "spacing": list(spacing)} if spacing and settings.dims == 3 else found


def volumes_of(items: Sequence[Item], settings: Settings) -> Entry:
    """How volumes became examples; nothing where there is none."""
    if not any(item.volume for item in items):
        return {}
    scaled = are_scaled(settings)
    return Wanted(settings.dims, settings.spacing, settings.slices, scaled).facts()


@dataclass(frozen=True)
class Records:
    """Makes the records of a listing.

    Attributes:
        items: the examples.
        shaping: how they come to one shape.
        intensity: how their values become grey levels.
        meaning: what the pictures stand for, kept with the model.
        grids: the sizes of voxels that were seen.
        read: reads an item.
    """

    items: Sequence[Item]
    shaping: Shaping
    intensity: Intensity
    meaning: Meaning
    grids: Grids
    read: Reader = field(default_factory=Reader)

    def of(self, items: Sequence[Item]) -> Records:
        """The same for other items; the sizes of voxels that it sees are its own."""
        return Records(items, self.shaping, self.intensity, self.meaning, Grids(self.shaping))

    def __call__(self, index: int, shape: tuple[int, ...]) -> tuple[np.ndarray, bytes]:
        """The image at a position of the listing, and its record."""
        item = self.items[index]
        data = read_file(item.paths[0]) if item.kind == "picture" else None
        picture = self.read(item) if data is None else Picture(decode(data, item.paths[0]))
        image = to_grey(picture, self.intensity, item.place)
        self.grids.look(picture, item.place)
        image = self.shaping(image, picture.proportions, item.place, shape or None)
        kept = data is not None and self.intensity == FULL and image.shape == picture.values.shape
        return image, data if kept and data is not None else _png(image)


def _png(image: np.ndarray) -> bytes:
    """A picture, or the slices of a volume one below the other."""
    image = image.reshape(-1, *image.shape[-2:])
    check_pixels(image.shape[0] * image.shape[1], "a volume that is packed", "")
    return encode(image)
