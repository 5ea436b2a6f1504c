"""Cuts examples into train, val and test: stratified, by group, and stable from seed and names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from msflow_jax.data.base import Splits, digest

# Dealt in turn over the groups sorted by class, so each class and the whole are cut 70/10/20 to
# within one group. No two neighbours are withheld: a class of two groups always keeps one in train.
PATTERN = ("train", "test", "train", "train", "val", "train", "train", "test", "train", "train")
VAL_PATTERN = ("train", "train", "val", "train", "train", "train", "train", "train")


def assign(
    groups: Sequence[str],
    labels: Sequence[int],
    seed: int,
    pattern: Sequence[str] = PATTERN,
) -> list[str]:
    """Returns the split of each example; a group (patient, subject, file) is never cut.

    Within a class groups are ordered by the MD5 of (seed, group name): neither the file system's
    order nor a random generator's version matters. A group's class is its most frequent label,
    the lowest on a tie.

    Args:
        groups: group of each example, length N.
        labels: class of each example, length N.
        seed: another seed gives another cut.
        pattern: splits dealt in turn; the shares of the names in it are the shares of the cut.

    Raises:
        ValueError: where there are too few groups for every split to have one.
    """
    counts: dict[str, Counter[int]] = {}
    for group, label in zip(groups, labels, strict=True):
        counts.setdefault(group, Counter())[label] += 1
    major = {
        group: min(c.items(), key=lambda kn: (-kn[1], kn[0]))[0] for group, c in counts.items()
    }
    size = Counter(major.values())
    split = {g: "train" for g in major if size[major[g]] == 1}  # a lone group teaches its class
    rest = [g for g in major if g not in split]
    rest.sort(key=lambda g: (major[g], digest(f"{seed}:{g}".encode())))
    split.update({g: pattern[i % len(pattern)] for i, g in enumerate(rest)})
    if missing := sorted(set(pattern) - set(split.values())):
        raise ValueError(
            f"{len(counts)} images (or patients) are too few to cut into "
            f"{', '.join(dict.fromkeys(pattern))}: nothing left for {', '.join(missing)}; "
            "add images or give the splits yourself (train/ val/ test/ folders, a split column)"
        )
    return [split[group] for group in groups]


def held_back(split: Any, every: int) -> np.ndarray:
    """Which examples of a validation split choose no checkpoint, bool ``[N]``: one subject in so many.

    They are dealt class by class, as :func:`assign` does it, and are always the same. None where there
    are too few subjects to deal, or ``every`` is 0.
    """
    none = np.zeros(len(split), bool)
    if every < 2:
        return none
    groups = split.groups or tuple(map(str, range(len(split))))
    try:
        dealt = assign(groups, split.labels.tolist(), 0, (*["train"] * (every - 1), "held"))
    except ValueError:  # too few
        return none
    return np.array([one == "held" for one in dealt])


def choosing(splits: Splits, every: int) -> Splits:
    """The splits of a training: without the validation examples that are to choose no checkpoint."""
    held = held_back(splits.val, every)
    if not held.any():
        return splits
    return dataclasses.replace(splits, val=splits.val.take(np.flatnonzero(~held)))
