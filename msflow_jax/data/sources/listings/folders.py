"""The user's own images before they are read: a folder of class folders, sorted into splits."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import class_name, digest
from msflow_jax.data.oddities import warn_of_lookalikes
from msflow_jax.data.sources.finding import SUFFIXES, find_images, in_words, warn_of_left_out
from msflow_jax.data.sources.items import Item, facts_of
from msflow_jax.data.sources.listings.entries import ALIASES, check_all_split, natural
from msflow_jax.data.sources.listings.folder_checks import (
    TABLES,
    check_splits_above,
    refuse_masks,
    table_hint,
    warn_of_folders,
    warn_of_split_classes,
    warn_of_tables,
)
from msflow_jax.data.sources.listings.label_checks import check_classes, label_hint
from msflow_jax.data.sources.listings.split_words import split_of_set
from msflow_jax.data.sources.listings.subjects import examples_of, headers_hint, keep_together
from msflow_jax.data.sources.npz_headers import refuse_npz
from msflow_jax.data.splitting import VAL_PATTERN, assign
from msflow_jax.storage.content import printable
from msflow_jax.storage.places import expand

COLUMNS = ("path", "label", "patient", "split")  # of a manifest; others are facts on the images
LAYOUT = (
    "expected one sub-folder per class with images in it, or train/, test/ and maybe val/ with "
    "such class folders"
)


@dataclass(frozen=True)
class Row:
    """One image before it is read: where it is, what it shows, whom, and its split if given."""

    path: Path
    name: str
    label: str
    patient: str
    split: str
    facts: tuple[tuple[str, str], ...] = ()  # names and cells of further columns
    item: Item | None = None  # what is read; None: the file, as one picture

    @property
    def source(self) -> Item:
        """What is read for it."""
        return self.item or Item(self.name, (self.path,))


@dataclass(frozen=True)
class Listing:
    """Images of the user's own, sorted into splits and classes before any is read.

    Attributes:
        rows: one per image.
        classes: class names.
        labels: int32 ``[N]``.
        splits: name of each image's split, ``[N]``.
        root: where they were listed.
    """

    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    splits: np.ndarray
    root: Path

    def patients(self, index: np.ndarray) -> tuple[str, ...] | None:
        """Returns whom the images at these positions show, or None where the list does not say."""
        patients = tuple(self.rows[i].patient for i in index)
        return patients if all(patients) else None

    def facts(self, index: np.ndarray) -> dict[str, np.ndarray] | None:
        """Returns the further columns of the list at these positions by name, or None without one.

        Slices of volumes have ``volume`` and ``slice`` too.
        """
        rows = [dict(self.rows[i].facts) for i in index]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {n: np.array([row.get(n, "") for row in rows], np.str_) for n in names}
        return {**columns, **facts_of([self.rows[i].source for i in index])} or None

    def fingerprint(self) -> str:
        """Returns the MD5 of names, labels, splits, and sizes of the files; none is read."""
        rows = zip(self.rows, self.labels, self.splits, strict=True)
        lines = [f"{r.name} {k} {split} {r.source.bytes}\n" for r, k, split in rows]
        return digest("".join(sorted(lines)).encode())


def list_folder(config: ConfigDict) -> Listing:
    """Lists a folder of images with one sub-folder per class.

    With ``train/`` and ``test/`` (and ``val/``, else 1/8 of train is cut off) these are the splits;
    without, images are cut 70/10/20 within each class, by the seed and the file names; flips are off.

    Raises:
        FileNotFoundError: if there is no such folder, or nothing of the expected layout in it.
        ValueError: for a class folder without images, a single class, splits within classes, or masks.
    """
    root = root_of(config)
    if root.is_file():
        raise ValueError(
            f"{root} is a file, and the source `folder` reads folders: for a table of images add "
            "--config.data.name=manifest"
        )
    if not root.is_dir():
        what = "file" if root.suffix.lower() in TABLES else "folder"
        expected = "" if what == "file" else f"; {LAYOUT}"
        raise FileNotFoundError(f"no {what} at {root} (--config.data.root){expected}")
    given = given_splits(root)
    if given and not {"train", "test"} <= set(given):
        raise FileNotFoundError(
            f"{root} has {', '.join(sorted(d.name for d in given.values()))} but not both train "
            f"and test; {LAYOUT}"
        )
    rows: list[Row] = []
    bases = (given or {"": root}).items()
    left = _loose(dict.fromkeys([root, *given.values()]))
    for split, folder in ((split, folder) for split, base in bases for folder in _folders(base)):
        files, others = find_images(folder)
        left += others
        names = [printable(file.relative_to(root).as_posix()) for file in files]
        label = class_name(folder.name)
        rows += [Row(f, name, label, "", split) for f, name in zip(files, names, strict=True)]
    if not rows:
        found = f"; found: {in_words(left)}" if left else ""
        raise FileNotFoundError(
            f"no images in the sub-folders of {root}: {LAYOUT} ({', '.join(sorted(SUFFIXES))})"
            f"{found}{table_hint(root)}"
        )
    warn_of_left_out(root, left)
    warn_of_tables(root)
    if not given:
        warn_of_split_classes(_folders(root), root)
    named = {class_name(folder.name) for _, base in bases for folder in _folders(base)}
    if empty := sorted(named - {row.label for row in rows}):
        raise ValueError(f"{root}: no image in the class folder {empty[0]}; remove it or fill it")
    refuse_masks(rows, root)
    check_splits_above([row.path for row in rows], [base for _, base in bases])
    rows = examples_of(rows, config, root)
    keep_together(rows, root)
    warn_of_folders(rows, root, above=2 if given else 1)
    return sort_rows(rows, root, config.seed)


def root_of(config: ConfigDict) -> Path:
    if not config.root:
        raise ValueError(f"data source {config.name!r} needs a path: --config.data.root=PATH")
    return refuse_npz(expand(config.root))


def given_splits(root: Path) -> dict[str, Path]:
    """Folders that are splits, by the split; says which folders beside them are left out."""
    found: dict[str, Path] = {}
    for folder in _folders(root):
        split = ALIASES.get(folder.name.lower(), "")
        if split and split in found:
            raise ValueError(
                f"{root}: {found[split].name} and {folder.name} are both the split {split}: put their "
                "images into one of them"
            )
        if split:
            found[split] = folder
    # Such as "Training Set", where nothing is called by the plain word, and training and test are there.
    sets = {split_of_set(folder.name): folder for folder in reversed(_folders(root))}
    if {"train", "test"} <= {*found, *sets}:
        found = {split: folder for split, folder in (sets | found).items() if split}
    others = [folder.name for folder in _folders(root) if folder not in found.values()]
    if found and others:
        warnings.warn(
            f"{root}: left out beside {', '.join(found)}: folders {', '.join(others[:3])}"
            f"{', ...' if len(others) > 3 else ''}",
            stacklevel=4,
        )
    return found


def _loose(folders: Iterable[Path]) -> Counter[str]:
    """Counts files beside class folders, which are not read."""
    files = [p for d in folders for p in d.iterdir() if not p.is_dir() and p.name[0] != "."]
    return +Counter({"files outside class folders": len(files)})


def _folders(folder: Path) -> list[Path]:
    return sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))


def sort_rows(rows: list[Row], root: Path, seed: int, layout: str = LAYOUT) -> Listing:
    """Names the classes, and cuts the splits where they are not given.

    ``layout`` says in an error what was expected.

    Raises:
        ValueError: for a single class, a split without images, or a class that is not in train.
    """
    classes = tuple(sorted({row.label for row in rows}, key=natural))
    if root.is_file() and layout == LAYOUT:
        layout = "The column label names the class of each image"
    if len(classes) < 2:
        raise ValueError(f"{root}: one class only ({classes[0]}); at least 2 are needed. {layout}")
    warn_of_lookalikes(classes, "classes", root, words=True)
    patients = dict.fromkeys(row.patient for row in rows if row.patient)
    warn_of_lookalikes(list(patients), "patients, who may be in two splits", root)
    numbers = {name: k for k, name in enumerate(classes)}
    labels = np.array([numbers[row.label] for row in rows], np.int32)
    hint = label_hint(rows, layout != LAYOUT)
    splits = cut_rows(rows, labels.tolist(), seed, root, hint)
    check_classes(rows, splits, root, hint)
    if hint:
        warnings.warn(f"{root}{hint}", stacklevel=4)
    return Listing(tuple(rows), classes, labels, splits, root)


def cut_rows(
    rows: list[Row], labels: list[int], seed: int, root: Path, hint: str = ""
) -> np.ndarray:
    """Returns each row's split: as given, with val cut off train where it is not.

    Raises:
        ValueError: too few images, or only some with a split; names ``root``, of too few with ``hint``.
    """
    check_all_split([row.split for row in rows], lambda i: f"{root}: {rows[i].name}")
    try:
        return np.array(_cut(rows, labels, seed))
    except ValueError as error:
        raise ValueError(f"{root}: {error}{headers_hint(rows)}{hint}") from error


def _cut(rows: list[Row], labels: list[int], seed: int) -> list[str]:
    groups, splits = [row.patient or row.name for row in rows], [row.split for row in rows]
    if not splits[0]:
        return assign(groups, labels, seed)
    if "val" in splits:
        return splits
    train = [i for i, split in enumerate(splits) if split == "train"]
    fresh = assign([groups[i] for i in train], [labels[i] for i in train], seed, VAL_PATTERN)
    for i, split in zip(train, fresh, strict=True):
        splits[i] = split
    return splits
