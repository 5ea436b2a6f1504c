"""Where the voxels of a NIfTI file lie in the patient: its sform, else its qform, in millimetres."""

from __future__ import annotations

from typing import Any

import numpy as np

from msflow_jax.data.sources.volumes.orientation import (
    axis_codes,
    check_affine,
    oddities,
    size_text,
    voxel_size,
)

_TO_MM = {1: 1000.0, 3: 1e-3}  # unit of length: metres and micrometres; others are taken as mm
UNPLACED = (
    "it does not say how it lies in the patient (sform and qform have the code 0): its axes are "
    "taken as right to left, back to front, feet to head, which may be wrong; write its affine"
)
_SIZE = 0.01  # share by which the size of a voxel may differ between pixdim and an sform alone
_AGREE = 1e-3  # mm by which sform and qform may differ; they are stored with 32 bits


def placed(header: Any, subject: str) -> tuple[np.ndarray, tuple[float, ...], list[str]]:
    """The affine to RAS mm, the size of a voxel, and lines on what is odd about them.

    Args:
        header: of NIfTI 1 or 2, as nibabel takes it apart.
        subject: name of the file, for errors.

    Raises:
        ValueError: a place that cannot be one; names the file.
    """
    scale = np.diag([_TO_MM.get(int(header["xyzt_units"]) & 7, 1.0)] * 3 + [1.0])
    sform, qform = _sform(header), _qform(header)
    stated = qform if sform is None else sform
    if stated is None:
        sizes = np.abs(np.array(header["pixdim"][1:4], np.float64))
        known = bool(np.isfinite(sizes).all() and sizes.all())
        # As nibabel lays it out, and scanners store it: the first axis from right to left.
        guess = scale @ np.diag([-1.0, 1, 1, 1]) @ np.diag([*(sizes if known else [1, 1, 1]), 1])
        check_affine(guess, subject)
        return guess, voxel_size(guess) if known else (), [UNPLACED]
    if sform is None:
        _check_qform(header, stated, subject)
    with np.errstate(invalid="ignore"):  # of what is refused below
        affine = scale @ stated
    check_affine(affine, subject)
    lines = oddities(affine)
    if sform is not None and qform is not None:
        lines += _disagreement(scale @ sform, scale @ qform)
    elif qform is None:
        lines += _other_size(affine, scale[0, 0] * np.array(header["pixdim"][1:4], np.float64))
    return affine, voxel_size(affine), lines


def _sform(header: Any) -> np.ndarray | None:
    return header.get_sform() if int(header["sform_code"]) > 0 else None


def _qform(header: Any) -> np.ndarray | None:
    """What the quaternion says; NaN where it says nothing that can be."""
    if int(header["qform_code"]) <= 0:
        return None
    if header["pixdim"][0] not in (-1, 1):
        header["pixdim"][0] = 1  # as nifti1.h takes a 0 there
    try:
        return header.get_qform()
    except Exception:  # of a quaternion that is none, or voxels of a negative size
        return np.full((4, 4), np.nan)


def _check_qform(header: Any, qform: np.ndarray, subject: str) -> None:
    """Refuses one that says nothing, by the field that is wrong, where there is no sform."""
    sizes = np.array(header["pixdim"][1:4], np.float64)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise ValueError(
            f"{subject}: its pixdim is {size_text(sizes.tolist())}, but its qform needs three positive "
            "sizes of a voxel: correct pixdim[1] to pixdim[3] in the header"
        )
    if not np.isfinite(qform[:3, :3]).all():
        raise ValueError(
            f"{subject}: its qform is no rotation (quatern_b, quatern_c and quatern_d), so that where "
            "it lies is not known: correct the header"
        )


def _other_size(affine: np.ndarray, pixdim: np.ndarray) -> list[str]:
    """An sform alone may scale: to a template, or because one of the two was never written."""
    sizes, others = voxel_size(affine), tuple(np.abs(pixdim).tolist())
    if not (np.isfinite(others).all() and all(others)) or np.allclose(sizes, others, rtol=_SIZE):
        return []
    return [
        f"its voxels are {size_text(sizes)} mm by its sform and {size_text(others)} mm by pixdim; the "
        "sform is used"
    ]


def _disagreement(sform: np.ndarray, qform: np.ndarray) -> list[str]:
    if not np.isfinite(qform).all():
        return ["its qform is broken; its sform is used"]
    apart = float(np.abs(sform - qform).max())
    if apart <= _AGREE:
        return []
    sizes = size_text(voxel_size(sform)), size_text(voxel_size(qform))
    codes = axis_codes(sform), axis_codes(qform)
    details = [
        f"{what} {a} and {b}" for what, (a, b) in (("axes", codes), ("voxels", sizes)) if a != b
    ]
    return [
        f"its sform and qform differ by up to {apart:.3g} mm"
        + (f" ({', '.join(details)})" if details else "")
        + "; the sform is used: correct the header if the qform is right"
    ]
