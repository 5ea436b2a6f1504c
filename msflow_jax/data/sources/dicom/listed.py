"""Listed DICOM files as series: which files make up one, in which order, and what is odd about them."""

from __future__ import annotations

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msflow_jax.data.slices import AXES
from msflow_jax.data.sources.dicom.geometry import Plane
from msflow_jax.data.sources.dicom.odd import alternating, at_one_place, odd_rescale
from msflow_jax.data.sources.dicom.reading import Header
from msflow_jax.data.sources.dicom.whose import patients_within
from msflow_jax.data.sources.volumes.orientation import to_picture_axes

LOCALISER = "localiser"
_PARALLEL = np.cos(0.01)  # of the normals of two slices of one plane, in radians


@dataclass(frozen=True)
class File:
    """A listed file, or one of a listed folder: the name that tables have for it, and its header."""

    at: int
    path: Path
    name: str
    header: Header | None = None

    @property
    def folder(self) -> str:
        """The part of the name before the file's own."""
        return self.name.rpartition("/")[0]


def series_of(dicoms: Sequence[File]) -> list[list[File]]:
    """DICOM files by series and plane; what is no slice of a volume stands alone; no localisers."""
    groups: defaultdict[tuple, list[File]] = defaultdict(list)
    turns: defaultdict[tuple, list[np.ndarray]] = defaultdict(list)
    scouts = [file for file in dicoms if file.header and file.header.scout]
    others = [file for file in dicoms if file not in scouts]
    kept = [file for file in others or dicoms if file.header]
    patients = patients_within([file.header for file in kept if file.header])
    for file, patient in zip(kept, patients, strict=True):
        header = file.header
        assert header is not None
        alone = not (header.series and header.placed) or header.frames > 1
        shape = (header.series, patient, header.rows, header.columns)
        key = (file.name,) if alone else (*shape, _turn(turns[shape], plane_of(header).normal))
        groups[key].append(file)
    if scouts and others:
        warnings.warn(
            f"{len(scouts)} localisers (made to plan the other pictures) are left out: "
            f"{scouts[0].path} for one",
            stacklevel=3,
        )
    return list(groups.values())


def _turn(known: list[np.ndarray], normal: np.ndarray) -> int:
    """Which of the planes of a series this is, that of either direction; a new one is added."""
    near = (i for i, one in enumerate(known) if abs(one @ normal) > _PARALLEL)
    if (found := next(near, None)) is not None:
        return found
    known.append(normal)
    return len(known) - 1


def normal(header: Header) -> np.ndarray:
    """The direction across a slice, to the head, the back or the left, in DICOM's coordinates."""
    found = plane_of(header).normal
    return found * np.sign(found[np.abs(found).argmax()])


def plane_of(header: Header | None) -> Plane:
    """Where the picture of a file lies that has a place."""
    assert header is not None and header.plane is not None  # as of every slice that has a place
    return header.plane


def lies(header: Header) -> str:
    """What a picture is among slices: ``localiser`` or a key of ``AXES``; empty if not known."""
    if header.scout:
        return LOCALISER
    if not header.placed:
        return ""
    turned, _ = to_picture_axes(np.empty((1, 2, 2)), plane_of(header).affine())
    return next(name for name, axis in AXES.items() if turned.shape[axis] == 1)


def in_order(group: Sequence[File]) -> tuple[list[File], np.ndarray]:
    """The files of a series in the order of their slices, and where these lie along their normal."""
    assert group[0].header is not None
    along = normal(group[0].header)
    heights = np.array([plane_of(file.header).position @ along for file in group])
    rising = np.argsort(heights, kind="stable")
    return [group[i] for i in rising], heights[rising]


def warn_of_odd_slices(series: Sequence[Sequence[File]]) -> None:
    """Lines on series whose files are read one by one, as of those that are read as a whole."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for group in series:
        ordered, heights = in_order(group)
        made = [file.header.made for file in ordered if file.header]
        spread = len({file.folder for file in ordered}) > 1  # names of files may be there twice
        names = [file.name if spread else file.path.name for file in ordered]
        modality = group[0].header.modality if group[0].header else ""
        # Pictures made to plan the others may well lie at one place, and echoes alternate.
        twice = (
            "" if group[0].header and group[0].header.scout else at_one_place(made, names, heights)
        )
        between = "" if twice else alternating(made, names)
        for kind, line in enumerate((odd_rescale(made, names, modality), twice, between)):
            if line:
                found[str(kind)].append(f"{ordered[0].path} and {len(group) - 1} more {line}")
    for lines in found.values():
        more = f" (and {len(lines) - 1} more series alike)" if len(lines) > 1 else ""
        warnings.warn(f"{lines[0]}{more}", stacklevel=4)


def names_of(series: Sequence[list[File]], folders: Counter[str]) -> list[str]:
    """The folder of each series if it has one of its own, else the name of its first file.

    No two series have one name: one that lies in the given folder itself is called by its first file
    where a folder within has the name of the given one.

    Args:
        series: the files of each.
        folders: how many series and other images each folder holds.
    """
    found = []
    for group in series:
        within = {file.folder for file in group}
        alone = len(within) == 1 and folders[min(within)] == 1
        found.append(min(within) if alone else min(file.name for file in group))
    if "" in found:
        at = found.index("")
        # A path such as "." has no name of its own; nor has the root of a disk.
        given = Path(os.path.abspath(series[at][0].path)).parent.name
        others = {name for name, group in zip(found, series, strict=True) if len(group) > 1}
        found[at] = given if given not in others else min(file.name for file in series[at])
    return found
