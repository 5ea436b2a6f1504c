"""The lines of a list of files as examples: volumes as slices or whole, and whom each of them shows."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from msflow_jax.data.slices import Slices
from msflow_jax.data.sources.examples import list_items
from msflow_jax.data.sources.grey.values import refuse_broken
from msflow_jax.data.sources.items import Item, Wanted
from msflow_jax.data.sources.sizes import sizes_of, warn_of_small

if TYPE_CHECKING:
    from msflow_jax.data.sources.listings.folders import Row

_MANY, _SHARE = 10, 1 / 3  # of one subject, and more than so many of all: hardly a patient
_BY_HEADERS = "by their headers (PatientID, else StudyInstanceUID)"
_IF_BLANKED = "if these were blanked, list the files in a CSV with a column patient"


def examples_of(rows: Sequence[Row], config: ConfigDict, source: Path) -> list[Row]:
    """The examples of listed files, each with the label and the split of its file.

    A subject is what the list calls it; else whom the headers of DICOM files name, by the name of its
    first file, so that the cut into splits depends on nothing that is secret; else a file: a volume, or
    all volumes of a NIfTI file of four axes.

    Args:
        rows: listed files.
        config: the data config.
        source: the list, for messages.

    Raises:
        ValueError: files that cannot be used; rows of one series that differ in label, split or patient.
    """
    names = [row.name for row in rows]
    named = any(row.patient for row in rows)
    items, broken = list_items([row.path for row in rows], names, Wanted.of(config), named=named)
    refuse_broken(broken.values())
    warn_of_small(sizes_of(items), source)
    if Slices.of(config.slices) != Slices() and not any(item.volume for item in items):
        warnings.warn(
            f"{source}: data.slices has no effect: no image is a slice of a volume",
            stacklevel=4,
        )
    check_alike(rows, items, source)
    found = [dataclasses.replace(rows[item.given], name=item.name, item=item) for item in items]
    if named:
        _compare(found, source)
        return found
    warn_of_frames({row.source.volume: row.source.file for row in found}.values(), source)
    return _with_subjects(found, source)


def check_alike(rows: Sequence[Row], items: Iterable[Item], source: Path) -> None:
    """Refuses an example whose files come from several rows, files or folders, that differ.

    Args:
        rows: listed files and folders.
        items: the examples that they give.
        source: the list.

    Raises:
        ValueError: rows that hold parts of one series differ in label, split or patient; names both.
    """
    for item in items:
        row = rows[item.given]
        for other in (rows[at] for at in item.all_given):
            if (other.label, other.split, other.patient) != (row.label, row.split, row.patient):
                raise ValueError(
                    f"{source}: {row.name} and {other.name} are slices of one series, but differ in "
                    "label, split or patient: list them alike, or leave one out"
                )


def _with_subjects(rows: list[Row], source: Path) -> list[Row]:
    if not any(row.source.group or row.source.volume for row in rows):
        return rows
    items = [row.source for row in rows]
    names = [item.name if item.group else item.volume or item.name for item in items]
    keys = [item.group or item.file for item in items]
    first: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        first[key] = min(first.get(key, name), name)
    _warn_of_one(rows, first, source)
    return [
        dataclasses.replace(row, patient=first[key] if key else name)
        for row, key, name in zip(rows, keys, names, strict=True)
    ]


def _warn_of_one(rows: Sequence[Row], first: dict[str, str], source: Path) -> None:
    """A line where headers say that much of a data set is one subject: they may have been blanked."""
    units = {(row.source.volume or row.name): row.source.group for row in rows}
    counts = Counter(filter(None, units.values())).most_common(1)
    group, count = counts[0] if counts else ("", 0)
    if count >= _MANY and count > _SHARE * len(units):
        warnings.warn(
            f"{source}: {count} of {len(units)} images or volumes, {first[group]} for one, are of one "
            f"patient {_BY_HEADERS}, and stay in one split; {_IF_BLANKED}",
            stacklevel=5,
        )


def headers_hint(rows: Sequence[Row]) -> str:
    """What an error on too few subjects says where headers name them; empty where none does."""
    groups = {row.source.group for row in rows if row.source.group}
    if not groups:
        return ""
    return f"; they are {len(groups)} patients {_BY_HEADERS}: {_IF_BLANKED}"


def warn_of_frames(files: Iterable[str], source: Path) -> None:
    """A line where volumes of one file, of which nothing says whom they show, become one subject.

    Args:
        files: of each listed volume ``Item.file``.
        source: the list.
    """
    several = [file for file, count in Counter(files).items() if file and count > 1]
    if several:
        warnings.warn(
            f"{source}: volumes of one file are taken to show one patient: {Path(several[0]).name} for "
            f"one of {len(several)} files; if they show several, say whom in a column patient",
            stacklevel=4,
        )


def _compare(rows: Iterable[Row], source: Path) -> None:
    """A warning where the list parts whom the headers of DICOM files say is one."""
    seen: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        if row.source.group:
            seen[row.source.group].setdefault(row.patient, row.name)
    parted = [list(names.values()) for names in seen.values() if len(names) > 1]
    if parted:
        warnings.warn(
            f"{source}: {len(parted)} patients of the files' headers have several names in the column "
            f"patient, such as those of {parted[0][0]} and {parted[0][1]}: the column is followed; "
            "is it right?",
            stacklevel=4,
        )


def keep_together(rows: Sequence[Row], source: Path) -> None:
    """Refuses given splits that part a subject whom the headers of files name, or volumes of one file.

    Raises:
        ValueError: names two of its files.
    """
    seen: dict[str, Row] = {}
    for row in rows:
        if not (row.source.group or row.source.file) or not row.split:
            continue
        other = seen.setdefault(row.patient, row)
        if other.split != row.split:
            of = "one subject by their headers" if row.source.group else "one file"
            wrong = "the headers are wrong" if row.source.group else "they show several patients"
            raise ValueError(
                f"{source}: {other.name} in {other.split} and {row.name} in {row.split} are of {of}: "
                f"move them into one split, or, where {wrong}, list the files in a CSV with a column "
                "patient"
            )
