"""What the header of a NIfTI file says: shape, type, scaling, and where the voxels lie in the patient.

The layout is that of ``nifti1.h`` and ``nifti2.h`` (nifti.nimh.nih.gov); nibabel takes the fields apart.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from msflow_jax.data.sources.nifti.places import UNPLACED, placed
from msflow_jax.data.sources.volumes.orientation import MAX_VOXELS, odd_size

HEADER_BYTES = 540  # of NIfTI-2, the longer one
_SIZES = {348: 1, 540: 2}  # bytes of a header -> version
_MAGIC = {1: (344, b"n+1\0"), 2: (4, b"n+2\0\r\n\x1a\n")}
_STORED = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_COLOURS = {128: 3, 2304: 4}  # RGB24 and RGBA32: bytes for each voxel


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
        header: the fields, as nibabel takes them apart.
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
    header: Any

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
    affine, sizes, lines = placed(header, subject)
    lines += odd_size(sizes, shape)
    return Stored(
        shape, volumes, _COLOURS.get(code, 1), np.dtype(order + _STORED.get(code, "u1")),
        int(start) or size + 4, slope, intercept, affine, UNPLACED not in lines, sizes, tuple(lines),
        header,
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
