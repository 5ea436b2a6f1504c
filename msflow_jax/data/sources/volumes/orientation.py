"""The axes of a volume: how they lie in the patient, and how they come to those of a ``Picture``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PICTURE_AXES = ("S", "P", "L")  # where slices, rows and columns go: see ``pictures.Picture``
OBLIQUE = 40.0  # degrees; near 45 it is an accident which axis is called axial
# By a thousandth about each axis: far more than directions are rounded by.
_TURN = np.eye(4) + 1e-3 * np.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]])
MAX_VOXELS = 1 << 30  # of one volume: 4 GiB of float32
_VOXEL = (1e-4, 1e4)  # mm; nnU-Net stores 999 for the one slice of a picture
# mm; mammograms have the smallest pixels of patients, 0.044; outside a unit is likely wrong, or it is a
# microscope's.
_LIKELY = (0.04, 50.0)
_FLAT = 1e-3  # share of a box's volume that is left where axes nearly lie in one plane
_SHEARED = 0.02  # cosine of the angle between two axes: about one degree from a right angle


def check_affine(affine: np.ndarray, subject: str) -> None:
    """Refuses an affine that places no volume.

    Args:
        affine: ``[4, 4]``, from the index of a voxel to mm.
        subject: what has it, for the error.

    Raises:
        ValueError: values that are not finite, axes in one plane, or voxels of an absurd size.
    """
    sizes = voxel_size(affine)
    shown = "; ".join(" ".join(f"{v:g}" for v in row) for row in np.asarray(affine)[:3])
    if not np.isfinite(affine).all():
        what = "holds values that are not finite"
    elif min(sizes) == 0 or abs(np.linalg.det(affine[:3, :3])) < _FLAT * np.prod(sizes):
        what = "is singular"
    elif min(sizes) < _VOXEL[0] or max(sizes) > _VOXEL[1]:
        what = f"makes voxels of {size_text(sizes)} mm"
    else:
        return
    raise ValueError(
        f"{subject}: its affine {what} ({shown}), so that where it lies is not known: correct the header"
    )


def to_picture_axes(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns a volume to the axes of a ``Picture`` that are closest to its own; nothing is resampled.

    Args:
        values: ``[X, Y, Z, ...]`` as stored.
        affine: ``[4, 4]``, from its index to RAS mm; not singular.

    Returns:
        A view ``[D, H, W, ...]`` of the values, and the affine of its index.
    """
    from nibabel import orientations as nib

    turn = nib.ornt_transform(closest_axes(affine), nib.axcodes2ornt(PICTURE_AXES))
    return nib.apply_orientation(values, turn), affine @ nib.inv_ornt_aff(turn, values.shape[:3])


def closest_axes(affine: np.ndarray) -> np.ndarray:
    """Of each axis of a volume the closest of the patient, and its direction, as nibabel has them.

    At 45 degrees rounding alone would decide, for each slice of a series by itself: hence the turn.
    """
    from nibabel.orientations import io_orientation

    return io_orientation(_TURN @ affine)


def voxel_size(affine: np.ndarray) -> tuple[float, ...]:
    """Size of a voxel in mm along each axis of the index."""
    return tuple(float(v) for v in np.sqrt((np.asarray(affine)[:3, :3] ** 2).sum(axis=0)))


def axis_codes(affine: np.ndarray) -> str:
    """Where the axes of an affine go: ``LAS`` for to the left, to the front, up; ``?`` for nowhere."""
    from nibabel.orientations import ornt2axcodes

    return "".join(code or "?" for code in ornt2axcodes(closest_axes(affine)))


def oblique_degrees(affine: np.ndarray) -> float:
    """Largest angle between an axis of a volume and the axis of the patient that it is called by."""
    directions = affine[:3, :3] / np.array(voxel_size(affine))
    chosen = closest_axes(affine)[:, 0].astype(int)
    cosines = np.abs(directions[chosen, np.arange(3)]).clip(0, 1)
    return float(np.degrees(np.arccos(cosines.min())))


def oddities(affine: np.ndarray) -> list[str]:
    """What a user should know of an affine that can be used: strongly oblique or sheared axes."""
    found = []
    if (angle := oblique_degrees(affine)) > OBLIQUE:
        found.append(
            f"its axes lie {angle:.0f} degrees off the patient's: slices are along the closest, not "
            "resampled; bring it to straight axes if axial should mean axial"
        )
    directions = affine[:3, :3] / np.array(voxel_size(affine))
    cosine = np.abs(directions.T @ directions - np.eye(3)).max()
    if cosine > _SHEARED:
        angle = float(np.degrees(np.arcsin(min(cosine, 1.0))))
        found.append(
            f"its axes are {angle:.1f} degrees off right angles (a tilted gantry, or an affine "
            "registration in the header): it is read as if they were at right angles"
        )
    return found


def odd_size(sizes: Sequence[float], space: Sequence[int]) -> list[str]:
    """A line where the voxels of a volume, or the pixels of a slice, are of an unlikely size.

    Args:
        sizes: in mm along each axis; empty where not known.
        space: number of voxels along each axis; one alone may have any size, as of a picture in a NIfTI
            file.
    """
    along = [mm for mm, count in zip(sizes, space, strict=True) if count > 1] if sizes else []
    small, large = (any(mm < _LIKELY[0] for mm in along), any(mm > _LIKELY[1] for mm in along))
    if not (small or large):
        return []
    limits = [f"below {_LIKELY[0]:g} mm"] * small + [f"above {_LIKELY[1]:g} mm"] * large
    what = "pixels" if len(sizes) == 2 else "voxels"
    return [
        f"its {what} are {size_text(sizes)} mm, {' and '.join(limits)}: if the unit of length is wrong "
        "(xyzt_units of NIfTI; DICOM has mm), correct the header"
    ]


def space_at(
    space: Sequence[int], sizes: Sequence[float], spacing: float, name: str
) -> tuple[int, ...]:
    """How many voxels along each axis a volume has when it is brought to cubic ones.

    Args:
        space: how many it has.
        sizes: of its voxels in mm.
        spacing: size of the new ones in mm.
        name: its file, for the error.

    Raises:
        ValueError: one would be left along an axis that has several.
    """
    found = tuple(max(1, round(n * mm / spacing)) for n, mm in zip(space, sizes, strict=True))
    if any(new < 2 <= old for new, old in zip(found, space, strict=True)):
        raise ValueError(
            f"{name} has {size_text(space)} voxels of {size_text(sizes)} mm; with data.spacing="
            f"{spacing:g} they would become {size_text(found)}: correct the size in its header, or "
            "train with a smaller spacing"
        )
    return found


def size_text(sizes: Sequence[float]) -> str:
    """Sizes in words: ``1 x 1 x 2.5``."""
    return " x ".join(f"{v:.6g}" for v in sizes)


def centred_affine(space: Sequence[int], spacing: Sequence[float] = ()) -> np.ndarray:
    """The affine of a volume ``(D, H, W)`` with a ``Picture``'s axes and the origin in its middle."""
    sizes = np.array(tuple(spacing) or (1.0, 1.0, 1.0))
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = sizes * (1, -1, -1)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(space) - 1) / 2)
    affine[3, 3] = 1
    return affine
