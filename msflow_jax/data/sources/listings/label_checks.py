"""Labels that are no classes, and splits that lack some: what is refused, and what helps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msflow_jax.data.base import SPLITS
from msflow_jax.data.oddities import nearest
from msflow_jax.data.sources.listings.entries import natural
from msflow_jax.storage.text import first_of

if TYPE_CHECKING:
    from msflow_jax.data.sources.listings.folders import Row

_MANY, _EACH = 5, 3  # so many labels, each of at most so many images, seem to be no classes
_SHOWN = 12


def label_hint(rows: Sequence[Row], is_column: bool) -> str:
    """What to say where labels seem to be no classes, for an error; empty where they may be."""
    labels = {row.label for row in rows}
    files = {row.source.volume or row.name for row in rows}
    whom = {row.patient for row in rows if row.patient}
    if len(labels) < _MANY or _EACH * len(labels) < len(files):
        return ""
    if not is_column:
        return f": there are {len(labels)} class folders for {len(files)} images: are they classes?"
    hint = (
        f": the column label has {len(labels)} values for {len(files)} rows: is it the class, or a "
        "measurement or an identifier?"
    )
    swapped = f" Are label and subject exchanged, which has {len(whom)} values?"
    return hint + (swapped if 1 < len(whom) < len(labels) else "")


def check_classes(rows: Sequence[Row], splits: np.ndarray, root: Path, hint: str = "") -> None:
    """Refuses a split without images, and labels that no training image has.

    Args:
        rows: the images.
        splits: name of each one's split, ``[N]``.
        root: where they were listed, for errors.
        hint: what an error on labels ends with.

    Raises:
        ValueError: there is such a split, or label.
    """
    counts = Counter(splits.tolist())
    for split in SPLITS:
        if split not in counts:
            found = ", ".join(f"{n} in {name}" for name, n in counts.items())
            raise ValueError(
                f"{root}: no image in the split {split} ({found}); train and test are needed: give "
                "images to each, or name no splits to have them cut for you"
            )
    taught = {row.label for row, split in zip(rows, splits, strict=True) if split == "train"}
    labels = Counter(row.label for row in rows)
    for row, split in zip(rows, splits, strict=True):
        if row.label not in taught:
            many = "one image only" if labels[row.label] == 1 else f"{labels[row.label]} images"
            meant = nearest(row.label, taught)
            raise ValueError(
                f"{root}: {row.name} in {split} has the label {row.label!r}, that of {many}, which is "
                f"outside the classes of train ({first_of(sorted(taught, key=natural), _SHOWN)})"
                f"{meant and '; '}{meant}{hint}"
            )
