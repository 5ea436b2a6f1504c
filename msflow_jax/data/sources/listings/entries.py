"""What the entries of all lists of files have in common: order, splits, where they may lie."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from msflow_jax.data.base import SPLITS
from msflow_jax.data.sources.tables.cells import Line
from msflow_jax.storage.text import first_of

ALIASES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


_LINES = 3  # whose numbers an error names
_ROWS = "fill the cells, or remove the rows"
_COLUMN = "fill the column or leave it out altogether"
_REMEDIES = {
    "label": _ROWS, "path": _ROWS, "patient": _COLUMN, "subject": _COLUMN,
    "split": "fill the column in every row, or drop it to have the splits cut for you",
}  # fmt: skip


def check_cells(
    path: Path, header: Sequence[str], lines: Sequence[Line], needed: Collection[str]
) -> None:
    """Refuses empty cells where something is needed, and words that are no split, in all rows at once.

    Args:
        path: the table.
        header: its columns, by what they mean here.
        lines: the number and the cells of each row.
        needed: of ``label``, ``path``, ``patient``, ``subject`` and ``split``, what must not be empty.

    Raises:
        ValueError: there are some; names the first lines, counts the rest, and says what helps.
    """

    def where(at: Sequence[int]) -> str:
        return f"{path}, line {first_of([str(number) for number in at], _LINES)}"

    for column in (name for name in header if name in needed):
        i = header.index(column)
        found: dict[str, list[int]] = {}
        for number, cells in lines:
            found.setdefault(cells[i], []).append(number)
        if "" in found:
            raise ValueError(f"{where(found[''])}: no {column}; {_REMEDIES[column]}")
        for word, at in found.items() if column == "split" else ():
            split_of({column: word}, where(at))


def split_of(cells: Mapping[str, str], where: str) -> str:
    """The split that the cell ``split`` of a list's line names; empty where there is no such column.

    Raises:
        ValueError: another word; names the line, ``where``.
    """
    if "split" not in cells:
        return ""
    word = cells["split"]
    if not word:
        raise ValueError(f"{where}: no split; {_REMEDIES['split']}")
    if word.lower() not in ALIASES:
        raise ValueError(
            f"{where}: split {word!r} is not one of {', '.join(SPLITS)}: write one of these"
        )
    return ALIASES[word.lower()]


def check_all_split(splits: Sequence[str], name: Callable[[int], str]) -> None:
    """Refuses splits that are given for some images alone: the others would belong to none.

    Args:
        splits: the split of each image; empty where none is given.
        name: what an error calls the image of a number.

    Raises:
        ValueError: some have a split and some have none; names the first without one.
    """
    without = [i for i, split in enumerate(splits) if not split]
    if 0 < len(without) < len(splits):
        raise ValueError(
            f"{name(without[0])} has no split, as {len(without)} of {len(splits)} have none while the "
            "others have one: give each a split (by its row; in the BIDS layout by its line in "
            "participants.tsv or a sub-*_sessions.tsv), or drop all of them to have them cut for you"
        )


def slash_hint(cell: str) -> str:
    """What to say of a path that is not there, written as on Windows; empty of others."""
    return "; write / instead of \\ in paths" if "\\" in cell else ""


def check_inside(path: Path, real: Path, folder: Path, where: str, kind: str) -> None:
    """Refuses a file that lies, links followed (``real``), outside the folder of its list.

    Args:
        path: the file, as it is named.
        real: the same, links followed.
        folder: folder of the list.
        where: the line that names it, for the error.
        kind: what the list is.
    """
    if not real.is_relative_to(folder.resolve()):
        raise ValueError(
            f"{where}: {path} lies outside the folder of the {kind}, at {real}: copy it there, or train "
            "with --config.data.outside=True to accept such paths"
        )


def natural(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """A sort key by which grade2 comes before grade10, and numbers before words.

    Names that are equal so (``1`` and ``01``) are in the order of their characters: no two names have
    the same key, so that an order never depends on what it was sorted from.
    """
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p)) if p.isdecimal() else (1, p) for p in parts if p), name
