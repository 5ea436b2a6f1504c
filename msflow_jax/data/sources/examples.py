"""What files hold, from their headers alone: pictures, slices of volumes, volumes, each an ``Item``."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.slices import AXES, NO_SLICE
from msflow_jax.data.sources.cutting import NoVolume, cut, warn_of_slices
from msflow_jax.data.sources.dicom.directions import warn_of_directions
from msflow_jax.data.sources.dicom.listed import (
    LOCALISER,
    File,
    in_order,
    lies,
    names_of,
    plane_of,
    series_of,
    warn_of_odd_slices,
)
from msflow_jax.data.sources.dicom.odd import warn_of_intents
from msflow_jax.data.sources.dicom.order import SAME, check_apart
from msflow_jax.data.sources.dicom.reading import Header, read_dicom, read_header
from msflow_jax.data.sources.dicom.whose import group_of
from msflow_jax.data.sources.finding import PLAIN, find_images
from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.nifti import reading as nifti
from msflow_jax.data.sources.patients import Patients
from msflow_jax.data.sources.reading import kind_of
from msflow_jax.data.sources.volumes.orientation import to_picture_axes
from msflow_jax.data.sources.volumes.stacks import pages, read_stack
from msflow_jax.progress import track
from msflow_jax.storage.archives import Explained


def list_items(
    files: Sequence[Path], names: Sequence[str], wanted: Wanted, *, named: bool = False
) -> tuple[list[Item], dict[str, str]]:
    """The examples that files hold, in the order of the files.

    Of DICOM, the files of a series are one volume, and a file of several frames is one. A series along
    the axis of the slices gives its files, each read alone, so that one that lacks slices can be used
    too; one along another axis is read as a whole.

    Args:
        files: files, each once; ``FILE.nii.gz#3`` for one volume of a NIfTI file of four axes; a folder
            for the DICOM files in it.
        names: what tables call them.
        wanted: pictures or volumes, and which slices.
        named: whether a list says whom files show, so that nothing is said of what headers make of it.

    Returns:
        The examples, and the error of each file that cannot be used by its name.
    """
    found: list[Item] = []
    broken: dict[str, str] = {}
    pictures: dict[str, str] = {}
    dicoms: list[File] = []
    for at, path in enumerate(track(files, "Looking at files")):
        if wanted.dims == 2 and path.suffix.lower() in PLAIN:
            found.append(Item(names[at], (path,), given=at))
            continue
        try:
            for file in _within(File(at, path, names[at])):
                where, frame = nifti.split_volume(str(file.path))
                kind = kind_of(Path(where))
                if kind == "dicom":
                    dicoms.append(dataclasses.replace(file, header=read_header(file.path)))
                else:
                    item = Item(file.name, (Path(where),), kind, frame=frame, given=at)
                    found += _of_file(item, wanted)
        except NoVolume as error:
            pictures[names[at]] = str(error)
        except ValueError as error:
            broken[names[at]] = str(error)
    warn_of_intents((str(f.path), f.header.made.intent) for f in dicoms if f.header)
    warn_of_directions(  # a slice that has a place is brought upright
        (str(f.path), f.header.made.directions) for f in dicoms if f.header and not f.header.placed
    )
    series = series_of(dicoms)
    folders = Counter(folder for group in series for folder in {file.folder for file in group})
    folders.update(item.name.rpartition("/")[0] for item in found)
    for group, name in zip(series, names_of(series, folders), strict=True):
        try:
            found += _of_series(group, wanted, name)
        except NoVolume as error:
            pictures[group[0].name] = str(error)
        except ValueError as error:
            broken[group[0].name] = str(error)
    single = {i.paths[0] for i in found if i.part is None and i.number != NO_SLICE}
    warn_of_odd_slices([group for group in series if any(f.path in single for f in group)])
    patients = Patients.among([file.header for file in dicoms if file.header])
    found = [
        dataclasses.replace(item, group=patients.of.get(item.group, item.group)) for item in found
    ]
    if not named:
        patients.warn([str(file.path) for file in dicoms])
    found.sort(key=lambda item: (item.given, item.number))
    warn_of_slices(found, wanted)
    if found and pictures:  # planes of volumes lie beside them, in what is drawn here too
        warnings.warn(
            f"{len(pictures)} pictures among {len(found)} volumes are left out: "
            f"{next(iter(pictures))} for one",
            stacklevel=3,
        )
        return found, broken
    return found, {**broken, **pictures}


def _within(file: File) -> list[File]:
    """The file, or of a folder those in it."""
    if not file.path.is_dir():
        return [file]
    found, _ = find_images(file.path)
    if not found:
        raise Explained(f"{file.path} holds no image: name a file, or the folder of a DICOM series")
    names = [f"{file.name}/{path.relative_to(file.path).as_posix()}" for path in found]
    return [File(file.at, path, name) for path, name in zip(found, names, strict=True)]


def _of_file(item: Item, wanted: Wanted) -> list[Item]:
    """The examples of a file that is no DICOM."""
    path = item.paths[0]
    if item.kind == "nifti":
        header = nifti.header(path)
        if header.volumes > 1 and item.frame is None:
            raise Explained(
                f"{path} holds {header.volumes} volumes; name one, counted from 0: {path.name}#0 to "
                f"{path.name}#{header.volumes - 1}"
            )
        return cut(item, header.shape[:3], header.spacing, wanted)
    if item.kind == "stack":
        plain = wanted.dims == 3 or (wanted.slices.axis == "axial" and not wanted.spacing)
        whole = None if plain else read_stack(path)
        space = whole.space if whole else (pages(path), 1, 1)
        return cut(item, space, whole.spacing if whole else (), wanted)
    if wanted.dims == 3:
        raise NoVolume(path)
    return [item]


def _of_series(group: list[File], wanted: Wanted, name: str) -> list[Item]:
    """The examples of the files of one series, or of one file."""
    file, header = group[0], group[0].header
    assert header is not None
    common: dict[str, Any] = {
        "kind": "dicom", "group": group_of([one.header for one in group if one.header]),
        "modality": header.modality, "given": file.at,
        "lies": LOCALISER if header.scout else "",
    }  # fmt: skip
    if header.frames > 1:
        space: Sequence[int] = (1, 1, 1)
        spacing: Sequence[float] = ()
        if wanted.dims == 2:  # how many slices an axis has depends on where the frames lie
            whole = read_dicom(file.path, file.path)
            space, spacing = whole.space, whole.spacing
        return cut(Item(file.name, (file.path,), **common), space, spacing, wanted)
    if len(group) == 1:
        if wanted.dims == 3:
            raise NoVolume(file.path)
        return [Item(file.name, (file.path,), **{**common, "lies": lies(header)})]
    return _of_slices(group, header, common, wanted, name)


def _of_slices(
    group: list[File], header: Header, common: dict[str, Any], wanted: Wanted, name: str
) -> list[Item]:
    """The examples of a series of files: the volume, its files as slices, or slices across them."""
    affine = plane_of(header).affine()
    ordered, heights = in_order(group)
    listed = tuple(sorted({f.at for f in group}))
    whole = Item(name, tuple(f.path for f in ordered), all_given=listed, **common)
    if wanted.dims == 3:
        return cut(whole, (), (), wanted)
    step = float(np.median(np.diff(heights)))
    if step < SAME and (wanted.spacing or wanted.slices.spacing):  # they have no distance in mm
        names = [file.path.name for file in ordered]
        check_apart(heights, names, f"{group[0].path} and {len(group) - 1} more")
    sizes = (step, *(plane_of(header).spacing or (0.0, 0.0)))
    # Which of slices, rows and columns each axis of a volume is.
    stored = [n - 2 for n in to_picture_axes(np.empty((2, 3, 4)), affine)[0].shape]
    space = [(len(group), header.rows, header.columns)[n] for n in stored]
    spacing = [sizes[n] for n in stored] if min(sizes) > 0 else []
    if stored.index(0) != AXES[wanted.slices.axis] or wanted.spacing:
        return cut(whole, space, spacing, wanted)
    numbers = wanted.slices.numbers(space, spacing, name).tolist()
    return [
        Item(
            ordered[n].name, (ordered[n].path,), volume=name, number=n,
            **{**common, "given": ordered[n].at},
        )
        for n in numbers
    ]  # fmt: skip
