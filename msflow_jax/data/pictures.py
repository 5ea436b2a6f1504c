"""A picture or volume as a file holds it, before its values become grey levels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Picture:
    """What every reader of files gives: values as they are meant, and where they lie in the patient.

    Axes of a volume: slices from the feet to the head, rows from the front to the back, columns from the
    patient's right to the left. That is an axial slice as a radiologist sees it, and how an axial DICOM
    series is stored. A volume of unknown orientation has no ``affine``.

    Attributes:
        values: ``[H, W, C]``, of a volume ``[D, H, W, C]``; C is 1 or 3. uint8 where the file states
            the range of 8 bits, else the values after rescale (Hounsfield units in CT): uint16, int16,
            int32, uint32 or float32. Black lies below white.
        affine: ``[4, 4]`` float64, from the index (d, h, w, 1) of a voxel to RAS millimetres (x to the
            right, y to the front, z up); of a single slice d is 0. None where the file does not say.
        spacing: size of a voxel in mm along each axis of space; empty where the file does not say.
        modality: DICOM's word, ``CT``, ``MR``, ``CR``, ...; empty where the file does not say.
        unit: unit of the values, ``HU`` or empty.
        missing: bool ``[*space]``: where there is no value (outside a scanner's circle), or None.
        group: whom it shows, as a salted hash that identifies nobody; empty where the file does not say.
        photometric: of a DICOM object in grey its PhotometricInterpretation, which says whether it was a
            negative; empty of anything else.
        study: of DICOM, a hash that the files of one study share.
        alike: of DICOM, as ``group``, but one for numbers that differ only in how they are written.
        notes: what was decided in reading it and a user should know, a line each.
        intent: whether DICOM made it ``FOR PROCESSING`` or ``FOR PRESENTATION``; empty of anything else.
        aspect: distance of rows and of columns where only their ratio is known, of a loop those of its
            frames; the lesser is 1. Empty where ``spacing`` says it, where they are equal or not known.
        directions: of a DICOM picture without a place where its rows and columns go, as ``L\\F``; empty
            of anything else.
    """

    values: np.ndarray
    affine: np.ndarray | None = None
    spacing: tuple[float, ...] = ()
    modality: str = ""
    unit: str = ""
    missing: np.ndarray | None = None
    group: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)
    intent: str = ""
    aspect: tuple[float, ...] = ()
    directions: str = ""
    photometric: str = ""
    study: str = ""
    alike: str = ""

    @property
    def dims(self) -> int:
        """Axes of space: 2, of a volume 3."""
        return self.values.ndim - 1

    @property
    def space(self) -> tuple[int, ...]:
        """Size along each axis of space."""
        return self.values.shape[:-1]

    @property
    def proportions(self) -> tuple[float, ...]:
        """``spacing``, or of a picture ``aspect``: what tells whether pixels are square."""
        return self.spacing or (self.aspect if self.dims == 2 else ())

    @property
    def known(self) -> np.ndarray:
        """The values ``[M]`` that are there, without padding."""
        if self.missing is None:
            return self.values.reshape(-1)
        return self.values[~self.missing].reshape(-1)
