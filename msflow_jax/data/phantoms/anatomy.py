"""The head that all phantoms are bent from: ICBM-152 tissue maps with a drawn skull and scalp.

The grey- and white-matter probability maps and the T1-weighted template are the ICBM-152 nonlinear
2009a average of 152 adults (Fonov et al., NeuroImage 54, 2011), shipped by nilearn. That template
is stripped to the brain, so the skull and the scalp are shells of given thickness around it.
Coordinates are MNI millimetres: x to the right, y to the front, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

FLOOR, CEILING = -30.0, 80.0  # mm; what lies below or above is not read
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


def load(spacing: int) -> Anatomy:
    """Reads the maps that nilearn ships and derives the rest; about a second.

    Args:
        spacing: grid of the tissue maps in mm, 1 or 2: averages over as many voxels a side.

    Raises:
        FileNotFoundError: if the installed nilearn lacks the maps.
    """
    coarse = {name: _read(name, 2) for name in NAMES}
    distance = _distance(coarse["t1"].values > 0.05, 2.0)
    sites, weights = _sites(coarse["grey"], coarse["white"], distance)
    fine = coarse if spacing == 2 else {name: _read(name, spacing) for name in ("grey", "white")}
    shell = Volume(distance, 2.0, coarse["t1"].origin)
    return Anatomy(fine["grey"], fine["white"], shell, sites, weights)


def _read(name: str, step: int) -> Volume:
    """Reads one map, averages blocks of ``step`` voxels, scales 0..255 to 0..1."""
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
    origin = image.affine[:3, 3].astype(np.float64)
    low, high = (int(z - origin[2]) for z in (FLOOR, CEILING))
    voxels = np.asarray(image.dataobj[:, :, low:high])  # 1 mm, axes along x, y, z
    x, y, z = (n // step for n in voxels.shape)
    blocks = voxels[: x * step, : y * step, : z * step].reshape(x, step, y, step, z, step)
    values = blocks.mean(axis=(1, 3, 5), dtype=np.float32) / np.float32(255)
    origin[2] += low
    return Volume(values, float(step), origin + (step - 1) / 2)


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
