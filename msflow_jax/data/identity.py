"""Which data a run is of: names, contents, labels, splits, each by a digest: a difference is named."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.base import SPLITS, Info, LazySplit, Split, Splits, class_name, digest
from msflow_jax.storage.text import uncell

# What is compared, the plainest difference first: with other names nothing else can be the same.
_PARTS = {
    "names": "the names of the pictures differ",
    "contents": "the contents of pictures differ",
    "masks": "masks differ",
    "labels": "labels differ",
    "splits": "the cut into splits differs",
    "reports": "the texts of reports differ",
    "columns": "images lie in other columns",
}
_NEW = ("reports", "columns")  # that runs of before lack
Row = Mapping[str, str]  # see split_table


def number_subjects(groups: Iterable[str]) -> list[str]:
    """A number for each example's subject, in the order in which they first appear; "" stays so.

    What a table of the user's calls a patient is written nowhere.
    """
    numbers: dict[str, str] = {}
    return [numbers.setdefault(one, str(len(numbers) + 1)) if one else "" for one in groups]


def split_table(splits: Splits) -> list[dict[str, str]]:
    """The split on paper: ``name``, ``subject``, ``split`` and ``label`` of every example, nothing read.

    Subjects are numbers (:func:`number_subjects`), ``""`` where they are not known.

    Args:
        splits: splits of images, in memory or not.
    """
    parts = [(split, splits[split]) for split in SPLITS]
    rows = [
        {"name": name, "subject": group, "split": split, "label": splits.info.classes[label]}
        for split, part in parts
        for name, group, label in zip(
            part.names, part.groups or ("",) * len(part), part.labels.tolist(), strict=True
        )
    ]
    subjects = number_subjects(row["subject"] for row in rows)
    return [{**row, "subject": one} for row, one in zip(rows, subjects, strict=True)]


def read_split_table(path: Path) -> list[dict[str, str]]:
    """A workdir's ``splits.csv``; nothing where it is absent or damaged: it only explains."""
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            found = csv.DictReader(file, restkey="", restval="")
            rows = [{k: uncell(v) for k, v in row.items() if k} for row in found]
    except (OSError, ValueError, csv.Error):
        return []
    return rows if rows and {"name", "split", "label"} <= set(rows[0]) else []


def identify(splits: Splits) -> dict[str, str]:
    """The MD5 of names, contents, labels (by the class's name) and splits; their order does not matter.

    It is the same for every loader, and for a folder and its packed shards.

    Args:
        splits: as a source gives them. Contents are ``splits.contents``, else those of the arrays, else
            (an old pack, whose records are not read for this) ``info.md5``.
    """
    rows = split_table(splits)
    names = [row["name"] for row in rows]
    values: dict[str, list[str]] = {
        "names": names,
        "labels": [f"{row['name']}\t{row['label']}" for row in rows],
        "splits": [f"{row['name']}\t{row['split']}" for row in rows],
    }
    if contents := splits.contents or pixels_of(splits):
        sums = [one for split in SPLITS for one in contents[split]]
        values["contents"] = [f"{n}\t{one}" for n, one in zip(names, sums, strict=True)]
    return {"contents": splits.info.md5} | {key: _digest(lines) for key, lines in values.items()}


