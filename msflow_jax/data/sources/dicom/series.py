"""The files of a DICOM series as one volume: sorted by where they lie, and checked to make up one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.decoding import MAX_BYTES, read_file
from msflow_jax.data.sources.dicom import geometry
from msflow_jax.data.sources.dicom.headers import get, parse, reading
from msflow_jax.data.sources.dicom.meaning import Meaning, meanings
from msflow_jax.data.sources.dicom.odd import Made, alternating, odd_rescale
from msflow_jax.data.sources.dicom.order import order
from msflow_jax.data.sources.dicom.pixels import pixels
from msflow_jax.data.sources.dicom.reading import Header, is_scout, read_dicom
from msflow_jax.data.sources.dicom.values import to_values
from msflow_jax.data.sources.dicom.whose import Whose, group_of, has_patient, patients_within
from msflow_jax.storage.archives import Explained


@dataclass(frozen=True)
class Series:
    """The files of one series.

    Attributes:
        path: the folder, where it holds nothing else of the listing; else the first file.
        headers: of the files, in the order of their names.
    """

    path: Path
    headers: tuple[Header, ...]

    @property
    def name(self) -> str:
        """What it is called, by names of files only."""
        return self.path.name

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(header.path for header in self.headers)

    @property
    def modality(self) -> str:
        """As of a ``Picture``."""
        return self.headers[0].modality

    @property
    def group(self) -> str:
        """As of a ``Picture``."""
        return group_of(self.headers)


def group_series(headers: Iterable[Header]) -> list[Series]:
    """Sorts files by series; a file that does not say is one of its own.

    Returns:
        The series, sorted by their paths.
    """
    parts: dict[tuple[str, str], list[Header]] = defaultdict(list)
    headers = list(headers)
    for header, patient in zip(headers, patients_within(headers), strict=True):
        parts[header.series or f"file {header.path}", patient].append(header)
    folders: dict[Path, set[tuple[str, str]]] = defaultdict(set)
    for key, members in parts.items():
        for header in members:
            folders[header.path.parent].add(key)
    found = []
    for members in parts.values():
        members.sort(key=lambda h: h.path)
        parents = {h.path.parent for h in members}
        alone = len(members) > 1 and len(parents) == 1 and len(folders[next(iter(parents))]) == 1
        found.append(Series(parents.pop() if alone else members[0].path, tuple(members)))
    return sorted(found, key=lambda series: series.path)


@dataclass(frozen=True)
class _Slice:
    """One file of a series."""

    name: str
    stored: np.ndarray
    rule: Meaning
    plane: geometry.Plane
    told: tuple[str, ...]
    scout: bool
    made: Made
    whose: Whose


def read_series(paths: Sequence[Path]) -> Picture:
    """Reads slices, each a file of its own, as a volume on the axes of a ``Picture``.

    Each file is read once. Values are as ``dicom.reading.read_dicom`` gives them,
    without any window.

    Args:
        paths: the files of one series, in any order; one alone is read as an object.

    Raises:
        ValueError: files that make up no volume: of several series or patients, of other sizes, kinds
            or units, without positions, in two orientations, with a missing slice, two at one place or
            unequal distances, a CT of two acquisitions; or a file that is damaged. Names the files.
        ModuleNotFoundError: pydicom is not installed.
    """
    paths = sorted(paths)
    if not paths:
        raise ValueError("a series without files")
    if len(paths) == 1:
        return read_dicom(paths[0], paths[0])
    subject = f"{paths[0]} and {len(paths) - 1} more"
    slices: list[_Slice] = []
    whose: Whose | None = None  # of the first file, or of the first one that names a patient
    folder = os.path.commonpath([path.parent.absolute() for path in paths])
    for path in paths:
        name = os.path.relpath(path.absolute(), folder)
        slices.append(_read(path, name, whose, subject))
        whose = whose if whose and has_patient(whose) else slices[-1].whose
        _check_alike(slices[0], slices[-1], len(paths), subject)
    _check_placed(slices, subject)
    planes = [s.plane for s in slices]
    sequence, step = order(planes, [s.name for s in slices], subject)
    slices = [slices[i] for i in sequence]
    odd = _oddities(slices, subject)
    values, missing = to_values([s.stored for s in slices], [s.rule for s in slices], paths[0])
    spot = geometry.placed(values, missing, slices[0].plane, step)
    lines = dict.fromkeys(line for s in slices for line in s.told)
    assert whose is not None
    return Picture(
        spot.values,
        spot.affine,
        spot.spacing,
        modality=whose.modality,
        unit=slices[0].rule.unit,
        missing=spot.missing,
        group=whose.group,
        study=whose.study,
        alike=whose.alike,
        notes=tuple(f"{subject} {line}" for line in (*lines, *odd, *spot.notes) if line),
    )


def _read(path: Path, name: str, first: Whose | None, subject: str) -> _Slice:
    content = read_file(path)  # outside of the lock
    with reading(path):
        found = parse(content, path)
        whose = Whose.of(found)
        same = {
            "series": first is None or whose.series == first.series,
            "patients": first is None or whose.of_one_patient(first),
            "modalities": first is None or whose.modality == first.modality,
        }
        if what := next((name for name, alike in same.items() if not alike), ""):
            raise Explained(
                f"{subject} are of several {what} ({name} is of another one): read each on its own"
            )
        if get(found, "ModalityLUTSequence"):
            raise Explained(f"{path} has a modality table, which slices of a volume must not have")
        stored, told = pixels(found, path)
        if len(stored) > 1:
            raise Explained(
                f"{path} holds {len(stored)} pictures and is no slice of a series: read it on its own"
            )
        planes, notes = geometry.planes(found, 1)
        rule = meanings(found, 1, path)[0]
        return _Slice(
            name, stored[0], rule, planes[0], (told, *rule.notes, *notes), is_scout(found),
            Made.of(found, rule), whose,
        )  # fmt: skip


def _check_alike(first: _Slice, other: _Slice, count: int, subject: str) -> None:
    shape, own = first.stored.shape, other.stored.shape
    if first is other:
        if (whole := count * first.stored.nbytes) > MAX_BYTES:
            raise Explained(
                f"{subject}: {count} slices of {shape[0]} x {shape[1]}, {whole:,} bytes, above the "
                f"limit of {MAX_BYTES:,}: shrink it or cut it into parts"
            )
    elif own != shape:
        raise Explained(
            f"{subject}: slices are of different {'size' if own[:2] != shape[:2] else 'channels'} "
            f"({first.name} {_size(shape)}, {other.name} {_size(own)}{_scouts([first, other])}): leave "
            "out what does not belong"
        )
    elif (first.rule.unit, first.rule.kind) != (other.rule.unit, other.rule.kind):
        raise Explained(
            f"{subject}: values of {first.name} and {other.name} have different units "
            "(RescaleType): leave out what does not belong"
        )
    elif _kind(first.rule) != _kind(other.rule) or first.stored.dtype != other.stored.dtype:
        raise Explained(
            f"{subject}: values of {first.name} and {other.name} are stored in different ways "
            "(bits, sign or MONOCHROME1): leave out what does not belong"
        )


def _kind(rule: Meaning) -> Meaning:
    return replace(rule, slope=1.0, intercept=0.0, padding=None, notes=())


def _oddities(slices: Sequence[_Slice], subject: str) -> tuple[str, str]:
    """What is odd about slices in their order; refuses a CT that is two, which no scanner makes one."""
    made, names, kind = [s.made for s in slices], [s.name for s in slices], slices[0].whose.modality
    between = alternating(made, names)
    if between and kind == "CT":
        raise Explained(f"{subject} {between}")
    return between, odd_rescale(made, names, kind)


def _check_placed(slices: Sequence[_Slice], subject: str) -> None:
    lost = [s for s in slices if not s.plane.placed]
    if lost:
        raise Explained(
            f"{subject}: {lost[0].name} does not say where it lies (ImagePositionPatient, "
            f"ImageOrientationPatient; {len(lost)} of {len(slices)} do not): read the files as pictures"
        )


def _size(shape: tuple[int, ...]) -> str:
    colours = f" in {shape[2]} channels" if shape[2:] and shape[2] > 1 else ""
    return f"{shape[0]} x {shape[1]}{colours}"


def _scouts(slices: Sequence[_Slice]) -> str:
    names = [s.name for s in slices if s.scout]
    return f"; {names[0]} is a localiser (scout)" if names else ""
