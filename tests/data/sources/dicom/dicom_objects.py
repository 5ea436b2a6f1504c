"""DICOM objects and series made in a test, with a telling header, and a search for what it tells.

``SECRETS`` must be found in nothing that is written: call ``search_secrets`` on a workdir made from such
files. Names of files and folders are not secret.
"""

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from msflow_jax.data.sources.dicom.reading import read_dicom

NAME, PATIENT, ACCESSION = "Geheimnis^Zacharias", "PID-47Q11-0815", "ACC998877"
BIRTH, STUDY, PLACE = "19370912", "20190317", "St. Telltale Infirmary"
ROOT = "1.2.826.0.1.3680043.9.7777"  # of all UIDs
SECRETS = (  # none of them only hexadecimal digits and short: salted hashes may hold such by chance
    *("Geheimnis", "Zacharias", PATIENT, "47Q11", ACCESSION, "Telltale", ROOT),
    *(f"{d[:4]}{s}{d[4:6]}{s}{d[6:]}" for d in (BIRTH, STUDY) for s in ("", "-", ".")),
)
PLANES = {  # along a row and along a column, in DICOM's axes (left, back, up)
    "axial": ((1, 0, 0), (0, 1, 0)),
    "axial from above": ((1, 0, 0), (0, -1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "sagittal, upside down": ((0, -1, 0), (0, 0, 1)),
}
RAMP = np.arange(12, dtype=np.int16).reshape(3, 4) * 100
WHERE = Path("scan.dcm")


def make_dataset(values, *, series=1, instance=1, patient=PATIENT, modality="CT", **extra):
    """A data set of one object, uncompressed.

    Args:
        values: stored values ``[H, W]``, ``[H, W, 3]`` or, of several frames, ``[F, H, W]``; the type
            decides bits and sign.
        series: part of the UID.
        instance: part of the UID.
        patient: the PatientID.
        modality: what it says; CT gets rescale to Hounsfield units.
        **extra: more elements by keyword; None takes one away.
    """
    import pydicom

    values = np.asarray(values)
    colour = values.ndim >= 3 and values.shape[-1] == 3
    found = pydicom.Dataset()
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    found.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    found.SOPInstanceUID = f"{ROOT}.3.{series}.{instance}"
    # Each patient has a study; without a patient it is that of the usual one.
    who = "" if patient in (None, PATIENT) else patient.strip()
    found.StudyInstanceUID = f"{ROOT}.1" + (f".{zlib.crc32(who.encode())}" if who else "")
    found.SeriesInstanceUID = f"{ROOT}.2.{series}"
    found.PatientName, found.PatientID, found.PatientBirthDate = NAME, patient, BIRTH
    found.AccessionNumber, found.StudyDate, found.InstitutionName = ACCESSION, STUDY, PLACE
    found.StudyDescription = f"for {NAME}"
    found.Modality = modality
    found.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    found.SamplesPerPixel = 3 if colour else 1
    found.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        found.PlanarConfiguration = 0
    if values.ndim == 3 + colour:
        found.NumberOfFrames = len(values)
    found.Rows, found.Columns = values.shape[-2 - colour : values.ndim - colour]
    bits = 8 * values.dtype.itemsize
    if values.dtype.kind == "f":
        found.BitsAllocated, found.FloatPixelData = bits, values.tobytes()
    else:
        found.BitsAllocated, found.BitsStored, found.HighBit = bits, bits, bits - 1
        found.PixelRepresentation = int(values.dtype.kind == "i")
        found.PixelData = values.tobytes() + bytes(values.nbytes % 2)
        found["PixelData"].VR = "OW" if bits > 8 else "OB"
    if modality == "CT":
        found.RescaleSlope, found.RescaleIntercept = 1, -1024
    for keyword, value in extra.items():
        if value is not None:
            setattr(found, keyword, value)
        elif keyword in found:
            delattr(found, keyword)
    return found


def save(found, path):
    """Writes a data set to a file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
    return Path(path)


def encoded(found):
    """The bytes of a data set's file."""
    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def make_object(path, values, **options):
    """Writes one object; options as of :func:`make_dataset`."""
    return save(make_dataset(values, **options), path)


def make_series(
    folder, volume, *, spacing=(2.0, 0.7, 0.6), plane="axial", origin=(0, 0, 0), **options
):
    """Writes a volume as a series whose files are not in the order of its slices.

    Args:
        folder: where the files go.
        volume: stored values ``[D, H, W]`` on the axes of a ``Picture``.
        spacing: in mm, along D, H and W.
        plane: in which plane it is cut: a key of ``PLANES``, or the directions along a row and a column.
        origin: of the first voxel in DICOM's mm (left, back, up).
        **options: as of :func:`make_dataset`.

    Returns:
        The files, in the order of the slices along their normal.
    """
    row, column = (np.array(direction) for direction in PLANES.get(plane, plane))
    normal = np.cross(row, column)
    axes = [2 - int(np.abs(d).argmax()) for d in (normal, column, row)]  # of the volume
    cut = np.asarray(volume).transpose(axes)
    first = np.array(origin, float)  # of the first pixel of the first slice
    for axis, direction in enumerate((normal, column, row)):
        if direction.sum() < 0:
            cut = np.flip(cut, axis)
            first -= direction * (cut.shape[axis] - 1) * spacing[axes[axis]]
    paths = []
    for i, values in enumerate(cut):
        position = first + normal * i * spacing[axes[0]]
        own = {
            "ImagePositionPatient": [f"{v:.6g}" for v in position],
            "ImageOrientationPatient": [*map(float, (*row, *column))],
            "PixelSpacing": [spacing[axes[1]], spacing[axes[2]]],
            "SliceThickness": 9.0,
            "instance": i + 1,
        }
        name = f"{i * 7919 % 1009:04d}.dcm"
        paths.append(
            make_object(Path(folder) / name, np.ascontiguousarray(values), **own | options)
        )
    return paths


def search_secrets(folder, secrets=SECRETS):
    """Which secrets stand in which files under a folder, also within archives; [] where none does."""
    found = []
    for path in sorted(Path(folder).rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        parts = [content]
        if content[:2] == b"\x1f\x8b":
            parts.append(gzip.decompress(content))
        if content[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                parts += [archive.read(name) for name in archive.namelist()]
        for part in parts:
            text = part.decode("latin-1").lower()
            wide = part.replace(b"\x00", b"").decode("latin-1").lower()
            found += [f"{path}: {s}" for s in secrets if s.lower() in text or s.lower() in wide]
    return sorted(set(found))


def read(found, **options):
    """A data set through a file's bytes."""
    return read_dicom(encoded(found), WHERE, **options)


def mono(values, **extra):
    """As :func:`make_dataset`, of MR: without rescale."""
    return make_dataset(values, **{"modality": "MR", **extra})
