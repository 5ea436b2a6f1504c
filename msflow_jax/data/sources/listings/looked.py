"""What is odd about the images of a listing as they are read, and how large their voxels are."""

from __future__ import annotations

import numpy as np

from msflow_jax.data.intensity import Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.enlarging import Enlarged
from msflow_jax.data.sources.grey.choice import Notes
from msflow_jax.data.sources.grey.levels import sample
from msflow_jax.data.sources.grey.shades import Shades
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.listings.folders import Row
from msflow_jax.data.sources.listings.shortcuts import Shortcuts
from msflow_jax.data.sources.nifti.reading import header
from msflow_jax.data.sources.shaping import Grids, Shaping


class Looked:
    """Collects what is said of images once all were looked at.

    Args:
        shaping: how they come to one shape.
        classes: whether the class of an image is what is learned.
    """

    def __init__(self, shaping: Shaping, *, classes: bool = True):
        self._notes, self._shades = Notes(), Shades()
        self._shortcuts = Shortcuts() if classes else None
        self._grids, self._enlarged = Grids(shaping), Enlarged(shaping.side, shaping.fit)

    def look(self, picture: Picture, row: Row, *, shades: bool) -> None:
        """Takes an image.

        Args:
            picture: what was read.
            row: of what.
            shades: whether its values count: not where a map was fitted to them, which says it itself.
        """
        item = row.source
        self._notes.look_at(picture, item)
        self._grids.look(picture, item.place)
        self._enlarged.look(picture.space, item.place)
        if self._shortcuts:
            whom = row.patient or item.volume or row.name
            self._shortcuts.look(picture, item.paths[0], label=row.label, name=row.name, whom=whom)
        if shades:
            self._shades.look(sample(picture), item.volume or item.name)

    def measure(self, item: Item) -> None:
        """Takes the size of a volume's voxels alone, where the header of one file says it.

        Raises:
            ValueError: the header is damaged.
        """
        if item.kind != "nifti" or item.part is not None:
            return
        found = header(item.paths[0])
        spacing = (item.spacing,) * 3 if item.spacing and found.spacing else found.spacing
        empty = np.broadcast_to(np.uint8(0), found.shape)
        self._grids.look(Picture(empty, spacing=spacing), item.place)

    def warn(self, intensity: Intensity, source: object) -> None:
        """The lines, but those on voxels."""
        self._notes.warn()
        self._enlarged.warn(str(source))
        if self._shortcuts:
            self._shortcuts.warn(source)
        fitted = intensity.kind == "percentiles"
        what = "images for validation and test" if fitted else "images"
        self._shades.warn(intensity, source, what)

    def spacing(self) -> tuple[float, ...]:
        """The size of all voxels, with the lines on them; see ``Grids.common``."""
        return self._grids.common()
