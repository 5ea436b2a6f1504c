"""The data of a run that has begun: read again, and compared with what it knows of them."""

from __future__ import annotations

import warnings
from pathlib import Path

from ml_collections import ConfigDict

from msflow_jax import data
from msflow_jax.data.base import Info, Splits
from msflow_jax.data.sources.shaping import same_size
from msflow_jax.data.sources.volumes.orientation import size_text


def load_again(config: ConfigDict, then: Info, table: Path, *, told: bool = False) -> Splits:
    """Loads the data of a run, with their labels as it numbered them.

    Copies in two splits are said, and are no error: a version may tell such that the one of the run's
    beginning did not, and the run has seen them already. That the data are its own is compared by what
    it knows of them; where it knows nothing, ``data.duplicates`` stays. So is a size of voxels that is
    not the one that it keeps.

    Args:
        config: the data config of the run.
        then: facts of its data.
        table: its ``splits.csv``.
        told: see ``data.load``.

    Raises:
        FileNotFoundError: as ``data.load``.
        ValueError: as ``data.load``, and for data that are not those of the run.
    """
    if then.identity:
        config = config.copy_and_resolve_references()
        config.duplicates = "keep"
    splits = data.as_trained(data.load(config, told=told), then, table)
    _tell_sizes(then, splits.info)
    return splits


def _tell_sizes(then: Info, now: Info) -> None:
    """A line where a run keeps another size of voxels than its volumes have."""
    if not then.spacing or same_size(then.spacing, now.spacing):
        return
    here = (
        f"have {size_text(now.spacing)} mm"
        if now.spacing
        else "have not one size, or do not say it"
    )
    warnings.warn(
        f"{now.source}: this run keeps voxels of {size_text(then.spacing)} mm (manifest.json), but the "
        f"volumes {here}: with data.loader=grain a version of before looked at those for validation and "
        "test alone; train in a new --workdir for files and figures in mm that are right",
        stacklevel=3,
    )
