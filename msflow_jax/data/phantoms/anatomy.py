"""The head that all phantoms are bent from: ICBM-152 tissue maps with a drawn skull and scalp.

The grey- and white-matter probability maps and the T1-weighted template are the ICBM-152 nonlinear
2009a average of 152 adults (Fonov et al., NeuroImage 54, 2011), shipped by nilearn. That template
is stripped to the brain, so the skull and the scalp are shells of given thickness around it.
Coordinates are MNI millimetres: x to the right, y to the front, z up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

FLOOR, CEILING = -30.0, 80.0  # mm; what slices need: nothing below or above is read for them
GAP = 10.0  # mm; furrows of the brain surface narrower than twice this lie under a smooth skull
NAMES = {"t1": "t1", "grey": "gm", "white": "wm"}


@dataclass(frozen=True)
class Volume:
    """A scalar field on a regular grid: float32 ``[X, Y, Z]``, spacing and first centre in mm."""

    values: np.ndarray
    spacing: float
    origin: np.ndarray

    def sample(self, points: np.ndarray, outside: float) -> np.ndarray:
        """Returns linear interpolations at points ``[3, ...]`` in mm; ``outside`` off the grid."""
        from scipy.ndimage import map_coordinates

        origin = self.origin.reshape((3,) + (1,) * (points.ndim - 1))
        index = (points - origin) / self.spacing
        return map_coordinates(self.values, index, order=1, mode="constant", cval=outside)


@dataclass(frozen=True)
class Anatomy:
    """The template head.

    Attributes:
        grey: share of grey matter in [0, 1].
        white: share of white matter in [0, 1].
        distance: millimetres to the brain's smooth hull, negative within.
        sites: ``[M, 3]`` mm: places deep in the white matter where lesions may sit.
        weights: ``[M]``, sum 1: how likely, falling with the distance from the ventricles.
    """

    grey: Volume
    white: Volume
    distance: Volume
    sites: np.ndarray
    weights: np.ndarray


def load(spacing: int, whole: bool = False) -> Anatomy:
    """Reads the maps that nilearn ships and derives the rest; about a second, of the whole head two.

    Args:
        spacing: grid of the tissue maps in mm, 1 or 2: averages over as many voxels a side.
        whole: whether the maps reach over the whole head, for volumes. The lesions' sites do not
            depend on it, so that a subject is the same in slices and volumes.

    Raises:
        FileNotFoundError: if the installed nilearn lacks the maps.
    """
    maps = {name: _read(name) for name in NAMES}
    coarse = {name: _pool(*one, 2, FLOOR, CEILING) for name, one in maps.items()}
    distance = _distance(coarse["t1"].values > 0.05, 2.0)
    sites, weights = _sites(coarse["grey"], coarse["white"], distance)
    shell = Volume(distance, 2.0, coarse["t1"].origin)
    low, high = (-math.inf, math.inf) if whole else (FLOOR, CEILING)
    if whole:
        brain = _pool(*maps["t1"], 2, low, high)
        shell = Volume(_distance(brain.values > 0.05, 2.0), 2.0, brain.origin)
    grey, white = (_pool(*maps[name], spacing, low, high) for name in ("grey", "white"))
    return Anatomy(grey, white, shell, sites, weights)


def mixture(
    grey: np.ndarray,
    white: np.ndarray,
    limits: Sequence[np.ndarray],
    strength: np.ndarray,
) -> list[np.ndarray]:
    """Shares of the tissues at points, in the order of ``signals.TISSUES``; what lacks to 1 is air.

    Args:
        grey: share of grey matter.
        white: share of white matter.
        limits: how much lies within the outer limits of fluid, bone and scalp, see :func:`within`.
        strength: of the lesions, see ``Lesions.strength``.
    """
    csf = np.clip(limits[0] - grey - white, 0, 1)
    lesion = strength * np.clip(white + 0.4 * grey, 0, 1)
    tissues = [csf, grey, white, limits[1] - limits[0], limits[2] - limits[1]]
    return [*(t * (1 - lesion) for t in tissues), lesion]


def within(away: np.ndarray, edge: float) -> np.ndarray:
    """The share of a point, 1.5 mm wide, that lies within a limit; both in mm from the brain's hull."""
    return np.clip(0.5 - (away - edge) / 1.5, 0, 1)


def load_whole(side: int) -> Anatomy:
    """The whole template, as fine as volumes of ``side`` voxels along each axis need it."""
    return load(spacing=2 if side <= 48 else 1, whole=True)


def _read(name: str) -> tuple[np.ndarray, np.ndarray]:
    """One map of 1 mm, uint8 0..255 with axes along x, y, z, and its first centre in mm."""
    import nibabel
    import nilearn

    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    path = folder / f"mni_icbm152_{NAMES[name]}_tal_nlin_sym_09a_converted.nii.gz"
    if not path.is_file():
        raise FileNotFoundError(
            f"the phantoms need {path.name}, which nilearn ships since 0.8; it is not in {folder}: "
            "install nilearn again"
        )
    image = cast(Any, nibabel.load(path))
    return np.asarray(image.dataobj), image.affine[:3, 3].astype(np.float64)


def _pool(
    voxels: np.ndarray, origin: np.ndarray, step: int, floor: float, ceiling: float
) -> Volume:
    """Averages blocks of ``step`` voxels between two heights, scales 0..255 to 0..1."""
    low, high = (int(np.clip(z - origin[2], 0, voxels.shape[2])) for z in (floor, ceiling))
    voxels = voxels[:, :, low:high]
    x, y, z = (n // step for n in voxels.shape)
    blocks = voxels[: x * step, : y * step, : z * step].reshape(x, step, y, step, z, step)
    values = blocks.mean(axis=(1, 3, 5), dtype=np.float32) / np.float32(255)
    first = origin + np.array([0, 0, low])
    return Volume(values, float(step), first + (step - 1) / 2)


def _distance(brain: np.ndarray, spacing: float) -> np.ndarray:
    """Signed distance in mm to the brain's hull: the brain closed by ``GAP``, then smoothed."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    grown = distance_transform_edt(~brain) * spacing <= GAP
    hull = distance_transform_edt(grown) * spacing > GAP
    outer = distance_transform_edt(~hull)
    inner = distance_transform_edt(hull)
    return gaussian_filter((outer - inner) * spacing, 1.0).astype(np.float32)


def _sites(grey: Volume, white: Volume, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places for lesions: deep white matter off the midline, mostly around the ventricles."""
    from scipy.ndimage import distance_transform_edt

    fluid = 1 - grey.values - white.values
    ventricles = (fluid > 0.6) & (distance < -30)
    away = distance_transform_edt(~ventricles) * white.spacing
    index = np.argwhere((white.values > 0.9) & (distance < -9))
    points = white.origin + white.spacing * index
    keep = (np.abs(points[:, 0]) > 9) & (points[:, 2] > -5)
    points, near = points[keep], away[tuple(index[keep].T)]
    weights = 0.15 + np.exp(-near / 8)  # most lie by the ventricles, some anywhere
    return points, weights / weights.sum()
