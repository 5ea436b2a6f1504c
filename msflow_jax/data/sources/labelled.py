"""Labelled images from elsewhere, for a model that is trained: what external validation is made of."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msflow_jax.data.base import Info, Split, class_name
from msflow_jax.data.oddities import nearest
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.images import Sound, read_images, read_listed, read_sound_images
from msflow_jax.data.sources.items import Item, facts_of
from msflow_jax.data.sources.listings.folder_checks import warn_of_splits_within
from msflow_jax.data.sources.listings.manifest import list_rows
from msflow_jax.data.sources.listings.subjects import check_alike
from msflow_jax.storage.archives import read_npz
from msflow_jax.storage.places import expand, split_archive

_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?")  # a class's name that is one
_HINT = "save images and labels with numpy.savez, or name a split as FILE.npz:test"


def read_labelled(
    path: str | Path, info: Info, *, resize: bool = False, outside: bool = False
) -> Split:
    """Reads images with labels, mapped by the names of the classes of the training data.

    Args:
        path: a folder with one sub-folder per class; a CSV ``path,label[,patient]`` whose further
            columns, but for ``split``, are facts on the images; an .npz with ``images`` and
            ``labels``, or ``FILE.npz:test`` for ``test_images`` and ``test_labels``. Labels are class
            names; numbers in an .npz are those of the training data's classes, which is said, and
            refused where classes are called by other numbers. Not every class need be there.
        info: facts of the training data.
        resize: whether images of another size are brought to the model's, or refused.
        outside: whether a CSV may list images that lie outside its folder.

    Raises:
        FileNotFoundError: nothing there, or a listed image is missing.
        ValueError: a malformed CSV (see ``list_rows``), a label that is no class (it and the
            classes are named), slices of one series under two labels or patients, or images that
            cannot be read or do not fit.
    """
    if archive := split_archive(str(path)):
        return _of_archive(*archive, str(path), info, resize)
    path = expand(path)
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return _of_table(path, info, resize, outside)
    if not path.is_dir():
        raise FileNotFoundError(
            f"no folder, .csv or .npz with labelled images at {path} (--images)"
        )
    found = read_sound_images(path, info, resize=resize)
    refuse_broken(found.errors)
    names = found.names
    warn_of_splits_within(names, path)
    folders = [_class_folder(item, path) for item in found.items]
    return _split(found.images, _numbers(folders, names, info, path), names, *_facts(found))


def _class_folder(item: Item, root: Path) -> str:
    """The folder under ``root`` that an example lies in, which is its class; empty where in none.

    Raises:
        ValueError: slices of one series lie in folders of two classes; names a file of each.
    """
    inside = [path.relative_to(root) for path in item.paths]
    folders = [path.parts[0] if len(path.parts) > 1 else "" for path in inside]
    for path, folder in zip(inside, folders, strict=True):
        if class_name(folder) != class_name(folders[0]):
            raise ValueError(
                f"{root}: {inside[0].as_posix()} and {path.as_posix()} are slices of one series, but "
                "differ in label: put them into the folder of one class, or leave one out"
            )
    return folders[0]


def _of_archive(path: Path, split: str, given: str, info: Info, resize: bool) -> Split:
    images, names = read_images(given, info, resize=resize)
    key = f"{split}_labels" if split else "labels"
    labels = read_npz(path, [key], _HINT)[key]
    if labels.shape not in ((len(images),), (len(images), 1)):
        raise ValueError(
            f"{path}: {key} is {labels.dtype} {labels.shape}, expected one label for each of "
            f"{len(images)} images"
        )
    labels = labels.reshape(-1)
    if labels.dtype.kind == "U":
        return _split(images, _numbers(labels.tolist(), names, info, path), names)
    known = _known(info)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(info.classes):
        raise ValueError(
            f"{path}: {key} holds {labels.dtype} from {labels.min()} to {labels.max()}: the labels must "
            f"be class names or numbers of the classes of the run, {known}"
        )
    _tell_numbers(f"{path}: {key}", info)
    return _split(images, labels.astype(np.int32), names)


def _tell_numbers(where: str, info: Info) -> None:
    """A line on which number is taken for which class; refused where classes are called otherwise.

    Raises:
        ValueError: a number is the name of a class, and not of the one that it would be.
    """
    others = {name for k, name in enumerate(info.classes) if name != str(k)}
    if called := sorted(filter(_NUMBER.fullmatch, others)):
        raise ValueError(
            f"{where} holds numbers, and classes of the run are called by others ({_known(info)}), so "
            f"that {called[0]} may be a class's name or its number: save the names of classes as text"
        )
    if others:
        warnings.warn(f"{where}: labels are numbers: {_known(info)}", stacklevel=4)


def _of_table(path: Path, info: Info, resize: bool, outside: bool) -> Split:
    rows = list_rows(path, outside=outside, splits=False)
    names = tuple(row.name for row in rows)
    labels = _numbers([row.label for row in rows], names, info, path)
    files, known_by_name = [row.path for row in rows], all(row.patient for row in rows)
    found, given = read_listed(files, names, info, resize=resize, named=known_by_name)
    check_alike(rows, found.items, path)
    rows = [rows[i] for i in given]
    known, truth = _facts(found)
    named = tuple(row.patient for row in rows)
    facts = [dict(row.facts) for row in rows]
    truth = {**{c: np.array([row[c] for row in facts]) for c in facts[0]}, **(truth or {})}
    whom = named if all(named) else known
    return _split(found.images, labels[given], found.names, whom, truth or None)


def _facts(found: Sound) -> tuple[tuple[str, ...] | None, dict[str, np.ndarray] | None]:
    """Whom each image shows, where any file says so, and the volume and number of slices."""
    first: dict[str, str] = {}  # volume of each file of several
    for item in found.items:
        first.setdefault(item.file, item.volume)
    groups = tuple(
        item.group or (item.file and first[item.file]) or item.volume or item.name
        for item in found.items
    )
    return (None if groups == found.names else groups), facts_of(found.items) or None


def _split(
    images: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    groups: tuple[str, ...] | None = None,
    truth: dict[str, np.ndarray] | None = None,
) -> Split:
    return Split.of_images(images, labels, tuple(names), truth=truth, groups=groups)


def _numbers(labels: Sequence[str], names: Sequence[str], info: Info, source: Path) -> np.ndarray:
    """Numbers of classes by their names, int32 ``[N]``."""
    known = {class_name(name): k for k, name in enumerate(info.classes)}
    for label, name in zip(labels, names, strict=True):
        if class_name(label) not in known:
            meant = nearest(class_name(label), info.classes)
            raise ValueError(
                f"{source}: {name} has the label {label!r}, which is no class of the run: "
                f"{_known(info)}{meant and '; '}{meant}"
            )
    return np.array([known[class_name(label)] for label in labels], np.int32)


def _known(info: Info) -> str:
    return ", ".join(f"{k} = {name}" for k, name in enumerate(info.classes))
