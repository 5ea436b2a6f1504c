"""Volumes that are much smaller than the others of a data set, as after an incomplete transfer."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from msflow_jax.data.slices import NO_SLICE
from msflow_jax.data.sources.items import Item
from msflow_jax.storage.text import first_of

_SHARE = 1 / 4  # of the median of all, along any axis
_SHOWN = 3
_SLICED = ("CT", "MR", "PT")  # what makes volumes; one file of such alone is one slice
Sizes = Mapping[str, Sequence[int]]


def small(sizes: Sizes) -> dict[str, str]:
    """Which volumes have less than a quarter of the median size along an axis, and what they have.

    Files have their axes in any order: they are compared from the shortest to the longest, and as they
    are where a volume has fewer voxels than others too.

    Args:
        sizes: voxels along each axis, or the number of slices, by the name of the volume.
    """
    if not sizes:
        return {}
    every = np.array(list(sizes.values()))
    volume = every.prod(axis=1)
    few = _is_short(np.sort(every, axis=1))
    few |= _is_short(every) & (volume < np.median(volume) / 2)
    usual = _in_words(np.median(every, axis=0).astype(int).tolist())
    return {
        name: f"{_in_words(size)}, where the median is {usual}"
        for (name, size), is_small in zip(sizes.items(), few, strict=True)
        if is_small
    }


def _is_short(sizes: np.ndarray) -> np.ndarray:
    return (sizes < _SHARE * np.median(sizes, axis=0)).any(axis=1)


def _in_words(size: Sequence[int]) -> str:
    if len(size) == 1:
        return f"{size[0]} slice{'s' * (size[0] != 1)}"
    return f"{' x '.join(map(str, size))} voxels"


def warn_of_small(groups: Iterable[Sizes], source: Path) -> None:
    """One line that names the volumes that are much smaller than the others of their group."""
    groups = list(groups)
    found = [f"{name} has {what}" for sizes in groups for name, what in small(sizes).items()]
    if found:
        warnings.warn(
            f"{source}: {len(found)} of {sum(map(len, groups))} volumes are much smaller than the "
            f"others: {first_of(found, _SHOWN)}; are these files complete?",
            stacklevel=4,
        )


def sizes_of(items: Iterable[Item]) -> list[Sizes]:
    """The sizes of volumes as far as listing them told, in groups that can be compared."""
    spaces: defaultdict[str, dict[str, Sequence[int]]] = defaultdict(dict)
    slices: Counter[str] = Counter()
    for item in items:
        if item.space:
            spaces[item.kind][item.volume] = item.space
        elif item.kind == "dicom" and item.volume:
            whole = item.number == NO_SLICE
            slices[item.volume] += len(item.paths) if whole and len(item.paths) > 1 else not whole
        elif item.kind == "dicom" and item.modality in _SLICED:
            slices[item.name] += 1
    return [*spaces.values(), {name: (n,) for name, n in slices.items() if n}]
