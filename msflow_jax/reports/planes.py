"""Volumes as pictures: three planes side by side, in the proportions of the patient."""

from collections.abc import Sequence

import numpy as np

_BETWEEN = 110  # grey level between the planes and beside smaller ones, seen on black and on white


def three_planes(
    volume: np.ndarray, at: Sequence[int] | None = None, spacing: Sequence[float] = ()
) -> np.ndarray:
    """The axial, coronal and sagittal plane of a volume in one row.

    As a radiologist sees them: the axial one from the feet, so that the patient's right is on the left
    of the picture, as in the coronal one; the head is up in the coronal and sagittal ones, the front on
    the left of the sagittal one. That holds of a volume from feet to head, front to back and right to
    left; of one whose orientation is not known they are planes across its first, second and third axis.

    Args:
        volume: uint8 ``[D, H, W, C]``.
        at: the voxel that all three go through; None: the middle.
        spacing: size of a voxel in mm along each axis; empty: cubes.

    Returns:
        uint8 ``[h, w, C]``.

    Raises:
        ValueError: another dtype or rank, or a voxel outside.
    """
    volume = np.asarray(volume)
    if volume.ndim != 4 or volume.dtype != np.uint8 or not volume.size:
        raise ValueError(
            f"a volume must be uint8 [D, H, W, C], got {volume.dtype} {list(volume.shape)}"
        )
    space = volume.shape[:3]
    d, h, w = at if at is not None else (side // 2 for side in space)
    if not all(0 <= i < side for i, side in zip((d, h, w), space, strict=True)):
        raise ValueError(f"the voxel {d}, {h}, {w} lies outside of a volume of {list(space)}")
    size = np.ones(3) if not spacing else np.asarray(spacing, float)
    size = size / size.min()
    tall, deep, wide = (max(1, round(n * mm)) for n, mm in zip(space, size, strict=True))
    planes = [
        _stretched(volume[d], deep, wide),
        _stretched(volume[::-1, h], tall, wide),  # the head up
        _stretched(volume[::-1, :, w], tall, deep),
    ]
    return _in_a_row(planes)


def flat(images: np.ndarray, spacing: Sequence[float] = ()) -> np.ndarray:
    """Pictures ``[N, H, W, C]`` as they are, of volumes ``[N, D, H, W, C]`` their three planes.

    Args:
        images: uint8 pictures or volumes.
        spacing: size of a voxel in mm along each axis of a volume; empty: cubes.

    Returns:
        uint8 ``[N, h, w, C]``.
    """
    images = np.asarray(images)
    if images.ndim != 5 or not len(images):
        return images
    return np.stack([three_planes(volume, spacing=spacing) for volume in images])


def caption(dims: int, spacing: Sequence[float] = (), through: str = "the middle") -> str:
    """What :func:`three_planes` shows, for the words beneath a picture; empty of pictures.

    Args:
        dims: axes of space of the images.
        spacing: size of a voxel in mm along each axis; empty where it, and with it the orientation, is
            not known.
        through: the voxel that the planes go through, in words.
    """
    if dims != 3:
        return ""
    if not spacing:
        return (
            f"Of each volume the planes through {through}, across its first, second and third axis; how "
            "the axes lie in the patient is not known."
        )
    return (
        f"Of each volume the axial, coronal and sagittal plane through {through}: the axial one seen "
        "from the feet, the patient's right on the left of the picture; the head up; the front on the "
        "left of the sagittal one."
    )


def _stretched(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """A plane ``[h, w, C]`` with square pixels."""
    if plane.shape[:2] == (height, width):
        return plane
    from PIL import Image

    picture = Image.fromarray(plane[..., 0] if plane.shape[2] == 1 else np.ascontiguousarray(plane))
    found = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    return found.reshape(height, width, plane.shape[2])


def _in_a_row(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Planes side by side, a line between them, smaller ones in the middle of the height."""
    height = max(plane.shape[0] for plane in planes)
    gap = max(1, height // 48)
    width = sum(plane.shape[1] for plane in planes) + gap * (len(planes) - 1)
    row = np.full((height, width, planes[0].shape[2]), _BETWEEN, np.uint8)
    left = 0
    for plane in planes:
        top = (height - plane.shape[0]) // 2
        row[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
        left += plane.shape[1] + gap
    return row
