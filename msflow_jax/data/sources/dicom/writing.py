"""Writes grey levels as a DICOM secondary capture, marked as synthetic and of no patient."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.sources.dicom.headers import pydicom_package, reading
from msflow_jax.storage.atomic import write_atomically

# SOP classes of PS3.4 B.5: one picture, grey frames of 8 bits, frames in colour.
_SINGLE = "1.2.840.10008.5.1.4.1.1.7"
_GREY_FRAMES = "1.2.840.10008.5.1.4.1.1.7.2"
_COLOUR_FRAMES = "1.2.840.10008.5.1.4.1.1.7.4"
_EXPLICIT = "1.2.840.10008.1.2.1"  # little endian
SYNTHETIC = "SYNTHETIC: drawn by a model, shows no patient"


def write_capture(
    path: Path, grey: np.ndarray, *, spacing: Sequence[float] = (), description: str
) -> Path:
    """Writes one image or volume; ``dicom.reading.read_dicom`` gives it back.

    Every file is of a study and a series of its own, with new UIDs that derive from nothing. It has no
    date.

    Args:
        path: file to write or to replace, atomically.
        grey: uint8 ``[H, W, C]``, or a volume ``[D, H, W, C]`` axes as of a ``Picture``; C is 1 or 3.
        spacing: size of a voxel in mm along each axis of space; empty where it is not known.
        description: what was drawn and by what, in words; follows the mark in ``ImageComments``.

    Returns:
        ``path``.

    Raises:
        ValueError: another type, shape or spacing.
        ModuleNotFoundError: pydicom is not installed.
        OSError: the file cannot be written; what was there is kept.
    """
    dims = grey.ndim - 1
    if grey.dtype != np.uint8 or dims not in (2, 3) or grey.shape[-1] not in (1, 3):
        raise ValueError(
            "a DICOM capture is written of uint8 [H, W, C] or [D, H, W, C] with 1 or 3 colours, got "
            f"{grey.dtype} {list(grey.shape)}"
        )
    if max(grey.shape) >= 1 << 16 or min(grey.shape) < 1:
        raise ValueError(f"a DICOM capture has 1 to 65535 rows and columns, got {list(grey.shape)}")
    if spacing and (len(spacing) != dims or not all(np.isfinite(s) and s > 0 for s in spacing)):
        raise ValueError(f"spacing needs {dims} positive numbers, got {list(spacing)}")
    pydicom = pydicom_package()
    with reading():
        found = _described(pydicom, grey, description)
        if dims == 3:
            _add_frames(pydicom, found, len(grey), spacing)
        elif spacing:
            found.PixelSpacing = [_short(s) for s in spacing]
        found.PixelData = grey.tobytes() + b"\x00" * (grey.size % 2)
        found["PixelData"].VR = "OB"
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, found, enforce_file_format=True)
    return write_atomically(path, buffer.getvalue())


def _described(pydicom: Any, grey: np.ndarray, description: str) -> Any:
    """The header of a capture without pixels."""
    new = pydicom.uid.generate_uid
    colours = grey.shape[-1]
    found = pydicom.Dataset()
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = _EXPLICIT
    found.SpecificCharacterSet = "ISO_IR 192"
    found.SOPClassUID = (
        _SINGLE if grey.ndim == 3 else _GREY_FRAMES if colours == 1 else _COLOUR_FRAMES
    )
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(found, keyword, new(entropy_srcs=None))
    found.ImageType = ["DERIVED", "SECONDARY"]
    found.Modality = "OT"
    found.ConversionType = "SYN"
    found.BurnedInAnnotation = "NO"
    found.SeriesDescription = SYNTHETIC
    found.ImageComments = f"{SYNTHETIC}. {description}"[:10240]
    found.Manufacturer = "msflow_jax"
    found.PatientIdentityRemoved = "YES"
    found.DeidentificationMethod = "synthetic: there is no patient"
    for keyword in (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate"),
        *("StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientOrientation"),
    ):
        setattr(found, keyword, "")
    found.SeriesNumber, found.InstanceNumber = 1, 1
    found.SamplesPerPixel = colours
    found.PhotometricInterpretation = "MONOCHROME2" if colours == 1 else "RGB"
    if colours == 3:
        found.PlanarConfiguration = 0
    found.Rows, found.Columns = grey.shape[-3:-1]
    found.BitsAllocated, found.BitsStored, found.HighBit = 8, 8, 7
    found.PixelRepresentation = 0
    return found


def _add_frames(pydicom: Any, found: Any, count: int, spacing: Sequence[float]) -> None:
    """Makes it a capture of several frames, with their place where the size of a voxel is known."""
    found.NumberOfFrames = count
    found.FrameIncrementPointer = 0x00182001
    found.PageNumberVector = list(range(1, count + 1))
    if found.SOPClassUID == _GREY_FRAMES:
        found.PresentationLUTShape = "IDENTITY"
        found.RescaleIntercept, found.RescaleSlope, found.RescaleType = 0, 1, "US"
    if not spacing:
        return

    def item(**values: Any) -> Any:
        made = pydicom.Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    between, *within = spacing
    found.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[
                item(PixelSpacing=[_short(s) for s in within], SpacingBetweenSlices=_short(between))
            ],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        )
    ]
    found.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, _short(i * between)])])
        for i in range(count)
    ]


def _short(value: float) -> str:
    """A number in the 16 characters that DICOM allows."""
    return f"{value:.9g}"
