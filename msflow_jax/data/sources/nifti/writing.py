"""Writes volumes as NIfTI files, with nothing in them but voxels and where they lie."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msflow_jax.data.sources.nifti.reading import stored_as
from msflow_jax.data.sources.volumes.orientation import (
    PICTURE_AXES,
    axis_codes,
    centred_affine,
    check_affine,
    closest_axes,
    voxel_size,
)
from msflow_jax.storage.atomic import write_atomically

DTYPES = ("uint8", "int16", "uint16", "int32", "float32")
_SCANNER, _ALIGNED = 1, 2  # codes of nifti1.h: where the scanner had it; in a frame of its own
_STRAIGHT = 1e-4  # cosine between axes up to which a qform can say where a volume lies
_PLACE = (
    "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units",
)  # fmt: skip
_LEVEL = 1  # of gzip, as nibabel: higher ones cost much time and save little


def write_nifti(
    path: Path,
    values: np.ndarray,
    *,
    affine: np.ndarray | None = None,
    spacing: Sequence[float] = (),
    gaps: bool = False,
) -> Path:
    """Writes a volume; ``nifti.reading.read_nifti`` gives the same one back, bit for bit.

    The file is in RAS+, as most programs expect; sform and qform both say so.

    Args:
        path: file to write or to replace, ``.nii`` or ``.nii.gz``.
        values: ``[D, H, W]``, ``[D, H, W, 1]``, or RGB uint8 ``[D, H, W, 3]``, with the axes of a
            ``Picture``; of one of ``DTYPES``.
        affine: ``[4, 4]`` from the index (d, h, w, 1) to RAS mm; None: straight axes about the origin.
        spacing: size of a voxel in mm where no affine is given; empty: 1 mm.
        gaps: whether a float32 volume may hold NaN, where there is no value.

    Returns:
        ``path``.

    Raises:
        ValueError: another suffix, shape or type, values that are not finite, or an affine whose axes
            are not those of a ``Picture``.
        OSError: the file cannot be written; what was there is kept.
    """
    import nibabel

    values = _checked(values, path, gaps)
    code = _ALIGNED if affine is None else _SCANNER
    if affine is None:
        affine = centred_affine(values.shape[:3], spacing)
    check_affine(affine, f"{path} to be written")
    if tuple(axis_codes(affine)) != PICTURE_AXES:
        raise ValueError(
            f"{path}: a volume with the axes {axis_codes(affine)} is to be written, those of a Picture "
            f"are {''.join(PICTURE_AXES)}"
        )
    height, width = values.shape[1:3]
    to_picture = np.array(
        [[0, 0, 1, 0], [0, -1, 0, height - 1], [-1, 0, 0, width - 1], [0, 0, 0, 1]], np.float64
    )
    image = nibabel.Nifti1Image(_with_colours(values[:, ::-1, ::-1].swapaxes(0, 2)), None)
    placed = affine @ to_picture
    directions = placed[:3, :3] / np.array(voxel_size(placed))
    straight = np.abs(directions.T @ directions - np.eye(3)).max() < _STRAIGHT
    image.set_qform(placed, code if straight else 0)
    image.set_sform(placed, code)
    image.header.set_xyzt_units("mm")
    data = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        data = gzip.compress(data, _LEVEL, mtime=0)  # neither a name nor a time within
    return write_atomically(path, data)


def write_nifti_like(path: Path, values: np.ndarray, like: Path, gaps: bool = False) -> Path:
    """Writes a volume on the grid of a NIfTI file: its voxels in their order, its place bit for bit.

    Args:
        path: see :func:`write_nifti`.
        values: as for :func:`write_nifti`, with the axes that ``read_nifti`` gives those of
            ``like``.
        like: the file whose grid is taken, whatever it is called; nothing else of its header is.
        gaps: see :func:`write_nifti`.

    Returns:
        ``path``.

    Raises:
        ValueError: another suffix, shape or type, or values that are not finite.
        OSError: a file cannot be read or written.
    """
    import nibabel
    from nibabel import orientations

    values = _checked(values, path, gaps)
    given = stored_as(like)
    # Where the file does not say how it lies, any affine does that reading takes too.
    turn = orientations.ornt_transform(
        orientations.axcodes2ornt(PICTURE_AXES), closest_axes(given.affine)
    )
    stored = orientations.apply_orientation(values, turn)
    if stored.shape[:3] != given.shape:
        raise ValueError(f"{path}: {stored.shape} is to be written like {like}, {given.shape}")
    image = nibabel.Nifti1Image(_with_colours(stored), None)
    for key in _PLACE:
        image.header[key] = given.header[key]
    qfac, *sizes = given.header["pixdim"][:4]
    # Other programs refuse a size of 0, which an axis that was not there may have.
    image.header["pixdim"][:4] = -1 if qfac == -1 else 1, *(abs(mm) or 1 for mm in sizes)
    data = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        data = gzip.compress(data, _LEVEL, mtime=0)
    return write_atomically(path, data)


def _with_colours(stored: np.ndarray) -> np.ndarray:
    """Grey values as they are; RGB uint8 ``[..., 3]`` as one value of three bytes for each voxel."""
    if stored.ndim == 3:
        return stored
    colours = np.dtype([(name, "u1") for name in "RGB"])
    return np.ascontiguousarray(stored).view(colours)[..., 0]


def _checked(values: np.ndarray, path: Path, gaps: bool) -> np.ndarray:
    """The values as ``[D, H, W]``, or RGB ``[D, H, W, 3]``."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path}: NIfTI files are called .nii or .nii.gz")
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    colours = values.ndim == 4 and values.shape[-1] == 3 and values.dtype == np.uint8
    if not (values.ndim == 3 or colours) or values.dtype.name not in DTYPES:
        raise ValueError(
            f"{path}: {values.dtype} {values.shape} is to be written, a NIfTI file takes [D, H, W] of "
            f"{', '.join(DTYPES)}, or RGB as uint8 [D, H, W, 3]"
        )
    if values.dtype.kind == "f" and not (np.isfinite(values) | (gaps & np.isnan(values))).all():
        raise ValueError(f"{path}: values that are not finite (NaN or infinite) are to be written")
    return values
