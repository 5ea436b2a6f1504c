"""The pictures of a cohort to the arrays of a split, in memory or read while training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import LazySplit, OpensLater, Split
from msflow_jax.data.intensity import Intensity
from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import NO_SLICE
from msflow_jax.data.sources.cohort.reading import WEIGHT, Reading
from msflow_jax.data.sources.cohort.seen import Seen
from msflow_jax.data.sources.cohort.table import Examination
from msflow_jax.data.sources.enlarging import Enlarged
from msflow_jax.data.sources.grey.levels import to_grey
from msflow_jax.data.sources.reading import cut
from msflow_jax.data.sources.shaping import Grids, Shaping
from msflow_jax.progress import track

_OPEN = 4  # volumes that a reader of slices keeps
Place = tuple[int, int]  # position of an examination, and number of a slice


@dataclass(frozen=True)
class Bringing:
    """How pictures become the uint8 arrays of examples.

    Attributes:
        reading: how files become pictures.
        maps: from values to grey levels, by modality.
        shaping: how they come to the shape of all.
    """

    reading: Reading
    maps: Mapping[str, Intensity]
    shaping: Shaping

    @classmethod
    def of(cls, config: ConfigDict, reading: Reading, maps: Mapping[str, Intensity]) -> Bringing:
        """What the data config says."""
        return cls(reading, maps, Shaping.of(config))

    def __call__(
        self,
        row: Examination,
        found: Mapping[str, Picture],
        numbers: Sequence[int],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of each slice of an examination, or of the whole, by modality."""
        for number in numbers:
            arrays = {}
            for name, whole in found.items():
                picture, place = self._cut(whole, number), str(row.paths[name])
                grey = to_grey(picture, self.maps[name], place)
                arrays[name] = self.shaping(grey, picture.proportions, place, shapes[name])
            yield arrays

    def _cut(self, picture: Picture, number: int) -> Picture:
        if self.reading.dims == 3 or picture.dims == 2:
            return picture
        return cut(picture, self.reading.slices.axis, number)

    def shapes(self, names: Sequence[str], seen: Sequence[Seen]) -> dict[str, tuple[int, ...]]:
        """Shape of an example of each modality, in the order of their names.

        Raises:
            ValueError: images of one modality that differ, where nothing says what to bring them to;
                names two of them.
        """
        found: dict[str, tuple[int, ...]] = {}
        self._warn_of_enlarged(names, seen)
        for name, part in ((n, p) for one in seen for n, p in one.parts.items()):
            if name in found and self.shaping.side:
                continue  # all become the same; nothing is resized to see that
            picture = self._cut(part.picture, 0)
            stand_in = np.broadcast_to(np.uint8(0), picture.values.shape)
            shape = self.shaping(stand_in, picture.proportions, part.place, found.get(name)).shape
            found.setdefault(name, shape)
        return {name: found[name] for name in names if name in found}

    def _warn_of_enlarged(self, names: Sequence[str], seen: Sequence[Seen]) -> None:
        for name in names:
            enlarged = Enlarged(self.shaping.side, self.shaping.fit)
            for part in (one.parts[name] for one in seen if name in one.parts):
                space = part.picture.space
                cut = self.reading.dims == 2 and part.picture.dims == 3
                enlarged.look(self.reading.slices.pixel(space) if cut else space, part.place)
            enlarged.warn(name)

    def spacing(self, first: str, seen: Sequence[Seen]) -> tuple[float, ...]:
        """Size in mm of the voxels of a modality's volumes; empty of slices, and where they differ.

        Warns where some volumes of any modality say how large their voxels are and some do not.
        """
        grids = {first: Grids(self.shaping)}
        if self.reading.dims == 3:
            for name, part in ((n, p) for one in seen for n, p in one.parts.items()):
                grids.setdefault(name, Grids(self.shaping)).look(part.picture, part.place)
        for other in (one for name, one in grids.items() if name != first):
            other.warn_of_unsized()
        return grids[first].common()


def fill(
    rows: Sequence[Examination],
    places: Sequence[Place],
    labels: np.ndarray,
    bringing: Bringing,
    shapes: Mapping[str, tuple[int, ...]],
    kept: Mapping[int, Mapping[str, Picture]],
    common: Mapping[str, Any],
) -> Split:
    """A split in memory.

    Args:
        rows: all examinations.
        places: the examples of the split, those of an examination one after the other.
        labels: class of each, int32 ``[N]``.
        bringing: how pictures become arrays.
        shapes: shape of an example by modality.
        kept: pictures that were read before.
        common: names, groups and truth of the split.
    """
    count = len(places)
    arrays = {name: np.zeros((count, *shape), np.uint8) for name, shape in shapes.items()}
    present = {name: np.zeros(count, bool) for name in shapes}
    numbers: dict[int, list[int]] = {}
    for i, number in places:
        numbers.setdefault(i, []).append(number)
    at = 0
    for i in track(list(numbers), "Reading examinations", WEIGHT):
        found = kept[i] if i in kept else bringing.reading(rows[i])
        for parts in bringing(rows[i], found, numbers[i], shapes):
            for name, array in parts.items():
                arrays[name][at], present[name][at] = array, True
            at += 1
    if len(shapes) == 1:
        (images,) = arrays.values()
        return Split({"image": images, "label": labels}, **common)
    return Split(
        {**arrays, "label": labels},
        kinds=dict.fromkeys(arrays, "image"),
        present={name: has for name, has in present.items() if not has.all()},
        **common,
    )


def lazy(
    rows: Sequence[Examination],
    places: Sequence[Place],
    labels: np.ndarray,
    bringing: Bringing,
    shape: tuple[int, ...],
    common: Mapping[str, Any],
) -> LazySplit:
    """A split of one modality that is read while training."""
    needed = {i: rows[i] for i, _ in places}
    if any(number != NO_SLICE for _, number in places):
        warnings.warn(
            f"data.loader=grain reads single slices of {len(needed)} volumes, and decodes a whole "
            "volume for most of them: data.loader=device is faster",
            stacklevel=4,
        )
    (name,) = bringing.reading.names
    reader = Reader(needed, tuple(places), bringing, {name: shape})
    return LazySplit(reader, labels, shape=shape, **common)


@dataclass
class Reader(OpensLater):
    """Reads examples of one modality by index; keeps the last volumes, of which slices are cut.

    Attributes:
        rows: the examinations by their positions.
        places: the examples.
        bringing: how pictures become arrays.
        shapes: shape of an example, by modality.
    """

    rows: Mapping[int, Examination]
    places: tuple[Place, ...]
    bringing: Bringing
    shapes: Mapping[str, tuple[int, ...]]
    _open: dict[Any, Any] = field(default_factory=dict)

    def __call__(self, index: int) -> np.ndarray:
        """Returns example ``index``, uint8 ``[*space, C]``."""
        i, number = self.places[index]
        found = self._open.get(i)
        if found is None:
            found = self.bringing.reading(self.rows[i])
            if number != NO_SLICE:
                while len(self._open) >= _OPEN:
                    self._open.pop(next(iter(self._open)))
                self._open[i] = found
        (parts,) = self.bringing(self.rows[i], found, [number], self.shapes)
        (image,) = parts.values()
        return image
