"""The data of a run that has begun: read again, and compared with what it knows of them."""

from __future__ import annotations

from pathlib import Path

from ml_collections import ConfigDict

from msflow_jax import data
from msflow_jax.data.base import Info, Splits


def load_again(config: ConfigDict, then: Info, table: Path, *, told: bool = False) -> Splits:
    """Loads the data of a run, with their labels as it numbered them.

    Copies in two splits are said, and are no error: a version may tell such that the one of the run's
    beginning did not, and the run has seen them already. That the data are its own is compared by what
    it knows of them; where it knows nothing, ``data.duplicates`` stays.

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
    return data.as_trained(data.load(config, told=told), then, table)
