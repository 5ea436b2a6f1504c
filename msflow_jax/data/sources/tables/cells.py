"""Cells of the user's tables that hold a word for nothing, as pandas, R and others write it."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from msflow_jax.storage.text import first_of

NOTHING = frozenset(("nan", "NaN", "NA", "N/A", "n/a", "null", "<NA>", "None"))
STANDARD = "n/a"  # the word of the BIDS standard, which needs no remark there
_CLASSES = frozenset(("NA", "None"))  # what a class may be called too
_SHOWN = 3
Line = tuple[int, list[str]]  # its number and its cells


def is_nothing(cell: str) -> bool:
    """Whether a cell is empty, or a word for that, spelled exactly as programs do."""
    return not cell or cell in NOTHING


def emptied(
    path: Path,
    header: Sequence[str],
    lines: Sequence[Line],
    columns: Collection[str],
    *,
    label: str = "",
    standard: bool = False,
    is_name: Callable[[str, str], bool] = lambda column, cell: False,
) -> list[Line]:
    """The lines of a table with words for nothing taken out of some columns; says how many.

    Of the column of the labels ``NA`` and ``None`` stay, as classes, which a line says.

    Args:
        path: the table.
        header: its columns.
        lines: the number and the cells of each line.
        columns: where such a word means nothing; the others stay as they are.
        label: which of the columns names classes.
        standard: whether ``n/a`` is an empty cell in all columns, without a remark, as in BIDS.
        is_name: whether a column's cell is the name of something all the same.
    """
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    classes: defaultdict[str, list[str]] = defaultdict(list)
    out = []
    for number, cells in lines:
        left = []
        for name, cell in zip(header, cells, strict=True):
            if standard and cell == STANDARD:
                left.append("")
            elif not cell or name not in columns or not is_nothing(cell) or is_name(name, cell):
                left.append(cell)
            elif name == label and cell in _CLASSES:
                classes[cell].append(str(number))
                left.append(cell)
            else:
                found[name][cell] += 1
                left.append("")
        out.append((number, left))
    if found:
        words = [
            f"{sum(n.values())} of {name!r} ({', '.join(map(repr, n))})"
            for name, n in found.items()
        ]
        warnings.warn(f"{path}: cells taken as empty: {', '.join(words)}", stacklevel=4)
    if classes:
        words = [
            f"{cell!r} ({len(at)} cells: line {first_of(at, _SHOWN)})"
            for cell, at in classes.items()
        ]
        warnings.warn(
            f"{path}: taken as a class in the column {label!r}: {', '.join(words)}; where no label is "
            "meant, clear the cells",
            stacklevel=4,
        )
    return out
