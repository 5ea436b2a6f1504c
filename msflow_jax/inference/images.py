"""Drawn images as files: PNG, NIfTI with the values that grey levels stand for, DICOM captures."""

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from msflow_jax.data import Info
from msflow_jax.data.intensity import Intensity

# Suffix, and the package that writes it.
_FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"png": (".png", ""), "nifti": (".nii.gz", "nibabel"), "dicom": (".dcm", "pydicom")}
)
FORMATS = tuple(_FORMATS)


def choose_format(requested: str, dims: int) -> str:
    """The format of drawn images: as requested, or PNG for pictures and NIfTI for volumes.

    Args:
        requested: one of ``FORMATS``; empty: the usual one.
        dims: axes of space of the images.

    Raises:
        ValueError: an unknown format, or NIfTI for pictures.
        ModuleNotFoundError: the package that writes it is not installed.
    """
    found = requested or ("nifti" if dims == 3 else "png")
    if found not in _FORMATS:
        raise ValueError(f"unknown format {found!r}: choose one of {', '.join(_FORMATS)}")
    if found == "nifti" and dims == 2:
        raise ValueError("NIfTI is for volumes, and this model draws pictures: choose png or dicom")
    package = _FORMATS[found][1]
    if package and find_spec(package) is None:
        raise ModuleNotFoundError(
            f"the format {found} needs {package}, which is not installed: "
            "pip install 'msflow_jax[medical]'"
        )
    return found


def write_image(stem: Path, image: np.ndarray, info: Info, kind: str, description: str) -> Path:
    """Writes one drawn image.

    A PNG has grey levels, of a volume those of its three middle planes. A NIfTI file has the values that
    the grey levels stand for (Hounsfield units of CT, as whole numbers) on the training grid; where that
    has no known size of a voxel, 1 mm. A DICOM capture has grey levels, is marked as synthetic and of no
    patient.

    Args:
        stem: path of the file without its suffix.
        image: uint8 ``[*space, C]``.
        info: facts on the data of the model.
        kind: one of ``FORMATS``, see :func:`choose_format`.
        description: what the image shows, for formats that can say so.

    Returns:
        The path of the file.
    """
    path = stem.with_name(stem.name + _FORMATS[kind][0])
    if kind == "nifti":
        from msflow_jax.data.sources.nifti.writing import write_nifti

        return write_nifti(path, to_values(image, info.intensity()), spacing=info.spacing)
    if kind == "dicom":
        from msflow_jax.data.sources.dicom.writing import write_capture

        return write_capture(path, image, spacing=info.spacing, description=description)
    return write_planes(path, image, info)


def write_planes(path: Path, image: np.ndarray, info: Info) -> Path:
    """Writes an image as PNG, of a volume its three middle planes beside each other.

    Args:
        path: path of the file; its folder is made.
        image: uint8 ``[*space, C]``.
        info: facts on the data of the model.

    Returns:
        ``path``.
    """
    from msflow_jax.data.sources.decoding import encode
    from msflow_jax.reports.planes import flat

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(flat(image[None], info.spacing)[0]))
    return path


def to_values(image: np.ndarray, intensity: Intensity) -> np.ndarray:
    """The values of uint8 grey levels: these themselves, int16 Hounsfield units, or float32."""
    if intensity.kind == "full":
        return image
    values = intensity.to_values(image)
    whole = intensity.unit == "HU" and np.abs(values).max(initial=0) < np.iinfo(np.int16).max
    return np.rint(values).astype(np.int16) if whole else values


def unsized(names: Sequence[str], count: int, where: str) -> str:
    """A line on volumes without a known size of a voxel; empty where there are none.

    Args:
        names: of these volumes.
        count: how many volumes there are in all.
        where: what says so beside their files.
    """
    if not names:
        return ""
    return (
        f"the size of a voxel is not known of {len(names)} of {count} volumes ({names[0]}): their files "
        f"say 1 mm, which stands for not known ({where})"
    )


def warn_of_unsized(entries: Sequence[Mapping[str, Any]], record: str) -> None:
    """That line on the entries of a record whose ``spacing`` is None."""
    names = [one["name"] for one in entries if one.get("spacing", ()) is None]
    if line := unsized(names, len(entries), f"spacing is null in {record}"):
        warnings.warn(line, stacklevel=3)


def describe_files(info: Info, kind: str) -> dict[str, Any]:
    """What a record says of the files: format, mm of a voxel, and what a grey level stands for."""
    intensity = info.intensity()
    return {
        "format": kind,
        "spacing": list(info.spacing) or None,  # not known
        "intensity": intensity.to_dict(),
        "values": "values" if kind == "nifti" and intensity.kind != "full" else "grey levels",
        "unit": intensity.unit if kind == "nifti" else "",
    }