def pixels_of(splits: Splits, but: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
    """The MD5 of each example's arrays ``but`` some, by split; empty where not all are in memory."""
    parts = {split: splits[split] for split in SPLITS}
    if any(isinstance(part, LazySplit) for part in parts.values()):
        return {}
    return {n: contents_of(part, but) for n, part in parts.items() if isinstance(part, Split)}


def as_trained(splits: Splits, then: Info, table: Path | None = None) -> Splits:
    """The splits with their labels numbered as a model was trained: by the names of its classes.

    Args:
        splits: data as they were loaded now.
        then: facts of the data of the run.
        table: the run's ``splits.csv``, which tells which pictures differ.

    Raises:
        ValueError: the data are others; says what differs.
    """
    now = splits.info
    known = {class_name(name): k for k, name in enumerate(then.classes)}
    if set(known) != set(map(class_name, now.classes)):
        raise ValueError(
            f"{now.source} has the classes {', '.join(now.classes)}, but the model was trained on "
            f"{', '.join(then.classes)}: give them these names, or use another --workdir"
        )
    if now.classes != then.classes:
        order = np.array([known[class_name(name)] for name in now.classes], np.int32)
        splits = _renumbered(splits, order, then.classes)
    before = read_split_table(table) if table else []
    check_same(then, splits.info, before, split_table(splits) if before else [])
    return splits


def check_same(
    then: Info, now: Info, before: Sequence[Row] = (), after: Sequence[Row] = ()
) -> None:
    """Refuses data that are not those of a run; says what differs.

    Runs of before there were identities are compared by MD5, classes, and images of each class.

    Args:
        then: facts of the data of the run.
        now: facts of the data that are there.
        before: the run's :func:`split_table`, where it is known.
        after: that of the data that are there.

    Raises:
        ValueError: they differ.
    """
    if found := [*_differences(then, now, before, after), *_read_otherwise(then, now)]:
        raise ValueError(
            f"{now.source} does not hold the data of this run: {'; '.join(found)}. Point --root (or "
            "--config.data.root) at the data of the run, or use another --workdir"
        )


def _differences(then: Info, now: Info, before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    if then.classes != now.classes:
        return [
            f"it had the classes {', '.join(then.classes)}, these have {', '.join(now.classes)}"
        ]
    if then.map_classes != now.map_classes:
        old, new = (", ".join(info.map_classes) for info in (then, now))
        return [f"its masks had the classes {old} in this order, these have {new}"]
    if then.identity and now.identity:
        parts = [k for k in _PARTS if k not in _NEW or (k in then.identity and k in now.identity)]
        wrong = [k for k in parts if then.identity.get(k) != now.identity.get(k)]
        wrong = wrong[:1] if wrong[:1] == ["names"] else wrong
        return [_PARTS[key] + _examples(key, before, after) for key in wrong]
    if then.md5 not in (now.md5, now.identity.get("listing")):
        return [f"it had md5 {then.md5}, these have {now.md5}"]
    if then.counts and then.counts != now.counts:
        return [
            f"it had {list(then.counts)} training images of the classes {', '.join(then.classes)}, "
            f"these have {list(now.counts)}"
        ]
    return []


def _read_otherwise(then: Info, now: Info) -> list[str]:
    """How the same files became other pixels."""
    found = []
    if then.value_range != now.value_range:
        old, new = (
            "{:g} to {:g}".format(*info.value_range) if info.value_range else "8 bits"
            for info in (then, now)
        )
        found = [
            f"it had grey values of {old}, these have {new} (versions of before divided deeper ones "
            "by 257)"
        ]
    if then.intensities != now.intensities:
        old, new = (i.intensity().describe() for i in (then, now))
        found += [f"it had grey values by {old}, these by {new} (of before: by few columns)"]
    # Older versions do not say whether they were scaled; their sides do.
    before, after = ({k: v for k, v in i.volumes.items() if k != "scaled"} for i in (then, now))
    if before != after:
        found.append(
            f"volumes were read by data.spacing and data.slices of {before}, these by {after}"
        )
    if then.fit != now.fit:
        found.append(f"pictures that are not square had fit={then.fit}, these have fit={now.fit}")
    return found


def _examples(part: str, before: Sequence[Row], after: Sequence[Row]) -> str:
    """How many pictures differ, and the first of them, where tables tell."""
    if not before or part in ("contents", "masks", *_NEW):
        return ""
    then, now = ({row["name"]: row for row in rows} for rows in (before, after))
    if part == "names":
        gone, new = ([n for n in a if n not in b] for a, b in ((then, now), (now, then)))
        words = [f"{len(n)} {what} ({n[0]})" for n, what in ((gone, "gone"), (new, "new")) if n]
        return f": {', '.join(words)}" if words else ""
    key = part.removesuffix("s")
    changed = [n for n in now if n in then and then[n][key] != now[n][key]]
    if not changed:
        return ""
    was, now_is = then[changed[0]][key], now[changed[0]][key]
    count = f"of {len(changed)} of {len(now)} pictures"
    return f" ({count}; the first: {changed[0]} was {was!r}, is {now_is!r})"


def _renumbered(splits: Splits, order: np.ndarray, classes: tuple[str, ...]) -> Splits:
    """Splits in which class k has become ``order[k]``."""

    def change(part: Split | LazySplit) -> Split | LazySplit:
        labels = order[part.labels]
        if isinstance(part, LazySplit):
            return dataclasses.replace(part, labels=labels)
        return dataclasses.replace(part, arrays={**part.arrays, "label": labels})

    info = splits.info
    counts = np.zeros(len(classes), int)
    counts[order] = info.counts or 0
    modalities = {
        name: dataclasses.replace(m, names=classes) if m.kind == "label" else m
        for name, m in info.modalities.items()
    }
    known = tuple(counts.tolist()) if info.counts else ()
    info = dataclasses.replace(info, classes=classes, modalities=modalities, counts=known)
    parts: dict[str, Any] = {name: change(splits[name]) for name in SPLITS}
    return dataclasses.replace(splits, **parts, info=info)  # fmt: skip


def contents_of(split: Split, but: Sequence[str] = ()) -> tuple[str, ...]:
    """The MD5 of each example's arrays ``but`` labels and some."""
    kinds = split.modalities
    arrays = [
        np.ascontiguousarray(a)
        for n, a in sorted(split.arrays.items())
        if kinds[n].kind != "label" and n not in but
    ]
    return tuple(digest(*(array[i].tobytes() for array in arrays)) for i in range(len(split)))


def _digest(lines: Iterable[str]) -> str:
    return digest("\n".join(sorted(lines)).encode())
