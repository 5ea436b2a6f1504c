"""The size of each image's pixels in mm, kept as facts on the examples of a split."""

from __future__ import annotations

from typing import Any

import numpy as np

from msflow_jax.data.info import Info

_COLUMNS = {2: ("mm_rows", "mm_columns"), 3: ("mm_slices", "mm_rows", "mm_columns")}

_UNSIZED = "unsized"


def as_facts(sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Facts (``Split.truth``) of sizes in mm along each axis of space, ``[N, 2]`` or ``[N, 3]``."""
    return dict(zip(_COLUMNS[sizes.shape[1]], sizes.T, strict=True))


def as_unsized(unsized: np.ndarray) -> dict[str, np.ndarray]:
    """Facts where some images do not say their size, so that none counts: which, bool ``[N]``."""
    return {_UNSIZED: unsized}


def unsized_of(split: Any) -> int | None:
    """Images of a split that do not say their size; None where all images of the data do, or none."""
    found = (split.truth or {}).get(_UNSIZED)
    return None if found is None else int(np.sum(found))


def sizes_of(split: Any, info: Info) -> np.ndarray | None:
    """Sizes in mm along each axis of space ``[N, dims]``; None where they are not known of all images.

    Args:
        split: a split of images.
        info: facts on the data, whose ``spacing`` is that of all.
    """
    columns, truth = _COLUMNS[info.dims], split.truth or {}
    if set(columns) <= set(truth):
        return np.stack([np.asarray(truth[name], np.float64) for name in columns], axis=1)
    if len(info.spacing) == info.dims:
        return np.tile(np.array(info.spacing), (len(split), 1))
    return None
