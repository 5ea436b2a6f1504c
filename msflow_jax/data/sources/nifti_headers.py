"""What the header of a NIfTI file says: shape, type, scaling, and where the voxels lie in the patient.

The layout is that of ``nifti1.h`` and ``nifti2.h`` (nifti.nimh.nih.gov); nibabel takes the fields apart.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.data.sources.orientation import (
    axis_codes,
    check_affine,
    oddities,
    size_text,
    voxel_size,
)

HEADER_BYTES = 540  # of NIfTI-2, the longer one
MAX_VOXELS = 1 << 30  # of one volume: 4 GiB of float32
_SIZES = {348: 1, 540: 2}  # bytes of a header -> version
_MAGIC = {1: (344, b"n+1\0"), 2: (4, b"n+2\0\r\n\x1a\n")}
_STORED = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_COLOURS = {128: 3, 2304: 4}  # RGB24 and RGBA32: bytes for each voxel
_TO_MM = {1: 1000.0, 3: 1e-3}  # unit of length: metres and micrometres; others are taken as mm
_UNPLACED = (
    "it does not say how it lies in the patient (sform and qform have the code 0): its axes are "
    "taken as right to left, back to front, feet to head, which may be wrong; write its affine"
)
_SIZE = 0.01  # share by which the size of a voxel may differ between pixdim and an sform alone
_AGREE = 1e-3  # mm by which sform and qform may differ; they are stored with 32 bits


@dataclass(frozen=True)
class Stored:
    """How the voxels of a NIfTI file are stored.

    Attributes:
        shape: ``(X, Y, Z)`` as stored, the first axis the fastest.
        volumes: how many of them.
        channels: 1, of RGB and RGBA 3 and 4.
        dtype: stored type with its byte order.
        offset: byte of the file where the voxels begin.
        slope: factor to the stored values, and None where they are not scaled.
        intercept: what is added to them.
        affine: ``[4, 4]`` from the stored index to RAS mm; where nothing is known a guess.
        placed: whether the file says where it lies, so that the affine is no guess.
        spacing: size of a stored voxel in mm; empty where not known.
        oddities: what a user should know, a line each, without the file's name.
    """

    shape: tuple[int, int, int]
    volumes: int
    channels: int
    dtype: np.dtype
    offset: int
    slope: float | None
    intercept: float
    affine: np.ndarray
    placed: bool
    spacing: tuple[float, ...]
    oddities: tuple[str, ...]

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume."""
        return int(np.prod(self.shape)) * self.channels * self.dtype.itemsize

    @property
    def read_dtype(self) -> np.dtype:
        """Type of the values that are read from it: of whole numbers without scaling their own."""
        if self.slope is not None or self.dtype.kind == "f":
            return np.dtype(np.float32)
        kept = {"i1": "i2", "i8": "i4", "u8": "u4"}
        code = f"{self.dtype.kind}{self.dtype.itemsize}"
        return np.dtype(kept.get(code, code))


def version(head: bytes) -> tuple[int, str]:
    """Version of NIfTI (0: none) and byte order of a file that begins so."""
    for order in "<>":
        if len(head) >= 4 and (found := _SIZES.get(struct.unpack(f"{order}i", head[:4])[0])):
            start, magic = _MAGIC[found]
            if head[start : start + len(magic)] == magic:
                return found, order
    return 0, "<"


