"""The classes of masks: their names, and which values of the files they are."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.base import class_name

FILES = ("classes.txt", "classes.json")
_MOST = 64  # classes that are believed without names
_WHITE = 255
_BACKGROUND = ("background", "bg", "back ground")
# A number and a name, as "0 air", "0: air", "0,air" and "0. air"; "0.5 mm" is a name alone.
_NUMBERED = re.compile(r"(\d+)(?:\s*[,;:=]\s*|[.)]?\s+)(\S.*)")


@dataclass(frozen=True)
class Seen:
    """Which values a mask has.

    Attributes:
        path: its file.
        values: those values, rising.
    """

    path: Path
    values: tuple[int, ...]


def read_names(root: Path) -> tuple[str, ...]:
    """Names of the classes in ``classes.txt`` or ``classes.json``; none where neither is there.

    A line is ``0 background`` (``0,background``; ``,``, ``;``, ``:`` and ``=`` part them too) or a name
    alone, counted from 0; a header above numbered lines is passed over. The JSON is a list of names, or
    an object of names by number.

    Raises:
        ValueError: both files, numbers that do not count from 0, or what is neither; names the file.
    """
    there = [root / name for name in FILES if (root / name).is_file()]
    if not there:
        return ()
    if len(there) > 1:
        raise ValueError(f"{there[0]} and {there[1]} both name the classes: remove one")
    path = there[0]
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = _of_json(json.loads(text)) if path.suffix == ".json" else _of_lines(text)
        numbers = [int(number) for number, _ in pairs]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} names no classes ({error}): write a line for each, such as '0 background'"
        ) from error
    if sorted(numbers) != list(range(len(numbers))):
        raise ValueError(
            f"{path} has the class numbers {', '.join(map(str, sorted(numbers)))}: they are to be 0, 1, "
            "2, ... without gaps"
        )
    return tuple(name for _, name in sorted((int(n), name) for n, name in pairs))


def _of_json(found: Any) -> list[tuple[Any, str]]:
    pairs = list(enumerate(found)) if isinstance(found, list) else list(dict(found).items())
    if not all(isinstance(name, str) for _, name in pairs):
        raise ValueError("a name is no text")
    return pairs


def _of_lines(text: str) -> list[tuple[Any, str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [_NUMBERED.fullmatch(line) for line in lines]
    pairs: list[tuple[Any, str]] = [(one[1], one[2]) for one in found if one]
    if len(pairs) == len(lines):
        return pairs
    # A header, such as "id,name", stands above classes that are all numbered.
    counted = sorted(int(number) for number, _ in pairs) == list(range(len(lines) - 1))
    if len(pairs) > 1 and not found[0] and counted:
        return pairs
    return list(enumerate(lines))


def choose_names(
    given: Sequence[str], root: Path, masks: Sequence[Seen]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the classes, and the class of each value.

    Args:
        given: names of the configuration; empty: those of a file in ``root``, else numbers.
        root: the folder of the data.
        masks: every mask with its values.

    Returns:
        K names, and a table uint8 ``[256]`` from values to classes 0..K-1. Masks that hold 0 and 255
        alone are 0 and 1, with a warning.

    Raises:
        ValueError: a value that is no class, a class that no mask has, one class alone, or two of one
            name; names file and value.
    """
    names = tuple(map(class_name, given or read_names(root)))
    where = "data.map_classes" if given else str(root)
    if given:
        _warn_of_others(names, root)
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"{where}: every class needs a name of its own, got {', '.join(names)}")
    _warn_of_background(names, where)
    table, all_of = np.arange(256).astype(np.uint8), {v for mask in masks for v in mask.values}
    if all_of == {0, _WHITE} and len(names) in (0, 2):
        warnings.warn(
            f"{root}: the masks hold 0 and 255 alone, which are taken as the classes 0 and 1",
            stacklevel=4,
        )
        table[_WHITE] = 1
        all_of = {0, 1}
    elif not names and len(all_of) > 1 and max(all_of) >= _MOST:
        mask = max(masks, key=lambda one: max(one.values))
        raise ValueError(
            f"{mask.path} holds {max(mask.values)}: are these class numbers? Masks hold 0, 1, 2, ..., "
            "one number for each class (or 0 and 255 alone); write more than "
            f"{_MOST} classes, if there are, into {root / FILES[0]}"
        )
    count = len(names) or max(all_of) + 1
    for mask in masks:
        if odd := [v for v in mask.values if table[v] >= count]:
            raise ValueError(
                f"{mask.path} holds {odd[0]}, which is no class number: there are {count} classes, "
                f"{', '.join(f'{k} {name}' for k, name in enumerate(names))}. Name the class, or give "
                "these pixels the number of one that there is"
            )
    if len(all_of) == 1:
        raise ValueError(
            f"{root}: every pixel of every mask is {max(all_of)}: one class only, at least 2 are needed"
        )
    names = names or tuple(map(str, range(count)))
    if empty := [k for k in range(count) if k not in all_of]:
        raise ValueError(
            f"{root}: no pixel of any mask is of the class {empty[0]} ({names[empty[0]]}): number the "
            "classes without gaps, and name none that is not there"
        )
    return names, table


def _warn_of_background(names: Sequence[str], where: str) -> None:
    """A line where another class than 0 is called background: measures of foreground leave 0 out."""
    for k, name in enumerate(names):
        if k and name.casefold() in _BACKGROUND and names[0].casefold() not in _BACKGROUND:
            warnings.warn(
                f"{where}: the class {k} is called {name}, and 0 {names[0]}: measures of the foreground "
                "leave out class 0; correct the names, or give the background the number 0",
                stacklevel=5,
            )


def _warn_of_others(given: Sequence[str], root: Path) -> None:
    """A line where the configuration names the classes otherwise than the file beside the masks."""
    try:
        filed = tuple(map(class_name, read_names(root)))
    except ValueError:  # a file that is not needed
        return
    if filed and filed != tuple(given):
        path = next(root / name for name in FILES if (root / name).is_file())
        warnings.warn(
            f"{path} names the classes {', '.join(filed)}, and data.map_classes, which is taken, "
            f"{', '.join(given)}: correct the setting, or leave it empty to take the file's",
            stacklevel=5,
        )
