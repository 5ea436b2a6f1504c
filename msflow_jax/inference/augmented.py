"""A training set of real and drawn images: files, and a table of them that the source `manifest` reads.

Drawn images join the training split alone. The other splits are as they were, so that what is trained
on the set is measured on real images that neither it nor the flow was trained on.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msflow_jax.data.base import SPLITS, Splits
from msflow_jax.data.identity import number_subjects
from msflow_jax.data.sources.decoding import encode
from msflow_jax.data.sources.grey.written import write_meaning
from msflow_jax.storage.text import file_stem

TABLE, IMAGES = "manifest.csv", "images"
REAL, DRAWN = "real", "drawn"


def counts_to_draw(
    counts: np.ndarray, count: int, balance: bool, chosen: Sequence[int] = ()
) -> np.ndarray:
    """How many images of each class are drawn, int ``[K]``.

    Args:
        counts: training images of each class ``[K]``.
        count: images of each class.
        balance: whether classes with fewer training images than the largest get the difference too.
        chosen: numbers of the classes that are drawn; empty: all.

    Raises:
        ValueError: nothing is to be drawn.
    """
    drawn = np.full(len(counts), count) + (counts.max() - counts if balance else 0)
    if len(chosen):
        drawn[np.setdiff1d(np.arange(len(drawn)), chosen)] = 0
    if not drawn.any():
        which = "these" if len(chosen) else "all"
        raise ValueError(
            f"nothing is to be drawn: {which} classes have as many images as the largest, so --balance "
            "adds none; give a --count"
        )
    return drawn


def write_training_set(
    folder: Path, splits: Splits, images: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """Writes all real images, as the model sees them, and drawn ones of the training split.

    Files are named by split and number, and subjects are numbers: no name of the data is written.
    Each drawn image is a subject of its own where subjects are known. What grey levels stand for, and
    how files became pictures, is written beside the table, for models that are trained on the set.

    Args:
        folder: an empty folder.
        splits: the data of the model, of pictures; labels are class numbers.
        images: drawn images, uint8 ``[N, H, W, C]``.
        labels: their class numbers ``[N]``.

    Returns:
        How many images of each class there are, by split, of training by origin.
    """
    classes, rows = splits.info.classes, []
    parts = [(name, splits[name]) for name in SPLITS]
    groups = [one for _, part in parts for one in part.groups or ("",) * len(part)]
    subjects = iter(number_subjects(groups) if all(groups) else [""] * len(groups))
    (folder / IMAGES).mkdir()

    def add(image: np.ndarray, stem: str, label: int, split: str, origin: str, who: str) -> None:
        name = f"{IMAGES}/{stem}-{file_stem(classes[label])}.png"
        (folder / name).write_bytes(encode(image))
        row = {"path": name, "label": classes[label], "split": split, "origin": origin}
        rows.append({**row, "patient": who} if all(groups) else row)

    for split, part in parts:
        for i, label in enumerate(part.labels.tolist()):
            add(part.read(i), f"{split}-{i:05d}", label, split, REAL, next(subjects))
    for i, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        add(image, f"drawn-{i:05d}", label, SPLITS[0], DRAWN, f"drawn {i}")
    write_meaning(folder, splits.info)
    # Labels as they are: what a spreadsheet is kept from running would be another class.
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)

    def by_class(of: np.ndarray) -> list[int]:
        return np.bincount(of, minlength=len(classes)).tolist()

    found: dict[str, Any] = {split: by_class(part.labels) for split, part in parts}
    return {**found, DRAWN: by_class(labels)}
