"""Reads one DICOM object, as a picture or as a volume; series are read by ``series``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msflow_jax.data.pictures import Picture
from msflow_jax.data.sources.decoding import read_file
from msflow_jax.data.sources.dicom import geometry
from msflow_jax.data.sources.dicom.headers import (
    SUFFIXES,
    NoPicture,
    first,
    get,
    is_dicom,
    modality,
    parse,
    reading,
    without_pixels,
)
from msflow_jax.data.sources.dicom.meaning import Meaning, meanings
from msflow_jax.data.sources.dicom.odd import Made, odd_rescale
from msflow_jax.data.sources.dicom.order import order
from msflow_jax.data.sources.dicom.pixels import pixels, size
from msflow_jax.data.sources.dicom.values import to_values
from msflow_jax.data.sources.dicom.whose import Whose
from msflow_jax.data.sources.dicom.windows import windowed
from msflow_jax.data.sources.volumes.orientation import odd_size
from msflow_jax.storage.archives import Explained

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["SUFFIXES", "Header", "NoPicture", "is_dicom", "read_dicom", "read_header"]


@dataclass(frozen=True)
class Header:
    """What a DICOM file says of its pictures; nothing in it identifies a patient.

    Attributes:
        path: the file.
        series: equal for the files of a series: a salted hash; empty where the file does not say.
        modality: DICOM's word, such as ``CT``; empty where the file does not say.
        group: whom it shows, as of a ``Picture``.
        study: as of a ``Picture``.
        alike: as of a ``Picture``.
        frames: how many pictures.
        rows: size of a picture.
        columns: size of a picture.
        placed: whether its one picture has a position in the patient, as a slice of a series has.
        scout: whether it is a localiser, made to plan the others.
        plane: where its one picture lies; None of several.
        made: how its first picture was made.
    """

    path: Path
    series: str
    modality: str
    group: str
    study: str
    alike: str
    frames: int
    rows: int
    columns: int
    placed: bool
    scout: bool
    plane: geometry.Plane | None = field(default=None, compare=False)
    made: Made = field(default=Made(), compare=False)


def read_header(path: Path) -> Header:
    """Reads the header of a file and no pixels.

    Raises:
        NoPicture: a sound file without pictures, such as a report; a ValueError.
        ValueError: no DICOM, or damaged; names the file.
        ModuleNotFoundError: pydicom is not installed.
    """
    with reading(path):
        found = parse(None, path)
        if get(found, "Rows") is None:
            raise without_pixels(found, path)
        frames, rows, columns, _ = size(found, path)
        rules = meanings(
            found, frames, path
        )  # what has no meaning is refused before pixels are read
        plane = geometry.planes(found, 1)[0][0] if frames == 1 else None
        whose = Whose.of(found)
        return Header(
            path=path,
            series=whose.series,
            modality=whose.modality,
            group=whose.group,
            study=whose.study,
            alike=whose.alike,
            frames=frames,
            rows=rows,
            columns=columns,
            placed=plane is not None and plane.placed,
            scout=is_scout(found),
            plane=plane,
            made=Made.of(found, rules[0]),
        )


def is_scout(found: Dataset) -> bool:
    """Whether an object is a localiser."""
    return "LOCALIZER" in str(get(found, "ImageType") or "").upper()


def read_dicom(data: bytes | Path, path: Path, *, window: int | None = None) -> Picture:
    """Reads one object.

    One picture is ``[H, W, C]``, upright as it is stored. Several are a volume ``[D, H, W, C]``, on the
    axes of a ``Picture`` where each has a position, else (a film, a loop of ultrasound) in the order of
    the file and without a place. Values are those after rescale, in CT Hounsfield units; no window of
    the header is applied unless it is asked for. 1 to 8 bits without rescale state their range, which
    becomes 0..255; so do palettes.

    Args:
        data: content of the file, or the file.
        path: where it came from, for errors and notes.
        window: which window or table of the header to apply, from 0; the result is uint8.

    Raises:
        ValueError: an object that is damaged, has no pixels or is not read; names the file.
        ModuleNotFoundError: pydicom is not installed.
    """
    # Outside of the lock: the rest is one thread's at a time.
    content = data if isinstance(data, bytes) else read_file(data)
    with reading(path):
        found = parse(content, path)
        stored, decoded = pixels(found, path)
        frames = len(stored)
        rules = meanings(found, frames, path)
        lies, notes = geometry.planes(found, frames)
        step = None
        names = [f"frame {i + 1}" for i in range(frames)]
        made = [Made.of(found, rule) for rule in rules]
        odd = odd_rescale(made, names, modality(found))
        if frames > 1 and all(p.placed for p in lies):
            sequence, step = order(lies, names, str(path))
            stored = stored[sequence]
            rules = [rules[i] for i in sequence]
            lies = [lies[i] for i in sequence]
        values, missing = _values(found, stored, rules, path, window)
        ratio, unsound = geometry.aspect(found)
        said = [decoded, *rules[0].notes, odd, *notes, unsound]
        whose = Whose.of(found)
        common: dict[str, Any] = {
            "modality": whose.modality,
            "unit": rules[0].unit if window is None else "",
            "group": whose.group,
            "study": whose.study,
            "alike": whose.alike,
            "intent": made[0].intent,
            "photometric": made[0].photometric,
            "directions": "" if lies[0].placed else made[0].directions,
            "aspect": ratio if step is None else (),  # planes of a volume may be cut across
        }
    if frames == 1:
        lie = lies[0]
        # Of pixels of 1 mm where their size is not known: it lies as it would in its series.
        affine = lie.affine() if lie.placed else None
        lines = tuple(odd_size(lie.spacing, values.shape[1:3]))
        spot = geometry.Placed(
            values[0], None if missing is None else missing[0], affine, lie.spacing, lines
        )
    elif step is not None:
        spot = geometry.placed(values, missing, lies[0], step)
    else:
        note = (
            "has frames without positions (a film or a loop): kept in their order, without a place"
        )
        spot = geometry.Placed(values, missing, None, (), (note,))
    told = tuple(f"{path} {line}" for line in dict.fromkeys([*said, *spot.notes]) if line)
    return Picture(
        spot.values, spot.affine, spot.spacing, missing=spot.missing, notes=told, **common
    )


def _values(
    found: Dataset, stored: np.ndarray, rules: list[Meaning], path: Path, window: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    table = found if first(found, "ModalityLUTSequence") is not None else None
    if window is not None and rules[0].colour:
        raise Explained(f"{path} is in colour, which no window applies to")
    if window is None:
        return to_values(list(stored), rules, path, table)
    # The window comes before black and white are exchanged.
    upright = [replace(rule, inverted=False) for rule in rules]
    values, missing = to_values(list(stored), upright, path, table)
    grey = windowed(values, found, window, path)
    return (255 - grey if rules[0].inverted else grey), missing
