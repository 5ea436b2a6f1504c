"""What a user should know of masks before training: absent and lost classes, unknown patients."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msflow_jax.data.base import SPLITS
from msflow_jax.data.sources.listings.folder_checks import warn_of_series
from msflow_jax.data.sources.listings.folders import Row


def check_present(has: np.ndarray, splits: np.ndarray, names: Sequence[str], root: Path) -> None:
    """Refuses a class that no training mask has; a line on those that another split lacks.

    Raises:
        ValueError: there is one; names it.
    """
    absent = {
        split: [name for k, name in enumerate(names) if not has[splits == split, k].any()]
        for split in SPLITS
    }
    if absent["train"]:
        raise ValueError(
            f"{root}: no training mask has the class {absent['train'][0]}: nothing could learn it"
        )
    if found := [f"no mask of {split} has {', '.join(of)}" for split, of in absent.items() if of]:
        warnings.warn(f"{root}: {'; '.join(found)}", stacklevel=4)


def warn_of_strangers(rows: Sequence[Row], root: Path) -> None:
    """A line where nobody knows whom images show, and the library cuts, or given splits part names."""
    given = {row.split for row in rows}
    unknown = sum(not row.patient for row in rows)
    if {*SPLITS} <= given:
        warn_of_series(rows, root, "put them into one split")
    elif unknown:
        warnings.warn(
            f"{root}: whom {unknown} of {len(rows)} images show is not known, so that images of one "
            "patient may come into two splits: part patients by folders train, val and test",
            stacklevel=4,
        )


def warn_of_lost(has: np.ndarray, maps: np.ndarray, names: Sequence[str], root: Path) -> None:
    """A line on classes that many masks have as stored, but no longer at the model's side."""
    stored = has.sum(axis=0)
    kept = sum(np.bincount(np.unique(one), minlength=len(names)) for one in maps)
    lost = [
        f"{name} in {n - m} of {n}"
        for name, n, m in zip(names, stored.tolist(), np.asarray(kept).tolist(), strict=True)
        if m < 0.9 * n
    ]
    if lost:
        warnings.warn(
            f"{root}: classes vanish from masks at {maps.shape[-1]} pixels a side: {', '.join(lost)}; a "
            "larger --config.data.side keeps small ones",
            stacklevel=4,
        )
