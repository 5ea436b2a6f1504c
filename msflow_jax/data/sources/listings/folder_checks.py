"""What folders of images seem to say and is not read: splits within a class, folders of patients."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msflow_jax.data.base import SPLITS, class_name
from msflow_jax.data.sources.finding import bare_stem, stem_of
from msflow_jax.data.sources.listings.entries import ALIASES
from msflow_jax.data.sources.listings.split_words import called_as_splits
from msflow_jax.storage.text import first_of

if TYPE_CHECKING:
    from msflow_jax.data.sources.listings.folders import Row

_TABLE = "list the images in a CSV (--config.data.name=manifest) with a column"
_PICTURES = {"image", "images", "img", "imgs", "picture", "pictures", "scan", "scans", "volumes"}
_DRAWN = {
    "mask", "masks", "label", "labels", "segmentation", "segmentations", "seg", "segs", "annotation",
    "annotations", "groundtruth", "ground_truth", "ground truth", "gt", "lesions", "contours",
}  # fmt: skip
# What one person's images are called: P00_0, CNV-1016042-1, person1_virus_6; no counter as img_001 is.
_SERIES = re.compile(r"(.*\d.*[\W_][^\W\d_]*)(?<!\d)0*\d{1,4}(\D*)")
_FEWEST = 5  # names of persons; fewer may be sites, or kinds of images
_NO_NAMES = ("..", "/")
Folder = tuple[str, ...]
TABLES = (".csv", ".tsv")
_NAMED = 3  # tables in a line
_HEADER = 4096  # letters of a table's first line that are looked at


def table_hint(root: Path) -> str:
    """What to say of tables of images in a folder, for an error; empty without one."""
    found = []
    for path in sorted(p for p in root.iterdir() if p.suffix.lower() in TABLES and p.is_file()):
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            if {"path", "label"} <= set(re.split(r"[,\t]", file.readline(_HEADER).strip())):
                found.append(str(path))
    named = first_of(found, _NAMED)
    return f"; tables of images: {named}: name one, --config.data.root={found[0]}" if found else ""


def warn_of_tables(root: Path) -> None:
    """A line on tables of images beside class folders, which may say more than these."""
    if hint := table_hint(root):
        warnings.warn(f"{root}: its class folders are read{hint}", stacklevel=4)


def refuse_masks(rows: Sequence[Row], root: Path) -> None:
    """Refuses classes of which one is pictures and another masks of them, by names of folders and files.

    Args:
        rows: the images.
        root: where they were listed.

    Raises:
        ValueError: there are such; names a file of each.
    """
    stems: dict[str, dict[str, str]] = {}
    for row in rows:
        stem = stem_of(row.path)
        stems.setdefault(row.label, {}).setdefault(bare_stem(stem) or stem, row.name)
    pictures = {
        k: v for label in stems if label.lower() in _PICTURES for k, v in stems[label].items()
    }
    for label, names in stems.items():
        both = names.keys() & pictures.keys()
        if label.lower() in _DRAWN and 2 * len(both) > len(names):
            first = min(both)
            raise ValueError(
                f"{root}: {names[first]} has the name of {pictures[first]}, and so have {len(both)} of "
                f"{len(names)} files in {label}, which would be a class: these are images with masks: "
                "train with --config=own_masks, which takes folders images and masks, or leave "
                f"{label} out"
            )


def warn_of_split_classes(folders: Sequence[Path], root: Path) -> None:
    """A line on folders of classes that are called as if they were splits, such as ``1_train``.

    Args:
        folders: the folders of classes.
        root: where they are.
    """
    if called := called_as_splits(folder.name.lower() for folder in folders):
        warnings.warn(
            f"{root}: the folders {first_of(called, _NAMED)} are called as splits and are taken for "
            "classes: if they are splits, call them train, val and test, with class folders in each",
            stacklevel=4,
        )


def check_splits_above(files: Sequence[Path], bases: Sequence[Path]) -> None:
    """Refuses folders within those of classes that are called as splits, which would be mixed.

    A single one may be anything, and gives a line.

    Args:
        files: the images, in ``BASE/CLASS/...``.
        bases: the folders that hold class folders.

    Raises:
        ValueError: several classes have one, or one has several.
    """
    found = {
        base / parts[0] / parts[1]
        for base in bases
        for parts in (file.relative_to(base).parts for file in files if file.is_relative_to(base))
        if len(parts) > 2 and parts[1].lower() in ALIASES
    }
    if not found:
        return
    first = min(found)
    if len(found) > 1:
        raise ValueError(
            f"{first} lies in the folder of a class ({len(found)} folders do that are called as splits)"
            ", where splits are not looked for, so that all would be mixed and cut again: put splits "
            f"above classes (train/CLASS, test/CLASS), or {_TABLE} split"
        )
    warnings.warn(
        f"{first} is called as a split and lies in the folder of a class: its images are cut into "
        f"splits as all others are; put splits above classes, or {_TABLE} split",
        stacklevel=4,
    )


def warn_of_splits_within(names: Sequence[str], root: Path) -> None:
    """A line on folders of labelled images that are called as splits, of which all are measured.

    Args:
        names: the images, as ``CLASS/...``.
        root: where they were listed.
    """
    called = [Path(name).parts[1:-1] for name in names]
    counts = Counter(
        ALIASES[parts[0].lower()] for parts in called if parts[:1] and parts[0].lower() in ALIASES
    )
    if counts.keys() - {"test"}:
        words = ", ".join(f"{n} {split}" for split, n in counts.most_common())
        warnings.warn(
            f"{root}: folders within those of classes are called as splits, and all are measured "
            f"({words}): what a model was trained on is no test of it",
            stacklevel=3,
        )


def warn_of_folders(rows: Sequence[Row], root: Path, above: int = 0) -> None:
    """A line where splits are cut, and several images of nobody knows whom lie in one of many folders.

    Folders of patients would be cut image by image. One that holds all images of a class is none, nor
    is one that is called as a class of its images, or as a split.

    Args:
        rows: the images; patients are known where headers name them.
        root: where they were listed.
        above: how many folders a name begins with that are splits and classes whatever they are called.
    """
    if {*SPLITS} <= {row.split for row in rows}:
        warn_of_series(rows, root)
        return
    # Of a volume its slices are one.
    units = {
        row.source.volume or row.name: row.label
        for row in rows
        if not row.source.group and row.split in ("", "train")
    }
    sizes = Counter(units.values())
    inside = Counter(
        (folder, label) for name, label in units.items() for folder in _folders(name, label, above)
    )
    count: Counter[Folder] = Counter()
    for (folder, label), n in inside.items():
        count[folder] += n if n < sizes[label] else 0
    several = {folder for folder, n in count.items() if n > 1}
    several -= {folder[:k] for folder in several for k in range(1, len(folder))}  # the inner ones
    if not several:
        warn_of_series(rows, root)
        return
    first = min(several)
    warnings.warn(
        f"{root}: whom images show is not known, and {len(several)} folders hold several images each, "
        f"such as {'/'.join(first)} ({count[first]}): if these are folders of patients, images of one "
        f"patient may come into two splits; {_remedy(root)}",
        stacklevel=4,
    )


def _remedy(root: Path) -> str:
    return "add a column patient" if root.is_file() else f"say whom: {_TABLE} patient"


def warn_of_series(rows: Sequence[Row], root: Path, remedy: str = "") -> None:
    """A line where file names but for their last number seem to say whom images show.

    What all images of a class are called is none of these. Given splits are to part some of them.

    Args:
        rows: the images; patients are known where headers name them.
        root: where they were listed.
        remedy: what helps; empty: a table with a column ``patient``.
    """
    units = {
        row.source.file or row.source.volume or row.name: row
        for row in rows
        if not row.source.group
    }
    sizes = Counter(row.label for row in units.values())
    series: dict[str, list[Row]] = {}
    for row in units.values():
        if found := _SERIES.fullmatch(stem_of(row.source.paths[0])):
            series.setdefault("*".join(found.groups()), []).append(row)
    several = [
        of
        for of in series.values()
        if len(of) > 1
        and not any(n == sizes[label] for label, n in Counter(row.label for row in of).items())
    ]
    if len(several) < _FEWEST:
        return
    parted = [of for of in several if len({row.split for row in of}) > 1]
    if not parted and {*SPLITS} <= {row.split for row in rows}:
        return
    first, *others = (parted or several)[0]
    second = next((row for row in others if row.split != first.split), others[0])
    told = f"{len(several)} names belong to several images each but for their last number"
    danger = "images of one patient may come into two splits"
    if parted:
        told = f"{len(parted)} names of images are in two of the given splits but for their last number"
        danger = "what is tested was seen in training"
    warnings.warn(
        f"{root}: whom images show is not known, and {told}, such as {first.name} and {second.name}: if "
        f"these are of one patient, {danger}; {remedy or _remedy(root)}",
        stacklevel=5,
    )


def _folders(name: str, label: str, above: int) -> list[Folder]:
    """The folders that an image lies in and that may be those of patients, the outer ones first."""
    parts = Path(name).parts[:-1]
    known = {label.casefold(), *ALIASES, *(() if above else _NO_NAMES)}
    return [
        parts[:k]
        for k in range(above + 1, len(parts) + 1)
        if class_name(parts[k - 1]).casefold() not in known
    ]
