"""Whether volumes lie on one grid, and how one is brought onto another.

A *grid* is the size of a volume and its affine: two volumes on one grid show the same place of the
patient at the same index.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.volumes.orientation import (
    MAX_VOXELS,
    centred_affine,
    size_text,
    space_at,
    voxel_size,
)

_APART = 1e-3  # mm for each voxel along the longest axis: what 32 bits of an affine may add up to
_FWHM = 2.355  # full width at half maximum of a Gaussian of standard deviation 1
_COVERED = 0.5  # share of a grid below which a volume that is brought onto it is warned of
_EDGE = 0.5 + 1e-6  # voxels beyond the middle of the outermost one that are still within the volume


def differences(a: Picture, b: Picture) -> list[str]:
    """What differs between the grids of two pictures or volumes, in words; nothing where they are one.

    The corners may lie apart by a thousandth of a millimetre for each voxel along the longest axis.
    """
    found = []
    if a.space != b.space:
        found.append(f"{size_text(a.space)} and {size_text(b.space)} voxels")
    if bool(a.spacing) != bool(b.spacing):
        # Cubes are made by the size, so that both would be fitted to a grid differently.
        found.append("only one of them says how large its voxels are")
    elif a.spacing and not _close(a.spacing, b.spacing):
        found.append(f"voxels of {size_text(a.spacing)} and {size_text(b.spacing)} mm")
    if (a.affine is None) != (b.affine is None):
        found.append("only one of them says how it lies in the patient")
    if a.affine is None or b.affine is None or a.dims != b.dims:
        return found
    corners = _corners(a)
    apart = np.abs(a.affine @ corners - b.affine @ corners).max()
    if apart <= _APART * max(a.space):
        return found
    angle, axis = max((_angle(a.affine[:3, i], b.affine[:3, i]), i) for i in range(3 - a.dims, 3))
    if np.radians(angle) > _APART:
        found.append(f"axes turned by {angle:.3g} degrees ({('slices', 'rows', 'columns')[axis]})")
    first = np.linalg.norm(a.affine[:3, 3] - b.affine[:3, 3])
    if first > _APART * max(a.space) or not found:
        where = (f"({_numbers(p.affine[:3, 3])})" for p in (a, b))  # type: ignore[index]
        found.append(f"first voxels {first:.4g} mm apart, at {' and '.join(where)} mm")
    return found


def check_same_grid(first: Picture, other: Picture, first_name: str, other_name: str) -> None:
    """Refuses two volumes, or two slices, that are not on one grid.

    Args:
        first: a volume, or a slice.
        other: another one that should show the same place at the same index.
        first_name: file of the first, for the error.
        other_name: file of the other.

    Raises:
        ValueError: says what differs, with figures.
    """
    if found := differences(first, other):
        remedy = (
            "--config.data.resample=True brings the second onto the first's grid, if they are "
            "registered (show the patient in one position)"
        )
        if first.dims == 2:
            remedy = "Pair slices that show one place, or give the folders of both series"
        raise ValueError(
            f"{first_name} and {other_name} are not on one grid: {'; '.join(found)}. {remedy}"
        )


def resample_to(
    picture: Picture, like: Picture, name: str, like_name: str, *, nearest: bool = False
) -> Picture:
    """Brings a volume onto the grid of another one, by where both lie in the patient.

    Values are interpolated linearly, after smoothing along the axes where the new voxels are larger, and
    rounded where they are whole numbers. Outside of the volume they are missing, and its lowest value.

    Args:
        picture: volume ``[D, H, W, C]``.
        like: volume whose grid is taken; its values are not looked at.
        name: file of the volume, for messages.
        like_name: file of the other.
        nearest: of a map of classes: the nearest voxel's class, 0 outside.

    Raises:
        ValueError: one of them does not say where it lies, or they do not meet.
    """
    if not differences(picture, like):
        return picture
    for one, its in ((picture, name), (like, like_name)):
        if one.affine is None or one.dims != 3:
            raise ValueError(
                f"{its} does not say how it lies in the patient, so that {name} cannot be brought onto "
                f"the grid of {like_name}: write its affine"
            )
    found, covered = _resampled(picture, like.affine, like.space, nearest)  # type: ignore[arg-type]
    if not covered:
        raise ValueError(
            f"{name} lies wholly outside of {like_name}: are they of one patient, in one position?"
        )
    if covered < _COVERED:
        warnings.warn(
            f"{name} fills only {covered:.0%} of the grid of {like_name}, the rest of it is missing: "
            "are they of one patient, in one position?",
            stacklevel=2,
        )
    return found


def to_spacing(picture: Picture, spacing: float, name: str, *, nearest: bool = False) -> Picture:
    """Brings a volume to cubic voxels; its middle stays where it is, its edges by half a voxel.

    Args:
        picture: volume ``[D, H, W, C]`` whose voxel size is known.
        spacing: size of the new voxels in mm.
        name: file of the volume, for the error.
        nearest: see :func:`resample_to`.

    Raises:
        ValueError: the voxel size is not known, or there would be too many or too few voxels.
    """
    if not picture.spacing or picture.dims != 3:
        raise ValueError(
            f"{name} does not say how large its voxels are, so that it cannot be brought to "
            f"{spacing:g} mm: data.spacing=0 in training takes volumes as stored"
        )
    if _close(picture.spacing, (spacing,) * 3):
        return picture
    old = centred_affine(picture.space, picture.spacing)
    space = space_at(picture.space, picture.spacing, spacing, name)
    if math.prod(space) > MAX_VOXELS:
        raise ValueError(
            f"{name} has {size_text(picture.space)} voxels of {size_text(picture.spacing)} mm; with "
            f"{spacing:g} mm it would have more than {MAX_VOXELS:,}: choose larger ones"
        )
    new = centred_affine(space, (spacing,) * 3)
    found, _ = _resampled(
        dataclasses.replace(picture, affine=old), new, space, nearest, beyond=True
    )
    affine = None if picture.affine is None else picture.affine @ np.linalg.inv(old) @ new
    return dataclasses.replace(found, affine=affine)


def _resampled(
    picture: Picture,
    affine: np.ndarray,
    space: tuple[int, ...],
    nearest: bool,
    beyond: bool = False,
) -> tuple[Picture, float]:
    """A volume on another grid, and which share of that grid it fills.

    ``beyond`` continues its edges to the new ones, which rounding may have moved by half a voxel.
    """
    from scipy.ndimage import affine_transform

    step = np.linalg.inv(picture.affine) @ affine  # type: ignore[arg-type]
    matrix, offset = step[:3, :3], step[:3, 3]
    outside = np.zeros(space, bool) if beyond else _outside(step, space, picture.space)
    covered = 1 - float(outside.mean())
    order, values = (0, picture.values) if nearest else (1, _filled(picture, matrix))

    def moved(channel: np.ndarray, order: int) -> np.ndarray:
        return affine_transform(channel, matrix, offset, space, order=order, mode="nearest")

    result = np.stack([moved(values[..., c], order) for c in range(values.shape[-1])], axis=-1)
    if picture.missing is not None:
        outside |= moved(picture.missing.astype(np.uint8), 0).astype(bool)
    if picture.values.dtype.kind in "iu":
        result = np.rint(result)
    known = picture.known
    result[outside] = 0 if nearest or not known.size else known.min()
    found = dataclasses.replace(
        picture,
        values=result.astype(picture.values.dtype),
        affine=affine,
        spacing=voxel_size(affine),
        missing=outside if outside.any() else None,
    )
    return found, covered


def _filled(picture: Picture, matrix: np.ndarray) -> np.ndarray:
    """The values as floats, padding by the lowest one, smoothed where the new voxels are larger."""
    from scipy.ndimage import gaussian_filter

    wide = np.float64 if picture.values.dtype.itemsize > 2 else np.float32
    values = picture.values.astype(wide)
    if picture.missing is not None and picture.known.size:
        values[picture.missing] = picture.known.min()
    ratio = np.abs(matrix).max(axis=1)  # old voxels from one new one to the next
    sigma = np.sqrt(np.maximum(ratio**2 - 1, 0)) / _FWHM
    return gaussian_filter(values, (*sigma, 0), mode="nearest") if sigma.any() else values


def _outside(step: np.ndarray, space: tuple[int, ...], old: tuple[int, ...]) -> np.ndarray:
    """Which voxels of the new grid have their middle outside of the old one."""
    index = np.ogrid[tuple(slice(n) for n in space)]
    outside = np.zeros(space, bool)
    for row, size in zip(step[:3], old, strict=True):
        place = row[0] * index[0] + row[1] * index[1] + row[2] * index[2] + row[3]
        outside |= (place < -_EDGE) | (place > size - 1 + _EDGE)
    return outside


def _corners(picture: Picture) -> np.ndarray:
    """Indices ``[4, 8]`` of the corners, of a slice with d = 0."""
    ends = [(0,)] * (3 - picture.dims) + [(0, n - 1) for n in picture.space]
    return np.array([(*corner, 1) for corner in itertools.product(*ends)], np.float64).T


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Degrees between two directions."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def _close(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return len(a) == len(b) and max(abs(v - w) for v, w in zip(a, b, strict=True)) <= _APART


def _numbers(point: np.ndarray) -> str:
    return ", ".join(f"{v:.4g}" for v in point)
