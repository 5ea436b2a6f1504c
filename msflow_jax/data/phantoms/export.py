"""Phantoms as the files of a hospital: NIfTI volumes, DICOM series, pictures, a cohort's table."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.phantoms import volumes
from msflow_jax.data.phantoms.caching import truth_of
from msflow_jax.data.phantoms.cohort import SIDE, make
from msflow_jax.data.phantoms.examinations import CT, MODALITIES, REPORT, XRAY
from msflow_jax.data.phantoms.signals import SEQUENCES
from msflow_jax.data.phantoms.subjects import GRADES
from msflow_jax.data.sources.decoding import encode
from msflow_jax.data.sources.dicom.headers import pydicom_package
from msflow_jax.data.sources.nifti.writing import write_nifti
from msflow_jax.data.splitting import assign
from msflow_jax.progress import track
from msflow_jax.storage.atomic import check_new, new_folder, write_atomically
from msflow_jax.storage.text import write_csv

TABLE = "cohort.csv"
FORMATS = ("nifti", "dicom")
_ROOT = "2.25."  # of UIDs that are derived from a UUID, PS3.5 B.2
# DICOM's word, the SOP class of PS3.4 B.5 and what is taken off the values that are stored.
_KINDS = (("MR", "1.2.840.10008.5.1.4.1.1.4", 0), ("CT", "1.2.840.10008.5.1.4.1.1.2", -1024))
_EXPLICIT = "1.2.840.10008.1.2.1"  # little endian


def export(config: ConfigDict, folder: Path, ct: str = "dicom", mr: str = "nifti") -> Path:
    """Writes the phantom cohort of a data config: a folder for each subject, and the table.

    MR volumes are int16 in a scanner's own units (``signals.scanner_units``): white is 1000 times a gain
    that each subject has of its own, so that no value means a tissue by itself. CT has Hounsfield units,
    the X-ray is a PNG of 8 bits. ``data.name=cohort`` with the table as its root reads all of it, with
    the splits that phantoms have.

    Args:
        config: as for ``cohort.load``; ``withhold``, ``modality``, ``window``, ``dims`` and ``slices``
            are of reading and change nothing here.
        folder: a new folder.
        ct: one of ``FORMATS``.
        mr: one of them, too.

    Returns:
        The table.

    Raises:
        ValueError: as ``cohort.load``; the folder is not empty.
        ModuleNotFoundError: no package for NIfTI or DICOM; names the extra to install.
        OSError: the folder cannot be written.
    """
    check_new(folder)
    if "dicom" in (ct, mr):
        pydicom_package()  # what is missing is said before heads are made
    found, side = make(config, stored=True), config.side or SIDE
    truth = truth_of(found)
    names = [f"subject{number:05d}" for number in truth["subject"]]
    splits = assign(names, found["label"].tolist(), config.seed)
    rows = []
    with new_folder(folder) as place:
        for i, name in enumerate(track(names, "Writing phantoms", 8)):
            images = {m: found[m][i] for m in MODALITIES}
            paths = _write_subject(
                place, name, images, side, {CT: ct, **dict.fromkeys(SEQUENCES, mr)}
            )
            known = {n: a[i] for n, a in truth.items()}
            facts = {n: known[n] for n in known if n not in ("subject", "grade", REPORT)}
            label = {"label": GRADES[found["label"][i]]}
            whom = {"subject": name, "split": splits[i]}
            rows.append({**whom, **label, **paths, REPORT: str(known[REPORT]), **facts})
        write_csv(place / TABLE, rows)
    return folder / TABLE


def _write_subject(
    place: Path,
    name: str,
    images: Mapping[str, np.ndarray],
    side: int,
    formats: Mapping[str, str],
) -> dict[str, str]:
    """One subject's files, volumes in their formats; their paths in the table by modality."""
    (place / name).mkdir()
    paths = {}
    for modality, image in images.items():
        if modality == XRAY:
            paths[modality] = f"{name}/{modality}.png"
            write_atomically(place / paths[modality], encode(image))
        elif formats[modality] == "dicom":
            paths[modality] = f"{name}/{modality}"
            write_series(place / paths[modality], image[..., 0], side, name, modality)
        else:
            paths[modality] = f"{name}/{modality}.nii.gz"
            write_nifti(place / paths[modality], image, affine=volumes.affine(side))
    return paths


def write_series(
    folder: Path, volume: np.ndarray, side: int, patient: str, modality: str = CT
) -> None:
    """Writes a volume as an axial DICOM series of one file per slice, the same bytes every time.

    Args:
        folder: a new folder.
        volume: int16 ``[D, H, W]``: of CT Hounsfield units, not below -1024; of MR not negative.
        side: voxels along each axis, for their place in the head.
        patient: name and number of the phantom, which is no patient.
        modality: ``ct`` or the name of an MR contrast.
    """
    pydicom = pydicom_package()

    def uid(*words: object) -> str:
        text = " ".join(map(str, ("msflow_jax", patient, volume.shape, *words)))
        return f"{_ROOT}{uuid.uuid5(uuid.NAMESPACE_URL, text).int}"

    folder.mkdir()
    series = uid("series", hashlib.sha256(volume.tobytes()).hexdigest())
    first = volumes.affine(side)[:3, 3] * (-1, -1, 1)  # DICOM's x and y point left and back
    deep, down, across = volumes.voxel(side)
    kind, storage, intercept = _KINDS[modality == CT]
    number = (*SEQUENCES, CT).index(modality) + 1
    for k, values in enumerate(volume):
        made = pydicom.Dataset()
        made.file_meta = pydicom.dataset.FileMetaDataset()
        made.file_meta.TransferSyntaxUID = _EXPLICIT
        made.SOPClassUID, made.SOPInstanceUID = storage, uid(series, k)
        made.StudyInstanceUID, made.SeriesInstanceUID = uid("study"), series
        made.FrameOfReferenceUID = uid("frame")
        made.PatientName = made.PatientID = patient
        made.PatientIdentityRemoved, made.DeidentificationMethod = "YES", "phantom: no patient"
        made.SeriesDescription = f"PHANTOM {modality}: computed, shows no patient"
        made.Modality, made.ImageType = kind, ["DERIVED", "PRIMARY", "AXIAL"]
        made.Manufacturer = "msflow_jax"
        made.SeriesNumber, made.InstanceNumber = number, k + 1
        made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        made.ImagePositionPatient = [f"{v:.9g}" for v in (*first[:2], first[2] + k * deep)]
        made.PixelSpacing = [f"{v:.9g}" for v in (down, across)]
        made.SliceThickness = made.SpacingBetweenSlices = f"{deep:.9g}"
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.Rows, made.Columns = values.shape
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
        if modality == CT:  # MR has no unit to scale to
            made.RescaleIntercept, made.RescaleSlope, made.RescaleType = intercept, 1, "HU"
        made.PixelData = (values.astype(np.int32) - intercept).astype("<u2").tobytes()
        made["PixelData"].VR = "OW"
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, made, enforce_file_format=True)
        write_atomically(folder / f"{k:03d}.dcm", buffer.getvalue())
