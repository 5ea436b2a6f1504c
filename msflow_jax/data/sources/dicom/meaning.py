"""How the stored values of a DICOM object are to be read, by its header alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from msflow_jax.data.sources.dicom.headers import first, get, items, modality, number
from msflow_jax.data.sources.dicom.windows import count_windows
from msflow_jax.storage.archives import Explained

if TYPE_CHECKING:
    from pydicom import Dataset

_ONE_OF_TWO = "has only one of RescaleSlope and RescaleIntercept"
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # what storage classes of secondary captures begin with


@dataclass(frozen=True)
class Meaning:
    """How the stored values of one frame are read; frames of equal ``Meaning`` are read alike.

    Attributes:
        colour: whether they are colours, or 8 bits, that are taken as they are.
        bits: how many bits are used of each.
        signed: whether they have a sign.
        slope: what they are multiplied by.
        intercept: what is added then.
        unit: unit of the result, ``HU`` or empty.
        kind: what the header calls the unit.
        padding: smallest and largest stored value that stand for none, or None.
        inverted: whether black lies above white (MONOCHROME1).
        notes: what to tell of it, as ends of a sentence that begins with the file.
    """

    colour: bool = False
    bits: int = 8
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""
    kind: str = ""
    padding: tuple[float, float] | None = None
    inverted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the stored values are the values."""
        return self.slope == 1 and self.intercept == 0


def meanings(found: Dataset, frames: int, path: Path) -> list[Meaning]:
    """How the values of each frame are read, by the header alone.

    Raises:
        ValueError: a slope of 0, one of two missing in CT, more bits than are read, or a picture whose
            parts are the slices of a volume.
    """
    _refuse_tiles(found, frames, path)
    stated, kind = number(found, "BitsStored", path), get(found, "PhotometricInterpretation")
    bits, signed = int(stated or 0), number(found, "PixelRepresentation", path, 0) == 1
    if stated is None:  # as of floats
        bits, signed = 32, True
    if not 1 <= bits <= 32:
        raise Explained(f"{path} has values of {bits} bits; read are 1 to 32")
    high = number(found, "HighBit", path, bits - 1)
    if bits > 1 and stated is not None and high != bits - 1:
        raise Explained(
            f"{path} stores {bits} bits below bit {high:g}, which is not read: save it uncompressed"
        )
    if kind == "PALETTE COLOR" or get(found, "SamplesPerPixel") == 3:
        return [Meaning(colour=True, bits=8 if kind == "PALETTE COLOR" else bits)] * frames
    common = Meaning(
        bits=bits,
        signed=signed,
        padding=_padding(found, path),
        inverted=kind == "MONOCHROME1",
        notes=_notes(found),
    )
    groups = items(found, "PixelValueTransformationSequence", frames)
    known: dict[int, Meaning] = {}
    for group in groups:  # mostly one and the same
        if id(group) not in known:
            known[id(group)] = _rescaled(common, found, group, path)
    return [known[id(group)] for group in groups]


def _refuse_tiles(found: Dataset, frames: int, path: Path) -> None:
    """Refuses a picture that shows the slices of a volume side by side, as Siemens stores EPI.

    Its place and its pixel size would be taken for those of one slice. A picture of the screen stays a
    picture, whatever it shows, and an object of many frames has its slices as frames. Other scanners
    than those of MR call pictures that were stitched together so.
    """
    kinds = re.split(r"\W+", str(get(found, "ImageType") or "").upper())
    captured = str(get(found, "SOPClassUID") or "").startswith(_SECONDARY)
    if "MOSAIC" in kinds and frames == 1 and modality(found) in ("MR", "") and not captured:
        raise Explained(
            f"{path} holds the slices of a volume as tiles (a Siemens mosaic): convert it with "
            "dcm2niix, which makes a NIfTI volume of it"
        )


def _notes(found: Dataset) -> tuple[str, ...]:
    notes = []
    kind = modality(found)
    windows = count_windows(found)
    if windows and kind != "CT":
        words = "a window" if windows == 1 else f"{windows} windows"
        notes.append(
            f"has {words} in its header, not applied (read_dicom(..., window=0) would): values go "
            "through the intensity map of the data set"
        )
    if get(found, "DoseGridScaling") is not None:
        notes.append("is a dose whose DoseGridScaling is not applied: its values are as stored")
    grey = str(get(found, "PhotometricInterpretation") or "").strip()
    shape = str(get(found, "PresentationLUTShape") or "").strip().upper()
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != (grey == "MONOCHROME1"):
        notes.append(
            f"is {grey} with PresentationLUTShape {shape}, which contradict each other: {grey} is "
            "believed; is it a negative?"
        )
    return tuple(notes)


def _rescaled(common: Meaning, found: Dataset, group: Dataset, path: Path) -> Meaning:
    """Adds slope, intercept and unit."""
    slope, intercept = (number(group, key, path) for key in ("RescaleSlope", "RescaleIntercept"))
    ct = modality(found) == "CT"
    notes = list(common.notes)
    kind = str(get(group, "RescaleType") or "").strip()[:16]
    if first(found, "ModalityLUTSequence") is not None:
        slope, intercept, kind = 1.0, 0.0, "LUT"
    elif slope is None and intercept is None:
        if ct:
            notes.append("is CT without rescale: its values are not Hounsfield units")
        slope, intercept, ct = 1.0, 0.0, False
    elif slope is None or intercept is None:
        if ct:
            raise Explained(f"{path} {_ONE_OF_TWO}: its Hounsfield units are not known; correct it")
        notes.append(f"{_ONE_OF_TWO}: 1 and 0 are taken for what is missing")
    if slope == 0:
        raise Explained(
            f"{path} has a RescaleSlope of 0, so that all values would be one: correct it"
        )
    unit = "HU" if ct and kind in ("", "HU") else ""
    if ct and not unit:
        notes.append("is CT whose values are no Hounsfield units by its RescaleType")
    return replace(
        common,
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        unit=unit,
        kind=kind if kind not in ("US", "HU") else "",
        # A value in Hounsfield units means the same, however it is to be shown.
        inverted=common.inverted and not unit,
        notes=tuple(notes),
    )


def _padding(found: Dataset, path: Path) -> tuple[float, float] | None:
    for prefix in ("", "Float", "DoubleFloat"):
        value = get(found, f"{prefix}PixelPaddingValue")
        if value is None or value == "":
            continue
        first = number(found, f"{prefix}PixelPaddingValue", path) or 0.0
        last = number(found, f"{prefix}PixelPaddingRangeLimit", path, first) or 0.0
        return first, last
    return None
