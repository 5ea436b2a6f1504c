"""Any file that holds a picture or a volume to a ``Picture``; which kind it is, its content decides."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.slices import AXES, Slices
from msflow_jax.data.sources.decoding import decode, read_file
from msflow_jax.data.sources.dicom.reading import SUFFIXES, is_dicom, read_dicom, read_header
from msflow_jax.data.sources.dicom.series import group_series, read_series
from msflow_jax.data.sources.finding import PAGED, PLAIN
from msflow_jax.data.sources.items import Item
from msflow_jax.data.sources.nifti.reading import is_nifti, read_nifti, split_volume
from msflow_jax.data.sources.volumes.geometry import to_spacing
from msflow_jax.data.sources.volumes.orientation import to_picture_axes, voxel_size
from msflow_jax.data.sources.volumes.stacks import pages, read_stack
from msflow_jax.data.split import OpensLater

KEPT = 1 << 29  # bytes of volumes that each process keeps, of which slices are asked for
_HEAD = 4096  # bytes of a file that tell what it is


def kind_of(path: Path) -> str:
    """What reads a file: ``dicom``, ``nifti``, ``stack`` (TIFF of several pages) or ``picture``.

    Raises:
        ValueError: it cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix in PLAIN:
        return "picture"
    if suffix in PAGED:
        return "stack" if pages(path) > 1 else "picture"
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from error
    if is_nifti(head) or path.name.lower().endswith((".nii", ".nii.gz")):
        return "nifti"
    return "dicom" if suffix in SUFFIXES or is_dicom(head) else "picture"


def read_picture(path: Path) -> Picture:
    """Reads one picture or volume; a slice alone as :func:`read_item` reads one.

    Args:
        path: a file of any kind that is read; ``FILE.nii.gz#3`` for one volume of a NIfTI file of four
            axes; a folder whose DICOM files are one series.

    Raises:
        ValueError: it cannot be read, or a folder holds no series or several; names it.
    """
    if path.is_dir():
        return _read_folder(path)
    file, frame = split_volume(str(path))
    where = Path(file)
    return read_item(Item(path.name, (where,), kind_of(where), frame=frame))


def read_item(item: Item) -> Picture:
    """Reads one example; of a volume the slice that it is. See :class:`Reader` for many slices.

    A DICOM slice whose place is known lies as the same slice of its series does, also where it is alone.

    Raises:
        ValueError: it cannot be read.
    """
    whole = _read_whole(item)
    return whole if item.part is None else _slice_of(whole, item)


class Reader(OpensLater):
    """Reads items; keeps the last volumes, so that one of 150 slices is not decoded 150 times.

    Args:
        kept: bytes of volumes that are kept; the last one always is.
    """

    def __init__(self, kept: int = KEPT):
        super().__init__()
        self._kept = kept

    def __call__(self, item: Item) -> Picture:
        """As :func:`read_item`."""
        if item.part is None:
            return _read_whole(item)
        key = (item.paths, item.frame, item.spacing)
        whole = self._open.pop(key, None) or _read_whole(item)
        self._open[key] = whole  # the last one asked for is the last to go
        room = self._kept - whole.values.nbytes
        for other in [k for k in reversed(list(self._open)) if k != key]:
            room -= self._open[other].values.nbytes if other in self._open else 0
            if room < 0:
                self._open.pop(other, None)
        return _slice_of(whole, item)


def _slice_of(whole: Picture, item: Item) -> Picture:
    """The slice of a volume that an item is."""
    return cut(tell_squares(whole, item.axis, item.paths[0]), item.axis, int(item.part or 0))


def tell_squares(volume: Picture, axis: str, place: Path | str) -> Picture:
    """A volume with a note where the pixels of its slices are taken for squares and may be none."""
    if axis == "axial" or volume.spacing or volume.dims != 3:
        return volume
    line = (
        f"{place} does not say how large its voxels are: pixels of {axis} slices are taken for squares; "
        "where slices are thicker than pixels are wide they are squashed: write the size into the file"
    )
    return dataclasses.replace(volume, notes=(*volume.notes, line))


def cut(volume: Picture, axis: str, number: int) -> Picture:
    """One slice of a volume as it is looked at, with the size of its pixels."""
    slices = Slices(axis)
    missing = volume.missing
    return Picture(
        np.ascontiguousarray(slices.take(volume.values, number)),
        spacing=slices.pixel(volume.spacing),
        modality=volume.modality,
        unit=volume.unit,
        missing=None if missing is None else slices.take(missing[..., None], number)[..., 0],
        group=volume.group,
        study=volume.study,
        alike=volume.alike,
        notes=volume.notes,
        intent=volume.intent,
        photometric=volume.photometric,
        aspect=volume.aspect if axis == "axial" else (),
    )


def _read_whole(item: Item) -> Picture:
    path = item.paths[0]
    if item.kind == "dicom":
        whole = read_series(item.paths) if len(item.paths) > 1 else read_dicom(path, path)
        whole = upright(whole)
    elif item.kind == "nifti":
        whole = read_nifti(path, volume=item.frame)
    elif item.kind == "stack":
        whole = read_stack(path)
    else:
        whole = Picture(decode(read_file(path), path))
    if item.spacing and whole.dims == 3:
        whole = to_spacing(whole, item.spacing, str(path))
    return whole


def upright(picture: Picture) -> Picture:
    """A single slice whose place is known as :func:`cut` gives it; anything else as it is."""
    if picture.dims == 3 or picture.affine is None:  # such as secondary captures and X-rays
        return picture
    # Where only the ratio of rows and columns is known, it is turned as sizes in mm are.
    place = picture.affine @ np.diag((1.0, *(picture.aspect or (1.0, 1.0)), 1.0))
    turned, affine = to_picture_axes(picture.values[None], place)
    lies = next(name for name, axis in AXES.items() if turned.shape[axis] == 1)
    missing = picture.missing
    if missing is not None:
        missing = to_picture_axes(missing[None], place)[0]
    sizes = voxel_size(affine)
    volume = dataclasses.replace(
        picture, values=turned, affine=affine, spacing=sizes, missing=missing, aspect=()
    )
    found = dataclasses.replace(
        cut(volume, lies, 0), affine=_slice_affine(affine, lies, len(turned))
    )
    if picture.spacing:
        return found
    return dataclasses.replace(found, spacing=(), aspect=found.spacing if picture.aspect else ())


def _slice_affine(affine: np.ndarray, axis: str, height: int) -> np.ndarray:
    """The affine of the slice that ``Slices.take`` cuts of a volume of one, ``height`` voxels high."""
    across = AXES[axis]
    found = affine[:, [across, *(n for n in range(3) if n != across), 3]]
    if axis != "axial":  # the head is above
        found[:, 3] += (height - 1) * found[:, 1]
        found[:, 1] *= -1
    return found


def _read_folder(folder: Path) -> Picture:
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    found = [p for p in files if p.name.upper() != "DICOMDIR" and kind_of(p) == "dicom"]
    if not found:
        raise ValueError(f"{folder} holds no DICOM files: name a file, or the folder of one series")
    series = group_series(read_header(path) for path in found)
    if len(series) > 1:
        raise ValueError(
            f"{folder} holds {len(series)} series of DICOM files: give each a folder of its own"
        )
    return upright(read_series(found))
