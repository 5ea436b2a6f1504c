"""TIFF files of several pages as volumes: each page is a slice.

What the pages are only the programs say that wrote them, ImageJ and OME, each in the first page's
description: pages that are channels or times are no slices.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.decoding import check_pixels, opened, read_file, values_of
from msflow_jax.data.sources.volumes.orientation import MAX_VOXELS
from msflow_jax.storage.archives import Explained

UNPLACED = (
    "a TIFF does not say how it lies in the patient: its pages are taken as axial slices, from the feet "
    "to the head"
)
_MAX_PAGES = 1 << 16
_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION = 270, 282, 283
_MM = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3,
    "\\u00b5m": 1e-3, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "centimeter": 10.0, "m": 1000.0,
}  # fmt: skip


class _Said(NamedTuple):
    """What a description says: pictures in all, channels, times, and the size of voxels in mm."""

    images: int = 0
    channels: int = 1
    times: int = 1
    spacing: tuple[float, ...] = ()


def pages(path: Path) -> int:
    """How many pictures a file holds, from its headers; of a camera's picture with its preview 1.

    Raises:
        ValueError: as ``decoding.decode``, where the header shows it.
    """
    with opened(path, path) as image, path.open("rb") as file:
        if image.format == "TIFF":
            count = _count(file, path)
        else:
            count = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        # ImageJ writes what is above 4 GiB as one page, with the others behind it.
        return max(count, _said(getattr(image, "tag_v2", {})).images)


def read_stack(path: Path) -> Picture:
    """Reads a TIFF of several pages as a volume.

    Args:
        path: the file. Its pages have one size and one type, each of those that a picture may have.

    Returns:
        ``[D, H, W, C]``, the first page at D = 0; where it lies is not known. Its voxel size is known
        where ImageJ or OME say it; the resolution of other files is for printing.

    Raises:
        ValueError: another format, a page that cannot be read, pages of different size or type, or that
            are channels or times.
    """
    data = read_file(path)
    with opened(io.BytesIO(data), path) as image:
        if image.format != "TIFF":
            raise Explained(f"{path} is a {image.format} file; of pictures only a TIFF is a volume")
        count = _count(io.BytesIO(data), path)
        said = _said(image.tag_v2)  # type: ignore[attr-defined]
        _check_slices(said, count, path)
        first = values_of(image, data, path)
        if count * first.size > MAX_VOXELS:
            raise Explained(f"{path} has {count} pages of {first.size:,} values: shrink it")
        values = np.empty((count, *first.shape), first.dtype)
        values[0] = first
        for number in range(1, count):
            image.seek(number)
            check_pixels(image.width * image.height, path)
            page = values_of(image, data, path)
            if (page.shape, page.dtype) != (first.shape, first.dtype):
                raise Explained(
                    f"{path}: page {number + 1} is {_text(page)}, the first one {_text(first)}; the "
                    "pages of a volume have one size and type"
                )
            values[number] = page
    return Picture(values, spacing=said.spacing, notes=(f"{path}: {UNPLACED}",))


def _count(file: BinaryIO, path: Path) -> int:
    """How many pages the directories of a TIFF lead to; Pillow ends without a word where one is cut."""
    order = ">" if file.read(2) == b"MM" else "<"

    def read(kind: str) -> int:
        size = struct.calcsize(kind)
        if len(found := file.read(size)) < size:
            raise Explained(f"{path} is cut short within its pages: fetch or write it again")
        return struct.unpack(order + kind, found)[0]

    big = read("H") == 43
    if big:
        file.seek(8)
    count, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen: set[int] = set()
    while at := read(offset):
        if at in seen or len(seen) > _MAX_PAGES:
            raise Explained(
                f"{path} has pages that lead to each other, or more than {_MAX_PAGES:,}"
            )
        seen.add(at)
        file.seek(at)
        file.seek(read(count) * entry, io.SEEK_CUR)
    return len(seen)


def _check_slices(said: _Said, count: int, path: Path) -> None:
    if said.channels > 1 or said.times > 1:
        raise Explained(
            f"{path} holds {said.channels} channels and {said.times} times, as its description says: "
            "its pages are not the slices of one volume; save one channel and time, with the slices as Z"
        )
    if said.images > count:
        raise Explained(
            f"{path} says that it holds {said.images} pictures, and has {count} pages: save it with a "
            "page for each"
        )


def _said(tags: Mapping[int, Any]) -> _Said:
    text = str(tags.get(_DESCRIPTION, ""))
    if text.startswith("ImageJ="):
        return _imagej(text, tags)
    return _ome(text) if "<OME" in text else _Said()


def _imagej(text: str, tags: Mapping[int, Any]) -> _Said:
    given = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def whole(name: str) -> int:
        return int(given[name]) if given.get(name, "").isdecimal() else 1

    sizes = [
        given.get("spacing", ""),
        *(tags.get(tag, 0) for tag in (_Y_RESOLUTION, _X_RESOLUTION)),
    ]
    numbers = [_number(v) for v in sizes]
    millimetres = _unit(given.get("unit", ""))
    spacing: tuple[float, ...] = ()
    if millimetres and all(numbers):
        # Resolution is in pixels for each unit.
        spacing = tuple(millimetres * v for v in (numbers[0], 1 / numbers[1], 1 / numbers[2]))
    return _Said(whole("images"), whole("channels"), whole("frames"), spacing)


def _ome(text: str) -> _Said:
    # No parser of XML: a hostile file may make one take all memory.
    found = re.findall(r"<Pixels\b([^>]*)>", text)
    given = dict(re.findall(r'(\w+)="([^"]*)"', found[0])) if found else {}

    def whole(name: str) -> int:
        return int(given[name]) if given.get(name, "").isdecimal() else 1

    samples = re.search(r'SamplesPerPixel="(\d+)"', text)
    channels = whole("SizeC") // max(int(samples[1]) if samples else 1, 1)
    numbers = [
        _number(given.get(f"PhysicalSize{axis}", ""))
        * _unit(given.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "ZYX"
    ]
    spacing = tuple(numbers) if all(numbers) else ()
    return _Said(0, max(channels, 1) * len(found), whole("SizeT"), spacing)


def _number(given: Any) -> float:
    """A positive number, or 0."""
    try:
        value = float(given)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return value if 0 < value < np.inf else 0.0


def _unit(name: str) -> float:
    """Millimetres of a unit of length; 0 if it is none."""
    return _MM.get(name.strip().lower().replace("â", ""), 0.0)


def _text(page: np.ndarray) -> str:
    return f"{' x '.join(map(str, page.shape))} {page.dtype}"
