"""What the columns of a cohort's table are: words with a meaning, modalities, or facts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msflow_jax.data.sources.finding import SUFFIXES
from msflow_jax.data.sources.listings.entries import slash_hint
from msflow_jax.data.sources.listings.meant_columns import meaning_of, refuse_two
from msflow_jax.data.sources.nifti.reading import split_volume
from msflow_jax.data.sources.tables.cells import is_nothing
from msflow_jax.data.sources.tables.reading import parted_hint
from msflow_jax.storage.text import first_of

REPORT, LABEL = "report", "label"
NUMBERS = ("volume", "slice")  # facts that are counted here
TAKEN = ("present", "index", "map", "mask", *NUMBERS)  # what arrays and facts are called already
PARTICIPANTS = "participants.tsv"  # a table of the BIDS layout
_OWN = {REPORT: REPORT, LABEL: LABEL}  # columns that are known by these words alone
_ENDS = tuple(sorted(SUFFIXES))
_DICOM_ENDS = ("", ".dcm", ".ima")
_SHOWN = 3


def meanings(path: Path, columns: Sequence[str]) -> dict[str, str]:
    """What the columns with a meaning mean, by their names."""
    found = {name: meaning_of(name) or _OWN.get(name.casefold(), "") for name in columns}
    meaning = {name: word for name, word in found.items() if word}
    refuse_two(path, meaning)
    return meaning


def modalities_of(
    path: Path, columns: Mapping[str, Sequence[str]], free: Sequence[str]
) -> list[str]:
    """Which of the free columns are modalities; says which others hold some files.

    A column is one if any of its cells ends as a picture's file does, or is a path of more than one
    part that is there, or if most of them are there. Then every one must be: a cell that names an
    absent file is an error, not a fact.

    Args:
        path: the table.
        columns: the cells of all columns.
        free: the columns without a meaning.

    Raises:
        ValueError: none is a modality.
    """
    folder = path.parent
    found = [name for name in free if _why(columns[name], folder)]
    if not found:
        raise ValueError(
            f"{path}: no column holds files that are there; a cohort has a column for each modality "
            f"with paths relative to the table. Its columns: {', '.join(columns)}"
            f"{_hint(path, columns)}"
        )
    for name in (name for name in free if name not in found):
        given = [cell for cell in columns[name] if not is_nothing(cell)]
        there = [cell for cell in given if is_there(folder, cell.replace("\\", "/"))]
        if there:
            absent = [cell for cell in given if not is_there(folder, cell)]
            warnings.warn(
                f"{path}: the column {name!r} is taken for a fact, since {len(absent)} of its "
                f"{len(given)} cells name no file or folder with images ({first_of(absent, _SHOWN)})"
                f"{slash_hint(absent[0])}; if it is a modality, correct them, or clear those of a "
                "modality that is missing",
                stacklevel=4,
            )
    return found


def _hint(path: Path, columns: Mapping[str, Sequence[str]]) -> str:
    if hint := parted_hint(path, list(columns)):
        return hint
    if path.name == PARTICIPANTS:
        return f"; of a data set in the BIDS layout give the folder, {path.parent}"
    cells = (cell for column in columns.values() for cell in column)
    return next((hint for hint in map(slash_hint, cells) if hint), "")


def _why(cells: Sequence[str], folder: Path) -> str:
    """Why a column is a modality; empty of one that is none."""
    given = [cell for cell in cells if not is_nothing(cell)]
    if any(split_volume(cell)[0].lower().endswith(_ENDS) for cell in given):
        return "cells of it end as files of images do"
    there = {cell for cell in dict.fromkeys(given) if is_there(folder, cell)}
    if any("/" in cell for cell in there):
        return "cells of it are paths that are there"
    most = 2 * sum(cell in there for cell in given) > len(given)
    return "most of its cells are files or folders that are there" if most else ""


def absent_hint(cell: str, cells: Sequence[str], folder: Path) -> str:
    """What to say of a cell that names no file, by the other cells of its column."""
    given = [other for other in cells if not is_nothing(other)]
    absent = [other for other in given if not _exists(folder, other)]
    others = [other for other in absent if other != cell]
    hint = slash_hint(cell)
    if len(absent) == len(given) > 1 and not hint:
        return (
            f"; none of the {len(given)} cells of this column is a file that is there, and it is taken "
            f"for a modality since {_why(cells, folder)}: correct the paths, or, if it is a fact, such "
            "as a former name, remove the column or the endings of its cells"
        )
    return (f"; absent too: {first_of(others, _SHOWN)}" if others else "") + hint


def _exists(folder: Path, cell: str) -> bool:
    try:
        return Path(split_volume(str(folder / cell))[0]).exists()
    except (OSError, ValueError):
        return False


def is_there(folder: Path, cell: str) -> bool:
    """Whether this is a file, or a folder with what may be DICOM files in it."""
    path = Path(split_volume(str(folder / cell))[0])
    try:
        if path.is_dir():
            return any(p.suffix.lower() in _DICOM_ENDS for p in path.iterdir() if p.is_file())
        return path.is_file()
    except (OSError, ValueError):  # a name too long, links in a circle
        return False


def refuse_taken(columns: Iterable[str], path: Path) -> None:
    """Refuses a column that is called as something else is here."""
    if wrong := [name for name in columns if name.casefold() in TAKEN]:
        raise ValueError(
            f"{path}: a column cannot be called {wrong[0]!r}, which means something else here: rename it"
        )
