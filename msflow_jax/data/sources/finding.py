"""Which files of a folder are pictures to read, and what is left out."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from msflow_jax.data.sources.dicom import headers as dicom_headers
from msflow_jax.data.sources.nifti import reading as nifti
from msflow_jax.storage.text import file_stem

PAGED = frozenset((".tif", ".tiff"))  # may hold several pictures
PLAIN = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".pnm"))
SUFFIXES = PLAIN | PAGED | frozenset(nifti.SUFFIXES) | dicom_headers.SUFFIXES
_INDEX = "DICOMDIR"  # a list of the files beside it
_HEAD = 132  # bytes that tell DICOM
_MASKS = ("masks", "mask")  # folders beside or among the pictures, with the outlines drawn on them
_MASK_ENDS = ("_mask", "-mask", "_masks", "_segmentation", "_seg")


def find_images(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Lists the pictures under ``folder``, at any depth, and counts what is left out.

    Pictures are told by suffix, and DICOM files without a usual one, as scanners write them, by content.
    Hidden files and DICOMDIR are not read. Left out as masks are the files of a folder ``masks``, those
    of a folder ``mask`` or called ``x_mask`` where there is a picture ``x``.

    Returns:
        The files, sorted; and how many of what else there are.
    """
    found: list[Path] = []
    left: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            left["hidden pictures"] += suffix_of(path) in SUFFIXES and path.is_file()
            continue
        if path.name.upper() == _INDEX:
            continue
        if path.is_dir():
            left["linked folders"] += path.is_symlink()
        elif path.is_file() and (suffix_of(path) in SUFFIXES or _is_bare_dicom(path)):
            found.append(path)
        elif path.is_symlink() and not path.exists():
            left["broken links"] += 1
        else:
            left[f"{path.suffix.lower()} files" if path.suffix else "files without a suffix"] += 1
    parents = {path: {p.lower() for p in path.relative_to(folder).parts[:-1]} for path in found}
    stems = {path: stem_of(path) for path in found}
    pictures = {stems[p] for p in found if not parents[p] & set(_MASKS) and not bare_stem(stems[p])}
    files = [p for p in found if not _is_mask(p, parents[p], pictures)]
    left["masks"] += len(found) - len(files)
    return files, +left


def suffix_of(path: Path) -> str:
    """``.nii.gz`` of ``scan.nii.gz``; of others the usual one, in small letters."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def stem_of(path: Path) -> str:
    """``scan`` of ``scan.nii.gz`` and ``scan.png``."""
    return path.name[: -len(".nii.gz")] if suffix_of(path) == ".nii.gz" else path.stem


def file_names(names: Sequence[str]) -> list[str]:
    """Names of files without a suffix, one for each item: as it is called where that tells them apart.

    Args:
        names: of files, with their folders, of series or of images of an archive.

    Returns:
        Names of letters, digits and ``_``, no two of which differ in case alone; numbers stand before
        them where they would, or where nothing is left.
    """
    found = []
    for name in names:
        file = Path(name)
        plain = file.with_name(stem_of(file)) if suffix_of(file) in SUFFIXES else file
        found.append(file_stem(str(plain)))
    if all(found) and len({one.casefold() for one in found}) == len(found):
        return found
    return [f"{i:05d}_{one}" for i, one in enumerate(found)]


def _is_bare_dicom(path: Path) -> bool:
    """Whether a file without a suffix, or with a number as one (``1.2.840.10``), is DICOM."""
    if path.suffix and not path.suffix[1:].isdecimal():
        return False
    try:
        with path.open("rb") as file:
            return dicom_headers.is_dicom(file.read(_HEAD))
    except OSError:
        return False


def _is_mask(path: Path, parents: set[str], pictures: set[str]) -> bool:
    stem = stem_of(path)
    bare = bare_stem(stem)
    if "masks" in parents or (bare and bare in pictures):
        return True
    return "mask" in parents and (bare or stem) in pictures


def bare_stem(stem: str) -> str:
    """``x`` of the stem ``x_mask`` or ``x_mask_1``; empty for any other."""
    head, _, number = stem.rpartition("_")
    stem = head if head and number.isdecimal() else stem
    lower = stem.lower()
    return next((stem[: -len(end)] for end in _MASK_ENDS if lower.endswith(end)), "")


def in_words(left: Mapping[str, int]) -> str:
    """What is left out, most frequent first: ``3 .dcm files, 1 broken links``."""
    return ", ".join(f"{n} {what}" for what, n in sorted(left.items(), key=lambda e: (-e[1], e[0])))


def warn_of_left_out(folder: Path, left: Mapping[str, int]) -> None:
    """One line on what was left out of a folder, if anything was."""
    if left:
        read = ", ".join(sorted(SUFFIXES))
        warnings.warn(f"{folder}: left out {in_words(left)}; read are {read}", stacklevel=3)
