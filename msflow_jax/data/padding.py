"""Which part of the model's grid each image fills, kept as facts on the examples of a split."""

from __future__ import annotations

from typing import Any

import numpy as np

_COLUMNS = ("filled_slices", "filled_rows", "filled_columns")


def filled_of(inside: np.ndarray) -> tuple[int, ...]:
    """How many pixels an image fills along each axis, from where it lies, bool ``[*space]``."""
    return tuple(
        int(inside.any(axis=tuple(a for a in range(inside.ndim) if a != axis)).sum())
        for axis in range(inside.ndim)
    )


def as_facts(filled: np.ndarray) -> dict[str, np.ndarray]:
    """Facts (``Split.truth``) of the pixels that images fill along each axis, int ``[N, dims]``."""
    return dict(zip(_COLUMNS[-filled.shape[1] :], filled.T, strict=True))


def inside_of(split: Any) -> np.ndarray | None:
    """Where each image lies in its grid, bool ``[N, *space]``; None where nothing is known as padded.

    Args:
        split: a split of images, which lie in the middle of their grids.
    """
    space, truth = split.images.shape[1:-1], split.truth or {}
    columns = _COLUMNS[-len(space) :]
    if not set(columns) <= set(truth):
        return None
    inside = np.ones((len(split), *space), bool)
    for axis, (name, whole) in enumerate(zip(columns, space, strict=True)):
        size = np.asarray(truth[name])[:, None]
        start = (whole - size) // 2
        index = np.arange(whole)[None]
        there = (index >= start) & (index < start + size)
        inside &= there.reshape(len(split), *(whole if a == axis else 1 for a in range(len(space))))
    return inside
