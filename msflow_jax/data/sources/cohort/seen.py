"""What the examinations of a cohort are, without their values, and whether these fit together."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msflow_jax.data.base import digest
from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.cohort.table import Examination
from msflow_jax.data.sources.fitting import square_size
from msflow_jax.data.sources.grey.levels import sample
from msflow_jax.data.sources.listings.folders import Row
from msflow_jax.data.sources.listings.shortcuts import Shortcuts
from msflow_jax.data.sources.patients import Patients
from msflow_jax.data.sources.shaping import CLOSE
from msflow_jax.data.sources.volumes.orientation import size_text


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


def check_dims(name: str, seen: Sequence[Seen], *, alone: bool) -> None:
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


def warn_of_proportions(seen: Sequence[Seen]) -> None:
    """One line where pictures of an examination differ in proportions: their pixels do not pair."""
    others = []
    for one in seen:
        flat = [part for part in one.parts.values() if part.picture.dims == 2]
        others += [(flat[0], part) for part in flat[1:] if not _alike(flat[0], part)][:1]
    if not others:
        return
    first, other = others[0]
    warnings.warn(
        f"{len(others)} of {len(seen)} examinations have pictures of different proportions: "
        f"{first.place} is {size_text(first.picture.space)}, {other.place} "
        f"{size_text(other.picture.space)}; each is brought to a square by itself (data.fit), and one "
        "pixel is not one place in both: where they should show the same, cut them alike",
        stacklevel=4,
    )


def _alike(a: Part, b: Part) -> bool:
    sides = [square_size(p.picture.space, p.picture.proportions) for p in (a, b)]
    (height, width), (other_height, other_width) = sides
    return abs(height * other_width / (width * other_height) - 1) <= CLOSE


def spaces(name: str, seen: Sequence[Seen]) -> dict[str, tuple[int, ...]]:
    """Voxels along each axis of the volumes of a modality, by their files."""
    parts = [one.parts[name] for one in seen if name in one.parts]
    return {part.place: part.picture.space for part in parts if part.picture.dims == 3}


def warn_of_shortcuts(
    rows: Sequence[Row], seen: Sequence[Seen], names: Sequence[str], source: Path
) -> None:
    """A line for each modality whose files tell the classes apart; see ``shortcuts``."""
    for name in names:
        shortcuts = Shortcuts()
        for row, one in zip(rows, seen, strict=True):
            if name in one.parts:
                part, whom = one.parts[name], row.patient
                shortcuts.look(
                    part.picture, Path(part.place), label=row.label, name=row.name, whom=whom
                )
        shortcuts.warn(f"{source}, {name}")


def copy_of(values: np.ndarray) -> str:
    """The MD5 of numbers, whatever their type, three equal channels being one.

    An image saved again may have become floats, or colour; what it shows is the same.
    """
    if values.shape[-1] > 1 and (values == values[..., :1]).all():
        values = values[..., :1]
    # By slices, since floats of a whole volume take much memory; + 0.0 makes -0.0 the same as 0.
    sums = (digest((one.astype(np.float64) + 0.0).tobytes()).encode() for one in values)
    return digest(str(values.shape).encode(), *sums)


def part_of(picture: Picture, place: str, copy: str) -> Part:
    """What a modality of an examination is.

    Args:
        picture: what its file holds, on the grid of the examination.
        place: the file.
        copy: see :class:`Part`.

    Raises:
        ValueError: it holds no value but padding.
    """
    values = np.ascontiguousarray(picture.values)
    known = picture.known
    if not known.size:
        raise ValueError(f"{place} holds no value but padding: remove it")
    facts = f"{values.dtype} {values.shape}".encode()
    empty = np.broadcast_to(np.zeros((), values.dtype), values.shape)
    bare = dataclasses.replace(picture, values=empty, missing=None)
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


def patient_of(row: Examination, found: Mapping[str, Picture]) -> str:
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
