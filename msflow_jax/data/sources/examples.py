"""What files hold, from their headers alone: pictures, slices of volumes, volumes, each an ``Item``."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.slices import AXES
from msflow_jax.data.sources import nifti
from msflow_jax.data.sources.archives import Explained
from msflow_jax.data.sources.cutting import NoVolume, cut, warn_of_slices
from msflow_jax.data.sources.dicom import Header, read_dicom, read_header
from msflow_jax.data.sources.dicom_geometry import Plane
from msflow_jax.data.sources.finding import PLAIN, find_images
from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.orientation import to_picture_axes
from msflow_jax.data.sources.reading import kind_of
from msflow_jax.data.sources.stacks import pages, read_stack
from msflow_jax.progress import track


@dataclass(frozen=True)
class _File:
    """A listed file, or one of a listed folder: the name that tables have for it, and its header."""

    at: int
    path: Path
    name: str
    header: Header | None = None

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


def list_items(
    files: Sequence[Path], names: Sequence[str], wanted: Wanted
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

    Returns:
        The examples, and the error of each file that cannot be used by its name.
    """
    found: list[Item] = []
    broken: dict[str, str] = {}
    pictures: dict[str, str] = {}
    dicoms: list[_File] = []
    for at, path in enumerate(track(files, "Looking at files")):
        if wanted.dims == 2 and path.suffix.lower() in PLAIN:
            found.append(Item(names[at], (path,), given=at))
            continue
        try:
            for file in _within(_File(at, path, names[at])):
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
    series = _series(dicoms)
    folders = Counter(folder for group in series for folder in {file.folder for file in group})
    folders.update(item.name.rpartition("/")[0] for item in found)
    for group in series:
        try:
            found += _of_series(group, wanted, folders)
        except NoVolume as error:
            pictures[group[0].name] = str(error)
        except ValueError as error:
            broken[group[0].name] = str(error)
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


def _within(file: _File) -> list[_File]:
    """The file, or of a folder those in it."""
    if not file.path.is_dir():
        return [file]
    found, _ = find_images(file.path)
    if not found:
        raise Explained(f"{file.path} holds no image: name a file, or the folder of a DICOM series")
    names = [f"{file.name}/{path.relative_to(file.path).as_posix()}" for path in found]
    return [_File(file.at, path, name) for path, name in zip(found, names, strict=True)]


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


def _series(dicoms: Sequence[_File]) -> list[list[_File]]:
    """DICOM files by series and plane; what is no slice of a volume stands alone; no localisers."""
    groups: defaultdict[tuple, list[_File]] = defaultdict(list)
    scouts = [file for file in dicoms if file.header and file.header.scout]
    others = [file for file in dicoms if file not in scouts]
    for file in others or dicoms:
        header = file.header
        assert header is not None
        alone = not (header.series and header.placed) or header.frames > 1
        turn = () if alone else tuple(np.rint(_normal(header) * 100).tolist())
        key = (file.name,) if alone else (header.series, header.rows, header.columns, *turn)
        groups[key].append(file)
    if scouts and others:
        warnings.warn(
            f"{len(scouts)} localisers (made to plan the other pictures) are left out: "
            f"{scouts[0].path} for one",
            stacklevel=3,
        )
    return list(groups.values())


def _normal(header: Header) -> np.ndarray:
    """The direction across a slice, to the head, the back or the left, in DICOM's coordinates."""
    normal = _plane(header).normal
    return normal * np.sign(normal[np.abs(normal).argmax()])


def _plane(header: Header | None) -> Plane:
    assert header is not None and header.plane is not None  # as of every slice that has a place
    return header.plane


def _of_series(group: list[_File], wanted: Wanted, folders: Counter[str]) -> list[Item]:
    """The examples of the files of one series, or of one file."""
    file, header = group[0], group[0].header
    assert header is not None
    common: dict[str, Any] = {
        "kind": "dicom", "group": header.group, "modality": header.modality, "given": file.at,
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
        return [Item(file.name, (file.path,), **common)]
    return _of_slices(group, header, common, wanted, _series_name(group, folders))


def _of_slices(
    group: list[_File], header: Header, common: dict[str, Any], wanted: Wanted, name: str
) -> list[Item]:
    """The examples of a series of files: the volume, its files as slices, or slices across them."""
    normal, affine = _normal(header), _plane(header).affine()
    heights = np.array([_plane(file.header).position @ normal for file in group])
    ordered = [group[i] for i in np.argsort(heights, kind="stable")]
    whole = Item(name, tuple(f.path for f in ordered), **common)
    if wanted.dims == 3:
        return cut(whole, (), (), wanted)
    step = float(np.median(np.diff(np.sort(heights))))
    sizes = (step, *(_plane(header).spacing or (0.0, 0.0)))
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


def _series_name(group: list[_File], folders: Counter[str]) -> str:
    """The folder of a series if it has one of its own, else the name of its first file."""
    found = {file.folder for file in group}
    folder = min(found)
    if len(found) == 1 and folders[folder] == 1:
        return folder or group[0].path.parent.name  # the folder that was given
    return min(file.name for file in group)