def parse(head: bytes, subject: str) -> Stored:
    """Reads a header.

    Args:
        head: the first ``HEADER_BYTES`` of the file, uncompressed.
        subject: name of the file, for errors.

    Raises:
        ValueError: no NIfTI of one file, or one that cannot be read truly.
    """
    import nibabel

    number, order = version(head)
    if not number:
        raise ValueError(_no_nifti(head, subject))
    size, kind = (348, nibabel.Nifti1Header) if number == 1 else (540, nibabel.Nifti2Header)
    if len(head) < size:
        raise ValueError(f"{subject} is cut short within its header: fetch it again")
    header: Any = kind(head[:size], endianness=order, check=False)
    shape, volumes = _shape(header, subject)
    code = int(header["datatype"])
    if code not in _STORED and code not in _COLOURS:
        raise ValueError(
            f"{subject} holds values of the NIfTI type {code}, which is not read; read are whole "
            "numbers of 8 to 64 bits, floats of 32 and 64, and RGB of 8 bits"
        )
    slope, intercept = _scaling(header, subject) if code in _STORED else (None, 0.0)
    start = float(header["vox_offset"])
    if not (start == 0 or size <= start < 1 << 40):
        raise ValueError(f"{subject} has voxels at byte {start:g}: its header is damaged")
    affine, sizes, lines = _placed(header, subject)
    return Stored(
        shape, volumes, _COLOURS.get(code, 1), np.dtype(order + _STORED.get(code, "u1")),
        int(start) or size + 4, slope, intercept, affine, _UNPLACED not in lines, sizes, tuple(lines),
    )  # fmt: skip


def _no_nifti(head: bytes, subject: str) -> str:
    analyze = head[:4] in (b"\x5c\1\0\0", b"\0\0\1\x5c") and head[344:348] == bytes(4)
    if head[344:348] == b"ni1\0" or head[4:7] == b"ni2" or analyze:
        return (
            f"{subject} is the header of a pair of files (.hdr and .img): save it as one .nii.gz, as "
            "nibabel.save does"
        )
    return f"{subject} is no NIfTI file: its header is not one; fetch it again"


def _shape(header: Any, subject: str) -> tuple[tuple[int, int, int], int]:
    dims = [int(v) for v in header["dim"]]
    given = dims[1 : dims[0] + 1]
    if not 1 <= dims[0] <= 7 or min(given) < 1:
        raise ValueError(
            f"{subject} has the impossible shape {given or dims}: its header is damaged"
        )
    shape = [*given, 1, 1, 1]
    if any(v > 1 for v in shape[4:]):
        raise ValueError(
            f"{subject} has the shape {' x '.join(map(str, given))}: read are volumes of three axes, or "
            "one volume of four axes"
        )
    voxels = shape[0] * shape[1] * shape[2]
    if voxels > MAX_VOXELS:
        raise ValueError(
            f"{subject} has volumes of {voxels:,} voxels, above the limit of {MAX_VOXELS:,}: shrink it"
        )
    return (shape[0], shape[1], shape[2]), shape[3]


def _scaling(header: Any, subject: str) -> tuple[float | None, float]:
    """Slope and intercept; None where the slope is 0 or no number, which is to say no scaling."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope) or (slope, intercept) == (1.0, 0.0):
        return None, 0.0
    if not np.isfinite(intercept):
        raise ValueError(
            f"{subject} has scl_slope {slope:g} but scl_inter {intercept:g}: what its values mean is "
            "not known; correct the header"
        )
    return slope, intercept


def _placed(header: Any, subject: str) -> tuple[np.ndarray, tuple[float, ...], list[str]]:
    """The affine to RAS mm, the size of a voxel, and lines on what is odd about them."""
    scale = np.diag([_TO_MM.get(int(header["xyzt_units"]) & 7, 1.0)] * 3 + [1.0])
    sform, qform = _sform(header), _qform(header)
    stated = qform if sform is None else sform
    if stated is None:
        sizes = np.abs(np.array(header["pixdim"][1:4], np.float64))
        known = bool(np.isfinite(sizes).all() and sizes.all())
        # As nibabel lays it out, and scanners store it: the first axis from right to left.
        guess = scale @ np.diag([-1.0, 1, 1, 1]) @ np.diag([*(sizes if known else [1, 1, 1]), 1])
        check_affine(guess, subject)
        return guess, voxel_size(guess) if known else (), [_UNPLACED]
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
