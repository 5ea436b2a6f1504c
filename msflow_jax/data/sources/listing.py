"""The user's own images before they are read: a folder of class folders or a CSV, sorted into splits."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, digest
from msflow_jax.data.sources.images import SUFFIXES, find_images
from msflow_jax.data.splitting import VAL_PATTERN, assign
from msflow_jax.storage.places import expand

ALIASES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
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

    def fingerprint(self) -> str:
        """Returns the MD5 of names, labels, splits, and sizes of the files; none is read."""
        rows = zip(self.rows, self.labels, self.splits, strict=True)
        lines = [f"{r.name} {k} {split} {r.path.stat().st_size}\n" for r, k, split in rows]
        return digest("".join(sorted(lines)).encode())


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A sort key by which grade2 comes before grade10, and numbers before words."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p)) if p.isdecimal() else (1, p) for p in parts if p)


def list_folder(config: ConfigDict) -> Listing:
    """Lists a folder of images with one sub-folder per class.

    With ``train/`` and ``test/`` (and ``val/``, else 1/8 of train is cut off) these are the splits;
    without, images are cut 70/10/20 within each class, from the seed and the file names. Flips are
    off: what may be mirrored is not known here.

    Raises:
        FileNotFoundError: if there is no such folder, or nothing of the expected layout in it.
        ValueError: for a class folder without images, or a single class.
    """
    root = _root(config)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder at {root} (--config.data.root); {LAYOUT}")
    given = {ALIASES[d.name.lower()]: d for d in _folders(root) if d.name.lower() in ALIASES}
    if given and not {"train", "test"} <= set(given):
        raise FileNotFoundError(
            f"{root} has {', '.join(sorted(d.name for d in given.values()))} but not both train "
            f"and test; {LAYOUT}"
        )
    rows = [
        Row(file, file.relative_to(root).as_posix(), folder.name, "", split)
        for split, base in (given or {"": root}).items()
        for folder in _folders(base)
        for file in find_images(folder)
    ]
    if not rows:
        kinds = ", ".join(sorted(SUFFIXES))
        raise FileNotFoundError(f"no images in the sub-folders of {root}: {LAYOUT} ({kinds})")
    named = {folder.name for base in (given or {"": root}).values() for folder in _folders(base)}
    if empty := sorted(named - {row.label for row in rows}):
        raise ValueError(f"{root}: no image in the class folder {empty[0]}; remove it or fill it")
    return _sort(rows, root, config.seed)


def list_manifest(config: ConfigDict) -> Listing:
    """Lists the images of a CSV with the columns ``path,label[,patient][,split]``.

    Paths are relative to the CSV. Without a split column images are cut 70/10/20 within each class,
    never between the images of a patient; with one that has no val, 1/8 of train becomes val.

    Raises:
        FileNotFoundError: if the CSV or an image in it is missing.
        ValueError: for a malformed CSV, or a patient in two splits.
    """
    path = _root(config)
    if not path.is_file():
        raise FileNotFoundError(f"no manifest at {path} (--config.data.root)")
    rows = _read_csv(path)
    seen: dict[str, str] = {}
    if twice := [name for name, n in Counter(row.name for row in rows).items() if n > 1]:
        raise ValueError(f"{path} lists {twice[0]} more than once: keep one line for each image")
    for row in rows:
        if row.patient and seen.setdefault(row.patient, row.split) != row.split:
            raise ValueError(
                f"{path}: patient {row.patient} is in both {seen[row.patient]} and {row.split}: "
                "keep each patient in one split, or drop the split column to have it cut for you"
            )
    return _sort(rows, path, config.seed)


def _root(config: ConfigDict) -> Path:
    if not config.root:
        raise ValueError(f"data source {config.name!r} needs a path: --config.data.root=PATH")
    return expand(config.root)


def _folders(folder: Path) -> list[Path]:
    return sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))


def _read_csv(path: Path) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: save the manifest as CSV (UTF-8)") from error
    reader = csv.DictReader(text.splitlines(), strict=True)
    columns = set(reader.fieldnames or ())
    if not {"path", "label"} <= columns:
        raise ValueError(
            f"{path}: the header must have path,label and may have patient,split; "
            f"got {','.join(reader.fieldnames or ['nothing'])}"
        )
    try:
        rows = [_row(path, reader.line_num, line, columns) for line in reader]
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise ValueError(f"{path} lists no images below its header")
    return rows


def _row(path: Path, number: int, line: dict[str, str | None], columns: set[str]) -> Row:
    where = f"{path}, line {number}"
    cells = {key: (line[key] or "").strip() for key in columns if key}
    if empty := [key for key in sorted(cells) if not cells[key] and key in ("path", "label")]:
        raise ValueError(f"{where}: no {' and no '.join(empty)}")
    if "patient" in columns and not cells["patient"]:
        raise ValueError(f"{where}: no patient; fill the column or leave it out altogether")
    split = cells.get("split", "")
    if "split" in columns and split.lower() not in ALIASES:
        raise ValueError(f"{where}: split {split!r} is not one of {', '.join(SPLITS)}")
    file = path.parent / cells["path"]
    if not file.is_file():
        raise FileNotFoundError(f"{where}: no file {file} (paths are relative to the manifest)")
    split = ALIASES[split.lower()] if split else ""
    return Row(file, cells["path"], cells["label"], cells.get("patient", ""), split)


def _sort(rows: list[Row], root: Path, seed: int) -> Listing:
    """Names the classes, and cuts the splits where they are not given."""
    classes = tuple(sorted({row.label for row in rows}, key=natural))
    if len(classes) < 2:
        raise ValueError(f"{root}: one class only ({classes[0]}); at least 2 are needed. {LAYOUT}")
    labels = np.array([classes.index(row.label) for row in rows], np.int32)
    splits = np.array(_cut(rows, labels.tolist(), seed))
    _check_classes(rows, splits, root)
    return Listing(tuple(rows), classes, labels, splits, root)


def _cut(rows: list[Row], labels: list[int], seed: int) -> list[str]:
    """Returns each row's split: as given, with val cut off train where it is not."""
    groups = [row.patient or row.name for row in rows]
    splits = [row.split for row in rows]
    if not splits[0]:
        return assign(groups, labels, seed)
    if "val" in splits:
        return splits
    train = [i for i, split in enumerate(splits) if split == "train"]
    fresh = assign([groups[i] for i in train], [labels[i] for i in train], seed, VAL_PATTERN)
    for i, split in zip(train, fresh, strict=True):
        splits[i] = split
    return splits


def _check_classes(rows: list[Row], splits: np.ndarray, root: Path) -> None:
    for split in SPLITS:
        if split not in splits:
            raise ValueError(f"{root}: no image in the split {split}; train and test are needed")
    taught = {row.label for row, split in zip(rows, splits, strict=True) if split == "train"}
    for row, split in zip(rows, splits, strict=True):
        if row.label not in taught:
            raise ValueError(
                f"{root}: {row.name} in {split} has the label {row.label!r}, which is outside the "
                f"classes of train ({', '.join(sorted(taught, key=natural))})"
            )
