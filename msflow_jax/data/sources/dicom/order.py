"""The order of DICOM slices, and whether they make up a volume.

Slices are sorted by their position along the normal of the plane, and their distance is that of their
positions: numbers of slices and ``SliceThickness`` say nothing of either.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msflow_jax.data.sources.dicom.geometry import Plane
from msflow_jax.storage.archives import Explained

_TURNED = 1e-3  # of a direction's cosines: below it two planes are parallel
SAME = 1e-4  # mm: closer positions are one
_UNEVEN = 0.02  # of the distance of slices: how far a position may be off
_ROUNDED = 0.011  # mm: as far a position may be off in any case, having been rounded to 0.01


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


def coincident(heights: np.ndarray) -> np.ndarray:
    """Of heights that rise, those that the next one equals, by their numbers."""
    gaps = np.diff(heights)
    apart = gaps[gaps > SAME]
    return np.flatnonzero(gaps < max(SAME, _UNEVEN * np.median(apart) if apart.size else 0.0))


def check_apart(heights: np.ndarray, names: Sequence[str], subject: str) -> None:
    """Refuses slices at one place.

    Args:
        heights: of the slices along their normal in mm, rising.
        names: what each is called.
        subject: what they make up, for the error.

    Raises:
        ValueError: names two of them.
    """
    equal = coincident(heights)
    if equal.size:
        first, second = names[equal[0]], names[equal[0] + 1]
        raise Explained(
            f"{subject}: {first} and {second} lie at the same place ({equal.size} such in all: copies, "
            "or several times, echoes or phases): keep one slice for each place"
        )


def _check_distances(heights: np.ndarray, names: Sequence[str], subject: str) -> None:
    """Refuses slices at one place, missing ones and unequal distances; ``heights`` rise."""
    check_apart(heights, names, subject)
    gaps = np.diff(heights)
    least = np.median(gaps[gaps <= 1.2 * gaps.min()])
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
