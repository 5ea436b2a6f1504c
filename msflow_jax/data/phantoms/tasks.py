"""What phantoms are labelled with, which settings they take, and how they are cut into splits."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from msflow_jax.data.base import SPLITS, Split
from msflow_jax.data.phantoms.scanners import SCANNERS, allot
from msflow_jax.data.phantoms.signals import SEQUENCES
from msflow_jax.data.phantoms.subjects import GRADES, Subject
from msflow_jax.data.splitting import assign


class Task(NamedTuple):
    """What ``Info`` says of the labels: class names, kind of task, flips that leave them true."""

    classes: tuple[str, ...]
    kind: str
    flips: tuple[str, ...]


TASKS = {
    "grade": Task(GRADES, "ordinal-regression", ("horizontal",)),
    "scanner": Task(tuple(SCANNERS), "multi-class", ()),  # a coil has a side
    "contrast": Task(tuple(SEQUENCES), "multi-class", ("horizontal",)),
}
# Many classes: contrast times what is made of the grade, so many grades to a class.
_GRADED = {"contrast_half": (2, ("light", "heavy")), "contrast_grade": (1, GRADES)}
TASKS |= {
    name: Task(tuple(f"{c} {g}" for c in SEQUENCES for g in words), "multi-class", ("horizontal",))
    for name, (_, words) in _GRADED.items()
}
OF_CONTRASTS = ("contrast", *_GRADED)  # those that mix contrasts
THRESHOLDS = (0.25, 0.5, 0.75)
MAP_CLASSES = ("background", "csf", "grey matter", "white matter", "skull and scalp", "lesion")
VISIBLE = 0.3  # share of a pixel from which the map calls it lesion
LICENCE = "phantoms computed from the ICBM-152 2009a maps (free use with notice)"
# Seeds beside the heads' own, which is (seed, subject); 0 would be a head's.
STATES, MACHINES, CONTRASTS, SIGNALS, TOMOGRAPHY, REPORTS, WITHHELD, GAINS = range(1, 9)
_LIMITS = {
    "subjects": (10, 1_000_000),  # fewer cannot be split in three
    "slices": (1, 64),
    "noise": (0.0, 1.0),
    "bias": (0.0, 1.0),
}
_SIDES = {2: (16, 512), 3: (8, 256)}


def check(config: ConfigDict, side: int, dims: int) -> None:
    """Refuses settings outside their range, and those that phantoms do not have, by name.

    Args:
        config: the data config.
        side: rows and columns.
        dims: axes of space that phantoms are made with, 2 or 3.

    Raises:
        ValueError: there is one.
    """
    settings = config.phantoms
    if settings.task not in TASKS:
        raise ValueError(f"phantoms.task={settings.task!r}; known: {', '.join(TASKS)}")
    if settings.contrast not in SEQUENCES:
        raise ValueError(f"phantoms.contrast={settings.contrast!r}; known: {', '.join(SEQUENCES)}")
    for key, (low, high) in _LIMITS.items():
        if not low <= settings[key] <= high:
            raise ValueError(f"phantoms.{key}={settings[key]} is not in {low} to {high}")
    low, high = _SIDES[dims]
    if not low <= side <= high:
        kind = "pixels" if dims == 2 else "voxels a side"
        raise ValueError(f"side={side}: phantoms are made at {low} to {high} {kind}")
    if config.spacing:
        raise ValueError(
            f"data.spacing={config.spacing:g}: phantoms are made with the voxels that data.side gives; "
            "leave it 0"
        )


def grade_of(subject: Subject) -> int:
    """The grade of a subject's disease, a number in ``GRADES``."""
    return int(np.searchsorted(THRESHOLDS, subject.severity, side="right"))


def deal(settings: ConfigDict, seed: int, images: int) -> np.ndarray:
    """Deals what does not follow from the head: machine or contrast ``[subjects, images]``; else -1.

    Contrasts are dealt in blocks of as many images as there are contrasts, each once per block.

    Args:
        settings: ``data.phantoms``.
        seed: seed of the phantoms.
        images: images per subject.
    """
    shape = settings.subjects, images
    if settings.task == "scanner":
        dealt = allot(settings.subjects, np.random.default_rng((seed, 0, MACHINES)))
        return np.broadcast_to(dealt[:, None], shape)
    if settings.task in OF_CONTRASTS:
        count = len(SEQUENCES)
        blocks = np.tile(np.arange(count), (-(-math.prod(shape) // count), 1))
        dealt = np.random.default_rng((seed, 0, CONTRASTS)).permuted(blocks, axis=1)
        return dealt.ravel()[: math.prod(shape)].reshape(shape)
    return np.full(shape, -1)


def with_grade(task: str, contrasts: np.ndarray, grade: int) -> np.ndarray:
    """Labels of images of a head of this grade; ``contrasts`` are numbers in ``SEQUENCES``."""
    if task not in _GRADED:
        return contrasts
    grades, words = _GRADED[task]
    return contrasts * len(words) + grade // grades


def tissue_map(content: np.ndarray) -> np.ndarray:
    """Classes of pixels: lesion where it holds ``VISIBLE`` of one, else the largest share.

    Args:
        content: what each pixel or voxel holds, ``[..., 6]`` in the order of ``signals.TISSUES``.

    Returns:
        Numbers in ``MAP_CLASSES``, uint8 ``[...]``.
    """
    csf, grey, white, bone, scalp, lesion = np.moveaxis(content, -1, 0)
    air = 1 - content.sum(axis=-1)
    largest = np.argmax(np.stack([air, csf, grey, white, bone + scalp]), axis=0)
    return np.where(lesion >= VISIBLE, len(MAP_CLASSES) - 1, largest).astype(np.uint8)


def cut(whole: Split, strata: np.ndarray, seed: int) -> tuple[Split, Split, Split]:
    """Train, val and test of all subjects: none is in two of them, whatever is made of it.

    Args:
        whole: every example, with its subject in ``groups``.
        strata: what is to be as frequent in each split, ``[N]``.
        seed: seed of the cut.
    """
    split = np.array(assign(whole.groups or (), strata.tolist(), seed))
    train, val, test = (whole.take(np.flatnonzero(split == name)) for name in SPLITS)
    return train, val, test
