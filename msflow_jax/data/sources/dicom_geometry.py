"""Where the frames of a DICOM object, or the slices of a series, lie in the patient.

Slices are sorted by their position along the normal of the plane, and their distance is that of their
positions: numbers of slices and ``SliceThickness`` say nothing of either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.data.sources.archives import Explained
from msflow_jax.data.sources.dicom_headers import get, items
from msflow_jax.data.sources.orientation import oddities, to_picture_axes, voxel_size

if TYPE_CHECKING:
    from pydicom import Dataset

_TURNED = 1e-3  # of a direction's cosines: below it two planes are parallel
_SAME = 1e-4  # mm: closer positions are one
_UNEVEN = 0.02  # of the distance of slices: how far a position may be off
_ROUNDED = 0.011  # mm: as far a position may be off in any case, having been rounded to 0.01
_NOTHING = np.zeros(0)
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


def order(
    found: Sequence[Plane], names: Sequence[str], subject: str
) -> tuple[list[int], np.ndarray]:
    """The order of slices along their normal, and the step from one to the next.

    Args:
        found: where each slice lies; at least two, all placed.
        names: what each is called in an error.
        subject: what they make up, for errors.

    Raises:
        ValueError: two orientations, sizes of pixels or slices at one place, a missing slice, unequal
            distances, or slices shifted against each other; names the slices.
    """
    _check_parallel(found, names, subject)
    normal = found[0].normal
    positions = np.stack([p.position for p in found])
    heights = positions @ normal
    sequence = [int(i) for i in np.argsort(heights, kind="stable")]
    heights, positions = heights[sequence], positions[sequence]
    sorted_names = [names[i] for i in sequence]
    _check_distances(heights, sorted_names, subject)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    off = positions - (positions[0] + np.arange(len(positions))[:, None] * step)
    shifts = np.linalg.norm(off - np.outer(off @ normal, normal), axis=1)
    if shifts.max() > max(0.05, 0.1 * min(found[0].spacing or (1.0,))):
        raise Explained(
            f"{subject}: slices are shifted against each other ({sorted_names[int(shifts.argmax())]} by "
            f"{shifts.max():.3g} mm), so that they make up no volume: resample it, or use the slices"
        )
    return sequence, step


def _check_parallel(found: Sequence[Plane], names: Sequence[str], subject: str) -> None:
    first = found[0]
    off = [np.abs(p.orientation - first.orientation).max() for p in found]
    turned = [i for i, most in enumerate(off) if most > _TURNED]
    if turned:
        raise Explained(
            f"{subject} lies in two orientations ({len(found) - len(turned)} like {names[0]}, "
            f"{len(turned)} like {names[turned[0]]}): leave out those that do not belong to the volume, "
            "such as localisers (scouts)"
        )
    for plane, name in zip(found, names, strict=True):
        if len(plane.spacing) != len(first.spacing) or not np.allclose(
            plane.spacing, first.spacing, rtol=1e-3
        ):
            raise Explained(
                f"{subject}: {names[0]} and {name} have pixels of different size (PixelSpacing)"
            )


def _check_distances(heights: np.ndarray, names: Sequence[str], subject: str) -> None:
    """Refuses slices at one place, missing ones and unequal distances; ``heights`` rise."""
    gaps = np.diff(heights)
    apart = gaps[gaps > _SAME]
    least = np.median(apart[apart <= 1.2 * apart.min()]) if apart.size else 0.0
    equal = np.flatnonzero(gaps < max(_SAME, _UNEVEN * np.median(apart) if apart.size else 0.0))
    if equal.size:
        first, second = names[equal[0]], names[equal[0] + 1]
        raise Explained(
            f"{subject}: {first} and {second} lie at the same place ({equal.size} such in all: copies, "
            "or several times, echoes or phases): keep one slice for each place"
        )
    counts = np.rint(gaps / least)
    tolerance = min(max(_UNEVEN * least, _ROUNDED), 0.2 * least)
    uneven = np.flatnonzero(np.abs(gaps - counts * least) > tolerance * counts)
    if uneven.size:
        i = int(uneven[0])
        raise Explained(
            f"{subject}: slices lie {least:.4g} mm apart, but {names[i]} and {names[i + 1]} "
            f"{gaps[i]:.4g} mm: a volume needs equal distances; resample it, or use the slices"
        )
    if (lacking := np.flatnonzero(counts > 1)).size:
        i, total = int(lacking[0]), int((counts - 1).sum())
        at = heights[i] + least
        more = "" if total == 1 else f" ({total} slices are missing in all)"
        raise Explained(
            f"{subject}: a slice is missing at {at:.4g} mm along the normal, between {names[i]} and "
            f"{names[i + 1]}{more}: complete it"
        )


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
        values: ``[D, H, W, C]``, slices in the order of :func:`order`.
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
    return Placed(np.ascontiguousarray(turned), missing, new, voxel_size(new), tuple(oddities(new)))
