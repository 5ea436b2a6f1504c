"""Where the frames of a DICOM object, or the slices of a series, lie in the patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.data.sources.dicom.headers import get, items
from msflow_jax.data.sources.volumes.orientation import (
    odd_size,
    oddities,
    to_picture_axes,
    voxel_size,
)

if TYPE_CHECKING:
    from pydicom import Dataset

_NOTHING = np.zeros(0)
# Where there is no PixelSpacing; what the first that is there says, counts.
_RATIOS = ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
_OBLONG = 20.0  # no detector's pixels are longer for their width
_RAS = np.diag([-1.0, -1.0, 1.0])  # DICOM counts to the left and to the back


@dataclass(frozen=True)
class Plane:
    """Where one frame lies, in DICOM's millimetres (to the left, to the back, up).

    Attributes:
        position: centre of the first pixel; empty where it is not known.
        orientation: ``[2, 3]``, unit vectors along a row and along a column; empty likewise.
        spacing: distance of rows and of columns in mm; empty likewise.
    """

    position: np.ndarray
    orientation: np.ndarray
    spacing: tuple[float, ...] = ()

    @property
    def placed(self) -> bool:
        """Whether it is known where it lies."""
        return bool(self.position.size and self.orientation.size)

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the plane."""
        return np.cross(*self.orientation)

    def affine(self, step: np.ndarray | None = None) -> np.ndarray:
        """From the index (slice, row, column, 1) to RAS mm.

        Args:
            step: to the next slice, in DICOM's mm; None: 1 mm along the normal.
        """
        along_row, along_column = self.orientation
        rows, columns = self.spacing or (1.0, 1.0)
        affine = np.eye(4)
        axes = (self.normal if step is None else step, along_column * rows, along_row * columns)
        affine[:3, :3] = _RAS @ np.stack(axes, axis=1)
        affine[:3, 3] = _RAS @ self.position
        return affine


def planes(found: Dataset, frames: int) -> tuple[list[Plane], tuple[str, ...]]:
    """Where each frame lies, and what to tell of it; what is damaged is not known."""
    notes: list[str] = []
    known: dict[int, Any] = {}  # most frames share their groups

    def read(what: Callable[[Dataset, list[str]], Any], sequence: str) -> list[Any]:
        groups = items(found, sequence, frames)
        known.clear()
        for group in groups:
            if id(group) not in known:
                known[id(group)] = what(group, notes)
        return [known[id(group)] for group in groups]

    result = [
        Plane(*parts)
        for parts in zip(
            read(_position, "PlanePositionSequence"),
            read(_orientation, "PlaneOrientationSequence"),
            read(_spacing, "PixelMeasuresSequence"),
            strict=True,
        )
    ]
    if frames > 1 and not get(found, "PerFrameFunctionalGroupsSequence"):  # one position for all
        offsets = _vector(found, "GridFrameOffsetVector", frames)  # of a dose
        offsets = offsets if result[0].placed else _NOTHING
        result = [
            replace(p, position=p.position + (offsets[i] - offsets[0]) * p.normal)
            if offsets.size
            else replace(p, position=_NOTHING)
            for i, p in enumerate(result)
        ]
    return result, tuple(dict.fromkeys(notes))


def _vector(group: Dataset, keyword: str, length: int) -> np.ndarray:
    try:
        values = np.array([float(v) for v in get(group, keyword) or ()])
    except (TypeError, ValueError):
        return _NOTHING
    return values if len(values) == length and np.isfinite(values).all() else _NOTHING


def _position(group: Dataset, _: list[str]) -> np.ndarray:
    return _vector(group, "ImagePositionPatient", 3)


def _orientation(group: Dataset, notes: list[str]) -> np.ndarray:
    given = _vector(group, "ImageOrientationPatient", 6)
    if not given.size:
        return _NOTHING
    both = given.reshape(2, 3)
    if np.abs(both @ both.T - np.eye(2)).max() > 0.01:
        notes.append(
            "has an ImageOrientationPatient of no two perpendicular directions: it is ignored"
        )
        return _NOTHING
    return both / np.linalg.norm(both, axis=1, keepdims=True)


def _spacing(group: Dataset, notes: list[str]) -> tuple[float, ...]:
    if get(group, "PixelSpacing") in (None, ""):
        return ()
    given = _vector(group, "PixelSpacing", 2)
    if not given.size or not (given > 0).all():
        notes.append("has a PixelSpacing of no two positive numbers: it is ignored")
        return ()
    return float(given[0]), float(given[1])


def aspect(found: Dataset) -> tuple[tuple[float, ...], str]:
    """How many times as far apart rows lie as columns do, where no PixelSpacing says it; and a note.

    Sizes at the detector or scanner are not those in the patient: only their ratio is kept.

    Returns:
        Of rows and of columns, the lesser is 1; empty where they are equal or nothing is said.
    """
    if get(items(found, "PixelMeasuresSequence", 1)[0], "PixelSpacing") not in (None, ""):
        return (), ""
    for keyword in _RATIOS:
        if get(found, keyword) in (None, ""):
            continue
        given = _vector(found, keyword, 2)
        if not given.size or not (given > 0).all():
            return (), f"has a {keyword} of no two positive numbers: it is ignored"
        rows, columns = (given / given.min()).tolist()
        if max(rows, columns) > _OBLONG:
            return (), (
                f"has a {keyword} of pixels {max(rows, columns):.3g} times as long as wide: it is "
                "ignored; correct it"
            )
        return (() if rows == columns else (rows, columns)), ""
    return (), ""


@dataclass(frozen=True)
class Placed:
    """A volume on the axes of a ``Picture``; attributes as there."""

    values: np.ndarray
    missing: np.ndarray | None
    affine: np.ndarray | None
    spacing: tuple[float, ...]
    notes: tuple[str, ...]


def placed(
    values: np.ndarray, missing: np.ndarray | None, plane: Plane, step: np.ndarray
) -> Placed:
    """Brings a stack of slices to the axes of a ``Picture``.

    Args:
        values: ``[D, H, W, C]``, slices in the order of ``order.order``.
        missing: ``[D, H, W]`` or None.
        plane: of the first slice.
        step: from a slice to the next.
    """
    affine = plane.affine(step)
    turned, new = to_picture_axes(values, affine)
    if missing is not None:
        missing = np.ascontiguousarray(to_picture_axes(missing, affine)[0])
    if not plane.spacing:
        note = "does not say how large its pixels are (PixelSpacing): its place is not known"
        return Placed(np.ascontiguousarray(turned), missing, None, (), (note,))
    told = (*oddities(new), *odd_size(voxel_size(new), turned.shape[:3]))
    return Placed(np.ascontiguousarray(turned), missing, new, voxel_size(new), told)
