"""Files of a cohort that by their names belong into another modality's column, or into another row."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from msflow_jax.data.sources.finding import SUFFIXES
from msflow_jax.data.sources.nifti.reading import split_volume
from msflow_jax.storage.text import first_of

_ENDS = tuple(sorted(SUFFIXES, key=len, reverse=True))
_SHOWN = 3


class _Name(NamedTuple):
    """What a path says: the modalities that it names, and its other words."""

    modalities: frozenset[str]
    rest: tuple[str, ...]


def warn_of_mixed(path: Path, lines: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """A line each on cells that seem to be exchanged, and on columns that seem to have slipped by a row.

    Nothing is said of a column most of whose files are not called by its name.

    Args:
        path: the table.
        lines: where each row is, such as ``line 2``.
        rows: the path of each modality that a row has, as the table names it.
    """
    words = {name: tuple(_words(name)) for row in rows for name in row}
    columns = {
        name: [_name(row[name], words) if name in row else None for row in rows] for name in words
    }
    named = [name for name in words if _is_most([name in o.modalities for o in columns[name] if o])]
    odd = [
        f"{lines[i]}, column {name!r}: {rows[i][name]}"
        for name in named
        for i in _of_another(name, columns[name])
    ]
    if odd:
        warnings.warn(
            f"{path}: files in the column of one modality are called by the name of another "
            f"({first_of(odd, _SHOWN)}), others there by its own: are cells exchanged?",
            stacklevel=4,
        )
    slipped: dict[int, str] = {}
    for one, other in combinations(named, 2):
        for i in _of_another_row(columns[one], columns[other]):
            slipped.setdefault(i, f"{lines[i]}: {rows[i][one]} and {rows[i][other]}")
    if slipped:
        warnings.warn(
            f"{path}: files of one row are called as those of two rows are "
            f"({first_of([slipped[i] for i in sorted(slipped)], _SHOWN)}): has a column slipped?",
            stacklevel=4,
        )


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text.casefold()) if word]


def _name(cell: str, known: Mapping[str, tuple[str, ...]]) -> _Name:
    file, volume = split_volume(cell)
    end = next((end for end in _ENDS if file.lower().endswith(end)), "")
    words = _words(file.removesuffix(file[len(file) - len(end) :]))
    longest = sorted(known, key=lambda name: -len(known[name]))  # t1_post is no t1
    found, rest = set(), [] if volume is None else [str(volume)]
    while words:
        here = [m for m in longest if known[m] and tuple(words[: len(known[m])]) == known[m]]
        found.update(here[:1])
        rest += [] if here else words[:1]
        words = words[len(known[here[0]]) if here else 1 :]
    return _Name(frozenset(found), tuple(rest))


def _is_most(facts: Sequence[bool]) -> bool:
    return 2 * sum(facts) > len(facts)


def _of_another(name: str, column: Sequence[_Name | None]) -> Iterator[int]:
    """The rows whose file is called by another modality's name alone, which is no word of them all."""
    given = [one for one in column if one]
    all_named = {m for one in given for m in one.modalities}
    common = {m for m in all_named if _is_most([m in one.modalities for one in given])}
    for i, one in enumerate(column):
        if one and name not in one.modalities and one.modalities - common:
            yield i


def _of_another_row(one: Sequence[_Name | None], other: Sequence[_Name | None]) -> list[int]:
    """The rows whose two files are each other's by no word, where most rows, or their neighbours, agree.

    A file alone is called as it is, by a date or a run; one whose partner is in another row is not.
    """
    a, b = ([name and name.rest for name in column] for column in (one, other))
    for by in (0, 1, -1):
        shifted = [b[i + by] if 0 <= i + by < len(b) else None for i in range(len(b))]
        agree = [x == y for x, y in zip(a, shifted, strict=True) if x is not None and y is not None]
        if _is_most(agree):
            break
    else:
        return []
    first, second = set(a), set(b)
    return [
        i
        for i, (x, y) in enumerate(zip(a, b, strict=True))
        if x is not None and y is not None and x != y and (x in second or y in first)
    ]
