"""Reads NIfTI files, ``.nii`` and ``.nii.gz``, as volumes with their place in the patient.

The voxels are read here and not by nibabel, which stops at the last one: a damaged file is only found by
the checksum behind it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.nifti.headers import HEADER_BYTES, Stored, parse, version
from msflow_jax.data.sources.nifti.inflating import GZIP, Inflated, fill, finish, skip
from msflow_jax.data.sources.volumes.orientation import to_picture_axes, voxel_size
from msflow_jax.storage.archives import Explained

SUFFIXES = (".nii", ".nii.gz")
HEAD_BYTES = 1024  # of a file, compressed or not, that tell whether it is one
_DEFLATE = 1032  # bytes that one compressed byte can stand for at most
_NAMED_VOLUME = re.compile(r"(?P<file>.+\.nii(?:\.gz)?)#(?P<volume>\d+)", re.I)


@dataclass(frozen=True)
class Header:
    """What a NIfTI file holds, as :func:`read_nifti` will give it.

    Attributes:
        shape: ``(D, H, W, C)`` of one volume.
        spacing: size of a voxel in mm along D, H and W; empty where not known.
        dtype: type of the values.
        affine: as of a ``Picture``; None where the orientation is not known.
        volumes: how many volumes; of more than one, one must be named.
    """

    shape: tuple[int, int, int, int]
    spacing: tuple[float, ...]
    dtype: np.dtype
    affine: np.ndarray | None
    volumes: int


def has_suffix(path: Path | str) -> bool:
    """Whether a file is called as NIfTI files are."""
    return str(path).lower().endswith(SUFFIXES)


def split_volume(name: str) -> tuple[str, int | None]:
    """``scan.nii.gz#3`` to the file and its volume, counted from 0; no volume where none is named."""
    found = _NAMED_VOLUME.fullmatch(name)
    return (found["file"], int(found["volume"])) if found else (name, None)


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins so, with ``HEAD_BYTES``, is a NIfTI file, compressed or not."""
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(31).decompress(head, HEADER_BYTES)
        except zlib.error:
            return False
    return version(head)[0] > 0


def header(path: Path) -> Header:
    """Reads the header alone.

    Raises:
        ValueError: as :func:`read_nifti`, where the header shows it.
    """
    with _opened(path) as (_, stored):
        stand_in = np.broadcast_to(np.uint8(0), stored.shape)
        turned, affine = to_picture_axes(stand_in, stored.affine)
        return Header(
            (*turned.shape, min(stored.channels, 3)),
            voxel_size(affine) if stored.spacing else (),
            stored.read_dtype,
            affine if stored.placed else None,
            stored.volumes,
        )


def stored_as(path: Path) -> Stored:
    """How a file's voxels are stored and where they lie, by its header alone.

    Raises:
        ValueError: as :func:`read_nifti`, where the header shows it.
    """
    with _opened(path) as (_, stored):
        return stored


def read_nifti(path: Path, *, volume: int | None = None) -> Picture:
    """Reads one volume of a NIfTI file.

    It is brought to the axes of a ``Picture`` that are closest to its own, by the sform, else the qform.
    Whole numbers stay what they are where they are not scaled (uint8 among them: its range is that of 8
    bits, also where it holds labels), with 8 signed bits widened to 16, and 64 bits to 32 if they fit;
    everything else is float32 after ``scl_slope`` and ``scl_inter``. Transparency is dropped.

    Args:
        path: the file; its content decides whether it is compressed.
        volume: which volume of four axes, from 0; None: the only one.

    Returns:
        The volume ``[D, H, W, C]``. Without sform and qform its affine is None. Its notes say what may
        be wrong with where it lies: sform and qform that differ, none of them, axes that are oblique.

    Raises:
        ValueError: a file that cannot be read, is cut short or damaged; several volumes and none named;
            a broken affine; values that are not finite, or beyond 32 bits.
    """
    with _opened(path) as (file, stored):
        raw = _volume(file, stored, path, volume)
    x, y, z = stored.shape
    # In memory the first axis is the fastest: as numpy counts, the last.
    voxels = raw.reshape(z, y, x, stored.channels).transpose(2, 1, 0, 3)[..., :3]
    turned, affine = to_picture_axes(voxels, stored.affine)
    values = _converted(turned, stored, path)
    return Picture(
        values,
        affine if stored.placed else None,
        voxel_size(affine) if stored.spacing else (),
        notes=tuple(f"{path}: {line}" for line in stored.oddities),
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Stored]]:
    """The content behind the header, uncompressed; whatever is wrong is a line with the file's name."""
    try:
        with path.open("rb") as plain:
            compressed = plain.read(2) == GZIP
            stored = parse(_head(plain, compressed), str(path))
            size = path.stat().st_size * (_DEFLATE if compressed else 1)
            if size < (needed := stored.offset + stored.volumes * stored.volume_bytes):
                raise Explained(_short(path, f"{needed:,} bytes are needed"))
            plain.seek(0)
            file = Inflated(plain) if compressed else plain
            skip(file, stored.offset)
            yield file, stored
    except (EOFError, zlib.error) as error:
        raise ValueError(_short(path, str(error))) from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from error


def _head(plain: BinaryIO, compressed: bool) -> bytes:
    plain.seek(0)
    head = bytearray(HEADER_BYTES)
    count = fill(Inflated(plain) if compressed else plain, memoryview(head))
    return bytes(head[:count])


def _short(path: Path, why: str) -> str:
    return f"{path} is cut short or damaged ({why.rstrip('.')}): fetch or write it again"


def _volume(file: Any, stored: Stored, path: Path, volume: int | None) -> np.ndarray:
    """The bytes of one volume as a flat array of the stored type."""
    count = stored.volumes
    if volume is None and count > 1:
        raise Explained(
            f"{path} holds {count} volumes; name one, counted from 0: {path.name}#0 to "
            f"{path.name}#{count - 1}"
        )
    if volume is not None and not 0 <= volume < count:
        raise Explained(f"{path} has no volume {volume}: it holds {count}, counted from 0")
    skip(file, (volume or 0) * stored.volume_bytes)
    raw = np.empty(stored.volume_bytes, np.uint8)
    done = fill(file, memoryview(cast(Any, raw)))
    if done < len(raw):
        raise Explained(_short(path, f"{done:,} of {len(raw):,} bytes of voxels are there"))
    finish(file)
    return raw.view(stored.dtype)


def _converted(turned: np.ndarray, stored: Stored, path: Path) -> np.ndarray:
    """The values ``[D, H, W, C]`` in the type and with the scale that they are meant in."""
    values = np.empty(turned.shape, stored.read_dtype)
    whole = values.dtype.kind in "iu"
    if whole and values.itemsize < stored.dtype.itemsize:
        low, high = int(turned.min()), int(turned.max())
        if low < np.iinfo(values.dtype).min or high > np.iinfo(values.dtype).max:
            raise Explained(
                f"{path} holds whole numbers from {low} to {high}, beyond 32 bits: save it as float32"
            )
    broken = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for into, part in zip(values, turned, strict=True):  # a slice at a time stays in the cache
            if stored.slope is None:
                into[...] = part
            else:
                into[...] = part.astype(np.float64) * stored.slope + stored.intercept
            broken += 0 if whole else into.size - np.count_nonzero(np.isfinite(into))
    if broken:
        raise Explained(
            f"{path} holds {broken:,} values that are not finite (NaN or infinite) of {values.size:,}: "
            "replace them, such as by the value of air"
        )
    return values
