"""Instances as files: a line of JSON each, with the images beside it, as the public code reads them.

A line is ``{"id", "image": [paths], "conversations": [{"from": "human", "value"}, {"from": "gpt",
"value"}], "pair": {"src", "tgt"}, "slice_idx"}`` (loaders and evaluation of arXiv 2605.08724); in the
human's words ``<image>`` stands for each image. Nothing in it, and no file's name, tells of a subject.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.slices import SLICE
from msflow_jax.data.sources.decoding import encode
from msflow_jax.progress import track
from msflow_jax.storage.atomic import write_atomically
from msflow_jax.storage.jsons import once
from msflow_jax.storage.places import resolved
from msflow_jax.synergy.instances import LETTERS, NO_ROUTE, SELECTION, TASKS, Instance
from msflow_jax.synergy.scoring import names_in
from msflow_jax.synergy.tasks import Tasks

FILE, FOLDER = "understanding.jsonl", "images"
MARKER = "<image>"
_ROLES = ("human", "gpt")
_SHOWN = 80  # letters of a path in a message


@dataclass(frozen=True)
class Line:
    """One instance as it lies in a file.

    Attributes:
        id: its name; the line's number where it has none.
        images: files, in the order of the slots that are not empty.
        prompt: what the human says, without markers of images.
        reply: what is to be said: a letter, or a line of JSON with the name of every panel.
        pair: source and target, or None.
        slice: number of the slice in its volume, or None.
    """

    id: str
    images: tuple[Path, ...]
    prompt: str
    reply: str
    pair: tuple[str, str] | None = None
    slice: int | None = None


def write(folder: Path, tasks: Tasks, count: int) -> Path:
    """Writes the first instances, and each image that they show once.

    Args:
        folder: an empty folder.
        tasks: makes the instances.
        count: how many.

    Returns:
        The file of lines.

    Raises:
        ValueError: no instance; and as ``Tasks.instance``.
        OSError: a file cannot be written.
    """
    if count < 1:
        raise ValueError(f"{count} instances: ask for at least one")
    files: dict[tuple[int, int], str] = {}
    lines = []
    for index in track(range(count), "Writing instances"):
        one = tasks.instance(index)
        paths = [
            _save(folder, files, tasks, name, row)
            for name, row in zip(one.modality, one.rows, strict=True)
            if row >= 0
        ]
        lines.append(json.dumps(_as_dict(index, one, tasks, paths), ensure_ascii=False))
    return write_atomically(folder / FILE, ("\n".join(lines) + "\n").encode())


def _save(
    folder: Path, files: dict[tuple[int, int], str], tasks: Tasks, name: int, row: int
) -> str:
    """The path of an image, numbered in the order of first use, which tells nothing of its subject."""
    if (name, row) not in files:
        files[name, row] = f"{FOLDER}/{len(files):07d}.png"
        (image,) = tasks.split.rows(tasks.names[name], np.array([row]))
        write_atomically(folder / files[name, row], encode(image))
    return files[name, row]


def _as_dict(index: int, one: Instance, tasks: Tasks, paths: Sequence[str]) -> dict[str, Any]:
    said = (f"{MARKER * len(paths)}\n{one.prompt}", tasks.reply(one))
    found: dict[str, Any] = {
        "id": f"{TASKS[one.task]}-{index:07d}",
        "image": list(paths),
        "conversations": [{"from": r, "value": v} for r, v in zip(_ROLES, said, strict=True)],
        "pair": None,
        "slice_idx": None,
    }
    if (route := tasks.route(one)) != NO_ROUTE:
        source, target = (tasks.names[number] for number in route)
        found["pair"] = {"src": source, "tgt": target}
        slot = 1 + one.answer if one.task == SELECTION else 1  # where the target is
        found["slice_idx"] = int((tasks.split.truth or {})[SLICE][one.rows[slot]])
    return found


def read(path: Path, root: Path | None = None) -> list[Line]:
    """Reads a file of lines; empty ones are passed over.

    Args:
        path: the file.
        root: folder that its images are named from; None: the file's own.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not of the format, or an image that it names is missing; names file and
            line. Or it is a folder, or there is no line.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name the file, such as {path / FILE}")
    root = path.parent if root is None else root
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            try:
                found.append(_parse(line, number, root))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
    if not found:
        raise ValueError(f"{path} holds no line: write it by msflow build-understanding")
    often = Counter(line.id for line in found)
    if twice := [name for name, count in often.items() if count > 1]:
        warnings.warn(
            f"{path}: {len(twice)} id(s) are of several lines, such as {twice[0]!r}: rows of answers "
            "stand in the order of the lines",
            stacklevel=2,
        )
    return found


def _parse(line: bytes, number: int, root: Path) -> Line:
    try:
        found = json.loads(line, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"a JSON object is expected, not {type(found).__name__}")
    if missing := [key for key in ("image", "conversations") if key not in found]:
        raise ValueError(f"the key {missing[0]!r} is missing")
    prompt, reply = _said(found["conversations"])
    index = found.get("slice_idx")
    if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
        raise ValueError(f"slice_idx must be a whole number, got {index!r}")
    name = found.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
        raise ValueError(f"id must be a text or a whole number, got {name!r}")
    return Line(
        str(number if name is None else name), _images(found["image"], root), prompt, reply,
        _pair(found.get("pair")), index,
    )  # fmt: skip


def _images(named: Any, root: Path) -> tuple[Path, ...]:
    if not isinstance(named, list) or not named or not all(isinstance(n, str) for n in named):
        raise ValueError('"image" must be a list of at least one path')
    whole = resolved(root)
    for name in named:
        try:
            inside, there = whole in resolved(root / name).parents, (root / name).is_file()
        except (OSError, ValueError) as error:  # too long, or with a NUL byte
            raise ValueError(f"the image {name[:_SHOWN]!r} is no path of a file") from error
        if not inside:
            raise ValueError(f"the image {name!r} lies outside {root}: name it from there")
        if not there:
            raise ValueError(f"the image {root / name} is missing")
    return tuple(root / name for name in named)


def _said(turns: Any) -> tuple[str, str]:
    """What the human and the model say: one turn each."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise ValueError('"conversations" must be a list of objects with "from" and "value"')
    roles = [turn.get("from") for turn in turns]
    if roles != list(_ROLES):
        raise ValueError(
            f"turns must be one of human, then one of gpt, got {', '.join(map(str, roles)) or 'none'}"
        )
    values = [turn.get("value") for turn in turns]
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise ValueError("a turn has no text as its value")
    prompt, reply = (str(value).replace(MARKER, "").strip() for value in values)
    if not prompt:
        raise ValueError("the human's turn has no words beside its images")
    if reply not in tuple(LETTERS) and not names_in(reply):
        raise ValueError(
            f"the reply must be a letter A to D, or the names of panels as a line of JSON, got {reply!r}"
        )
    return prompt, reply


def _pair(pair: Any) -> tuple[str, str] | None:
    if pair is None:
        return None
    if not isinstance(pair, dict) or not all(isinstance(pair.get(k), str) for k in ("src", "tgt")):
        raise ValueError('"pair" must be an object with "src" and "tgt"')
    return pair["src"], pair["tgt"]
