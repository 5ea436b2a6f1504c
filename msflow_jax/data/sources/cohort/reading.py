"""The files of an examination to pictures on one grid, and what each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import digest
from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import NO_SLICE, Slices
from msflow_jax.data.sources.cohort.table import Examination
from msflow_jax.data.sources.grey.levels import sample
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.patients import Patients
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
        """The pictures of an examination; all volumes among them are on one grid.

        Raises:
            ValueError: a file that cannot be read, volumes on other grids, or one slice of another plane
                than slices are cut in; names the files.
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
        for name in volumes[1:]:
            first, where = found[volumes[0]], str(row.paths[volumes[0]])
            if self.resample:
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


@dataclass(frozen=True)
class Part:
    """What one modality of an examination is: a picture without its values.

    Attributes:
        place: its file, for messages.
        picture: the picture with no values: ``[*space, C]`` that are all one zero.
        low: its smallest value.
        high: its largest value.
        sample: some of its values, for fitting a map.
        content: MD5 of values, their type and shape: a part of what the data are known by.
        copy: MD5 by which copies are told, the same for the same numbers in files of another type.
    """

    place: str
    picture: Picture
    low: float
    high: float
    sample: np.ndarray
    content: str
    copy: str


@dataclass(frozen=True)
class Seen:
    """What an examination is.

    Attributes:
        parts: its modalities.
        numbers: the slices taken of it.
        patient: whom the headers of its files say it shows, as a salted hash; empty if they do not.
    """

    parts: Mapping[str, Part]
    numbers: tuple[int, ...]
    patient: str


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
            copies = {name: _copy(picture.values) for name, picture in stored.items()}
            found = reading.brought(stored, row)
            numbers = reading.numbers(found, row)
            parts = {n: _part(p, str(row.paths[n]), copies[n]) for n, p in found.items()}
            seen.append(Seen(parts, numbers, _patient(row, found)))
        except ValueError as error:
            broken.append(str(error))
            continue
        room -= sum(picture.values.nbytes for picture in found.values())
        if room > 0:
            kept[i] = found
    refuse_broken(broken)
    for name in reading.names:
        _check_dims(name, seen, alone=reading.dims == 3 and len(reading.names) == 1)
    return seen, kept


def _check_dims(name: str, seen: Sequence[Seen], *, alone: bool) -> None:
    """Refuses pictures among the volumes of a modality, and pictures alone where it is the image."""
    parts = [one.parts[name] for one in seen if name in one.parts]
    flat = [part for part in parts if part.picture.dims == 2]
    deep = [part for part in parts if part.picture.dims == 3]
    if flat and deep:
        raise ValueError(
            f"{name}: {len(flat)} of {len(parts)} are pictures ({flat[0].place} for one), the others "
            f"volumes ({deep[0].place} of {deep[0].picture.space[0]} slices): give pictures a column of "
            "their own; a series of which one slice is there, complete, or clear its cell"
        )
    if flat and alone:
        raise ValueError(
            f"{flat[0].place} is a picture, not a volume, as all of {name} are: set --config.data.dims=2"
        )


def spaces(name: str, seen: Sequence[Seen]) -> dict[str, tuple[int, ...]]:
    """Voxels along each axis of the volumes of a modality, by their files."""
    parts = [one.parts[name] for one in seen if name in one.parts]
    return {part.place: part.picture.space for part in parts if part.picture.dims == 3}


def _copy(values: np.ndarray) -> str:
    """The MD5 of numbers, whatever their type, three equal channels being one.

    An image saved again may have become floats, or colour; what it shows is the same.
    """
    if values.shape[-1] > 1 and (values == values[..., :1]).all():
        values = values[..., :1]
    # By slices, since floats of a whole volume take much memory; + 0.0 makes -0.0 the same as 0.
    sums = (digest((one.astype(np.float64) + 0.0).tobytes()).encode() for one in values)
    return digest(str(values.shape).encode(), *sums)


def _part(picture: Picture, place: str, copy: str) -> Part:
    values = np.ascontiguousarray(picture.values)
    known = picture.known
    if not known.size:
        raise ValueError(f"{place} holds no value but padding: remove it")
    facts = f"{values.dtype} {values.shape}".encode()
    empty = np.broadcast_to(np.zeros((), values.dtype), values.shape)
    bare = Picture(
        empty, picture.affine, picture.spacing, picture.modality, picture.unit, None, picture.group,
        picture.notes, picture.intent, picture.aspect,
        picture.directions, picture.study, picture.alike,
    )  # fmt: skip
    low, high = float(known.min()), float(known.max())
    return Part(
        place,
        bare,
        low,
        high,
        sample(picture),
        digest(facts, values.reshape(-1).view(np.uint8).data),
        copy,
    )


def _patient(row: Examination, found: Mapping[str, Picture]) -> str:
    """Whom the headers say that an examination shows.

    Raises:
        ValueError: files of two patients; names both.
    """
    named = {name: picture for name, picture in found.items() if picture.group}
    whom = Patients.among(list(named.values())).of
    groups = {name: whom[picture.group] for name, picture in named.items()}
    first = next(iter(groups), "")
    for name, group in groups.items():
        if group != groups[first]:
            raise ValueError(
                f"{row.where}: {row.paths[first]} and {row.paths[name]} are of two patients, as their "
                "headers say: correct the row, or remove the patient from the headers"
            )
    return groups.get(first, "")
