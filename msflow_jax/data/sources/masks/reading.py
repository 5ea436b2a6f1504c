"""One file of a mask to the class number of every pixel, or a line that says why it has none."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.decoding import is_turned, opened, rawmodes, read_file
from msflow_jax.data.sources.finding import suffix_of
from msflow_jax.data.sources.nifti import reading as nifti
from msflow_jax.data.sources.volumes.geometry import differences
from msflow_jax.data.sources.volumes.orientation import size_text
from msflow_jax.storage.archives import Explained

_LOSSY = ("JPEG", "WEBP", "MPO")
_WHITE = {"L;2": 85, "L;4": 17}  # what Pillow multiplies values of 2 and 4 bits by
LARGEST = 255


@dataclass(frozen=True)
class Mask:
    """What a file of a mask holds.

    Attributes:
        values: class numbers, uint8 ``[H, W]``, of a volume ``[D, H, W]``.
        affine: as of a ``Picture``; None of pictures.
        spacing: size of a pixel or voxel in mm; empty where not known.
        palette: colours by the number of their entry, of one whose entries are the classes.
    """

    values: np.ndarray
    affine: np.ndarray | None = None
    spacing: tuple[float, ...] = ()
    palette: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


def read_mask(path: Path) -> Mask:
    """Reads a mask: a lossless picture of one channel, or a NIfTI volume of labels.

    Raises:
        ValueError: unreadable, of colours, lossy, or values that are no numbers of classes; names the
            file, the value and what to do.
    """
    if suffix_of(path) in nifti.SUFFIXES:
        whole = nifti.read_nifti(path)
        return Mask(whole_numbers(whole.values, path), whole.affine, whole.spacing)
    data = read_file(path)
    with opened(io.BytesIO(data), path) as image:
        return _picture(image, path)


def _picture(image: Any, path: Path) -> Mask:
    refuse_lossy(image, path, "save masks as PNG, one number for each class")
    if getattr(image, "n_frames", 1) > 1:
        raise Explained(f"{path} holds {image.n_frames} pictures: a mask is one picture")
    turned = is_turned(image)
    stored = [_WHITE[mode] for mode in rawmodes(image) if mode in _WHITE]
    image.load()
    if turned:
        raise Explained(f"{path} is turned by its EXIF orientation: save it upright")
    if image.mode == "P":
        return _palette(image, path)
    values = np.asarray(image)
    if values.ndim == 3:
        colours = values[..., :3] if values.shape[-1] > 2 else values[..., :1]
        unlike = (colours != colours[..., :1]).any(axis=-1)
        if unlike.any():
            row, column = np.argwhere(unlike)[0]
            raise Explained(
                f"{path} is a mask of colours (row {row}, column {column} is "
                f"{tuple(colours[row, column].tolist())}): save one grey value for each class, 0, 1, 2, "
                "..., or a picture with a palette, whose entries are the classes"
            )
        values = colours[..., 0]
    if values.dtype == bool:
        values = values.astype(np.uint8)
    return Mask(whole_numbers(values[..., None] // (stored[0] if stored else 1), path))


def refuse_lossy(image: Any, path: Path, remedy: str) -> None:
    """Raises a ValueError with the remedy for a picture of a format that changes values."""
    if image.format in _LOSSY:
        raise Explained(f"{path} is {image.format}, which changes values: {remedy}")


def _palette(image: Any, path: Path) -> Mask:
    """Entries of a palette are classes, but of a grey one the greys are, as it is looked at.

    Its whole table decides, for a mask may hold none but the grey entries of one with colours.
    """
    index = np.asarray(image)
    table = np.zeros((256, 3), np.uint8)
    colours = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
    table[: len(colours)] = colours
    if (table == table[:, :1]).all():
        return Mask(whole_numbers(table[index][..., :1], path))
    used = {int(i): tuple(table[i].tolist()) for i in np.unique(index)}
    return Mask(whole_numbers(index[..., None], path), palette=used)


def whole_numbers(values: np.ndarray, path: Path) -> np.ndarray:
    """Values ``[*space, C]`` as class numbers, uint8 ``[*space]``.

    Raises:
        ValueError: several channels, fractions, or numbers outside 0..255; the value is named.
    """
    if values.shape[-1] != 1:
        raise Explained(f"{path} is a volume of colours: save one whole number for each class")
    flat = values[..., 0]
    if flat.dtype.kind == "f" and (odd := flat != np.rint(flat)).any():
        raise Explained(
            f"{path} holds {flat[odd][0]:g}, which is no whole number: a mask has a class number for "
            "each pixel. Of probabilities save the largest one's class; of masks that were resampled, "
            "resample again by the nearest neighbour"
        )
    low, high = (float(end) for end in (flat.min(), flat.max()))
    if low < 0 or high > LARGEST:
        raise Explained(
            f"{path} holds {low if low < 0 else high:g}, which is no class number: classes are 0, 1, "
            f"2, ..., at most {LARGEST}"
        )
    return np.ascontiguousarray(flat.astype(np.uint8))


def check_fits(image: Path, mask: Path, kind: str) -> None:
    """Refuses a mask that is not of the same pixels as its image; only headers are read.

    Args:
        image: file of the image.
        mask: file of its mask.
        kind: what the image is, see :class:`msflow_jax.data.sources.items.Item`.

    Raises:
        ValueError: another kind of file, another size, or of volumes another place in the patient.
    """
    of_volume = suffix_of(mask) in nifti.SUFFIXES
    if kind not in ("picture", "nifti"):
        what = {"dicom": "DICOM", "stack": "TIFF of several pages"}.get(kind, kind)
        raise ValueError(
            f"{image} is {what}, whose masks are not read: save image and mask as PNG, or of volumes "
            "as NIfTI (dcm2niix)"
        )
    if of_volume != (kind == "nifti"):
        wanted = "NIfTI" if kind == "nifti" else "a picture (PNG)"
        raise ValueError(f"{mask} is to be {wanted}, as its image {image} is")
    if of_volume:
        _check_grid(image, mask)
        return
    sizes = []
    for path in (image, mask):
        with opened(path, path) as picture:
            if path == image and is_turned(picture):
                raise Explained(
                    f"{image} is turned by its EXIF orientation, and whether its mask is too is not "
                    "known: save both upright"
                )
            sizes.append(f"{picture.height} x {picture.width}")
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{mask} is {sizes[1]}, its image {image} is {sizes[0]}: a mask has the pixels of its image"
        )


def _check_grid(image: Path, mask: Path) -> None:
    headers = [nifti.header(path) for path in (image, mask)]
    for path, header in zip((image, mask), headers, strict=True):
        if header.volumes > 1:
            raise ValueError(f"{path} holds {header.volumes} volumes: image and mask have one each")
    grids = [Picture(np.broadcast_to(np.uint8(0), h.shape), h.affine, h.spacing) for h in headers]
    if found := differences(*grids):
        raise ValueError(
            f"{mask} is not on the grid of its image {image}: {'; '.join(found)} "
            f"({size_text(grids[0].space)} voxels). Resample it by the nearest neighbour, or copy the "
            "image's header where it is the same grid"
        )
