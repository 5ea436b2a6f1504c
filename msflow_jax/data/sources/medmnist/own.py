"""An .npz of the user's own that is read by the name of a MedMNIST set: what it borrows of that set."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

from msflow_jax.data.base import Split, class_name
from msflow_jax.data.intensity import FULL
from msflow_jax.data.sources.grey.choice import spread
from msflow_jax.data.sources.grey.shades import Shades
from msflow_jax.data.sources.medmnist.table import Entry


def tell_md5(path: Path, md5: str, published: str, demanded: str, older: Sequence[str]) -> None:
    """A line where a file's MD5 is neither the published one nor the configured one."""
    if md5 not in (published, demanded):
        what = "an older release of it" if md5 in older else "not the authors' file"
        warnings.warn(
            f"{path} has md5 {md5}, the published file has {published}: {what}. "
            f"Its results do not compare with published ones (--config.data.md5={md5} accepts it)",
            stacklevel=3,
        )


def tell_borrowed(path: Path, classes: Sequence[str], flips: Sequence[str], finding: str) -> None:
    """A line on what the labels of an own file are taken for, and how its images are mirrored."""
    known = ", ".join(f"{k} = {name}" for k, name in enumerate(classes))
    mirrored = f", and its images mirrored in training ({', '.join(flips)})" if flips else ""
    remedy = "correct them" if finding else "name the classes: --config.data.map_classes=NAME,NAME"
    warnings.warn(
        f"{path}: its labels are taken as {known}{mirrored}, as in the set of that name; if they mean "
        f"something else {remedy}",
        stacklevel=3,
    )


def with_classes(
    entry: Entry, flips: tuple[str, ...], names: Sequence[str], path: Path, *, own: bool
) -> tuple[Entry, tuple[str, ...]]:
    """The entry and the flips by which a file is read, of one whose classes the user names those.

    Args:
        entry: of the set that it is called as.
        flips: axes along which images of that set are mirrored in training.
        names: what the user calls the classes 0, 1, ...; empty: as the set does.
        path: the file.
        own: whether it is none that the authors published.

    Returns:
        With names an entry of those classes, and no flips, which are the set's.

    Raises:
        ValueError: names for a published file, fewer than two, or two alike.
    """
    if not names:
        return entry, flips
    given = tuple(map(class_name, names))
    said = f"data.map_classes={','.join(given)}"
    if not own:
        raise ValueError(
            f"{said}: {path} is the published file, and its classes are {', '.join(entry.classes)}: "
            "leave the setting empty"
        )
    if len(set(given)) < max(len(given), 2) or "" in given:
        raise ValueError(f"{said}: give a name of its own to each class, at least to two")
    task = "binary-class" if len(given) == 2 else "multi-class"
    return dataclasses.replace(entry, classes=given, task=task), ()


def look_over(train: Split, path: Path, named: Sequence[str]) -> None:
    """The lines on training images of an own file that are nearly black or of one value; a few of many.

    Raises:
        ValueError: no training image has one of the labels that the user ``named``.
    """
    if absent := [k for k in range(len(named)) if k not in train.labels]:
        raise ValueError(
            f"{path}: no image of train_labels has the label {absent[0]} ({named[absent[0]]}, by "
            "data.map_classes): name the classes that there are"
        )
    shades = Shades()
    for i in spread(range(len(train))):
        shades.look(train.images[i], train.names[i])
    shades.warn(FULL, path, "training images")
