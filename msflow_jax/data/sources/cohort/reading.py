"""The files of an examination to pictures on one grid, and what each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_collections import ConfigDict

from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import NO_SLICE, Slices
from msflow_jax.data.sources.cohort.seen import (
    Seen,
    check_dims,
    copy_of,
    part_of,
    patient_of,
    warn_of_proportions,
)
from msflow_jax.data.sources.cohort.table import Examination
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.reading import read_picture
from msflow_jax.data.sources.volumes.geometry import check_same_grid, resample_to, to_spacing
from msflow_jax.progress import LONG, track

_KEPT = 1 << 30  # bytes of pictures that are kept from the first reading for the second
WEIGHT = LONG // 8  # steps that one examination stands for: from nine on there is a bar


@dataclass(frozen=True)
class Reading:
    """How the files of an examination become pictures.

    Attributes:
        names: the modalities to read.
        dims: 3: volumes stay whole. 2: they are cut into slices.
        spacing: mm that a voxel is brought to; 0: as stored.
        resample: whether volumes on another grid than the first one's are brought onto it, or refused.
        slices: which slices are taken.
    """

    names: tuple[str, ...]
    dims: int
    spacing: float
    resample: bool
    slices: Slices

    @classmethod
    def of(cls, config: ConfigDict, names: Sequence[str]) -> Reading:
        """What the data config says."""
        slices = Slices.of(config.slices)
        return cls(tuple(names), config.dims, config.spacing, config.resample, slices)

    def __call__(self, row: Examination) -> dict[str, Picture]:
        """The pictures of an examination; all volumes among them, or single slices, are on one grid.

        Raises:
            ValueError: a file that cannot be read, volumes or slices on other grids, a slice beside a
                volume, or one of another plane than slices are cut in; names the files.
        """
        return self.brought(self.stored(row), row)

    def stored(self, row: Examination) -> dict[str, Picture]:
        """The pictures of an examination as their files hold them.

        Raises:
            ValueError: a file that cannot be read; names it.
        """
        return {name: read_picture(row.paths[name]) for name in self.names if name in row.paths}

    def brought(self, found: dict[str, Picture], row: Examination) -> dict[str, Picture]:
        """What ``stored`` gave, on one grid and with voxels of the size that is asked for; in place.

        Raises:
            ValueError: as :meth:`__call__`, but for files that cannot be read.
        """
        volumes = [name for name, picture in found.items() if picture.dims == 3]
        # Slices that lie somewhere; projections, such as X-rays, have no such place.
        slices = [name for name, one in found.items() if one.dims == 2 and one.affine is not None]
        if volumes and slices:
            raise ValueError(
                f"{row.paths[slices[0]]} is a single slice, and {row.paths[volumes[0]]} a volume of "
                f"{found[volumes[0]].space[0]} slices, all of which it would be paired with: give the "
                "folder of its series, or clear its cell"
            )
        together = volumes or slices
        for name in together[1:]:
            first, where = found[together[0]], str(row.paths[together[0]])
            if self.resample and volumes:
                found[name] = resample_to(found[name], first, str(row.paths[name]), where)
            else:
                check_same_grid(first, found[name], where, str(row.paths[name]))
        if volumes and self.dims == 2:
            self.slices.check_across(found[volumes[0]].space, str(row.paths[volumes[0]]))
        if self.spacing:
            for name in volumes:
                found[name] = to_spacing(found[name], self.spacing, str(row.paths[name]))
        return found

    def numbers(self, found: Mapping[str, Picture], row: Examination) -> tuple[int, ...]:
        """The slices of an examination: one that is none where volumes stay whole, or there is none."""
        volumes = [name for name, picture in found.items() if picture.dims == 3]
        if self.dims == 3 or not volumes:
            return (NO_SLICE,)
        first = found[volumes[0]]
        numbers = self.slices.numbers(first.space, first.spacing, str(row.paths[volumes[0]]))
        return tuple(numbers.tolist())


def look(
    rows: Sequence[Examination], reading: Reading
) -> tuple[list[Seen], dict[int, dict[str, Picture]]]:
    """Reads all examinations, for what must be known before the arrays are made.

    Returns:
        What each one is, and the pictures of the first ones by their positions, as far as they fit into
        a part of memory.

    Raises:
        ValueError: files that cannot be used, by reason; or pictures where volumes are needed.
    """
    seen: list[Seen] = []
    broken: list[str] = []
    kept: dict[int, dict[str, Picture]] = {}
    room = _KEPT
    for i, row in enumerate(track(rows, "Looking at examinations", WEIGHT)):
        try:
            stored = reading.stored(row)
            # Before resampling, which rounds whole numbers and not floats.
            copies = {name: copy_of(picture.values) for name, picture in stored.items()}
            found = reading.brought(stored, row)
            numbers = reading.numbers(found, row)
            parts = {n: part_of(p, str(row.paths[n]), copies[n]) for n, p in found.items()}
            seen.append(Seen(parts, numbers, patient_of(row, found)))
        except ValueError as error:
            broken.append(str(error))
            continue
        room -= sum(picture.values.nbytes for picture in found.values())
        if room > 0:
            kept[i] = found
    refuse_broken(broken)
    for name in reading.names:
        check_dims(name, seen, alone=reading.dims == 3 and len(reading.names) == 1)
    warn_of_proportions(seen)
    return seen, kept
